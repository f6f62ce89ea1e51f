//! Bytes of any kind as a packed row: no panic, an error leaves nothing behind, and what is read is
//! written and read again.
#![no_main]

use std::sync::LazyLock;

use fscore_core::packed::{Decoder, RowWriter, Schema};
use fscore_core::types::{DataType, Status};
use fscore_core::value::{self, Value};
use libfuzzer_sys::fuzz_target;

const OLD: [(&str, &str); 5] = [
    ("a", "String"),
    ("b", "Int64"),
    ("c", "List[String]"),
    ("d", "Vector[2]"),
    ("e", "Bytes"),
];

const NEW: [(&str, &str); 11] = [
    ("e", "Bytes"),
    ("f", "Float32"),
    ("b", "Float64"),
    ("g", "Bool"),
    ("a", "String"),
    ("h", "Timestamp[s]"),
    ("i", "List[Float64]"),
    ("d", "Vector[3]"),
    ("j", "List[Bytes]"),
    ("k", "Timestamp"),
    ("l", "List[Timestamp[s]]"),
];

static SCHEMAS: LazyLock<[Schema; 2]> =
    LazyLock::new(|| [schema(0x2020_2020, &OLD), schema(0x2121_2121, &NEW)]);

fn schema(fingerprint: u32, columns: &[(&str, &str)]) -> Schema {
    let columns = columns
        .iter()
        .map(|(name, data_type)| ((*name).to_owned(), data_type.parse().unwrap()));
    Schema::new(fingerprint, columns.collect()).unwrap()
}

fuzz_target!(|input: (u8, &[u8])| {
    let (begin, bytes) = input;
    let row = match SCHEMAS.get(usize::from(begin)) {
        // A head that is right, so that what follows it is looked at.
        Some(schema) => {
            let fingerprint = schema.fingerprint().to_le_bytes();
            [&[1], fingerprint.as_slice(), bytes].concat()
        }
        None => bytes.to_vec(),
    };
    for schema in SCHEMAS.iter() {
        let Some((time, read)) = read(schema, &row) else {
            continue;
        };
        let mut writer = RowWriter::new(schema);
        for (column, value) in read.values().enumerate() {
            if let Some(value) = value {
                writer.value(column, value).unwrap();
            }
        }
        let mut written = Vec::new();
        writer.finish(time, &mut written);
        let (_, again) = self::read(schema, &written).unwrap();
        let shown = |read: &Read| read.values().map(|value| shown(&value)).collect::<Vec<_>>();
        assert_eq!(shown(&read), shown(&again));
        assert!(
            again
                .statuses
                .iter()
                .all(|&status| status != Status::Invalid as u8)
        );
    }
});

struct Read {
    types: Vec<DataType>,
    cells: Vec<u64>,
    statuses: Vec<u8>,
    arena: Vec<u8>,
}

impl Read {
    fn values(&self) -> impl Iterator<Item = Option<Value<'_>>> {
        let outputs = self.types.iter().zip(&self.cells).zip(&self.statuses);
        outputs.map(|((data_type, cell), status)| {
            (*status == Status::Present as u8).then(|| value::view(*data_type, *cell, &self.arena))
        })
    }
}

fn read(wanted: &Schema, row: &[u8]) -> Option<(i64, Read)> {
    let columns: Vec<_> = wanted
        .columns()
        .map(|(name, data_type)| (name.to_owned(), data_type))
        .collect();
    let types: Vec<_> = columns.iter().map(|(_, data_type)| *data_type).collect();
    let decoder = Decoder::new(columns, &*SCHEMAS);
    let mut read = Read {
        cells: vec![0; types.len()],
        statuses: vec![Status::Unavailable as u8; types.len()],
        arena: b"before".to_vec(),
        types,
    };
    let time = decoder.decode(row, &mut read.cells, &mut read.statuses, &mut read.arena);
    let Ok(time) = time else {
        assert_eq!(read.arena, b"before");
        return None;
    };
    for (column, &status) in read.statuses.iter().enumerate() {
        assert!(matches!(
            Status::from_code(status),
            Status::Present | Status::Null | Status::Invalid
        ));
        let reason = decoder.reason(row, column);
        assert_eq!(reason.is_some(), status == Status::Invalid as u8);
    }
    Some((time, read))
}

fn shown(value: &Option<Value<'_>>) -> String {
    match value {
        Some(Value::List(elements)) => format!("{:?}", elements.clone().collect::<Vec<_>>()),
        value => format!("{value:?}"),
    }
}
