//! Reads against replies as servers send them: whole, cut at random, in both protocol versions.

use std::sync::Arc;

use proptest::prelude::*;

use super::{PartFailure, Read, ReadOptions, ReadPart};
use crate::cluster::SlotMap;
use crate::connection::Replies;
use crate::json::{render_many, render_one};
use crate::keys::{ByteColumn, KeyColumn, KeyColumns, KeyType};
use crate::plan::{EntitySpec, FeatureSpec, PlanSpec, ReadPlan, Strategy as Command, ViewSpec};
use crate::resp::{Limits, Scanner};
use crate::script::Calls as _;
use crate::table::Table;
use crate::types::Status::{self, Expired, Invalid, NotFound, Null, Present, Unavailable};
use crate::value::Value;

mod kinds;

const NOW: i64 = 1_000_000;

fn entity(name: &str, join_key: &str, key_type: KeyType, fields_total: usize) -> EntitySpec {
    EntitySpec {
        name: name.to_owned(),
        join_keys: vec![(join_key.to_owned(), key_type)],
        fields_total,
        wide_values: false,
    }
}

fn feature(name: &str, view: usize, data_type: &str, default: Option<&str>) -> FeatureSpec {
    FeatureSpec {
        name: name.to_owned(),
        view,
        field: name.to_owned(),
        data_type: data_type.to_owned(),
        default: default.map(|text| text.as_bytes().to_vec()),
        ..FeatureSpec::default()
    }
}

/// Two views of `user`: `a` (age, country with a default) that lives for ten seconds, `b` (score)
/// that lives for ever.
fn plan(command: Command) -> Arc<ReadPlan> {
    let view = |name: &str, ttl_ms| ViewSpec {
        entity: 0,
        name: name.to_owned(),
        ttl_ms,
        ..ViewSpec::default()
    };
    let spec = PlanSpec {
        key_prefix: "p:".to_owned(),
        entities: vec![entity("user", "user_id", KeyType::Integer, 9)],
        views: vec![view("a", 10_000), view("b", 0)],
        features: vec![
            feature("age", 0, "Int64", None),
            feature("country", 0, "String", Some("??")),
            feature("score", 1, "Float64", None),
        ],
        strategy: Some(command),
        ..PlanSpec::default()
    };
    Arc::new(ReadPlan::new(&spec).unwrap())
}

fn ids(ids: &[i64]) -> KeyColumns {
    KeyColumns {
        columns: vec![("user_id".to_owned(), KeyColumn::Integer(ids.to_vec()))],
    }
}

fn start(plan: &Arc<ReadPlan>, keys: KeyColumns, map: &SlotMap) -> (Read, Vec<ReadPart>) {
    let (read, parts) = Read::new(plan, keys, Vec::new(), ReadOptions::plain(7, NOW), map).unwrap();
    (read, parts.into_iter().map(|(_, part)| part).collect())
}

/// Feeds `bytes` in pieces of these lengths, over and over. With `whole`, rows may be read whole,
/// as a connection does; without it, all of them come as tokens.
fn feed(part: &mut ReadPart, bytes: &[u8], pieces: &[usize], whole: bool) {
    let mut scanner = Scanner::new(Limits::default());
    let mut held = Vec::new();
    let mut reply = 0;
    let mut rest = bytes;
    for &piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(piece.clamp(1, rest.len()));
        rest = later;
        held.extend_from_slice(now);
        let mut consumed = 0;
        loop {
            if whole && scanner.between_replies() {
                while reply < part.expected()
                    && let Some(length) = part.whole(reply, &held[consumed..])
                {
                    consumed += length;
                    scanner.skip_replies(length);
                    part.finish(reply);
                    reply += 1;
                }
            }
            let Some(next) = scanner.next(&held[consumed..]).unwrap() else {
                break;
            };
            part.token(reply, next.depth, next.token);
            consumed += next.consumed;
            if next.last {
                part.finish(reply);
                reply += 1;
            }
        }
        held.drain(..consumed);
    }
    assert!(held.is_empty(), "the replies end in the middle");
}

fn read(plan: &Arc<ReadPlan>, keys: &KeyColumns, replies: &[u8]) -> Table {
    let [by_tokens, table] = [false, true].map(|whole| {
        let (read, mut parts) = start(plan, keys.clone(), &SlotMap::Standalone);
        feed(&mut parts[0], replies, &[usize::MAX], whole);
        read.join(parts)
    });
    let json = |table| {
        let mut out = Vec::new();
        render_many(table, true, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(json(&by_tokens), json(&table));
    assert_eq!(
        (by_tokens.invalid(), by_tokens.problems()),
        (table.invalid(), table.problems())
    );
    table
}

fn statuses(table: &Table) -> Vec<Status> {
    table
        .statuses()
        .iter()
        .map(|&code| Status::from_code(code))
        .collect()
}

fn blob(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// An HGETALL reply of RESP2.
fn hash(fields: &[(&str, &str)]) -> String {
    let pairs: String = fields
        .iter()
        .map(|(name, value)| blob(name) + &blob(value))
        .collect();
    format!("*{}\r\n{pairs}", 2 * fields.len())
}

#[test]
fn a_reply_that_is_cut_short_makes_its_row_unavailable() {
    let whole = hash(&[
        ("_ts:a", "999000"),
        ("age", "29"),
        ("country", "US"),
        ("score", "1.5"),
    ]);
    // Its age is unreadable, and then the connection ends.
    let second = hash(&[
        ("_ts:a", "999000"),
        ("age", "x"),
        ("country", "DE"),
        ("score", "2.5"),
    ]);
    for cut in [0, 4, 20, 34, 52, second.len() - 1] {
        let plan = plan(Command::Hgetall);
        let (read, mut parts) = start(&plan, ids(&[1, 2]), &SlotMap::Standalone);
        let mut scanner = Scanner::new(Limits::default());
        let stream = format!("{whole}{}", &second[..cut]);
        let mut rest = stream.as_bytes();
        while let Some(scanned) = scanner.next(rest).unwrap() {
            parts[0].token(0, scanned.depth, scanned.token);
            if scanned.last {
                parts[0].finish(0);
            }
            rest = &rest[scanned.consumed..];
        }
        let table = read.join(parts);
        let row = [Present, Present, Present];
        let cut_row = [Unavailable, Unavailable, Unavailable];
        assert_eq!(statuses(&table), [row, cut_row].concat(), "{cut}");
        assert_eq!((table.invalid(), table.problems().len()), (0, 0));
        assert!(table.value(1, 1).is_none());
        assert_eq!(table.event_time(1, 0), crate::table::NO_TIME);
    }
}

#[test]
fn commands_are_those_of_the_plan() {
    let mut out = Vec::new();
    start(
        &plan(Command::Hmget),
        ids(&[5, -6, 5]),
        &SlotMap::Standalone,
    )
    .1[0]
        .encode(&mut out);
    let one = |id: &str| {
        [
            "HMGET",
            &format!("p:user:{{{id}}}:v7"),
            "_ts:a",
            "_ts:b",
            "age",
            "country",
            "score",
        ]
        .map(blob)
        .concat()
    };
    assert_eq!(
        out,
        format!("*7\r\n{}*7\r\n{}", one("5"), one("-6")).into_bytes()
    );

    out.clear();
    assert_eq!(
        plan(Command::Hgetall).strategies().collect::<Vec<_>>(),
        [Command::Hgetall]
    );
    start(&plan(Command::Hgetall), ids(&[5]), &SlotMap::Standalone).1[0].encode(&mut out);
    assert_eq!(out, b"*2\r\n$7\r\nHGETALL\r\n$13\r\np:user:{5}:v7\r\n");
}

#[test]
fn every_status_by_name() {
    let replies = [
        // Fresh, and without a country: the row was written, so the country is null.
        "*5\r\n$6\r\n995000\r\n$1\r\n1\r\n$2\r\n29\r\n$-1\r\n$3\r\n0.5\r\n",
        // At the edge of its ten seconds: expired to the millisecond; b lives for ever.
        "*5\r\n$6\r\n990000\r\n$1\r\n1\r\n$2\r\n29\r\n$2\r\nUS\r\n$3\r\n0.5\r\n",
        // Written by hand, without event times; the age is not an integer.
        "*5\r\n_\r\n_\r\n$3\r\nold\r\n$2\r\nUS\r\n_\r\n",
        // Nothing is stored.
        "*5\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
    ]
    .concat();
    let table = read(
        &plan(Command::Hmget),
        &ids(&[1, 2, 3, 4]),
        replies.as_bytes(),
    );
    assert_eq!(
        statuses(&table),
        [
            [Present, Null, Present],
            [Expired, Expired, Present],
            [Invalid, Present, NotFound],
            [NotFound, NotFound, NotFound],
        ]
        .concat()
    );
    assert_eq!(table.value(0, 0), Some(Value::Integer(29)));
    // The default stands in for values that are null, expired or not found, and for no others.
    for row in [0, 1, 3] {
        assert_eq!(table.value(row, 1), Some(Value::String("??")), "row {row}");
    }
    assert_eq!(table.value(2, 1), Some(Value::String("US")));
    assert_eq!(table.value(1, 0), None, "an expired value is never served");
    assert_eq!(table.event_time(0, 0), 995_000);
    assert_eq!(table.invalid(), 1);
    assert_eq!(table.problems()[0].row, 2);
    assert_eq!(table.problems()[0].feature, Some(0));
}

#[test]
fn hgetall_takes_any_field_order_and_skips_what_was_not_asked() {
    let replies = [
        hash(&[
            ("age", "1"),
            ("x", "9"),
            ("country", "US"),
            ("_ts:a", "999999"),
            ("score", "1"),
        ]),
        hash(&[
            ("age", "2"),
            ("x", "9"),
            ("country", "DE"),
            ("_ts:a", "999999"),
            ("score", "2"),
        ]),
        hash(&[
            ("score", "3"),
            ("_ts:a", "1"),
            ("country", "FR"),
            ("age", "3"),
        ]),
        // The same as a map of RESP3.
        hash(&[("country", "IT"), ("score", "4")]).replace("*4", "%2"),
        "*0\r\n".to_owned(),
    ]
    .concat();
    let table = read(
        &plan(Command::Hgetall),
        &ids(&[1, 2, 3, 4, 5]),
        replies.as_bytes(),
    );
    assert_eq!(
        statuses(&table),
        [
            [Present, Present, Present],
            [Present, Present, Present],
            [Expired, Expired, Present],
            [NotFound, Present, Present],
            [NotFound, NotFound, NotFound],
        ]
        .concat()
    );
    let scores: Vec<_> = (0..5).map(|row| table.value(row, 2)).collect();
    assert_eq!(
        scores[..4],
        [1.0, 2.0, 3.0, 4.0].map(|score| Some(Value::Float64(score)))
    );
    assert_eq!(table.value(3, 1), Some(Value::String("IT")));
}

#[test]
fn an_unreadable_event_time_makes_its_view_invalid() {
    let reply = "*5\r\n$3\r\nxyz\r\n$-1\r\n$2\r\n29\r\n$2\r\nUS\r\n$3\r\n0.5\r\n";
    let table = read(&plan(Command::Hmget), &ids(&[1]), reply.as_bytes());
    assert_eq!(statuses(&table), [Invalid, Invalid, Present]);
    assert_eq!((table.value(0, 0), table.value(0, 1)), (None, None));
}

#[test]
fn a_key_of_another_kind_is_that_row_alone() {
    let replies =
        "-WRONGTYPE Operation against a key\r\n*5\r\n$-1\r\n$-1\r\n$1\r\n7\r\n$-1\r\n$-1\r\n";
    let table = read(&plan(Command::Hmget), &ids(&[1, 2]), replies.as_bytes());
    assert_eq!(
        statuses(&table),
        [Invalid, Invalid, Invalid, Present, NotFound, NotFound]
    );
    assert_eq!(table.problems()[0].feature, None);
}

#[test]
fn what_was_not_answered_is_unavailable_and_never_missing() {
    let (read, mut parts) = start(&plan(Command::Hmget), ids(&[1, 2]), &SlotMap::Standalone);
    feed(
        &mut parts[0],
        b"*5\r\n$-1\r\n$-1\r\n$1\r\n7\r\n$-1\r\n$-1\r\n",
        &[9],
        true,
    );
    let table = read.join(parts);
    assert_eq!(statuses(&table)[3..], [Unavailable; 3]);
    assert_eq!(
        table.value(1, 1),
        None,
        "a default does not stand in for it"
    );
}

#[test]
fn server_errors_and_foreign_shapes_fail_the_part() {
    let failure = |replies: &[u8]| {
        let (_, mut parts) = start(&plan(Command::Hmget), ids(&[1]), &SlotMap::Standalone);
        feed(&mut parts[0], replies, &[usize::MAX], true);
        parts[0].failure().cloned()
    };
    assert_eq!(
        failure(b"-NOPERM no\r\n"),
        Some(PartFailure::Server("NOPERM no".to_owned()))
    );
    for replies in [
        ":1\r\n",
        "*1\r\n$1\r\n1\r\n",
        "+OK\r\n",
        "*5\r\n*1\r\n:1\r\n_\r\n_\r\n_\r\n_\r\n",
    ] {
        assert!(
            matches!(failure(replies.as_bytes()), Some(PartFailure::Protocol(_))),
            "{replies:?}"
        );
    }
}

#[test]
fn a_service_may_span_entities_and_rows_are_combinations() {
    let view = |entity, name: &str| ViewSpec {
        entity,
        name: name.to_owned(),
        ..ViewSpec::default()
    };
    let spec = PlanSpec {
        key_prefix: String::new(),
        entities: vec![
            entity("user", "user_id", KeyType::Integer, 40),
            entity("item", "item_id", KeyType::Text, 40),
        ],
        views: vec![view(0, "u"), view(1, "i")],
        features: vec![
            feature("title", 1, "String", None),
            feature("age", 0, "Int64", None),
            feature("price", 1, "Float64", None),
        ],
        ..PlanSpec::default()
    };
    let plan = Arc::new(ReadPlan::new(&spec).unwrap());
    let mut items = ByteColumn::default();
    for item in ["x", "y", "x"] {
        items.push(item.as_bytes());
    }
    let mut keys = ids(&[1, 1, 2]);
    keys.columns
        .insert(0, ("item_id".to_owned(), KeyColumn::Text(items)));
    // Users 1 and 2, then items x and y: each is read once.
    let replies = [
        "*2\r\n$1\r\n5\r\n$2\r\n29\r\n",
        "*2\r\n$1\r\n6\r\n$2\r\n31\r\n",
        "*3\r\n$1\r\n7\r\n$4\r\nhats\r\n$3\r\n9.5\r\n",
        "*3\r\n$1\r\n8\r\n$5\r\nshoes\r\n$2\r\nno\r\n",
    ]
    .concat();
    for map in [
        SlotMap::Standalone,
        SlotMap::from_ranges(&[(0, 16_383, 0)]).unwrap(),
    ] {
        let (read, mut parts) = start(&plan, keys.clone(), &map);
        assert_eq!(parts[0].expected(), 4);
        feed(&mut parts[0], replies.as_bytes(), &[5], true);
        let table = read.join(parts);
        let column = |index| {
            (0..3)
                .map(|row| table.value(row, index))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            column(0),
            ["hats", "shoes", "hats"].map(|title| Some(Value::String(title)))
        );
        assert_eq!(column(1), [29, 29, 31].map(|age| Some(Value::Integer(age))));
        assert_eq!(
            column(2),
            [Some(Value::Float64(9.5)), None, Some(Value::Float64(9.5))]
        );
        assert_eq!((table.event_time(2, 0), table.event_time(2, 1)), (7, 6));
        assert_eq!(
            (table.problems()[0].row, table.problems()[0].feature),
            (1, Some(2))
        );
    }
}

#[test]
fn json_of_one_and_of_many() {
    let replies = "*5\r\n$6\r\n995000\r\n_\r\n$2\r\n29\r\n$2\r\nU\"\r\n$3\r\nnan\r\n*5\r\n_\r\n_\r\n_\r\n_\r\n_\r\n";
    let table = read(&plan(Command::Hmget), &ids(&[1, 2]), replies.as_bytes());
    let mut one = Vec::new();
    render_one(&table, &mut one);
    assert_eq!(
        String::from_utf8(one).unwrap(),
        r#"{"entity":{"user_id":1},"features":{"age":29,"country":"U\"","score":null},"version":7,"statuses":{"age":"PRESENT","country":"PRESENT","score":"PRESENT"}}"#
    );
    let mut many = Vec::new();
    render_many(&table, true, &mut many);
    let many: serde_json::Value = serde_json::from_slice(&many).unwrap();
    assert_eq!(
        many["values"],
        serde_json::json!([[29, "U\"", null], [null, "??", null]])
    );
    assert_eq!(many["entities"], serde_json::json!({"user_id": [1, 2]}));
    assert_eq!(
        many["statuses"][1],
        serde_json::json!(["NOT_FOUND", "NOT_FOUND", "NOT_FOUND"])
    );
    assert_eq!(
        many["event_times"][0],
        serde_json::json!([995_000, 995_000, null])
    );
}

fn field() -> impl Strategy<Value = Option<(String, String)>> {
    let names = prop_oneof![
        Just("age"),
        Just("country"),
        Just("score"),
        Just("_ts:a"),
        Just("_ts:b"),
        Just("other")
    ];
    let values = prop_oneof![
        "[0-9]{1,19}",
        "-?[0-9]{1,3}\\.[0-9]{1,3}",
        "[a-z]{0,40}",
        Just("nan".to_owned())
    ];
    proptest::option::of((names.prop_map(str::to_owned), values))
}

proptest! {
    /// Both commands give the same answer for any hashes, however the bytes are cut, and so does a
    /// cluster of three nodes.
    #[test]
    fn all_ways_to_read_agree(
        rows in proptest::collection::vec(proptest::collection::vec(field(), 0..6), 1..8),
        keys in proptest::collection::vec(0_i64..8, 1..12),
        pieces in proptest::collection::vec(1_usize..40, 1..6),
    ) {
        let hashes: Vec<Hash> = rows
            .iter()
            .map(|row| {
                let mut fields: Hash = Vec::new();
                for (name, value) in row.iter().flatten() {
                    if fields.iter().all(|(known, _)| known != name) {
                        fields.push((name.clone(), value.clone()));
                    }
                }
                fields
            })
            .collect();
        let hash_of = |key: &[u8]| {
            let key = std::str::from_utf8(key).unwrap();
            let id: usize = key["p:user:{".len()..key.len() - "}:v7".len()].parse().unwrap();
            hashes.get(id).cloned().unwrap_or_default()
        };
        let answer = |plan: &Arc<ReadPlan>, map: &SlotMap, whole: bool| {
            let (read, mut parts) = start(plan, ids(&keys), map);
            for part in &mut parts {
                let mut commands = Vec::new();
                part.encode(&mut commands);
                let replies = serve(&commands, hash_of);
                feed(part, replies.as_bytes(), &pieces, whole);
            }
            let mut json = Vec::new();
            let table = read.join(parts);
            render_many(&table, true, &mut json);
            (String::from_utf8(json).unwrap(), table.invalid())
        };
        let three = SlotMap::from_ranges(&[(0, 5_000, 2), (5_001, 9_000, 0), (9_001, 16_383, 1)]);
        let expected = answer(&plan(Command::Hmget), &SlotMap::Standalone, false);
        prop_assert_eq!(&answer(&plan(Command::Hmget), &SlotMap::Standalone, true), &expected);
        prop_assert_eq!(&answer(&plan(Command::Hgetall), &SlotMap::Standalone, true), &expected);
        prop_assert_eq!(&answer(&plan(Command::Hmget), three.as_ref().unwrap(), true), &expected);
        prop_assert_eq!(&answer(&plan(Command::Hgetall), three.as_ref().unwrap(), false), &expected);
    }
}

type Hash = Vec<(String, String)>;

/// Answers HMGET and HGETALL as a server does.
fn serve(commands: &[u8], hash_of: impl Fn(&[u8]) -> Hash) -> String {
    let mut scanner = Scanner::new(Limits::default());
    let mut arguments: Vec<Vec<u8>> = Vec::new();
    let mut rest = commands;
    let mut replies = String::new();
    while let Some(scanned) = scanner.next(rest).unwrap() {
        if let crate::resp::Token::Blob(argument) = scanned.token {
            arguments.push(argument.to_vec());
        }
        rest = &rest[scanned.consumed..];
        if !scanned.last {
            continue;
        }
        let fields = hash_of(&arguments[1]);
        if arguments[0] == b"HGETALL" {
            let pairs: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            replies += &hash(&pairs);
        } else {
            replies.extend(["*", &(arguments.len() - 2).to_string(), "\r\n"]);
            for name in &arguments[2..] {
                let value = fields
                    .iter()
                    .find(|(known, _)| known.as_bytes() == &name[..]);
                replies += &value.map_or("$-1\r\n".to_owned(), |(_, value)| blob(value));
            }
        }
        arguments.clear();
    }
    replies
}
