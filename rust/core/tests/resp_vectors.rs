//! Every vector of `tests/vectors/resp`: whole, byte by byte, at random splits, with trailing bytes.

use std::fs;
use std::path::Path;

use fscore_core::resp::{Limits, Reply, ReplyBuilder, ScanError, Scanner};
use proptest::prelude::*;
use serde_json::Value;

#[derive(Debug)]
struct Case {
    name: String,
    bytes: Vec<u8>,
    limits: Limits,
    replies: Vec<Reply>,
    incomplete: bool,
    /// Kind and offset.
    error: Option<(String, u64)>,
}

#[test]
fn whole() {
    for case in cases() {
        check(&case, &[case.bytes.len()]);
    }
}

#[test]
fn byte_by_byte() {
    for case in cases() {
        check(&case, &vec![1; case.bytes.len()]);
    }
}

#[test]
fn in_two_at_every_place() {
    for case in cases().iter().filter(|case| case.bytes.len() < 500) {
        for cut in 0..case.bytes.len() {
            check(case, &[cut, case.bytes.len() - cut]);
        }
    }
}

#[test]
fn with_trailing_bytes() {
    for mut case in cases() {
        if case.incomplete || case.error.is_some() {
            continue;
        }
        case.bytes.extend_from_slice(b"$7\r\ntrail");
        case.incomplete = true;
        check(&case, &[case.bytes.len()]);
        check(&case, &vec![1; case.bytes.len()]);
    }
}

#[test]
fn one_after_the_other() {
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| !case.incomplete && case.error.is_none() && case.limits == Limits::default())
        .collect();
    let joined = Case {
        name: "all of them".to_owned(),
        bytes: cases.iter().flat_map(|case| case.bytes.clone()).collect(),
        limits: Limits::default(),
        replies: cases.into_iter().flat_map(|case| case.replies).collect(),
        incomplete: false,
        error: None,
    };
    check(&joined, &[joined.bytes.len()]);
    check(&joined, &vec![7; joined.bytes.len() / 7 + 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn at_random_splits(pieces in prop::collection::vec(0_usize..40, 1..400)) {
        for case in cases() {
            check(&case, &pieces);
        }
    }

    /// Any values come through any splits unchanged.
    #[test]
    fn arbitrary_replies(
        replies in prop::collection::vec(reply(), 0..8),
        pieces in prop::collection::vec(0_usize..30, 1..100),
    ) {
        let mut bytes = Vec::new();
        for reply in &replies {
            write(&mut bytes, reply);
        }
        let case = Case {
            name: "arbitrary".to_owned(),
            bytes,
            limits: Limits::default(),
            replies,
            incomplete: false,
            error: None,
        };
        check(&case, &pieces);
    }

    /// No bytes whatever make it panic, and splits change nothing.
    #[test]
    fn arbitrary_bytes(
        bytes in prop::collection::vec(
            prop_oneof![
                4 => prop::sample::select(b"$*%~>|+-:,#(_=!0123456789\r\n?tfx".to_vec()),
                1 => any::<u8>(),
            ],
            0..200,
        ),
        pieces in prop::collection::vec(0_usize..10, 1..100),
    ) {
        let whole = scan(&bytes, &[bytes.len()], Limits::default());
        let split = scan(&bytes, &pieces, Limits::default());
        prop_assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    }
}

fn check(case: &Case, pieces: &[usize]) {
    let (replies, outcome) = scan(&case.bytes, pieces, case.limits);
    // By text, because NaN is not equal to itself.
    assert_eq!(
        format!("{replies:?}"),
        format!("{:?}", case.replies),
        "{}",
        case.name
    );
    match (&case.error, outcome) {
        (None, Ok(between)) => assert_eq!(between, !case.incomplete, "{}", case.name),
        (Some((kind, offset)), Err(error)) => {
            let found = format!("{:?}", error.kind);
            let found = found.split('(').next().unwrap_or_default();
            assert_eq!(
                (found, error.offset),
                (kind.as_str(), *offset),
                "{}",
                case.name
            );
        }
        (_, outcome) => panic!("{}: {outcome:?}", case.name),
    }
}

/// The replies in `bytes`, fed in pieces of those lengths, the last one for the rest; and whether
/// the stream ends between two replies.
fn scan(bytes: &[u8], pieces: &[usize], limits: Limits) -> (Vec<Reply>, Result<bool, ScanError>) {
    let mut scanner = Scanner::new(limits);
    let mut builder = ReplyBuilder::new(usize::MAX);
    let mut replies = Vec::new();
    let mut used = 0;
    let mut fed = 0_usize;
    let ends = pieces.iter().chain([&usize::MAX]);
    for piece in ends {
        fed = fed.saturating_add(*piece).min(bytes.len());
        loop {
            match scanner.next(&bytes[used..fed]) {
                Ok(Some(element)) => {
                    used += element.consumed;
                    assert_eq!(scanner.offset(), used as u64);
                    builder.token(element.token);
                    if element.last {
                        replies.push(builder.finish().unwrap());
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(scanner.next(b"+OK\r\n"), Err(error), "an error is for ever");
                    assert_eq!(
                        scanner.next(b"$2\r\nOK\r\n"),
                        Err(error),
                        "an error is for ever"
                    );
                    return (replies, Err(error));
                }
            }
        }
    }
    (
        replies,
        Ok(scanner.between_replies() && used == bytes.len()),
    )
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/resp");
    let mut cases = Vec::new();
    for file in ["captured.json", "types.json", "errors.json"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let parsed: Value = serde_json::from_str(&text).unwrap();
        cases.extend(parsed["cases"].as_array().unwrap().iter().map(case));
    }
    assert!(cases.len() > 150);
    cases
}

fn case(value: &Value) -> Case {
    let limit = |name: &str, default: usize| {
        value["limits"][name]
            .as_u64()
            .map_or(default, |limit| usize::try_from(limit).unwrap())
    };
    let default = Limits::default();
    Case {
        name: value["name"].as_str().unwrap().to_owned(),
        bytes: bytes(&value["bytes"]),
        limits: Limits {
            depth: limit("depth", default.depth),
            blob: limit("blob", default.blob),
            aggregate: limit("aggregate", default.aggregate),
            line: limit("line", default.line),
            attributes: limit("attributes", default.attributes),
        },
        replies: value["replies"]
            .as_array()
            .unwrap()
            .iter()
            .map(expected)
            .collect(),
        incomplete: value["incomplete"].as_bool().unwrap_or(false),
        error: value.get("error").map(|error| {
            (
                error["kind"].as_str().unwrap().to_owned(),
                error["offset"].as_u64().unwrap(),
            )
        }),
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let latin1 = |text: &str| -> Vec<u8> {
        text.chars()
            .map(|character| u8::try_from(u32::from(character)).unwrap())
            .collect()
    };
    match value {
        Value::String(text) => latin1(text),
        Value::Array(pieces) => pieces
            .iter()
            .flat_map(|piece| match piece {
                Value::Array(pair) => latin1(pair[0].as_str().unwrap())
                    .repeat(usize::try_from(pair[1].as_u64().unwrap()).unwrap()),
                piece => latin1(piece.as_str().unwrap()),
            })
            .collect(),
        _ => panic!("{value} is not text"),
    }
}

fn expected(value: &Value) -> Reply {
    let Value::Object(object) = value else {
        assert!(value.is_null());
        return Reply::Null;
    };
    let (kind, content) = object.iter().next().unwrap();
    let items = || content.as_array().unwrap().iter();
    match kind.as_str() {
        "blob" => Reply::Blob(bytes(content)),
        "simple" => Reply::Simple(bytes(content)),
        "error" => Reply::Error(bytes(content)),
        "integer" => Reply::Integer(content.as_i64().unwrap()),
        "double" => Reply::Double(content.as_str().unwrap().parse().unwrap()),
        "boolean" => Reply::Boolean(content.as_bool().unwrap()),
        "big_number" => Reply::BigNumber(bytes(content)),
        "array" => Reply::Array(items().map(expected).collect()),
        "push" => Reply::Push(items().map(expected).collect()),
        "map" => Reply::Map(
            items()
                .map(|pair| (expected(&pair[0]), expected(&pair[1])))
                .collect(),
        ),
        kind => panic!("{kind} is not a kind of reply"),
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let text = || prop::collection::vec(any::<u8>(), 0..30);
    let line = || {
        text().prop_map(|text| {
            text.into_iter()
                .filter(|byte| !b"\r\n".contains(byte))
                .collect()
        })
    };
    let leaf = prop_oneof![
        Just(Reply::Null),
        text().prop_map(Reply::Blob),
        line().prop_map(Reply::Simple),
        line().prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        prop::num::f64::ANY.prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Boolean),
        "-?[0-9]{1,40}".prop_map(|digits| Reply::BigNumber(digits.into_bytes())),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Reply::Array),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Reply::Map),
        ]
    })
}

fn write(out: &mut Vec<u8>, reply: &Reply) {
    let line = |out: &mut Vec<u8>, kind: char, text: &[u8]| {
        out.push(kind as u8);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    };
    match reply {
        Reply::Null => line(out, '_', b""),
        Reply::Blob(text) => {
            line(out, '$', text.len().to_string().as_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Simple(text) => line(out, '+', text),
        Reply::Error(text) => line(out, '-', text),
        Reply::Integer(value) => line(out, ':', value.to_string().as_bytes()),
        Reply::Double(value) => line(out, ',', value.to_string().to_lowercase().as_bytes()),
        Reply::Boolean(value) => line(out, '#', if *value { b"t" } else { b"f" }),
        Reply::BigNumber(digits) => line(out, '(', digits),
        Reply::Array(items) | Reply::Push(items) => {
            line(out, '*', items.len().to_string().as_bytes());
            for item in items {
                write(out, item);
            }
        }
        Reply::Map(pairs) => {
            line(out, '%', pairs.len().to_string().as_bytes());
            for (key, value) in pairs {
                write(out, key);
                write(out, value);
            }
        }
    }
}
