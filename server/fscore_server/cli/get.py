"""`fscore get`."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, get_args

import click
import orjson

from fscore.serving import Consistency, parse_as_of
from fscore.types import Status
from fscore_server.cli.assignment import assigned, typed_inputs, typed_key
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.moment import shown_moment
from fscore_server.cli.output.outcome import CommandFailed

if TYPE_CHECKING:
    import fscore
    from fscore import FeatureTable

__all__ = ["get_command"]


@click.command("get")
@click.argument("keys", metavar="KEY=VALUE...", nargs=-1, required=True)
@click.option("--service", help="Read the features of this service.")
@click.option(
    "--features", help="Read these features, separated by commas: platform,user_activity:age."
)
@click.option(
    "--version",
    type=click.IntRange(1, 2**63 - 1),
    help="Read this version instead of the service's.",
)
@click.option(
    "--as-of",
    metavar="TIME",
    help="End windows and decide expiry at this time: 2024-06-01T12:00:00Z, or milliseconds since"
    " 1970.",
)
@click.option(
    "--consistency",
    type=click.Choice(get_args(Consistency)),
    default="eventual",
    help="What may answer the read; snapshot reads each entity at one point in time.",
)
@click.option(
    "--snapshot", "consistency", flag_value="snapshot", help="Short for --consistency snapshot."
)
@click.option(
    "--request",
    "inputs",
    metavar="NAME=VALUE",
    multiple=True,
    help="An input of on-request features: amount=12.5. Give it once for all entities, or once for"
    " each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object for each entity.")
@redis_url_option
def get_command(
    keys: tuple[str, ...],
    service: str | None,
    features: str | None,
    version: int | None,
    as_of: str | None,
    consistency: Consistency,
    inputs: tuple[str, ...],
    as_json: bool,
    redis_url: str | None,
) -> None:
    """Read the features of one or more entities.

    Give join keys as name=value, and repeat them for further entities: user_id=ann user_id=bob.
    Without --service and --features, the command reads every feature of the entity with these join
    keys.
    """
    columns = _columns(keys)
    given = assigned(inputs, "amount=12.5")
    as_of_ms = None if as_of is None else _moment(as_of)
    with connected(redis_url, "get") as client:
        names = features.split(",") if features else None
        entity = None if service or names else _entity_of(client, set(columns))
        prepared = client.prepare(service, features=names, entity=entity)
        typed = {
            name: [typed_key(name, value, prepared.join_keys.get(name)) for value in values]
            for name, values in columns.items()
        }
        table = prepared.get(
            typed,
            version=version,
            as_of=as_of_ms,
            consistency=consistency,
            request=typed_inputs(given, prepared.request, len(next(iter(typed.values())))),
        )
    entities = [dict(zip(typed, row, strict=True)) for row in zip(*typed.values(), strict=True)]
    if as_json:
        _print_json(entities, table, as_of_ms)
    else:
        _print_tables(entities, table, as_of_ms)


def _columns(keys: tuple[str, ...]) -> dict[str, list[str]]:
    columns = assigned(keys, "user_id=user_0000")
    if len({len(values) for values in columns.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
        raise click.UsageError(f"every join key needs as many values as the others: {counts}")
    return columns


def _entity_of(client: fscore.Client, names: set[str]) -> str:
    found = [
        entity.name
        for entity in client.registry.entities.values()
        if {name for name, _ in entity.join_keys} == names
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandFailed(f"no entity has the join keys {', '.join(sorted(names))}")
    raise CommandFailed(
        f"{', '.join(found)} have these join keys; choose features with --service or --features"
    )


def _moment(text: str) -> int:
    try:
        return parse_as_of(text)
    except ValueError as error:
        raise click.UsageError(f"--as-of {text!r} {error}") from None


def _print_json(entities: list[dict[str, Any]], table: FeatureTable, as_of: int | None) -> None:
    for row, (entity, values) in enumerate(zip(entities, table.to_dicts(), strict=True)):
        statuses = {
            name: Status(int(code)).name
            for name, code in zip(table.features, table.statuses[row], strict=True)
            if code != Status.PRESENT or _is_beyond_json(values[name])
        }
        answer: dict[str, Any] = {"entity": entity, "features": values, "version": table.version}
        if statuses:
            answer["statuses"] = statuses
        if as_of is not None:
            answer["as_of"] = as_of
        # orjson writes null for a number that is not finite.
        click.echo(orjson.dumps(answer, default=_base64).decode())


def _is_beyond_json(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _print_tables(entities: list[dict[str, Any]], table: FeatureTable, as_of: int | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    moment = "" if as_of is None else f", as of {shown_moment(as_of)}"
    for row, (entity, values) in enumerate(zip(entities, table.to_dicts(), strict=True)):
        title = ", ".join(f"{name}={value}" for name, value in entity.items())
        console.print(Text(f"{title} (version {table.version}{moment})", style="bold"))
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("feature", "value", "status", "event time"):
            shown.add_column(column, overflow="fold", no_wrap=column == "event time")
        for index, name in enumerate(table.features):
            status = Status(int(table.statuses[row, index]))
            written = table.event_times[row, index]
            shown.add_row(
                Text(name),
                Text(_text(values[name], table.types[index])),
                Text(status.name, style="" if status is Status.PRESENT else "yellow"),
                Text("" if str(written) == "NaT" else shown_moment(int(written.astype("int64")))),
            )
        console.print(shown)
    for row, feature, reason in table.problems:
        click.echo(f"{feature} of entity {row + 1}: {reason}", err=True)


def _text(value: Any, kind: str) -> str:
    if value is None:
        return "-"
    if kind.startswith("Timestamp"):
        return shown_moment(value)
    if kind.startswith("List[Timestamp"):
        return ", ".join(map(shown_moment, value)) or "[]"
    return (
        value if isinstance(value, str) else json.dumps(value, default=_base64, ensure_ascii=False)
    )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
