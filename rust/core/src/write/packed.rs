//! The packed layout: a view's row in one string of its own.

use super::batch::ExpectedReply;
use super::call::RowCalls;
use super::{
    Destination, Destinations, Given, Layout, Ordering, Outdated, Row, RowEncoder, RowError,
    WriteBatch, kept_until,
};
use crate::keys::{EntityKeys, KeyColumn, KeysError};
use crate::packed::{RowWriter, Schema};
use crate::resp::encode::{write_blob, write_integer};
use crate::script::PACKED_ROWS;
use crate::table::NO_TIME;
use crate::value::Invalid;

/// Rows as strings, each whole.
#[derive(Debug)]
pub struct PackedLayout {
    /// The beginning of keys: prefix, entity and `:{`.
    pub key_head: Vec<u8>,
    /// The view's name, which is the end of keys.
    pub name: String,
    /// The columns.
    pub schema: Schema,
    /// The TTL of a key from the last row that was written to it, in ms; 0 for ever.
    pub key_ttl_ms: i64,
    /// Which expiries an earlier definition may have set.
    pub outdated: Outdated,
    /// Which of two rows stays.
    pub ordering: Ordering,
    /// Whether rows are written in another layout too, during a migration.
    pub migrating: bool,
}

impl Layout for PackedLayout {
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        version: i64,
    ) -> Result<Destinations, KeysError> {
        let tail = format!("}}:v{version}:{}", self.name);
        EntityKeys::build(&self.key_head, columns, tail.as_bytes(), rows).map(Destinations::Keys)
    }

    fn encoder(&self, clock_ms: i64) -> Box<dyn RowEncoder + '_> {
        let calls = match self.ordering {
            Ordering::Arrival => None,
            Ordering::EventTime => {
                let mut header = Vec::new();
                let kind: &[u8] = if self.key_ttl_ms > 0 { b"own" } else { b"none" };
                write_blob(&mut header, kind);
                write_blob(&mut header, self.outdated.flag());
                Some(RowCalls::new(&PACKED_ROWS, header, 2))
            }
        };
        Box::new(PackedEncoder {
            layout: self,
            clock_ms,
            writer: RowWriter::new(&self.schema),
            has: vec![false; self.schema.columns().len()],
            row: Vec::new(),
            calls,
        })
    }

    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch) {
        if let Destination::Key(_, key) = destination {
            batch.command(b"UNLINK", key, 0, row, ExpectedReply::Effect);
        }
    }

    fn counts_rows(&self) -> bool {
        self.ordering == Ordering::EventTime
    }

    fn is_idempotent(&self) -> bool {
        self.ordering == Ordering::EventTime
    }
}

struct PackedEncoder<'a> {
    layout: &'a PackedLayout,
    clock_ms: i64,
    writer: RowWriter<'a>,
    /// For each column whether the row has it, as a value or null.
    has: Vec<bool>,
    row: Vec<u8>,
    /// Calls of a script, if the newest row counts.
    calls: Option<RowCalls>,
}

impl RowEncoder for PackedEncoder<'_> {
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        self.has[column] = true;
        match value {
            Given::Scalar(value, _) => self.writer.value(column, value),
            Given::Stored(bytes) => self.writer.bytes(column, bytes),
        }
    }

    fn null(&mut self, column: usize) {
        self.has[column] = true;
    }

    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError> {
        let Destination::Key(_, key) = row.destination else {
            return Ok(());
        };
        // The row replaces the stored one, so columns that it lacks would be lost silently.
        if let Some(column) = self.has.iter().position(|has| !has) {
            return Err(RowError::Column(
                column,
                Invalid(if self.layout.migrating {
                    "is missing; while the view migrates to another layout, a row brings every \
                     feature, None if it has no value"
                } else {
                    "is missing; a packed row brings every feature, None if it has no value"
                }),
            ));
        }
        self.has.fill(false);
        self.row.clear();
        self.writer.finish(row.time_ms, &mut self.row);
        let ttl_ms = self.layout.key_ttl_ms;
        // A row without an event time never expires.
        let expires = ttl_ms > 0 && row.time_ms != NO_TIME;
        let due = expires.then(|| kept_until(row.time_ms, self.clock_ms, ttl_ms));
        let Some(calls) = &mut self.calls else {
            let arguments = 1 + if due.is_some() { 2 } else { 0 };
            let out = batch.command(b"SET", key, arguments, row.number, ExpectedReply::Done);
            write_blob(out, &self.row);
            if let Some(due) = due {
                write_blob(out, b"PXAT");
                write_integer(out, due);
            }
            return Ok(());
        };
        write_blob(&mut calls.arguments, &self.row);
        calls.argument_count += 1;
        if let Some(due) = due {
            write_integer(&mut calls.arguments, due);
            calls.argument_count += 1;
        }
        calls.end_row(key, row.number, batch);
        Ok(())
    }

    fn close(&mut self, batch: &mut WriteBatch) {
        if let Some(calls) = &mut self.calls {
            calls.flush(batch);
        }
    }

    fn held(&self) -> usize {
        self.calls.as_ref().map_or(0, RowCalls::held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Scalar;
    use crate::value::Value;

    fn sent(ordering: Ordering, key_ttl_ms: i64) -> Vec<u8> {
        let layout = PackedLayout {
            key_head: b"user:{".to_vec(),
            name: "p".to_owned(),
            schema: Schema::new(7, vec![("a".to_owned(), "Bool".parse().unwrap())]).unwrap(),
            key_ttl_ms,
            outdated: Outdated::Nothing,
            ordering,
            migrating: false,
        };
        let mut batch = WriteBatch::default();
        let mut encoder = layout.encoder(50);
        let row = |number| Row {
            number,
            destination: Destination::Key(0, b"k"),
            time_ms: 40,
            event_id: None,
        };
        encoder
            .value(0, Given::Scalar(Value::Bool(true), Scalar::Bool))
            .unwrap();
        encoder.end_row(row(0), &mut batch).unwrap();
        let missing = encoder.end_row(row(1), &mut batch);
        assert!(matches!(missing, Err(RowError::Column(0, _))));
        encoder.close(&mut batch);
        batch.commands().to_vec()
    }

    const ROW: &[u8] = b"$15\r\n\x01\x07\0\0\0\x28\0\0\0\0\0\0\0\0\x01\r\n";

    #[test]
    fn a_row_is_one_set() {
        let set = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n".as_slice(), ROW].concat();
        assert_eq!(sent(Ordering::Arrival, 0), set);
        let until = b"$4\r\nPXAT\r\n$2\r\n59\r\n".as_slice();
        let set = [b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n".as_slice(), ROW, until].concat();
        assert_eq!(sent(Ordering::Arrival, 9), set);
    }

    #[test]
    fn a_script_finds_the_newest_row() {
        let sent = sent(Ordering::EventTime, 9);
        let rest = [
            b"$1\r\n1\r\n$1\r\nk\r\n$3\r\nown\r\n$0\r\n\r\n".as_slice(),
            ROW,
            b"$2\r\n59\r\n",
        ];
        assert!(sent.starts_with(b"*8\r\n$7\r\nEVALSHA\r\n"));
        assert!(sent.ends_with(&rest.concat()));
    }
}
