//! Packed rows, series, flags and snapshots of all of them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::packed::{RowWriter, Schema};
use crate::plan::{SeriesSpec, TileUse, ViewKind, WindowSpec};
use crate::types::DataType;

const MINUTE: i64 = 60_000;
/// A round time, so that tiles are easy to name.
const AT: i64 = 100 * MINUTE;

fn window(name: &str, op: &str, field: Option<&str>, minutes: i64) -> FeatureSpec {
    let data_type = match op {
        "last" => "List[String]",
        "last_times" => "List[Timestamp]",
        "avg" | "sum" | "min" | "max" => "Float64",
        _ => "Int64",
    };
    FeatureSpec {
        window: Some(WindowSpec {
            op: op.to_owned(),
            field: field.map(str::to_owned),
            window_ms: minutes * MINUTE,
            n: if op.starts_with("last") { 2 } else { 0 },
            gap_ms: if op == "session_length" { MINUTE } else { 0 },
            tiles: TileUse::None,
        }),
        ..feature(name, 0, data_type, None)
    }
}

fn tiled(mut feature: FeatureSpec, tiles: TileUse) -> FeatureSpec {
    feature.window.as_mut().unwrap().tiles = tiles;
    feature
}

fn clicks(tile_minutes: i64) -> ViewSpec {
    let payload = [("item", "String"), ("price", "Float64")];
    ViewSpec {
        name: "clicks".to_owned(),
        kind: ViewKind::Series(SeriesSpec {
            retention_ms: 60 * MINUTE,
            tile_ms: tile_minutes * MINUTE,
            payload: payload
                .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
                .to_vec(),
        }),
        ..ViewSpec::default()
    }
}

fn plan_of(views: Vec<ViewSpec>, features: Vec<FeatureSpec>) -> Arc<ReadPlan> {
    let spec = PlanSpec {
        entities: vec![entity("user", "user_id", KeyType::Integer, 9)],
        views,
        features,
        pointer: Some("feature_version:s".to_owned()),
        ..PlanSpec::default()
    };
    Arc::new(ReadPlan::new(&spec).unwrap())
}

fn asked(snapshot: bool) -> ReadOptions {
    ReadOptions {
        version: 1,
        as_of_ms: AT,
        snapshot,
        pointer: false,
    }
}

fn part_of(plan: &Arc<ReadPlan>, keys: &[i64], asked: ReadOptions) -> (Read, ReadPart) {
    let (read, mut parts) =
        Read::new(plan, ids(keys), Vec::new(), asked, &SlotMap::Standalone).unwrap();
    (read, parts.remove(0).1)
}

/// The commands that are sent, a line each.
fn commands(plan: &Arc<ReadPlan>, keys: &[i64], asked: ReadOptions) -> Vec<String> {
    let mut out = Vec::new();
    part_of(plan, keys, asked).1.encode(&mut out);
    let text = String::from_utf8(out).unwrap();
    let mut words: VecDeque<&str> = text.split_terminator("\r\n").collect();
    let mut lines = Vec::new();
    while let Some(header) = words.pop_front() {
        let arguments: usize = header[1..].parse().unwrap();
        let line: Vec<_> = words.drain(..2 * arguments).skip(1).step_by(2).collect();
        lines.push(line.join(" "));
    }
    lines
}

/// The table of these replies, which must be the same however they are cut.
fn answered(plan: &Arc<ReadPlan>, keys: &[i64], asked: ReadOptions, replies: &[u8]) -> Table {
    let table = |pieces: &[usize]| {
        let (read, mut part) = part_of(plan, keys, asked);
        feed(&mut part, replies, pieces, true);
        assert_eq!(part.failure(), None);
        read.join(vec![part])
    };
    let whole = table(&[usize::MAX]);
    for pieces in [vec![1], vec![3, 7, 2], vec![40]] {
        let cut = table(&pieces);
        assert_eq!(shown(&cut), shown(&whole), "in pieces of {pieces:?}");
    }
    whole
}

fn shown(table: &Table) -> String {
    let mut out = Vec::new();
    render_many(table, true, &mut out);
    String::from_utf8(out).unwrap()
}

fn values(table: &Table) -> String {
    let shown = shown(table);
    let start = shown.find("\"values\":").unwrap() + 9;
    shown[start..shown.find(",\"version\"").unwrap()].to_owned()
}

/// The same events in RESP2 and in RESP3.
fn events(events: &[(&str, i64)]) -> [String; 2] {
    let flat: String = events
        .iter()
        .map(|(member, time)| blob(member) + &blob(&time.to_string()))
        .collect();
    let pairs = events
        .iter()
        .map(|(member, time)| ["*2\r\n", &blob(member), &format!(",{time}\r\n")].concat());
    let pairs: Vec<String> = pairs.collect();
    [
        format!("*{}\r\n{flat}", 2 * events.len()),
        format!("*{}\r\n{}", events.len(), pairs.concat()),
    ]
}

#[test]
fn features_of_a_series_share_their_commands() {
    let plan = plan_of(
        vec![clicks(0)],
        vec![
            window("n5", "count", None, 5),
            window("items", "last", Some("item"), 0),
            window("times", "last_times", None, 0),
            window("n9", "count", None, 9),
            window("since", "time_since_last", None, 0),
        ],
    );
    assert_eq!(
        commands(&plan, &[7], asked(false)),
        [
            "ZCOUNT clicks:user:{7} (5700000 6000000",
            "ZRANGE clicks:user:{7} 6000000 (2400000 BYSCORE REV LIMIT 0 2 WITHSCORES",
            "ZCOUNT clicks:user:{7} (5460000 6000000",
        ]
    );
    // If the events of a longer window are read anyway, this client counts them.
    let plan = plan_of(
        vec![clicks(0)],
        vec![
            window("n5", "count", None, 5),
            window("total", "sum", Some("price"), 6),
            window("n9", "count", None, 9),
            window("session", "session_length", None, 0),
        ],
    );
    let sha1 = crate::script::SESSION.sha1();
    assert_eq!(
        commands(&plan, &[7], asked(false)),
        [
            "ZRANGE clicks:user:{7} (5640000 6000000 BYSCORE WITHSCORES",
            "ZCOUNT clicks:user:{7} (5460000 6000000",
            &format!("EVALSHA_RO {sha1} 1 clicks:user:{{7}} 6000000 (2400000 60000"),
        ]
    );
}

#[test]
fn windows_hold_what_is_after_their_left_edge_and_at_their_right_one() {
    let plan = plan_of(
        vec![clicks(0)],
        vec![
            window("total", "sum", Some("price"), 6),
            window("n5", "count", None, 5),
            window("mean", "avg", Some("price"), 5),
            window("low", "min", Some("price"), 5),
            window("high", "max", Some("price"), 5),
            window("items", "distinct", Some("item"), 5),
        ],
    );
    let stored = events(&[
        ("early,100#1", AT - 5 * MINUTE),
        ("a,1.5#2", AT - 5 * MINUTE + 1),
        ("b,%N#3", AT - MINUTE),
        ("a,2#4", AT),
    ]);
    for replies in stored {
        let table = answered(&plan, &[7], asked(false), replies.as_bytes());
        assert_eq!(values(&table), "[[103.5,3,1.75,1.5,2.0,2]]");
        assert_eq!(table.event_time(0, 0), AT);
        assert!(table.all_present());
    }
    let table = answered(&plan, &[7], asked(false), b"*0\r\n");
    assert_eq!(values(&table), "[[0.0,0,null,null,null,0]]");
    assert_eq!(
        statuses(&table),
        [Present, Present, NotFound, NotFound, NotFound, Present]
    );
}

#[test]
fn the_newest_come_first_and_without_an_event_there_is_nothing_to_say() {
    let plan = plan_of(
        vec![clicks(0)],
        vec![
            window("items", "last", Some("item"), 0),
            window("times", "last_times", None, 0),
            window("since", "time_since_last", None, 0),
        ],
    );
    for replies in events(&[("b%2Cc,1#2", AT - 1_000), ("a,1#1", AT - 2_000)]) {
        let table = answered(&plan, &[7], asked(false), replies.as_bytes());
        assert_eq!(values(&table), r#"[[["b,c","a"],[5999000,5998000],1000]]"#);
    }
    let table = answered(&plan, &[7], asked(false), b"*0\r\n");
    assert_eq!(statuses(&table), [NotFound, NotFound, NotFound]);
}

#[test]
fn a_session_counts_until_its_pause_is_over() {
    let plan = plan_of(
        vec![clicks(0)],
        vec![window("session", "session_length", None, 0)],
    );
    let length = |first: i64, newest: i64| {
        let texts = [first, newest].map(|time| blob(&time.to_string()));
        let reply = format!("*2\r\n{}", texts.concat());
        values(&answered(&plan, &[7], asked(false), reply.as_bytes()))
    };
    assert_eq!(length(AT - 90_000, AT - MINUTE), "[[30000]]");
    assert_eq!(length(AT - 90_000, AT - MINUTE - 1), "[[0]]");
    let table = answered(&plan, &[7], asked(false), b"*0\r\n");
    assert_eq!(
        (values(&table).as_str(), table.all_present()),
        ("[[0]]", true)
    );
}

#[test]
fn tiles_fill_the_middle_of_a_window() {
    let sum = window("total", "sum", Some("price"), 25);
    let plan = plan_of(
        vec![clicks(10)],
        vec![
            tiled(sum, TileUse::Exact),
            tiled(window("n", "count", None, 25), TileUse::Granular),
            tiled(window("mean", "avg", Some("price"), 25), TileUse::Granular),
        ],
    );
    // The window begins after minute 75; the tiles 80 and 90 lie in it, 70 to 100 are touched.
    let now = ReadOptions {
        as_of_ms: AT + MINUTE,
        ..asked(false)
    };
    let minute = |minute: i64| minute * MINUTE;
    let fields = |minutes: &[i64], kinds: &[&str]| {
        let names = minutes.iter().flat_map(|&start| {
            let start = minute(start);
            kinds.iter().map(move |kind| format!("{start}:{kind}"))
        });
        names.collect::<Vec<_>>().join(" ")
    };
    let key = "clicks:user:{7}";
    assert_eq!(
        commands(&plan, &[7], now),
        [
            format!("HMGET {key}:t600000 {}", fields(&[80, 90], &["s:price"])),
            format!(
                "ZRANGE {key} ({} {} BYSCORE WITHSCORES",
                minute(76),
                minute(80) - 1
            ),
            format!(
                "ZRANGE {key} ({} {} BYSCORE WITHSCORES",
                minute(100) - 1,
                minute(101)
            ),
            format!(
                "HMGET {key}:t600000 {}",
                fields(&[70, 80, 90, 100], &["n", "s:price", "c:price"])
            ),
        ]
    );
    let [left, _] = events(&[("a,1#1", minute(77))]);
    let [right, _] = events(&[("a,0.25#1", minute(100)), ("a,%N#2", minute(101))]);
    let replies = [
        format!("*2\r\n{}$-1\r\n", blob("10.5")),
        left,
        right,
        format!(
            "*12\r\n{}{}{}$-1\r\n$-1\r\n$-1\r\n{}$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
            blob("3"),
            blob("9"),
            blob("2"),
            blob("4"),
        ),
    ];
    let table = answered(&plan, &[7], now, replies.concat().as_bytes());
    assert_eq!(values(&table), "[[11.75,7,4.5]]");
}

#[test]
fn a_member_that_is_not_a_payload_is_invalid_with_its_reason() {
    let plan = plan_of(
        vec![clicks(0)],
        vec![
            window("total", "sum", Some("price"), 5),
            window("n", "count", None, 5),
        ],
    );
    let [replies, _] = events(&[("a,cheap#1", AT)]);
    let table = answered(&plan, &[7], asked(false), replies.as_bytes());
    assert_eq!(statuses(&table), [Invalid, Present]);
    assert!(table.problems()[0].reason.contains("price of the event"));
    assert_eq!(table.invalid(), 1);
    let other = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let table = answered(&plan, &[7], asked(false), other);
    assert_eq!(statuses(&table), [Invalid, Invalid]);
    assert!(table.problems()[0].reason.contains("sorted set"));
}

fn flags(ids: Option<&str>) -> ViewSpec {
    ViewSpec {
        name: "promotions".to_owned(),
        kind: ViewKind::Flags {
            ids: ids.map(str::to_owned),
        },
        ..ViewSpec::default()
    }
}

#[test]
fn bits_of_one_shard_are_asked_together() {
    let plan = plan_of(vec![flags(None)], vec![feature("seen", 0, "Bool", None)]);
    let keys = [65_536, 3, -1, 65_537, 3];
    assert_eq!(
        commands(&plan, &keys, asked(false)),
        [
            "GETBIT flag:seen:{0} 3",
            "BITFIELD_RO flag:seen:{1} GET u1 0 GET u1 1",
        ]
    );
    let table = answered(&plan, &keys, asked(false), b":1\r\n*2\r\n:0\r\n:1\r\n");
    assert_eq!(values(&table), "[[false],[true],[null],[true],[true]]");
    assert_eq!(
        statuses(&table),
        [Present, Present, NotFound, Present, Present]
    );
    let wrong = b"-WRONGTYPE x\r\n*2\r\n:0\r\n:1\r\n";
    let table = answered(&plan, &keys, asked(false), wrong);
    assert_eq!(
        statuses(&table),
        [Present, Invalid, NotFound, Present, Invalid]
    );
}

fn packed(name: &str) -> (ViewSpec, Vec<(String, String)>) {
    let columns = vec![
        ("age".to_owned(), "Int64".to_owned()),
        ("country".to_owned(), "String".to_owned()),
    ];
    let view = ViewSpec {
        name: name.to_owned(),
        ttl_ms: 10_000,
        kind: ViewKind::Packed {
            schemas: vec![(17, columns.clone())],
        },
        ..ViewSpec::default()
    };
    (view, columns)
}

fn row(fingerprint: u32, age: Option<i64>, time: i64) -> String {
    let columns = packed("x").1;
    let columns = columns.into_iter().map(|(name, kind)| {
        let data_type: DataType = kind.parse().unwrap();
        (name, data_type)
    });
    let schema = Schema::new(fingerprint, columns.collect()).unwrap();
    let mut writer = RowWriter::new(&schema);
    if let Some(age) = age {
        writer.value(0, Value::Integer(age)).unwrap();
    }
    writer.value(1, Value::String("US")).unwrap();
    let mut out = Vec::new();
    writer.finish(time, &mut out);
    // Every byte of these rows is ASCII.
    blob(&String::from_utf8(out).unwrap())
}

#[test]
fn packed_rows_of_many_ids_and_views_are_one_command() {
    let (a, b) = (packed("a").0, packed("b").0);
    let plan = plan_of(
        vec![a, b],
        vec![
            feature("age", 0, "Int64", Some("18")),
            feature("country", 1, "String", None),
        ],
    );
    let one = "user:{1}:v1:a user:{1}:v1:b";
    assert_eq!(
        commands(&plan, &[1, 2, 1], asked(false)),
        [format!("MGET {one} user:{{2}}:v1:a user:{{2}}:v1:b")]
    );
    // A single command is atomic by itself.
    assert_eq!(commands(&plan, &[1], asked(true)), [format!("MGET {one}")]);
    // Times whose bytes are ASCII.
    let now = ReadOptions {
        as_of_ms: 11_000,
        ..asked(false)
    };
    let replies = format!(
        "*6\r\n{}{}{}{}$-1\r\n{}",
        row(17, Some(29), 1_025),
        row(17, None, 872),
        row(17, None, 1_025),
        row(99, None, 1_025),
        blob("no row"),
    );
    let table = answered(&plan, &[1, 2, 3], now, replies.as_bytes());
    assert_eq!(
        statuses(&table),
        [Present, Expired, Null, Invalid, NotFound, Invalid]
    );
    assert_eq!(values(&table), "[[29,null],[18,null],[18,null]]");
    assert_eq!(table.event_time(0, 0), 1_025);
    assert_eq!(table.unknown_schemas(), [99]);
}

fn mixed() -> Arc<ReadPlan> {
    let of = |view, mut feature: FeatureSpec| {
        feature.view = view;
        feature
    };
    plan_of(
        vec![
            ViewSpec {
                name: "profile".to_owned(),
                ..ViewSpec::default()
            },
            packed("a").0,
            clicks(0),
            flags(None),
        ],
        vec![
            of(3, feature("seen", 3, "Bool", None)),
            of(2, window("n5", "count", None, 5)),
            of(2, window("items", "last", Some("item"), 0)),
            of(0, feature("score", 0, "Float64", None)),
            of(1, feature("age", 1, "Int64", None)),
        ],
    )
}

#[test]
fn a_snapshot_takes_everything_of_one_id_in_one_transaction() {
    let plan = mixed();
    let own = |id: i64| {
        [
            "MULTI".to_owned(),
            format!("HMGET user:{{{id}}}:v1 _ts:profile score"),
            format!("GET user:{{{id}}}:v1:a"),
            format!("ZCOUNT clicks:user:{{{id}}} (5700000 6000000"),
            format!(
                "ZRANGE clicks:user:{{{id}}} 6000000 (2400000 BYSCORE REV LIMIT 0 2 WITHSCORES"
            ),
            "EXEC".to_owned(),
        ]
    };
    // A bitmap holds the bits of many ids, so it is read beside the snapshots.
    let bits = ["BITFIELD_RO flag:seen:{0} GET u1 1 GET u1 2".to_owned()];
    let expected = [bits.as_slice(), &own(1), &own(2)].concat();
    assert_eq!(commands(&plan, &[1, 2], asked(true)), expected);
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
    for (index, map) in ["*2", "*2"].iter().enumerate() {
        let stored = &events(&[("a,1#1", AT)])[index];
        let nothing = &events(&[])[index];
        let replies = [
            "*2\r\n:0\r\n:1\r\n",
            queued,
            &format!(
                "*4\r\n{map}\r\n$-1\r\n{}{}:7\r\n{stored}",
                blob("0.5"),
                row(17, Some(3), 0x5b_7f_7f)
            ),
            queued,
            &format!("*4\r\n{map}\r\n$-1\r\n$-1\r\n$-1\r\n:0\r\n{nothing}"),
        ];
        let table = answered(&plan, &[1, 2], asked(true), replies.concat().as_bytes());
        assert_eq!(
            values(&table),
            r#"[[false,7,["a"],0.5,3],[true,0,null,null,null]]"#
        );
    }
}

#[test]
fn a_snapshot_looks_at_the_pointer_if_it_is_asked_to() {
    let view = ViewSpec {
        name: "profile".to_owned(),
        ..ViewSpec::default()
    };
    let plan = plan_of(vec![view], vec![feature("score", 0, "Float64", None)]);
    let asked = ReadOptions {
        pointer: true,
        ..asked(true)
    };
    assert_eq!(
        commands(&plan, &[1], asked),
        [
            "MULTI",
            "GET feature_version:s",
            "HMGET user:{1}:v1 _ts:profile score",
            "EXEC"
        ]
    );
    let head = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n";
    let tail = "*2\r\n$-1\r\n$3\r\n0.5\r\n";
    for (pointer, expected) in [("$1\r\n3\r\n", Some(3)), ("$-1\r\n", None)] {
        let replies = format!("{head}{pointer}{tail}");
        let table = answered(&plan, &[1], asked, replies.as_bytes());
        assert_eq!((table.pointer(), table.all_present()), (expected, true));
    }
}

#[test]
fn a_refused_transaction_is_the_whole_failure_and_leaves_the_stream_in_step() {
    let plan = mixed();
    let (read, mut part) = part_of(&plan, &[1, 2], asked(true));
    let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
    let replies = [
        "*2\r\n:0\r\n:1\r\n",
        "+OK\r\n-NOPERM no permissions\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n",
        "-EXECABORT Transaction discarded because of previous errors.\r\n",
        queued,
        "*4\r\n-WRONGTYPE x\r\n$-1\r\n:5\r\n*0\r\n",
    ];
    feed(&mut part, replies.concat().as_bytes(), &[9], true);
    assert_eq!(
        part.failure(),
        Some(&PartFailure::Server("NOPERM no permissions".to_owned()))
    );
    let table = read.join(vec![part]);
    assert_eq!(
        statuses(&table)[..5],
        [Present, Unavailable, Unavailable, Unavailable, Unavailable]
    );
    assert_eq!(
        statuses(&table)[5..],
        [Present, Present, NotFound, Invalid, NotFound]
    );
}

#[test]
fn on_a_cluster_parts_answer_what_one_server_would() {
    let plan = mixed();
    let keys = ids(&[1, 70_000, 2, 1]);
    let map = SlotMap::from_ranges(&[(0, 6_000, 0), (6_001, 16_383, 1)]).unwrap();
    for snapshot in [false, true] {
        let (read, parts) =
            Read::new(&plan, keys.clone(), Vec::new(), asked(snapshot), &map).unwrap();
        assert_eq!(parts.len(), 2);
        let mut answers = Vec::new();
        for (_, mut part) in parts {
            let mut sent = Vec::new();
            part.encode(&mut sent);
            feed(&mut part, server(&sent).as_bytes(), &[11, 5], true);
            assert_eq!(part.failure(), None);
            answers.push(part);
        }
        let table = read.join(answers);
        let one = "[false,1,null,1.0,null]";
        let far = "[true,70000,null,70000.0,null]";
        let two = "[true,2,null,2.0,null]";
        assert_eq!(values(&table), format!("[{one},{far},{two},{one}]"));
    }
}

/// A server whose numbers for an id are all the id itself, and whose bit says whether it is even.
fn server(sent: &[u8]) -> String {
    let text = String::from_utf8(sent.to_vec()).unwrap();
    let mut words: VecDeque<&str> = text.split_terminator("\r\n").collect();
    let mut replies = String::new();
    let mut queued: Option<Vec<String>> = None;
    while let Some(header) = words.pop_front() {
        let arguments: usize = header[1..].parse().unwrap();
        let line: Vec<_> = words.drain(..2 * arguments).skip(1).step_by(2).collect();
        let id = |key: &str| key.split(['{', '}']).nth(1).unwrap_or("").to_owned();
        let reply = match line[0] {
            "MULTI" => {
                queued = Some(Vec::new());
                replies.push_str("+OK\r\n");
                continue;
            }
            "EXEC" => {
                let queued = queued.take().unwrap();
                format!("*{}\r\n{}", queued.len(), queued.concat())
            }
            "HMGET" => format!("*2\r\n$-1\r\n{}", blob(&id(line[1]))),
            "GET" => "$-1\r\n".to_owned(),
            "MGET" => format!(
                "*{}\r\n{}",
                line.len() - 1,
                "$-1\r\n".repeat(line.len() - 1)
            ),
            "ZCOUNT" => format!(":{}\r\n", id(line[1])),
            "ZRANGE" => "*0\r\n".to_owned(),
            "GETBIT" => format!(":{}\r\n", 1 - line[2].parse::<i64>().unwrap() % 2),
            _ => {
                let bits = line[2..].chunks(3).map(|get| {
                    let bit: i64 = get[2].parse().unwrap();
                    format!(":{}\r\n", 1 - bit % 2)
                });
                let bits: Vec<_> = bits.collect();
                format!("*{}\r\n{}", bits.len(), bits.concat())
            }
        };
        match &mut queued {
            Some(queued) => {
                queued.push(reply);
                replies.push_str("+QUEUED\r\n");
            }
            None => replies.push_str(&reply),
        }
    }
    replies
}
