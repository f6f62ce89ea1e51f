"""All definitions together, as plain data: built, checked and compared.

`Registry` holds the definitions of entities, views and services. `diff` says what a change of them
means for stored data.
"""

from __future__ import annotations

from fscore.model.entities import EntityDefinition, ServiceDefinition, ServiceFeature
from fscore.model.views import (
    LAYOUTS,
    VIEW_KINDS,
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
from fscore.registry.registry import Registry

__all__ = [
    "LAYOUTS",
    "VIEW_KINDS",
    "EntityDefinition",
    "FeatureDefinition",
    "FeatureViewDefinition",
    "FlagViewDefinition",
    "Layout",
    "PayloadField",
    "Registry",
    "Repeats",
    "RequestViewDefinition",
    "SeriesViewDefinition",
    "ServiceDefinition",
    "ServiceFeature",
    "ViewDefinition",
]
