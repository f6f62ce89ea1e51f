"""A view whose rows name their number, so that a test notices one that is old or another's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fscore import Entity, FeatureService, FeatureView, Int64, List, Registry, String
from tests.client.driver import Driver

user = Entity("user", join_keys={"user_id": Int64})


class Row(FeatureView, entity=user):
    number: Int64
    text: String
    parts: List[Int64]


FEATURES = ["number", "text", "parts"]
REGISTRY = Registry.from_definitions([FeatureService("all", features=[Row])])


def row(number: int) -> dict[str, Any]:
    """Return a row whose values agree only if they come from one write."""
    return {"number": number, "text": f"<{number}>", "parts": [number] * (number % 5)}


def rows(users: Iterable[int]) -> list[dict[str, Any]]:
    """Return a row for each user that names its user."""
    return [row(number) for number in users]


def fill(client: Any, users: Iterable[int]) -> None:
    """Write a row for each user."""
    client.write("row", [{"user_id": number, **row(number)} for number in users])


def filled(driver: Driver, url: str, users: Iterable[int]) -> Any:
    """Return a client of a server that has the definitions and a row for each user."""
    client = driver.connect(url, registry_poll=0.01)
    client.apply(REGISTRY)
    fill(client, users)
    return client


def everything(client: Any, users: Iterable[int]) -> list[dict[str, Any]]:
    """Return what is stored for each user."""
    client.refresh()
    found: list[dict[str, Any]] = client.prepare("all").get(list(users)).to_dicts()
    return found
