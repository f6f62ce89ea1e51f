"""The public interface explains itself: signatures, docstrings, types and exports."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
import subprocess
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import SecretStr

import fscore
import fscore.aio
import fscore.config
import fscore.definitions.folder  # annotations name what it has
import fscore.ingestion
import fscore.serving
from fscore import RedisOptions, RedisSettings, _fscore
from fscore.client.following import FollowingClient
from fscore.client.prepared import PreparedCore

# Settings as keywords of `connect`.

# A secret and a path may be given as text too.
_GIVEN_AS: dict[Any, Any] = {SecretStr: str | SecretStr, Path: str | Path}


def given_as(annotation: Any) -> Any:
    """Return the type in which a setting is given, from that in which it is kept."""
    if get_origin(annotation) is types.UnionType:
        return typing.Union[*map(given_as, get_args(annotation))]
    return _GIVEN_AS.get(annotation, annotation)


def test_every_setting_is_a_keyword_of_its_type() -> None:
    settings = {
        name: given_as(field.annotation) for name, field in RedisSettings.model_fields.items()
    }
    keywords = get_type_hints(RedisOptions, localns={"SecretStr": SecretStr, "Path": Path})
    assert list(keywords) == list(settings)
    assert keywords == settings
    assert RedisOptions.__total__ is False


@pytest.mark.parametrize("connect", [fscore.connect, fscore.aio.connect])
def test_the_signature_of_connect_shows_each_setting(connect: Callable[..., Any]) -> None:
    shown = inspect.signature(connect)
    names = list(shown.parameters)
    assert names == ["url", "settings", *RedisSettings.model_fields]
    for name, field in RedisSettings.model_fields.items():
        parameter = shown.parameters[name]
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert repr(parameter.default) == repr(field.default)
    assert shown.parameters["timeout"].annotation == "float"
    assert shown.parameters["follow_versions"].annotation == "FollowVersions"
    text = pydoc.plain(pydoc.render_doc(connect))
    assert "timeout: 'float' = 1.0" in text
    assert all(name in text for name in names)


def test_wrong_keywords_are_errors_of_type_checkers_and_of_settings() -> None:
    # A comment that ignores no error is an error of mypy.
    with pytest.raises(fscore.ConfigError, match="tiemout"):
        fscore.connect("redis://127.0.0.1", tiemout=1.0)  # type: ignore[call-arg]
    with pytest.raises(fscore.ConfigError, match="timeout"):
        fscore.connect("redis://127.0.0.1", timeout="soon")  # type: ignore[arg-type]
    with pytest.raises(fscore.ConfigError, match="follow_versions"):
        fscore.aio.connect("redis://127.0.0.1", follow_versions="pull")  # type: ignore[arg-type]


def test_the_url_is_not_given_twice() -> None:
    with pytest.raises(fscore.ConfigError, match="given twice"):
        fscore.connect("redis://127.0.0.1", redis_url="redis://127.0.0.1:7")


def test_settings_that_are_none_are_refused_without_being_shown() -> None:
    wrong: Any = {"redis_password": "s3cret"}
    with pytest.raises(fscore.InvalidArgument, match="must be RedisSettings, not dict") as caught:
        fscore.connect(settings=wrong)
    assert caught.value.argument == "settings"
    assert "s3cret" not in str(caught.value)


# Both clients.

PAIRS = {
    "Client": (fscore.Client, fscore.aio.Client),
    "Prepared": (fscore.Prepared, fscore.aio.Prepared),
    "Versions": (fscore.Versions, fscore.aio.Versions),
}
# What only one of the two clients has.
ONLY_BLOCKING = {"Client.__enter__", "Client.__exit__"}
ONLY_ASYNCIO = {
    *("Client.__aenter__", "Client.__aexit__", "Client.compile", "Client.push_fault"),
    "Prepared.after",
}
# Sentences of the docstrings that only one of the two clients has.
BLOCKING_SENTENCES = {
    "connect": """Any number of threads may use the client. In a child process that was forked after
        this call its methods raise ForkedProcess: connect again there.""",
    "Client.close": """Close the connections after the calls that are under way; later calls
        fail.""",
}
ASYNCIO_SENTENCES = {
    "connect": """Use `client = connect(url)`, or `with connect(url) as client`.
        The client belongs to the event loop in which it was made. In another loop its methods raise
        WrongEventLoop, and in a child process that was forked after this call ForkedProcess:
        connect again there.""",
    "Client.close": """Close the connection; requests under way end with Unavailable.
        Raises WrongEventLoop outside the client's event loop, unless that is closed: its end was
        the end of the connection too.""",
    "Prepared.get": "If the caller is cancelled, the client reads the reply and discards it.",
}


_CONTEXT = {"__enter__", "__exit__", "__aenter__", "__aexit__"}


def members(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class that it defines itself."""
    return {
        name: member
        for name, member in vars(kind).items()
        if isinstance(member, types.FunctionType | property)
        and (name in _CONTEXT or not name.startswith("_"))
    }


def pairs() -> Iterator[tuple[str, Any, Any]]:
    """Yield what both clients have: its name, and the function or property of each."""
    yield "connect", fscore.connect, fscore.aio.connect
    for name, (blocking, asyncio) in PAIRS.items():
        for member, found in members(blocking).items():
            if f"{name}.{member}" not in ONLY_BLOCKING:
                yield f"{name}.{member}", found, vars(asyncio)[member]


BOTH = {name: (blocking, asyncio) for name, blocking, asyncio in pairs()}


def test_both_clients_have_the_same_members() -> None:
    for name, (blocking, asyncio) in PAIRS.items():
        one = {f"{name}.{member}" for member in members(blocking)} - ONLY_BLOCKING
        other = {f"{name}.{member}" for member in members(asyncio)} - ONLY_ASYNCIO
        assert one == other
    assert len(BOTH) > 15


def words(docstring: str) -> str:
    """Return a docstring as one line, as the blocking client would say it."""
    text = re.sub(r"^\s*\.\.\. ", "", docstring, flags=re.M)
    text = re.sub(r"\basync (?=def|with)", "", text).replace("fscore.aio", "fscore")
    # `(await call(…)).rows` is `call(…).rows`.
    text = re.sub(r"\(await ((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)(?=\.)", r"\1", text)
    return " ".join(re.sub(r"\bawait ", "", text).split())


def without(text: str, sentences: str | None) -> str:
    """Return a docstring without some of its sentences, each of which it must have."""
    for sentence in re.split(r"(?<=\.) ", words(sentences or "")):
        assert sentence in text
        text = text.replace(sentence, "")
    return " ".join(text.split())


@pytest.mark.parametrize("name", BOTH)
def test_docstrings_of_both_clients_say_the_same(name: str) -> None:
    blocking, asyncio = (words(one.__doc__ or "") for one in BOTH[name])
    assert blocking
    assert without(blocking, BLOCKING_SENTENCES.get(name)) == without(
        asyncio, ASYNCIO_SENTENCES.get(name)
    )


@pytest.mark.parametrize("name", BOTH)
def test_signatures_of_both_clients_are_the_same(name: str) -> None:
    one, other = (inspect.signature(getattr(found, "fget", None) or found) for found in BOTH[name])
    shown = [
        [(given.name, given.kind, repr(given.default), given.annotation) for given in parameters]
        for parameters in (one.parameters.values(), other.parameters.values())
    ]
    assert shown[0] == shown[1]
    if name != "connect":  # what the asyncio client's returns can also be used in `async with`
        assert one.return_annotation == other.return_annotation


# Everything that calls return.

# For fscore's own server and for tests: they lead to the inside of the library.
INSIDE = {
    # Its views are classes that the caller declared.
    "Expression.views",
    *("Prepared.compiled", "Prepared.reading_again", "Expression.compiled"),
    *("ResolvedSet.to_spec", "ResolvedView.to_spec", "ResolvedFeature.to_spec"),
}
HOMES = {"fscore": fscore, "fscore.aio": fscore.aio}


def every_name() -> dict[str, Any]:
    """Return the names of all modules, by which annotations may name what is not imported there.

    A module imports some names for type checkers only, and exported classes do not say in which
    module they were made.
    """
    known: dict[str, Any] = {}
    for name, module in sys.modules.items():
        if name.startswith("fscore."):
            known |= vars(module)
    return known


def hints_of(function: Any) -> dict[str, Any]:
    """Return the evaluated annotations of a function."""
    function = inspect.unwrap(function)
    return get_type_hints(function, localns={**every_name(), **function.__globals__})


def classes_in(annotation: Any) -> Iterator[type]:
    """Yield each class of fscore that an annotation names."""
    if isinstance(annotation, type) and annotation.__module__.partition(".")[0] == "fscore":
        yield annotation
    for argument in get_args(annotation):
        yield from classes_in(argument)


def returned_by(kind: type) -> Iterator[tuple[str, type]]:
    """Yield the classes that the public members of a class return or have."""
    for ancestor in kind.__mro__:
        if ancestor.__module__.partition(".")[0] != "fscore" or "_fscore" in str(ancestor):
            continue
        for name, member in vars(ancestor).items():
            where = f"{kind.__name__}.{name}"
            if name.startswith("_") or where in INSIDE:
                continue
            function = getattr(member, "fget", None) or getattr(member, "func", None)
            function = function or getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                for found in classes_in(hints_of(function).get("return")):
                    yield where, found
        if hasattr(ancestor, "__dataclass_fields__") or hasattr(ancestor, "_fields"):
            for name, annotation in get_type_hints(ancestor, localns=every_name()).items():
                if not name.startswith("_"):
                    yield from ((f"{kind.__name__}.{name}", one) for one in classes_in(annotation))


def reachable() -> dict[type, str]:
    """Return each class that the public calls of the library return, and where it was found."""
    found: dict[type, str] = {}
    waiting: list[tuple[str, type]] = []
    for home in HOMES.values():
        for name in home.__all__:
            export = getattr(home, name)
            if isinstance(export, type):
                waiting.append((f"{home.__name__}.{name}", export))
            elif isinstance(export, types.FunctionType):
                returns = hints_of(export).get("return")
                waiting += [(f"{home.__name__}.{name}()", one) for one in classes_in(returns)]
    while waiting:
        where, kind = waiting.pop()
        if kind not in found:
            found[kind] = where
            waiting += returned_by(kind)
    return found


REACHABLE = reachable()


def test_the_walk_reaches_what_it_must() -> None:
    names = {kind.__name__ for kind in REACHABLE}
    assert {"Endpoint", "Versions", "Connecting", "FeatureViewDefinition", "DataType"} <= names
    assert {"WriteResult", "ResolvedView", "VersionRecord", "Change", "FeatureRef"} <= names


@pytest.mark.parametrize("kind", REACHABLE, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_what_calls_return_is_exported_and_documented(kind: type) -> None:
    home = HOMES.get(kind.__module__)
    assert home is not None, f"{REACHABLE[kind]} leads to {kind.__module__}.{kind.__name__}"
    assert getattr(home, kind.__name__) is kind
    assert kind.__name__ in home.__all__
    assert inspect.getdoc(kind)
    assert vars(kind).get("__doc__"), "it has the docstring of its base class only"


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_exports_are_there_documented_and_listed(home: types.ModuleType) -> None:
    assert set(home.__all__) <= set(dir(home))
    for name in home.__all__:
        export = getattr(home, name)
        if isinstance(export, type | types.FunctionType):
            assert export.__module__ == home.__name__
            assert export.__doc__
    with pytest.raises(AttributeError, match=f"module '{home.__name__}' has no attribute 'conect'"):
        _ = home.conect


@pytest.mark.parametrize(
    "kind",
    [*(one for pair in PAIRS.values() for one in pair), FollowingClient, PreparedCore],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_member_of_the_clients_is_documented_and_annotated(kind: type) -> None:
    for name, member in members(kind).items():
        function = member.fget if isinstance(member, property) else member
        assert "return" in function.__annotations__, name
        if not name.startswith("_"):
            assert function.__doc__, name


# Importing.


def loaded_by(program: str) -> set[str]:
    """Return the packages that a program loads."""
    shown = f"import sys\n{program}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


SLOW = {"pydantic", "pydantic_core", "pydantic_settings", "dotenv"}


def test_importing_the_library_loads_no_settings() -> None:
    assert loaded_by("import fscore, fscore.aio, fscore.config, fscore.registry") & SLOW == set()
    # What only the asyncio client needs, or who loads definitions, or a client that connects.
    later = {"asyncio", "ssl", "pyarrow", "tempfile", "lzma", "urllib", "importlib_metadata"}
    assert loaded_by("import fscore") & later == set()


@pytest.mark.parametrize(
    "program",
    [
        "import fscore; fscore.RedisSettings(timeout=2.0)",
        "from fscore import RedisSettings",
        "from fscore.config import RedisSettings, load_settings",
        "from fscore import *; RedisSettings",
    ],
)
def test_settings_are_loaded_when_they_are_used(program: str) -> None:
    assert loaded_by(program) >= {"pydantic", "pydantic_settings"}


def test_settings_are_the_same_class_wherever_they_are_imported_from() -> None:
    assert fscore.config.RedisSettings is fscore.RedisSettings
    assert (RedisSettings.__module__, RedisSettings.__qualname__) == ("fscore", "RedisSettings")
    with pytest.raises(AttributeError, match=r"'fscore\.config' has no attribute 'Settings'"):
        _ = fscore.config.Settings  # type: ignore[attr-defined]


# The extension.


def members_of_the_extension() -> dict[str, Any]:
    """Return the exported classes and functions of the extension, and their public members."""
    found: dict[str, Any] = {}
    for home in (fscore, fscore.serving, fscore.ingestion):
        for name in home.__all__:
            export = getattr(home, name)
            if export is not getattr(_fscore, name, None) or isinstance(export, str | int):
                continue
            found[name] = export
            if isinstance(export, type):
                # The extension has them in another order each time.
                members = sorted(vars(export).items())
                found |= {f"{name}.{key}": one for key, one in members if not key.startswith("_")}
    return found


EXTENSION = members_of_the_extension()


@pytest.mark.parametrize("name", EXTENSION)
def test_what_the_extension_exports_is_documented_in_help(name: str) -> None:
    member = EXTENSION[name]
    assert member.__doc__
    if callable(member) and not isinstance(member, type):
        assert member.__text_signature__
        inspect.signature(member)


def stub_docstrings() -> dict[str, str]:
    """Return the docstrings of the extension's stub by name."""
    found = {}
    for node in ast.parse(Path(_fscore.__file__).with_name("_fscore.pyi").read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            # The docstring of a property is that of its getter, which comes first. Of overloads,
            # only one has a docstring.
            for one in reversed(methods):
                name = f"{node.name}.{one.name}"
                found[name] = ast.get_docstring(one) or found.get(name, "")
    return found


STUB = stub_docstrings()
# Their documentation in Rust is for those who work on the hot path, and says more or less.
FOR_MAINTAINERS = ("HotReads", "HotConnection", "RouteCounters")


@pytest.mark.parametrize(
    "name",
    [name for name in EXTENSION if name.partition(".")[0] not in FOR_MAINTAINERS],
)
def test_help_says_what_the_stub_says(name: str) -> None:
    # Clippy wants names of code in backticks, which the stub's style leaves out.
    shown, written = (
        " ".join(text.replace("`", "").split()) for text in (EXTENSION[name].__doc__, STUB[name])
    )
    assert shown == written
