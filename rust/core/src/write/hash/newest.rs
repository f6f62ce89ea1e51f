//! Rows of the hash layout if the newest row counts, whatever order rows arrive in.

use super::row::{Expiry, HashRow};
use crate::convert::count_i64;
use crate::resp::encode::{write_blob, write_integer};
use crate::script::HASH_ROWS;
use crate::value::Invalid;
use crate::write::call::RowCalls;
use crate::write::{Destination, Given, Row, RowEncoder, RowError, WriteBatch, kept_until};

/// Calls of a script. Each row is the whole row of its view.
pub(super) struct NewestEncoder<'a> {
    layout: &'a HashRow,
    clock_ms: i64,
    calls: RowCalls,
    text: Vec<u8>,
    /// The range in `text` of each column's value.
    values: Vec<Option<(usize, usize)>>,
    given: usize,
}

impl<'a> NewestEncoder<'a> {
    pub(super) fn new(layout: &'a HashRow, clock_ms: i64) -> Self {
        let width = layout.fields.len();
        let mut header = Vec::new();
        let kind: &[u8] = match layout.expiry {
            Expiry::None => b"none",
            Expiry::Cleared => b"cleared",
            Expiry::Own(_) => b"own",
            Expiry::Shared(_) => b"shared",
        };
        write_blob(&mut header, kind);
        write_blob(&mut header, layout.outdated.flag());
        write_integer(&mut header, count_i64(width));
        for field in &layout.fields {
            header.extend_from_slice(field);
        }
        header.extend_from_slice(&layout.time_field);
        write_integer(&mut header, count_i64(layout.groups.len()));
        let mut count = 5 + width;
        let groups = layout.groups.iter().map(|group| &group.fields);
        for fields in groups.chain([&layout.lasting]) {
            write_integer(&mut header, count_i64(fields.count));
            header.extend_from_slice(&fields.encoded);
            count += 1 + fields.count;
        }
        Self {
            layout,
            clock_ms,
            calls: RowCalls::new(&HASH_ROWS, header, count),
            text: Vec::new(),
            values: vec![None; width],
            given: 0,
        }
    }
}

impl RowEncoder for NewestEncoder<'_> {
    #[inline]
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        let start = self.text.len();
        value.text(&mut self.text);
        self.given += usize::from(self.values[column].is_none());
        self.values[column] = Some((start, self.text.len()));
        Ok(())
    }

    fn null(&mut self, _column: usize) {}

    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError> {
        let Destination::Key(_, key) = row.destination else {
            return Ok(());
        };
        let layout = self.layout;
        let until = |ttl_ms| kept_until(row.time_ms, self.clock_ms, ttl_ms);
        let out = &mut self.calls.arguments;
        if self.given == self.values.len() {
            write_blob(out, b"");
        } else {
            let mask: Vec<u8> = self
                .values
                .iter()
                .map(|value| if value.is_some() { b'1' } else { b'0' })
                .collect();
            write_blob(out, &mask);
        }
        let mut dues = layout.groups.len();
        if let Expiry::Own(ttl_ms) | Expiry::Shared(ttl_ms) = layout.expiry {
            write_integer(out, until(ttl_ms));
            dues += 1;
        }
        for group in &layout.groups {
            write_integer(out, until(group.ttl_ms));
        }
        for (start, end) in self.values.iter_mut().filter_map(Option::take) {
            write_blob(out, &self.text[start..end]);
        }
        write_integer(out, row.time_ms);
        self.calls.argument_count += 2 + dues + self.given;
        self.text.clear();
        self.given = 0;
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
