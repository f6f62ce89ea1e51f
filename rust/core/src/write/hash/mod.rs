//! The hash layout: a field for each feature, and one for the event time.

mod newest;
mod row;

use crate::keys::{EntityKeys, KeyColumn, KeysError};
use crate::resp::encode::{write_blob, write_integer};
use crate::table::NO_TIME;
use crate::value::Invalid;
use crate::write::batch::ExpectedReply;
use crate::write::{
    Destination, Destinations, Given, Layout, Ordering, Row, RowEncoder, RowError, WriteBatch,
    kept_until,
};
use newest::NewestEncoder;
pub use row::HashView;
use row::{Expiry, FieldGroup, HashRow};

/// Rows as hashes, which they share with other views of their entity.
///
/// If the last row to arrive counts, a row is one HSET of its values and its event time. Before
/// that an HDEL removes values that are explicitly null, so that with the new event time they read
/// as `NULL`.
#[derive(Debug)]
pub struct HashLayout {
    key_head: Vec<u8>,
    row: HashRow,
    ordering: Ordering,
}

impl HashLayout {
    /// Compiles what `view` says.
    pub fn new(view: &HashView) -> Self {
        Self {
            key_head: view.key_head.clone(),
            row: HashRow::new(view),
            ordering: view.ordering,
        }
    }
}

impl Layout for HashLayout {
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        version: i64,
    ) -> Result<Destinations, KeysError> {
        let tail = format!("}}:v{version}");
        EntityKeys::build(&self.key_head, columns, tail.as_bytes(), rows).map(Destinations::Keys)
    }

    fn encoder(&self, clock_ms: i64) -> Box<dyn RowEncoder + '_> {
        match self.ordering {
            Ordering::Arrival => Box::new(ArrivalEncoder::new(&self.row, clock_ms)),
            Ordering::EventTime => Box::new(NewestEncoder::new(&self.row, clock_ms)),
        }
    }

    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch) {
        let Destination::Key(_, key) = destination else {
            return;
        };
        let HashRow {
            fields, time_field, ..
        } = &self.row;
        let out = batch.command(b"HDEL", key, 1 + fields.len(), row, ExpectedReply::Effect);
        for field in fields {
            out.extend_from_slice(field);
        }
        out.extend_from_slice(time_field);
    }

    fn counts_rows(&self) -> bool {
        self.ordering == Ordering::EventTime
    }

    fn is_idempotent(&self) -> bool {
        self.ordering == Ordering::EventTime
    }
}

/// Plain commands: the last row to arrive counts.
struct ArrivalEncoder<'a> {
    layout: &'a HashRow,
    clock_ms: i64,
    /// Fields and values, encoded as arguments.
    pairs: Vec<u8>,
    set: usize,
    nulls: Vec<u8>,
    null: usize,
    text: Vec<u8>,
}

impl<'a> ArrivalEncoder<'a> {
    fn new(layout: &'a HashRow, clock_ms: i64) -> Self {
        Self {
            layout,
            clock_ms,
            pairs: Vec::new(),
            set: 0,
            nulls: Vec::new(),
            null: 0,
            text: Vec::new(),
        }
    }
}

impl RowEncoder for ArrivalEncoder<'_> {
    #[inline]
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        self.text.clear();
        value.text(&mut self.text);
        self.pairs.extend_from_slice(&self.layout.fields[column]);
        write_blob(&mut self.pairs, &self.text);
        self.set += 1;
        Ok(())
    }

    fn null(&mut self, column: usize) {
        self.nulls.extend_from_slice(&self.layout.fields[column]);
        self.null += 1;
    }

    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError> {
        let Destination::Key(_, key) = row.destination else {
            return Ok(());
        };
        let timeless = row.time_ms == NO_TIME;
        if timeless {
            self.nulls.extend_from_slice(&self.layout.time_field);
            self.null += 1;
        }
        let is_whole = self.set + self.null >= self.layout.fields.len();
        if self.null > 0 {
            let out = batch.command(b"HDEL", key, self.null, row.number, ExpectedReply::Integer);
            out.append(&mut self.nulls);
            self.null = 0;
        }
        let arguments = 2 * std::mem::take(&mut self.set);
        if timeless {
            if arguments > 0 {
                let out =
                    batch.command(b"HSET", key, arguments, row.number, ExpectedReply::Integer);
                out.append(&mut self.pairs);
            }
            if self.layout.expiry == Expiry::Cleared {
                batch.command(b"PERSIST", key, 0, row.number, ExpectedReply::Integer);
            }
            return Ok(());
        }
        let out = batch.command(
            b"HSET",
            key,
            arguments + 2,
            row.number,
            ExpectedReply::Integer,
        );
        out.append(&mut self.pairs);
        out.extend_from_slice(&self.layout.time_field);
        write_integer(out, row.time_ms);
        for FieldGroup { ttl_ms, fields } in &self.layout.groups {
            let arguments = 3 + fields.count;
            let out = batch.command(
                b"HPEXPIREAT",
                key,
                arguments,
                row.number,
                ExpectedReply::Integers,
            );
            write_integer(out, kept_until(row.time_ms, self.clock_ms, *ttl_ms));
            fields.append(out);
        }
        // HSET removes the expiry of the fields that it sets; the rest of the row is now as fresh.
        let lasting = &self.layout.lasting;
        if lasting.count > 0 && !is_whole {
            let arguments = 2 + lasting.count;
            let out = batch.command(
                b"HPERSIST",
                key,
                arguments,
                row.number,
                ExpectedReply::Integers,
            );
            lasting.append(out);
        }
        match self.layout.expiry {
            Expiry::None => {}
            Expiry::Cleared => {
                batch.command(b"PERSIST", key, 0, row.number, ExpectedReply::Integer);
            }
            Expiry::Own(ttl_ms) => {
                let out = batch.command(b"PEXPIREAT", key, 1, row.number, ExpectedReply::Integer);
                write_integer(out, kept_until(row.time_ms, self.clock_ms, ttl_ms));
            }
            Expiry::Shared(ttl_ms) => {
                let at_ms = kept_until(row.time_ms, self.clock_ms, ttl_ms);
                batch.expire_not_sooner(key, at_ms, row.number);
            }
        }
        Ok(())
    }

    fn close(&mut self, _batch: &mut WriteBatch) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Scalar;
    use crate::value::Value;
    use crate::write::Outdated;

    fn view(ttls: [i64; 2]) -> HashView {
        HashView {
            key_head: b"user:{".to_vec(),
            name: "p".to_owned(),
            features: vec![("a".to_owned(), ttls[0]), ("b".to_owned(), ttls[1])],
            key_ttl_ms: 0,
            shared_key: false,
            field_ttl: false,
            outdated: Outdated::Nothing,
            ordering: Ordering::Arrival,
        }
    }

    fn commands(view: &HashView) -> String {
        commands_of(view, true, 40)
    }

    fn commands_of(view: &HashView, is_whole: bool, time_ms: i64) -> String {
        let layout = HashLayout::new(view);
        let mut batch = WriteBatch::default();
        let mut encoder = layout.encoder(50);
        encoder
            .value(0, Given::Scalar(Value::Integer(1), Scalar::Int64))
            .unwrap();
        if is_whole {
            encoder.null(1);
        }
        let row = Row {
            number: 0,
            destination: Destination::Key(0, b"k"),
            time_ms,
            event_id: None,
        };
        encoder.end_row(row, &mut batch).unwrap();
        encoder.close(&mut batch);
        String::from_utf8(batch.commands().to_vec())
            .unwrap()
            .replace("\r\n", " ")
    }

    const ROW: &str = "*3 $4 HDEL $1 k $1 b *6 $4 HSET $1 k $1 a $1 1 $5 _ts:p $2 40 ";

    #[test]
    fn a_row_is_one_hset_after_its_nulls_are_removed() {
        assert_eq!(commands(&view([0, 0])), ROW);
    }

    #[test]
    fn a_key_expires_with_its_only_view_or_with_the_last_of_several() {
        let own = HashView {
            key_ttl_ms: 9,
            ..view([9, 9])
        };
        assert_eq!(commands(&own), format!("{ROW}*3 $9 PEXPIREAT $1 k $2 59 "));
        let shared = HashView {
            shared_key: true,
            ..own
        };
        let [if_none, if_later] =
            ["NX", "GT"].map(|condition| format!("*4 $9 PEXPIREAT $1 k $2 59 $2 {condition} "));
        assert_eq!(commands(&shared), format!("{ROW}{if_none}{if_later}"));
    }

    #[test]
    fn a_key_that_never_expires_loses_what_an_earlier_definition_set() {
        let view = HashView {
            outdated: Outdated::Keys,
            ..view([0, 0])
        };
        let clear = "*2 $7 PERSIST $1 k ";
        assert_eq!(commands(&view), format!("{ROW}{clear}"));
        // The same for a row that is copied without an event time.
        let copied = commands_of(&view, false, NO_TIME);
        let row = "*3 $4 HDEL $1 k $5 _ts:p *4 $4 HSET $1 k $1 a $1 1 ";
        assert_eq!(copied, format!("{row}{clear}"));
    }

    #[test]
    fn fields_that_a_row_leaves_out_lose_their_expiry_with_it() {
        let set = "*6 $4 HSET $1 k $1 a $1 1 $5 _ts:p $2 40 ";
        let of = |ttls, key_ttl_ms| {
            let view = HashView {
                key_ttl_ms,
                field_ttl: true,
                outdated: Outdated::Fields,
                ..view(ttls)
            };
            commands_of(&view, false, 40).replacen(set, "", 1)
        };
        let last = |names: &str, count: usize| {
            let arguments = 4 + count;
            format!("*{arguments} $8 HPERSIST $1 k $6 FIELDS $1 {count} {names} ")
        };
        let all = last("$1 a $1 b $5 _ts:p", 3);
        assert_eq!(of([0, 0], 0), format!("{all}*2 $7 PERSIST $1 k "));
        let key = "*3 $9 PEXPIREAT $1 k $2 59 ";
        assert_eq!(of([9, 9], 9), format!("{all}{key}"));
        let first = "*6 $10 HPEXPIREAT $1 k $2 57 $6 FIELDS $1 1 $1 a ";
        let rest = last("$1 b $5 _ts:p", 2);
        assert_eq!(of([7, 9], 9), format!("{first}{rest}{key}"));
    }

    #[test]
    fn fields_expire_if_their_key_would_not() {
        let fields = |ttls, key_ttl_ms| {
            let view = HashView {
                key_ttl_ms,
                field_ttl: true,
                ..view(ttls)
            };
            let rest = commands(&view).replacen(ROW, "", 1);
            rest.split_once("*3 $9")
                .map_or(rest.clone(), |(fields, _)| fields.to_owned())
        };
        let expire = |at: i64, names: &str| {
            let count = names
                .split(' ')
                .filter(|word| word.starts_with('$'))
                .count();
            let arguments = 5 + count;
            format!("*{arguments} $10 HPEXPIREAT $1 k $2 {at} $6 FIELDS $1 {count} {names} ")
        };
        assert_eq!(fields([0, 0], 0), "");
        assert_eq!(fields([7, 0], 0), expire(57, "$1 a"));
        let both = format!("{}{}", expire(57, "$1 a"), expire(58, "$1 b $5 _ts:p"));
        assert_eq!(fields([7, 8], 0), both);
        assert_eq!(fields([7, 7], 0), expire(57, "$1 a $1 b $5 _ts:p"));
        // A field that lives as long as the key needs no expiry of its own.
        assert_eq!(fields([7, 9], 9), expire(57, "$1 a"));
        assert_eq!(fields([9, 9], 9), "");
    }
}
