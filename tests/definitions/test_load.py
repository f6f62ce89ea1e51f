"""Importing folders of definitions, without leaving anything behind."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from fscore import InvalidDefinition, Registry
from tests.definitions.conftest import Write

ENTITIES = """\
from fscore import Entity, String
user = Entity("user", join_keys={"user_id": String})
"""
VIEWS = """\
from fscore import FeatureView, Int64
class Profile(FeatureView, entity=user):
    age: Int64
"""


def snapshot() -> tuple[set[str], list[str], list[object]]:
    return set(sys.modules), list(sys.path), list(sys.meta_path)


@pytest.mark.parametrize("statement", ["from .entities import user", "from entities import user"])
def test_files_import_each_other_and_leave_no_trace(write: Write, statement: str) -> None:
    write(ENTITIES, "entities.py", preamble="")
    folder = write(f"{statement}\n{VIEWS}", "a_views.py", preamble="").parent
    before = snapshot()
    registry = Registry.load(folder)
    assert (list(registry.entities), list(registry.views)) == (["user"], ["profile"])
    assert snapshot() == before
    assert sorted(path.name for path in folder.iterdir()) == ["a_views.py", "entities.py"]


def test_one_file_may_be_given_and_imports_its_neighbours(write: Write) -> None:
    write(ENTITIES, "entities.py", preamble="")
    write("class Broken(", "broken.py", preamble="")
    file = write(f"from entities import user\n{VIEWS}", "views.py", preamble="")
    assert list(Registry.load(str(file)).views) == ["profile"]


def test_subfolders_are_imported_only_when_asked_for(write: Write) -> None:
    write("raise RuntimeError", "scripts/clean.py", preamble="")
    write(ENTITIES, "shared/entities.py", preamble="")
    file = write(f"from .shared.entities import user\n{VIEWS}", preamble="")
    assert list(Registry.load(file.parent).views) == ["profile"]


def test_a_file_does_not_shadow_an_installed_module(write: Write) -> None:
    write("loads = None", "json.py", preamble="")
    folder = write(f"import json\njson.loads('1')\n{ENTITIES}", preamble="").parent
    assert list(Registry.load(folder).entities) == ["user"]


def test_an_edit_is_seen_at_once(write: Write) -> None:
    for name in ("one", "two"):
        file = write(ENTITIES.replace('"user"', f'"{name}"'), preamble="")
        assert list(Registry.load(file).entities) == [name]


def test_a_relative_path_names_files_as_it_was_given(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write("1 / 0\n")
    monkeypatch.chdir(file.parent.parent)
    folder = Path(file.parent.name)
    with pytest.raises(InvalidDefinition) as caught:
        Registry.load(folder)
    assert list(caught.value.problems) == [
        f"{folder}/features.py:6: cannot be imported: ZeroDivisionError: division by zero"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class A(", "features.py:1: cannot be imported: SyntaxError: '(' was never closed"),
        (
            "\nimport nosuchmodule",
            "features.py:2: cannot be imported: ModuleNotFoundError: No module named "
            "'nosuchmodule' (install it, or put the file beside this one)",
        ),
        (
            "def make():\n    raise ValueError('no')\n\nmake()",
            "features.py:2: cannot be imported: ValueError: no",
        ),
        ("import json\njson.loads('{')", "features.py:2: cannot be imported: JSONDecodeError"),
        ("import sys\nsys.exit(3)", "features.py:2: cannot be imported: SystemExit: 3"),
        ("'\udcff'", "cannot be imported"),
        ("x = 1", "features.py: declares nothing"),
    ],
)
def test_a_file_that_cannot_be_imported_is_reported_with_its_line(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "features.py"
    file.write_text(text, errors="surrogateescape")
    before = snapshot()
    with pytest.raises(InvalidDefinition) as caught:
        Registry.load(file)
    assert len(caught.value.problems) == 1
    assert says in caught.value.problems[0]
    assert snapshot() == before


def test_a_misspelled_feature_in_a_service_is_reported_with_its_line(write: Write) -> None:
    file = write("""\
    class Profile(FeatureView, entity=user):
        age: Int64
    FeatureService("s", features=[Profile.aeg])
    """)
    with pytest.raises(InvalidDefinition, match=r"features.py:8: .* 'aeg'; did you mean age\?"):
        Registry.load(file)


def test_problems_of_all_files_come_together_and_once(write: Write) -> None:
    write("import nosuchmodule", "broken.py", preamble="")
    write("from . import broken", "importer.py", preamble="")
    write('from fscore import Entity\nEntity("a")\n', "missing.py", preamble="")
    write(ENTITIES, "my-entities.py", preamble="")
    folder = write("class V(FeatureView, entity=user):\n    age: int\n").parent
    with pytest.raises(InvalidDefinition, match="4 problems in the definitions:") as caught:
        Registry.load(folder)
    found = [problem.replace(f"{folder}/", "") for problem in caught.value.problems]
    assert [problem.split(":")[0] for problem in found] == [
        *("broken.py", "missing.py", "my-entities.py", "features.py"),
    ]


@pytest.mark.parametrize("name", ["", "nowhere", "nowhere.py"])
def test_a_path_without_definitions_is_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidDefinition, match=r"does not exist|has no Python files"):
        Registry.load(tmp_path / name)


def test_loads_in_several_threads_do_not_mix(write: Write) -> None:
    files = [
        write(
            f"from entities import user\n{VIEWS.replace('Profile', f'Profile{number}')}",
            f"{number}/views.py",
            preamble="",
        )
        for number in range(4)
    ]
    for file in files:
        (file.parent / "entities.py").write_text(ENTITIES)
    loaded: dict[int, list[str]] = {}

    def load(number: int) -> None:
        loaded[number] = list(Registry.load(files[number].parent).views)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == {number: [f"profile{number}"] for number in range(4)}


def test_the_example_is_valid() -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "ecommerce"
    if not example.exists():
        pytest.skip("the examples are not beside the tests")
    registry = Registry.load(example)
    assert "recommendation" in registry.services
