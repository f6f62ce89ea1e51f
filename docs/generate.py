"""Write the parts of docs/reference/ that are generated from code; --check reports stale ones.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; the rest of a page is
written by hand.
"""

import argparse
import ast
import difflib
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType, NoneType
from typing import Literal, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import fscore
from fscore import errors, functions, window
from fscore.config import RedisSettings
from fscore.definitions import mappings
from fscore.model.aggregates import MAPPINGS, WINDOWS
from fscore.model.renamed import RENAMED
from fscore.registry.diff.registries import type_change_is_safe
from fscore.types import FIXED_TYPES, DataType
from fscore_server import problems
from fscore_server.cli.program import program
from fscore_server.settings import ServerSettings

REFERENCE = Path(__file__).resolve().parent / "reference"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [header, *rows]
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def error_table(family: type[errors.FscoreError]) -> str:
    rows = []
    for code, error in errors.ERRORS.items():
        if issubclass(error, family) and error is not family:
            also = [
                base.__name__
                for base in error.__bases__
                if not issubclass(base, errors.FscoreError)
            ]
            name = f"`{error.__name__}`" + "".join(f" (a `{base}`)" for base in also)
            summary = (error.__doc__ or "").strip().split("\n\n")[0]
            rows.append((name, f"`{code}`", str(error.status), " ".join(summary.split())))
    return table(("class", "code", "HTTP", "meaning"), rows)


def problem_table() -> str:
    return table(
        ("status", "type", "title"),
        (
            (str(kind.status), f"`/docs#{kind.code}`", kind.title)
            for kind in problems.KINDS.values()
        ),
    )


def settings_table(settings: type[BaseModel]) -> str:
    """Return a table of the settings that a class declares itself."""
    prefix = settings.model_config.get("env_prefix", "")
    meanings = attribute_docs(settings)
    rows = []
    for name, meaning in meanings.items():
        field = settings.model_fields[name]
        variable = f"`{prefix}{name.upper()}`"
        rows.append((f"`{name}`", variable, kind(field), default(field), meaning))
    return table(("setting", "variable", "value", "default", "meaning"), rows)


def attribute_docs(cls: type) -> dict[str, str]:
    """The string literals that follow the fields of a class, by field."""
    # By the file of one of its functions: the class says that it is of the package that exports it.
    source = Path(inspect.getfile(next(filter(inspect.isfunction, vars(cls).values()))))
    body = next(
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    )
    docs = {}
    for field, text in itertools.pairwise(body.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = " ".join(doc.split())
            case (ast.AnnAssign(target=ast.Name(id=name)), _):
                sys.exit(f"{cls.__name__}.{name} says nowhere what it is: put a string under it")
    return docs


def kind(field: FieldInfo) -> str:
    types = [part for part in get_args(field.annotation) if part is not NoneType]
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in types)
    name = (types[0] if types else field.annotation).__name__  # type: ignore[union-attr]
    word = {"str": "text", "SecretStr": "secret", "bool": "`true`, `false`", "int": "integer"}
    word |= {"float": "number", "Path": "path"}
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(bound, name):,}"
        for bound in field.metadata
        for name, sign in signs.items()
        if hasattr(bound, name)
    ]
    return ", ".join([word[name], *bounds])


def default(field: FieldInfo) -> str:
    match field.default:
        case None | "":
            return ""
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case value:
            return f"`{value}`"


def command_line() -> str:
    """Return the help of every command, as the command line shows it."""
    parent = click.Context(program, info_name="fscore", terminal_width=90)
    return "\n\n".join(command_help(program, parent))


def command_help(group: click.Group, parent: click.Context) -> Iterator[str]:
    """Yield the help of each command of a group, followed by the help of its subcommands."""
    for name, command in sorted(group.commands.items()):
        context = click.Context(command, info_name=name, parent=parent, terminal_width=90)
        text = command.get_help(context)
        yield f"## {context.command_path}\n\n```text\n{text}\n```"
        if isinstance(command, click.Group):
            yield from command_help(command, context)


def type_change_table() -> str:
    """Return a table of safe type changes; one vector type stands for all vectors."""
    types = [*FIXED_TYPES, DataType.parse("Vector[64]")]
    rows = []
    for old in types:
        safe = [f"`{new}`" for new in types if new != old and type_change_is_safe(old, new)]
        rows.append((f"`{old}`", ", ".join(safe) or "none"))
    return table(("from", "safely to"), rows)


def aggregate_table() -> str:
    """Return a table of all aggregates by name, in each place where one may be computed."""
    rows = []
    for name in dict.fromkeys([*MAPPINGS, *WINDOWS]):
        stored = [
            f"`{operations[name]}` for a {kind}"
            for kind, operations in (("mapping", MAPPINGS), ("window", WINDOWS))
            if operations.get(name, name) != name
        ]
        rows.append(
            (
                f"`{name}`",
                call(mappings, name, "" if name in fscore.__all__ else "fscore."),
                call(window, name, "window."),
                call(functions, f"list_{name}", "fn."),
                ", ".join(stored),
            )
        )
    places = ("mapping", "window function", "function of a list")
    return table(("aggregate", *places, "in the registry, if different"), rows)


def call(module: ModuleType, name: str, prefix: str) -> str:
    """Return a call of a module's public function as people write it, or "" if there is none."""
    if name not in module.__all__:
        return ""
    parameters = inspect.signature(getattr(module, name)).parameters.values()
    # Every mapping has `where`, which is by keyword only.
    shown = [part.name for part in parameters if part.kind is not part.KEYWORD_ONLY]
    return f"`{prefix}{name}({', '.join(shown)})`"


def old_name_table() -> str:
    """Return a table of public names that were renamed."""
    return table(
        ("old", "new"),
        (
            (f"`{module}.{old}`", f"`{module}.{new}`")
            for module, names in RENAMED.items()
            for old, new in names.items()
        ),
    )


# Each page, the name of the generated part, and the function that writes the part.
PARTS: list[tuple[str, str, Callable[[], str]]] = [
    ("definitions.md", "aggregates", aggregate_table),
    ("definitions.md", "old names", old_name_table),
    ("definitions.md", "safe type changes", type_change_table),
    ("errors.md", "client faults", lambda: error_table(errors.ClientFault)),
    ("errors.md", "server faults", lambda: error_table(errors.ServerFault)),
    ("http.md", "problems", problem_table),
    ("cli.md", "commands", command_line),
    ("settings.md", "redis", lambda: settings_table(RedisSettings)),
    ("settings.md", "server", lambda: settings_table(ServerSettings)),
]


def replaced(page: str, text: str, name: str, content: str) -> str:
    start, end = f"<!-- generated: {name} -->", "<!-- end -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"docs/reference/{page} has no part {start} … {end}")
    return f"{before}{start}\n\n{content}\n\n{end}{after}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    pages: dict[str, str] = {}
    for page, name, content in PARTS:
        pages.setdefault(page, (REFERENCE / page).read_text())
        pages[page] = replaced(page, pages[page], name, content())
    stale = False
    for page, text in pages.items():
        path = REFERENCE / page
        current = path.read_text()
        if current == text:
            continue
        if check:
            stale = True
            difference = difflib.unified_diff(
                current.splitlines(),
                text.splitlines(),
                f"{page} (now)",
                f"{page} (from code)",
                "",
                "",
                0,
                "",
            )
            print("\n".join(difference))
        else:
            path.write_text(text)
            print(f"wrote docs/reference/{page}")
    if stale:
        sys.exit("the reference is stale: run `make docs`")


if __name__ == "__main__":
    main()
