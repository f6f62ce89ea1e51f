//! Encoded commands that can be sent any number of times.

use crate::resp::encode::{write_array_header, write_blob, write_integer};
use crate::script::Script;

/// Rows of one view, encoded as commands; sent any number of times.
#[derive(Debug, Default)]
pub struct WriteBatch {
    commands: Vec<u8>,
    sent: Vec<Sent>,
    scripts: Vec<&'static Script>,
}

/// A command of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// The row that it writes, or the first of them.
    pub(super) row: u32,
    pub(super) expected: ExpectedReply,
}

/// The reply that a command expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedReply {
    /// `OK`.
    Done,
    /// An integer that says nothing about the row.
    Integer,
    /// An integer that is 0 if the row was not there, or if the command changed nothing.
    Effect,
    /// The number of rows that changed something. If rows failed, an array: that number, and for
    /// each failed row its position among the command's rows, counted from 1, and the error.
    Verdict,
    /// An array of integers.
    Integers,
}

impl WriteBatch {
    /// Begins a command on `key`. The caller appends its arguments.
    pub(super) fn command(
        &mut self,
        name: &[u8],
        key: &[u8],
        arguments: usize,
        row: u32,
        expected: ExpectedReply,
    ) -> &mut Vec<u8> {
        write_array_header(&mut self.commands, 2 + arguments);
        write_blob(&mut self.commands, name);
        write_blob(&mut self.commands, key);
        self.sent.push(Sent { row, expected });
        &mut self.commands
    }

    /// Begins the call of a script. The caller appends the keys and arguments.
    pub(super) fn call(
        &mut self,
        script: &'static Script,
        keys: usize,
        arguments: usize,
        row: u32,
        expected: ExpectedReply,
    ) -> &mut Vec<u8> {
        if !self
            .scripts
            .iter()
            .any(|known| known.name() == script.name())
        {
            self.scripts.push(script);
        }
        script.call(&mut self.commands, keys, arguments);
        self.sent.push(Sent { row, expected });
        &mut self.commands
    }

    /// Makes `key` expire at a time, unless it already expires later.
    pub(super) fn expire_not_sooner(&mut self, key: &[u8], at_ms: i64, row: u32) {
        // For GT alone a key without an expiry never expires.
        for condition in [b"NX", b"GT"] {
            let out = self.command(b"PEXPIREAT", key, 2, row, ExpectedReply::Integer);
            write_integer(out, at_ms);
            write_blob(out, condition);
        }
    }

    /// The commands, in order.
    pub fn commands(&self) -> &[u8] {
        &self.commands
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The distinct scripts that are called.
    pub(super) fn scripts(&self) -> &[&'static Script] {
        &self.scripts
    }

    pub(super) fn sent(&self) -> &[Sent] {
        &self.sent
    }
}
