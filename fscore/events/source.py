"""Makes the projection of a source from the definitions."""

from __future__ import annotations

import difflib

from fscore.errors import InvalidValue, SourceNotFound
from fscore.events.projection import SourceProjection
from fscore.model.names import listed
from fscore.registry.registry import Registry

__all__ = ["project_source"]


def project_source(registry: Registry, source: str) -> SourceProjection:
    """Return the projection that turns the events of a source into rows of its views.

    Raises SourceNotFound, and InvalidValue if the events fill no view by themselves.
    """
    sources = {
        view.source.name: view.source for view in registry.views.values() if view.source is not None
    }
    if source not in sources:
        near = difflib.get_close_matches(source, sources, n=3)
        hint = f"did you mean {near[0]}?" if near else f"the sources are {listed(sources)}"
        raise SourceNotFound(
            f"no view has a source named {source!r}; {hint}", name=source, suggestions=near
        )
    chosen = sources[source]
    projection = SourceProjection(
        chosen,
        [view for view in registry.views.values() if view.source == chosen],
        {name: entity.join_keys for name, entity in registry.entities.items()},
    )
    if not projection.views:
        reasons = "; ".join(f"{view}: {why}" for view, why in projection.left_out.items())
        raise InvalidValue(
            f"events of {source} fill no view by themselves, load them from files with "
            f"`fscore load`: {reasons}"
        )
    return projection
