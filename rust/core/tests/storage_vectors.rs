//! The vectors of the storage format, `tests/vectors/storage/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fscore_core::keys::{ByteColumn, EntityKeys, KeyColumn};
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{self, Value};
use fscore_core::{key, slot};
use serde_json::Value as Json;

#[test]
fn keys_are_those_of_the_vectors() {
    for case in cases("keys.json", "cases") {
        let key = build(&case).unwrap();
        assert_eq!(key, case["key"].as_str().unwrap(), "{}", case["name"]);
        let expected = case["slot"].as_u64().unwrap();
        assert_eq!(
            u64::from(slot::of(key.as_bytes())),
            expected,
            "{}",
            case["name"]
        );
    }
}

#[test]
fn escaped_ids_decode_to_themselves() {
    for case in cases("keys.json", "cases") {
        for id in case["ids"].as_array().unwrap() {
            if let Some(id) = id.as_str() {
                let mut escaped = Vec::new();
                key::escape_into(&mut escaped, id.as_bytes());
                assert_eq!(
                    key::unescape(&escaped).as_deref(),
                    Some(id.as_bytes()),
                    "{id:?}"
                );
            }
        }
    }
}

#[test]
fn refused_ids_make_no_key() {
    for case in cases("keys.json", "refused") {
        assert_eq!(build(&case), None, "{}", case["name"]);
    }
}

#[test]
fn values_are_those_of_the_vectors() {
    for case in cases("values.json", "cases") {
        let data_type = data_type(&case);
        let text = stored(&case);
        let mut arena = Vec::new();
        let cell = value::decode(data_type, &text, &mut arena)
            .unwrap_or_else(|error| panic!("{case}: {error:?}"));
        let read = value::view(data_type, cell, &arena);
        assert!(same(&read, &case["value"]), "{case} is read as {read:?}");
        if case["canonical"] == true {
            let mut written = Vec::new();
            value::encode(&mut written, read, scalar(data_type));
            assert_eq!(written, text, "{case}");
        }
    }
}

#[test]
fn invalid_texts_are_invalid() {
    for case in cases("values.json", "invalid") {
        let mut arena = Vec::new();
        let read = value::decode(data_type(&case), &stored(&case), &mut arena);
        assert!(read.is_err(), "{case} is read as {read:?}");
        assert!(arena.is_empty(), "{case} leaves something behind");
    }
}

fn cases(file: &str, list: &str) -> Vec<Json> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/storage/");
    let text = std::fs::read_to_string(format!("{folder}{file}")).unwrap();
    let mut vectors: Json = serde_json::from_str(&text).unwrap();
    serde_json::from_value(vectors[list].take()).unwrap()
}

/// The key of a case, or `None` if an id is not of its join key's type or is refused.
fn build(case: &Json) -> Option<String> {
    let columns: Option<Vec<(&str, KeyColumn)>> = case["join_keys"]
        .as_array()?
        .iter()
        .zip(case["ids"].as_array()?)
        .map(|(join_key, id)| {
            let column = if join_key[1] == "Int64" {
                KeyColumn::Integer(vec![id.as_i64()?])
            } else {
                let mut column = ByteColumn::default();
                column.push(id.as_str()?.as_bytes());
                KeyColumn::Text(column)
            };
            Some((join_key[0].as_str()?, column))
        })
        .collect();
    let columns = columns?;
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, column)| (*name, column))
        .collect();
    let prefix = case["prefix"].as_str().unwrap_or_default();
    let entity = case["entity"].as_str().unwrap_or("user");
    let head = format!("{prefix}{entity}:{{");
    let tail = format!("}}:v{}", case["version"].as_u64().unwrap_or(1));
    let built = EntityKeys::build(head.as_bytes(), &columns, tail.as_bytes(), 1).ok()?;
    Some(String::from_utf8(built.keys.at(0).to_vec()).unwrap())
}

fn data_type(case: &Json) -> DataType {
    case["type"].as_str().unwrap().parse().unwrap()
}

fn scalar(data_type: DataType) -> Scalar {
    match data_type {
        DataType::Scalar(scalar) | DataType::List(scalar) => scalar,
        DataType::Vector(_) => Scalar::Float32,
    }
}

fn stored(case: &Json) -> Vec<u8> {
    match case["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => BASE64.decode(case["base64"].as_str().unwrap()).unwrap(),
    }
}

fn same(value: &Value<'_>, expected: &Json) -> bool {
    match value {
        Value::Integer(value) => expected.as_i64() == Some(*value),
        Value::Bool(value) => expected.as_bool() == Some(*value),
        Value::Float64(value) => same_float(*value, expected),
        Value::Float32(value) => same_float(f64::from(*value), expected),
        Value::String(value) => expected.as_str() == Some(*value),
        Value::Bytes(value) => expected.as_str() == Some(&BASE64.encode(value)),
        Value::List(elements) => {
            let values: Vec<_> = elements.clone().collect();
            let expected = expected.as_array().unwrap();
            values.len() == expected.len()
                && values
                    .iter()
                    .zip(expected)
                    .all(|(value, expected)| same(value, expected))
        }
        Value::Vector(bytes) => {
            let values: Vec<_> = value::vector_elements(bytes).map(f64::from).collect();
            let expected = expected.as_array().unwrap();
            values.len() == expected.len()
                && values
                    .iter()
                    .zip(expected)
                    .all(|(&value, expected)| same_float(value, expected))
        }
    }
}

/// Equal to the bit, so that the sign of a zero counts; any NaN equals any other.
fn same_float(value: f64, expected: &Json) -> bool {
    match expected.as_str() {
        Some("nan") => value.is_nan(),
        Some("inf") => value == f64::INFINITY,
        Some("-inf") => value == f64::NEG_INFINITY,
        _ => expected.as_f64().map(f64::to_bits) == Some(value.to_bits()),
    }
}
