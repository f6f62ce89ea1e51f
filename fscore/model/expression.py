"""Expressions, from which features are computed on request.

Build an expression from features and from the inputs of a request, with Python's operators and the
functions of `fscore.functions`. An expression is data: Python computes nothing. The Rust core
compiles it once and evaluates it over whole columns, both for reads and for training data
(`fscore.evaluate`). `docs/concepts/on-request-features.md` says what each operation does.

    >>> from fscore import Entity, FeatureView, Float64, String, Timestamp, request
    >>> from fscore import functions as fn
    >>> user = Entity("user", join_keys={"user_id": String})
    >>> class UserProfile(FeatureView, entity=user):
    ...     signup_time: Timestamp
    ...     average_order: Float64
    >>> request.now - UserProfile.signup_time
    Expression(request.now - user_profile:signup_time)
    >>> order = request["amount"] / UserProfile.average_order
    >>> fn.where(order > 3, "large", "usual")
    Expression(where((request["amount"] / user_profile:average_order) > 3, "large", "usual"))

Like the other operators, `==` makes an expression. So features and expressions have no truth value:
`if`, `and`, `or`, `not` and chains like `1 < x < 5` raise TypeError. Combine conditions with `&`,
`|` and `~`. There is one exception, which keeps features usable in lists and as keys of dicts: `==`
of two features is true if both are the same object, and the hash of a feature agrees with that.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np

from fscore._fscore import MAX_EXPRESSION_DEPTH, CompiledExpression, format_expression
from fscore.model.data_type import epoch_ms

__all__ = ["Expression", "Operand", "Request", "request"]

_FLATTENED = frozenset({"+", "*", "&", "|"})
"""Operations that take any number of operands, from left to right."""


class ViewClass(Protocol):
    """The class of a view, which its features and their expressions refer to."""

    __name__: str
    __fscore_view__: Any


class Operand:
    """Base class of features and expressions, whose operators make expressions."""

    __slots__ = ()

    # With this, NumPy's scalars and arrays leave operators to the right operand.
    __array_ufunc__: ClassVar[None] = None

    def _expression(self) -> Expression:
        raise NotImplementedError

    def __add__(self, other: Any) -> Expression:
        return _infix("+", self, other)

    def __radd__(self, other: Any) -> Expression:
        return _infix("+", other, self)

    def __sub__(self, other: Any) -> Expression:
        return _infix("-", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return _infix("-", other, self)

    def __mul__(self, other: Any) -> Expression:
        return _infix("*", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return _infix("*", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return _infix("/", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return _infix("/", other, self)

    def __floordiv__(self, other: Any) -> Expression:
        return _infix("//", self, other)

    def __rfloordiv__(self, other: Any) -> Expression:
        return _infix("//", other, self)

    def __mod__(self, other: Any) -> Expression:
        return _infix("%", self, other)

    def __rmod__(self, other: Any) -> Expression:
        return _infix("%", other, self)

    def __pow__(self, other: Any) -> Expression:
        return _infix("**", self, other)

    def __rpow__(self, other: Any) -> Expression:
        return _infix("**", other, self)

    def __and__(self, other: Any) -> Expression:
        return _infix("&", self, other)

    def __rand__(self, other: Any) -> Expression:
        return _infix("&", other, self)

    def __or__(self, other: Any) -> Expression:
        return _infix("|", self, other)

    def __ror__(self, other: Any) -> Expression:
        return _infix("|", other, self)

    def __lt__(self, other: Any) -> Expression:
        return _infix("<", self, other)

    def __le__(self, other: Any) -> Expression:
        return _infix("<=", self, other)

    def __gt__(self, other: Any) -> Expression:
        return _infix(">", self, other)

    def __ge__(self, other: Any) -> Expression:
        return _infix(">=", self, other)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return _infix("==", self, other, truth=_identity(self, other))

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        same = _identity(self, other)
        return _infix("!=", self, other, truth=None if same is None else not same)

    __hash__ = object.__hash__

    def __neg__(self) -> Expression:
        return call("neg", self)

    def __pos__(self) -> Expression:
        return self._expression()

    def __invert__(self) -> Expression:
        return call("~", self)

    def __abs__(self) -> Expression:
        return call("abs", self)

    def __round__(self) -> Expression:
        return call("round", self)

    def __floor__(self) -> Expression:
        return call("floor", self)

    def __ceil__(self) -> Expression:
        return call("ceil", self)


class Expression(Operand):
    """The formula of a feature that is computed on request.

    Operators on features, on `request` and on other expressions make one; so do
    `fscore.functions`, and `from_json`. It is immutable. `repr` and `str` show it as people write
    it, with features as `view:feature`.
    """

    __slots__ = ("_tree", "_truth", "_types", "_views")

    _tree: Any
    _types: Mapping[str, str]
    _truth: bool | None
    _views: tuple[ViewClass, ...]

    def __init__(
        self,
        tree: Any,
        types: Mapping[str, str] | None = None,
        truth: bool | None = None,
        views: tuple[ViewClass, ...] = (),
    ) -> None:
        object.__setattr__(self, "_tree", tree)
        object.__setattr__(self, "_types", {} if types is None else types)
        object.__setattr__(self, "_truth", truth)
        object.__setattr__(self, "_views", views)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an expression cannot be changed")

    def _expression(self) -> Expression:
        return self

    def to_json(self) -> Any:
        """Return the JSON data that the registry stores, which `json.dumps` can write.

        >>> from fscore import request
        >>> (request["amount"] + 1).to_json()
        {'op': '+', 'args': [{'request': 'amount'}, 1]}
        """
        return copy.deepcopy(self._tree)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the JSON data that the registry stores. Raises ValueError if it is not valid.

        >>> Expression.from_json({"op": "-", "args": [{"now": True}, {"feature": "user:signup"}]})
        Expression(request.now - user:signup)
        """
        format_expression(_dumped(data))
        return cls(copy.deepcopy(data))

    def features(self) -> tuple[str, ...]:
        """Return the features that it reads, as `view:feature`, each once, in order."""
        return tuple(dict.fromkeys(_leaves(self._tree, "feature")))

    def request_fields(self) -> tuple[str, ...]:
        """Return the request inputs that it reads, each once, in order, without `now`."""
        return tuple(dict.fromkeys(_leaves(self._tree, "request")))

    def uses_now(self) -> bool:
        """Return whether it reads `request.now`."""
        return any(_leaves(self._tree, "now"))

    def known_types(self) -> dict[str, str]:
        """Return the declared types of the features that it was written with.

        Keys are `view:feature`, values the registry's spelling. JSON has no types, so the result of
        `from_json` knows none.
        """
        return dict(self._types)

    def views(self) -> tuple[ViewClass, ...]:
        """Return the classes of the views whose features it was written with.

        The result of `from_json` or of a pickle knows none.
        """
        return self._views

    def infer_type(self, feature_types: Mapping[str, str], request_types: Mapping[str, str]) -> str:
        """Return the type of its values, spelled as in the registry.

        `feature_types` maps each `view:feature` that it reads to its type, and `request_types` each
        request input. Raises ValueError, which names the part, if an operation does not take the
        types of its operands or if a type is missing.

        >>> from fscore import request
        >>> (request["amount"] / 2).infer_type({}, {"amount": "Int64"})
        'Float64'
        """
        return self.compiled(feature_types, request_types).data_type

    def check_type(
        self, data_type: str, feature_types: Mapping[str, str], request_types: Mapping[str, str]
    ) -> None:
        """Raise ValueError if a feature declared `data_type` cannot hold its values.

        A feature holds values of its own type. A Float64 feature also holds an Int64, and a Float32
        feature holds both, rounded. The types are as in `infer_type`.
        """
        self.compiled(feature_types, request_types, data_type)

    def compiled(
        self,
        feature_types: Mapping[str, str],
        request_types: Mapping[str, str],
        data_type: str | None = None,
        default: Any = None,
    ) -> CompiledExpression:
        """Compile it for these types; its columns are in the order of the mappings.

        `data_type` and `default` are the type and the default of the feature that it computes.
        Raises ValueError as `infer_type` and `check_type` do.
        """
        return CompiledExpression(
            _dumped(self._tree),
            list(feature_types.items()),
            list(request_types.items()),
            data_type,
            default,
        )

    def with_columns(self, places: Mapping[str, int]) -> Any:
        """Return the JSON data with each feature replaced by its column: `{"column": 3}`.

        `places` maps each `view:feature` to its column. Raises KeyError if it lacks a feature.
        """
        return _with_columns(self._tree, places)

    def __bool__(self) -> bool:
        """Raise TypeError, unless it compares two features by `==` or `!=`."""
        if self._truth is None:
            raise TypeError(
                f"{self} has no truth value before it is computed: combine conditions with & | ~ "
                "and parentheses instead of and, or, not, and write a < b < c as (a < b) & (b < c)"
            )
        return self._truth

    def __str__(self) -> str:
        """Return it as people write it, or what is wrong with it, such as that it is too large."""
        try:
            return format_expression(_dumped(self._tree))
        except ValueError as error:
            return f"<{error}>"

    def __repr__(self) -> str:
        """Return it as people write it, inside `Expression(…)`."""
        return f"Expression({self})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle its tree, its types and its truth value."""
        return (type(self), (self._tree, dict(self._types), self._truth))


class Request:
    """The inputs of a request: `request.now`, and `request["amount"]` for a declared input."""

    __slots__ = ()

    @property
    def now(self) -> Expression:
        """The time that the request reads at, its `as_of`: a Timestamp."""
        return Expression({"now": True})

    def __getitem__(self, name: str) -> Expression:
        """Return the input of that name, as an expression.

        The view declares its type: `class Order(RequestView, …, request={"amount": Float64})`.
        Raises TypeError if the name is not a string.
        """
        if not isinstance(name, str):
            raise TypeError(
                f'a request input is named by a string: request["amount"], not {name!r}'
            )
        return Expression({"request": name})

    def __repr__(self) -> str:
        """Return the name that people import."""
        return "request"


request = Request()
"""The inputs of a request, for expressions."""


def feature(reference: str, data_type: str, view: ViewClass) -> Expression:
    """Return an expression that is one feature; `reference` is `view:feature`."""
    return Expression({"feature": reference}, {reference: data_type}, views=(view,))


def call(operation: str, *operands: Any) -> Expression:
    """Return the expression of an operation; `operation` is its name in JSON.

    Raises TypeError if an operand is neither an expression nor a literal. Raises ValueError if a
    literal does not fit into 64 bits or is not finite, or if the expression nests too deep.
    """
    parts = [operand(value) for value in operands]
    types = {name: spelling for part in parts for name, spelling in part._types.items()}
    trees = [part._tree for part in parts]
    first = trees[0]
    if operation in _FLATTENED and isinstance(first, dict) and first.get("op") == operation:
        trees = [*first["args"], *trees[1:]]
    if 1 + max(map(_depth, trees)) > MAX_EXPRESSION_DEPTH:
        raise ValueError(
            f"an expression nests at most {MAX_EXPRESSION_DEPTH} deep: "
            "split it into several features"
        )
    views = tuple(dict.fromkeys(view for part in parts for view in part._views))
    return Expression({"op": operation, "args": trees}, types, views=views)


def operand(value: Any) -> Expression:
    """Return a feature, an expression or a literal as an expression. Raises as `call` does."""
    if isinstance(value, Operand):
        return value._expression()
    return Expression(_literal(value))


def _infix(operation: str, left: Any, right: Any, *, truth: bool | None = None) -> Expression:
    try:
        made = call(operation, left, right)
    except TypeError:
        return cast("Expression", NotImplemented)
    return made if truth is None else Expression(made._tree, made._types, truth, made._views)


def _identity(left: Operand, right: object) -> bool | None:
    """Return whether two features are the same object; None if either is not a feature."""
    if isinstance(left, Expression) or isinstance(right, Expression):
        return None
    return left is right if isinstance(right, Operand) else None


def _literal(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        ms = int(value.astype("datetime64[ms]").astype(np.int64))
        return None if np.isnat(value) else {"timestamp": ms}
    if isinstance(value, np.timedelta64):
        return None if np.isnat(value) else int(value.astype("timedelta64[ms]").astype(np.int64))
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | str():
            return value
        case int() if -(2**63) <= value < 2**63:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case int() | float():
            raise ValueError(
                f"{value!r} cannot be a literal: an Int64 has 64 bits, a Float64 is finite"
            )
        case dt.datetime():
            return {"timestamp": epoch_ms(value)}
        case dt.timedelta():
            return value // dt.timedelta(milliseconds=1)
    raise TypeError(
        f"{value!r} cannot be part of an expression: use features, request[…], request.now, "
        "numbers, strings, booleans, datetimes, timedeltas and None"
    )


def _dumped(tree: Any) -> str:
    try:
        return json.dumps(tree, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"an expression cannot be written as JSON: {error}") from None


def _depth(tree: Any) -> int:
    arguments = tree.get("args", ()) if isinstance(tree, dict) else ()
    return 1 + max(map(_depth, arguments), default=0)


def _leaves(tree: Any, member: str) -> Iterator[str]:
    if isinstance(tree, dict):
        if member in tree:
            yield tree[member]
        for argument in tree.get("args", ()):
            yield from _leaves(argument, member)


def _with_columns(tree: Any, places: Mapping[str, int]) -> Any:
    if isinstance(tree, dict):
        if "feature" in tree:
            return {"column": places[tree["feature"]]}
        if "args" in tree:
            arguments = [_with_columns(argument, places) for argument in tree["args"]]
            return {"op": tree["op"], "args": arguments}
    return tree
