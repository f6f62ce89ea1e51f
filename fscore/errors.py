"""Every exception fscore raises.

There are two families. A `ClientFault` means that the call itself was wrong: the same call fails
again. A `ServerFault` means that the call was right, but Redis, the network or the configuration
was not, or that another caller was faster.

Each class has a stable `code`, which logs, metrics and HTTP problem documents carry, and the HTTP
`status` that the server answers it with. All of them pickle with their attributes, so they survive
a process pool.

    >>> from fscore.errors import ERRORS, DeadlineExceeded, ServerFault
    >>> ERRORS["deadline_exceeded"] is DeadlineExceeded
    True
    >>> issubclass(DeadlineExceeded, TimeoutError) and issubclass(DeadlineExceeded, ServerFault)
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ERRORS",
    "AmbiguousFeature",
    "AuthenticationFailed",
    "ClientFault",
    "ConfigError",
    "DeadlineExceeded",
    "EntityNotFound",
    "FeatureNotFound",
    "FeatureServiceNotFound",
    "FeatureViewNotFound",
    "ForkedProcess",
    "FscoreError",
    "InvalidArgument",
    "InvalidDefinition",
    "InvalidKeys",
    "InvalidRequest",
    "InvalidValue",
    "MalformedRequest",
    "MissingValues",
    "NotPicklable",
    "Overloaded",
    "ProtocolError",
    "RegistryConflict",
    "RequestTooLarge",
    "ServerFault",
    "SourceNotFound",
    "Unavailable",
    "UnsafeChange",
    "VersionConflict",
    "VersionInUse",
    "VersionNotFound",
    "VersionRetired",
    "WriteRejected",
    "WrongEventLoop",
]


class FscoreError(Exception):
    """Base of every exception of fscore. Its message says what was wrong, where, and what to do."""

    code: ClassVar[str] = "error"
    """Stable name of the error; never changes once released."""
    status: ClassVar[int] = 500
    """HTTP status that the server answers this error with."""
    redis_code: str | None = None
    """The first word of the error reply that is the cause, such as `WRONGTYPE`; else None."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientFault(FscoreError):
    """The call was wrong; the same call again fails again."""

    code = "client_fault"
    status = 400


class ServerFault(FscoreError):
    """The call was right, but Redis, the network or the configuration was not."""

    code = "server_fault"
    status = 503


# The caller's faults


class InvalidArgument(ClientFault, ValueError):
    """An argument of a call is of the wrong type, or is not one of the values that it may have.

    `argument` is its name. Rows, keys and inputs have errors of their own, which name the row.
    """

    code = "invalid_argument"
    status = 422

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class InvalidKeys(ClientFault):
    """Join keys are missing, unknown, of the wrong type, or of unequal length.

    `join_key` names the key and `row` is the position in its column; either may be None.
    """

    code = "invalid_keys"
    status = 422

    def __init__(
        self, message: str, *, join_key: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(message)
        self.join_key = join_key
        self.row = row


class InvalidValue(ClientFault):
    """A value to write or an input of a read is missing, unknown or of the wrong type.

    `feature` names the value or input and `row` is its row; either may be None.
    """

    code = "invalid_value"
    status = 422

    def __init__(self, message: str, *, feature: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.feature = feature
        self.row = row


class MissingValues(ClientFault, ValueError):
    """A column of integers or booleans was asked for, and some of its values are missing.

    `feature` is its name, `row` the first row without a value, and `count` how many rows have none.
    """

    code = "missing_values"
    status = 422

    def __init__(
        self,
        message: str,
        *,
        feature: str | None = None,
        row: int | None = None,
        count: int | None = None,
    ) -> None:
        super().__init__(message)
        self.feature = feature
        self.row = row
        self.count = count


class InvalidDefinition(ClientFault):
    """The definitions break a rule or contradict each other.

    `problems` lists everything that is wrong, one line each.
    """

    code = "invalid_definition"
    status = 422

    def __init__(self, message: str, *, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class UnsafeChange(ClientFault):
    """Applying these definitions would make stored data unreadable or unreachable.

    `changes` lists the unsafe changes, one line each.
    """

    code = "unsafe_change"
    status = 409

    def __init__(self, message: str, *, changes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.changes = tuple(changes)


class _NotFound(ClientFault):
    """The registry does not know `name`; `suggestions` are the nearest names that it knows."""

    status = 404

    def __init__(
        self, message: str, *, name: str | None = None, suggestions: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.name = name
        self.suggestions = tuple(suggestions)


class EntityNotFound(_NotFound):
    """No entity has this name, or these join keys."""

    code = "entity_not_found"


class FeatureServiceNotFound(_NotFound):
    """No feature service has this name."""

    code = "feature_service_not_found"


class FeatureViewNotFound(_NotFound):
    """No feature view has this name."""

    code = "feature_view_not_found"


class FeatureNotFound(_NotFound, KeyError):
    """The entity, view, service or table has no feature of this name."""

    code = "feature_not_found"

    def __str__(self) -> str:
        # A KeyError would show the message in quotes.
        return self.message


class SourceNotFound(_NotFound):
    """No view has a source of this name."""

    code = "source_not_found"


class VersionNotFound(_NotFound):
    """The feature service has no such version, or no earlier one to go back to."""

    code = "version_not_found"


class AmbiguousFeature(ClientFault):
    """The name fits more than one feature. `candidates` lists names that fit exactly one."""

    code = "ambiguous_feature"
    status = 422

    def __init__(
        self, message: str, *, name: str | None = None, candidates: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(candidates)


class VersionInUse(ClientFault):
    """The version cannot be retired: a feature service reads it, or would roll back to it.

    `services` lists these services.
    """

    code = "version_in_use"
    status = 409

    def __init__(self, message: str, *, services: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.services = tuple(services)


class VersionRetired(ClientFault):
    """The version cannot be promoted: its data is being removed, or is gone."""

    code = "version_retired"
    status = 409


class ForkedProcess(ClientFault):
    """A client that was made before a fork is used in the child: connect again in the child.

    The client's sockets belong to the parent.
    """

    code = "forked_process"
    status = 503


class WrongEventLoop(ClientFault, RuntimeError):
    """An asyncio client is used outside the event loop in which it was made: connect again there.

    The client's connection belongs to that loop.
    """

    code = "wrong_event_loop"
    status = 500


class NotPicklable(ClientFault, TypeError):
    """A client, or a part of one, is pickled or copied: connect again in the other process.

    Pickle the settings, `client.settings`, or the URL instead.
    """

    code = "not_picklable"
    status = 500


class InvalidRequest(ClientFault):
    """The body of the request does not fit the route, or the features that it asks for.

    `offset` is the byte in the body at which that shows, or None.
    """

    code = "invalid_request"
    status = 422

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class MalformedRequest(InvalidRequest):
    """The body of the request is not valid JSON.

    It is broken, is not UTF-8, nests too deep, has a name twice, or has a number beyond 64 bits.
    """

    code = "malformed_request"
    status = 400


class RequestTooLarge(ClientFault):
    """The request is larger than a limit; `limit` is the greatest value allowed."""

    code = "request_too_large"
    status = 413

    def __init__(self, message: str, *, limit: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit


# The server's faults


class DeadlineExceeded(ServerFault, TimeoutError):
    """The deadline passed before anything was answered. `timeout` is the call's, in seconds."""

    code = "deadline_exceeded"
    status = 504

    def __init__(self, message: str, *, timeout: float | None = None) -> None:
        super().__init__(message)
        self.timeout = timeout


class Unavailable(ServerFault, ConnectionError):
    """The node that has the data cannot be reached. `retry_after` suggests a pause in seconds."""

    code = "unavailable"
    status = 503

    def __init__(
        self, message: str, *, node: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.node = node
        self.retry_after = retry_after


class Overloaded(ServerFault):
    """Too many requests are in flight, so this one was refused before it was sent.

    `retry_after` suggests a pause in seconds.
    """

    code = "overloaded"
    status = 429

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WriteRejected(ServerFault):
    """Redis currently refuses writes (OOM, MISCONF, NOREPLICAS, READONLY).

    `reason` is the error code of Redis.
    """

    code = "write_rejected"
    status = 503

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolError(ServerFault):
    """The server's reply is not a valid answer to the command.

    It is not RESP, is cut short, or exceeds a limit. The client has closed the connection.
    """

    code = "protocol_error"
    status = 502


class ConfigError(ServerFault):
    """An operator has to correct settings, permissions or stored data; never retried."""

    code = "config_error"
    status = 503


class AuthenticationFailed(ConfigError):
    """Redis refused the user name or the password."""

    code = "authentication_failed"


class RegistryConflict(ServerFault):
    """Another caller applied definitions first: the revision is `found`, not `expected`."""

    code = "registry_conflict"
    status = 409

    def __init__(
        self, message: str, *, expected: int | None = None, found: int | None = None
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class VersionConflict(ServerFault):
    """Another caller switched the feature service first: it reads `found`, not `expected`.

    Both are versions. This call changed nothing.
    """

    code = "version_conflict"
    status = 409

    def __init__(
        self, message: str, *, expected: int | None = None, found: int | None = None
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


ERRORS: dict[str, type[FscoreError]] = {
    error.code: error
    for error in (
        FscoreError,
        ClientFault,
        InvalidArgument,
        InvalidKeys,
        InvalidValue,
        MissingValues,
        InvalidDefinition,
        UnsafeChange,
        EntityNotFound,
        FeatureServiceNotFound,
        FeatureViewNotFound,
        FeatureNotFound,
        SourceNotFound,
        VersionNotFound,
        AmbiguousFeature,
        VersionInUse,
        VersionRetired,
        ForkedProcess,
        WrongEventLoop,
        NotPicklable,
        InvalidRequest,
        MalformedRequest,
        RequestTooLarge,
        ServerFault,
        DeadlineExceeded,
        Unavailable,
        Overloaded,
        WriteRejected,
        ProtocolError,
        ConfigError,
        AuthenticationFailed,
        RegistryConflict,
        VersionConflict,
    )
}
"""Every class by its code."""


def wrong_argument(
    argument: str, given: object, expected: str, *, at: int | None = None
) -> InvalidArgument:
    """Return the error of an argument, or of its item `at`, that is not what it must be.

    >>> wrong_argument("timeout", "soon", "a number of seconds").message
    "timeout is 'soon'; it must be a number of seconds"
    """
    from reprlib import Repr

    name = argument if at is None else f"{argument}[{at}]"
    shown = Repr()
    shown.maxstring = shown.maxother = 80
    message = f"{name} is {shown.repr(given)}; it must be {expected}"
    return InvalidArgument(message, argument=argument)
