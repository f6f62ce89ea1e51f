//! Replies of any kind to a read, cut anywhere: no panic, every value has a status, what did not
//! come is UNAVAILABLE, the result renders as JSON, and is the same by tokens and by whole replies.
#![no_main]

use std::sync::{Arc, LazyLock};

use fscore_core::cluster::SlotMap;
use fscore_core::connection::Replies;
use fscore_core::json;
use fscore_core::keys::{KeyColumn, KeyColumns, KeyType};
use fscore_core::plan::{EntitySpec, FeatureSpec, PlanSpec, ReadPlan, Strategy, ViewSpec};
use fscore_core::read::{PartFailure, Read, ReadOptions};
use fscore_core::resp::{Limits, Scanner};
use fscore_core::table::Table;
use fscore_core::types::Status;
use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 9] = [
    "Int64",
    "Float32",
    "Float64",
    "Bool",
    "String",
    "Bytes",
    "Timestamp",
    "List[String]",
    "Vector[1]",
];

static PLANS: LazyLock<[Arc<ReadPlan>; 2]> =
    LazyLock::new(|| [plan(Strategy::Hmget), plan(Strategy::Hgetall)]);

fn plan(strategy: Strategy) -> Arc<ReadPlan> {
    let view = |name: &str, ttl_ms| ViewSpec {
        entity: 0,
        name: name.to_owned(),
        ttl_ms,
        ..ViewSpec::default()
    };
    // One letter each, so that mutation finds them.
    let features = TYPES.iter().zip("abcdefghi".chars()).enumerate();
    let features = features.map(|(index, (data_type, name))| FeatureSpec {
        name: name.to_string(),
        view: index % 2,
        field: name.to_string(),
        data_type: (*data_type).to_owned(),
        default: (index == 4).then(|| b"default".to_vec()),
        ..FeatureSpec::default()
    });
    let spec = PlanSpec {
        key_prefix: String::new(),
        entities: vec![EntitySpec {
            name: "user".to_owned(),
            join_keys: vec![("id".to_owned(), KeyType::Integer)],
            fields_total: 20,
            wide_values: false,
        }],
        views: vec![view("v", 1_000), view("w", 0)],
        features: features.collect(),
        strategy: Some(strategy),
        ..PlanSpec::default()
    };
    Arc::new(ReadPlan::new(&spec).unwrap())
}

fuzz_target!(|input: (bool, &[u8])| {
    let (hmget, bytes) = input;
    let plan = &PLANS[usize::from(!hmget)];
    let by_tokens = read(plan, bytes, false);
    let as_whole = read(plan, bytes, true);
    assert_eq!(by_tokens.document, as_whole.document);
    assert_eq!(by_tokens.failure, as_whole.failure);
    let Answer {
        table,
        whole,
        failure,
        document,
    } = by_tokens;

    // Ids 1, 2 and 1 again are two keys, and row 1 is the second.
    let answered = [whole > 0, whole > 1, whole > 0];
    let mut invalid = 0;
    for (row, answered) in answered.into_iter().enumerate() {
        for column in 0..TYPES.len() {
            let status = table.status(row, column);
            assert!(answered || status == Status::Unavailable);
            assert!(!answered || failure.is_some() || status != Status::Unavailable);
            let value = table.value(row, column);
            assert!(value.is_some() || status != Status::Present);
            invalid += usize::from(status == Status::Invalid);
        }
    }
    assert_eq!(table.invalid(), invalid);
    serde_json::from_slice::<serde_json::Value>(&document).unwrap();
    let mut first = Vec::new();
    json::render_one(&table, &mut first);
    serde_json::from_slice::<serde_json::Value>(&first).unwrap();
});

struct Answer {
    table: Table,
    /// How many replies were whole.
    whole: usize,
    failure: Option<PartFailure>,
    document: Vec<u8>,
}

fn read(plan: &Arc<ReadPlan>, bytes: &[u8], as_whole: bool) -> Answer {
    let keys = KeyColumns {
        columns: vec![("id".to_owned(), KeyColumn::Integer(vec![1, 2, 1]))],
    };
    let (read, parts) = Read::new(
        plan,
        keys,
        Vec::new(),
        ReadOptions::plain(1, 10_000),
        &SlotMap::Standalone,
    )
    .unwrap();
    let mut parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    let part = &mut parts[0];
    let mut scanner = Scanner::new(Limits::default());
    let mut rest = bytes;
    let mut whole = 0;
    while whole < part.expected() {
        if as_whole
            && scanner.between_replies()
            && let Some(length) = part.whole(whole, rest)
        {
            part.finish(whole);
            whole += 1;
            rest = &rest[length..];
            continue;
        }
        let Ok(Some(element)) = scanner.next(rest) else {
            break;
        };
        part.token(whole, element.depth, element.token);
        if element.last {
            part.finish(whole);
            whole += 1;
        }
        rest = &rest[element.consumed..];
    }
    let failure = part.failure().cloned();
    let table = read.join(parts);
    assert_eq!((table.rows(), table.columns()), (3, TYPES.len()));
    let mut document = Vec::new();
    json::render_many(&table, true, &mut document);
    Answer {
        table,
        whole,
        failure,
        document,
    }
}
