#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damaged files: said with file, section and offset; never served; repaired by the next build."""

import merlon_e2e as e2e

PLACE = r"(section [A-Z_]+|header|section table|padding) at offset \d+"
ADDRESSES = [f"45.1.{i // 250}.{i % 250 + 1}" for i in range(600)]


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


class Damage(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_feed("first", ADDRESSES)
        self.generation = self.m.build()["generation"]
        self.good = sorted(ADDRESSES + [e2e.TEST_ADDRESS4])

    def served(self, name="first.merlon.internal"):
        return sorted(self.m.tcp(name).values("A"))

    def bodies(self):
        return next(path for kind, path, _ in self.m.segments_of(self.m.current())
                    if kind == "bodies")

    def restart_data(self):
        self.m.data.end()
        self.m.start_data()
        return self.m.data_command("status")

    def assert_serving(self, generation):
        """UDP and TCP answer, with what the good list holds."""
        self.assertEqual(self.m.data_command("status")["generation"], generation)
        self.assertTrue(self.m.udp("first.merlon.internal").tc)
        self.assertEqual(self.served(), self.good)

    def test_flipped_byte_is_named_and_the_old_generation_stays(self):
        m = self.m
        m.add_feed("second", ["45.9.9.9"])
        m.build()
        newest = m.current()
        # The data plane served this generation and reuses what it holds; a new one has to read.
        for kind, path, apex in m.segments_of(newest):
            offset = path.stat().st_size - 3
            flip(path, offset)
            with self.subTest(kind=kind, apex=apex):
                verify = m.ctl("snapshot", "verify", expect=e2e.FAILED)
                self.assertIn("corruption", verify.stderr)
                self.assertIn(str(path), verify.stderr)
                self.assertRegex(verify.stderr, PLACE)
                status = self.restart_data()
                self.assertEqual(status["generation"], 0)
                self.assertIn(str(path), status["last_load_error"])
                self.assertRegex(status["last_load_error"], PLACE)
                error = m.data_command("load")["error"]
                self.assertEqual(error["code"], "corruption")
                self.assertIn(str(path), error["message"])
                flip(path, offset)
                self.assertEqual(m.data_command("load"),
                                 {"schema_version": 1, "generation": newest})
                self.assert_serving(newest)
                m.ctl("snapshot", "verify")

    def test_a_damaged_new_generation_is_not_loaded(self):
        m = self.m
        old = m.current()
        # Published without the data plane, then damaged before it comes to look.
        m.data.end()
        data_socket, m.data_socket = m.data_socket, m.data_socket + ".away"
        m.settings["dataplane"]["control_socket"] = m.data_socket
        m.write_config()
        m.start_data()
        self.assert_serving(old)
        failed = m.add_feed("second", ["45.9.9.9"])
        self.assertIn("loaded", failed.stdout)
        build = m.ctl("snapshot", "build", expect=None)
        new = m.current()
        self.assertGreater(new, old)
        self.assertIn("is merlon-dataplane running?",
                      build.stderr + m.ctl_json("status")["status"]["dataplane"])
        zone = next(path for kind, path, _ in m.segments_of(new) if kind == "zone")
        for offset in (0, 9, 13, 20, 70, zone.stat().st_size // 2):
            flip(zone, offset)
            error = m.data_command("load")["error"]
            self.assertIn(str(zone), error["message"])
            self.assertRegex(error["message"], PLACE)
            flip(zone, offset)
            self.assert_serving(old)
        content = zone.read_bytes()
        for size in (0, 10, 64, len(content) - 1):
            zone.write_bytes(content[:size])
            error = m.data_command("load")["error"]
            self.assertEqual(error["code"], "corruption", error)
            self.assertIn(str(zone), error["message"])
            self.assert_serving(old)
        zone.unlink()
        self.assertIn(str(zone), m.data_command("load")["error"]["message"])
        self.assert_serving(old)
        zone.write_bytes(content)
        self.assertEqual(m.data_command("load")["generation"], new)
        self.assert_serving(new)
        m.data_socket = data_socket

    def test_truncated_and_altered_manifest(self):
        m = self.m
        current = m.current()
        path = m.snapshots / "manifests" / f"{current}.manifest"
        content = path.read_bytes()
        altered = content.replace(b"created 1", b"created 2")
        self.assertNotEqual(altered, content)
        for damaged, reason in ((content[:-20], "manifest line"), (content[:40], "manifest line"),
                                (b"", "manifest line 1"), (content + b"x\n", "manifest line"),
                                (altered, "signature does not match")):
            path.write_bytes(damaged)
            error = m.data_command("load")["error"]
            self.assertEqual(error["code"], "corruption", error)
            self.assertIn(str(path), error["message"])
            self.assertIn(reason, error["message"])
            verify = m.ctl("snapshot", "verify", current, expect=e2e.FAILED)
            self.assertIn(str(path), verify.stderr)
            self.assert_serving(current)
            status = m.ctl_json("dataplane", "status")["dataplane"]
            self.assertIn(str(path), status["last_load_error"])
        path.write_bytes(content)
        self.assertEqual(m.data_command("load")["generation"], current)
        self.assertEqual(m.data_command("status")["last_load_error"], "")

    def test_manifest_of_another_publisher_is_refused(self):
        m = self.m
        other = self.merlon("other")
        other.start_control()
        foreign = other.snapshots / "manifests" / f"{other.current()}.manifest"
        path = m.snapshots / "manifests" / f"{m.current()}.manifest"
        path.write_bytes(foreign.read_bytes().replace(
            f"generation {other.current()}\n".encode(), f"generation {m.current()}\n".encode()))
        error = m.data_command("load")["error"]
        self.assertIn("signed by key", error["message"])
        self.assert_serving(self.generation)

    def test_garbage_in_current(self):
        m = self.m
        current = m.snapshots / "current"
        good = current.read_bytes()
        for garbage in (b"", b"\0\0\0\0", b"garbage\n", b"-1\n", b"1", b"x" * 10000):
            current.write_bytes(garbage)
            error = m.data_command("load")["error"]
            self.assertIn(str(current), error["message"], garbage)
            self.assert_serving(self.generation)
        current.write_bytes(b"4711\n")
        self.assertIn("4711.manifest", m.data_command("load")["error"]["message"])
        self.assert_serving(self.generation)
        current.write_bytes(good)
        self.assertEqual(m.data_command("load")["generation"], self.generation)

    def test_garbage_in_current_is_healed_by_a_build(self):
        m = self.m
        current = m.snapshots / "current"
        for garbage in (b"garbage\n", b"", b"4711\n"):
            with self.subTest(garbage=garbage):
                current.write_bytes(garbage)
                build = m.build()
                self.assertEqual(m.current(), build["generation"])
                self.assertEqual(build["dataplane_error"], "")
                self.assert_serving(build["generation"])
        # The same when the control plane meets it at its start.
        current.write_bytes(b"garbage\n")
        m.control.end()
        m.start_control()
        self.assertEqual(m.current(), m.data_command("status")["generation"])
        self.assert_serving(m.current())

    def test_a_build_heals_a_damaged_segment(self):
        m = self.m
        for damage in ("flipped", "truncated", "removed"):
            with self.subTest(damage=damage):
                path = self.bodies()
                if damage == "flipped":
                    flip(path, path.stat().st_size // 2)
                elif damage == "truncated":
                    path.write_bytes(path.read_bytes()[:100])
                else:
                    path.unlink()
                m.ctl("snapshot", "verify", expect=e2e.FAILED if damage != "removed" else None)
                self.assertEqual(self.restart_data()["generation"], 0)
                build = m.build()  # nothing changed in the store
                self.assertEqual(build["segments_written_count"], 1)
                self.assertEqual(build["dataplane_error"], "")
                m.ctl("snapshot", "verify")
                self.assert_serving(m.current())

    def test_a_publish_heals_a_damaged_segment_of_another_list(self):
        m = self.m
        path = self.bodies()
        flip(path, path.stat().st_size - 1)
        m.add_feed("zebra", ["45.9.9.9"], "--not-in-basic")
        m.build()
        self.assertIn(path, [entry for _, entry, _ in m.segments_of(m.current())])
        m.ctl("snapshot", "verify")
        self.assertEqual(self.restart_data()["generation"], m.current())
        self.assert_serving(m.current())

    def test_control_plane_starts_over_a_damaged_generation(self):
        m = self.m
        path = self.bodies()
        m.control.end()
        flip(path, path.stat().st_size // 2)
        m.start_control()
        m.ctl("snapshot", "verify")
        self.assertEqual(self.restart_data()["generation"], m.current())
        self.assert_serving(m.current())

    def test_rollback_and_activate(self):
        m = self.m
        first = m.current()
        m.write_feed("first", ["45.2.2.2"])
        m.ctl("feed", "refresh", "first", expect=e2e.FAILED)  # so small, all of a sudden
        m.ctl("feed", "accept", "first", "--yes")
        m.build()
        second = m.current()
        self.assert_addresses(m.udp("first.merlon.internal"), ["45.2.2.2", e2e.TEST_ADDRESS4])
        back = m.ctl_json("snapshot", "rollback", "--yes")["build"]
        self.assertLess(back["generation"], second)
        m.ctl("snapshot", "activate", first, "--yes")
        self.assertEqual(m.current(), first)
        self.assert_serving(first)
        self.assertIn(ADDRESSES[5], self.served())
        lists = {item["name"]: item for item in m.ctl_json("list", "list")["lists"]}
        self.assertEqual(lists["first"]["address4_count"], len(ADDRESSES) + 1)
        # Kept over a restart: the operator's choice is not built over.
        m.control.end()
        m.start_control()
        self.assertEqual(m.current(), first)
        self.assertEqual(m.ctl_json("status")["status"]["tcp_generation"], first)
        self.assertEqual(self.served(), self.good)
        m.ctl("snapshot", "activate", second, "--yes")
        self.assert_addresses(m.udp("first.merlon.internal"), ["45.2.2.2", e2e.TEST_ADDRESS4])
        m.ctl("snapshot", "activate", first, expect=e2e.USAGE)  # without --yes and terminal

    def test_activating_a_damaged_generation_changes_nothing(self):
        m = self.m
        first = m.current()
        path = self.bodies()
        m.write_feed("first", ["45.2.2.2"])
        m.ctl("feed", "refresh", "first", expect=e2e.FAILED)  # so small, all of a sudden
        m.ctl("feed", "accept", "first", "--yes")
        m.build()
        second = m.current()
        self.assertNotIn(path, [entry for _, entry, _ in m.segments_of(second)])
        flip(path, path.stat().st_size // 2)
        refused = m.ctl("snapshot", "activate", first, "--yes", expect=e2e.FAILED)
        self.assertIn(str(path), refused.stderr)
        self.assertRegex(refused.stderr, r"section [A-Z_]+ at offset \d+")
        self.assertEqual(m.current(), second)
        self.assert_addresses(m.udp("first.merlon.internal"), ["45.2.2.2", e2e.TEST_ADDRESS4])
        m.ctl("snapshot", "verify")


if __name__ == "__main__":
    e2e.main()
