"""Build decoder.pyx at first use, against the system's libhiredis, and run it.

The `hiredis` package on PyPI keeps its C symbols to itself, so the C reader is the distribution's:
`apt-get install libhiredis-dev`, and a C compiler. Without them this contestant is left out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

from bench.measure.resp import encode
from bench.measure.servers import Server
from bench.measure.workload import Workload
from bench.peers import Matrix, Unavailable
from bench.peers.commands import connect

SOURCE = Path(__file__).parent / "decoder.pyx"
HEADER = "#include <stdio.h>\n#include <hiredis/read.h>\nint main(void) { return REDIS_OK; }\n"


class CythonHiredis:
    """A contestant: Cython over hiredis's C reader, from ids to matrix."""

    name = "Cython + hiredis (C)"

    def __init__(self, server: Server, workload: Workload, transport: str) -> None:
        if workload.command != "HMGET":
            raise Unavailable("the Cython peer reads by HMGET only")
        head, tail = encode("HMGET", "KEY", *workload.asked).split(b"$3\r\nKEY\r\n")
        prefix, suffix = workload.key(0).encode().split(b"0}:v1")
        self._socket = connect(server, transport)
        suffix = b"}:v1\r\n" + tail
        self._client = load().Client(self._socket.fileno(), head, prefix, suffix, workload.features)

    def __call__(self, ids: list[int]) -> Matrix:
        matrix: Matrix = self._client.get(ids)
        return matrix

    def close(self) -> None:
        self._socket.close()


def load() -> ModuleType:
    """Return the built module; a build is reused while source and interpreter are the same."""
    tag = hashlib.sha256(SOURCE.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = Path(__file__).parents[3] / ".cache" / "bench" / tag
    binary = folder / f"decoder{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not binary.exists():
        _build(folder, binary)
    name = "decoder"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, binary)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _build(folder: Path, binary: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not _has_hiredis(compiler):
        raise Unavailable("no C compiler with hiredis headers: apt-get install gcc libhiredis-dev")
    try:
        from Cython.Compiler.Main import compile_single
        from Cython.Compiler.Options import CompilationOptions
    except ImportError as error:
        raise Unavailable("Cython is not installed") from error
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "decoder.c"
    result = compile_single(str(SOURCE), CompilationOptions(output_file=str(source)), "decoder")
    if result.num_errors:
        raise Unavailable(f"{SOURCE} does not compile")
    include = sysconfig.get_path("include")
    command = [
        compiler, "-O3", "-march=native", "-shared", "-fPIC", "-w", f"-I{include}",
        "-o", str(binary), str(source), "-lhiredis",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"the Cython peer does not build: {done.stderr.strip()[-400:]}")


def _has_hiredis(compiler: str) -> bool:
    command = [compiler, "-x", "c", "-", "-fsyntax-only"]
    return subprocess.run(command, input=HEADER, text=True, capture_output=True).returncode == 0
