"""The imports of a Python package as a graph: its modules, its floors, its circles.

    python -m tests.import_graph [--floors] [FOLDER ...]

Without a folder it shows the library and the server. Every import statement counts: those inside
functions and those for type checkers only, too. A module stands one floor above the highest module
that it imports; modules that import each other in a circle share a floor.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fscore", "server/fscore_server")

Graph = Mapping[str, frozenset[str]]
"""For each module the modules of the same package that it imports."""


def imports_of(module: str, tree: ast.Module, *, is_package: bool) -> Iterator[tuple[str, str]]:
    """Yield every (module, name) that a module imports; the name is empty for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level or None] if not is_package else None
                parts = above if above is not None else module.split(".")[: 1 - node.level or None]
                base = ".".join([*parts, *([base] if base else [])])
            yield from ((base, alias.name) for alias in node.names)


def import_graph(folder: Path) -> Graph:
    """Return the graph of the package in this folder; stub files are modules too."""
    files = {
        ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in sorted(folder.rglob("*.py*"))
        if path.suffix in (".py", ".pyi")
    }
    graph = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text())
        found = set()
        for base, name in imports_of(module, tree, is_package=path.stem == "__init__"):
            target = f"{base}.{name}" if f"{base}.{name}" in files else base
            if target in files and target != module:
                found.add(target)
        graph[module] = frozenset(found)
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other, each sorted (Tarjan's algorithm)."""
    return [group for group in _components(graph) if len(group) > 1]


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of every module; those that import none of the others stand on floor 1."""
    found: dict[str, int] = {}
    # The algorithm yields a component after all that it leads to.
    for group in _components(graph):
        below = {target for module in group for target in graph[module]} - set(group)
        floor = 1 + max((found[module] for module in below), default=0)
        found.update(dict.fromkeys(group, floor))
    return found


def _components(graph: Graph) -> list[list[str]]:
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in number:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], number[target])
        if lowest[module] == number[module]:
            start = stack.index(module)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for module in sorted(graph):
        if module not in number:
            visit(module)
    return found


def summary(folder: Path) -> str:
    """Return one line about a package: modules, imports, floors, circles, files at the top."""
    graph = import_graph(folder)
    arrows = sum(len(targets) for targets in graph.values())
    at_top = sum(1 for path in folder.iterdir() if path.suffix in (".py", ".pyi"))
    return (
        f"{folder.name}: {len(graph)} modules ({at_top} at the top), {arrows} imports, "
        f"{max(floors(graph).values())} floors, {len(circles(graph))} circles"
    )


def main() -> None:
    """Print the graph of each folder."""
    parser = argparse.ArgumentParser(description="Show the imports between a package's modules.")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--floors", action="store_true", help="list the modules floor by floor")
    arguments = parser.parse_args()
    for folder in arguments.folders or [ROOT / package for package in PACKAGES]:
        print(summary(folder))
        graph = import_graph(folder)
        for circle in circles(graph):
            print(f"  circle: {', '.join(circle)}")
        if arguments.floors:
            found = floors(graph)
            for floor in range(max(found.values()), 0, -1):
                modules = sorted(module for module, of in found.items() if of == floor)
                print(f"  {floor:2}  {' '.join(modules)}")


if __name__ == "__main__":
    main()
