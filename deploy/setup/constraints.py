"""Write the exact versions that this repository is built and tested with, the newest there are.

    python deploy/setup/constraints.py [NAME…]

Each constraints*.txt beside this file is for one environment: constraints.txt for the one that make
creates, the others for benchmarks with an environment of their own. Every Python that `pythons.sh`
finds resolves the requirements of pyproject.toml by itself. A version that not all of them can
install gets an environment marker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
HEADER = """\
# Written by `make constraints`; every installation by make and the scripts keeps to it.
# Resolved on Python {pythons}.
"""


def main(names: list[str]) -> None:
    """Write the constraints of these environments, or of all if none is named."""
    wanted = requirements()
    pythons = interpreters()
    with tempfile.TemporaryDirectory() as folder:
        pips = {python: pip_of(path, Path(folder) / python) for python, path in pythons.items()}
        for name in names or wanted:
            print(f"resolving {name} on Python {', '.join(pips)}", flush=True)
            versions = {python: resolved(pip, wanted[name]) for python, pip in pips.items()}
            text = HEADER.format(pythons=", ".join(pips)) + "".join(lines(versions))
            (FOLDER / f"{name}.txt").write_text(text)


def requirements() -> dict[str, list[str]]:
    """Return the requirements of each environment, from the pyproject.toml files."""
    library = tomllib.loads((ROOT / "pyproject.toml").read_text())
    server = tomllib.loads((ROOT / "server/pyproject.toml").read_text())
    groups = library["dependency-groups"]
    ours = ["pip>=25.1"]
    for project in (library["project"], server["project"]):
        for part in (project["dependencies"], *project["optional-dependencies"].values()):
            ours += [requirement for requirement in part if not requirement.startswith("fscore-")]
    for group in ("build", "test", "lint", "bench"):
        ours += groups[group]
    return {
        "constraints": ours,
        "constraints-feast": ["pip>=25.1", *groups["feast"]],
        "constraints-locust": ["pip>=25.1", *groups["locust"]],
    }


def interpreters() -> dict[str, str]:
    """Return the installed Pythons by version, oldest first."""
    found = subprocess.run([FOLDER / "pythons.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return dict(line.split(" ", 1) for line in found.stdout.splitlines())


def pip_of(interpreter: str, folder: Path) -> list[str]:
    """Install the newest pip into an environment of its own; return the command that runs it."""
    subprocess.run([interpreter, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--upgrade", "pip"], check=True, env=unconstrained())
    return pip


def resolved(pip: list[str], wanted: list[str]) -> dict[str, str]:
    """Return the version of each package that pip would install for these requirements."""
    command = [*pip, "install", "--dry-run", "--ignore-installed", "--report", "-", *wanted]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=unconstrained()
    )
    report: dict[str, Any] = json.loads(done.stdout)
    packages = (package["metadata"] for package in report["install"])
    return {canonical(package["name"]): package["version"] for package in packages}


def unconstrained() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "CONSTRAINT" not in name}


def canonical(name: str) -> str:
    """Return a package's name in the form by which indexes compare names."""
    return name.lower().replace("_", "-").replace(".", "-")


def lines(versions: dict[str, dict[str, str]]) -> list[str]:
    """Return constraints for all Pythons from the versions of each, oldest Python first."""
    written = []
    for name in sorted(set().union(*versions.values())):
        of_each = {python: found[name] for python, found in versions.items() if name in found}
        # The oldest Python with each version. A Python without the package may be included.
        since: dict[str, str] = {}
        for python, version in of_each.items():
            if version not in since:
                since[version] = python
        bounds = list(since.values())
        for index, version in enumerate(since):
            ends = [f'python_version >= "{bounds[index]}"'] if index else []
            if index + 1 < len(bounds):
                ends.append(f'python_version < "{bounds[index + 1]}"')
            marker = f" ; {' and '.join(ends)}" if ends else ""
            written.append(f"{name}=={version}{marker}\n")
    return written


if __name__ == "__main__":
    main(sys.argv[1:])
