# SPDX-License-Identifier: Apache-2.0
"""libFuzzer with AddressSanitizer and UBSan on the parsers of what comes from the network. What it
finds new stays in the build folder; a crash is a file there, and a fault."""

import os
import re
import shutil
import subprocess

from harness.machine import Failure, Missing, run as run_program

TARGETS = ("fuzz_frame", "fuzz_message", "fuzz_special")
SMOKE_SECONDS = 5


def build(root, targets):
    for program in ("cmake", "clang++-19"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed: tools/setup all")
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    run_program(["cmake", "--preset", "fuzz", *launcher], cwd=root)
    run_program(["cmake", "--build", root / "build/fuzz", "--target", *targets], cwd=root)


def fuzz(root, target, seconds):
    folder = root / "build/fuzz/soak" / target
    corpus, crashes = folder / "corpus", folder / "crashes"
    for path in (corpus, crashes):
        path.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in crashes.iterdir()}
    log = folder / "log"
    with open(log, "wb") as output:
        status = subprocess.run(
            [root / "build/fuzz/tests/fuzz" / target, f"-max_total_time={int(seconds)}",
             "-max_len=4096", "-rss_limit_mb=4096", "-timeout=10", "-print_final_stats=1",
             f"-artifact_prefix={crashes}/", corpus, root / "tests/fuzz/corpus" / target],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False,
            timeout=seconds + 600, env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}
        ).returncode
    text = log.read_text(errors="replace")
    executions = re.search(r"stat::number_of_executed_units:\s+(\d+)", text)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text)
    if not executions and status == 0:
        raise Failure(f"{target} gives no statistics\n{text[-2000:]}")
    found = sorted({path.name for path in crashes.iterdir()} - before)
    return {"target": target, "seconds": int(seconds), "exit_status": status,
            "executions": int(executions.group(1)) if executions else 0,
            "coverage": int(coverage[-1][0]) if coverage else 0,
            "features": int(coverage[-1][1]) if coverage else 0,
            "corpus": int(coverage[-1][2]) if coverage else 0,
            "crashes": [str(crashes / name) for name in found],
            "last_words": "" if status == 0 else text[-3000:]}


def run(options):
    targets = options.target or TARGETS
    build(options.root, targets)
    seconds = SMOKE_SECONDS if options.smoke else options.minutes * 60
    results = [fuzz(options.root, target, max(1, seconds / len(targets))) for target in targets]
    faults = [f"{one['target']}: exit status {one['exit_status']}, {one['crashes']}\n"
              f"{one['last_words']}" for one in results if one["exit_status"] or one["crashes"]]
    return {"part": "fuzz", "targets": results, "faults": faults}
