"""fscore: a realtime feature store for inference on Redis and Valkey."""

from __future__ import annotations

from types import FunctionType

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
    largest,
    latest,
    smallest,
    total,
)
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
    InvalidArgument,
    InvalidDefinition,
    InvalidKeys,
    InvalidRequest,
    InvalidValue,
    MalformedRequest,
    NotPicklable,
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
    WrongEventLoop,
)
from fscore.migration.course import Migration, MigrationProgress
from fscore.model.expression import Expression, request
from fscore.model.source import FileSource
from fscore.offline.evaluate import Evaluation, evaluate
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import Change, RegistryDiff, diff
from fscore.registry.registry import Registry
from fscore.specs.resolve import ResolvedSet, resolve
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions, VersionRecord
from fscore.versions.removal import ReclaimProgress

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
    "Expression",
    "Feature",
    "FeatureNotFound",
    "FeatureService",
    "FeatureServiceNotFound",
    "FeatureTable",
    "FeatureView",
    "FeatureViewNotFound",
    "FileSource",
    "FlagView",
    "Float32",
    "Float64",
    "ForkedProcess",
    "FscoreError",
    "Int64",
    "InvalidArgument",
    "InvalidDefinition",
    "InvalidKeys",
    "InvalidRequest",
    "InvalidValue",
    "List",
    "MalformedRequest",
    "Migration",
    "MigrationProgress",
    "NotPicklable",
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
    "WrongEventLoop",
    "connect",
    "count",
    "diff",
    "distinct",
    "evaluate",
    "ever",
    "first",
    "largest",
    "latest",
    "parse_read_request",
    "request",
    "resolve",
    "smallest",
    "total",
    "window",
]


def _name_exports_as_public() -> None:
    """Set `__module__` of the exported classes and functions to this package.

    Reprs, pickles and messages then name what applications import, even if the code moves.
    """
    for name in __all__:
        export = globals()[name]
        if isinstance(export, type | FunctionType) and export is not FeatureTable:
            export.__module__ = "fscore"


_name_exports_as_public()
