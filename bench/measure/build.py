"""Build the programs that the comparisons need beside .venv, into .cache/.

Versions come from this repository's manifests. Each function returns the path of the result, or
raises `Unavailable`, which says what is missing. An up-to-date build takes a second or less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import fscore
from bench.peers import Unavailable
from fscore import _fscore

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
TOOLS = ROOT / ".cache" / "tools"
PEERS = Path(__file__).parents[1] / "peers"


@cache
def go_server() -> Path:
    """Build bench/peers/go, with the modules of its go.mod and go.sum."""
    if shutil.which("go") is None:
        raise Unavailable("no Go: its toolchain is not on the PATH")
    binary = CACHE / "go-peer"
    # The installed toolchain is used, and none is downloaded; the flags refuse to change go.mod.
    environment = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    _run("the Go peer", ["go", "build", "-o", str(binary), "."], PEERS / "go", environment)
    return binary


@cache
def rust_server() -> Path:
    """Build bench/peers/rust in release."""
    return _released("the Rust peer", PEERS / "rust", "fscore-peer")


@cache
def constant_rate() -> Path:
    """Build the load generator for constant rates, bench/measure/constant_rate, in release."""
    return _released(
        "the load generator", PEERS.parent / "measure" / "constant_rate", "fscore-constant-rate"
    )


@cache
def virtualenv(group: str) -> Path:
    """Return the bin folder of an environment with only this dependency group of pyproject.toml."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    folder = CACHE / f"venv-{group}"
    constraints = ROOT / f"deploy/setup/constraints-{group}.txt"
    stamp = folder / "made-from"
    wanted = f"{sys.version}\n{groups[group]}\n{constraints.read_text()}"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the dependency group '{group}' into {folder.relative_to(ROOT)}")
        if not (folder / "bin" / "python").exists():
            _run(group, [sys.executable, "-m", "venv", str(folder)], ROOT)
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
        ]
        # make sets the constraints of .venv in the environment, and they conflict with this group.
        exact = {"PIP_CONSTRAINT": str(constraints), "PIP_BUILD_CONSTRAINT": str(constraints)}
        _run(group, [*pip, "install", "--upgrade", "pip>=25.1"], ROOT, exact)
        from_group = f"{ROOT / 'pyproject.toml'}:{group}"
        _run(group, [*pip, "install", "--group", from_group], ROOT, exact)
        stamp.write_text(wanted)
    return folder / "bin"


@cache
def c_program(name: str) -> Path:
    """Build bench/peers/<name>.c, linked with the distribution's hiredis."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler: apt-get install gcc libc6-dev")
    source = PEERS / f"{name}.c"
    probe = [compiler, "-x", "c", "-", "-fsyntax-only"]
    header = "#include <hiredis/hiredis.h>\n"
    if subprocess.run(probe, input=header, text=True, capture_output=True).returncode:
        raise Unavailable("no hiredis for C: apt-get install libhiredis-dev")
    CACHE.mkdir(parents=True, exist_ok=True)
    binary = CACHE / name
    command = [compiler, "-O2", "-Wall", "-o", str(binary), str(source), "-lhiredis"]
    _run(name, command, ROOT)
    return binary


@cache
def oha() -> Path:
    """Return oha, a third party's load generator for constant rates, compiled once."""
    return _installed("oha", "oha")


@cache
def flamegraph() -> Path:
    """Return inferno-flamegraph, which draws folded stacks, compiled once."""
    return _installed("inferno", "inferno-flamegraph")


@cache
def with_symbols() -> dict[str, str]:
    """Return variables with which a process imports the extension as released, but with symbols.

    They put a folder with that extension and links to the library's modules before the installed
    packages on Python's path, and keep the working directory off the path.
    """
    if shutil.which("cargo") is None:
        raise Unavailable("no Rust: cargo is not on the PATH")
    target = CACHE / "profiling"
    command = [
        "cargo", "build", "--profile", "profiling", "--package", "fscore-py", "--locked", "--quiet",
        "--features", "pyo3/extension-module", "--target-dir", str(target),
    ]  # fmt: skip
    _run("the extension with symbols", command, ROOT, {"PYO3_PYTHON": sys.executable})
    overlay = target / "overlay"
    shutil.rmtree(overlay, ignore_errors=True)
    package = overlay / "fscore"
    package.mkdir(parents=True)
    extension = Path(_fscore.__file__).name
    for path in Path(fscore.__file__).parent.iterdir():
        if path.name not in (extension, "__pycache__"):
            (package / path.name).symlink_to(path)
    (package / extension).symlink_to(target / "profiling" / "lib_fscore.so")
    paths = [str(overlay), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}


def _released(what: str, folder: Path, name: str) -> Path:
    """Build a program that has a Cargo workspace of its own, into .cache."""
    if shutil.which("cargo") is None:
        raise Unavailable(f"no Rust for {what}: cargo is not on the PATH")
    target = CACHE / folder.name
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(target)]
    _run(what, command, folder)
    return target / "release" / name


def _installed(crate: str, name: str) -> Path:
    """Return a crate's program: the installed one, or else one compiled into .cache/tools."""
    found = shutil.which(name, path=f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if found:
        return Path(found)
    if shutil.which("cargo") is None:
        raise Unavailable(f"no {name}, and no cargo to compile it")
    print(f"compiling {crate} into {TOOLS.relative_to(ROOT)} (a few minutes, once)", flush=True)
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(TOOLS), crate]
    _run(crate, command, ROOT)
    return TOOLS / "bin" / name


def _run(
    what: str, command: list[str], folder: Path, environment: dict[str, str] | None = None
) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | (environment or {})
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise Unavailable(f"{what} could not be built by {command[0]}: {said}")
