"""Every exception fscore raises.

There are two families. A `ClientFault` means that the call itself was wrong: repeating it unchanged
gives the same answer. A `ServerFault` means that the call was fine and something behind it was not:
Redis, the network, the configuration, or somebody who was faster.

Each class has a stable `code`, which is what logs, metrics and HTTP problem documents carry, and
the HTTP `status` that answers it. All of them pickle with their attributes, so they survive a
process pool.

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
    "InvalidDefinition",
    "InvalidKeys",
    "InvalidRequest",
    "InvalidValue",
    "MalformedRequest",
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
]


class FscoreError(Exception):
    """Base of everything fscore raises. The message says what was wrong, where, and what to do."""

    code: ClassVar[str] = "error"
    """Stable name of the error; never changes once released."""
    status: ClassVar[int] = 500
    """HTTP status that answers this error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientFault(FscoreError):
    """The call was wrong; the same call again fails again."""

    code = "client_fault"
    status = 400


class ServerFault(FscoreError):
    """The call was right, and Redis, the network or the configuration was not."""

    code = "server_fault"
    status = 503


# The caller's faults


class InvalidKeys(ClientFault):
    """Join keys that are missing, too many, of the wrong type or of unequal length.

    `join_key` names the key, `row` is the position in its column; both are None where they do not
    apply.
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
    """A value to be written, or an input of a request, is not of its type, or not of its view.

    Likewise an input that the features need and the request does not bring.
    """

    code = "invalid_value"
    status = 422

    def __init__(self, message: str, *, feature: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.feature = feature
        self.row = row


class InvalidDefinition(ClientFault):
    """Definitions that contradict the rules or each other.

    `problems` has one line for each, all found at once.
    """

    code = "invalid_definition"
    status = 422

    def __init__(self, message: str, *, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class UnsafeChange(ClientFault):
    """Applying these definitions would make stored data unreadable or unreachable.

    `changes` has one line for each.
    """

    code = "unsafe_change"
    status = 409

    def __init__(self, message: str, *, changes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.changes = tuple(changes)


class _NotFound(ClientFault):
    """A name that the registry does not know, with the nearest names that it does."""

    status = 404

    def __init__(
        self, message: str, *, name: str | None = None, suggestions: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.name = name
        self.suggestions = tuple(suggestions)


class EntityNotFound(_NotFound):
    """No entity has this name or these join keys."""

    code = "entity_not_found"


class FeatureServiceNotFound(_NotFound):
    """No feature service has this name."""

    code = "feature_service_not_found"


class FeatureViewNotFound(_NotFound):
    """No feature view has this name."""

    code = "feature_view_not_found"


class FeatureNotFound(_NotFound):
    """No feature has this name where it was looked for."""

    code = "feature_not_found"


class SourceNotFound(_NotFound):
    """No view has a source of this name."""

    code = "source_not_found"


class VersionNotFound(_NotFound):
    """The feature service has no such version, or none before the current one."""

    code = "version_not_found"


class AmbiguousFeature(ClientFault):
    """A name that means more than one feature. `candidates` are spellings that mean one."""

    code = "ambiguous_feature"
    status = 422

    def __init__(
        self, message: str, *, name: str | None = None, candidates: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(candidates)


class VersionInUse(ClientFault):
    """A version was to be retired that a feature service reads, or would go back to.

    `services` are their names.
    """

    code = "version_in_use"
    status = 409

    def __init__(self, message: str, *, services: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.services = tuple(services)


class VersionRetired(ClientFault):
    """A version was to be promoted whose data is being removed, or is gone."""

    code = "version_retired"
    status = 409


class ForkedProcess(ClientFault):
    """A client made before a fork was used in the child.

    Its sockets belong to the parent. Connect again there.
    """

    code = "forked_process"
    status = 503


class InvalidRequest(ClientFault):
    """The body of a request is not what the route takes, or not what the features need.

    `offset` is the byte at which that shows, where there is one.
    """

    code = "invalid_request"
    status = 422

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class MalformedRequest(InvalidRequest):
    """The body of a request is not JSON.

    It is broken, not UTF-8, nested too deep, or has a name twice or a number beyond 64 bits.
    """

    code = "malformed_request"
    status = 400


class RequestTooLarge(ClientFault):
    """The request is over a limit; `limit` says which number it must not exceed."""

    code = "request_too_large"
    status = 413

    def __init__(self, message: str, *, limit: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit


# The server's faults


class DeadlineExceeded(ServerFault, TimeoutError):
    """The deadline passed with nothing answered. `timeout` is what the call had, in seconds."""

    code = "deadline_exceeded"
    status = 504

    def __init__(self, message: str, *, timeout: float | None = None) -> None:
        super().__init__(message)
        self.timeout = timeout


class Unavailable(ServerFault, ConnectionError):
    """No connection to the node that has the data. `retry_after` is a suggestion in seconds."""

    code = "unavailable"
    status = 503

    def __init__(
        self, message: str, *, node: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.node = node
        self.retry_after = retry_after


class Overloaded(ServerFault):
    """A queue is full and more work was refused at the door.

    `retry_after` is a suggestion in seconds.
    """

    code = "overloaded"
    status = 429

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WriteRejected(ServerFault):
    """Redis refuses writes for now (OOM, MISCONF, NOREPLICAS, READONLY).

    `reason` is its error code.
    """

    code = "write_rejected"
    status = 503

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolError(ServerFault):
    """What arrived is not what was asked for.

    Not RESP, cut short, or over a limit. The connection was closed.
    """

    code = "protocol_error"
    status = 502


class ConfigError(ServerFault):
    """Settings, permissions or stored data that an operator has to mend; never retried."""

    code = "config_error"
    status = 503


class AuthenticationFailed(ConfigError):
    """Redis refused the user name or the password."""

    code = "authentication_failed"


class RegistryConflict(ServerFault):
    """Somebody else applied definitions in between: revision `found` where `expected` was read."""

    code = "registry_conflict"
    status = 409

    def __init__(
        self, message: str, *, expected: int | None = None, found: int | None = None
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class VersionConflict(ServerFault):
    """Somebody else switched the feature service in between: `found` where `expected` was read.

    Both are versions. None of it was changed by this call.
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
        InvalidKeys,
        InvalidValue,
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
