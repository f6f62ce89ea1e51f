"""The Rust core: what crosses the boundary between the languages, once per request."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, TypedDict, final, type_check_only

import numpy as np
import numpy.typing as npt

__all__ = [
    "API_KEY_PREFIX",
    "MAX_EXPRESSION_DEPTH",
    "MAX_REQUEST_ID",
    "ApiKeys",
    "BlockingPool",
    "Caller",
    "CompiledExpression",
    "Connection",
    "FeatureTable",
    "HotConnection",
    "HotReads",
    "KeyColumns",
    "LayoutCopy",
    "ReadPlan",
    "ReadQuery",
    "ReadRequest",
    "ReconnectBackoff",
    "ReplyParser",
    "RequestInputs",
    "RouteCounters",
    "Trace",
    "Traces",
    "WriteBatch",
    "WritePlan",
    "api_key_hash",
    "event_time_fault",
    "event_time_limits",
    "format_expression",
    "is_request_id",
    "key_slot",
    "parse_as_of",
    "parse_query",
    "parse_read_request",
    "parse_timeout_ms",
    "parse_timestamp",
    "reconnect_pause",
]

@final
class ReadPlan:
    """A feature service compiled once into commands and output columns.

    `spec` is what `ResolvedSet.to_spec` gives; reads of more than `max_rows` rows raise
    RequestTooLarge. Raises InvalidDefinition.
    """

    def __new__(cls, spec: dict[str, Any], key_prefix: str, max_rows: int = ...) -> Self: ...
    @property
    def features(self) -> tuple[str, ...]:
        """Names of the output columns, in order."""

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the output columns, in order."""

    @property
    def join_keys(self) -> dict[str, str]:
        """Names and types of the join keys."""

    @property
    def strategies(self) -> list[str]:
        """The command that reads each entity: HMGET or HGETALL."""

@final
class KeyColumns:
    """Join keys that were parsed before, as a request's body is; every read takes them as keys."""

    @property
    def names(self) -> list[str]:
        """Names of the join keys, in the order given."""

    def __len__(self) -> int: ...

@final
class ReadRequest:
    """A parsed and validated read request."""

    @property
    def service(self) -> str | None:
        """The feature service, or None."""

    @property
    def features(self) -> list[str] | None:
        """The features asked for instead, or None."""

    @property
    def entities(self) -> KeyColumns:
        """The join keys."""

    @property
    def rows(self) -> int:
        """How many rows are asked for."""

    @property
    def consistency(self) -> str | None:
        """`eventual`, `primary`, `snapshot` or None."""

    @property
    def timestamps(self) -> bool:
        """Whether event times are wanted."""

    @property
    def version(self) -> int | None:
        """The pinned version, or None."""

    @property
    def partial(self) -> bool | None:
        """Whether an answer with gaps is welcome, or None."""

    @property
    def as_of(self) -> int | None:
        """The moment at which windows end and rows expire in epoch milliseconds, or None."""

    @property
    def inputs(self) -> RequestInputs | None:
        """What it brings beside its keys, not yet read as any type, or None."""

@final
class RequestInputs:
    """Inputs that were parsed before, as a request's body is; every read takes them as `request`.

    They are read when it is known of which types they are, and InvalidRequest tells what does not
    fit, with the offset in the body.
    """

def parse_read_request(body: bytes, max_rows: int) -> ReadRequest:
    """Parse the JSON body of a read request of at most `max_rows` rows.

    Raises MalformedRequest where it is no JSON (not UTF-8, nested over 32 deep, a name twice, NaN,
    an integer beyond 64 bits), InvalidRequest where it is no read request, both with the offset,
    and RequestTooLarge.
    """

@final
class ReadQuery:
    """A read request of one entity as its query string says it, the part behind the question mark.

    Raises MalformedRequest where it cannot be read (a broken percent escape, not UTF-8), and
    InvalidRequest where a parameter is given twice or an option is none. Reads take it as
    `request`: what it has beside options and join keys are inputs.
    """

    def __new__(cls, query: bytes) -> Self: ...
    @property
    def service(self) -> str | None:
        """The feature service, or None."""

    @property
    def features(self) -> list[str] | None:
        """The features asked for, or None."""

    @property
    def version(self) -> int | None:
        """The pinned version, or None."""

    @property
    def partial(self) -> bool | None:
        """Whether an answer with gaps is welcome, or None."""

    @property
    def consistency(self) -> str | None:
        """`eventual`, `primary`, `snapshot` or None."""

    @property
    def as_of(self) -> int | None:
        """The moment at which windows end and rows expire in epoch milliseconds, or None."""

    @property
    def names(self) -> list[str]:
        """Names of all other parameters, in order: join keys and inputs."""

    def key_columns(self, plan: ReadPlan) -> KeyColumns:
        """The values of the plan's join keys, read as their types; raises InvalidRequest."""

MAX_REQUEST_ID: int
"""The longest id of a request that is a caller's own, in bytes."""

def is_request_id(value: bytes) -> bool:
    """Whether a caller's id is fit to be returned and logged as it is.

    Short, and printable ASCII without the space: nothing in it can break a header, a log line or a
    shell word.
    """

def parse_timeout_ms(value: bytes) -> int | None:
    """Whole milliseconds from 1 of at most nine digits, or None of anything else."""

def event_time_limits(now_ms: int) -> tuple[int, int]:
    """Return the first and the last time that an event may have now, in epoch milliseconds."""

def event_time_fault(time_ms: int, now_ms: int, timestamp_format: str | None = None) -> str | None:
    """Say what is wrong with the time of an event, to go on after "which is"; None if nothing is.

    `timestamp_format` says in which unit a number was read, "unix" or "unix_ms", and is None for
    what was no number.
    """

def parse_as_of(text: str) -> int:
    """The epoch milliseconds that `text` says: an integer, or RFC 3339 with an offset from UTC.

    From 1970 to the year 9999. Raises ValueError, whose message follows the name of what was
    parsed: "is before 1970".
    """

def parse_timestamp(text: str) -> int:
    """The same of any year."""

def parse_query(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query string's parameters, each of which is given once.

    Raises MalformedRequest and InvalidRequest, as ReadQuery does.
    """

@final
class FeatureTable:
    """The answer to a read: a row for each key, a column for each feature, both in their order.

    Every value has a status (`fscore.Status`). Where it is not PRESENT there is no value, unless
    the feature has a default, which stands in for NULL, NOT_FOUND and EXPIRED.
    """

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the features, in order, spelled as in the registry."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""

    @property
    def version(self) -> int:
        """The version of the data that was read."""

    @property
    def pointer(self) -> int | None:
        """The version that the pointer named at the moment of a snapshot; None otherwise."""

    @property
    def unknown_schemas(self) -> list[int]:
        """Fingerprints of packed rows whose schema the plan does not have."""

    @property
    def all_present(self) -> bool:
        """Whether every value is PRESENT."""

    @property
    def invalid(self) -> int:
        """How many values are INVALID."""

    @property
    def statuses(self) -> npt.NDArray[np.uint8]:
        """Status codes, of shape (rows, features)."""

    @property
    def event_times(self) -> npt.NDArray[np.datetime64]:
        """Event time of each value, datetime64[ms] of shape (rows, features); NaT where none."""

    @property
    def problems(self) -> list[tuple[int, str | None, str]]:
        """Stored values that could not be served: (row, feature or None, reason), the first 32."""

    def count_statuses(self) -> list[int]:
        """How many values have each status, indexed by its code."""

    def to_numpy(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """A row-major matrix, one row for each key, one column for each feature in order.

        `dtype` is float64 or float32. Without it: float32 where every feature is Float32 or a
        vector, else float64. Int64 and Timestamp (epoch ms) become floats, exact to 2**53 in
        float64; Bool becomes 0 and 1; a vector takes as many columns as it has dimensions. NaN
        where there is no value. TypeError names features that are strings, bytes or lists.
        """

    def column(self, name: str) -> npt.NDArray[Any]:
        """One feature, of length rows: int64, float64, float32, bool, datetime64[ms], or objects.

        A vector has shape (rows, dimension), float32. Where there is no value: NaN, NaT, None, and
        0 or False for Int64 and Bool, which only `statuses` tells apart. KeyError for unknown
        names.
        """

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row: feature to value, None where there is none.

        Values are int, float, bool, str, bytes and lists; timestamps are epoch milliseconds.
        """

    def to_arrow(self) -> Any:
        """A `pyarrow.Table` of typed columns, null where there is no value. Needs pyarrow."""

    def to_json(self, *, timestamps: bool = False, as_of: int | None = None) -> bytes:
        """The JSON document of many entities, as `POST /v1/features` answers.

        It says `as_of`, in epoch milliseconds, where that is given.
        """

    def to_json_one(self, *, as_of: int | None = None) -> bytes:
        """The JSON document of the first row, as `GET /v1/features` answers."""

    def _arrow_fixed(self, index: int) -> tuple[bytes, bytes]: ...
    def _arrow_variable(self, index: int) -> tuple[bytes, bytes, bytes]: ...
    def __len__(self) -> int: ...

@final
class WriteBatch:
    """Encoded commands of a write, which can be sent any number of times."""

    @property
    def rows(self) -> int:
        """How many rows it writes."""

    @property
    def commands(self) -> int:
        """How many commands that takes."""

    @property
    def bytes(self) -> int:
        """How many bytes they have."""

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again at any time without undoing what came between."""

    @property
    def counted(self) -> bool:
        """Whether the server tells how many rows changed something."""

    @property
    def in_order(self) -> bool:
        """Whether the batches before it have to be there first."""

@final
class WritePlan:
    """What writing a view takes, compiled once; `spec` is what `write_spec` gives.

    With `event_time_order` the newest row stays, else the last to arrive. `field_ttl` says that the
    server can let single fields of a hash expire. `outdated` are the expiries that earlier
    definitions may have set, which every row takes back or replaces: of keys, or of single fields
    too. Raises InvalidDefinition.
    """

    def __new__(
        cls,
        spec: dict[str, Any],
        key_prefix: str,
        *,
        event_time_order: bool = False,
        field_ttl: bool = False,
        outdated: Literal["keys", "fields"] | None = None,
    ) -> Self: ...
    def encode_rows(
        self, rows: list[Any], version: int, now_ms: int, batch_rows: int = ...
    ) -> list[WriteBatch]:
        """Encode rows given as one dict each, `batch_rows` of them in a batch.

        Raises InvalidValue and InvalidKeys.
        """

    def encode_columns(
        self,
        keys: dict[str, Any],
        columns: Sequence[tuple[str, Any, npt.NDArray[np.bool_] | None]],
        event_times: npt.NDArray[np.int64] | None,
        version: int,
        now_ms: int,
        batch_rows: int = ...,
        event_ids: list[Any] | None = None,
    ) -> list[WriteBatch]:
        """Encode columns of (feature, values, nulls), `batch_rows` rows in a batch.

        Raises InvalidValue and InvalidKeys.
        """

    def encode_delete(self, keys: Any, version: int) -> WriteBatch:
        """Encode the removal of what the view has of these entities."""

@final
class LayoutCopy:
    """What copying a view's rows from one layout to the other takes, compiled once.

    `source` and `target` are specs as `write_spec` gives them, `schemas` every schema that packed
    rows may bear. Raises InvalidDefinition.
    """

    def __new__(
        cls,
        source: dict[str, Any],
        target: dict[str, Any],
        key_prefix: str,
        schemas: Sequence[tuple[int, Sequence[tuple[str, str]]]],
        *,
        field_ttl: bool = False,
    ) -> Self: ...
    @property
    def hash_fields(self) -> tuple[bytes, ...]:
        """The fields that the view has in a hash, whichever layout that is."""

    @property
    def script(self) -> tuple[str, str]:
        """The Lua source of the script that copies a row, and its digest."""

    def removal(self, source_key: bytes, target_key: bytes) -> list[bytes]:
        """Return what the script takes to remove a row from the source, if the target has one."""

    def row(
        self,
        source_key: bytes,
        target_key: bytes,
        read: Sequence[bytes | None],
        clock_ms: int,
        *,
        moving: bool = False,
    ) -> tuple[list[bytes], list[tuple[str | None, str]]]:
        """Return what the script takes to copy a row that was read: two keys, then arguments.

        The third key, the registry, and the first argument, its revision, are left out. With
        `moving` it is stored only if the target has no row yet, and removed from the source.

        And what of it is invalid, and becomes null: each a feature, or None for the whole row, and
        why. `clock_ms` is the time from which its expiry counts, where that is later than its event
        time.
        """

@final
class Connection:
    """One connection to one server, without its socket.

    An asyncio protocol owns the transport and calls this: `connected` and `closed` as the transport
    says, `receive` with all data, `check_deadlines` when `next_deadline` has come. Afterwards it
    sends what `take_output` returns, best once per turn of the loop, and settles the waiters it was
    handed as `(waiter, result, error)`. Times are seconds of one monotonic clock. An error that the
    request is to be sent again for has `_retry_after`, the pause in seconds before that.
    """

    def __new__(cls, now: float, **settings: Any) -> Self: ...
    def connected(self, now: float) -> None: ...
    def receive(self, data: bytes, now: float) -> list[tuple[Any, Any, Any]]: ...
    def check_deadlines(self, now: float) -> list[tuple[Any, Any, Any]]: ...
    def closed(self, now: float, reason: str | None = None) -> list[tuple[Any, Any, Any]]: ...
    def next_deadline(self) -> float | None: ...
    def take_output(self) -> bytes | None: ...
    def submit_read(
        self,
        plan: ReadPlan,
        keys: Any,
        version: int,
        as_of_ms: int,
        waiter: Any,
        deadline: float,
        now: float,
        *,
        partial: bool = True,
        snapshot: bool = False,
        pointer: bool = False,
        attempt: int = 1,
        request: Any = None,
    ) -> int: ...
    def submit_write(
        self,
        batch: WriteBatch,
        waiter: Any,
        deadline: float,
        now: float,
        *,
        idempotent: bool = False,
        attempt: int = 1,
    ) -> int: ...
    def submit_command(
        self,
        arguments: Sequence[str | bytes | int | float],
        waiter: Any,
        deadline: float,
        now: float,
        *,
        max_reply: int = ...,
        idempotent: bool = False,
        attempt: int = 1,
    ) -> int: ...
    def submit_pipeline(
        self,
        commands: Sequence[Sequence[str | bytes | int | float]],
        waiter: Any,
        deadline: float,
        now: float,
        *,
        max_reply: int = ...,
        idempotent: bool = False,
        attempt: int = 1,
    ) -> int: ...
    def cancel(self, ticket: int) -> bool: ...
    def take_pushes(self) -> list[Any]: ...
    @property
    def ready(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def error(self) -> BaseException | None: ...
    @property
    def has_output(self) -> bool: ...
    @property
    def is_urgent(self) -> bool:
        """Whether what is to be sent is better sent now than at the end of the loop's turn."""

    @property
    def watched_until(self) -> float:
        """When `check_deadlines` is called next, as the driver says; infinity where it is not."""

    @watched_until.setter
    def watched_until(self, time: float) -> None: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def has_answered(self) -> bool:
        """Whether the server has answered any request."""

    @property
    def protocol(self) -> int: ...
    @property
    def server(self) -> dict[str, Any]: ...
    def silent_for(self, now: float) -> float: ...

@final
class ReconnectBackoff:
    """How long to wait before one server is dialled again.

    After a connection that was ready there is no pause; pauses begin where dials fail, or
    connections end as soon as they are made, and are counted from then. Times are seconds of one
    monotonic clock.
    """

    def __new__(cls) -> Self: ...
    def pause(self, now: float) -> float:
        """How many seconds are still to wait before the next dial."""

    def failed(self, now: float) -> None:
        """No connection could be made, or its handshake failed."""

    def ready(self) -> None:
        """The handshake of a connection is over."""

    def lost(self, ready_at: float, answered: bool, now: float) -> None:
        """A connection ended that was ready since `ready_at`, and `answered` requests or none."""

def reconnect_pause(attempt: int, jitter: float) -> float:
    """Seconds to wait before the `attempt`-th try of something, from 1; `jitter` is in 0..1."""

def key_slot(key: bytes) -> int:
    """The cluster's hash slot of `key`, 0 to 16,383, as `CLUSTER KEYSLOT` answers."""

@final
class BlockingPool:
    """Connections to one server, lent to one call each; sockets in Rust.

    A `timeout` in seconds covers waiting for a connection, connecting, retries and the exchange.
    """

    def __new__(cls, **settings: Any) -> Self: ...
    def connect(self, timeout: float | None = None) -> dict[str, Any]: ...
    def command(
        self,
        arguments: Sequence[str | bytes | int | float],
        timeout: float | None = None,
        *,
        idempotent: bool = False,
        max_reply: int = ...,
    ) -> Any: ...
    def pipeline(
        self,
        commands: Sequence[Sequence[str | bytes | int | float]],
        timeout: float | None = None,
        *,
        idempotent: bool = False,
        max_reply: int = ...,
    ) -> list[Any]: ...
    def read(
        self,
        plan: ReadPlan,
        keys: Any,
        version: int,
        as_of_ms: int,
        timeout: float | None = None,
        *,
        partial: bool = True,
        snapshot: bool = False,
        pointer: bool = False,
        request: Any = None,
    ) -> FeatureTable: ...
    def write(
        self, batch: WriteBatch, timeout: float | None = None, *, idempotent: bool = False
    ) -> tuple[int, int, list[tuple[int, str]]]: ...
    @property
    def server(self) -> dict[str, Any]: ...
    @property
    def open(self) -> int: ...
    def close(self) -> None: ...

@final
class RouteCounters:
    """The counters of one HTTP route in a writable array of doubles that worker processes share.

    `places` says where in it: `in_flight`, `hot`, `values` (by status code), `answered`, `gone` and
    `buckets`, which are one for each of `bounds`, one for what is beyond, and the sum of seconds.
    """

    def __new__(
        cls, slots: memoryview[float], places: dict[str, int], bounds: list[float]
    ) -> Self: ...

def api_key_hash(key: bytes) -> bytes | None:
    """The SHA-256 of an API key; None of what does not have the form of one."""

API_KEY_PREFIX: str
"""What every API key begins with."""

@final
class ApiKeys:
    """The API keys that a server knows.

    Each is its name, its SHA-256, the epoch milliseconds from which it is none any more, and the
    services and views that it may read; None where it may read everything.
    """

    def __new__(
        cls,
        keys: list[tuple[str, bytes, int | None, tuple[list[str], list[str]] | None]],
    ) -> Self: ...
    def authenticate(self, headers: list[tuple[bytes, bytes]], now_ms: int) -> Caller:
        """Who sends a request with these headers, whose names are in lower case, at this moment."""

@final
class Caller:
    """Who sends a request, or why that is not known."""

    @property
    def refusal(self) -> str | None:
        """`missing`, `several`, `malformed`, `unknown`, `expired`; None where it may go on."""

    @property
    def name(self) -> str | None:
        """The name of its key, which may have expired; None where it has none that is known."""

    @property
    def scoped(self) -> bool:
        """Whether there is something that it may not read."""

    def has_service(self, service: str) -> bool:
        """Whether it may read this service, whatever views that reads."""

    def has_view(self, view: str) -> bool:
        """Whether it may read this view."""

    def denied(self, service: str | None, views: list[str]) -> tuple[str, str] | None:
        """What it may not read of a service with these views, or of the views alone.

        The kind, `service` or `view`, and the name.
        """

@final
class Trace:
    """A place in a trace."""

    @property
    def trace_id(self) -> str:
        """The trace's id, in 32 digits."""

    @property
    def parent_id(self) -> int | None:
        """The caller's span, or None where the request begins the trace."""

    @property
    def sampled(self) -> bool:
        """Whether it is recorded."""

@final
class Traces:
    """Says which trace a request is part of.

    A `ratio` of those that bring none begin one; their ids follow from `seed`, 16 random bytes.
    """

    def __new__(cls, ratio: float, seed: bytes) -> Self: ...
    def of(self, traceparent: bytes | None, *, may_begin: bool = True) -> Trace | None:
        """The trace that a `traceparent` names (W3C Trace Context).

        Without one, or with a malformed one, it is the trace that the request begins, if any.
        """

@type_check_only
class HotListeners(TypedDict):
    """Who hears of requests that were answered before ASGI."""

    invalid: Callable[[FeatureTable, bytes, Trace | None], object]
    """Called with a table that has invalid values, the request's id, and its trace."""
    answered: Callable[[bytes, str, float, Trace | None, str | None], object] | None
    """Called with the id, the method, the seconds, the trace and the API key's name of each."""
    sampled: (
        Callable[[Trace, bytes | None, bytes, str, bool, float, tuple[str | None, int]], object]
        | None
    )
    """Called for each request whose trace is sampled, once it is over.

    With the trace, `tracestate`, the id, the method, whether the caller was there to be answered,
    the seconds, and what was asked for: the service, if one was, and how many rows.
    """

@final
class HotReads:
    """Plain reads of an HTTP server's worker, answered before ASGI.

    It answers selections that it has learned, and leaves everything else to the application.
    `now` is the monotonic clock; ids of requests are `id_prefix` and a number. `traces` says which
    trace each is part of.
    """

    def __new__(
        cls,
        get: RouteCounters,
        post: RouteCounters,
        now: float,
        id_prefix: bytes,
        traces: Traces,
        listeners: HotListeners,
        *,
        path: bytes,
        timeout: float,
        max_requests: int,
        max_header_bytes: int,
        max_body_bytes: int,
        max_rows: int,
        max_values: int,
        max_learned: int,
    ) -> Self: ...
    def learn(
        self,
        client: Any,
        service: str | None,
        features: list[str] | None,
        join_keys: list[str],
        plan: ReadPlan,
        version: int,
        views: list[str],
    ) -> None:
        """Notes what a selection that `client` was just asked for is compiled into.

        `join_keys` are all names that the request brings, in its order, and `views` those that it
        reads.
        """

    def set_api_keys(self, keys: ApiKeys) -> None:
        """Answers from now on only requests with one of these keys, within its scope."""

    def set_fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Sets the header fields that every answer has before its own."""

    def stop(self) -> None:
        """Leaves everything to the application from now on."""

    def connect(self, protocol: Any, transport: Any) -> HotConnection:
        """What the requests of a connection are given to.

        Answers go to the socket of `transport`, an asyncio transport, or to its `write` where that
        still holds something, is encrypted, or the system does not take all of it. Of `protocol` it
        calls `read_on()` once an answer is written that something was received
        behind, `ended()` after the last one, and where the application has to answer what was
        begun, `hand_over(request, identity, seconds, error, (service, rows))`.
        """

@final
class HotConnection:
    """Requests of one HTTP connection that are answered before ASGI, one at a time."""

    @property
    def free(self) -> bool:
        """Whether nothing that the parser was fed is unanswered; unset while something is."""

    @free.setter
    def free(self, free: bool) -> None: ...
    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""

    @property
    def answered_at(self) -> float:
        """When the last answer was written, on the monotonic clock; 0 where none was."""

    @property
    def stalled(self) -> bool:
        """Whether the caller has yet to read what was written."""

    @stalled.setter
    def stalled(self, stalled: bool) -> None: ...
    def received(self, data: bytes) -> None:
        """Takes what was received.

        It begins to answer it, or calls the protocol's `keep` with what has to wait for an answer,
        or its `parse` with what is the parser's.
        """

    def watch(self) -> None:
        """Has the protocol's `begun` called when the next request is taken, as at the beginning."""

    def end(self) -> None:
        """Makes the answer that is on its way, or the next, the connection's last."""

    def lost(self) -> None:
        """The connection is lost: nothing is written any more."""

    def released(self) -> None:
        """The request that was handed over goes to the parser now."""

MAX_EXPRESSION_DEPTH: int
"""How deep an expression may nest."""

@final
class CompiledExpression:
    """An expression compiled for columns and request inputs of known types.

    `tree` is its JSON, `features` and `request` are names and types of its columns, `data_type`
    is what its values are to be, or None for their own type, and `default` what stands in where
    there is none, or None. Raises ValueError.
    """

    def __new__(
        cls,
        tree: str,
        features: Sequence[tuple[str, str]],
        request: Sequence[tuple[str, str]],
        data_type: str | None = None,
        default: Any = None,
    ) -> Self: ...
    @property
    def data_type(self) -> str:
        """The type of its values, spelled as in the registry."""

    def evaluate(
        self,
        rows: int,
        features: Sequence[tuple[Any, npt.NDArray[np.bool_] | None]],
        request: Sequence[tuple[Any, npt.NDArray[np.bool_] | None]],
        now: int | npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
        """Compute the values and status codes of `rows` rows.

        Columns come in the order of the names they were compiled with, each with an array that is
        true where a value is null, or None. An array of int64, float64, float32 or bool, a list or
        a tuple is a column, in which None is null; anything else is one value for all rows. Where
        the type is a list or a vector, only a list of such is a column. `now` is epoch
        milliseconds. Raises InvalidValue where a value is not of its column's type.
        """

def format_expression(tree: str) -> str:
    """Write the JSON of an expression as people do; ValueError where it is none."""

@final
class ReplyParser:
    """Replies of a server as Python values, for tests and tools."""

    def __new__(cls, *, max_depth: int = 32, max_length: int = ...) -> Self: ...
    def feed(self, data: bytes) -> None: ...
    def next(self) -> Any: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
