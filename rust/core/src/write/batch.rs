//! Rows of a view as HSET and HDEL commands, and the replies to them.

use std::sync::Arc;

use crate::connection::Replies;
use crate::resp::encode::{write_array_header, write_blob, write_integer};
use crate::resp::token::Token;

/// How many rejected rows are kept in words; the count goes on.
const MAX_REJECTED: usize = 32;

/// Rows of one view, encoded as commands; sent any number of times.
///
/// A row is one HSET of its values and its event time. Values that are explicitly null are removed
/// before that, so that with the new event time they read as `NULL`.
#[derive(Debug, Default)]
pub struct WriteBatch {
    commands: Vec<u8>,
    /// The row of each command, in order.
    rows: Vec<u32>,
    row: RowBuffer,
}

/// When a row's key has expired for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Epoch milliseconds.
    pub at_ms: i64,
    /// Whether other views share the key: then the latest expiry of all of them counts.
    pub shared: bool,
}

/// A [`WriteBatch`] under way.
#[derive(Debug)]
pub struct WritePart {
    batch: Arc<WriteBatch>,
    outcome: Outcome,
    out_of_step: bool,
}

#[derive(Debug, Default)]
struct RowBuffer {
    pairs: Vec<u8>,
    set: usize,
    nulls: Vec<u8>,
    null: usize,
}

/// What the server said to a [`WriteBatch`].
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many commands were carried out.
    pub done: usize,
    /// The sum of their integer replies: how many fields were new, or were removed.
    pub fields: i64,
    /// How many commands replied with something other than 0.
    pub effective: usize,
    /// How many commands the server refused.
    pub rejected: usize,
    /// The first of those: the row and the server's words.
    pub rejections: Vec<(u32, String)>,
}

impl WriteBatch {
    /// Adds a value to the row that is being put together.
    #[inline]
    pub fn value(&mut self, field: &[u8], text: &[u8]) {
        write_blob(&mut self.row.pairs, field);
        write_blob(&mut self.row.pairs, text);
        self.row.set += 1;
    }

    /// Says that a field of the row has no value.
    pub fn null(&mut self, field: &[u8]) {
        write_blob(&mut self.row.nulls, field);
        self.row.null += 1;
    }

    /// Ends the row: its commands go to `key`, which the server may reclaim when `expiry` says.
    pub fn end_row(&mut self, key: &[u8], row: u32, expiry: Option<Expiry>) {
        if self.row.null > 0 {
            self.command(b"HDEL", key, 2 + self.row.null, row);
            self.commands.append(&mut self.row.nulls);
            self.row.null = 0;
        }
        if self.row.set > 0 {
            self.command(b"HSET", key, 2 + 2 * self.row.set, row);
            self.commands.append(&mut self.row.pairs);
            self.row.set = 0;
        }
        match expiry {
            None => {}
            Some(Expiry {
                at_ms,
                shared: false,
            }) => self.expire(key, at_ms, None, row),
            Some(Expiry {
                at_ms,
                shared: true,
            }) => {
                // GT alone takes a key without expiry for one that must never expire.
                self.expire(key, at_ms, Some(b"NX"), row);
                self.expire(key, at_ms, Some(b"GT"), row);
            }
        }
    }

    fn expire(&mut self, key: &[u8], at_ms: i64, condition: Option<&[u8]>, row: u32) {
        self.command(b"PEXPIREAT", key, 3 + usize::from(condition.is_some()), row);
        write_integer(&mut self.commands, at_ms);
        if let Some(condition) = condition {
            write_blob(&mut self.commands, condition);
        }
    }

    /// Adds the removal of `fields`, encoded one after another, from `key`.
    pub fn remove(&mut self, key: &[u8], fields: &[u8], count: usize, row: u32) {
        self.command(b"HDEL", key, 2 + count, row);
        self.commands.extend_from_slice(fields);
    }

    fn command(&mut self, name: &[u8], key: &[u8], arguments: usize, row: u32) {
        write_array_header(&mut self.commands, arguments);
        write_blob(&mut self.commands, name);
        write_blob(&mut self.commands, key);
        self.rows.push(row);
    }

    /// The commands, in order.
    pub fn commands(&self) -> &[u8] {
        &self.commands
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl WritePart {
    /// Sends `batch` once.
    pub fn new(batch: Arc<WriteBatch>) -> Self {
        Self {
            batch,
            outcome: Outcome::default(),
            out_of_step: false,
        }
    }

    /// What is sent.
    pub fn batch(&self) -> &Arc<WriteBatch> {
        &self.batch
    }

    /// What the server said.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn reject(&mut self, reply: usize, reason: String) {
        self.outcome.rejected += 1;
        if self.outcome.rejections.len() < MAX_REJECTED {
            self.outcome
                .rejections
                .push((self.batch.rows[reply], reason));
        }
    }
}

impl Replies for WritePart {
    fn expected(&self) -> usize {
        self.batch.rows.len()
    }

    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>) {
        if depth > 0 {
            return;
        }
        match token {
            Token::Integer(fields) => {
                self.outcome.done += 1;
                self.outcome.fields += fields;
                self.outcome.effective += usize::from(fields != 0);
            }
            Token::Error(text) => self.reject(reply, String::from_utf8_lossy(text).into_owned()),
            _ => self.out_of_step = true,
        }
    }

    fn finish(&mut self, _reply: usize) {}

    fn is_out_of_step(&self) -> bool {
        self.out_of_step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(expiry: Option<Expiry>) -> String {
        let mut batch = WriteBatch::default();
        batch.value(b"a", b"1");
        batch.null(b"b");
        batch.end_row(b"k", 0, expiry);
        String::from_utf8(batch.commands().to_vec())
            .unwrap()
            .replace("\r\n", " ")
    }

    #[test]
    fn a_row_is_one_hset_after_what_it_nulls() {
        let row = "*3 $4 HDEL $1 k $1 b *4 $4 HSET $1 k $1 a $1 1 ";
        assert_eq!(commands(None), row);
        let expiry = Expiry {
            at_ms: 99,
            shared: false,
        };
        assert_eq!(
            commands(Some(expiry)),
            format!("{row}*3 $9 PEXPIREAT $1 k $2 99 ")
        );
        let expiry = Expiry {
            at_ms: 99,
            shared: true,
        };
        let [if_none, if_later] =
            ["NX", "GT"].map(|condition| format!("*4 $9 PEXPIREAT $1 k $2 99 $2 {condition} "));
        assert_eq!(commands(Some(expiry)), format!("{row}{if_none}{if_later}"));
    }
}
