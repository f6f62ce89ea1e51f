"""A feature table as text and as HTML: what is shown, cut and escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from tests.client.driver import Driver
from tests.event_times import RECENT_MS
from tests.shop import wide_registry


def test_a_repr_shows_values_and_statuses(customers: Any) -> None:
    table = customers.prepare(features=["region", "orders", "level"]).get([0, 2, 9])
    assert repr(table).splitlines() == [
        "<FeatureTable 3 rows x 3 features, 3 PRESENT, 1 NULL, 5 NOT_FOUND, version 1>",
        "customer_id | region            orders  level",
        "          0 | c0                    30      7",
        "          2 | <NULL>                32      7",
        "          9 | <NOT_FOUND>  <NOT_FOUND>      7",
    ]


def test_no_rows_have_a_summary_and_a_head(client: Any) -> None:
    table = client.prepare(features=["orders", "region"]).get([])
    assert repr(table).splitlines() == [
        "<FeatureTable 0 rows x 2 features, 0 PRESENT, version 1>",
        "customer_id | orders  region",
    ]
    page = Page(table._repr_html_())
    assert page.texts("th", "col") == ["customer_id", "ordersInt64", "regionString"]
    assert page.texts("td") == []


def test_a_repr_of_a_large_table_is_cut(customers: Any) -> None:
    customers.write(
        "behaviour",
        [{"customer_id": 0, "counts": list(range(20)), "taste": [0.1, 2, 3]}],
        version=1,
    )
    row = {
        **{
            "customer_id": 0,
            "region": "long " * 20,
            "rating": -0.0,
            "discount": 0.1,
            "loyal": True,
        },
        **{"seen": 1_700_000_000_123, "joined": 1_700_000_000_000, "photo": b"\x00"},
    }
    customers.write("customer", [row], event_time=RECENT_MS)
    table = customers.prepare("overview").get([0, *range(100, 120)])
    lines = repr(table).splitlines()
    assert lines[1:3] == [
        "customer_id |      orders  region                         rating     discount",
        "          0 |          30  'long long long long lo…         -0.0          0.1",
    ]
    assert lines[12:] == ["... 11 more rows, 15 more features"]
    assert all(len(line) <= 80 for line in lines[1:])
    others = ["loyal", "seen", "joined", "photo", "counts", "taste"]
    lines = repr(customers.prepare(features=others).get([0])).splitlines()
    assert lines[1:] == [
        "customer_id | loyal                      seen                    joined  photo",
        "          0 | True   2023-11-14T22:13:20.123Z  2023-11-14T22:13:20.000Z  b'\\x00'",
        "... 2 more features",
    ]
    lines = repr(customers.prepare(features=["counts", "taste"]).get([0])).splitlines()
    assert lines[1:] == [
        "customer_id | counts                    taste",
        "          0 | [0, 1, 2, 3, 4, 5, 6, 7…  [0.1, 2.0, 3.0]",
    ]


STRANGE = {
    "": "''",
    "<NULL>": "'<NULL>'",
    " padded ": "' padded '",
    "'quoted'": "\"'quoted'\"",
    "two\nlines\t\x1b[31m": "two\\nlines\\t\\x1b[31m",
    "right\u202eleft": "right\\u202eleft",
    "日本": "日本",
    "e\u0301": "e\u0301",
    "<script>alert(1)</script>": "'<script>alert(1)</scri…",
    "a & b": "a & b",
    "x" * 24: "x" * 24,
    "x" * 25: "x" * 23 + "…",
    "日" * 13: "日" * 11 + "…",
}


def test_no_text_breaks_the_layout(client: Any) -> None:
    rows = [
        {"member_id": f"m{n:02}", "note": text, "rank": n} for n, text in enumerate([*STRANGE, "z"])
    ]
    client.write("membership", rows)
    prepared = client.prepare(features=["note", "rank"])
    shown = []
    for row in rows:
        *_, head, line = repr(prepared.get([row["member_id"]])).splitlines()
        assert head.startswith("member_id | note")
        shown.append(line.removeprefix(f"{row['member_id']}       | ").rsplit(" ", 1)[0].rstrip())
    assert shown == [*STRANGE.values(), "z"]


class Page(HTMLParser):
    """Reads a page, and fails if a tag is not closed or an end has no beginning."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            return
        self.open.append(tag)
        if tag in ("td", "th", "caption"):
            self.cells.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th", "caption"} & set(self.open):
            tag, attributes, text = self.cells.pop()
            self.cells.append((tag, attributes, text + data))

    def texts(self, tag: str, scope: str | None = None) -> list[str]:
        cells = self.cells
        return [text for name, attrs, text in cells if name == tag and attrs.get("scope") == scope]


def test_html_is_a_table_with_heads_and_a_caption(customers: Any) -> None:
    page = Page(customers.prepare(features=["region", "orders"]).get([0, 2, 9])._repr_html_())
    assert page.texts("caption") == [
        "FeatureTable: 3 rows x 2 features, 3 PRESENT, 1 NULL, 2 NOT_FOUND, version 1"
    ]
    assert page.texts("th", "col") == ["customer_id", "regionString", "ordersInt64"]
    assert page.texts("th", "row") == ["0", "2", "9"]
    assert page.texts("td") == ["c0", "30", "NULL", "32", "NOT_FOUND", "NOT_FOUND"]


def test_html_says_what_is_cut_and_escapes_what_is_there(client: Any) -> None:
    rows = [{"member_id": f"<b>{n}", "note": "<script>&\"'" * 9} for n in range(30)]
    client.write("membership", rows)
    table = client.prepare(features=["note"]).get([row["member_id"] for row in rows])
    page = Page(table._repr_html_())
    assert page.texts("caption") == [
        "FeatureTable: 30 rows x 1 feature, 30 PRESENT, version 1; not shown: 10 more rows"
    ]
    assert page.texts("th", "row") == [f"'<b>{n}'" for n in range(20)]
    assert all(text.startswith("'<script>&") and text.endswith("…") for text in page.texts("td"))


def test_html_of_many_features_is_cut(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(wide_registry(30))
    page = Page(client.prepare("all").get([1])._repr_html_())
    assert len(page.texts("th", "col")) == 20
    (caption,) = page.texts("caption")
    assert caption.endswith("version 1; not shown: 11 more features")
