//! Rows of the hash layout of which the newest stays, whatever order they arrive in.

use super::call::RowCalls;
use super::hash::{Expiry, HashLayout};
use super::{Given, Place, Row, RowEncoder, RowError, WriteBatch, kept_until};
use crate::resp::encode::{write_blob, write_integer};
use crate::script::HASH_ROWS;
use crate::value::Invalid;

/// Calls of a script: each row is the whole row of its view.
pub(super) struct NewestEncoder<'a> {
    layout: &'a HashLayout,
    clock_ms: i64,
    calls: RowCalls,
    /// Fields and values of the row, encoded as arguments.
    pairs: Vec<u8>,
    set: usize,
    /// Which columns have a value.
    has: Vec<bool>,
    text: Vec<u8>,
}

impl<'a> NewestEncoder<'a> {
    pub(super) fn new(layout: &'a HashLayout, clock_ms: i64) -> Self {
        let mut header = Vec::new();
        let kind: &[u8] = match layout.expiry {
            Expiry::None => b"none",
            Expiry::Own(_) => b"own",
            Expiry::Shared(_) => b"shared",
        };
        write_blob(&mut header, kind);
        write_integer(&mut header, layout.groups.len() as i64);
        let mut count = 2;
        for group in &layout.groups {
            write_integer(&mut header, group.count as i64);
            header.extend_from_slice(&group.names);
            count += 1 + group.count;
        }
        Self {
            layout,
            clock_ms,
            calls: RowCalls::new(&HASH_ROWS, header, count),
            pairs: Vec::new(),
            set: 0,
            has: vec![false; layout.fields.len()],
            text: Vec::new(),
        }
    }
}

impl RowEncoder for NewestEncoder<'_> {
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        self.text.clear();
        value.text(&mut self.text);
        self.pairs.extend_from_slice(&self.layout.fields[column]);
        write_blob(&mut self.pairs, &self.text);
        self.set += 1;
        self.has[column] = true;
        Ok(())
    }

    fn null(&mut self, _column: usize) {}

    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError> {
        let Place::Key(_, key) = row.place else {
            return Ok(());
        };
        let layout = self.layout;
        let until = |ttl_ms| kept_until(row.time_ms, self.clock_ms, ttl_ms);
        let out = &mut self.calls.arguments;
        let absent = layout.fields.len() - self.set;
        let pairs = 2 * self.set + 2;
        write_integer(out, absent as i64);
        write_integer(out, pairs as i64);
        let mut times = layout.groups.len();
        if let Expiry::Own(ttl_ms) | Expiry::Shared(ttl_ms) = layout.expiry {
            write_integer(out, until(ttl_ms));
            times += 1;
        }
        for group in &layout.groups {
            write_integer(out, until(group.ttl_ms));
        }
        if absent > 0 {
            for (field, _) in layout
                .fields
                .iter()
                .zip(&self.has)
                .filter(|(_, has)| !**has)
            {
                out.extend_from_slice(field);
            }
        }
        out.append(&mut self.pairs);
        out.extend_from_slice(&layout.time_field);
        write_integer(out, row.time_ms);
        self.calls.argument_count += 2 + times + absent + pairs;
        self.set = 0;
        self.has.fill(false);
        self.calls.end_row(key, row.number, batch);
        Ok(())
    }

    fn close(&mut self, batch: &mut WriteBatch) {
        self.calls.flush(batch);
    }

    fn held(&self) -> usize {
        self.calls.held()
    }
}
