"""Features of an online shop's visitors for its recommender, all from the shop's clickstream.

`fscore apply examples/ecommerce` stores these definitions in Redis, and
`fscore load examples/ecommerce examples/ecommerce/data/ecom.csv.gz` fills them. On live traffic
`client.push("clickstream", events)` keeps all of them up to date except `UserActivity`: its totals
count all events ever, so only a load can compute them.
"""

from __future__ import annotations

from fscore import (
    Bool,
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    FlagView,
    Int64,
    List,
    Payload,
    SeriesView,
    String,
    Timestamp,
    count,
    distinct,
    ever,
    latest,
    window,
)

user = Entity(
    "user",
    join_keys={"user_id": String},
    description="a visitor of the shop, known by the id in a long-lived cookie",
)

clickstream = EventSource("clickstream", event_time="timestamp")


# TTLs and retentions count from the event time, and the sample's newest event is of June 2024. With
# a TTL every visitor would be served as EXPIRED, and with a retention a read as of January would
# find no events, so no view here has one. On live traffic, set ttl="90d" to forget visitors who
# stay away, and retention="30d" to drop events that no window reaches any more.
class UserProfile(
    FeatureView,
    entity=user,
    source=clickstream,
    owner="recommendations",
    description="where a visitor comes from, as of the latest event",
):
    platform: String = Feature(latest("platform"), description="desktop, mobile or tablet")
    acquisition_channel: String = Feature(
        latest("acquisition_channel"), description="what first brought the visitor here"
    )
    user_cohort: String = Feature(latest("user_cohort"), description="month of the first visit")
    user_lifecycle: String = Feature(
        latest("user_lifecycle"), description="new, returning or loyal"
    )


class UserActivity(
    FeatureView,
    entity=user,
    source=clickstream,
    owner="recommendations",
    description="what a visitor has done, counted over the whole clickstream",
):
    events_total: Int64 = Feature(count(), default=0)
    sessions_total: Int64 = Feature(distinct("session_id"), default=0)
    last_event: String = Feature(latest("event"), description="kind of the latest event")
    last_event_time: Timestamp = Feature(latest("timestamp"))
    last_purchase_time: Timestamp = Feature(
        latest("timestamp", where={"event": "purchase"}),
        description="null for visitors who never bought anything",
    )

    # Finding something
    homes_total: Int64 = Feature(count(where={"event": "home"}), default=0)
    catalogs_total: Int64 = Feature(count(where={"event": "catalog"}), default=0)
    searches_total: Int64 = Feature(count(where={"event": "search"}), default=0)
    filter_results_total: Int64 = Feature(count(where={"event": "filter_results"}), default=0)
    promo_pages_total: Int64 = Feature(count(where={"event": "promo_page"}), default=0)

    # Weighing it
    product_views_total: Int64 = Feature(count(where={"event": "product_view"}), default=0)
    review_pages_total: Int64 = Feature(count(where={"event": "review_page"}), default=0)
    compares_total: Int64 = Feature(count(where={"event": "compare"}), default=0)
    wishlist_adds_total: Int64 = Feature(count(where={"event": "wishlist_add"}), default=0)

    # Buying it
    add_to_carts_total: Int64 = Feature(count(where={"event": "add_to_cart"}), default=0)
    carts_total: Int64 = Feature(count(where={"event": "cart"}), default=0)
    shipping_details_total: Int64 = Feature(count(where={"event": "shipping_details"}), default=0)
    payment_details_total: Int64 = Feature(count(where={"event": "payment_details"}), default=0)
    purchases_total: Int64 = Feature(count(where={"event": "purchase"}), default=0)
    account_pages_total: Int64 = Feature(count(where={"event": "account_page"}), default=0)

    # Trouble
    support_chats_total: Int64 = Feature(count(where={"event": "support_chat"}), default=0)
    error_pages_total: Int64 = Feature(count(where={"event": "error_page"}), default=0)
    payment_errors_total: Int64 = Feature(count(where={"event": "payment_error"}), default=0)
    checkout_bugs_total: Int64 = Feature(count(where={"event": "checkout_bug"}), default=0)


class Clicks(
    SeriesView,
    entity=user,
    source=clickstream,
    where={"event": "product_view"},
    max_events=1_000,
    owner="recommendations",
    description="the product pages that a visitor looked at",
):
    session_id: String = Payload()
    platform: String = Payload()

    last_5_clicks: List[String] = Feature(
        window.last(5, "session_id"), description="the session of each, newest first"
    )
    last_5_click_platforms: List[String] = window.last(5, "platform")
    last_5_click_times: List[Timestamp] = window.last_times(5)
    clicks_30m: Int64 = window.count("30m")
    clicks_24h: Int64 = window.count("24h")
    clicks_7d: Int64 = window.count("7d")


class Visits(
    SeriesView,
    entity=user,
    source=clickstream,
    max_events=1_000,
    owner="recommendations",
    description="everything that a visitor does; a pause of more than 30 minutes ends a visit",
):
    session_id: String = Payload()
    event: String = Payload()

    time_on_site: Int64 = Feature(
        window.session_length(gap="30m"), description="ms so far of the visit that lasts, else 0"
    )
    idle_time: Int64 = Feature(
        window.time_since_last(), description="ms since the visitor last did anything"
    )
    last_3_events: List[String] = window.last(3, "event")
    sessions_7d: Int64 = window.distinct("session_id", "7d")


class Orders(
    SeriesView,
    entity=user,
    source=clickstream,
    where={"event": "purchase"},
    max_events=1_000,
    owner="recommendations",
    description="what a visitor bought",
):
    session_id: String = Payload()
    platform: String = Payload()

    last_3_orders: List[String] = Feature(
        window.last(3, "session_id"), description="the session of each, newest first"
    )
    last_3_order_times: List[Timestamp] = window.last_times(3)


class Promotions(
    FlagView,
    entity=user,
    source=clickstream,
    ids="user_%04d",
    owner="recommendations",
    description="who has seen what the shop advertises, one bit a visitor",
):
    has_seen_promo: Bool = Feature(ever(where={"event": "promo_page"}))


recommendation = FeatureService(
    "recommendation",
    description="input of the nightly ranking behind 'recommended for you'",
    owner="recommendations",
    features=[
        UserProfile,
        UserActivity.events_total,
        UserActivity.sessions_total,
        UserActivity.purchases_total,
        UserActivity.product_views_total,
        UserActivity.add_to_carts_total,
        UserActivity.wishlist_adds_total,
        UserActivity.searches_total,
        UserActivity.last_event,
        UserActivity.last_event_time,
        UserActivity.last_purchase_time,
    ],
)

live_recommendation = FeatureService(
    "live_recommendation",
    description="input of the ranking that follows a visit while it lasts: everything there is",
    owner="recommendations",
    features=[UserProfile, Clicks, Visits, Orders, Promotions, UserActivity],
)
