"""Modules of the Rust core depend on each other in one direction; no two types share a name."""

import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "rust/core/src"

# The files of these folders may depend on each other in circles, and their types may have any name.
EXEMPT = {"read"}
# Dependencies on these do not count: a connection stores a receiver's half-read reply.
KNOWN = {("connection", "receive")}

Module = tuple[str, ...]
Graph = dict[Module, set[Module]]


def sources(core: Path) -> dict[Module, str]:
    """Return the code of each module, without its tests and comments."""
    found = {}
    for path in core.rglob("*.rs"):
        module = path.relative_to(core).with_suffix("").parts
        if module[-1] == "mod":
            module = module[:-1]
        if "tests" not in module and module != ("lib",):
            code = path.read_text().split("#[cfg(test)]\nmod tests {", 1)[0]
            found[module] = re.sub(r"//.*", "", code)
    return found


def flattened(tree: str) -> Iterator[list[str]]:
    """Return the paths of a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`."""
    for part in re.findall(r"(?:[^,{}]|\{(?:[^{}]|\{[^{}]*\})*\})+", tree):
        head, _, rest = part.partition("{")
        names = re.sub(r"\s+as\s+\w+", "", head).strip().split("::")
        if rest:
            for inner in flattened(rest.rsplit("}", 1)[0]):
                yield [*names[:-1], *inner]
        elif names != [""]:
            yield names


def absolute(module: Module, path: list[str]) -> Module:
    if path[0] == "crate":
        return tuple(path[1:])
    above = path.count("super")
    start = module[: len(module) - above]
    return (*start, *path[above:]) if path[0] != "self" else (*start, *path[1:])


def names(module: Module, code: str) -> tuple[list[Module], list[Module]]:
    """Return the paths that a module uses, and the names that it re-exports."""
    used: list[Module] = []
    exported: list[Module] = []
    for visible, tree in re.findall(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", code):
        found = [absolute(module, path) for path in flattened(tree)]
        (exported if visible else used).extend(found)
    body = re.sub(r"\buse\s+[^;]+;", "", code)
    inline = re.findall(r"(?<![:\w])(?:[a-z_]\w*)(?:::\w+)+", body)
    return used + [absolute(module, path.split("::")) for path in inline], exported


def dependencies(modules: dict[Module, str]) -> Graph:
    """Return the modules that each uses; a re-exported name counts for the module defining it."""
    used: dict[Module, list[Module]] = {}
    origins: dict[Module, Module] = {}
    for module, code in modules.items():
        used[module], exported = names(module, code)
        origins.update({(*module, origin[-1]): origin for origin in exported})

    def defined_in(name: Module) -> Module:
        for length in range(len(name), 0, -1):
            if (origin := origins.get(name[:length])) is not None:
                return defined_in(origin + name[length:])
            if name[:length] in modules:
                return name[:length]
        return ()

    return {
        module: {defined_in(name) for name in found} - {module, ()}
        for module, found in used.items()
    }


def circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["::".join(module) for module in error.args[1]]
    return []


def circles(core: Path) -> tuple[list[str], list[str]]:
    """Return a circle of files and a circle of whole folders; each is empty if there is none."""
    files = dependencies(sources(core))
    folders: Graph = {}
    for module, targets in files.items():
        folder = module[:1]
        folders.setdefault(folder, set()).update({target[:1] for target in targets} - {folder})
        files[module] = targets - KNOWN
        if folder[0] in EXEMPT:
            files[module] = {target for target in targets if target[:1] != folder}
    return circle(files), circle(folders)


def test_modules_depend_on_each_other_in_one_direction() -> None:
    assert circles(CORE) == ([], [])


def test_a_circle_is_found(tmp_path: Path) -> None:
    for name, code in {
        "lib.rs": "mod a; mod b;",
        "a/mod.rs": "mod inner; mod other; pub use inner::{Inner, deep::Deep}; use crate::c;",
        "a/inner.rs": "use super::other::{self, Other as O};",
        "a/other.rs": "// use super::inner::Inner;\nfn f() {}",
        "b.rs": "use crate::{a::Inner, c::C};",
        "c.rs": "fn f() { crate::slot::of() }",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(code)
    assert circles(tmp_path) == ([], [])
    # Through a re-export, which does not count as a dependency of the folder itself.
    (tmp_path / "a/other.rs").write_text("use super::Inner;")
    files, folders = circles(tmp_path)
    assert (set(files), folders) == ({"a::other", "a::inner"}, [])
    # A circle of folders whose files form none.
    (tmp_path / "a/other.rs").write_text("fn f() { crate::b::g() }")
    (tmp_path / "a/inner.rs").write_text("struct Inner;")
    files, folders = circles(tmp_path)
    assert (files, set(folders)) == ([], {"a", "b"})


def test_a_name_of_a_type_means_one_thing() -> None:
    defined = r"^(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|type) (\w+)"
    names = Counter(
        name
        for module, code in sources(CORE).items()
        if module[0] not in EXEMPT
        for name in re.findall(defined, code, re.MULTILINE)
    )
    assert {name for name, times in names.items() if times > 1} == set()
