"""The loader, compared with a count over the same clickstream that shares no code with it."""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from fscore import Registry
from fscore_server.ingest import load
from tests.server.ingest.sink import Sink

Expected = dict[str, dict[str, dict[str, Any]]]

TOTALS = {
    "home": "homes_total",
    "catalog": "catalogs_total",
    "search": "searches_total",
    "filter_results": "filter_results_total",
    "promo_page": "promo_pages_total",
    "product_view": "product_views_total",
    "review_page": "review_pages_total",
    "compare": "compares_total",
    "wishlist_add": "wishlist_adds_total",
    "add_to_cart": "add_to_carts_total",
    "cart": "carts_total",
    "shipping_details": "shipping_details_total",
    "payment_details": "payment_details_total",
    "purchase": "purchases_total",
    "account_page": "account_pages_total",
    "support_chat": "support_chats_total",
    "error_page": "error_pages_total",
    "payment_error": "payment_errors_total",
    "checkout_bug": "checkout_bugs_total",
}
ATTRIBUTES = ("platform", "acquisition_channel", "user_cohort", "user_lifecycle")


def read_events(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def epoch_ms(text: str) -> int:
    moment = dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    return int(moment.timestamp()) * 1000


def counted(events: list[dict[str, str]]) -> Expected:
    by_user: dict[str, list[dict[str, str]]] = defaultdict(list)
    for event in events:
        by_user[event["user_id"]].append(event)
    profiles = {}
    activities = {}
    for user, own in by_user.items():
        kinds = Counter(event["event"] for event in own)
        newest = own[0]
        for event in own:
            if epoch_ms(event["timestamp"]) >= epoch_ms(newest["timestamp"]):
                newest = event
        purchases = [epoch_ms(e["timestamp"]) for e in own if e["event"] == "purchase"]
        time = epoch_ms(newest["timestamp"])
        profiles[user] = {
            "user_id": user,
            **{name: newest[name] for name in ATTRIBUTES},
            "event_time": time,
        }
        activities[user] = {
            "user_id": user,
            "events_total": len(own),
            "sessions_total": len({event["session_id"] for event in own}),
            "last_event": newest["event"],
            "last_event_time": time,
            "last_purchase_time": max(purchases, default=None),
            **{feature: kinds[kind] for kind, feature in TOTALS.items()},
            "event_time": time,
        }
    return {"user_profile": profiles, "user_activity": activities}


@pytest.fixture
def sink() -> Sink:
    return Sink({"clicks", "visits", "orders", "promotions"})


@pytest.fixture(scope="module")
def expected(clickstream: Path) -> Expected:
    return counted(read_events(clickstream))


def test_every_feature_of_every_user_is_what_an_independent_count_says(
    shop: Registry, clickstream: Path, expected: Expected, sink: Sink
) -> None:
    report = load(sink, shop, [clickstream])
    assert (report.rows, report.rejected, report.failure) == (31_106, 0, None)
    kinds = Counter(event["event"] for event in read_events(clickstream))
    promo_users = {e["user_id"] for e in read_events(clickstream) if e["event"] == "promo_page"}
    assert {(view.view, view.rows, view.unit) for view in report.views} == {
        ("user_activity", 600, "entities"),
        ("user_profile", 600, "entities"),
        ("clicks", kinds["product_view"], "events"),
        ("orders", kinds["purchase"], "events"),
        ("visits", 31_106, "events"),
        ("promotions", len(promo_users), "entities"),
    }
    assert sink.views == expected


def test_the_definitions_count_every_kind_of_event(shop: Registry, clickstream: Path) -> None:
    assert {event["event"] for event in read_events(clickstream)} == set(TOTALS)
    features = {feature.name for feature in shop.views["user_activity"].features}
    assert set(TOTALS.values()) < features


def test_the_service_has_the_features_that_the_readme_shows(shop: Registry) -> None:
    features = [item.feature for item in shop.services["recommendation"].features]
    assert {
        *ATTRIBUTES,
        "events_total",
        "sessions_total",
        "purchases_total",
        "product_views_total",
        "last_event",
        "last_event_time",
    } <= set(features)


def test_all_formats_and_compressions_give_the_same(
    shop: Registry, clickstream: Path, expected: Expected, tmp_path: Path, sink: Sink
) -> None:
    import polars as pl
    import pyarrow as pa

    events = read_events(clickstream)
    text = gzip.decompress(clickstream.read_bytes())
    lines = "".join(json.dumps(event) + "\n" for event in events).encode()
    frame = pl.DataFrame(events)
    typed = frame.with_columns(pl.col("timestamp").str.to_datetime(time_unit="us"))
    files = {
        "plain.csv": text,
        "crlf.csv": text.replace(b"\n", b"\r\n"),
        "tabs.tsv": text.replace(b",", b"\t"),
        "zst.csv.zst": pa.compress(text, codec="zstd", asbytes=True),
        "bz2.csv.bz2": bz2.compress(text),
        "plain.ndjson": lines,
        "packed.jsonl.gz": gzip.compress(lines),
        "zst.ndjson.zst": pa.compress(lines, codec="zstd", asbytes=True),
    }
    with pa.CompressedOutputStream(tmp_path / "lz4.csv.lz4", "lz4") as stream:
        stream.write(text)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    frame.write_parquet(tmp_path / "text.parquet")
    typed.write_parquet(tmp_path / "typed.parquet", row_group_size=5_000)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == len(files) + 3
    for path in paths:
        sink.views.clear()
        report = load(sink, shop, [path])
        assert (report.rows, report.rejected) == (31_106, 0), path
        assert sink.views == expected, path


def test_several_files_are_one_stream_of_events(
    shop: Registry, clickstream: Path, expected: Expected, tmp_path: Path, sink: Sink
) -> None:
    header, *lines = gzip.decompress(clickstream.read_bytes()).splitlines(keepends=True)
    parts = []
    for number in range(3):
        part = tmp_path / f"part{number}.csv"
        part.write_bytes(header + b"".join(lines[number::3]))
        parts.append(part)
    load(sink, shop, parts)
    assert sink.views == expected


def test_loading_again_writes_the_same(
    shop: Registry, clickstream: Path, expected: Expected, sink: Sink
) -> None:
    load(sink, shop, [clickstream])
    first = sink.views
    sink.views = {}
    load(sink, shop, [clickstream])
    assert sink.views == first == expected


def test_the_order_of_lines_does_not_matter_beyond_equal_times(
    shop: Registry, clickstream: Path, expected: Expected, tmp_path: Path, sink: Sink
) -> None:
    header, *lines = gzip.decompress(clickstream.read_bytes()).splitlines(keepends=True)
    # No user of this file has two newest events, so reversing it changes no value.
    turned = tmp_path / "turned.csv"
    turned.write_bytes(header + b"".join(reversed(lines)))
    load(sink, shop, [turned])
    assert sink.views == expected
