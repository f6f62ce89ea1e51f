"""Assign each sample of `perf script` to a stage of a request.

A sample is a stack, and belongs to one stage. A stack in the kernel belongs to the stage of its
system call. Any other belongs to the stage of its innermost frame that has one, by the frame's
source file or its library. Code that all stages use (the allocator, copying, the standard library)
has no stage of its own and counts for its caller.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

READ = "kernel: read"
WRITE = "kernel: write"
POLL = "kernel: epoll_wait"
KERNEL = "kernel: scheduler, interrupts, faults"
REQUEST = "request: head, and query or body"
COMMANDS = "keys and commands"
REPLIES = "connection and replies"
RENDERING = "rendering the answer"
BINDING = "binding to Python"
INTERPRETER = "interpreter"
LOOP = "event loop"
OTHER = "anything else"
STAGES = (
    READ, WRITE, POLL, KERNEL,
    LOOP, INTERPRETER, BINDING, REQUEST, COMMANDS, REPLIES, RENDERING, OTHER,
)  # fmt: skip

DELIVERY = "of which delivery to the receiver, on loopback"
ALLOCATION = "of which malloc and free"
COPYING = "of which copying of memory"
SHARES = (DELIVERY, ALLOCATION, COPYING)

# Matched against the end of a name: the kernel's for the call, or libc's for its wrapper.
_CALLS = (
    (READ, re.compile(r"(^|_)(read|readv|recv|recvfrom|recvmsg)$")),
    (WRITE, re.compile(r"(^|_)(write|writev|send|sendto|sendmsg)$")),
    (POLL, re.compile(r"(^|_)epoll_p?wait")),
)
_PREEMPTED = "exit_to_user_mode_loop"
_DELIVERED = re.compile(r"^(do_softirq|__do_softirq|handle_softirqs)")
_ALLOCATES = re.compile(
    r"(^|_)(malloc|calloc|realloc|free)$|^(malloc_|tcache_|unlink_chunk|sysmalloc|systrim)"
)
_COPIES = re.compile(r"^__mem(cpy|move|set)_")

# Sources below rust/core/src that serve several stages.
_SHARED = (
    *("json/mod", "read/sections", "value", "table", "types", "script"),
    *("error", "timestamp", "convert"),
)
# The first match counts.
_CORE = (
    (None, _SHARED),
    (RENDERING, ("json/render", "text", "http/answer")),
    (REQUEST, ("http/", "json/")),
    (COMMANDS, ("key", "plan/", "resp/encode", "read/route", "slot", "cluster")),
    (REPLIES, ("connection/", "resp/", "read/", "packed/", "series/", "flag")),
)
# Files that have both the encoding of a read and the decoding of its reply.
_TWO_ENDED = ("read/mod", "read/part", "read/series", "read/flag", "read/packed")
_OUTWARD = re.compile(r"^(new|encode\w*|expected)$")
_CRATES = (
    (BINDING, re.compile(r"/pyo3[\w-]*-\d")),
    (RENDERING, re.compile(r"/(zmij|itoa|base64)-\d")),
    (REQUEST, re.compile(r"/jiter-\d")),
    (REPLIES, re.compile(r"/fast-float\w*-\d")),
)
_STANDARD = re.compile(r"^/rustc/|/rustlib/src/")
# Frames below it started the server. They are left out, since perf copied only some of them.
_ROOT = "uv_run"


@dataclass(frozen=True)
class Frame:
    """A function of a stack; `name` is empty if it is not known."""

    name: str
    library: str = ""
    source: str = ""
    inlined: bool = False

    @property
    def in_kernel(self) -> bool:
        return self.library.startswith("[kernel") or self.library.endswith(".ko")


# The innermost frame first, in perf's order.
Stack = Sequence[Frame]


def stage(stack: Stack) -> str:
    """Return the stage that a sample counts for."""
    if stack and stack[0].in_kernel:
        return _kernel_stage(stack)
    return next((found for frame in stack if (found := _stage_of(frame))), OTHER)


def shares(stack: Stack) -> set[str]:
    """Return the shares (delivery, allocation, copying) that a sample counts for as well."""
    found = set()
    kernel = [frame for frame in stack if frame.in_kernel]
    user = stack[len(kernel) :]
    if stage(stack) == WRITE and any(_DELIVERED.match(frame.name) for frame in kernel):
        found.add(DELIVERY)
    if _serves(user, _ALLOCATES):
        found.add(ALLOCATION)
    elif not kernel and _serves(user[:1], _COPIES):
        found.add(COPYING)
    return found


def stacks(script: Iterable[str]) -> Iterator[list[Frame]]:
    """Parse the output of `perf script -F comm,ip,sym,dso,srcline --full-source-path`."""
    at: list[tuple[str, Frame]] = []
    for line in script:
        if line.startswith("\t"):
            address, _, rest = line.strip().partition(" ")
            name, library = _split(rest)
            at.append((address, Frame(name, library)))
        elif line.startswith("  ") and at:
            source, inlined, _ = line.strip().partition(" (inlined)")
            address, frame = at[-1]
            path = source.rpartition(":")[0]
            at[-1] = address, replace(frame, source=path, inlined=bool(inlined))
        elif not line.strip() and at:
            yield list(_straightened(at))
            at = []
    if at:
        yield list(_straightened(at))


def folded(samples: Iterable[Stack]) -> Iterator[str]:
    """Return a line for each distinct stack with its count: the input of a flame graph.

    Suffixes mark frames of the kernel and inlined ones, which inferno colours by them.
    """
    counts: Counter[str] = Counter()
    for stack in samples:
        names: list[str] = []
        for frame in reversed(stack):
            name = _shown(frame)
            if frame.name == _ROOT:
                names.clear()
            elif name and names[-1:] != [name]:
                names.append(name)
        counts[";".join(names)] += 1
    for line, count in sorted(counts.items()):
        yield f"{line} {count}"


def _kernel_stage(stack: Stack) -> str:
    names = [frame.name for frame in stack if frame.in_kernel]
    if _PREEMPTED in names:
        return KERNEL
    names += [frame.name for frame in stack[len(names) : len(names) + 1]]
    for name in reversed(names):
        for found, pattern in _CALLS:
            if pattern.search(name):
                return found
    return KERNEL


def _stage_of(frame: Frame) -> str | None:
    source = frame.source
    if "/rust/py/src/" in source:
        return BINDING
    if "/rust/core/src/" in source:
        return _core_stage(frame, source.rpartition("/rust/core/src/")[2])
    if source.endswith(".rs"):
        return next((found for found, crate in _CRATES if crate.search(source)), None)
    if "uvloop" in frame.library:
        return LOOP
    if re.search(r"/(libpython|python)[\d.]+[^/]*$|/lib-dynload/", frame.library):
        return INTERPRETER
    return None


def _core_stage(frame: Frame, source: str) -> str | None:
    if source.removesuffix(".rs") in _TWO_ENDED:
        name = re.sub(r"<.*", "", frame.name.rpartition("::")[2])
        # A closure counts for its caller, whose name tells which end it is.
        if not name or name.startswith("{"):
            return None
        return COMMANDS if _OUTWARD.match(name) else REPLIES
    return next((found for found, paths in _CORE if source.startswith(paths)), None)


def _serves(frames: Stack, names: re.Pattern[str]) -> bool:
    """Return whether a frame with such a name is among the innermost frames without a stage."""
    for frame in frames:
        if _stage_of(frame):
            return False
        if names.search(frame.name):
            return True
    return False


def _split(rest: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*) \(([^()]+(?: \(deleted\))?)\)", rest)
    return (match[1], match[2]) if match else (rest, "")


def _straightened(at: Sequence[tuple[str, Frame]]) -> Iterator[Frame]:
    """Correct perf's frames of one address.

    Frames that were inlined at an address get the library of the function that they are in. For
    Rust, perf gives the function's name to the innermost inlined frame, and only the last part of
    the name to the function itself.
    """
    start = 0
    while start < len(at):
        end = start + 1
        while end < len(at) and at[end][0] == at[start][0]:
            end += 1
        group = [frame for _, frame in at[start:end]]
        library = next((frame.library for frame in group if frame.library), "")
        if len(group) > 1 and not group[0].inlined and group[-1].inlined:
            group[-1] = replace(group[-1], name=group[0].name, inlined=False)
            group[0] = replace(group[0], name="", inlined=True)
        for frame in group:
            yield replace(frame, library=library)
        start = end


def _shown(frame: Frame) -> str:
    """Return a frame's name for a flame graph; empty if the frame is left out."""
    if frame.name in ("", "[unknown]") or (frame.inlined and _STANDARD.search(frame.source)):
        return ""
    if frame.in_kernel:
        return f"{frame.name}_[k]"
    name = frame.name.replace(";", ":")
    name = name if name.startswith("<") else re.sub(r"<.*>", "", name)
    return f"{name}_[i]" if frame.inlined else name
