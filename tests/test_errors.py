"""The exception classes: their codes, their families, and that they survive pickling."""

import pickle

import pytest

from fscore import errors
from fscore.errors import (
    ERRORS,
    ClientFault,
    DeadlineExceeded,
    FscoreError,
    InvalidDefinition,
    RegistryConflict,
    ServerFault,
    Unavailable,
)

FAMILIES = (FscoreError, ClientFault, ServerFault)

# Written out, because logs, metrics and callers rely on the codes: a changed code breaks them.
CODES = {
    "AmbiguousFeature": ("ambiguous_feature", 422),
    "AuthenticationFailed": ("authentication_failed", 503),
    "ConfigError": ("config_error", 503),
    "DeadlineExceeded": ("deadline_exceeded", 504),
    "EntityNotFound": ("entity_not_found", 404),
    "FeatureNotFound": ("feature_not_found", 404),
    "FeatureServiceNotFound": ("feature_service_not_found", 404),
    "FeatureViewNotFound": ("feature_view_not_found", 404),
    "ForkedProcess": ("forked_process", 503),
    "InvalidArgument": ("invalid_argument", 422),
    "InvalidDefinition": ("invalid_definition", 422),
    "InvalidKeys": ("invalid_keys", 422),
    "InvalidRequest": ("invalid_request", 422),
    "InvalidValue": ("invalid_value", 422),
    "MalformedRequest": ("malformed_request", 400),
    "MissingValues": ("missing_values", 422),
    "NotPicklable": ("not_picklable", 500),
    "Overloaded": ("overloaded", 429),
    "ProtocolError": ("protocol_error", 502),
    "RegistryConflict": ("registry_conflict", 409),
    "RequestTooLarge": ("request_too_large", 413),
    "Unavailable": ("unavailable", 503),
    "UnsafeChange": ("unsafe_change", 409),
    "VersionConflict": ("version_conflict", 409),
    "VersionInUse": ("version_in_use", 409),
    "SourceNotFound": ("source_not_found", 404),
    "VersionNotFound": ("version_not_found", 404),
    "VersionRetired": ("version_retired", 409),
    "WriteRejected": ("write_rejected", 503),
    "WrongEventLoop": ("wrong_event_loop", 500),
}


def subclasses(family: type[FscoreError]) -> set[type[FscoreError]]:
    found = set(family.__subclasses__())
    return found.union(*map(subclasses, found))


def test_codes_and_classes_belong_together() -> None:
    concrete = {error.__name__: (code, error.status) for code, error in ERRORS.items()}
    for family in FAMILIES:
        del concrete[family.__name__]
    assert concrete == CODES
    assert all(error.code == code for code, error in ERRORS.items())


def test_every_public_class_is_listed() -> None:
    public = {error for error in subclasses(FscoreError) if not error.__name__.startswith("_")}
    ours = {error for error in public if error.__module__ in ("fscore", "fscore.errors")}
    assert ours | {FscoreError} == set(ERRORS.values())
    assert {error.__name__ for error in ours} <= set(errors.__all__)


@pytest.mark.parametrize("error", ERRORS.values(), ids=lambda error: error.__name__)
def test_each_is_either_the_callers_or_the_servers_fault(error: type[FscoreError]) -> None:
    if error is not FscoreError:
        assert issubclass(error, ClientFault) != issubclass(error, ServerFault)
    assert error.__doc__


def test_misuse_is_also_the_error_that_python_raises_for_it() -> None:
    with pytest.raises(TypeError, match="connect again"):
        raise errors.NotPicklable("connect again")
    with pytest.raises(RuntimeError, match="another loop"):
        raise errors.WrongEventLoop("another loop")


def test_a_wrong_argument_is_a_value_error_that_quotes_only_the_beginning() -> None:
    with pytest.raises(
        ValueError, match=r"features\[2\] is \[0, 1, 2, .*it must be text"
    ) as caught:
        raise errors.wrong_argument("features", list(range(10**6)), "text", at=2)
    assert len(str(caught.value)) < 100
    assert isinstance(caught.value, errors.InvalidArgument)
    assert caught.value.argument == "features"


def test_a_deadline_is_a_timeout_and_an_unavailable_node_a_connection_error() -> None:
    with pytest.raises(TimeoutError, match="too late"):
        raise DeadlineExceeded("too late", timeout=0.05)
    with pytest.raises(ConnectionError, match="gone"):
        raise Unavailable("gone", node="a:1", retry_after=0.5)


def test_an_unknown_feature_is_a_key_error_and_missing_values_are_a_value_error() -> None:
    with pytest.raises(KeyError, match=r"^no age$"):
        raise errors.FeatureNotFound("no age", name="age")
    with pytest.raises(ValueError, match="no value"):
        raise errors.MissingValues("no value", feature="age", row=0, count=1)


@pytest.mark.parametrize("error", ERRORS.values(), ids=lambda error: error.__name__)
def test_the_message_is_all_that_is_required_and_survives_pickling(
    error: type[FscoreError],
) -> None:
    raised = error("what, where, what to do")
    restored = pickle.loads(pickle.dumps(raised))
    assert type(restored) is error
    assert str(restored) == restored.message == "what, where, what to do"
    assert vars(restored) == vars(raised)


@pytest.mark.parametrize(
    "raised",
    [
        DeadlineExceeded("late", timeout=0.05),
        Unavailable("gone", node="a:1", retry_after=0.5),
        InvalidDefinition("two problems", problems=["one", "two"]),
        RegistryConflict("moved", expected=1, found=2),
        errors.FeatureNotFound("unknown", name="agee", suggestions=["age"]),
        errors.InvalidArgument("wrong", argument="timeout"),
        errors.InvalidKeys("wrong", join_key="user_id", row=3),
        errors.MissingValues("none", feature="age", row=3, count=2),
        errors.VersionInUse("read", services=["ranking"]),
        errors.VersionConflict("moved", expected=1, found=2),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_attributes_survive_pickling(raised: FscoreError) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        restored = pickle.loads(pickle.dumps(raised, protocol))
        assert vars(restored) == vars(raised)
        assert restored.args == raised.args
