"""Prepared sets for the service, the features or the bare keys that a request names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import fscore.aio
from fscore.errors import AmbiguousFeature
from fscore.registry import Registry
from fscore.serving import Caller
from fscore_server.problems import Problem
from fscore_server.reading import access
from fscore_server.reading.cache import Cache
from fscore_server.reading.connection import State
from fscore_server.reading.selection import Selection

_LONGEST_NAME = 512


class PreparedSets:
    """Prepared sets by selection: a bounded cache, made again under each registry."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._cache: Cache[fscore.aio.Prepared] = Cache(state.settings.prepared_features)

    def prepared(self, selection: Selection, caller: Caller | None) -> fscore.aio.Prepared:
        """Return the prepared set of a selection, without asking Redis.

        Raises a `Problem` or the library's error if a name is undefined, the caller may not read
        the features, or the keys and inputs do not fit them.
        """
        client = self._state.defined_client()
        registry = client.registry
        found = self._cache.get(selection, registry)
        if found is not None:
            access.check(caller, selection.service, found.compiled().resolved.view_names)
            return found
        try:
            made = self._prepare(client, registry, selection, caller)
        except access.NAME_FAULTS as error:
            access.refuse_names(caller, selection, error)
        access.check(caller, selection.service, made.compiled().resolved.view_names)
        if selection.service is not None or selection.features is not None:
            inputs = made.request if selection.is_flat else {}
            check_names(selection.names, made.join_keys, inputs)
        self._cache.put(selection, registry, made, len(made.features))
        return made

    def _prepare(
        self,
        client: fscore.aio.Client,
        registry: Registry,
        selection: Selection,
        caller: Caller | None,
    ) -> fscore.aio.Prepared:
        self._check_names(selection)
        # `client.prepare` may first ask Redis for a new revision. The state does that beside the
        # requests, so this compiles directly, and an unknown name is a 404 even while Redis cannot
        # be reached.
        service, features = selection.service, selection.features
        if service is None and features is None:
            try:
                entity = entity_of(registry, selection.names)
            except Problem as problem:
                access.refuse_join_keys(caller, problem)
            return client.compile(entity=entity)
        try:
            return client.compile(service, features=features)
        except AmbiguousFeature:
            # If several entities have such names, the entity whose keys are given is meant.
            only = _only_entity_of(registry, selection.names)
            if service is not None or only is None:
                raise
            return client.compile(features=features, entity=only)

    def _check_names(self, selection: Selection) -> None:
        """Bound the number and length of names: suggestions compare an unknown one with all."""
        features = selection.features or ()
        most = self._state.settings.max_features
        if len(features) > most:
            raise Problem("request_too_large", f"A request may name {most} features.")
        if selection.service is not None and len(selection.service) > _LONGEST_NAME:
            raise Problem("feature_service_not_found", "No feature service has so long a name.")
        if selection.service == "":
            raise Problem("invalid_request", "The name of the 'service' is empty.")
        if any(len(name) > _LONGEST_NAME for name in features):
            raise Problem("feature_not_found", "No feature has so long a name.")


def entity_of(registry: Registry, given: tuple[str, ...]) -> str:
    """Return the entity with exactly these join keys. Raises if there is none, or several."""
    fitting = _entities_of(registry, given)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Problem(
            "invalid_request",
            f"The join keys {_listed(given)} are those of the entities {_listed(fitting)}:"
            " name a service or features.",
        )
    known = sorted({key for entity in registry.entities.values() for key, _ in entity.join_keys})
    unknown = [name for name in given if name not in known]
    if unknown:
        raise Problem(
            "invalid_request",
            f"{_listed(unknown)}: neither a parameter nor a join key;"
            f" the join keys are {_listed(known)}.",
        )
    if not given:
        raise Problem(
            "invalid_request", f"Name an entity by its join keys; they are {_listed(known)}."
        )
    raise Problem("invalid_request", f"No entity has exactly the join keys {_listed(given)}.")


def _only_entity_of(registry: Registry, given: tuple[str, ...]) -> str | None:
    known = {key for entity in registry.entities.values() for key, _ in entity.join_keys}
    # Other names may be inputs. `check_names` refuses the rest once the inputs are known.
    fitting = _entities_of(registry, tuple(name for name in given if name in known))
    return fitting[0] if len(fitting) == 1 else None


def _entities_of(registry: Registry, given: tuple[str, ...]) -> list[str]:
    return [
        name
        for name, entity in registry.entities.items()
        if {join_key for join_key, _ in entity.join_keys} == set(given)
    ]


def check_names(
    given: tuple[str, ...], join_keys: Collection[str], inputs: Collection[str]
) -> None:
    """Raise `invalid_request` unless the given names are exactly these join keys and inputs."""
    unknown = [name for name in given if name not in join_keys and name not in inputs]
    if unknown:
        known = f"the join keys are {_listed(join_keys)}"
        if inputs:
            known += f", the inputs {_listed(inputs)}"
        raise Problem(
            "invalid_request",
            f"{_listed(unknown)}: neither a parameter nor a join key of these features; {known}.",
        )
    missing = [name for name in join_keys if name not in given]
    if missing:
        raise Problem(
            "invalid_request", f"These features need a value for the join key {_listed(missing)}."
        )
    missing = [name for name in inputs if name not in given]
    if missing:
        raise Problem("invalid_request", f"These features need the input {_listed(missing)}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
