"""Names the tests that a change touches, for `make check`.

    python -m tests.touched [REVISION]

A change is a file that git shows as different from the revision. Without a revision these are the
uncommitted files, or else the files of the last commit. A changed test touches itself. A changed
source touches the smoke tests of its part (see PARTS). It also touches each test file of that
part's suites that has a word of the source's path in its name: `telemetry/tracing.py` touches
`tests/server/telemetry/test_tracing.py`. Any other file among the tests, such as a fixture, touches
the smoke tests of its suite.

This is a first check: it misses tests that are named otherwise. `make test` runs all of them.
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
    """The suites of a part of the sources, and its smoke tests, which are quick."""

    suites: tuple[str, ...]
    smoke: tuple[str, ...]


# By the beginning of a path; the first match counts.
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
    "tests/shop.py": Part((), ("client/reading/test_roundtrip.py", "server/http/test_read_one.py")),
    "tests/": Part((), ("client/reading/test_roundtrip.py",)),
}
# Every change touches these: the layout of the repository, and the suites that need no server.
ALWAYS = ("definitions", "model", "registry", "specs", "test_repository.py")
# Words that say what kind of file it is, not what it is about.
COMMON_WORDS = {"test", "init", "main", "mod", "lib", "core", "src", "fscore", "server", "client"}


def touched(changed: Iterable[str], tests: Iterable[str]) -> list[str]:
    """Return the folders and files that pytest has to run, as paths within tests/.

    `changed` are paths in the repository, `tests` are the paths of all test files within tests/.
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
    """Return the words of a path, plurals as singulars."""
    found = re.split(r"[^a-z]+", path.lower())
    return {word.removesuffix("s") for word in found if len(word) > 2} - COMMON_WORDS


def above(path: str) -> Iterator[str]:
    """Return the folders that a path is in."""
    return (str(folder) for folder in Path(path).parents)


def changes(since: str | None) -> list[str]:
    """Return the paths that git shows as changed and that still exist."""

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
