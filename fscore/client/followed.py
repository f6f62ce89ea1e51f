"""The result of one look at Redis: definitions and versions, and plans compiled from them.

Each look that finds something new makes a new `Followed`. Compiled plans are kept with their
definitions, so that they are dropped together.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from fscore._fscore import WritePlan
from fscore.events.projection import SourceProjection
from fscore.events.source import project_source
from fscore.interop.rows import now_ms
from fscore.model.views import FlagViewDefinition, SeriesViewDefinition
from fscore.operations.expiries import Outdated, outdated_of
from fscore.operations.registry import StoredRegistry
from fscore.registry.registry import Registry
from fscore.specs.resolve import delete_spec, write_spec
from fscore.versions.records import Pointers, Records, live_versions

_WRITE_PLANS = 256

_WritePlan: TypeAlias = tuple[dict[str, Any], WritePlan]
"""A plan as plain data, and compiled."""


class Definitions:
    """The definitions as one look found them, and the plans that were compiled from them."""

    def __init__(self, stored: StoredRegistry, key_prefix: str) -> None:
        self.stored = stored
        self.key_prefix = key_prefix
        self._write_plans: dict[tuple[str, str, bool, Outdated], _WritePlan] = {}
        self._delete_plans: dict[str, WritePlan] = {}
        self._projections: dict[str, SourceProjection] = {}
        # Fingerprints of schemas that Redis does not have.
        self._nowhere: set[int] = set()

    @property
    def registry(self) -> Registry:
        """All definitions."""
        return self.stored.registry

    def write_plan(
        self, view: str, ordering: str, field_ttl: bool
    ) -> tuple[dict[str, Any], WritePlan]:
        """Return the plan for writing rows of a view, as data and compiled.

        Raises FeatureViewNotFound, and InvalidValue if the view stores nothing.
        """
        definition = self.registry.views.get(view)
        outdated: Outdated = None
        if definition is not None:
            outdated = outdated_of(self.stored.expiries, definition, now_ms())
        key = (view, ordering, field_ttl, outdated)
        found = self._write_plans.get(key)
        if found is None:
            spec = write_spec(self.registry, view)
            plan = WritePlan(
                spec,
                self.key_prefix,
                event_time_order=ordering == "event_time",
                field_ttl=field_ttl,
                outdated=outdated,
            )
            if len(self._write_plans) >= _WRITE_PLANS:
                self._write_plans.clear()
            found = self._write_plans[key] = spec, plan
        return found

    def delete_plan(self, view: str) -> WritePlan:
        """Return the plan for removing rows of a view from every layout it has or may have had.

        Raises FeatureViewNotFound, and InvalidValue if the view stores nothing.
        """
        found = self._delete_plans.get(view)
        if found is None:
            spec = delete_spec(self.registry, view)
            found = self._delete_plans[view] = WritePlan(spec, self.key_prefix)
        return found

    def projection(self, source: str) -> SourceProjection:
        """Return the projection that turns the events of a source into rows.

        Raises SourceNotFound, and InvalidValue if the events fill no view by themselves.
        """
        found = self._projections.get(source)
        if found is None:
            found = self._projections[source] = project_source(self.registry, source)
        return found

    def knows_to_be_absent(self, fingerprints: list[int]) -> bool:
        """Return whether a look has already found that Redis has none of these schemas."""
        return self._nowhere.issuperset(fingerprints)

    def note_absent(self, fingerprints: set[int]) -> None:
        """Remember schemas that Redis does not have, so that only one read looks for them."""
        self._nowhere.update(fingerprints)


class Followed:
    """The definitions, and which version each service reads.

    They are replaced together, so that nobody combines the results of two looks. Writers also need
    `records`, the services' lists of versions, which are None until a write reads them.
    """

    def __init__(self, definitions: Definitions, pointers: Pointers) -> None:
        self.definitions = definitions
        self.pointers = pointers
        # Without a revision nobody has changed a version, so there are no lists.
        self.records: Records | None = None if pointers.revision else {}
        self._live: dict[str, tuple[int, ...]] = {}

    @property
    def stored(self) -> StoredRegistry:
        """The registry as Redis has it, with its revision."""
        return self.definitions.stored

    @property
    def registry(self) -> Registry:
        """All definitions."""
        return self.definitions.registry

    def current_versions(self) -> dict[str, int]:
        """Return the version that each service reads, by name.

        A service whose pointer is not a valid version is left out.
        """
        chosen = self.pointers.chosen
        found = (
            (name, chosen.get(name, service.version))
            for name, service in self.registry.services.items()
        )
        return {name: version for name, version in found if isinstance(version, int)}

    def current_version(self, service: str) -> int:
        """Return the version that a service reads; ConfigError if its pointer is not valid."""
        prefix = self.definitions.key_prefix
        return self.pointers.current(self.registry.services[service], prefix)

    def versions_to_write(self, view: str) -> tuple[int, ...]:
        """Return the versions that rows of a view are written to: every live one of its entity.

        Empty for series and flags, which have no versions. The records must have been read.
        """
        found = self._live.get(view)
        if found is None:
            assert self.records is not None, "the lists of versions were not read"
            prefix = self.definitions.key_prefix
            found = live_versions(self.registry, self.pointers, self.records, view, prefix)
            self._live[view] = found
        return found

    def has_versions(self, view: str) -> bool:
        """Return whether rows of a view belong to a version."""
        view_kinds_without = SeriesViewDefinition | FlagViewDefinition
        return not isinstance(self.registry.views[view], view_kinds_without)
