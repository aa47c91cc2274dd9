#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tools/tidy against a tiny tree that breaks it, and a tree that breaks none."""

import importlib.machinery
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parents[2]
TIDY = SOURCE / "tools" / "tidy"


def load_tidy():
    loader = importlib.machinery.SourceFileLoader("tidy", str(TIDY))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    return module


tidy = load_tidy()

HEAD = "// SPDX-License-Identifier: Apache-2.0\n"
HASH_HEAD = "# SPDX-License-Identifier: Apache-2.0\n"
LATER = "TO" + "DO"
BROKEN = "FIX" + "ME"

CLEAN = {
    "zones/base/base.h": HEAD + "#pragma once\nint base();\n",
    "zones/base/base.cc": HEAD + '#include "zones/base/base.h"\n\nint base() { return 1; }\n',
    "zones/base/CMakeLists.txt": HASH_HEAD + "merlon_library(NAME zones_base SOURCES base.cc)\n",
    "zones/name/name.cc": HEAD + '#include "zones/base/base.h"\n\nint name() { return base(); }\n',
    "zones/name/CMakeLists.txt": HASH_HEAD + "merlon_library(NAME zones_name SOURCES name.cc\n"
                                             "  DEPS merlon::zones::base)\n",
    "dataplane/io/loop.cc": HEAD + '#include "zones/base/base.h"\n\n'
                                   f"int* at_start = new int(base());  {tidy.START_UP_ONLY}\n"
                                   "// No new, no std::string, no throw in here.\n"
                                   'const char* text() { return "a new mutex"; }\n',
    "dataplane/io/CMakeLists.txt": HASH_HEAD + "merlon_library(NAME dataplane_io SOURCES loop.cc\n"
                                               "  DEPS merlon::zones::base)\n",
    "dataplane/io/reasons.h": HEAD + "#define MERLON_DROP_REASONS(X) \\\n"
                                     '  X(too_short, "a frame that is shorter than the headers '
                                     'which it should begin with")\n',
    "tests/io_test.cc": HEAD + "int test_too_short();\nint too_short = 0;\n",
    "tests/CMakeLists.txt": HASH_HEAD + "merlon_test(NAME io_test SOURCES io_test.cc)\n",
    "tools/gen": "#!/usr/bin/env python3\n" + HASH_HEAD + "print('x')\n",
    "ARCHITECTURE.md": "# A\n\n| folder | holds |\n|---|---|\n| `zones/base` | b |\n"
                       "| `zones/name/` | n |\n| `dataplane/io` | i |\n\n"
                       "See [base](zones/base/base.h#x), [web](https://example.com/no).\n"
                       "```\n[not a link](nowhere.md)\n```\n",
}


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def findings(self, changes, allowed=None):
        """What tidy says about the clean tree with these files changed."""
        self.write({**CLEAN, **changes})
        found, _ = tidy.check(self.root, allowed or {})
        return [f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}"
                for finding in found]

    def expect(self, changes, *expected, allowed=None):
        """Exactly these findings, each begun with the given text."""
        found = self.findings(changes, allowed)
        self.assertEqual(len(found), len(expected), found)
        for text, start in zip(found, expected):
            self.assertTrue(text.startswith(start), f"{text!r} should start with {start!r}")

    def test_clean_tree_has_no_findings(self):
        self.expect({})

    def test_line_of_100_columns_is_good_and_of_101_is_not(self):
        line = "int x;  // "
        self.expect({"zones/base/base.h": HEAD + line + "é" * (100 - len(line)) + "\n"})
        self.expect({"zones/base/base.h": HEAD + line + "é" * (101 - len(line)) + "\n"},
                    "zones/base/base.h:2: width: 101 columns")

    def test_file_length(self):
        self.expect({"zones/base/base.h": HEAD + "int x;\n" * 299})
        self.expect({"zones/base/base.h": HEAD + "int x;\n" * 300},
                    "zones/base/base.h:1: file-length: zones/base/base.h: 301 lines, at most 300")
        self.expect({"zones/base/base.h": CLEAN["zones/base/base.h"],
                     "zones/base/base.cc": HEAD + "int x;\n" * 600},
                    "zones/base/base.cc:1: file-length: zones/base/base.cc: 601 lines")

    def test_function_length(self):
        def function(lines):
            return {"zones/base/base.cc": HEAD + "namespace a {\nint base() {\n"
                    + "  call({1, 2});\n" * (lines - 2) + "}\n}\n"}
        self.expect(function(70))
        self.expect(function(71), "zones/base/base.cc:3: function-length: "
                                  "zones/base/base.cc:base: 71 lines, at most 70")

    def test_python_function_length(self):
        self.expect({"tools/gen": "#!/usr/bin/env python3\n" + HASH_HEAD + "def f():\n"
                                  + "    pass\n" * 70},
                    "tools/gen:3: function-length: tools/gen:f: 71 lines")

    def test_allowance_may_only_shrink(self):
        long_header = {"zones/base/base.h": HEAD + "int x;\n" * 304}
        key = ("file-length", "zones/base/base.h")
        self.expect(long_header, allowed={key: 305})
        start = "zones/base/base.h:1: file-length: zones/base/base.h: "
        self.expect(long_header, start + "grew from 304 to 305", allowed={key: 304})
        self.expect(long_header, start + "305 lines, ALLOWED in tools/tidy says 306; set it to 305",
                    allowed={key: 306})
        self.expect({"zones/base/base.h": CLEAN["zones/base/base.h"]},
                    start + "3 lines, ALLOWED in tools/tidy says 305; remove it",
                    allowed={key: 305})
        self.expect({}, "tools/tidy:1: file-length: ALLOWED names zones/gone.h",
                    allowed={("file-length", "zones/gone.h"): 305})
        self.expect({}, "tools/tidy:1: function-length: ALLOWED names zones/base/base.cc:gone",
                    allowed={("function-length", "zones/base/base.cc:gone"): 80})

    def test_licence_is_the_first_line(self):
        self.expect({"zones/base/base.h": "\n" + HEAD}, "zones/base/base.h:1: licence: ")
        self.expect({"zones/base/base.h": CLEAN["zones/base/base.h"],
                     "tests/CMakeLists.txt": CLEAN["tests/CMakeLists.txt"].split("\n", 1)[1]},
                    "tests/CMakeLists.txt:1: licence: ")
        self.expect({"tests/CMakeLists.txt": CLEAN["tests/CMakeLists.txt"],
                     "tools/gen": "#!/usr/bin/env python3\nprint('x')\n"}, "tools/gen:2: licence: ")

    def test_layers(self):
        self.expect({"zones/base/base.h": HEAD + '#include "dataplane/io/reasons.h"\n'},
                    'zones/base/base.h:2: layers: zones must not include "dataplane/io/reasons.h"')
        self.expect({"zones/base/base.h": CLEAN["zones/base/base.h"],
                     "dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"]
                                               + '#include "controlplane/a/b.h"\n'},
                    "dataplane/io/reasons.h:4: layers: dataplane must not include")
        self.expect({"dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"],
                     "zones/base/base.cc": HEAD + '#include "base.h"\n'},
                    'zones/base/base.cc:2: layers: "base.h": write our includes from the root')

    def test_every_layer_may_include_zones_and_tests_may_include_all(self):
        include = '#include "zones/base/base.h"\n'
        self.expect({"controlplane/a.h": HEAD + include, "tools/a.h": HEAD + include,
                     "bench/a.h": HEAD + '#include "dataplane/io/reasons.h"\n' + include})
        self.expect({"controlplane/a.h": HEAD + '#include "dataplane/io/reasons.h"\n'},
                    "controlplane/a.h:2: layers: controlplane must not include")

    def test_deps_name_what_is_included(self):
        self.expect({"zones/name/CMakeLists.txt":
                     HASH_HEAD + "merlon_library(NAME zones_name SOURCES name.cc)\n"
                                 "# merlon::zones::base\n"},
                    'zones/name/name.cc:2: deps: "zones/base/base.h" comes from zones/base; add '
                    "merlon::zones::base to DEPS in zones/name/CMakeLists.txt")

    def test_packet_path_tokens(self):
        for token in ("new int", "malloc(1)", "std::make_unique<int>()", "std::string x",
                      "std::vector<int> x", "std::mutex x", "std::scoped_lock x(y)",
                      "std::shared_ptr<int> x", "virtual int f()", "throw 1", "spdlog::info(1)",
                      "fmt::format(1)", "std::chrono::system_clock::now()"):
            with self.subTest(token=token):
                found = self.findings({"dataplane/io/reasons.h": HEAD + f"int x() {{ {token}; }}\n",
                                       "zones/base/base.h": HEAD + f"int x() {{ {token}; }}\n"})
                found = [line for line in found if ": packet-path: " in line]
                self.assertTrue(found)
                for line in found:
                    self.assertTrue(line.startswith("dataplane/io/reasons.h:2: packet-path: "))
                    self.assertIn("; use ", line)

    def test_packet_path_lets_views_placement_words_and_includes_pass(self):
        self.expect({"dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"]
                     + "#include <new>\n#include <string>\nstd::string_view newer;\n"
                     + "/* a mutex\n new */ int renew;\n"})
        self.expect({"dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"]
                     + "#include <mutex>\n"}, "dataplane/io/reasons.h:4: packet-path: mutex")

    def test_packet_path_mark_covers_its_line_or_the_next_one_and_no_more(self):
        self.expect({"dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"]
                     + f"{tidy.START_UP_ONLY}\nint* a = new int;\nint* b = new int;\n"},
                    "dataplane/io/reasons.h:6: packet-path: new")

    def test_folder_tables(self):
        text = CLEAN["ARCHITECTURE.md"]
        self.expect({"ARCHITECTURE.md": text.replace("| `zones/base` | b |\n", "")},
                    "ARCHITECTURE.md:1: folders: no table row for `zones/base`")
        self.expect({"ARCHITECTURE.md": text + "\n| `zones/gone/` | x |\n| `io_uring` | x |\n"},
                    "ARCHITECTURE.md:14: folders: `zones/gone` does not exist")

    def test_no_architecture_page_is_no_finding(self):
        self.write(CLEAN)
        (self.root / "ARCHITECTURE.md").unlink()
        self.assertEqual(tidy.check(self.root, {})[0], [])

    def test_links(self):
        self.expect({"zones/name/FORMAT.md": "see [a](../base/base.h)\nand [b](base.h#x)\n"},
                    "zones/name/FORMAT.md:2: links: base.h#x does not exist")

    def test_markers(self):
        self.expect({"zones/base/base.h": HEAD + f"// {LATER}(perf): measure\n"})
        for form in (f"{LATER}: x", f"{LATER}(someone): x", f"{LATER}(perf):"):
            self.expect({"zones/base/base.h": HEAD + f"// {form}\n"},
                        "zones/base/base.h:2: markers: write")
        self.expect({"zones/base/base.h": HEAD + f"// {BROKEN}\n"},
                    f"zones/base/base.h:2: markers: {BROKEN} cannot land")

    def test_drop_reasons_need_a_test(self):
        self.expect({"dataplane/io/reasons.h": CLEAN["dataplane/io/reasons.h"].rstrip("\n")
                     + ' \\\n  X(lies, "x")\nint f() { return X(other, 1); }\n'},
                    "dataplane/io/reasons.h:4: drop-reasons: no test names lies")

    def test_dead_files(self):
        self.expect({"zones/base/dead.cc": HEAD},
                    "zones/base/dead.cc:1: dead-files: no CMakeLists.txt names it")
        self.expect({"tools/cmake/Helpers.cmake":
                     HASH_HEAD + 'set(X "${CMAKE_SOURCE_DIR}/zones/base/dead.cc")\n'})
        self.expect({"zones/name/dead.cc": HEAD, "zones/name/CMakeLists.txt":
                     CLEAN["zones/name/CMakeLists.txt"] + "# dead.cc\n"},
                    "zones/name/dead.cc:1: dead-files")

    def test_machine_paths(self):
        for path in ("/ho" + "me/anna/x", "/ro" + "ot/x", "/wo" + "rk/x", "/Use" + "rs/anna"):
            self.expect({"zones/base/base.h": HEAD + f'const char* x = "{path}";\n'},
                        f"zones/base/base.h:2: machine-paths: {path}")
        self.expect({"zones/base/base.h": HEAD + "// https://example.com/wo" + "rk/x and /tmp/x\n",
                     "tests/samples/log.txt": "/ho" + "me/anna/x\n"})

    @unittest.skipUnless(shutil.which("clang-format-19"), "clang-format-19 is not installed")
    def test_format_is_found_and_fixed(self):
        self.expect({".clang-format": "BasedOnStyle: Google\nColumnLimit: 100\n",
                     "zones/base/base.cc": HEAD + "int  base( ){return 1;}\n"},
                    "zones/base/base.cc:2: format: clang-format-19 writes it differently")
        self.assertEqual(tidy.check(self.root, {}, fix=True)[0], [])

    def test_git_decides_which_files_count(self):
        self.write({**CLEAN, ".gitignore": "ignored.h\n", "zones/ignored.h": "x\n"})
        self.assertEqual(len(tidy.check(self.root, {})[0]), 1)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.assertEqual(tidy.check(self.root, {})[0], [])

    def test_program_fails_on_findings_and_on_an_empty_tree(self):
        def run():
            return subprocess.run([sys.executable, str(TIDY), "--root", str(self.root)],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(run().returncode, 1)
        self.write(CLEAN)
        clean = run()
        self.assertEqual((clean.returncode, clean.stdout), (0, "tidy: 12 files, 0 findings\n"))
        self.write({"zones/base/dead.cc": HEAD})
        self.assertEqual(run().returncode, 1)


class FunctionsTest(unittest.TestCase):
    def names(self, code):
        return [f"{name}:{first}-{last}" for name, first, last in
                tidy.cpp_functions(tidy.strip_code(code).split("\n"))]

    def test_functions_are_found_with_their_lines(self):
        self.assertEqual(self.names("int a() {\n}\nint b()\n{\n}\n"), ["a:1-2", "b:3-5"])
        self.assertEqual(self.names("namespace x::y {\nclass A final : public B<int()> {\n"
                                    " int c() const override { return 1; }\n};\n}\n"), ["c:3-3"])
        self.assertEqual(self.names("template <class T>\nauto f(T t) -> std::vector<T> {\n}\n"),
                         ["f:1-3"])
        self.assertEqual(self.names("A::A(int x)\n    : a_{x}, b_(x),\n      c_{1} {\n  f();\n}\n"),
                         ["A::A:1-5"])
        self.assertEqual(self.names("bool A::operator==(const A& a) const {\n}\n"),
                         ["A::operator==:1-2"])
        self.assertEqual(self.names('extern "C" {\nint f() {\n}\n}\n'), ["f:2-3"])
        self.assertEqual(self.names("struct stat info() {\n}\n"), ["info:1-2"])

    def test_tables_types_and_lambdas_are_not_functions(self):
        for code in ("constexpr auto kX = std::to_array<Row>({\n{1, f(2)},\n{2, f(3)},\n});\n",
                     "struct A {\n int x = 1;\n};\nenum class B { a, b };\n",
                     "std::array<uint8_t, sizeof(T)> bytes{};\n",
                     "#define X(a) { \\\n  a(); }\n",
                     'const char* x = "int f() {";\n// int f() {\n'):
            self.assertEqual(self.names(code), [], code)
        lambda_inside = "int f() {\n  auto g = [](int x) {\n    return '{';\n  };\n}\n"
        self.assertEqual(self.names(lambda_inside), ["f:1-5"])

    def test_raw_strings_and_digit_separators_do_not_confuse(self):
        self.assertEqual(self.names('auto x = R"({"a": "{"})";\nint f() {\n  return 1\'000;\n}\n'
                                    "int g() {\n}\n"), ["f:2-4", "g:5-6"])


if __name__ == "__main__":
    unittest.main()
