//! Calls of a script that take many rows each.

use super::WriteBatch;
use super::batch::ExpectedReply;
use crate::resp::encode::write_blob;
use crate::script::Script;

/// The most rows of a call. They share its fixed cost. More rows would gain little, and block the
/// server longer.
const MOST_ROWS: usize = 64;
/// The most bytes of arguments of a call.
const MOST_BYTES: usize = 64 << 10;

/// Calls of a script that takes any number of rows, each with a key of its own.
#[derive(Debug)]
pub(super) struct RowCalls {
    script: &'static Script,
    /// Arguments that are the same for all rows, encoded.
    header: Vec<u8>,
    header_count: usize,
    keys: Vec<u8>,
    rows: usize,
    pub(super) arguments: Vec<u8>,
    pub(super) argument_count: usize,
    first_row: u32,
}

impl RowCalls {
    pub(super) fn new(script: &'static Script, header: Vec<u8>, header_count: usize) -> Self {
        Self {
            script,
            header,
            header_count,
            keys: Vec::new(),
            rows: 0,
            arguments: Vec::new(),
            argument_count: 0,
            first_row: 0,
        }
    }

    /// Ends a row. Its arguments were appended before.
    pub(super) fn end_row(&mut self, key: &[u8], number: u32, batch: &mut WriteBatch) {
        if self.rows == 0 {
            self.first_row = number;
        }
        write_blob(&mut self.keys, key);
        self.rows += 1;
        if self.rows == MOST_ROWS || self.arguments.len() >= MOST_BYTES {
            self.flush(batch);
        }
    }

    /// Calls the script with the rows so far.
    pub(super) fn flush(&mut self, batch: &mut WriteBatch) {
        if self.rows == 0 {
            return;
        }
        let arguments = self.header_count + self.argument_count;
        let out = batch.call(
            self.script,
            self.rows,
            arguments,
            self.first_row,
            ExpectedReply::Verdict,
        );
        out.append(&mut self.keys);
        out.extend_from_slice(&self.header);
        out.append(&mut self.arguments);
        self.rows = 0;
        self.argument_count = 0;
    }

    pub(super) fn held(&self) -> usize {
        self.keys.len() + self.arguments.len()
    }
}
