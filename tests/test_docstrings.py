"""The examples in docstrings give the results that they show."""

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import fscore
import fscore_server


def modules(package: ModuleType) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # `__main__` modules are programs, and importing one runs it.
    inside = [module.name for module in found if not module.name.endswith("__main__")]
    # The package's exports name the package itself as their module.
    return [package.__name__, *inside]


@pytest.mark.parametrize("name", [*modules(fscore), *modules(fscore_server)])
def test_examples(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
