//! `tests/vectors/storage/rows.json`: whole hashes through a view, by either command that reads one.

use std::sync::Arc;

use fscore_core::cluster::SlotMap;
use fscore_core::connection::Replies as _;
use fscore_core::keys::{ByteColumn, KeyColumn, KeyColumns, KeyType};
use fscore_core::plan::{EntitySpec, FeatureSpec, PlanSpec, ReadPlan, Strategy, ViewSpec};
use fscore_core::read::{Read, ReadOptions};
use fscore_core::resp::token::Token;
use fscore_core::script::Calls as _;
use fscore_core::table::Table;
use fscore_core::value::Value;
use serde_json::Value as Json;

#[test]
fn by_hmget() {
    check(0, Strategy::Hmget);
}

#[test]
fn by_hgetall() {
    // Asked for this much of a hash, a plan reads all of it.
    check(40, Strategy::Hgetall);
}

fn check(more_features: usize, strategy: Strategy) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/storage/rows.json"
    );
    let vectors: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let plan = plan(&vectors["features"], case, more_features);
        assert_eq!(plan.strategies().collect::<Vec<_>>(), [strategy]);
        let table = read(&plan, case, strategy);
        let expected = case["expected"].as_array().unwrap();
        for (column, expected) in expected.iter().enumerate() {
            let name = format!("{}: {}", case["name"], plan.features()[column].name);
            assert_eq!(
                table.status(0, column).name(),
                expected["status"].as_str().unwrap(),
                "{name}"
            );
            assert_eq!(json(table.value(0, column)), expected["value"], "{name}");
        }
    }
}

fn plan(features: &Json, case: &Json, more_features: usize) -> Arc<ReadPlan> {
    let mut columns: Vec<FeatureSpec> = features
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| {
            let name = feature["name"].as_str().unwrap();
            let default = match &feature["default"] {
                Json::Null => None,
                Json::String(text) => Some(text.clone().into_bytes()),
                number => Some(number.to_string().into_bytes()),
            };
            column(name, feature["type"].as_str().unwrap(), default)
        })
        .collect();
    columns.extend((0..more_features).map(|number| column(&format!("x{number}"), "Int64", None)));
    let spec = PlanSpec {
        key_prefix: String::new(),
        entities: vec![EntitySpec {
            name: "user".to_owned(),
            join_keys: vec![("user_id".to_owned(), KeyType::Text)],
            fields_total: columns.len() + 1,
            wide_values: false,
        }],
        views: vec![ViewSpec {
            entity: 0,
            name: "profile".to_owned(),
            ttl_ms: case["ttl_ms"].as_i64().unwrap(),
            ..ViewSpec::default()
        }],
        features: columns,
        ..PlanSpec::default()
    };
    Arc::new(ReadPlan::new(&spec).unwrap())
}

fn column(name: &str, data_type: &str, default: Option<Vec<u8>>) -> FeatureSpec {
    FeatureSpec {
        name: name.to_owned(),
        view: 0,
        field: name.to_owned(),
        data_type: data_type.to_owned(),
        default,
        ..FeatureSpec::default()
    }
}

/// Answers the read as Redis would from the case's hash.
fn read(plan: &Arc<ReadPlan>, case: &Json, strategy: Strategy) -> Table {
    let mut ids = ByteColumn::default();
    ids.push(b"1");
    let keys = KeyColumns {
        columns: vec![("user_id".to_owned(), KeyColumn::Text(ids))],
    };
    let now = case["now_ms"].as_i64().unwrap();
    let (read, mut parts) = Read::new(
        plan,
        keys,
        Vec::new(),
        ReadOptions::plain(1, now),
        &SlotMap::Standalone,
    )
    .unwrap();
    let (_, mut part) = parts.remove(0);
    assert_eq!(part.expected(), 1);
    let hash = case["hash"].as_object().unwrap();
    let text = |value: &Json| value.as_str().unwrap().as_bytes().to_vec();
    match strategy {
        Strategy::Hmget => {
            let mut command = Vec::new();
            part.encode(&mut command);
            let fields = arguments(&command).split_off(2);
            part.token(0, 0, Token::Array(fields.len()));
            for field in fields {
                match hash.get(&field) {
                    Some(value) => part.token(0, 1, Token::Blob(&text(value))),
                    None => part.token(0, 1, Token::Null),
                }
            }
        }
        Strategy::Hgetall => {
            part.token(0, 0, Token::Map(hash.len()));
            for (field, value) in hash {
                part.token(0, 1, Token::Blob(field.as_bytes()));
                part.token(0, 1, Token::Blob(&text(value)));
            }
        }
    }
    part.finish(0);
    read.join(vec![part])
}

/// The words of one command as they were encoded: lengths and texts, alternating.
fn arguments(command: &[u8]) -> Vec<String> {
    let text = String::from_utf8(command.to_vec()).unwrap();
    text.split_terminator("\r\n")
        .skip(2)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn json(value: Option<Value<'_>>) -> Json {
    match value {
        None => Json::Null,
        Some(Value::Integer(value)) => value.into(),
        Some(Value::Float64(value)) => value.into(),
        Some(Value::String(value)) => value.into(),
        Some(other) => panic!("no vector has {other:?}"),
    }
}
