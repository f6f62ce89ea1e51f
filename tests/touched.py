"""Names the tests that a change touches, for `make check`.

    python -m tests.touched [REVISION]

What has changed is what git shows against the revision: by default what is not committed yet, or
else the last commit. A changed test is touched. A changed source touches the smoke tests of its
part (see PARTS), and of the suites of that part each file that has a word of the source's path in
its name: `telemetry/tracing.py` touches `tests/server/telemetry/test_tracing.py`. What lies between
tests, such as a fixture, touches the smoke tests of its suite.

It is a first look. What nobody named so is found by `make test`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Part(NamedTuple):
    """The suites of a part of the sources, and tests of it that say at once whether it works."""

    suites: tuple[str, ...]
    smoke: tuple[str, ...]


# By the beginning of a path; the first that fits decides.
PARTS = {
    "server/fscore_server/cli/": Part(("server/cli",), ("server/cli/test_get.py",)),
    "server/fscore_server/ingest/": Part(("server/ingest", "server/cli"), ("server/ingest",)),
    "server/": Part(("server",), ("server/http/test_read_one.py",)),
    "fscore/": Part(
        ("client", "connection", "native", "offline", "operations", "versions"),
        ("native", "client/reading/test_roundtrip.py"),
    ),
    "rust/": Part(("native", "client"), ("native", "client/reading/test_roundtrip.py")),
    "examples/": Part((), ("server/ingest/test_ecommerce.py",)),
    "docs/": Part((), ("test_docs.py",)),
    "tests/server/cli/": Part((), ("server/cli/test_get.py",)),
    "tests/server/ingest/": Part((), ("server/ingest",)),
    "tests/server/": Part((), ("server/http/test_read_one.py",)),
    "tests/replay/": Part((), ("replay",)),
    "tests/native/": Part((), ("native",)),
    "tests/": Part((), ("client/reading/test_roundtrip.py",)),
}
# Every change: the layout of the repository, and the suites that need no server.
ALWAYS = ("definitions", "model", "registry", "specs", "test_repository.py")
# They say of what kind a file is rather than what it is about.
COMMON_WORDS = {"test", "init", "main", "mod", "lib", "core", "src", "fscore", "server", "client"}


def touched(changed: Iterable[str], tests: Iterable[str]) -> list[str]:
    """What pytest is to run, by path within tests/: folders and files.

    `changed` are paths in the repository, `tests` those of all test files within tests/.
    """
    tests = sorted(tests)
    found = set(ALWAYS)
    for path in changed:
        if path.removeprefix("tests/") in tests:
            found.add(path.removeprefix("tests/"))
            continue
        start = next((start for start in PARTS if path.startswith(start)), None)
        if start is not None:
            suites, smoke = PARTS[start]
            suites_within = tuple(f"{suite}/" for suite in suites)
            named = words(path.removeprefix(start))
            found.update(smoke)
            found.update(
                test
                for test in tests
                if test.startswith(suites_within) and named & words(Path(test).name)
            )
    folders = {path for path in found if not path.endswith(".py")}
    return sorted(path for path in found if path in folders or not set(above(path)) & folders)


def words(path: str) -> set[str]:
    """The words of a path, plurals as one."""
    found = re.split(r"[^a-z]+", path.lower())
    return {word.removesuffix("s") for word in found if len(word) > 2} - COMMON_WORDS


def above(path: str) -> Iterator[str]:
    """The folders that a path is in."""
    return (str(folder) for folder in Path(path).parents)


def changes(since: str | None) -> list[str]:
    """The paths that git shows as changed and that are still there."""

    def git(*arguments: str) -> list[str]:
        command = ["git", "-C", str(ROOT), *arguments, "-z"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return [path for path in done.stdout.split("\0") if path]

    new = git("ls-files", "--others", "--exclude-standard")
    found = new + git("diff", "--name-only", since or "HEAD")
    if not found and since is None:
        found = git("diff", "--name-only", "HEAD~1")
    return [path for path in found if (ROOT / path).exists()]


if __name__ == "__main__":
    all_tests = (str(path.relative_to(ROOT / "tests")) for path in ROOT.glob("tests/**/test_*.py"))
    since = sys.argv[1] if sys.argv[1:] else None
    print(*(f"tests/{path}" for path in touched(changes(since), all_tests)))
