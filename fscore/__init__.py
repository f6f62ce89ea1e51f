"""fscore: a realtime feature store for inference on Redis and Valkey."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from fscore import window
from fscore._fscore import FeatureTable
from fscore.blocking.client import Client, connect
from fscore.blocking.prepared import Prepared
from fscore.blocking.versions import Versions
from fscore.client.options import Consistency, Keys, Ordering, RequestValues
from fscore.client.push import PushResult
from fscore.client.results import WriteResult
from fscore.client.versions import Retirement
from fscore.config import FollowVersions, RedisOptions
from fscore.connection.endpoint import Endpoint
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
    FeatureRef,
    Float32,
    Float64,
    Int64,
    List,
    Status,
    String,
    Timestamp,
    Vector,
)
from fscore.definitions.named import (
    EntityLike,
    FeatureLike,
    ServiceLike,
    SourceLike,
    ViewLike,
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
    MissingValues,
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
from fscore.model.data_type import DataType
from fscore.model.entities import EntityDefinition, ServiceDefinition, ServiceFeature
from fscore.model.expression import Expression, request
from fscore.model.mapping import FeatureMapping
from fscore.model.renamed import old_names
from fscore.model.source import EventSource
from fscore.model.views import (
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    Layout,
    PayloadField,
    Repeats,
    RequestViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.model.window import WindowFunction
from fscore.offline.evaluate import Evaluation, evaluate
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import Change, RegistryDiff, diff
from fscore.registry.registry import Registry
from fscore.specs.resolve import (
    ResolvedComputed,
    ResolvedEntity,
    ResolvedFeature,
    ResolvedSet,
    ResolvedView,
    resolve,
)
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions, VersionRecord
from fscore.versions.removal import ReclaimProgress

if TYPE_CHECKING:
    from fscore.config import RedisSettings

__version__ = "0.1.0"

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
    "Consistency",
    "DataType",
    "DeadlineExceeded",
    "Endpoint",
    "Entity",
    "EntityDefinition",
    "EntityLike",
    "EntityNotFound",
    "Evaluation",
    "EventSource",
    "Expression",
    "Feature",
    "FeatureDefinition",
    "FeatureLike",
    "FeatureMapping",
    "FeatureNotFound",
    "FeatureRef",
    "FeatureService",
    "FeatureServiceNotFound",
    "FeatureTable",
    "FeatureView",
    "FeatureViewDefinition",
    "FeatureViewNotFound",
    "FlagView",
    "FlagViewDefinition",
    "Float32",
    "Float64",
    "FollowVersions",
    "ForkedProcess",
    "FscoreError",
    "Int64",
    "InvalidArgument",
    "InvalidDefinition",
    "InvalidKeys",
    "InvalidRequest",
    "InvalidValue",
    "Keys",
    "Layout",
    "List",
    "MalformedRequest",
    "Migration",
    "MigrationProgress",
    "MissingValues",
    "NotPicklable",
    "Ordering",
    "Overloaded",
    "Payload",
    "PayloadField",
    "Prepared",
    "ProtocolError",
    "PushResult",
    "ReclaimProgress",
    "RedisOptions",
    "RedisSettings",
    "Registry",
    "RegistryConflict",
    "RegistryDiff",
    "Repeats",
    "RequestTooLarge",
    "RequestValues",
    "RequestView",
    "RequestViewDefinition",
    "ResolvedComputed",
    "ResolvedEntity",
    "ResolvedFeature",
    "ResolvedSet",
    "ResolvedView",
    "Retirement",
    "SeriesView",
    "SeriesViewDefinition",
    "ServerFault",
    "ServiceDefinition",
    "ServiceFeature",
    "ServiceLike",
    "ServiceVersions",
    "SourceLike",
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
    "Versions",
    "ViewDefinition",
    "ViewLike",
    "WindowFunction",
    "WriteRejected",
    "WriteResult",
    "WrongEventLoop",
    "__version__",
    "connect",
    "count",
    "diff",
    "distinct",
    "evaluate",
    "ever",
    "first",
    "latest",
    "mean",
    "request",
    "resolve",
    "window",
]


def _name_exports_as_public() -> None:
    """Set `__module__` of the exported classes and functions to this package.

    Reprs, pickles and messages then name what applications import, even if the code moves.
    """
    for name in (*__all__, "max", "min", "sum"):
        export = globals().get(name)
        if isinstance(export, type | FunctionType) and export is not FeatureTable:
            export.__module__ = "fscore"


_name_exports_as_public()


def _settings() -> Any:
    # Pydantic takes long to import, so this waits until the settings are used.
    from fscore.config import RedisSettings

    return RedisSettings


if TYPE_CHECKING:
    FileSource = EventSource
    total, smallest, largest = sum, min, max
else:
    # With it, type checkers would accept every attribute.
    __getattr__ = old_names(__name__, {"RedisSettings": _settings})

    def __dir__() -> list[str]:
        """Return all names, those that are imported when they are first used too."""
        return sorted({*globals(), *__all__})
