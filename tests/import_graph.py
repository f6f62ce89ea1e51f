"""Show the imports of a Python package as a graph: its rooms, its floors, its circles.

    python -m tests.import_graph [--modules] [FOLDER ...]

Without a folder it shows the library and the server. A room is a file or a folder at the top of the
package. A room stands one floor above the highest room that it imports; a package whose rooms
import each other in a circle has no order to be read in. Every import statement counts, including
those inside functions and those for type checkers only. `--modules` lists each module's floor too.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (ROOT / "fscore", ROOT / "server" / "fscore_server")

Graph = Mapping[str, frozenset[str]]
"""For each module, or room, the others of the same package that it imports."""


def imported(path: Path) -> set[tuple[str, str]]:
    """Return every (module, name) that a file imports; the name is empty for `import module`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: a relative import"
            found |= {(node.module, alias.name) for alias in node.names}
    return found


def modules(folder: Path) -> dict[str, Path]:
    """Return the modules of a package by their dotted names; stub files are modules too."""
    found = {}
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.pyi")]):
        parts = (folder.name, *path.relative_to(folder).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def import_graph(folder: Path) -> Graph:
    """Return which modules of a package import which."""
    files = modules(folder)
    graph = {}
    for module, path in files.items():
        targets = (
            f"{base}.{name}" if f"{base}.{name}" in files else base for base, name in imported(path)
        )
        graph[module] = frozenset(
            target for target in targets if target in files and target != module
        )
    return graph


def room_of(module: str) -> str:
    """Return the file or folder at the top of the package that a module is in.

    >>> room_of("fscore.model.views"), room_of("fscore.errors"), room_of("fscore")
    ('model', 'errors', '__init__')
    """
    return (*module.split("."), "__init__")[1]


def rooms(graph: Graph) -> Graph:
    """Return which rooms import which."""
    found: dict[str, set[str]] = {}
    for module, targets in graph.items():
        here = found.setdefault(room_of(module), set())
        here |= {room_of(target) for target in targets} - {room_of(module)}
    return {room: frozenset(targets) for room, targets in found.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of modules that import each other, each sorted."""
    return [group for group in _components(graph) if len(group) > 1]


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of each node; one that imports none of the others stands on floor 1.

    Nodes that import each other in a circle share a floor.
    """
    found: dict[str, int] = {}
    for group in _components(graph):
        below = {target for member in group for target in graph[member]} - set(group)
        floor = 1 + max((found[target] for target in below), default=0)
        found.update(dict.fromkeys(group, floor))
    return found


def _components(graph: Graph) -> list[list[str]]:
    """Return the strongly connected groups, each after all that it leads to (Tarjan)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in number:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], number[target])
        if lowest[node] == number[node]:
            start = stack.index(node)
            found.append(sorted(stack[start:]))
            del stack[start:]

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def show(folder: Path, *, with_modules: bool) -> None:
    """Print the graph of one package."""
    graph = import_graph(folder)
    by_room = rooms(graph)
    at_top = sum(1 for path in modules(folder).values() if path.parent == folder)
    arrows = sum(len(targets) for targets in graph.values())
    print(
        f"{folder.name}: {len(by_room)} rooms ({at_top} files at the top) on "
        f"{max(floors(by_room).values())} floors; {len(graph)} modules on "
        f"{max(floors(graph).values())} floors, {arrows} imports, {len(circles(graph))} circles"
    )
    for circle in circles(graph):
        print(f"  circle: {', '.join(circle)}")
    for found in (by_room, graph) if with_modules else (by_room,):
        _show_floors(floors(found))


def _show_floors(found: Mapping[str, int]) -> None:
    for floor in range(max(found.values()), 0, -1):
        print(f"  {floor:2}  {' '.join(sorted(name for name, at in found.items() if at == floor))}")


def main() -> None:
    """Print the graph of each folder."""
    parser = argparse.ArgumentParser(description="Show the imports between a package's modules.")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--modules", action="store_true", help="list the floor of each module too")
    arguments = parser.parse_args()
    for folder in arguments.folders or PACKAGES:
        show(folder.resolve(), with_modules=arguments.modules)


if __name__ == "__main__":
    main()
