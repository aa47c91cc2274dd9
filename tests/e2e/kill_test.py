#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Killed processes: answers go on, what was acknowledged is kept, `current` is always whole."""

import http.client
import random
import signal
import threading
import time

import merlon_e2e as e2e


class Asker(threading.Thread):
    """Asks over UDP without pause until it is stopped; `wrong` says what was not in order."""

    def __init__(self, merlon, name, valid):
        super().__init__(daemon=True)
        self.merlon, self.name_asked, self.valid = merlon, name, valid
        self.stopping = threading.Event()
        self.answers, self.wrong, self.slowest = 0, [], 0.0
        self.start()

    def run(self):
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                answer = self.merlon.udp(self.name_asked)
                if tuple(sorted(answer.values())) not in self.valid:
                    self.wrong.append((answer.rcode, answer.values()))
                self.answers += 1
            except (OSError, ValueError) as error:
                self.wrong.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - started)

    def finish(self):
        self.stopping.set()
        self.join(30 * e2e.FACTOR)
        return self


class Kill(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_feed("live", ["45.1.1.1"])
        self.m.build()
        self.name = "live.merlon.internal"

    def expected(self, *addresses):
        return tuple(sorted((*addresses, e2e.TEST_ADDRESS4)))

    def test_answers_go_on_while_the_control_plane_is_dead(self):
        m = self.m
        asker = Asker(m, self.name, {self.expected("45.1.1.1")})
        e2e.wait_until("answers", lambda: asker.answers > 200)
        generation = m.current()
        m.control.end(signal.SIGKILL)
        killed_at = asker.answers
        self.assertEqual(m.control.session_members(), [])
        m.ctl("status", expect=e2e.UNREACHABLE)
        e2e.wait_until("more answers", lambda: asker.answers > killed_at + 500)
        self.assertEqual(m.data_command("status")["generation"], generation)
        with self.assertRaises(OSError):
            m.tcp(self.name)
        # It comes back on the same state and continues.
        m.start_control()
        self.assertEqual(m.current(), generation)
        self.assert_addresses(m.tcp(self.name), self.expected("45.1.1.1"))
        self.assertEqual(m.ctl_json("status")["status"]["device_count"], 1)
        asker.valid.add(self.expected("45.1.1.2"))
        m.write_feed("live", ["45.1.1.2"])
        m.ctl("feed", "refresh", "live")
        self.assertGreater(m.build()["generation"], generation)
        self.assert_addresses(m.udp(self.name), self.expected("45.1.1.2"))
        self.assert_addresses(m.tcp(self.name), self.expected("45.1.1.2"))
        asker.finish()
        self.assertEqual(asker.wrong, [])
        self.assertGreater(asker.answers, 700)

    def test_the_data_plane_starts_alone_from_disk(self):
        m = self.m
        generation = m.current()
        m.control.end(signal.SIGKILL)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            m.data.end(number)
            m.start_data()  # over the socket file that the killed one left
            status = m.data_command("status")
            self.assertEqual((status["generation"], status["last_load_error"]), (generation, ""))
            # From the first moment on, no query is lost.
            for _ in range(50):
                self.assert_addresses(m.udp(self.name), self.expected("45.1.1.1"))

    def test_the_control_plane_serves_tcp_while_the_data_plane_is_dead(self):
        m = self.m
        m.data.end(signal.SIGKILL)
        self.assert_addresses(m.tcp(self.name), self.expected("45.1.1.1"))
        self.assertIn("is merlon-dataplane running?", m.ctl("status").stdout)
        down = m.ctl("dataplane", "status", expect=e2e.FAILED)
        self.assertIn("is merlon-dataplane running?", down.stderr)
        m.write_feed("live", ["45.1.1.2"])
        m.ctl("feed", "refresh", "live")
        built = m.ctl("snapshot", "build", expect=e2e.FAILED)
        self.assertIn("is on disk, but the data plane does not serve it", built.stderr)
        self.assert_addresses(m.tcp(self.name), self.expected("45.1.1.2"))
        m.start_data()
        self.assertEqual(m.data_command("status")["generation"], m.current())
        self.assert_addresses(m.udp(self.name), self.expected("45.1.1.2"))
        self.assertIn(f"serving generation {m.current()}", m.ctl("status").stdout)

    def test_two_data_planes_do_not_share_a_port(self):
        second = self.merlon("second")
        second.port = self.m.port
        second.settings["dataplane"].update(
            listen=second.endpoints(), snapshot_directory=str(self.m.snapshots),
            manifest_key_file=str(self.m.state / "manifest.pub"))
        second.write_config()
        process = e2e.Process(second.folder / "data.log",
                              [e2e.BIN / "merlon-dataplane", "--config", second.config])
        self.addCleanup(process.end)
        self.assertEqual(process.popen.wait(20 * e2e.FACTOR), 1)
        self.assertIn("another program listens there", process.text())
        for _ in range(100):
            self.assert_addresses(self.m.udp(self.name), self.expected("45.1.1.1"))

    def test_killed_in_the_middle_of_edits(self):
        """Entries of an account's list, and a kill at a random moment: what was acknowledged is in
        the list after the next start, nothing else is but the one that was on its way."""
        m = self.m
        seed = random.SystemRandom().randrange(1 << 32)
        rng = random.Random(seed)
        for body in ({"name": "edge"}, {"name": "other"}):
            status, text = m.api("POST", "/v1/accounts/acme/lists", body)
            self.assertEqual(status, 201, text)
        target = "/v1/accounts/acme/lists/edge/entries"
        name = "edge.acme.merlon.internal"
        kept, number = {"45.8.0.0"}, 1
        status, text = m.api("POST", target, {"value": "45.8.0.0"})
        self.assertLess(status, 300, text)
        for turn in range(8):
            with self.subTest(turn=turn, seed=seed):
                deadline = time.monotonic() + rng.uniform(0.02, 0.6)
                killer = threading.Timer(deadline - time.monotonic(),
                                         lambda: m.control.end(signal.SIGKILL))
                killer.start()
                on_its_way = None
                try:
                    while True:
                        on_its_way = f"45.8.{number // 250}.{number % 250 + 1}"
                        number += 1
                        status, text = m.api("POST", target, {"value": on_its_way})
                        self.assertLess(status, 300, text)
                        kept.add(on_its_way)
                except (OSError, http.client.HTTPException, ValueError):
                    pass
                killer.join()
                if turn % 3 == 1:  # and what is remembered is damaged
                    log = m.state / "zones.log"
                    content = bytearray(log.read_bytes())
                    content[rng.randrange(len(content))] ^= 0x10
                    log.write_bytes(content)
                m.start_control()
                m.ctl("snapshot", "verify")

                def answered():
                    parts = m.tcp(name, "PTR").values()  # thousands are more than one name holds
                    return {x for part in parts for x in m.tcp(part).values("A")
                            if x != e2e.TEST_ADDRESS4}

                e2e.wait_until("the kept entries", lambda: answered() in (
                    kept, kept | {on_its_way}))
                kept = answered()
                e2e.wait_until("the data plane has them", lambda: m.data_command("status")[
                    "generation"] == m.current())
        self.assertGreater(number, 20)

    def test_killed_in_the_middle_of_publishes(self):
        """Ten times at a random moment. `current` names a generation that loads, every time."""
        m = self.m
        seed = random.SystemRandom().randrange(1 << 32)
        rng = random.Random(seed)
        asker = Asker(m, self.name, set())
        asker.valid.update(self.expected(f"45.1.1.{i}") for i in range(1, 251))
        number = 1
        for turn in range(10):
            stop = threading.Event()
            acknowledged = [number]

            def publish(first=number, stop=stop, acknowledged=acknowledged):
                at = first
                while not stop.is_set():
                    at = at % 250 + 1
                    m.write_feed("live", [f"45.1.1.{at}"])
                    for words in (("feed", "refresh", "live"), ("snapshot", "build")):
                        if m.ctl(*words, expect=None).returncode != e2e.OK:
                            return
                    acknowledged[0] = at

            publisher = threading.Thread(target=publish, daemon=True)
            publisher.start()
            time.sleep(rng.uniform(0.02, 0.4))
            m.control.end(signal.SIGKILL)
            stop.set()
            publisher.join(60 * e2e.FACTOR)
            number = acknowledged[0]
            allowed = {self.expected(f"45.1.1.{at}") for at in (number, number % 250 + 1)}
            # What a data plane finds that comes up now.
            fresh = self.merlon(f"fresh{turn}")
            fresh.settings["dataplane"].update(
                snapshot_directory=str(m.snapshots),
                manifest_key_file=str(m.state / "manifest.pub"))
            fresh.write_config()
            fresh.start_data()
            with self.subTest(turn=turn, seed=seed):
                status = fresh.data_command("status")
                self.assertEqual((status["generation"], status["last_load_error"]),
                                 (m.current(), ""))
                self.assertIn(tuple(sorted(fresh.udp(self.name).values())), allowed)
                self.assertIn(tuple(sorted(m.udp(self.name).values())), allowed)
            fresh.data.end()
            m.start_control()
            m.ctl("snapshot", "verify")
            m.ctl("feed", "refresh", "live")
            m.build()
            number = int((m.folder / "feeds/live.txt").read_text().strip().rsplit(".", 1)[1])
            self.assert_addresses(m.udp(self.name), self.expected(f"45.1.1.{number}"))
            self.assert_addresses(m.tcp(self.name), self.expected(f"45.1.1.{number}"))
        asker.finish()
        self.assertEqual(asker.wrong, [], seed)
        self.assertEqual(list(m.snapshots.rglob("*.partial-*")), [])


if __name__ == "__main__":
    e2e.main()
