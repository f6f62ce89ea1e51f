"""The wheels lack nothing: modules, data, types, the extension, the licence, commands.

`make test-wheel` runs these tests against the installed wheels. They use only pytest and the
standard library, import nothing from the checkout, and pass in the checkout's environment too.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import fscore
import fscore_server
from fscore import _fscore
from fscore_server.cli.program import program

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "examples" / "ecommerce"
SOURCES = {"fscore": CHECKOUT / "fscore", "fscore_server": CHECKOUT / "server/fscore_server"}
DISTRIBUTIONS = ("fscore-core", "fscore-server")
COMMAND = Path(sys.executable).parent / "fscore"


@pytest.mark.parametrize("package", [fscore, fscore_server], ids=lambda package: package.__name__)
def test_every_file_is_installed(package: ModuleType) -> None:
    """Modules, the extension's stub, py.typed and all other files of the package's folder."""
    folder = SOURCES[package.__name__]
    installed = Path(str(package.__file__)).parent
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    names = [name for name in files.split("\0") if name]
    assert "py.typed" in names
    assert [n for n in names if (installed / n).read_bytes() != (folder / n).read_bytes()] == []


@pytest.mark.parametrize("package", ["fscore", "fscore_server"])
def test_every_module_imports(package: str, tmp_path: Path) -> None:
    program = f"""
import importlib, pkgutil, {package} as package
for module in pkgutil.walk_packages(package.__path__, "{package}."):
    # A program rather than a module: importing it runs it.
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    modules = {name for name in done.stdout.split() if not name.endswith("._fscore")}
    sources = SOURCES[package].rglob("*.py")
    parts = [path.relative_to(SOURCES[package].parent).with_suffix("").parts for path in sources]
    named = {".".join(each).removesuffix(".__init__") for each in parts}
    assert modules == {name for name in named if not name.endswith("__main__")} - {package}


def test_the_extension_is_for_this_interpreter() -> None:
    assert Path(_fscore.__file__).name == f"_fscore{sysconfig.get_config_var('EXT_SUFFIX')}"
    assert _fscore.key_slot(b"{1234}") == _fscore.key_slot(b"user:{1234}:v1")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_metadata(name: str) -> None:
    metadata = importlib.metadata.metadata(name)
    workspace = (CHECKOUT / "Cargo.toml").read_text()
    assert f'\nversion = "{metadata["Version"]}"\n' in workspace
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_library_knows_its_version() -> None:
    assert fscore.__version__ == importlib.metadata.version("fscore-core")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_licence_is_in_it(name: str) -> None:
    files = importlib.metadata.files(name) or []
    (licence,) = (file for file in files if file.name == "LICENSE")
    assert licence.read_text() == (CHECKOUT / "LICENSE").read_text()


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


def outside() -> dict[str, str]:
    """Return the environment without fscore's variables, but a deadline for busy machines."""
    inside = {name: os.environ[name] for name in os.environ if not name.startswith("FSCORE_")}
    return {**inside, "FSCORE_TIMEOUT": "10"}


def fscore_command(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=folder,
        env=outside(),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "path", list(commands(program)), ids=lambda path: " ".join(path) or "fscore"
)
def test_a_command_says_how_it_is_used(path: tuple[str, ...], tmp_path: Path) -> None:
    done = fscore_command(*path, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(" ".join(("Usage: fscore", *path)))


def test_the_command_has_the_version(tmp_path: Path) -> None:
    done = fscore_command("--version", folder=tmp_path)
    assert done.stdout == f"fscore {importlib.metadata.version('fscore-server')}\n"


def test_the_example_is_applied_loaded_served_and_read(tmp_path: Path) -> None:
    """It uses the embedded Valkey, which is installed from a package too."""
    applied = fscore_command("apply", EXAMPLE, folder=tmp_path)
    assert applied.returncode == 0, applied.stderr
    loaded = fscore_command(
        "load", EXAMPLE, EXAMPLE / "data/ecom.csv.gz", "--json", folder=tmp_path
    )
    assert json.loads(loaded.stdout)["rows"] == 31_106, loaded.stderr
    server = subprocess.Popen(
        [COMMAND, "serve", "--port", "0", "--request-timeout-ms", "10000"],
        cwd=tmp_path,
        env=outside(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        started = next((line for line in server.stderr if " serves at " in line), "{}")
        url = json.loads(started)["url"]
        query = "user_id=user_0000&service=recommendation"
        with urllib.request.urlopen(f"{url}/v1/features?{query}", timeout=60) as answer:
            served = json.load(answer)
        with urllib.request.urlopen(f"{url}/docs", timeout=60) as answer:
            assert b"fscore" in answer.read()
        got = fscore_command(
            *("get", "--service", "recommendation", "user_id=user_0000", "--json"), folder=tmp_path
        )
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    finally:
        server.kill()
        server.communicate()
    assert server.returncode == 0
    assert (served["features"]["platform"], served["features"]["events_total"]) == ("desktop", 45)
    assert json.loads(got.stdout)["features"] == served["features"], got.stderr
