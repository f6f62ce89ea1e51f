"""Views on request: features computed from stored features and from the inputs of a request.

>>> from fscore import Entity, Feature, FeatureView, Float64, Int64, RequestView, String, Timestamp
>>> from fscore import request
>>> user = Entity("user", join_keys={"user_id": String})
>>> class Profile(FeatureView, entity=user):
...     signup_time: Timestamp
...     average_order: Float64
>>> class Order(RequestView, entity=user, request={"amount": Float64}):
...     account_age: Int64 = Feature(request.now - Profile.signup_time)
...     times_average: Float64 = Feature(request["amount"] / Profile.average_order, default=1.0)
>>> Order.account_age
Order.account_age
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from fscore.definitions.entity import Entity
from fscore.definitions.markers import annotation_of
from fscore.definitions.views.declaring import View, ViewDeclaration, ViewKind
from fscore.model.expression import Expression, Operand, operand
from fscore.model.views import RequestViewDefinition

__all__ = ["RequestView"]


class RequestViewKind(ViewKind):
    """The kind of views whose values are computed when they are read, and stored nowhere."""

    base = "RequestView"
    model = RequestViewDefinition
    options = ("request",)
    member = "expression"
    follows_from = Expression
    example = "an expression like request.now - UserProfile.signup_time"

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Read the inputs and their types."""
        inputs = options.get("request") or {}
        if not isinstance(inputs, Mapping):
            problems.append(
                'request must be a dict of input to type, like {"amount": Float64}, not '
                f"{inputs!r}"
            )
            return {"request": None}
        read = []
        for name, marker in inputs.items():
            annotation = annotation_of(marker)
            if annotation.problem:
                problems.append(f"request[{name!r}]: {annotation.problem}")
            read.append((name, str(annotation.data_type or "")))
        return {"request": tuple(read)}

    def complete(self, declared: ViewDeclaration) -> None:
        """Exempt features that read an input of unknown type from the check."""
        inputs = declared.settings["request"]
        typed = tuple((name, kind) for name, kind in inputs or () if kind)
        if typed == inputs:
            return
        declared.settings["request"] = typed
        untyped = None if inputs is None else {name for name, kind in inputs if not kind}
        for feature in declared.features.values():
            expression = feature.options.follows_from
            if isinstance(expression, Expression):
                fields = set(expression.request_fields())
                if fields if untyped is None else fields & untyped:
                    declared.unjudged.add(feature.name)

    def accepted(self, value: Any) -> Expression | None:
        """Return `value` as an expression, which a single feature is too; else None."""
        return operand(value) if isinstance(value, Operand) else None


class RequestView(View):
    """Base class of views on request, whose features are computed when they are read.

    The expression of a feature may use stored features of any view and entity, `request.now` (the
    `as_of` of the read), and inputs that the request sends, such as `request["amount"]`. The
    argument `request` maps the name of each input to its type. The annotation of a feature is the
    type of its result. A service need not list the stored features that an expression reads.
    `entity` is the `Entity` that the features describe; `owner`, `description`, `tags` and `name`
    are as in `FeatureView`.

    An invalid argument raises nothing in the class statement; `Registry` reports it with everything
    else that is wrong.
    """

    __fscore_kind__: ClassVar[ViewKind] = RequestViewKind()

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            request: Mapping[str, Any] | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
        ) -> None:
            """Declare the arguments for editors; the metaclass reads them."""
