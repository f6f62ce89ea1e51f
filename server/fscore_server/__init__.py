"""The server of fscore: features over HTTP, the file loader and the command line.

The library itself is the package `fscore`.
"""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("fscore-server")
