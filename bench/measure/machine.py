"""The conditions of a figure: the machine, its kernel, and the versions of what was compared."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
        "peers": peers(),
    }


@cache
def peers() -> dict[str, str]:
    """Return versions of programs that are not Python: installed tools and the peers' libraries."""
    found = {}
    tools = {
        "redis-server": "redis-server --version",
        "wrk": "wrk -v",
        "oha": ".cache/tools/bin/oha --version",
        "go": "go version",
        "rustc": "rustc --version",
    }
    for name, command in tools.items():
        words = command.split()
        if (
            shutil.which(words[0], path=f"{ROOT}:{os.environ['PATH']}")
            or (ROOT / words[0]).exists()
        ):
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
            if match := re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr):
                found[name] = match[0]
    places = {
        "go-redis": ("bench/peers/go/go.mod", r"go-redis/v9 v(\S+)"),
        "rueidis": ("bench/peers/go/go.mod", r"rueidis v(\S+)"),
        "hyper": ("bench/peers/rust/Cargo.lock", r'name = "hyper"\nversion = "(.+)"'),
        "redis-rs": ("bench/peers/rust/Cargo.lock", r'name = "redis"\nversion = "(.+)"'),
        "feast": ("pyproject.toml", r"feast\[redis\]==([0-9.]+)"),
    }
    for name, (path, pattern) in places.items():
        if match := re.search(pattern, (ROOT / path).read_text()):
            found[name] = match[1]
    return found


def headline() -> str:
    facts = describe()
    versions, others = facts.pop("versions"), facts.pop("peers")
    assert isinstance(versions, dict) and isinstance(others, dict)
    named = (*facts.items(), *versions.items(), *others.items())
    parts = [f"{name} {value}" for name, value in named]
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
