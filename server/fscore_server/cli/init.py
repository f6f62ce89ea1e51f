"""`fscore init`."""

from __future__ import annotations

from pathlib import Path

import click

from fscore_server.cli.output.outcome import CommandFailed

__all__ = ["init_command"]

_TEMPLATE = '''\
"""Feature definitions: features, their sources, and the models that need them.

    fscore plan {folder}      shows what applying this would change
    fscore apply {folder}     stores it in Redis
    fscore load {folder} events.csv
"""

from __future__ import annotations

from fscore import (
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    Int64,
    String,
    Timestamp,
    count,
    latest,
)

user = Entity("user", join_keys={{"user_id": String}})

# A file of events with the columns user_id, timestamp, event and country.
events = EventSource("events", event_time="timestamp")


class UserActivity(FeatureView, entity=user, source=events, ttl="90d", owner="you"):
    country: String = Feature(latest("country"))
    events_total: Int64 = Feature(count(), default=0)
    purchases_total: Int64 = Feature(count(where={{"event": "purchase"}}), default=0)
    last_event_time: Timestamp = Feature(latest("timestamp"))


# The features of one model, in the order of its input.
ranking = FeatureService("ranking", features=[UserActivity])
'''


@click.command("init")
@click.argument("folder", default="features", type=click.Path(path_type=Path, file_okay=False))
def init_command(folder: Path) -> None:
    """Create FOLDER with a first file of definitions to edit. [default: features]"""
    present = sorted(folder.glob("*.py")) if folder.exists() else []
    if present:
        raise CommandFailed(
            f"{folder} has definitions already: {present[0].name}; name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "definitions.py"
    path.write_text(_TEMPLATE.format(folder=folder), encoding="utf-8")
    click.echo(f"wrote {path}; adapt it to your data, then: fscore apply {folder}")
