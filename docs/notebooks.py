"""Execute the notebooks in docs/ against a server of their own, and write what they show.

`python docs/notebooks.py` writes the outputs; `--check` reports the notebooks whose outputs are not
what their code shows now. A cell shows the value of its last expression: as text, and as HTML if it
has `_repr_html_`, like in Jupyter. Nothing of Jupyter is needed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from fscore_server.process import embedded

NOTEBOOKS = sorted(Path(__file__).resolve().parent.glob("**/*.ipynb"))


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs of its code; FSCORE_REDIS_URL names the server."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            code = "".join(cell["source"])
            cell = {**cell, "execution_count": count, "outputs": _run(code, names, count)}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _run(code: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run a cell; return what it printed, and the value of its last expression."""
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    value = None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if isinstance(last, ast.Expr):
            tree.body.pop()
            exec(compile(tree, f"<cell {count}>", "exec"), names)
            value = eval(compile(ast.Expression(last.value), f"<cell {count}>", "eval"), names)
        else:
            exec(compile(tree, f"<cell {count}>", "exec"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_") and (html := value._repr_html_()):
            data["text/html"] = _lines(html)
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": count,
                "data": data,
                "metadata": {},
            }
        )
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def fresh(path: Path) -> str:
    """Return a notebook's file as it is when its code runs now, on an embedded Valkey."""
    notebook = json.loads(path.read_text())
    with (
        tempfile.TemporaryDirectory(prefix="fscore-docs-") as folder,
        embedded.start(Path(folder), owner="docs") as server,
    ):
        os.environ["FSCORE_REDIS_URL"] = server.url
        whole = executed(notebook)
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    stale = 0
    for path in NOTEBOOKS:
        text = fresh(path)
        if text == path.read_text():
            continue
        stale += 1
        if given.check:
            print(f"{path.name} is stale: run make docs", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"written: {path.name}")
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
