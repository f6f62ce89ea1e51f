"""The installed packages are those of deploy/setup/constraints.txt, so builds are repeatable."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("build", "test", "lint", "bench")


def pins() -> dict[str, str]:
    """Return the pinned version of each package on this Python."""
    text = (ROOT / "deploy/setup/constraints.txt").read_text()
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            (exact,) = requirement.specifier
            assert exact.operator == "==", line
            assert requirement.name not in found, line
            found[requirement.name] = exact.version
    return found


def declared() -> list[Requirement]:
    """Return the requirements of the tests' environment, from the pyproject.toml files."""
    texts: list[str] = ["pip"]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    for group in GROUPS:
        texts += groups[group]
    texts += ["fscore-core[arrow,uvloop]", "fscore-server[otel]"]
    return [Requirement(text) for text in texts]


def needed() -> dict[str, str]:
    """Return these packages and all they depend on, with the installed versions.

    Packages that somebody has installed beside them are left out.
    """
    found: dict[str, str] = {}
    waiting = declared()
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        name = canonicalize_name(requirement.name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            # This environment was made without the package's group.
            continue
        found[name] = distribution.version
        for text in distribution.requires or []:
            brought = Requirement(text)
            extras = ["", *requirement.extras]
            marker = brought.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(brought)
    return found


def test_every_package_is_installed_in_its_exact_version() -> None:
    exact = pins()
    ours = {"fscore-core", "fscore-server"}
    installed = {name: version for name, version in needed().items() if name not in ours}
    assert {"numpy", "pytest", "starlette", "opentelemetry-sdk"} <= installed.keys()
    other = {
        name: f"{version}, not {exact.get(name, 'pinned')}"
        for name, version in installed.items()
        if exact.get(name) != version
    }
    assert other == {}, "make build installs these versions, make constraints takes newer ones"
