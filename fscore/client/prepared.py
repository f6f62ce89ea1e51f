"""The common part of both clients' `Prepared`: a choice of features, compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from fscore._fscore import FeatureTable, KeyColumns, ReadPlan
from fscore.client.core import Core
from fscore.client.followed import Definitions, Followed
from fscore.client.options import (
    Keys,
    Read,
    ReadOptions,
    RequestValues,
    checked_version,
    read_options,
)
from fscore.client.unpicklable import Unpicklable
from fscore.definitions.named import EntityLike, FeatureLike, ServiceLike, names_of_read
from fscore.errors import ConfigError
from fscore.operations.operation import Operation
from fscore.specs.read import ResolvedSet
from fscore.specs.resolve import resolve


@dataclass(frozen=True, slots=True)
class Compiled:
    """The plan of a read, compiled by the definitions and versions in `followed`.

    `current` is the version that the service reads. `fault` says why its pointer cannot be used, if
    so; then only requests that pin a version succeed.
    """

    followed: Followed
    resolved: ResolvedSet
    plan: ReadPlan
    current: int
    fault: ConfigError | None = None

    def version(self, pinned: int | None) -> int:
        """Return the version to read: `pinned`, or else the current one.

        Raises ConfigError if the service's pointer is not valid.
        """
        if pinned is not None:
            return checked_version(pinned)
        if self.fault is not None:
            raise self.fault
        return self.current

    def options(
        self,
        version: int | None,
        consistency: str,
        as_of: datetime | int | None,
        partial: bool,
        request: RequestValues | None,
    ) -> ReadOptions:
        """Return the options of one read."""
        return read_options(
            self.version(version),
            consistency,
            as_of,
            partial,
            request,
            is_pinned=version is not None,
        )


# What most callers bring; the core reads it in the time of a call's own.
_LASTING = (list, dict, tuple, KeyColumns, np.ndarray)


def is_final(table: FeatureTable, options: ReadOptions) -> bool:
    """Return whether reading again cannot give a better answer."""
    return not table.unknown_schemas and table.pointer in (None, options.version)


class PreparedCore(Unpicklable):
    """A feature service, or a choice of features, compiled once; requests bring only keys.

    A new revision of the definitions is compiled when it is first used.
    """

    def __init__(
        self,
        core: Core,
        service: ServiceLike | None,
        features: Sequence[FeatureLike] | None,
        entity: EntityLike | None,
    ) -> None:
        self._core = core
        self._asked = names_of_read(service, features, entity)
        # Threads read this while another replaces it, so it is one object, replaced as a whole.
        self._compiled = self._compile(core.followed)

    def compiled(self) -> Compiled:
        """Return the plan for the definitions and versions that the client follows now."""
        compiled = self._compiled
        followed = self._core.followed
        if compiled.followed is not followed:
            compiled = self._compiled = self._compile(followed, compiled)
        return compiled

    def _lasting(self, compiled: Compiled, keys: Keys) -> Keys:
        """Return keys that can be read twice: a call may be sent again, and a reader has an end."""
        return keys if type(keys) in _LASTING else compiled.plan.key_columns(keys)

    def reading_again(
        self, keys: Keys, options: ReadOptions, table: FeatureTable
    ) -> Operation[FeatureTable]:
        """Read again until a snapshot finds the version that it read, and all schemas are known."""
        while table.pointer is not None and table.pointer != options.version:
            options = replace(options, version=table.pointer)
            table = yield Read(self.compiled().plan, keys, options)
        unknown = table.unknown_schemas
        if unknown and (yield from self._core.learning(unknown)):
            table = yield Read(self.compiled().plan, keys, options)
        return table

    def _compile(self, followed: Followed, known: Compiled | None = None) -> Compiled:
        if known is not None and known.followed.definitions is followed.definitions:
            resolved, plan = known.resolved, known.plan
        else:
            resolved, plan = self._plan(followed.definitions)
        current, fault = resolved.version, None
        if resolved.service is not None:
            try:
                current = followed.current_version(resolved.service)
            except ConfigError as error:
                fault = error
        return Compiled(followed, resolved, plan, current, fault)

    def _plan(self, definitions: Definitions) -> tuple[ResolvedSet, ReadPlan]:
        resolved = resolve(definitions.registry, *self._asked)
        spec = resolved.to_spec(definitions.stored.schemas)
        return resolved, ReadPlan(spec, definitions.key_prefix, self._core.settings.max_keys)

    @property
    def service(self) -> str | None:
        """The name of the feature service; None if features were chosen without one."""
        return self._compiled.resolved.service

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the result's columns."""
        return self._compiled.resolved.names

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the features, in the same order."""
        return self._compiled.resolved.types

    @property
    def join_keys(self) -> dict[str, str]:
        """Join keys that a read needs, by name, with their types."""
        return self._compiled.resolved.join_keys

    @property
    def request(self) -> dict[str, str]:
        """Request inputs that a read needs beside its join keys, by name, with their types."""
        return dict(self._compiled.resolved.request)

    @property
    def version(self) -> int:
        """The version that a read takes if it does not pin one.

        It is the version that was promoted for the service, as last read from Redis; the version in
        the service's definition if none was promoted; 1 without a service. Raises ConfigError if
        the service's stored pointer is not a valid version.
        """
        return self.compiled().version(None)

    @property
    def strategies(self) -> dict[str, str]:
        """The command that reads each entity's hash, by entity: HMGET or HGETALL."""
        compiled = self._compiled
        return dict(zip(compiled.resolved.hashes, compiled.plan.strategies, strict=True))

    def __repr__(self) -> str:
        what = self.service or ", ".join(self.features[:3])
        return f"<{type(self).__name__} {what!r}: {len(self.features)} features>"
