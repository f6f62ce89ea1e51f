"""Class statements of feature views, entities and services: meaning, and errors for wrong ones."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import pytest

from fscore import (
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    List,
    Registry,
    String,
    Timestamp,
    Vector,
    count,
    latest,
)
from fscore.registry import FeatureViewDefinition
from tests.definitions.conftest import Problems, Write

user = Entity("user", join_keys={"user_id": String}, description="a visitor", tags={"pii": "yes"})
clicks = EventSource("clicks", event_time="timestamp")


class Activity(
    FeatureView,
    entity=user,
    source=clicks,
    ttl="30d",
    owner="growth",
    description="what was done",
    tags={"tier": "1"},
):
    platform: String = Feature(latest("platform"), description="last seen on", tags={"a": "b"})
    events: Int64 = Feature(count(), default=0)
    last_event_time: Timestamp = latest("timestamp")
    age: Int64
    signup: Timestamp[Literal["s"]]
    embedding: Vector[Literal[3]] = Feature(default=[0, 0.5, 1])
    labels: List[String]

    unit: ClassVar[str] = "no feature"
    _note = "no feature either"


def test_everything_of_a_view_reaches_the_registry() -> None:
    view = Registry.from_definitions([Activity]).views["activity"]
    assert isinstance(view, FeatureViewDefinition)
    assert (view.entity, view.ttl_ms, view.owner, view.layout) == (
        *("user", 30 * 86_400_000, "growth", "hash"),
    )
    assert (view.description, view.tags, view.source) == ("what was done", {"tier": "1"}, clicks)
    assert [(feature.name, str(feature.type)) for feature in view.features] == [
        ("platform", "String"),
        ("events", "Int64"),
        ("last_event_time", "Timestamp"),
        ("age", "Int64"),
        ("signup", "Timestamp[s]"),
        ("embedding", "Vector[3]"),
        ("labels", "List[String]"),
    ]
    platform, events, moment, age, _, embedding, _ = view.features
    assert (platform.description, platform.tags) == ("last seen on", {"a": "b"})
    assert platform.mapping == latest("platform")
    assert (events.mapping, events.default) == (count(), 0)
    assert moment.mapping == latest("timestamp")
    assert (age.mapping, age.default) == (None, None)
    assert embedding.default == [0.0, 0.5, 1.0]


def test_a_feature_is_of_the_type_it_is_annotated_with() -> None:
    assert isinstance(Activity.platform, String)
    assert isinstance(Activity.embedding, Vector)
    assert str(Activity.signup.data_type) == "Timestamp[s]"
    assert Activity.platform.view is Activity
    assert Activity.unit == "no feature"


def test_annotations_need_not_be_text(write: Write) -> None:
    text = """\
    from fscore import Entity, FeatureView, Int64, List, String, Timestamp, Vector
    user = Entity("user", join_keys={"user_id": Int64})
    class Profile(FeatureView, entity=user):
        age: Int64
        labels: List[String]
        signup: Timestamp["s"]
        embedding: Vector[64]
    """
    view = Registry.load(write(text, preamble="")).views["profile"]
    types = [str(feature.type) for feature in view.features]
    assert types == ["Int64", "List[String]", "Timestamp[s]", "Vector[64]"]


def test_names_of_a_function_are_found_by_annotations() -> None:
    LocalType: TypeAlias = Int64

    class Local(FeatureView, entity=user):
        age: LocalType

    assert str(Local.age.data_type) == "Int64"


@pytest.mark.parametrize(
    ("ttl", "ms"),
    [
        *((None, 0), ("250ms", 250), ("90s", 90_000), ("5m", 300_000), ("24h", 86_400_000)),
        *(("30d", 2_592_000_000), (dt.timedelta(minutes=1), 60_000)),
    ],
)
def test_ttl(ttl: str | dt.timedelta | None, ms: int) -> None:
    class Short(FeatureView, entity=user, ttl=ttl):
        age: Int64

    view = Registry.from_definitions([Short]).views["short"]
    assert isinstance(view, FeatureViewDefinition)
    assert view.ttl_ms == ms


def test_the_name_is_the_classs_in_snake_case_or_given() -> None:
    class HTTPStatsV2(FeatureView, entity=user):
        requests: Int64

    class Other(FeatureView, entity=user, name="chosen"):
        errors: Int64

    registry = Registry.from_definitions([HTTPStatsV2, Other])
    assert list(registry.views) == ["chosen", "http_stats_v2"]


def test_a_service_keeps_the_order_it_was_given() -> None:
    class Scores(FeatureView, entity=user):
        score: Float64
        platform_score: Float64

    service = FeatureService(
        "ranking",
        features=[
            Activity.age,
            Scores,
            Activity[["labels", "events"]],
            Activity["platform"].alias("device"),
        ],
        version=7,
        owner="ml",
    )
    definition = Registry.from_definitions([service]).services["ranking"]
    assert [(item.view, item.feature, item.output) for item in definition.features] == [
        ("activity", "age", "age"),
        ("scores", "score", "score"),
        ("scores", "platform_score", "platform_score"),
        ("activity", "labels", "labels"),
        ("activity", "events", "events"),
        ("activity", "platform", "device"),
    ]
    assert (definition.version, definition.owner) == (7, "ml")


def test_a_misspelled_feature_says_which_is_meant() -> None:
    with pytest.raises(AttributeError, match=r"Activity has no feature 'platfrom'; did you mean"):
        Activity.platfrom  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"no feature 'xyz'; its features are platform, ev"):
        Activity[["xyz"]]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("class V(FeatureView):\n    age: Int64", "V: has no entity: give it an Entity"),
        ("class V(FeatureView, entity='user'):\n    age: Int64", "V: has no entity: give it an En"),
        ("class V(FeatureView, entity=user):\n    pass", "V: has no features: annotate one"),
        (
            "class V(FeatureView, entity=user, tll='1d'):\n    age: Int64",
            "V: unknown argument tll: a FeatureView takes entity, source, ttl",
        ),
        (
            "class V(FeatureView, entity=user, ttl='1 day'):\n    age: Int64",
            "V: ttl: '1 day' is not a valid duration: write",
        ),
        ("class V(FeatureView, entity=user, ttl='0s'):\n    age: Int64", "V: ttl: '0s' is out of"),
        (
            "class V(FeatureView, entity=user, ttl=90):\n    age: Int64",
            "V: ttl: 90 is not a valid duration",
        ),
        (
            "class V(FeatureView, entity=user, source='clicks'):\n    age: Int64",
            "V: source must be an EventSource, not 'clicks'",
        ),
        (
            "class V(FeatureView, entity=user, layout='columns'):\n    age: Int64",
            "V: layout must be one of hash, packed, not 'columns'",
        ),
        ("class V(FeatureView, entity=user, owner=1):\n    age: Int64", "V: owner must be text"),
        (
            "class V(FeatureView, entity=user, tags={'a': 1}):\n    age: Int64",
            "V: tags must be a dict of text to text",
        ),
        (
            "class V(FeatureView, entity=user, name='user-view'):\n    age: Int64",
            "V: 'user-view' is not a valid name for a feature view",
        ),
        (
            "class A(FeatureView, entity=user):\n    age: Int64\n"
            "class V(A, entity=user):\n    size: Int64",
            "V: a view cannot inherit from another view",
        ),
        ("class V(FeatureView, entity=user):\n    age: int", "V.age: int is not a feature type"),
        (
            "class V(FeatureView, entity=user):\n    age: Int46",
            "V.age: 'Int46' is unknown here (name 'Int46' is not defined): import it from fscore",
        ),
        ("class V(FeatureView, entity=user):\n    age: 1 +", "cannot be imported: SyntaxError"),
        ("class V(FeatureView, entity=user):\n    age: Int64[3]", "'Int64[3]' cannot be read as a"),
        ("class V(FeatureView, entity=user):\n    age: Vector[0]", "V.age: a vector has 1 to"),
        ("class V(FeatureView, entity=user):\n    age: Int64 = 5", "Feature(default=5)"),
        ("class V(FeatureView, entity=user):\n    age = Int64", "V.age: is assigned a type: write"),
        (
            "class V(FeatureView, entity=user):\n    size: Int64\n    age = latest('x')",
            "V.age: has no type: write age: <type>",
        ),
        (
            "class V(FeatureView, entity=user):\n    age: Int64 = Feature(5)",
            "V.age: the first argument of Feature() is a mapping",
        ),
        (
            "class V(FeatureView, entity=user):\n    age: Int64 = Feature(default='5')",
            "V.age: default: '5' is not of type Int64",
        ),
        (
            "class V(FeatureView, entity=user):\n    age: Int64 = Feature(description=None)",
            "V.age: description must be text, not None",
        ),
        (
            "class V(FeatureView, entity=user):\n    age: Int64 = latest('age')",
            "V.age: is mapped, but its view has no source",
        ),
        (
            "class V(FeatureView, entity=user):\n    user_id: String",
            "V.user_id: is also a join key of entity user",
        ),
        (
            "class V(FeatureView, entity=user):\n    event_time: Timestamp",
            "V.event_time: has the name of a row's event time",
        ),
        (
            "class V(FeatureView, entity=user):\n    größe: Int64",
            "V.größe: 'größe' is not a valid name for a feature",
        ),
    ],
)
def test_a_wrong_view_is_reported_with_file_class_and_field(
    problems: Problems, statement: str, says: str
) -> None:
    found = problems(statement + "\n")
    assert len([problem for problem in found if says in problem]) == 1, found
    assert all(problem.startswith("features.py:") for problem in found)


def test_the_line_is_that_of_the_class_statement(problems: Problems) -> None:
    found = problems("\nclass V(FeatureView, entity=user):\n    size: Int64\n    age: int\n")
    assert found == ["features.py:7: V.age: int is not a feature type: write Int64"]


def test_a_wrong_annotation_is_reported_once_however_often_it_is_used(problems: Problems) -> None:
    found = problems("""\
    class V(FeatureView, entity=user):
        age: int = Feature(latest("age"), default=0)
    service = FeatureService("s", features=[V, V.age.alias("again")])
    """)
    assert found == ["features.py:6: V.age: int is not a feature type: write Int64"]


def test_everything_wrong_is_reported_at_once(problems: Problems) -> None:
    found = problems("""\
    product = Entity("pro duct", join_keys={"product_id": int})
    class A(FeatureView, entity=user, ttl="soon"):
        age: int
        size: Int64 = Feature(default=1.5)
    class B(FeatureView, entity=user):
        size: Int64
    service = FeatureService("s", features=[A.size, B.size], version=0)
    """)
    assert sorted(found) == [
        "features.py:10: B.size: is a feature of a already, and both are of entity user: "
        "rename one",
        "features.py:12: FeatureService s: has two features called 'size' (a:size and b:size): "
        "give one an alias with .alias(…)",
        "features.py:12: FeatureService s: version must be a positive integer, not 0",
        "features.py:6: Entity pro duct: 'pro duct' is not a valid name for an entity: use "
        "letters, digits and underscores, not beginning with a digit, at most 200",
        "features.py:6: Entity pro duct: join key 'product_id' must be Int64 or String, not int",
        "features.py:7: A.age: int is not a feature type: write Int64",
        "features.py:7: A.size: default: 1.5 is not of type Int64",
        'features.py:7: A: ttl: \'soon\' is not a valid duration: write "90s", "5m", "24h", "30d", '
        "a timedelta, or None",
    ]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("Entity('u', join_keys={})", "Entity u: has no join keys"),
        ("Entity('u', join_keys='user_id')", "Entity u: join_keys must be a dict"),
        ("Entity(5, join_keys={'a': String})", "Entity 5: '5' is not a valid name for an entity"),
        ("Entity('u', join_keys={'a': Bool})", "join key 'a' must be Int64 or String, not Bool"),
        ("Entity('u', join_keys={'a b': String})", "'a b' is not a valid name for a join key"),
        ("Entity('u', join_keys={'service': String})", "join key 'service' has a meaning of its"),
        ("Entity('u', join_keys={'a': String}, tags=[])", "tags must be a dict"),
        ("Entity('user', join_keys={'a': String})", "entity 'user' is declared at"),
        ("FeatureService('s', features=[])", "FeatureService s: has no features"),
        ("FeatureService('s', features=Good)", "FeatureService s: features must be a list"),
        ("FeatureService('s', features='age')", "FeatureService s: features must be a list"),
        ("FeatureService('s', features=['age'])", "features[0] must be a feature like"),
        ("FeatureService('s', features=[FeatureView])", "features[0] must be a feature like"),
        ("FeatureService('s', features=[Good, Good.age])", "lists good:age twice as 'age'"),
        (
            "FeatureService('s', features=[Good.age.alias('a-b')])",
            "'a-b' is not a valid name for an alias",
        ),
        ("FeatureService('s', features=[Good], version=True)", "version must be a positive"),
        (
            "FeatureService('a b', features=[Good])",
            "'a b' is not a valid name for a feature service",
        ),
    ],
)
def test_wrong_entities_and_services_are_reported(
    problems: Problems, statement: str, says: str
) -> None:
    good = "class Good(FeatureView, entity=user):\n    age: Int64\n"
    found = problems(f"{good}wrong = {statement}\n")
    assert any(says in problem for problem in found), found
    assert all(problem.startswith("features.py:8: ") for problem in found)


def test_entities_of_a_service_that_share_a_join_key_agree_on_its_type(problems: Problems) -> None:
    found = problems("""\
    account = Entity("account", join_keys={"user_id": Int64})
    class A(FeatureView, entity=user):
        age: Int64
    class B(FeatureView, entity=account):
        size: Int64
    service = FeatureService("s", features=[A, B])
    """)
    assert len(found) == 1
    assert "join key 'user_id' is String in entity user and Int64 in entity account" in found[0]


def test_a_name_stands_for_one_source(problems: Problems) -> None:
    found = problems("""\
    other = EventSource("clicks", event_time="at")
    class A(FeatureView, entity=user, source=clicks):
        age: Int64
    class B(FeatureView, entity=user, source=other):
        size: Int64
    """)
    assert found == [
        "features.py:9: B: source 'clicks' differs from the source of that name in a: "
        "rename one, or share it"
    ]


def test_two_views_of_one_name_are_reported_with_both_places(problems: Problems) -> None:
    found = problems("""\
    class A(FeatureView, entity=user):
        age: Int64
    class B(FeatureView, entity=user, name="a"):
        size: Int64
    """)
    assert found == [
        "features.py:8: view 'a' is declared at features.py:6 already: rename one, "
        "or import that one"
    ]


def test_anything_but_a_declaration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="is not an Entity, a view or a FeatureService"):
        Registry.from_definitions([tmp_path])  # type: ignore[list-item]
