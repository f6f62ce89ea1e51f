"""Imports a folder or a file of definitions.

The files are imported under a private package, in sorted order, so no module of theirs stays in
`sys.modules`. `from .entities import user` works, and so does `from entities import user`. No byte
code is written.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from fscore.definitions.entity import Entity
from fscore.definitions.origin import Origin, shown_path
from fscore.definitions.service import FeatureService
from fscore.definitions.views.declaring import View, declaration_of
from fscore.errors import InvalidDefinition
from fscore.model.renamed import RENAMED

Declaration = Entity | FeatureService | type[View]

_lock = threading.RLock()
_serial = itertools.count()


def load_declarations(path: Path) -> tuple[list[Declaration], list[str]]:
    """Return the declarations at `path`, and a message for each file that cannot be imported.

    Raises InvalidDefinition if there are no files.
    """
    # The import system makes paths absolute, and tracebacks are compared with this one.
    path = path.absolute()
    files = _definition_files(path)
    folder = path if path.is_dir() else path.parent
    problems: list[str] = []
    with _private_package(folder) as package:
        for file in files:
            if not file.stem.isidentifier() or file.suffix != ".py":
                problems.append(
                    f"{shown_path(str(file))}: cannot be imported: rename it to letters, digits "
                    "and underscores, ending in .py"
                )
                continue
            try:
                importlib.import_module(f"{package}.{file.stem}")
            except InvalidDefinition as error:
                problems.extend(error.problems or [error.message])
            except (Exception, SystemExit) as error:
                problems.append(_import_problem(file, folder, error))
        modules = [
            module for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")
        ]
    return _declarations(modules), list(dict.fromkeys(problems))


def _definition_files(path: Path) -> list[Path]:
    shown = shown_path(str(path))
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.glob("*.py") if not file.name.startswith("."))
    else:
        raise InvalidDefinition(
            f"{shown} does not exist: give the folder or the file of the definitions"
        )
    if not files:
        raise InvalidDefinition(
            f"{shown} has no Python files: put the definitions there, or run `fscore init`"
        )
    return files


def _declarations(modules: Sequence[ModuleType]) -> list[Declaration]:
    found: dict[int, Declaration] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, (Entity, FeatureService)) or (
                isinstance(value, type) and declaration_of(value) is not None
            ):
                found.setdefault(id(value), value)
    return list(found.values())


def _import_problem(file: Path, folder: Path, error: BaseException) -> str:
    """Return a message that names the line of the user's files nearest to the error."""
    where = Origin(str(file), 1)
    if isinstance(error, SyntaxError) and error.filename is not None:
        where = Origin(error.filename, error.lineno or 1)
        message = error.msg
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename).is_relative_to(folder):
                where = Origin(frame.filename, frame.lineno or 1)
        message = str(error)
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = " (install it, or put the file beside this one)"
    elif isinstance(error, NameError) and (new := RENAMED["fscore"].get(error.name or "")):
        # `from fscore import *` brings no old names.
        hint = f" (it is fscore.{new} now)"
    return f"{where}: cannot be imported: {type(error).__name__}: {message}{hint}"


class _SourceLoader(SourceFileLoader):
    """Compiles the file again each time.

    Python compares byte code with a file's time in whole seconds, so it misses a quick edit.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _SiblingLoader(Loader):
    """Makes `import entities` return the private package's `entities`, not a second module."""

    def __init__(self, private_name: str) -> None:
        self.private_name = private_name
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the private module and remember its own spec."""
        module = importlib.import_module(self.private_name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec; the module has been executed already."""
        module.__spec__ = self.spec


class _DefinitionsFinder(MetaPathFinder):
    """Finds the modules of one definitions folder.

    No file there may shadow an installed module, so this is the last of all finders.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find `package.module` in the folder, and a bare `module` as its alias."""
        if fullname.startswith(f"{self.package}."):
            for entry in path or ():
                spec = FileFinder(entry, (_SourceLoader, [".py"])).find_spec(fullname)
                if spec is not None:
                    return spec
            return None
        if path is None and "." not in fullname:
            private_name = f"{self.package}.{fullname}"
            if FileFinder(str(self.folder), (_SourceLoader, [".py"])).find_spec(private_name):
                return ModuleSpec(fullname, _SiblingLoader(private_name))
        return None


@contextmanager
def _private_package(folder: Path) -> Iterator[str]:
    """Make a package of the folder, and remove every trace of it at the end."""
    package = f"_fscore_definitions_{next(_serial)}"
    module = ModuleType(package)
    module.__path__ = [str(folder)]
    finder = _DefinitionsFinder(package, folder)
    with _lock:
        # Private names are found before Python's own finders, siblings only after everything that
        # is installed.
        private = _PrivateOnly(finder)
        sys.modules[package] = module
        sys.meta_path.insert(0, private)
        sys.meta_path.append(finder)
        try:
            yield package
        finally:
            sys.meta_path.remove(private)
            sys.meta_path.remove(finder)
            mine = [
                name
                for name, value in sys.modules.items()
                if name == package or getattr(value, "__name__", "").startswith(f"{package}.")
            ]
            for name in mine:
                del sys.modules[name]


class _PrivateOnly(MetaPathFinder):
    """Finds modules of the private package only.

    Python's own finders would write byte code, so this one comes before them.
    """

    def __init__(self, finder: _DefinitionsFinder) -> None:
        self.finder = finder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find `package.module`."""
        if fullname.startswith(f"{self.finder.package}."):
            return self.finder.find_spec(fullname, path, target)
        return None
