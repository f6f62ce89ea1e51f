//! The vectors of series and flags, `tests/vectors/storage/series.json`.

use fscore_core::flag::{Bit, IdPattern};
use fscore_core::keys::{ByteColumn, KeyColumn};
use fscore_core::resp::encode;
use fscore_core::series::member;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::Value;
use fscore_core::write::{
    FlagLayout, Given, Layout, Outdated, Row, RowEncoder, SeriesLayout, SeriesView, WriteBatch,
};
use serde_json::Value as Json;

#[test]
fn events_become_the_members_of_the_vectors() {
    for case in cases("members") {
        let name = case["name"].as_str().unwrap();
        let repeats = case["repeats"] == "count";
        let with_id = !case["event_id"].is_null();
        let layout = SeriesLayout::new(SeriesView {
            key_head: b"clicks:user:{".to_vec(),
            payload: types(&case).len(),
            retention_ms: 0,
            outdated: Outdated::Nothing,
            max_events: 0,
            count_repeats: repeats,
            event_ids: with_id,
            tiles: None,
        });
        let time = case["event_time"].as_i64().unwrap();
        let mut expected = Vec::new();
        let score = time.to_string();
        let text = case["member"].as_str().unwrap();
        let mut words = vec!["ZADD", "clicks:user:{7}"];
        if !repeats || with_id {
            words.extend(["GT", "CH"]);
        }
        words.extend([score.as_str(), text]);
        encode::command(&mut expected, &words);
        assert_eq!(sent(&layout, &case, time), expected, "{name}");
    }
}

#[test]
fn members_of_the_vectors_are_read_as_what_was_written() {
    for case in cases("members") {
        let types = types(&case);
        let stored = case["member"].as_str().unwrap().as_bytes();
        for (index, (data_type, value)) in types.iter().zip(values(&case)).enumerate() {
            let field = member::field(stored, index, types.len()).unwrap();
            let mut expected = Vec::new();
            if give(*data_type, value, |given| given.text(&mut expected)) {
                assert_eq!(
                    member::unescape(field).as_deref(),
                    Some(&*expected),
                    "{case}"
                );
            } else {
                assert_eq!(member::unescape(field), None, "{case}");
            }
        }
    }
}

#[test]
fn flags_are_where_the_vectors_say() {
    for case in cases("flags") {
        let pattern = case["ids"].as_str();
        let layout = FlagLayout::new("", &["seen"], pattern).unwrap();
        let column = match case["id"].as_str() {
            None => KeyColumn::Integer(vec![case["id"].as_i64().unwrap()]),
            Some(text) => {
                let mut ids = ByteColumn::default();
                ids.push(text.as_bytes());
                KeyColumn::Text(ids)
            }
        };
        let destinations = layout.destinations(&[("id", &column)], 1, 1);
        if case["refused"] == true {
            assert!(destinations.is_err(), "{case}");
            continue;
        }
        let (shard, offset) = (&case["shard"], &case["offset"]);
        if let (Some(pattern), Some(id)) = (pattern, case["id"].as_str()) {
            let number = IdPattern::parse(pattern).unwrap().integer(id.as_bytes());
            let Bit { shard: found, .. } = Bit::of(number.unwrap());
            assert_eq!(shard.as_u64(), Some(found), "{case}");
        }
        let mut batch = WriteBatch::default();
        layout.remove(destinations.unwrap().of(0), 0, &mut batch);
        let mut expected = Vec::new();
        let (key, offset) = (format!("flag:seen:{{{shard}}}"), offset.to_string());
        encode::command(&mut expected, &["SETBIT", &key, &offset, "0"]);
        assert_eq!(batch.commands(), expected, "{case}");
    }
}

fn cases(list: &str) -> Vec<Json> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/storage/series.json"
    );
    let mut vectors: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(vectors[list].take()).unwrap()
}

/// The command that writes the event of a case to the series of user 7.
fn sent(layout: &SeriesLayout, case: &Json, time_ms: i64) -> Vec<u8> {
    let users = KeyColumn::Integer(vec![7]);
    let destinations = layout.destinations(&[("user_id", &users)], 1, 1).unwrap();
    let mut batch = WriteBatch::default();
    let mut encoder: Box<dyn RowEncoder + '_> = layout.encoder(0);
    for (column, (data_type, value)) in types(case).into_iter().zip(values(case)).enumerate() {
        let given = give(data_type, value, |given| {
            encoder.value(column, given).unwrap();
        });
        if !given {
            encoder.null(column);
        }
    }
    let event_id = match &case["event_id"] {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    };
    let row = Row {
        number: 0,
        destination: destinations.of(0),
        time_ms,
        event_id: event_id.as_ref().map(String::as_bytes),
    };
    encoder.end_row(row, &mut batch).unwrap();
    encoder.close(&mut batch);
    batch.commands().to_vec()
}

fn types(case: &Json) -> Vec<DataType> {
    let payload = case["payload"].as_array().unwrap();
    payload
        .iter()
        .map(|field| field[1].as_str().unwrap().parse().unwrap())
        .collect()
}

fn values(case: &Json) -> &[Json] {
    case["values"].as_array().unwrap()
}

/// Hands a value of the vectors to `take`; false if it is null.
fn give(data_type: DataType, value: &Json, take: impl FnOnce(Given<'_>)) -> bool {
    let scalar = match data_type {
        _ if value.is_null() => return false,
        DataType::Scalar(scalar) => scalar,
        _ => {
            take(Given::Stored(value.to_string().as_bytes()));
            return true;
        }
    };
    let typed = match scalar {
        Scalar::Float64 => Value::Float64(value.as_f64().unwrap()),
        Scalar::Bool => Value::Bool(value.as_bool().unwrap()),
        Scalar::String => Value::String(value.as_str().unwrap()),
        _ => Value::Integer(value.as_i64().unwrap()),
    };
    take(Given::Scalar(typed, scalar));
    true
}
