//! `tests/vectors/storage/packed.json`: rows of bytes, what is in them, and what is wrong with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fscore_core::packed::{Decoder, PackedError, RowWriter, Schema};
use fscore_core::types::{DataType, Scalar, Status};
use fscore_core::value::{self, Value};
use serde_json::{Value as Json, json};

type Columns = Vec<(String, DataType)>;

#[test]
fn rows_are_written_and_read() {
    let vectors = vectors();
    for case in cases(&vectors, "rows") {
        let schema = schema(&vectors, case["schema"].as_str().unwrap());
        let event_time = case["event_time"].as_i64().unwrap();
        let values = case["values"].as_array().unwrap();
        let mut writer = RowWriter::new(&schema);
        let columns: Columns = schema
            .columns()
            .map(|(name, data_type)| (name.to_owned(), data_type))
            .collect();
        for (column, (value, (_, data_type))) in values.iter().zip(&columns).enumerate() {
            if !value.is_null() {
                let mut arena = Vec::new();
                let text = stored_text(*data_type, value);
                let cell = value::decode(*data_type, &text, &mut arena).unwrap();
                let value = value::view(*data_type, cell, &arena);
                writer.value(column, value).unwrap();
            }
        }
        let mut written = Vec::new();
        writer.finish(event_time, &mut written);
        assert_eq!(written, row(case), "{case}");

        let (time, read) = read(&vectors, &columns, &written).unwrap();
        assert_eq!(time, event_time, "{case}");
        let expected: Vec<_> = values
            .iter()
            .map(|value| {
                let status = if value.is_null() { "NULL" } else { "PRESENT" };
                json!({"status": status, "value": value})
            })
            .collect();
        assert_eq!(read, expected, "{case}");
    }
}

#[test]
fn wanted_columns_are_found_null_or_invalid() {
    let vectors = vectors();
    for case in cases(&vectors, "reads") {
        let (_, read) = read(&vectors, &columns(&case["wanted"]), &row(case)).unwrap();
        assert_eq!(Json::Array(read), case["expected"], "{}", case["name"]);
    }
}

#[test]
fn malformed_rows_are_refused() {
    let vectors = vectors();
    for case in cases(&vectors, "malformed") {
        let row = row(case);
        // Nothing says which schema a row has, so the columns of every schema are wanted.
        for schema in vectors["schemas"].as_object().unwrap().values() {
            let wanted = columns(&schema["columns"]);
            let of_schema = row.get(1..5).is_some_and(|bytes| {
                let fingerprint = u32::from_le_bytes(bytes.try_into().unwrap());
                schema["fingerprint"] == format!("{fingerprint:08x}")
            });
            let kind = match read(&vectors, &wanted, &row) {
                Ok(read) => {
                    assert!(!of_schema, "{}: {read:?}", case["name"]);
                    continue;
                }
                Err(PackedError::Length { .. }) => "length",
                Err(PackedError::Format(_)) => "format",
                Err(PackedError::UnknownSchema(_)) => "schema",
                Err(PackedError::Offset(_)) => "offset",
            };
            assert_eq!(kind, case["error"], "{}", case["name"]);
        }
    }
}

fn vectors() -> Json {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/storage/packed.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn cases<'a>(vectors: &'a Json, list: &str) -> &'a [Json] {
    vectors[list].as_array().unwrap()
}

fn columns(named: &Json) -> Columns {
    let named = named.as_array().unwrap().iter();
    named
        .map(|column| {
            let [name, spelling] = [0, 1].map(|index| column[index].as_str().unwrap());
            (name.to_owned(), spelling.parse().unwrap())
        })
        .collect()
}

fn schema(vectors: &Json, name: &str) -> Schema {
    let described = &vectors["schemas"][name];
    let fingerprint = described["fingerprint"].as_str().unwrap();
    let fingerprint = u32::from_str_radix(fingerprint, 16).unwrap();
    Schema::new(fingerprint, columns(&described["columns"])).unwrap()
}

fn row(case: &Json) -> Vec<u8> {
    let digits = case["row"].as_str().unwrap().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The event time and the values of a row, from a decoder that knows every schema.
fn read(vectors: &Json, wanted: &Columns, row: &[u8]) -> Result<(i64, Vec<Json>), PackedError> {
    let names = vectors["schemas"].as_object().unwrap().keys();
    let schemas: Vec<_> = names.map(|name| schema(vectors, name)).collect();
    let decoder = Decoder::new(wanted.clone(), &schemas);
    let mut cells = vec![0; wanted.len()];
    let mut statuses = vec![Status::Unavailable as u8; wanted.len()];
    let mut arena = Vec::new();
    let time = decoder.decode(row, &mut cells, &mut statuses, &mut arena)?;
    let outputs = wanted.iter().zip(cells).zip(statuses);
    let read = outputs.map(|(((_, data_type), cell), status)| {
        let status = Status::from_code(status);
        let value = match status {
            Status::Present => to_json(&value::view(*data_type, cell, &arena)),
            _ => Json::Null,
        };
        json!({"status": status.name(), "value": value})
    });
    Ok((time, read.collect()))
}

/// A value of the vectors as the hash layout has it.
fn stored_text(data_type: DataType, value: &Json) -> Vec<u8> {
    let number = |value: &Json| match value.as_str() {
        Some(name) => name.to_owned(),
        None => value.to_string(),
    };
    match data_type {
        DataType::Scalar(Scalar::String) => value.as_str().unwrap().as_bytes().to_vec(),
        DataType::Scalar(Scalar::Bytes) => BASE64.decode(value.as_str().unwrap()).unwrap(),
        DataType::Scalar(Scalar::Timestamp(unit)) => {
            let stored = value.as_i64().unwrap() / unit.milliseconds();
            stored.to_string().into_bytes()
        }
        DataType::Scalar(_) => number(value).into_bytes(),
        DataType::Vector(_) => {
            let elements = value.as_array().unwrap().iter();
            elements
                .flat_map(|element| number(element).parse::<f32>().unwrap().to_le_bytes())
                .collect()
        }
        DataType::List(scalar) => {
            let elements = value
                .as_array()
                .unwrap()
                .iter()
                .map(|element| match scalar {
                    Scalar::Timestamp(unit) => {
                        (element.as_i64().unwrap() / unit.milliseconds()).to_string()
                    }
                    Scalar::Float32 | Scalar::Float64 => match element.as_str() {
                        Some("nan") => "NaN".to_owned(),
                        Some("inf") => "Infinity".to_owned(),
                        Some(_) => "-Infinity".to_owned(),
                        None => element.to_string(),
                    },
                    _ => element.to_string(),
                });
            format!("[{}]", elements.collect::<Vec<_>>().join(",")).into_bytes()
        }
    }
}

fn to_json(value: &Value<'_>) -> Json {
    let float = |value: f64| match value {
        value if value.is_nan() => json!("nan"),
        value if value.is_infinite() => json!(if value > 0.0 { "inf" } else { "-inf" }),
        value => json!(value),
    };
    match value {
        Value::Integer(value) => json!(value),
        Value::Float64(value) => float(*value),
        Value::Float32(value) => float(f64::from(*value)),
        Value::Bool(value) => json!(value),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(BASE64.encode(bytes)),
        Value::List(elements) => elements.clone().map(|element| to_json(&element)).collect(),
        Value::Vector(bytes) => value::vector_elements(bytes)
            .map(|element| float(f64::from(element)))
            .collect(),
    }
}
