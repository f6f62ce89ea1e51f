"""The output shown in the guide to definitions is what its code prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "define-features.md"
BLOCK = re.compile(r"^```(python run|text)\n(.*?)^```$", re.M | re.S)


def test_each_shown_text_is_what_the_code_before_it_prints() -> None:
    program, printed, shown = "", [], []
    blocks = BLOCK.findall(GUIDE.read_text())
    for (kind, text), (after, _) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "text":
            shown.append(text)
        elif "fscore.connect" not in text:  # these need a server; tests/test_docs.py runs them
            program += text + "\n"
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(program, "features.py", "exec"), {"__name__": "features"})
            if after == "text":
                # The whole program so far runs again, so its earlier output comes first.
                printed.append(output.getvalue().removeprefix("".join(shown)))
    assert len(shown) == 2
    assert printed == shown
