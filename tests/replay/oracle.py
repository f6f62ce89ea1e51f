"""Compute every feature of the example as of any time, straight from the clickstream.

It follows docs/reference/definitions.md and docs/guides/push-events.md, uses Polars, and shares no
code with fscore. In the words of those pages:

- An event is its time and its payload (and its id, if the series names one). The clickstream has 30
  lines twice, 10 of them clicks. For a series each such pair is one event, hence `unique` below.
  Totals of a load count lines, so they count both.
- A window of length w has the events with `as_of - w < t <= as_of`. A feature without a window has
  all events up to `as_of`.
- Events of the same time are ordered by their members: the payload joined by commas, by bytes.
- A session ends with a pause longer than the gap; until then it is open after its newest event.
- A pushed row is the newest event of its user. If there are several, each field is the greatest
  text by bytes. A packed row would be the greatest row as a whole, which gives the same here,
  because events of one user and time never differ in these columns.
- A loaded `latest` comes from the newest line; if there are several, from the last in the file.
- A flag is set by any of its events, for good. Rows and flags have no history: they reflect all
  delivered events, whatever time a read asks about.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

Features = dict[str, Any]
"""Values by name; None if nothing is known."""

SECOND = 1_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

PROFILE = ("platform", "acquisition_channel", "user_cohort", "user_lifecycle")
TOTALS = {
    "homes_total": "home",
    "catalogs_total": "catalog",
    "searches_total": "search",
    "filter_results_total": "filter_results",
    "promo_pages_total": "promo_page",
    "product_views_total": "product_view",
    "review_pages_total": "review_page",
    "compares_total": "compare",
    "wishlist_adds_total": "wishlist_add",
    "add_to_carts_total": "add_to_cart",
    "carts_total": "cart",
    "shipping_details_total": "shipping_details",
    "payment_details_total": "payment_details",
    "purchases_total": "purchase",
    "account_pages_total": "account_page",
    "support_chats_total": "support_chat",
    "error_pages_total": "error_page",
    "payment_errors_total": "payment_error",
    "checkout_bugs_total": "checkout_bug",
}
COUNTED = ("events_total", "sessions_total", *TOTALS)
"""Features that are 0 by default for a user without loaded rows."""


def read(path: Path) -> pl.DataFrame:
    """Return the clickstream in the order of the file, with a column `t`: the time in epoch ms."""
    moment = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms")
    return pl.read_csv(path, infer_schema=False).with_columns(t=moment.cast(pl.Int64))


class Truth:
    """The right features of these users after these events."""

    def __init__(self, users: Sequence[str], events: pl.DataFrame) -> None:
        self._users = users
        self._events = events

    def series(self, as_of: int) -> list[Features]:
        """Return the features of the series: clicks, visits and orders."""
        past = self._events.filter(pl.col("t") <= as_of)
        clicks = _of_series(past.filter(event="product_view"), "session_id", "platform")
        visits = _of_series(past, "session_id", "event")
        orders = _of_series(past.filter(event="purchase"), "session_id", "platform")
        age = as_of - pl.col("t")
        return self._by_user(
            {
                "last_5_clicks": None,
                "last_5_click_platforms": None,
                "last_5_click_times": None,
                "clicks_30m": 0,
                "clicks_24h": 0,
                "clicks_7d": 0,
                "time_on_site": 0,
                "idle_time": None,
                "last_3_events": None,
                "sessions_7d": 0,
                "last_3_orders": None,
                "last_3_order_times": None,
            },
            clicks.agg(
                last_5_clicks=pl.col("session_id").head(5),
                last_5_click_platforms=pl.col("platform").head(5),
                last_5_click_times=pl.col("t").head(5),
                clicks_30m=(age < 30 * MINUTE).sum(),
                clicks_24h=(age < DAY).sum(),
                clicks_7d=(age < 7 * DAY).sum(),
            ),
            visits.agg(
                idle_time=age.min(),
                last_3_events=pl.col("event").head(3),
                sessions_7d=pl.col("session_id").filter(age < 7 * DAY).n_unique(),
            ),
            self._session_lengths(past, as_of, 30 * MINUTE),
            orders.agg(
                last_3_orders=pl.col("session_id").head(3),
                last_3_order_times=pl.col("t").head(3),
            ),
        )

    def pushed_rows(self) -> list[Features]:
        """Return each user's row after a push of these events."""
        newest = self._events.filter(pl.col("t") == pl.col("t").max().over("user_id"))
        alike = newest.group_by("user_id").agg(pl.struct(PROFILE).n_unique().alias("different"))
        assert (alike["different"] == 1).all()
        profile = newest.group_by("user_id").agg(pl.col(PROFILE).max())
        return self._by_user(dict.fromkeys(PROFILE), profile)

    def flags(self) -> list[Features]:
        """Return the flags: who has seen a promotion."""
        seen = (
            self._events.filter(event="promo_page")
            .group_by("user_id")
            .agg(has_seen_promo=pl.lit(True))
        )
        return self._by_user({"has_seen_promo": False}, seen)

    def loaded_rows(self) -> list[Features]:
        """Return each user's row after a load of a file with these events in this order."""
        by_user = self._events.sort("t", maintain_order=True).group_by("user_id")
        totals = {feature: (pl.col("event") == kind).sum() for feature, kind in TOTALS.items()}
        purchases = pl.col("t").filter(pl.col("event") == "purchase")
        return self._by_user(
            {
                **dict.fromkeys((*PROFILE, "last_event", "last_event_time", "last_purchase_time")),
                **dict.fromkeys(COUNTED, 0),
            },
            by_user.agg(
                pl.col(PROFILE).last(),
                pl.col("event").last().alias("last_event"),
                pl.col("t").last().alias("last_event_time"),
                purchases.max().alias("last_purchase_time"),
                pl.len().alias("events_total"),
                pl.col("session_id").n_unique().alias("sessions_total"),
                **totals,
            ),
        )

    def _session_lengths(self, past: pl.DataFrame, as_of: int, gap: int) -> pl.DataFrame:
        pause = pl.col("t").diff().over("user_id")
        session = (pause > gap).fill_null(False).cum_sum().over("user_id")
        sessions = past.sort("user_id", "t").with_columns(session=session)
        length = (
            pl.when(as_of - pl.col("t").last() > gap)
            .then(0)
            .otherwise(pl.col("t").last() - pl.col("t").first())
        )
        newest = sessions.filter(pl.col("session") == pl.col("session").max().over("user_id"))
        return newest.group_by("user_id", maintain_order=True).agg(time_on_site=length)

    def _by_user(self, without: Features, *parts: pl.DataFrame) -> list[Features]:
        found: dict[str, Features] = {user: dict(without) for user in self._users}
        for part in parts:
            for row in part.iter_rows(named=True):
                user = row.pop("user_id")
                found[user] |= row
        return [found[user] for user in self._users]


def _of_series(events: pl.DataFrame, *payload: str) -> pl.dataframe.group_by.GroupBy:
    """Return each event once, by user, the newest first."""
    # No value in this data needs escaping in a member.
    assert (
        not events.select(pl.any_horizontal(pl.col(payload).str.contains("[%,#]")))
        .to_series()
        .any()
    )
    member = pl.concat_str(payload, separator=",").alias("member")
    once = events.select("user_id", "t", *payload, member).unique()
    newest_first = once.sort("t", "member", descending=True)
    return newest_first.group_by("user_id", maintain_order=True)
