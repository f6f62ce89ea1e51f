"""`perf` on a running process: where its CPU goes, and which system calls it makes."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import build, stages
from bench.peers import Unavailable

# Not a multiple of the kernel's clock rate, because some work may run in step with that clock.
FREQUENCY = 499
# In characters: a drawing is shown in browsers and kept in a repository.
LARGEST_DRAWING = 300_000
# How much of a stack perf copies. A request's stack is deep, because Python's frames are in it.
STACK_BYTES = 16_384
TOTAL = "raw_syscalls:sys_enter"
FAMILIES = {
    "read": ("read", "readv", "recvfrom", "recvmsg"),
    "write": ("write", "writev", "sendto", "sendmsg"),
    "epoll_wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
}
_TRACING = (Path("/sys/kernel/tracing/events"), Path("/sys/kernel/debug/tracing/events"))


@dataclass
class SystemCalls:
    """How often the process called the kernel, by family of calls."""

    counts: dict[str, float] = field(default_factory=dict)


def need_perf() -> None:
    if shutil.which("perf") is None:
        raise Unavailable("perf is not installed: apt-get install linux-perf")
    if shutil.which("addr2line") is None:
        raise Unavailable("perf finds no sources without addr2line: apt-get install binutils")
    probe = ["perf", "stat", "-e", f"cpu-clock:k,{TOTAL}", "true"]
    done = subprocess.run(probe, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(
            "perf may not look at the kernel (needs root, or kernel.perf_event_paranoid of -1 and "
            f"a readable tracefs); it said: {' '.join(done.stderr.split())[:300]}"
        )


def samples(pid: int, seconds: float) -> list[stages.Stack]:
    """Sample the process for this many seconds; return the stack of each sample."""
    with tempfile.TemporaryDirectory(prefix="fscore-perf-") as folder:
        data = f"{folder}/perf.data"
        # A virtual machine may lack the processor's counters; the CPU clock is always there.
        _run(
            "perf", "record", "--quiet", "-e", "cpu-clock", "-F", str(FREQUENCY),
            "--call-graph", f"dwarf,{STACK_BYTES}", "-o", data, "-p", str(pid),
            "--", "sleep", f"{seconds:g}",
        )  # fmt: skip
        script = _run(
            "perf", "script", "-i", data, "--full-source-path", "-F", "comm,ip,sym,dso,srcline"
        )
    return list(stages.stacks(script.splitlines()))


@contextlib.contextmanager
def counting(pid: int) -> Iterator[SystemCalls]:
    """Count the system calls of the process while the block runs; filled in when it ends."""
    events = {name: [e for e in map(_event, calls) if e] for name, calls in FAMILIES.items()}
    wanted = [TOTAL, *(event for some in events.values() for event in some)]
    calls = SystemCalls()
    with tempfile.NamedTemporaryFile("r", suffix=".csv") as file:
        command = ["perf", "stat", "-x", ";", "-o", file.name, "-p", str(pid)]
        process = subprocess.Popen(
            [*command, "-e", ",".join(wanted)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            yield calls
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        found = {}
        for line in file.read().splitlines():
            value, _, event, *_ = [*line.split(";"), "", ""]
            if value.isdigit():
                found[event] = float(value)
    if TOTAL not in found:
        raise SystemExit(f"perf stat failed: {said.decode()[-400:]}")
    calls.counts |= {name: sum(found.get(e, 0) for e in some) for name, some in events.items()}
    calls.counts["other"] = found[TOTAL] - sum(calls.counts.values())


def draw(samples: list[stages.Stack], title: str, path: Path) -> None:
    """Draw a flame graph, without the narrow frames that would make the file too large."""
    folded = "\n".join(stages.folded(samples)) + "\n"
    narrowest = 0.1
    while True:
        command = [
            str(build.flamegraph()), "--title", title, "--colors", "java", "--deterministic",
            "--minwidth", f"{narrowest:g}", "-",
        ]  # fmt: skip
        done = subprocess.run(command, input=folded, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"inferno-flamegraph failed: {done.stderr[-400:]}")
        if len(done.stdout) < LARGEST_DRAWING:
            break
        narrowest *= 2
    path.write_text(done.stdout)


def _event(call: str) -> str | None:
    """Return the tracepoint of a system call, or None if this architecture does not have it."""
    there = any((folder / "syscalls" / f"sys_enter_{call}").exists() for folder in _TRACING)
    return f"syscalls:sys_enter_{call}" if there else None


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed: {done.stderr[-400:]}")
    return done.stdout
