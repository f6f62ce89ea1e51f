//! Rows of any schema, read with any other.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::types::{DataType, Scalar, Status, TimeUnit};
use crate::value::{self, Value};

const EVENT_TIME: i64 = 1_710_325_274_000;

const SCALARS: [Scalar; 8] = [
    Scalar::Int64,
    Scalar::Float32,
    Scalar::Float64,
    Scalar::Bool,
    Scalar::String,
    Scalar::Bytes,
    Scalar::Timestamp(TimeUnit::Milliseconds),
    Scalar::Timestamp(TimeUnit::Seconds),
];

type Columns = Vec<(String, DataType)>;

/// A value in the form of the hash layout, which has its own tests; `None` is null.
type Text = Option<Vec<u8>>;

/// The material that a value of any type is made from.
#[derive(Debug, Clone)]
struct Material {
    null: bool,
    number: u64,
    bytes: Vec<u8>,
}

/// A change of a view's definition.
#[derive(Debug, Clone)]
enum Change {
    Add(Index, u8, DataType),
    Drop(Index),
    Move(Index, Index),
    Retype(Index, DataType),
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        4 => (0..SCALARS.len()).prop_map(|index| DataType::Scalar(SCALARS[index])),
        2 => (0..SCALARS.len()).prop_map(|index| DataType::List(SCALARS[index])),
        1 => (1..4_u32).prop_map(DataType::Vector),
    ]
}

fn material() -> impl Strategy<Value = Material> {
    let number = prop_oneof![
        any::<u64>(),
        (0..1_000_u64),
        any::<f64>().prop_map(f64::to_bits)
    ];
    (any::<u8>(), number, vec(any::<u8>(), 0..12)).prop_map(|(null, number, bytes)| Material {
        null: null < 64,
        number,
        bytes,
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>(), data_type())
            .prop_map(|(at, name, of)| Change::Add(at, name, of)),
        any::<Index>().prop_map(Change::Drop),
        any::<(Index, Index)>().prop_map(|(from, to)| Change::Move(from, to)),
        (any::<Index>(), data_type()).prop_map(|(at, of)| Change::Retype(at, of)),
    ]
}

/// Up to 20 columns, so that null bitmaps of one to three bytes occur.
fn columns() -> impl Strategy<Value = Columns> {
    vec(data_type(), 0..20).prop_map(|types| {
        let named = types.into_iter().enumerate();
        named
            .map(|(index, data_type)| (name(index as u8), data_type))
            .collect()
    })
}

// Few names, so that a dropped one comes back, often with another type.
fn name(number: u8) -> String {
    format!("c{}", number % 24)
}

fn evolve(columns: &Columns, changes: &[Change]) -> Columns {
    let mut columns = columns.clone();
    for change in changes {
        match change {
            Change::Add(at, number, data_type) => {
                let name = name(*number);
                if columns.iter().all(|(known, _)| *known != name) {
                    columns.insert(at.index(columns.len() + 1), (name, *data_type));
                }
            }
            _ if columns.is_empty() => {}
            Change::Drop(at) => {
                columns.remove(at.index(columns.len()));
            }
            Change::Move(from, to) => {
                let column = columns.remove(from.index(columns.len()));
                columns.insert(to.index(columns.len() + 1), column);
            }
            Change::Retype(at, data_type) => {
                let at = at.index(columns.len());
                columns[at].1 = *data_type;
            }
        }
    }
    columns
}

fn text(data_type: DataType, material: &Material) -> Vec<u8> {
    let mut out = Vec::new();
    let lossy = String::from_utf8_lossy(&material.bytes).into_owned();
    match data_type {
        DataType::Scalar(scalar) => {
            value::encode(&mut out, scalar_of(scalar, material, &lossy), scalar);
        }
        DataType::List(scalar) => {
            out.push(b'[');
            for index in 0..material.bytes.len() % 4 {
                if index > 0 {
                    out.push(b',');
                }
                let element = Material {
                    number: material.number.rotate_left(index as u32),
                    ..material.clone()
                };
                value::encode_element(&mut out, scalar_of(scalar, &element, &lossy), scalar);
            }
            out.push(b']');
        }
        DataType::Vector(dimension) => {
            let number = material.number.to_le_bytes();
            out.extend(number.into_iter().cycle().take(4 * dimension as usize));
        }
    }
    out
}

fn scalar_of<'a>(scalar: Scalar, material: &'a Material, text: &'a str) -> Value<'a> {
    match scalar {
        Scalar::Int64 | Scalar::Timestamp(TimeUnit::Milliseconds) => {
            Value::Integer(material.number as i64)
        }
        // A timestamp that is stored in seconds comes back in whole seconds.
        Scalar::Timestamp(TimeUnit::Seconds) => {
            Value::Integer(material.number as i64 / 1_000 * 1_000)
        }
        Scalar::Float64 => Value::Float64(f64::from_bits(material.number)),
        Scalar::Float32 => Value::Float32(f32::from_bits(material.number as u32)),
        Scalar::Bool => Value::Bool(material.number % 2 == 1),
        Scalar::String => Value::String(text),
        Scalar::Bytes => Value::Bytes(&material.bytes),
    }
}

/// A value for each column. There may be less material than columns, or more.
fn texts(columns: &Columns, materials: &[Material]) -> Vec<Text> {
    let materials = materials.iter().cycle();
    let pairs = columns.iter().zip(materials);
    pairs
        .map(|((_, data_type), material)| (!material.null).then(|| text(*data_type, material)))
        .collect()
}

fn write(writer: &mut RowWriter<'_>, columns: &Columns, texts: &[Text]) -> Vec<u8> {
    for (column, (text, (_, data_type))) in texts.iter().zip(columns).enumerate() {
        let Some(text) = text else { continue };
        let mut arena = Vec::new();
        let cell = value::decode(*data_type, text, &mut arena).unwrap();
        writer
            .value(column, value::view(*data_type, cell, &arena))
            .unwrap();
    }
    let mut row = Vec::new();
    writer.finish(EVENT_TIME, &mut row);
    row
}

/// The status and the value of each wanted column, the value as `{:?}` shows it.
fn read(
    decoder: &Decoder,
    wanted: &Columns,
    row: &[u8],
) -> Result<Vec<(Status, String)>, PackedError> {
    let mut cells = vec![7; wanted.len()];
    let mut statuses = vec![9; wanted.len()];
    let mut arena = b"before".to_vec();
    let time = decoder.decode(row, &mut cells, &mut statuses, &mut arena);
    assert!(arena.starts_with(b"before"));
    match time {
        Ok(time) => assert_eq!(Ok(time), Header::parse(row).map(|header| header.event_time)),
        Err(error) => {
            assert_eq!(arena, b"before", "an error leaves nothing behind");
            return Err(error);
        }
    }
    let outputs = wanted.iter().zip(cells).zip(statuses).enumerate();
    Ok(outputs
        .map(|(column, (((_, data_type), cell), status))| {
            let status = Status::from_code(status);
            let reason = decoder.reason(row, column);
            assert_eq!(reason.is_some(), status == Status::Invalid, "{reason:?}");
            if status != Status::Present {
                assert_eq!(cell, value::absent(*data_type));
                return (status, String::new());
            }
            (status, shown(&value::view(*data_type, cell, &arena)))
        })
        .collect())
}

fn shown(value: &Value<'_>) -> String {
    let mut shown = String::new();
    match value {
        Value::List(elements) => elements.clone().for_each(|element| {
            write!(shown, "{element:?},").unwrap();
        }),
        value => write!(shown, "{value:?}").unwrap(),
    }
    shown
}

/// The rule, from the values themselves.
fn expected(stored: &Columns, texts: &[Text], wanted: &Columns) -> Vec<(Status, String)> {
    let expect = |(name, data_type): &(String, DataType)| {
        let Some(index) = stored.iter().position(|(known, _)| known == name) else {
            return (Status::Null, String::new());
        };
        let Some(text) = &texts[index] else {
            return (Status::Null, String::new());
        };
        if stored[index].1 != *data_type {
            return (Status::Invalid, String::new());
        }
        let mut arena = Vec::new();
        let cell = value::decode(*data_type, text, &mut arena).unwrap();
        (
            Status::Present,
            shown(&value::view(*data_type, cell, &arena)),
        )
    };
    wanted.iter().map(expect).collect()
}

fn both(old: &Columns, new: &Columns) -> [Schema; 2] {
    [
        Schema::new(1, old.clone()).unwrap(),
        Schema::new(2, new.clone()).unwrap(),
    ]
}

fn schema(fingerprint: u32, columns: &[(&str, &str)]) -> Schema {
    let named = columns.iter();
    let columns = named.map(|(name, spelling)| ((*name).to_owned(), spelling.parse().unwrap()));
    Schema::new(fingerprint, columns.collect()).unwrap()
}

proptest! {
    #[test]
    fn rows_of_either_schema_read_with_either_are_what_was_written(
        old in columns(),
        changes in vec(change(), 0..8),
        materials in vec(material(), 1..24),
    ) {
        let new = evolve(&old, &changes);
        let schemas = both(&old, &new);
        for (schema, stored) in schemas.iter().zip([&old, &new]) {
            let texts = texts(stored, &materials);
            let row = write(&mut RowWriter::new(schema), stored, &texts);
            for wanted in [&old, &new] {
                let decoder = Decoder::new(wanted.clone(), &schemas);
                let read = read(&decoder, wanted, &row);
                prop_assert_eq!(read, Ok(expected(stored, &texts, wanted)));
            }
        }
    }

    #[test]
    fn a_row_has_one_encoding_whatever_was_written_before_it(
        columns in columns(),
        materials in vec(material(), 1..24),
        before in vec(material(), 1..24),
    ) {
        let schema = Schema::new(1, columns.clone()).unwrap();
        let mut writer = RowWriter::new(&schema);
        write(&mut writer, &columns, &texts(&columns, &before));
        let texts = texts(&columns, &materials);
        // Backwards and twice, as text if the type allows it.
        for (column, text) in texts.iter().enumerate().rev() {
            let in_bytes = value::in_arena(columns[column].1);
            for _ in 0..if in_bytes { 2 } else { 0 } {
                if let Some(text) = text {
                    writer.bytes(column, text).unwrap();
                }
            }
        }
        let fixed = |(text, (_, data_type)): (&Text, &(String, DataType))| {
            text.clone().filter(|_| !value::in_arena(*data_type))
        };
        let fixed: Vec<Text> = texts.iter().zip(&columns).map(fixed).collect();
        let row = write(&mut writer, &columns, &fixed);
        prop_assert_eq!(row, write(&mut RowWriter::new(&schema), &columns, &texts));
    }

    #[test]
    fn rows_that_are_cut_or_continued_are_refused(
        columns in columns(),
        materials in vec(material(), 1..24),
        more in vec(any::<u8>(), 1..9),
    ) {
        let schema = Schema::new(1, columns.clone()).unwrap();
        let row = write(&mut RowWriter::new(&schema), &columns, &texts(&columns, &materials));
        let decoder = Decoder::new(columns.clone(), std::slice::from_ref(&schema));
        for length in 0..row.len() {
            let error = read(&decoder, &columns, &row[..length]).unwrap_err();
            let found = matches!(error, PackedError::Length { found, .. } if found == length);
            prop_assert!(found, "{error}");
        }
        let error = read(&decoder, &columns, &[row, more].concat()).unwrap_err();
        let refused = matches!(error, PackedError::Length { .. });
        prop_assert!(refused, "{error}");
    }

    #[test]
    fn bytes_of_any_kind_never_panic(
        columns in columns(),
        changes in vec(change(), 0..8),
        materials in vec(material(), 1..24),
        noise in vec((any::<Index>(), any::<u8>()), 0..8),
        tail in vec(any::<u8>(), 0..300),
    ) {
        let new = evolve(&columns, &changes);
        let schemas = both(&columns, &new);
        let decoder = Decoder::new(new.clone(), &schemas);
        let mut row = write(&mut RowWriter::new(&schemas[0]), &columns, &texts(&columns, &materials));
        for (at, byte) in noise {
            let at = at.index(row.len());
            row[at] = byte;
        }
        let _: Result<_, _> = read(&decoder, &new, &row);
        row.truncate(5);
        row.extend_from_slice(&tail);
        let _: Result<_, _> = read(&decoder, &new, &row);
        let _: Result<_, _> = read(&decoder, &new, &tail);
    }
}

#[test]
fn the_bytes_of_a_row() {
    let schema = schema(
        0x0403_0201,
        &[
            ("a", "String"),
            ("b", "Bool"),
            ("c", "Bytes"),
            ("d", "List[Int64]"),
            ("e", "Timestamp[s]"),
        ],
    );
    let mut writer = RowWriter::new(&schema);
    writer.bytes(3, b"[1,2]").unwrap();
    writer.value(0, Value::String("ab")).unwrap();
    writer.value(1, Value::Bool(true)).unwrap();
    writer.value(4, Value::Integer(-1)).unwrap();
    let mut row = Vec::new();
    writer.finish(0x0102, &mut row);
    let mut bytes = vec![1, 1, 2, 3, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0b0_0100];
    bytes.extend_from_slice(&[2, 0, 0, 0, 1, 2, 0, 0, 0, 7, 0, 0, 0]);
    bytes.extend_from_slice(&(-1_i64).to_le_bytes());
    bytes.extend_from_slice(b"ab[1,2]");
    assert_eq!(row, bytes);
}

#[test]
fn a_writer_takes_only_what_is_of_the_columns_type() {
    let schema = schema(
        1,
        &[
            ("integer", "Int64"),
            ("text", "String"),
            ("list", "List[Int64]"),
            ("vector", "Vector[2]"),
        ],
    );
    let mut arena = Vec::new();
    let floats = DataType::List(Scalar::Float64);
    let cell = value::decode(floats, b"[1.5]", &mut arena).unwrap();
    let mut writer = RowWriter::new(&schema);
    assert!(writer.value(0, Value::Float64(1.0)).is_err());
    assert!(writer.value(0, Value::Bool(true)).is_err());
    assert!(writer.value(1, Value::Bytes(b"a")).is_err());
    assert!(writer.value(2, value::view(floats, cell, &arena)).is_err());
    assert!(writer.value(3, Value::Vector(b"1234567")).is_err());
    assert!(writer.bytes(0, b"12345678").is_err());
    let mut row = Vec::new();
    writer.finish(0, &mut row);
    let mut nulls = Vec::new();
    RowWriter::new(&schema).finish(0, &mut nulls);
    assert_eq!(row, nulls, "a refused value leaves nothing behind");
}

#[test]
fn a_decoder_learns_schemas() {
    let [old, new] = [
        schema(1, &[("a", "Int64")]),
        schema(2, &[("b", "Int64"), ("a", "Int64")]),
    ];
    let wanted: Columns = vec![("a".to_owned(), DataType::Scalar(Scalar::Int64))];
    let mut decoder = Decoder::new(wanted.clone(), std::slice::from_ref(&new));
    let mut row = Vec::new();
    let mut writer = RowWriter::new(&old);
    writer.value(0, Value::Integer(5)).unwrap();
    writer.finish(0, &mut row);
    assert_eq!(
        read(&decoder, &wanted, &row),
        Err(PackedError::UnknownSchema(1))
    );
    decoder.add(&old);
    let value = (Status::Present, "Integer(5)".to_owned());
    assert_eq!(read(&decoder, &wanted, &row), Ok(vec![value]));
}

#[test]
fn reasons_name_both_types() {
    let schema = schema(1, &[("a", "Int64"), ("b", "Bool")]);
    let mut row = Vec::new();
    let mut writer = RowWriter::new(&schema);
    writer.value(0, Value::Integer(5)).unwrap();
    writer.value(1, Value::Bool(true)).unwrap();
    writer.finish(0, &mut row);
    *row.last_mut().unwrap() = 2;
    let wanted = ["a", "b"].map(|name| (name.to_owned(), DataType::Scalar(Scalar::Bool)));
    let decoder = Decoder::new(wanted.to_vec(), &[schema]);
    let reasons = [0, 1].map(|column| decoder.reason(&row, column).unwrap());
    assert_eq!(reasons[0], "is stored as Int64, not as Bool");
    assert_eq!(reasons[1], "is a byte other than 0 and 1: Bool");
}

#[test]
fn columns_that_are_not_a_schema() {
    let twice = ["a", "b", "a"].map(|name| (name.to_owned(), DataType::Scalar(Scalar::Bool)));
    let duplicate = SchemaError::Duplicate("a".to_owned());
    assert_eq!(Schema::new(1, twice.to_vec()), Err(duplicate));
    let wide = (0..2_048).map(|index| (format!("v{index}"), DataType::Vector(65_536)));
    assert_eq!(Schema::new(1, wide.collect()), Err(SchemaError::TooLong));
}
