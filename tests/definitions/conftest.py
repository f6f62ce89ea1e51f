"""Fixtures that write definitions to files and load them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from fscore import InvalidDefinition, Registry

PREAMBLE = """\
from __future__ import annotations
from typing import ClassVar, Literal
import fscore; from fscore import *
user = Entity("user", join_keys={"user_id": String})
clicks = EventSource("clicks", event_time="timestamp")
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes text below the preamble, as line 6 onwards, and returns the path."""

    def write_file(text: str, name: str = "features.py", preamble: str = PREAMBLE) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(preamble + textwrap.dedent(text))
        return file

    return write_file


Problems = Callable[..., list[str]]


@pytest.fixture
def problems(write: Write, tmp_path: Path) -> Problems:
    """A function that returns the problems of loading such a file, without the folder's path."""

    def find(text: str) -> list[str]:
        file = write(text)
        with pytest.raises(InvalidDefinition) as caught:
            Registry.load(file)
        found = list(caught.value.problems)
        assert all(problem in str(caught.value) for problem in found)
        return [problem.replace(f"{tmp_path}/", "") for problem in found]

    return find
