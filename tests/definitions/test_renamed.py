"""Old names work and warn; `from fscore import *` leaves Python's own functions alone."""

from __future__ import annotations

import builtins
import importlib
import pickle
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

import fscore
from fscore import EventSource, Registry, window
from fscore.definitions import mappings
from fscore.model.renamed import RENAMED
from tests.definitions.conftest import Problems, Write

OLD_NAMES = [
    (importlib.import_module(module), old, new)
    for module, names in RENAMED.items()
    for old, new in names.items()
]
ALL = pytest.mark.parametrize(("module", "old", "new"), OLD_NAMES)


@ALL
def test_an_old_name_is_the_new_object_and_warns_where_it_is_used(
    module: ModuleType, old: str, new: str
) -> None:
    with pytest.warns(DeprecationWarning) as caught:
        found = getattr(module, old)
    assert found is getattr(module, new)
    (warning,) = caught
    name = module.__name__
    assert str(warning.message) == f"{name}.{old} is deprecated: write {name}.{new}"
    assert warning.filename == __file__


@ALL
def test_an_import_of_an_old_name_warns_once(module: ModuleType, old: str, new: str) -> None:
    found: dict[str, Any] = {}
    with pytest.warns(DeprecationWarning) as caught:
        exec(compile(f"\nfrom {module.__name__} import {old} as it", "shop.py", "exec"), found)
    assert found["it"] is getattr(module, new)
    assert [(warning.filename, warning.lineno) for warning in caught] == [("shop.py", 2)]


def test_a_place_warns_once() -> None:
    code = compile(
        "for _ in range(3):\n    fscore.total('a')\nfscore.total('a')", "shop.py", "exec"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        exec(code, {"fscore": fscore, "__name__": "shop"})
    assert [warning.lineno for warning in caught] == [2, 3]


@ALL
def test_old_names_are_listed_nowhere(module: ModuleType, old: str, new: str) -> None:
    assert old not in module.__all__
    assert old not in dir(module)


def test_other_attributes_are_still_missing() -> None:
    with pytest.raises(AttributeError, match="module 'fscore' has no attribute 'median'"):
        fscore.median  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"module 'fscore\.window' has no attribute 'total'"):
        window.total  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'median'"):
        from fscore import median  # type: ignore[attr-defined] # noqa: F401


def test_a_source_of_the_old_name_is_of_the_new_class() -> None:
    with pytest.warns(DeprecationWarning):
        old = fscore.FileSource("clicks", event_time="at")
    assert old == EventSource("clicks", event_time="at")
    assert type(old) is EventSource
    with pytest.warns(DeprecationWarning):
        assert isinstance(EventSource("clicks", event_time="at"), fscore.FileSource)
    # A pickle of an earlier version names the class as that version did.
    pickled = pickle.dumps(old, protocol=0)
    assert b"fscore\nEventSource\n" in pickled
    with pytest.warns(DeprecationWarning):
        assert pickle.loads(pickled.replace(b"fscore\nEventSource", b"fscore\nFileSource")) == old


DEFINITIONS = """
class Activity(FeatureView, entity=user, source=fscore.{source}("sales", event_time="at")):
    total: Int64 = Feature(fscore.{sum}("amount", where={{"event": "sale"}}))
    least: Timestamp = fscore.{min}("at")
    most: String = fscore.{max}("page")

class Sales(SeriesView, entity=user):
    price: Float64 = Payload()
    mean_7d: Float64 = window.{mean}("price", "7d")
"""
OLD = {"source": "FileSource", "sum": "total", "min": "smallest", "max": "largest", "mean": "avg"}
NEW = {"source": "EventSource", **{name: name for name in ("sum", "min", "max", "mean")}}


def test_definitions_in_old_names_are_the_same(write: Write) -> None:
    new = Registry.load(write(DEFINITIONS.format(**NEW)))
    path = write(DEFINITIONS.format(**OLD))
    with pytest.warns(DeprecationWarning) as caught:
        old = Registry.load(path)
    assert (old, old.to_json()) == (new, new.to_json())
    lines = [(Path(warning.filename), warning.lineno) for warning in caught]
    assert lines == [(path, line) for line in (7, 8, 9, 10, 14)]


def test_a_star_import_leaves_the_builtins_alone() -> None:
    found: dict[str, Any] = {}
    exec("from fscore import *", found)
    assert found.keys() & vars(builtins).keys() == set()
    assert found.keys() >= {"EventSource", "count", "distinct", "mean", "latest", "first", "ever"}
    assert set(mappings.__all__) - set(fscore.__all__) == {"sum", "min", "max"}


@pytest.mark.parametrize("name", ["sum", "min", "max"])
def test_those_that_are_named_like_builtins_are_attributes(name: str) -> None:
    function = getattr(fscore, name)
    assert function is getattr(mappings, name)
    assert (function.__module__, function.__qualname__) == ("fscore", name)
    assert function("amount").name == name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("s = FileSource('s', event_time='at')", "'FileSource' is not defined (it is fscore.Event"),
        ("s = total('amount')", "'total' is not defined (it is fscore.sum now)"),
        ("s = totals('amount')", "name 'totals' is not defined"),
    ],
)
def test_an_old_name_after_a_star_import_is_told(problems: Problems, line: str, says: str) -> None:
    (found,) = problems(f"{line}\n")
    assert found.startswith("features.py:6: cannot be imported: NameError: ")
    assert says in found


@pytest.mark.parametrize("wrong", ["Feature(max('amount'))", "max('amount')", "sum('amount')"])
def test_a_builtin_in_place_of_a_mapping_is_told(problems: Problems, wrong: str) -> None:
    (found,) = problems(
        f"class V(FeatureView, entity=user, source=clicks):\n    age: Int64 = {wrong}\n"
    )
    assert found.startswith(("features.py:6: V.age: ", "features.py:7: cannot be imported: "))


def test_annotations_may_have_the_old_name() -> None:
    with pytest.warns(DeprecationWarning):

        def read(source: fscore.FileSource) -> None: ...

        hints = get_type_hints(read)
    assert hints["source"] is EventSource
