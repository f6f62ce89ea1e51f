//! Tables of any kind as bytes and back, and bytes of any kind as tables.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::convert::index_u32;
use crate::json::render_many;
use crate::table::NO_TIME;
use crate::types::{Scalar, TimeUnit};
use crate::value::{Value, encode, encode_element};

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

/// The material that a value of any type is made from.
type Material = (u64, u32, String);

fn scalar(scalar: Scalar, (number, bits, text): &Material) -> Value<'_> {
    match scalar {
        Scalar::Int64 => Value::Integer(number.cast_signed()),
        // Half of 64 bits, so that a second is never beyond them.
        Scalar::Timestamp(_) => Value::Integer(number.cast_signed() / 2),
        Scalar::Float32 => Value::Float32(f32::from_bits(*bits)),
        Scalar::Float64 => Value::Float64(f64::from_bits(*number)),
        Scalar::Bool => Value::Bool(number % 2 == 0),
        Scalar::String => Value::String(text),
        Scalar::Bytes => Value::Bytes(text.as_bytes()),
    }
}

/// The cell of a value made from `material`.
fn cell(data_type: DataType, material: &[Material], arena: &mut Vec<u8>) -> u64 {
    let mut text = Vec::new();
    match data_type {
        DataType::Scalar(kind) => encode(&mut text, scalar(kind, &material[0]), kind),
        DataType::List(kind) => {
            text.push(b'[');
            for (index, element) in material[1..].iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                encode_element(&mut text, scalar(kind, element), kind);
            }
            text.push(b']');
        }
        DataType::Vector(dimension) => {
            let elements = material.iter().cycle().take(dimension as usize);
            text.extend(elements.flat_map(|(_, bits, _)| bits.to_le_bytes()));
        }
    }
    value::decode(data_type, &text, arena).unwrap()
}

fn data_type() -> impl Strategy<Value = DataType> {
    let scalar = prop::sample::select(SCALARS.to_vec());
    prop_oneof![
        scalar.clone().prop_map(DataType::Scalar),
        scalar.prop_map(DataType::List),
        (1_u32..4).prop_map(DataType::Vector),
    ]
}

fn keys(rows: usize) -> impl Strategy<Value = KeyColumns> {
    (vec(any::<i64>(), rows), vec(".{0,6}", rows)).prop_map(|(numbers, texts)| {
        let mut ids = ByteColumn::default();
        for text in &texts {
            ids.push(text.as_bytes());
        }
        KeyColumns {
            columns: vec![
                ("user_id".to_owned(), KeyColumn::Integer(numbers)),
                ("region".to_owned(), KeyColumn::Text(ids)),
            ],
        }
    })
}

fn output() -> impl Strategy<Value = OutputColumns> {
    let feature = (
        ".{1,6}",
        data_type(),
        prop::option::of(0_usize..3),
        any::<bool>(),
    );
    vec(feature, 1..5).prop_map(|features| OutputColumns {
        features: features
            .iter()
            .map(|(name, data_type, view, has_default)| {
                Feature::new(name, *data_type, *view, *has_default)
            })
            .collect(),
        views: 3,
    })
}

prop_compose! {
    fn table()(rows in 0_usize..5, output in output())(
        keys in keys(rows),
        material in vec(vec((any::<u64>(), any::<u32>(), ".{0,4}"), 1..4), rows * output.features.len()),
        statuses in vec(0_u8..6, rows * output.features.len()),
        event_times in vec(prop_oneof![Just(NO_TIME), any::<i64>()], rows * output.views),
        version in any::<i64>(),
        pointer in any::<Option<i64>>(),
        unknown_schemas in vec(any::<u32>(), 0..3),
        problems in vec((any::<u32>(), prop::option::of(any::<Index>()), ".{0,9}"), 0..3),
        output in Just(output),
        rows in Just(rows),
    ) -> Table {
        // Other values than those of the table may be there.
        let mut arena = b"another's".to_vec();
        let features = output.features.len();
        let cells = material.iter().enumerate().map(|(index, material)| {
            cell(output.features[index % features].data_type, material, &mut arena)
        }).collect();
        let invalid = statuses.iter().map(|&code| usize::from(code == Status::Invalid as u8)).sum();
        let problems = problems.into_iter().map(|(row, feature, reason)| Problem {
            row,
            feature: feature.map(|index| index_u32(index.index(features))),
            reason,
        }).collect();
        Table {
            output: Arc::new(output),
            keys, version, pointer, unknown_schemas, rows, cells, statuses, event_times, arena,
            problems, invalid,
        }
    }
}

fn json(table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    render_many(table, true, &mut out);
    out
}

/// The bytes with the sum that they should have.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let sum = fnv_1a(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

proptest! {
    #[test]
    fn a_table_comes_back_equal(table in table()) {
        let bytes = table.to_bytes();
        let back = Table::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &table);
        prop_assert_eq!(json(&back), json(&table));
        prop_assert_eq!(back.invalid(), table.invalid());
        prop_assert_eq!(back.to_bytes(), bytes);
        let others = b"another's";
        prop_assert!(!back.arena().windows(others.len()).any(|window| window == others));
    }

    #[test]
    fn damage_is_found(table in table(), place in any::<Index>(), flip in 1_u8..) {
        let bytes = table.to_bytes();
        let place = place.index(bytes.len());
        let mut flipped = bytes.clone();
        flipped[place] ^= flip;
        prop_assert!(Table::from_bytes(&flipped).is_err());
        prop_assert!(Table::from_bytes(&bytes[..place]).is_err());
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert_eq!(Table::from_bytes(&longer), Err(NotATable::Damaged));
    }

    /// Whoever makes the bytes can make the sum as well.
    #[test]
    fn bytes_with_a_right_sum_are_a_whole_table_or_none(
        table in table(), changes in vec((any::<Index>(), any::<u8>()), 1..4), cut in any::<Index>(),
    ) {
        let mut bytes = table.to_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let cut = 18 + cut.index(bytes.len() - 17);
        for bytes in [summed(bytes[..cut].to_vec()), summed(bytes)] {
            if let Ok(table) = Table::from_bytes(&bytes) {
                json(&table);
                prop_assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table));
            }
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Table::from_bytes(&bytes).is_err());
        let head = [MAGIC.as_slice(), &FORMAT.to_le_bytes(), &bytes, &[0; 8]].concat();
        if let Ok(table) = Table::from_bytes(&summed(head)) {
            json(&table);
        }
    }

    #[test]
    fn another_value_makes_another_table(one in table(), place in any::<Index>()) {
        prop_assume!(one.rows > 0);
        let mut other = Table::from_bytes(&one.to_bytes()).unwrap();
        let place = place.index(other.statuses.len());
        let code = other.statuses[place];
        other.statuses[place] = (code + 1) % 6;
        prop_assert_ne!(&one, &other);
        other.statuses[place] = code;
        prop_assert_eq!(&one, &other);
        other.version = other.version.wrapping_add(1);
        prop_assert_ne!(&one, &other);
    }
}

#[test]
fn other_bytes_and_other_formats_are_told_apart() {
    assert_eq!(Table::from_bytes(b"{\"a\": 1}"), Err(NotATable::Foreign));
    assert_eq!(Table::from_bytes(MAGIC), Err(NotATable::Damaged));
    let newer = [MAGIC.as_slice(), &[9, 0]].concat();
    let error = Table::from_bytes(&newer).unwrap_err();
    assert_eq!(error, NotATable::Format(9));
    assert!(error.to_string().contains("format 9"), "{error}");
}
