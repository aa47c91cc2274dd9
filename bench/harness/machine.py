# SPDX-License-Identifier: Apache-2.0
"""The machine: programs, processes, processor time, huge pages, and facts for the record."""

import contextlib
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Failure(Exception):
    """The measurement cannot go on; the text says why and what to do."""


class Missing(Failure):
    """This machine lacks something; parts that do not need it can run."""


def program(name):
    found = shutil.which(name, path=PATH)
    if found is None:
        raise Missing(f"{name} is not installed: tools/setup test")
    return found


def run(words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False, **options)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, words[:6]))}: exit status {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
    return done.stdout


def require_root():
    if os.geteuid() != 0:
        raise Missing("namespaces, XDP and DPDK need root")


# ---- processes


class Process:
    """A program of which we know the process id; its output goes to a file."""

    def __init__(self, log, words, **options):
        self.log = pathlib.Path(log)
        self.words = [str(word) for word in words]
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=output,
                                          stderr=subprocess.STDOUT, **options)

    def running(self):
        return self.popen.poll() is None

    def stop(self, number=signal.SIGTERM, seconds=15):
        if self.running():
            self.popen.send_signal(number)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdin.close()

    def text(self):
        return self.log.read_text(errors="replace")

    def pids(self):
        """The process and its children."""
        found = [self.popen.pid]
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[1]) in found:
                        found.append(int(entry.name))
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS


# ---- processor time


def core_times():
    """{core: (busy seconds, of them in soft interrupts)} since the machine started, for anybody."""
    times = {}
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        match = re.match(r"cpu(\d+) (.*)", line)
        if match:
            user, nice, system, _, _, irq, softirq, steal = map(int, match.group(2).split()[:8])
            times[int(match.group(1))] = ((user + nice + system + irq + softirq + steal) / TICKS,
                                          softirq / TICKS)
    return times


class Sampler:
    """Reads `read()` (any tuple of numbers) and the cores ten times a second in a thread of its
    own, so that afterwards the time in which traffic flowed can be told from start and end."""

    PAUSE = 0.1

    def __init__(self, read, prepare=lambda: None):
        self.rows = []
        self._read, self._prepare = read, prepare
        self._done = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _sample(self):
        try:
            self._prepare()
            while not self._done.is_set():
                self.rows.append((time.monotonic(), core_times(), self._read()))
                self._done.wait(self.PAUSE)
        except OSError as error:
            self._error = error

    def loaded(self, index):
        """(first, last) row of the time in which read()[index] grew at its usual pace."""
        steps = [(after[2][index] - before[2][index]) / (after[0] - before[0])
                 for before, after in zip(self.rows, self.rows[1:])]
        if not steps or max(steps) <= 0:
            return None
        busy = [i for i, step in enumerate(steps) if step > max(steps) / 4]
        # Without the ticks in which it began and ended.
        first, last = (busy[0] + 1, busy[-1]) if len(busy) > 3 else (busy[0], busy[-1] + 1)
        return self.rows[first], self.rows[last]


def shares(before, after):
    """{core: (share of the time it was busy, share in soft interrupts)} between two rows."""
    took = after[0] - before[0]
    return {core: tuple(max(0.0, (end - start) / took)
                        for end, start in zip(after[1][core], before[1][core]))
            for core in after[1]}


# ---- huge pages

HUGE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
HUGE_MIB = 2


@contextlib.contextmanager
def huge_pages(mebibytes):
    """So many MiB of free 2 MiB pages; afterwards as many pages as before. Gives the MiB, which is
    0 when the machine has none to give."""
    def number(name):
        return int((HUGE / name).read_text())

    try:
        before = number("nr_hugepages")
        wanted = max(0, -(-mebibytes // HUGE_MIB) - number("free_hugepages"))
        (HUGE / "nr_hugepages").write_text(f"{before + wanted}")
    except OSError:
        yield 0
        return
    try:
        yield mebibytes if number("free_hugepages") * HUGE_MIB >= mebibytes else 0
    finally:
        (HUGE / "nr_hugepages").write_text(f"{before}")


# ---- the build


PROGRAMS = ("merlon-dataplane", "merlon-controlplane", "merlon-udp-load", "merlon-tcp-load",
            "merlon-tcp-hold", "merlon-bench-snapshot", "merlon-bench-packets")


def build(folder):
    """Builds the release preset, as tools/test does, when one of the programs is missing."""
    if all((folder / name).exists() for name in PROGRAMS):
        return
    release = ROOT / "build/release"
    if folder.resolve() != (release / "bin").resolve():
        raise Failure(f"{folder} does not hold all of {', '.join(PROGRAMS)}")
    print("bench/run: building the release preset", flush=True)
    launcher = []
    if shutil.which("ccache"):
        launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    for words in (["cmake", "--preset", "release", *launcher],
                  ["cmake", "--build", release, "--parallel", str(os.cpu_count()), "--target",
                   *PROGRAMS]):
        if shutil.which(words[0]) is None:
            raise Failure(f"{words[0]} is not installed: tools/setup build")
        run(words, cwd=ROOT)


# ---- facts


def facts():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(),
            "memory_kib": int(memory.group(1)), "system": platform.platform(),
            "load_average": os.getloadavg()}


def git_commit():
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def first_line(*words):
    """What a program says about its version, on whichever stream it says it."""
    with contextlib.suppress(OSError):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        for line in (done.stdout + done.stderr).splitlines():
            if line.strip():
                return line.strip()
    return ""


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip()
