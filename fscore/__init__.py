"""fscore: a realtime feature store for inference on Redis and Valkey."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from fscore import window
from fscore._fscore import FeatureTable, parse_read_request
from fscore.blocking.client import Client, connect
from fscore.blocking.prepared import Prepared
from fscore.client.push import PushResult
from fscore.client.results import WriteResult
from fscore.client.versions import Retirement
from fscore.config import RedisSettings
from fscore.definitions.entity import Entity
from fscore.definitions.mappings import (
    count,
    distinct,
    ever,
    first,
    latest,
    mean,
)
from fscore.definitions.mappings import max as max
from fscore.definitions.mappings import min as min
from fscore.definitions.mappings import sum as sum
from fscore.definitions.markers import (
    Bool,
    Bytes,
    Float32,
    Float64,
    Int64,
    List,
    Status,
    String,
    Timestamp,
    Vector,
)
from fscore.definitions.service import FeatureService
from fscore.definitions.views.features import Feature, FeatureView
from fscore.definitions.views.flags import FlagView
from fscore.definitions.views.on_request import RequestView
from fscore.definitions.views.series import Payload, SeriesView
from fscore.errors import (
    AmbiguousFeature,
    AuthenticationFailed,
    ClientFault,
    ConfigError,
    DeadlineExceeded,
    EntityNotFound,
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    ForkedProcess,
    FscoreError,
    InvalidDefinition,
    InvalidKeys,
    InvalidRequest,
    InvalidValue,
    MalformedRequest,
    MissingValues,
    Overloaded,
    ProtocolError,
    RegistryConflict,
    RequestTooLarge,
    ServerFault,
    SourceNotFound,
    Unavailable,
    UnsafeChange,
    VersionConflict,
    VersionInUse,
    VersionNotFound,
    VersionRetired,
    WriteRejected,
)
from fscore.migration.course import Migration, MigrationProgress
from fscore.model.expression import Expression, request
from fscore.model.renamed import old_names
from fscore.model.source import EventSource
from fscore.offline.evaluate import Evaluation, evaluate
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import Change, RegistryDiff, diff
from fscore.registry.registry import Registry
from fscore.specs.resolve import ResolvedSet, resolve
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions, VersionRecord
from fscore.versions.removal import ReclaimProgress

# `sum`, `min` and `max` are public too, as `fscore.sum` and so on. They are not in this list, so
# that a file with `from fscore import *` keeps Python's own.
__all__ = [
    "AmbiguousFeature",
    "ApplyResult",
    "AuthenticationFailed",
    "Bool",
    "Bytes",
    "Change",
    "Client",
    "ClientFault",
    "ConfigError",
    "DeadlineExceeded",
    "Entity",
    "EntityNotFound",
    "Evaluation",
    "EventSource",
    "Expression",
    "Feature",
    "FeatureNotFound",
    "FeatureService",
    "FeatureServiceNotFound",
    "FeatureTable",
    "FeatureView",
    "FeatureViewNotFound",
    "FlagView",
    "Float32",
    "Float64",
    "ForkedProcess",
    "FscoreError",
    "Int64",
    "InvalidDefinition",
    "InvalidKeys",
    "InvalidRequest",
    "InvalidValue",
    "List",
    "MalformedRequest",
    "Migration",
    "MigrationProgress",
    "MissingValues",
    "Overloaded",
    "Payload",
    "Prepared",
    "ProtocolError",
    "PushResult",
    "ReclaimProgress",
    "RedisSettings",
    "Registry",
    "RegistryConflict",
    "RegistryDiff",
    "RequestTooLarge",
    "RequestView",
    "ResolvedSet",
    "Retirement",
    "SeriesView",
    "ServerFault",
    "ServiceVersions",
    "SourceNotFound",
    "Status",
    "String",
    "Switch",
    "Timestamp",
    "Unavailable",
    "UnsafeChange",
    "Vector",
    "VersionConflict",
    "VersionInUse",
    "VersionNotFound",
    "VersionRecord",
    "VersionRetired",
    "WriteRejected",
    "WriteResult",
    "connect",
    "count",
    "diff",
    "distinct",
    "evaluate",
    "ever",
    "first",
    "latest",
    "mean",
    "parse_read_request",
    "request",
    "resolve",
    "window",
]


def _name_exports_as_public() -> None:
    """Set `__module__` of the exported classes and functions to this package.

    Reprs, pickles and messages then name what applications import, even if the code moves.
    """
    for name in (*__all__, "max", "min", "sum"):
        export = globals()[name]
        if isinstance(export, type | FunctionType) and export is not FeatureTable:
            export.__module__ = "fscore"


_name_exports_as_public()

if TYPE_CHECKING:
    FileSource = EventSource
    total, smallest, largest = sum, min, max
else:
    # With it, type checkers would accept every attribute.
    __getattr__ = old_names(__name__)
