"""Parts for a loader of events: the columns that views read, and the rows that events become.

fscore's own server uses these; they may change with any minor version.
"""

from __future__ import annotations

from fscore._fscore import event_time_fault, event_time_limits
from fscore.events.projection import (
    Cell,
    EventColumns,
    FlagProjection,
    SeriesProjection,
    SourceProjection,
    Values,
    ViewProjection,
    ViewRows,
    typed_cell,
)
from fscore.events.source import project_source
from fscore.interop.moments import expectation
from fscore.model.mapping import Conditions
from fscore.specs.resolve import write_spec

__all__ = [
    "Cell",
    "Conditions",
    "EventColumns",
    "FlagProjection",
    "SeriesProjection",
    "SourceProjection",
    "Values",
    "ViewProjection",
    "ViewRows",
    "event_time_fault",
    "event_time_limits",
    "expectation",
    "project_source",
    "typed_cell",
    "write_spec",
]
