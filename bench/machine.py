"""What a figure depends on: the machine, its kernel and the versions of what was compared."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTIONS = (
    "fscore-core", "fscore-server", "redis", "hiredis", "valkey-glide", "uvloop", "numpy",
    "starlette", "uvicorn", "httptools", "orjson", "cython",
)  # fmt: skip


def describe() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "versions": {name: v for name in DISTRIBUTIONS if (v := _version(name))},
    }


def headline() -> str:
    facts = describe()
    versions = facts.pop("versions")
    assert isinstance(versions, dict)
    parts = [f"{name} {value}" for name, value in (*facts.items(), *versions.items())]
    return ", ".join(parts).replace("_", " ")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
