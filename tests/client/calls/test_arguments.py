"""Wrong arguments: each call names the argument, before it asks or changes anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fscore
from fscore import ClientFault, InvalidArgument
from fscore.client.options import checked_timeout
from tests.client.oracle import fill
from tests.shop import REGISTRY, SERVICES, Membership, customer

WRONG_TIMEOUTS = [
    *("x", "1", b"1", [1.0], {}, True, False, np.True_, np.array([1.0, 2.0])),
    *(0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf, 3600.1, 10**400, np.float32("nan")),
]
TIMED: dict[str, Callable[[Any, Any], Any]] = {
    "get": lambda client, timeout: client.prepare("customer").get([1], timeout=timeout),
    "write": lambda client, timeout: client.write("customer", [], timeout=timeout),
    "push": lambda client, timeout: client.push("clicks", [], timeout=timeout),
    "delete": lambda client, timeout: client.delete("customer", [1], timeout=timeout),
    "execute": lambda client, timeout: client.execute("PING", timeout=timeout),
    "versions.list": lambda client, timeout: client.versions.list(timeout=timeout),
}


@pytest.mark.parametrize("call", TIMED)
def test_a_timeout_is_a_number_of_seconds(client: Any, call: str) -> None:
    for wrong in WRONG_TIMEOUTS:
        with pytest.raises(InvalidArgument, match="above 0 and at most 3600") as caught:
            TIMED[call](client, wrong)
        assert caught.value.argument == "timeout"


@pytest.mark.parametrize(
    "timeout", [5, 5.0, np.float32(5), np.float64(5), np.int64(5), Fraction(5), 3600, 1e-9]
)
def test_every_kind_of_number_is_a_timeout(timeout: Any) -> None:
    checked = checked_timeout(timeout)
    assert type(checked) is float
    assert checked == timeout


class Odd:
    """Neither a name nor a definition."""

    def __repr__(self) -> str:
        return "<odd>"


ODD: Any = Odd()
SERVICE = SERVICES[0]
ARRAY: Any = np.array(["eventual", "eventual"])

# The call, the argument that its error names, and a part of its message.
WRONG: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "prepare a number": (lambda c: c.prepare(5), "service", "service is 5; it must be the name"),
    "prepare a view": (lambda c: c.prepare(Membership), "service", "or a FeatureService"),
    "one feature": (lambda c: c.prepare(features="orders"), "features", "a list of names"),
    "bytes": (lambda c: c.prepare(features=b"orders"), "features", "a list of names"),
    "a number of features": (lambda c: c.prepare(features=2), "features", "a list of names"),
    "a feature alone": (
        lambda c: c.prepare(features=Membership.rank),
        "features",
        "features is Membership.rank; it must be a list",
    ),
    "a view among features": (
        lambda c: c.prepare(features=["orders", Membership]),
        "features",
        r"features\[1\] is <class .*Membership.*>; it must be a name",
    ),
    "none among features": (lambda c: c.prepare(features=[None]), "features", r"features\[0\]"),
    "an alias of no service": (
        lambda c: c.prepare(features=[Membership.rank.alias("place")]),
        "features",
        "only a service's output has an alias",
    ),
    "an odd entity": (lambda c: c.prepare(entity=ODD), "entity", "entity is <odd>"),
    "an entity as service": (
        lambda c: c.prepare(customer),
        "service",
        r"service is Entity\('customer",
    ),
    "a mode": (
        lambda c: c.prepare("customer").get([1], consistency="strong"),
        "consistency",
        "consistency is 'strong'; it must be one of eventual, primary, snapshot",
    ),
    "several modes": (
        lambda c: c.prepare("customer").get([1], consistency=ARRAY),
        "consistency",
        "one of eventual",
    ),
    "no mode": (lambda c: c.prepare("customer").get([1], consistency=None), "consistency", "None"),
    "a version of text": (
        lambda c: c.prepare("customer").get([1], version="2"),
        "version",
        "version is '2'; it must be an integer from 1",
    ),
    "a time of text": (lambda c: c.prepare("customer").get([1], as_of="now"), "as_of", "datetime"),
    "a time before 1970": (lambda c: c.prepare("customer").get([1], as_of=-1), "as_of", "1970"),
    "partly": (
        lambda c: c.prepare("customer").get([1], partial=1),
        "partial",
        "partial is 1; it must be True or False",
    ),
    "write to nothing": (lambda c: c.write(None, []), "view", "view is None"),
    "write to an entity": (lambda c: c.write(customer, []), "view", "or its class"),
    "write to the base of all": (lambda c: c.write(fscore.FeatureView, []), "view", "FeatureView"),
    "no order": (lambda c: c.write("customer", [], ordering=["arrival"]), "ordering", "arrival"),
    "write version 0": (lambda c: c.write("customer", [], version=0), "version", "from 1"),
    "push a view": (lambda c: c.push(Membership, []), "source", "the name of a source"),
    "push version True": (lambda c: c.push("clicks", [], version=True), "version", "True"),
    "delete from nothing": (lambda c: c.delete(3, [1]), "view", "view is 3"),
    "delete version 1.0": (lambda c: c.delete("customer", [1], version=1.0), "version", "1.0"),
    "execute nothing": (lambda c: c.execute(), "arguments", "at least its name"),
    "execute a list": (lambda c: c.execute(["PING"]), "arguments", "not list"),
    "plan a list": (lambda c: c.plan([SERVICE]), "registry", "Registry.from_definitions"),
    "apply a list": (lambda c: c.apply([SERVICE]), "registry", "Registry.from_definitions"),
    "apply maybe": (lambda c: c.apply(REGISTRY, allow_unsafe="no"), "allow_unsafe", "'no'"),
    "migrate a service": (lambda c: c.migrate(SERVICE, "packed"), "view", "FeatureService"),
    "migrate to json": (lambda c: c.migrate("customer", "json"), "to", "one of hash, packed"),
    "migrate at no rate": (lambda c: c.migrate("customer", "packed", rate=0), "rate", "above 0"),
    "migrate, settled never": (
        lambda c: c.migrate("customer", "packed", settle=-1),
        "settle",
        "0 or more",
    ),
    "migrate some": (
        lambda c: c.migrate("customer", "packed", invalid_as_null=None),
        "invalid_as_null",
        "True or False",
    ),
    "migrate and tell nobody": (
        lambda c: c.migrate("customer", "packed", progress="yes"),
        "progress",
        "a function",
    ),
    "create of a view": (lambda c: c.versions.create(Membership), "service", "FeatureService"),
    "a comment of numbers": (
        lambda c: c.versions.create("customer", comment=5),
        "comment",
        "comment is 5; it must be text",
    ),
    "promote nothing": (lambda c: c.versions.promote(None, 2), "service", "service is None"),
    "promote version 0": (lambda c: c.versions.promote("customer", 0), "version", "from 1"),
    "roll back a number": (lambda c: c.versions.rollback(1), "service", "service is 1"),
    "retire by force": (lambda c: c.versions.retire("customer", 2, force=1), "force", "1"),
    "retire at once": (lambda c: c.versions.retire("customer", 2, rate=math.nan), "rate", "nan"),
    "retire and tell nobody": (
        lambda c: c.versions.retire("customer", 2, progress=1),
        "progress",
        "a function",
    ),
    "list a view": (lambda c: c.versions.list(Membership), "service", "FeatureService"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named(client: Any, witness: Any, case: str) -> None:
    call, argument, said = WRONG[case]
    before = {key: witness.dump(key) for key in witness.keys("*")}
    with pytest.raises(InvalidArgument, match=said) as caught:
        call(client)
    assert caught.value.argument == argument
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ClientFault)
    assert {key: witness.dump(key) for key in witness.keys("*")} == before
    assert client.revision == 1


def test_functions_of_registries_take_registries() -> None:
    wrong: Any = [SERVICE]
    for call, argument in (
        (lambda: fscore.resolve(wrong, "profile"), "registry"),
        (lambda: fscore.diff(wrong, REGISTRY), "old"),
        (lambda: fscore.diff(REGISTRY, wrong), "new"),
    ):
        with pytest.raises(InvalidArgument, match=r"Registry\.from_definitions") as caught:
            call()
        assert caught.value.argument == argument


def test_numbers_of_numpy_are_numbers(client: Any) -> None:
    fill(client, 3)
    prepared = client.prepare("customer")
    table = prepared.get(
        [1], timeout=np.float32(20), version=np.int64(1), partial=np.True_, as_of=None
    )
    assert table.version == 1
    assert client.write(
        "customer", [{"customer_id": 1, "orders": 1}], version=np.uint8(2)
    ).versions == (2,)


def test_a_client_that_was_given_wrong_arguments_goes_on(client: Any) -> None:
    fill(client, 3)
    prepared = client.prepare("customer")
    for wrong in ({"timeout": "x"}, {"partial": 2}, {"consistency": 1}, {"version": -1}):
        with pytest.raises(InvalidArgument):
            prepared.get([1], **wrong)
    assert prepared.get([1]).column("orders").tolist() == [1_000_001]
