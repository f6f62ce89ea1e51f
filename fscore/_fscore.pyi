"""The Rust core. A request crosses the boundary between the languages once in each direction."""

from collections.abc import Callable, Iterator, Sequence
from typing import (
    Any,
    ClassVar,
    Literal,
    Self,
    SupportsIndex,
    TypedDict,
    final,
    overload,
    type_check_only,
)

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from typing_extensions import CapsuleType

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
    "unpickle_table",
]

@final
class ReadPlan:
    """A feature service compiled once into commands and output columns.

    `spec` is the result of `ResolvedSet.to_spec`. Reads of more than `max_rows` rows raise
    RequestTooLarge. Raises InvalidDefinition if the spec is wrong.
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

    def key_columns(self, keys: Any) -> KeyColumns:
        """Return the join keys in data of any form that a read takes.

        Raises InvalidKeys, which names the join key and the row.
        """

@final
class KeyColumns:
    """Join keys that were read before; every read takes them as `keys`."""

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
        """The names of the requested features, or None for all of the service."""

    @property
    def entities(self) -> KeyColumns:
        """The join keys."""

    @property
    def rows(self) -> int:
        """How many rows the request asks for: the length of its join key columns."""

    @property
    def consistency(self) -> Literal["eventual", "primary", "snapshot"] | None:
        """`eventual`, `primary`, `snapshot` or None."""

    @property
    def timestamps(self) -> bool:
        """Whether the answer is to include event times."""

    @property
    def version(self) -> int | None:
        """The pinned version, or None."""

    @property
    def partial(self) -> bool | None:
        """Whether the caller accepts an answer with gaps; None if it does not say."""

    @property
    def as_of(self) -> int | None:
        """The time at which windows end and rows expire, in epoch milliseconds, or None."""

    @property
    def inputs(self) -> RequestInputs | None:
        """The inputs that the request brings beside its keys, not yet typed, or None."""

@final
class RequestInputs:
    """Inputs parsed from a request's body; every read takes them as `request`.

    A read converts them to the types that its plan expects. It raises InvalidRequest, with the
    offset in the body, if one does not fit.
    """

def parse_read_request(body: bytes, max_rows: int) -> ReadRequest:
    """Parse the JSON body of a read request, such as `POST /v1/features` takes.

    Raises MalformedRequest if the body is not valid JSON (not UTF-8, nested over 32 deep, a name
    twice, NaN, an integer beyond 64 bits), InvalidRequest if it is not a read request, both with
    the offset in bytes, and RequestTooLarge if it has more than `max_rows` rows.
    """

@final
class ReadQuery:
    """A read request of one entity, parsed from a query string (the part after the question mark).

    Parameters that are neither options nor join keys are inputs; reads take the query as `request`.
    Raises MalformedRequest if the query cannot be decoded (a broken percent escape, not UTF-8), and
    InvalidRequest if a parameter is given twice or an option has a wrong value.
    """

    def __new__(cls, query: bytes) -> Self: ...
    @property
    def service(self) -> str | None:
        """The feature service, or None."""

    @property
    def features(self) -> list[str] | None:
        """The names of the requested features, or None for all of the service."""

    @property
    def version(self) -> int | None:
        """The pinned version, or None."""

    @property
    def partial(self) -> bool | None:
        """Whether the caller accepts an answer with gaps; None if it does not say."""

    @property
    def consistency(self) -> Literal["eventual", "primary", "snapshot"] | None:
        """`eventual`, `primary`, `snapshot` or None."""

    @property
    def as_of(self) -> int | None:
        """The time at which windows end and rows expire, in epoch milliseconds, or None."""

    @property
    def names(self) -> list[str]:
        """Names of all other parameters, in order: join keys and inputs."""

    def key_columns(self, plan: ReadPlan) -> KeyColumns:
        """Return the values of the plan's join keys, of their types; raises InvalidRequest."""

MAX_REQUEST_ID: int
"""The longest request id that is accepted from a caller, in bytes."""

def is_request_id(value: bytes) -> bool:
    """Return whether a request id from a caller can be returned and logged unchanged.

    It must be printable ASCII without spaces, of at most MAX_REQUEST_ID bytes. So it cannot break a
    header, a log line or a shell word.
    """

def parse_timeout_ms(value: bytes) -> int | None:
    """Parse whole milliseconds from 1, of at most nine digits; None if it is anything else."""

def event_time_limits(now_ms: int) -> tuple[int, int]:
    """Return the earliest and the latest valid time of an event, in epoch milliseconds."""

def event_time_fault(time_ms: int, now_ms: int, timestamp_format: str | None = None) -> str | None:
    """Return what is wrong with the time of an event, or None if it is valid.

    The text continues a message that ends with "which is". `timestamp_format` is the unit in which
    a number was read, "unix" or "unix_ms"; it is None if the time was not a number.
    """

def parse_as_of(text: str) -> int:
    """Parse epoch milliseconds: an integer, or a time in RFC 3339 with an offset from UTC.

    The time must be from 1970 to the year 9999. Raises ValueError; its message, such as "is before
    1970", continues a sentence that begins with the parameter's name.
    """

def parse_timestamp(text: str) -> int:
    """Parse a time like `parse_as_of`, but of any year."""

def parse_query(query: bytes) -> list[tuple[str, str]]:
    """Parse a query string into names and values of its parameters, in order.

    Raises MalformedRequest if it cannot be decoded, InvalidRequest if a parameter is given twice.
    """

@final
class FeatureTable:
    """The answer to a read: a row for each entity, a column for each feature, in request order.

    Every value has a status (`fscore.Status`). A value exists only if its status is PRESENT, or if
    the feature has a default: it replaces values that are NULL, NOT_FOUND or EXPIRED.

    `table["age"]` is a column, `table[0]` a row as a dict and `table[2:5]` a list of such rows.
    Iteration yields the rows, `len` counts them, and `"age" in table` asks for a feature. A table
    never changes. It needs no client, and pickles with everything that it says. Tables are equal if
    all of that is equal; their floats are compared bit by bit, so NaN equals NaN.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]

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
    def keys(self) -> dict[str, list[int] | list[str]]:
        """The join keys of the rows, as the caller gave them: name to values."""

    @property
    def version(self) -> int:
        """The version of the data that was read."""

    @property
    def pointer(self) -> int | None:
        """The version that the service's pointer named in a snapshot read; else None."""

    @property
    def unknown_schemas(self) -> list[int]:
        """Fingerprints of schemas that packed rows had and the plan does not know."""

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
        """Event time of each value, datetime64[ms] of shape (rows, features); NaT if unknown."""

    @property
    def problems(self) -> list[tuple[int, str | None, str]]:
        """Stored values that could not be served: (row, feature or None, reason), the first 32."""

    def count_statuses(self) -> list[int]:
        """Return how many values have each status; the index is the status code."""

    def to_numpy(
        self, dtype: npt.DTypeLike | None = None, *, out: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return a row-major matrix of shape (rows, columns): the input of a model.

        Features have one column each, in order; a vector has one for each of its dimensions.
        `dtype` is float64 or float32; the default is float32 if every feature is a Float32 or a
        vector, else float64. Int64 and Timestamp (epoch ms) become floats, exact to 2**53 in
        float64; Bool becomes 0 or 1. Missing values are NaN.

        The array is the caller's own. If `out` is given, it is filled and returned instead: a
        contiguous array of float64 or float32 and of the matrix's shape, such as a slice of the
        rows of a larger one.

        Raises TypeError, which names the features, if some are strings, bytes or lists, and
        InvalidArgument if `out` does not fit; it is unchanged then.
        """

    @overload
    def column(
        self, name: str, *, missing: Literal["mask"]
    ) -> np.ma.MaskedArray[Any, np.dtype[Any]]: ...
    @overload
    def column(self, name: str, *, missing: Any = "raise") -> npt.NDArray[Any]:
        """Return the values of one feature, an array of length rows.

        Its dtype is int64, float64, float32, bool, datetime64[ms] or object; a vector has shape
        (rows, dimension) and float32. `missing` says what stands for missing values:

        - `"raise"`, the default: NaN, NaT or None; Int64 and Bool, which have nothing of the kind,
          raise MissingValues.
        - `"mask"`: the result is a masked array whose mask is true there. Under the mask are 0,
          False, NaN, NaT or None.
        - Any other value: that value, such as 0. A Timestamp may be a datetime with a zone, a
          datetime64, or epoch milliseconds. None and NaT stand for what the type has anyway.

        Raises FeatureNotFound, which is a KeyError, if the name is unknown, InvalidArgument if it
        is not a str, and InvalidValue if `missing` is not of the feature's type.
        """

    def to_dicts(self, *, keys: bool = False, statuses: bool = False) -> list[dict[str, Any]]:
        """Return one dict for each row, from feature name to value; None if it is missing.

        Values are int, float, bool, str, bytes and lists; timestamps are epoch milliseconds. With
        `keys` the join keys come first. With `statuses` the dict ends with the name of each
        feature's status, such as "NOT_FOUND", as `<feature>__status`. Raises InvalidArgument if a
        feature has one of these names.
        """

    def to_arrow(self, *, keys: bool = False, statuses: bool = False) -> pa.Table:
        """Return a `pyarrow.Table` of typed columns; missing values are null.

        With `keys` the join keys are its first columns. With `statuses` it has in addition a
        column of names like PRESENT for each feature, behind all features: `<feature>__status`, a
        dictionary of int8. Every value is copied once.

        The types are int64, double, float, bool, string, binary, timestamp[ms, UTC], lists of
        these, and fixed-size lists of float for vectors. They follow from the features alone, so
        the tables of one prepared set can be concatenated.

        Raises InvalidArgument if two columns would have the same name, RequestTooLarge if a column
        has 2 GiB of text or more, and ConfigError if pyarrow is not installed.
        """

    def to_json(self, *, timestamps: bool = False, as_of: int | None = None) -> bytes:
        """Return the JSON document of all rows, as `POST /v1/features` answers it.

        With `timestamps` it has event times too. `as_of`, in epoch milliseconds, is included if it
        is given.
        """

    def to_json_one(self, *, as_of: int | None = None) -> bytes:
        """Return the JSON document of the first row, as `GET /v1/features` answers it."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, item: str, /) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, item: SupportsIndex, /) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, item: slice, /) -> list[dict[str, Any]]: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def __contains__(self, item: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Self: ...
    def __arrow_c_schema__(self) -> CapsuleType:
        """Return the schema of the features, by Arrow's PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> CapsuleType:
        """Return a stream of one record batch, by Arrow's PyCapsule interface.

        So pyarrow, Polars, DuckDB and others take a table as it is: `pyarrow.table(table)`,
        `polars.DataFrame(table)`. Columns are those of `to_arrow`. Each call copies every value
        once. `requested_schema` may ask for large_string and large_binary, which have no limit of
        2 GiB; other types stay as they are. Raises InvalidArgument if it has other columns.
        """

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return the matrix of `to_numpy`, for `numpy.asarray` and all who call it.

        If every feature is a Float64 or a Float32, and `dtype` is float64, nothing is copied: the
        array is a view of the table, which it keeps alive, and cannot be written to. Other matrices
        are made. With `copy` the array is always new; `copy=False` raises InvalidArgument if it
        would have to be. Raises TypeError like `to_numpy`.
        """

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType:
        """Return the matrix of `__array__` by the DLPack protocol.

        The view goes only to consumers of DLPack 1 and later, which know memory that is read-only,
        and needs NumPy 2.1; all others get a matrix of their own. Raises BufferError if that is not
        what `copy` allows or `dl_device` is not the processor, and TypeError like `to_numpy`.
        """

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the processor, (1, 0)."""

    def to_pandas(self, *, keys: bool = False, statuses: bool = False) -> pd.DataFrame:
        """Return a `pandas.DataFrame`; `keys` and `statuses` are those of `to_arrow`.

        Columns follow from the features, whether values are missing or not:

        - Int64 and Bool are pandas' `Int64` and `boolean`, with NA.
        - Float64 and Float32 are float64 and float32, with NaN.
        - Timestamp is datetime64[ms, UTC], with NaT.
        - String is pandas' own type of text, with what that has for missing values: `str`, and
          `object` before pandas 3.
        - Bytes, lists and vectors are `object`, with None. A vector is an array of float32; in a
          list, timestamps are epoch milliseconds.
        - Join keys are int64 or text, statuses are categories.

        pyarrow is not needed. Raises InvalidArgument if two columns would have the same name, and
        ConfigError if pandas is not installed.
        """

    def to_polars(self, *, keys: bool = False, statuses: bool = False) -> pl.DataFrame:
        """Return a `polars.DataFrame` with the columns of `to_arrow`; pyarrow is not needed.

        Vectors become `Array` and statuses `Categorical`. Raises InvalidArgument if two columns
        would have the same name, and ConfigError if Polars is not installed.
        """

    def to_torch(self, dtype: torch.dtype | npt.DTypeLike | None = None) -> torch.Tensor:
        """Return the matrix of `to_numpy` as a `torch.Tensor` on the CPU, which is the caller's.

        `dtype` is float64 or float32, of torch or NumPy; the default is that of `to_numpy`. Raises
        TypeError like `to_numpy`, and ConfigError if torch is not installed.
        """

    def _arrow_stream(
        self, requested_schema: Any, *, keys: bool, statuses: bool
    ) -> CapsuleType: ...
    def _columns(
        self, *, keys: bool, statuses: bool
    ) -> list[tuple[str, Literal["key", "feature", "status"], int]]: ...
    def _key(self, index: int) -> npt.NDArray[Any]: ...
    def _head(
        self, rows: int, columns: int
    ) -> tuple[dict[str, list[int] | list[str]], list[list[tuple[bool, Any]]]]: ...
    def _repr_html_(self) -> str:
        """Return a table in HTML of at most 20 rows and columns, which notebooks show."""

def unpickle_table(data: bytes) -> FeatureTable:
    """Return the table that pickle stored as these bytes.

    Raises InvalidValue if they are damaged or cut off, or if another release wrote another format.
    """

@final
class WriteBatch:
    """Encoded commands of a write, which can be sent any number of times."""

    @property
    def rows(self) -> int:
        """How many rows the batch writes."""

    @property
    def commands(self) -> int:
        """How many commands the batch has."""

    @property
    def bytes(self) -> int:
        """How many bytes the commands have."""

    @property
    def idempotent(self) -> bool:
        """Whether sending the batch again cannot undo what others wrote meanwhile."""

    @property
    def counted(self) -> bool:
        """Whether the server's replies tell how many rows changed something."""

    @property
    def in_order(self) -> bool:
        """Whether the batches before this one must have been written first."""

@final
class WritePlan:
    """Encodes rows of one view as commands; compiled once from the result of `write_spec`.

    With `event_time_order` the newest row stays, else the last to arrive. `field_ttl` says that the
    server can let single fields of a hash expire. `outdated` says which expiries earlier
    definitions may have set, of keys only or of single fields too; every row then removes or
    replaces them. Raises InvalidDefinition if the spec is wrong.
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
        """Encode rows that are one dict each, `batch_rows` of them in a batch.

        Raises InvalidValue and InvalidKeys, which name the row.
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

        Raises InvalidValue and InvalidKeys, which name the row.
        """

    def encode_delete(self, keys: Any, version: int) -> WriteBatch:
        """Encode the removal of the view's values of these entities."""

@final
class LayoutCopy:
    """Copies a view's rows from one layout to the other; compiled once.

    `source` and `target` are results of `layout_spec`, `schemas` is every schema that packed rows
    may have, by fingerprint. Raises InvalidDefinition.
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
        """The fields that the view has in a hash, whether source or target is that layout."""

    @property
    def script(self) -> tuple[str, str]:
        """The Lua source of the script that copies a row, and its digest."""

    def removal(self, source_key: bytes, target_key: bytes) -> list[bytes]:
        """Return the script's arguments to remove a row from the source if the target has it."""

    def row(
        self,
        source_key: bytes,
        target_key: bytes,
        read: Sequence[bytes | None],
        clock_ms: int,
        *,
        moving: bool = False,
    ) -> tuple[list[bytes], list[tuple[str | None, str]]]:
        """Return the script's arguments to copy a row, and which of its values become null.

        The arguments are two keys and then values; the third key, the registry, and the first
        value, its revision, are left out. With `moving` the script stores the row only if the
        target has no row yet, and removes it from the source.

        Values that are invalid become null: for each the feature, or None for the whole row, and
        the reason. `clock_ms` is the time from which the row's expiry counts, if it is later than
        the row's event time.
        """

@final
class Connection:
    """One connection to one server, without its socket.

    An asyncio protocol owns the transport and calls this: `connected` and `closed` when the
    transport is, `receive` with all data, `check_deadlines` at the time of `next_deadline`. After
    each call it sends the bytes of `take_output`, best once per turn of the loop, and settles the
    waiters that it got back as `(waiter, result, error)`. Times are seconds of one monotonic clock.
    If an error has `_retry_after`, the caller sends the request again after that many seconds.
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
        """Whether so many commands wait that they are better sent now than at the turn's end."""

    @property
    def watched_until(self) -> float:
        """When the driver will call `check_deadlines`; infinity if it has set no timer."""

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
    """Says how long to wait before a server is dialled again.

    After a connection that was ready there is no pause. There is one after a dial that failed, or
    after a connection that ended as soon as it was made; it is counted from that time. Times are
    seconds of one monotonic clock.
    """

    def __new__(cls) -> Self: ...
    def pause(self, now: float) -> float:
        """Return how many seconds are left until the next dial; 0 if it may begin now."""

    def failed(self, now: float) -> None:
        """Note that a connection could not be made, or that its handshake failed."""

    def ready(self) -> None:
        """Note that the handshake of a connection succeeded."""

    def lost(self, ready_at: float, answered: bool, now: float) -> None:
        """Note that a connection ended which was ready since `ready_at`.

        `answered` says whether the server answered any request on it.
        """

def reconnect_pause(attempt: int, jitter: float) -> float:
    """Return the seconds to wait before try number `attempt`, from 1; `jitter` is in 0..1."""

def key_slot(key: bytes) -> int:
    """Return the hash slot of `key` in a cluster, 0 to 16,383, as `CLUSTER KEYSLOT` does."""

@final
class BlockingPool:
    """A pool of blocking connections to one server, whose sockets are in Rust.

    A call has a connection to itself. Its `timeout`, in seconds, covers waiting for a connection,
    connecting, retries and the exchange.
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

    `places` has the index in the array of `in_flight`, `hot`, `values` (one for each status code),
    `answered`, `gone` and `buckets`. There is a bucket for each of `bounds`, one for longer
    requests, and after them the sum of seconds.
    """

    def __new__(
        cls, slots: memoryview[float], places: dict[str, int], bounds: list[float]
    ) -> Self: ...

def api_key_hash(key: bytes) -> bytes | None:
    """Return the SHA-256 of an API key; None if `key` does not have the form of an API key."""

API_KEY_PREFIX: str
"""The text that every API key begins with."""

@final
class ApiKeys:
    """The API keys that a server knows.

    Each has a name, its SHA-256, the time at which it expires (epoch milliseconds, or None), and
    the services and views that it may read (None for everything).
    """

    def __new__(
        cls,
        keys: list[tuple[str, bytes, int | None, tuple[list[str], list[str]] | None]],
    ) -> Self: ...
    def authenticate(self, headers: list[tuple[bytes, bytes]], now_ms: int) -> Caller:
        """Return who sends a request with these headers, whose names are in lower case."""

@final
class Caller:
    """The sender of a request, by its API key; or the reason to refuse the request."""

    @property
    def refusal(self) -> str | None:
        """`missing`, `several`, `malformed`, `unknown` or `expired`; None if the key is valid."""

    @property
    def name(self) -> str | None:
        """The name of the caller's key, which may have expired; None if the key is not known."""

    @property
    def scoped(self) -> bool:
        """Whether the key may read only some services and views."""

    def has_service(self, service: str) -> bool:
        """Return whether the caller may read this service, whatever views it has."""

    def has_view(self, view: str) -> bool:
        """Return whether the caller may read this view."""

    def denied(self, service: str | None, views: list[str]) -> tuple[str, str] | None:
        """Return what the caller may not read of a service with these views, or of the views.

        It is the kind, `service` or `view`, and the name; None if the caller may read everything.
        """

@final
class Trace:
    """The position of a request in a distributed trace (W3C Trace Context)."""

    @property
    def trace_id(self) -> str:
        """The trace's id, in 32 digits."""

    @property
    def parent_id(self) -> int | None:
        """The id of the caller's span; None if the request begins the trace."""

    @property
    def sampled(self) -> bool:
        """Whether the trace is recorded."""

@final
class Traces:
    """Says which trace a request is part of.

    Of the requests without a trace, the share `ratio` (0 to 1) begins one. Ids of new traces follow
    from `seed`, 16 random bytes.
    """

    def __new__(cls, ratio: float, seed: bytes) -> Self: ...
    def of(self, traceparent: bytes | None, *, may_begin: bool = True) -> Trace | None:
        """Return the trace that a `traceparent` header names (W3C Trace Context).

        If the header is missing or malformed, it is the trace that the request begins, or None.
        """

@type_check_only
class HotListeners(TypedDict):
    """Functions that are called for requests answered before ASGI."""

    invalid: Callable[[FeatureTable, bytes, Trace | None], object]
    """Called with a table that has invalid values, the request's id, and its trace."""
    answered: Callable[[bytes, str, float, Trace | None, str | None], object] | None
    """Called for each request with its id, method, seconds, trace and the API key's name."""
    sampled: (
        Callable[[Trace, bytes | None, bytes, str, bool, float, tuple[str | None, int]], object]
        | None
    )
    """Called for each request whose trace is sampled, at its end.

    The arguments are the trace, `tracestate`, the id, the method, whether the caller was still
    connected, the seconds, and the selection: the service (or None) and the number of rows.
    """

@final
class HotReads:
    """Answers plain reads in an HTTP server's worker before ASGI.

    It answers selections that it has learned, and leaves all other requests to the application.
    `now` is the time of the monotonic clock in seconds. Request ids are `id_prefix` and a number.
    `traces` says which trace each request is part of.
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
        """Remember the plan of a selection that `client` was just asked for.

        `join_keys` are all names that the request brings, in its order; `views` are the views that
        it reads.
        """

    def set_api_keys(self, keys: ApiKeys) -> None:
        """Answer only requests with one of these keys, within its scope, from now on."""

    def set_fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Set the header fields that every answer has before its own."""

    def stop(self) -> None:
        """Leave every request to the application from now on."""

    def connect(self, protocol: Any, transport: Any) -> HotConnection:
        """Return an object that answers the requests of one HTTP connection.

        Answers go directly to the socket of `transport`, an asyncio transport. They go through its
        `write` if it still has data to send, if it is encrypted, or if the system does not take the
        whole answer.

        It calls `protocol.read_on()` after an answer if more data arrived behind the request,
        `protocol.ended()` after the last answer, and
        `protocol.hand_over(request, identity, seconds, error, (service, rows))` if the application
        has to answer a request that was begun here.
        """

@final
class HotConnection:
    """Requests of one HTTP connection that are answered before ASGI, one at a time."""

    @property
    def free(self) -> bool:
        """Whether every request that the parser got is answered; False while one is not."""

    @free.setter
    def free(self, free: bool) -> None: ...
    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""

    @property
    def answered_at(self) -> float:
        """When the last answer was written, on the monotonic clock; 0 if none was written."""

    @property
    def stalled(self) -> bool:
        """Whether the caller has not yet read everything that was written."""

    @stalled.setter
    def stalled(self, stalled: bool) -> None: ...
    def received(self, data: bytes) -> None:
        """Take data from the connection.

        This begins to answer the request in it. Or it calls the protocol's `keep` with data that
        has to wait for an answer, or its `parse` with data that is for the parser.
        """

    def watch(self) -> None:
        """Call the protocol's `begun` when the next request is taken, as for the first one."""

    def end(self) -> None:
        """Make the answer that is under way, or else the next, the last of the connection."""

    def lost(self) -> None:
        """Note that the connection is lost: nothing is written any more."""

    def released(self) -> None:
        """Note that the request which was handed over goes to the parser now."""

MAX_EXPRESSION_DEPTH: int
"""How many levels deep an expression may nest."""

@final
class CompiledExpression:
    """An expression compiled for columns and request inputs of known types.

    `tree` is its JSON; `features` and `request` are names and types of its columns; `data_type` is
    the type that its values are converted to, or None for their own type; `default` replaces
    missing values unless it is None. Raises ValueError if the expression does not fit the types.
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

        Columns come in the order in which the expression was compiled, each with its nulls: an
        array of bool that is true if the value is null, or None. An array of int64, float64,
        float32 or bool, a list or a tuple is a column; None in it is null. Anything else is one
        value for all rows. If the type is a list or a vector, only a list of those is a column.
        `now` is epoch milliseconds. Raises InvalidValue if a value does not have its column's type.
        """

def format_expression(tree: str) -> str:
    """Write an expression's JSON in the notation people use; raises ValueError if it is wrong."""

@final
class ReplyParser:
    """Parses replies of a server into Python values, for subscriptions, tests and tools."""

    def __new__(cls, *, max_depth: int = 32, max_length: int = ...) -> Self: ...
    def feed(self, data: bytes) -> None: ...
    def next(self) -> Any: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
