//! Copies a view's rows to another layout. A row is copied only if it is still what was read.

use super::{Destination, Given, Layout, Row, RowError, WriteBatch};
use crate::packed::Decoder;
use crate::resp::encode::{each_command, words};
use crate::script::COPY_ROW;
use crate::table::NO_TIME;
use crate::types::{DataType, Scalar, Status};
use crate::value::{self, Value};

/// The layout that rows are copied from; the target has the other.
#[derive(Debug)]
pub enum CopySource {
    /// A hash. The view's fields are read from it in order, and then its event time.
    Hash,
    /// A packed row, which may be of any schema that the decoder knows.
    Packed(Decoder),
}

/// The copying of a view's rows, compiled once.
#[derive(Debug)]
pub struct LayoutCopy {
    columns: Vec<(String, DataType)>,
    source: CopySource,
    target: Box<dyn Layout>,
    /// The fields that the view has in a hash.
    hash_fields: Vec<Vec<u8>>,
}

/// What to do with a row that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Store it in the target layout, whether there is a row yet or not.
    Copy,
    /// Store it in the target layout if there is no row yet, then remove it from the source layout.
    Move,
}

/// How a row that was read gets to the other layout.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RowCopy {
    /// The first two keys of the script, and its arguments from the second on.
    pub arguments: Vec<Vec<u8>>,
    /// The values that cannot be copied: the feature, or `None` for the whole row, and the reason.
    pub invalid: Vec<(Option<usize>, String)>,
}

impl LayoutCopy {
    /// Copies rows of a view with `columns`, which the decoder of packed rows wants in this order.
    pub fn new(
        view: &str,
        columns: Vec<(String, DataType)>,
        source: CopySource,
        target: Box<dyn Layout>,
    ) -> Self {
        let names = columns.iter().map(|(name, _)| name.clone());
        let hash_fields = names
            .chain([format!("_ts:{view}")])
            .map(String::into_bytes)
            .collect();
        Self {
            columns,
            source,
            target,
            hash_fields,
        }
    }

    /// The call that removes a row from the source layout, if the target has a row of the entity.
    pub fn removal(&self, source_key: &[u8], target_key: &[u8]) -> Vec<Vec<u8>> {
        self.call(source_key, target_key, b"remove", true)
    }

    /// Names of the features.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The fields that the view has in a hash, whichever layout that is.
    pub fn hash_fields(&self) -> &[Vec<u8>] {
        &self.hash_fields
    }

    /// How many values are to be read of a row: of each field of a hash, or the string.
    pub fn values(&self) -> usize {
        match self.source {
            CopySource::Hash => self.hash_fields.len(),
            CopySource::Packed(_) => 1,
        }
    }

    /// How to copy the row that was `read` at `source_key` to `target_key`. If there is no row,
    /// that at `target_key` is removed too. Values that are `INVALID` become null. The expiry
    /// counts from `clock_ms`, or from the event time if that is later.
    ///
    /// # Panics
    /// If `read` does not have a value for each of [`fields`](Self::fields), or one for a string.
    pub fn row(
        &self,
        source_key: &[u8],
        target_key: &[u8],
        read: &[Option<&[u8]>],
        clock_ms: i64,
        transfer: Transfer,
    ) -> RowCopy {
        assert_eq!(read.len(), self.values(), "all that was to be read");
        let mut batch = WriteBatch::default();
        let destination = Destination::Key(0, target_key);
        let mut invalid = Vec::new();
        if read.iter().all(Option::is_none) {
            self.target.remove(destination, 0, &mut batch);
        } else {
            let mut arena = Vec::new();
            let (time_ms, cells) = match (&self.source, read) {
                (CopySource::Packed(decoder), [Some(row)]) => {
                    self.unpack(decoder, row, &mut arena, &mut invalid)
                }
                _ => self.parse(read, &mut arena, &mut invalid),
            };
            let row = Row {
                number: 0,
                destination,
                time_ms,
                event_id: None,
            };
            if let Err(error) = self.encode(&cells, &arena, row, clock_ms, &mut batch) {
                invalid.push(error);
            }
        }
        let what: &[u8] = match transfer {
            Transfer::Copy => b"copy",
            Transfer::Move => b"move",
        };
        let is_hash = matches!(self.source, CopySource::Hash);
        let names = is_hash || transfer == Transfer::Move;
        let mut arguments = self.call(source_key, target_key, what, names);
        arguments.extend(read.iter().map(|text| match text {
            Some(text) => [b"=", *text].concat(),
            None => Vec::new(),
        }));
        add_commands(&mut arguments, batch.commands());
        RowCopy { arguments, invalid }
    }

    fn parse(
        &self,
        read: &[Option<&[u8]>],
        arena: &mut Vec<u8>,
        invalid: &mut Vec<(Option<usize>, String)>,
    ) -> (i64, Vec<Option<u64>>) {
        let time_ms = match read[self.columns.len()].map(value::integer) {
            None => NO_TIME,
            Some(Ok(time_ms)) => time_ms,
            Some(Err(reason)) => {
                // The row's age is unknown, so none of its values may be served.
                invalid.push((None, format!("has an event time that {}", reason.0)));
                return (NO_TIME, vec![None; self.columns.len()]);
            }
        };
        let mut cells = Vec::with_capacity(self.columns.len());
        for (column, ((_, data_type), text)) in self.columns.iter().zip(read).enumerate() {
            let cell = text.map(|text| value::decode(*data_type, text, arena));
            cells.push(match cell {
                Some(Err(reason)) => {
                    invalid.push((Some(column), format!("{}: {data_type}", reason.0)));
                    None
                }
                Some(Ok(cell)) => Some(cell),
                None => None,
            });
        }
        (time_ms, cells)
    }

    fn unpack(
        &self,
        decoder: &Decoder,
        row: &[u8],
        arena: &mut Vec<u8>,
        invalid: &mut Vec<(Option<usize>, String)>,
    ) -> (i64, Vec<Option<u64>>) {
        let mut cells = vec![0; self.columns.len()];
        let mut statuses = vec![0; self.columns.len()];
        let time_ms = match decoder.decode(row, &mut cells, &mut statuses, arena) {
            Ok(time_ms) => time_ms,
            Err(error) => {
                invalid.push((None, format!("cannot be unpacked: {error}")));
                return (NO_TIME, vec![None; self.columns.len()]);
            }
        };
        let cells = cells.into_iter().zip(statuses).enumerate();
        let cells = cells.map(|(column, (cell, status))| {
            if status == Status::Invalid as u8 {
                let reason = decoder.reason(row, column).unwrap_or_default();
                invalid.push((Some(column), reason));
            }
            (status == Status::Present as u8).then_some(cell)
        });
        (time_ms, cells.collect())
    }

    fn encode(
        &self,
        cells: &[Option<u64>],
        arena: &[u8],
        row: Row<'_>,
        clock_ms: i64,
        batch: &mut WriteBatch,
    ) -> Result<(), (Option<usize>, String)> {
        let mut encoder = self.target.encoder(clock_ms);
        let mut text = Vec::new();
        for (column, ((_, data_type), cell)) in self.columns.iter().zip(cells).enumerate() {
            let Some(cell) = *cell else {
                encoder.null(column);
                continue;
            };
            let value = value::view(*data_type, cell, arena);
            let given = match *data_type {
                DataType::Scalar(scalar) => Given::Scalar(value, scalar),
                DataType::List(scalar) => stored(&mut text, value, scalar),
                DataType::Vector(_) => stored(&mut text, value, Scalar::Float32),
            };
            encoder
                .value(column, given)
                .map_err(|reason| (Some(column), reason.0.to_owned()))?;
        }
        encoder.end_row(row, batch).map_err(|error| match error {
            RowError::Column(column, reason) => (Some(column), reason.0.to_owned()),
            RowError::Time(fault) => (None, format!("has an event time {fault}")),
        })?;
        encoder.close(batch);
        Ok(())
    }

    /// The first arguments of `COPY_ROW`: the two keys, what to do, which key is a hash, and, if
    /// they are needed, the names of its fields.
    fn call(&self, source_key: &[u8], target_key: &[u8], what: &[u8], names: bool) -> Vec<Vec<u8>> {
        let hash = match self.source {
            CopySource::Hash => 1,
            CopySource::Packed(_) => 2,
        };
        let fields: &[_] = if names { &self.hash_fields } else { &[] };
        let mut arguments = vec![source_key.to_vec(), target_key.to_vec(), what.to_vec()];
        arguments.extend([number(hash), number(fields.len())]);
        arguments.extend_from_slice(fields);
        arguments
    }

    /// The script that the arguments are for.
    pub fn script(&self) -> &'static crate::script::Script {
        &COPY_ROW
    }
}

fn number(number: usize) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Appends commands without their key, which all of them share.
fn add_commands(arguments: &mut Vec<Vec<u8>>, commands: &[u8]) {
    for command in each_command(commands) {
        let mut words = words(command);
        let name = words.next().unwrap_or_default().to_vec();
        let rest: Vec<_> = words.skip(1).map(<[u8]>::to_vec).collect();
        arguments.extend([number(rest.len()), name]);
        arguments.extend(rest);
    }
}

/// The stored form of a list or a vector in the hash layout.
fn stored<'a>(text: &'a mut Vec<u8>, value: Value<'_>, scalar: Scalar) -> Given<'a> {
    text.clear();
    value::encode(text, value, scalar);
    Given::Stored(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::{RowWriter, Schema};
    use crate::write::{HashLayout, HashView, Ordering, Outdated, PackedLayout};

    fn columns() -> Vec<(String, DataType)> {
        ["Int64", "List[Int64]"]
            .into_iter()
            .zip(["a", "b"])
            .map(|(spelling, name)| (name.to_owned(), spelling.parse().unwrap()))
            .collect()
    }

    fn schema() -> Schema {
        Schema::new(7, columns()).unwrap()
    }

    fn hash() -> HashLayout {
        HashLayout::new(&HashView {
            key_head: b"user:{".to_vec(),
            name: "p".to_owned(),
            features: vec![("a".to_owned(), 9), ("b".to_owned(), 9)],
            key_ttl_ms: 9,
            shared_key: false,
            field_ttl: false,
            outdated: Outdated::Keys,
            ordering: Ordering::Arrival,
        })
    }

    fn packing() -> LayoutCopy {
        let target = PackedLayout {
            key_head: b"user:{".to_vec(),
            name: "p".to_owned(),
            schema: schema(),
            key_ttl_ms: 9,
            outdated: Outdated::Keys,
            ordering: Ordering::Arrival,
            migrating: true,
        };
        LayoutCopy::new("p", columns(), CopySource::Hash, Box::new(target))
    }

    fn unpacking() -> LayoutCopy {
        let decoder = Decoder::new(columns(), &[schema()]);
        LayoutCopy::new(
            "p",
            columns(),
            CopySource::Packed(decoder),
            Box::new(hash()),
        )
    }

    fn packed(a: Option<i64>, b: Option<&[u8]>, time_ms: i64) -> Vec<u8> {
        let schema = schema();
        let mut writer = RowWriter::new(&schema);
        let mut row = Vec::new();
        if let Some(a) = a {
            writer.value(0, Value::Integer(a)).unwrap();
        }
        if let Some(b) = b {
            writer.bytes(1, b).unwrap();
        }
        writer.finish(time_ms, &mut row);
        row
    }

    const COPY: Transfer = Transfer::Copy;

    fn words_of(copy: &RowCopy) -> Vec<&[u8]> {
        copy.arguments.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn a_hash_that_is_still_the_same_becomes_a_string() {
        let read = [Some(b"5".as_slice()), None, Some(b"40")];
        let copy = packing().row(b"k", b"k:p", &read, 50, COPY);
        let row = packed(Some(5), None, 40);
        let expected: [&[u8]; 16] = [
            b"k", b"k:p", b"copy", b"1", b"3", b"a", b"b", b"_ts:p", b"=5", b"", b"=40", b"3",
            b"SET", &row, b"PXAT", b"59",
        ];
        assert_eq!(words_of(&copy), expected);
        assert_eq!(copy.invalid, []);
        // Without an event time it never expires.
        let copy = packing().row(b"k", b"k:p", &[Some(b"5"), Some(b"[ 1 ]"), None], 50, COPY);
        let row = packed(Some(5), Some(b"[1]"), NO_TIME);
        assert_eq!(words_of(&copy)[11..], [b"1".as_slice(), b"SET", &row]);
    }

    #[test]
    fn a_row_that_never_expires_takes_back_the_expiry_of_its_new_key() {
        let view = HashView {
            key_head: b"user:{".to_vec(),
            name: "p".to_owned(),
            features: vec![("a".to_owned(), 0), ("b".to_owned(), 0)],
            key_ttl_ms: 0,
            shared_key: true,
            field_ttl: true,
            outdated: Outdated::Keys,
            ordering: Ordering::Arrival,
        };
        let source = CopySource::Packed(Decoder::new(columns(), &[schema()]));
        let copying = LayoutCopy::new("p", columns(), source, Box::new(HashLayout::new(&view)));
        for time_ms in [40, NO_TIME] {
            let row = packed(Some(5), None, time_ms);
            let copy = copying.row(b"k:p", b"k", &[Some(&row)], 50, COPY);
            assert!(words_of(&copy).ends_with(&[b"0", b"PERSIST"]));
        }
        assert!(!copying.removal(b"k:p", b"k").contains(&b"PERSIST".to_vec()));
    }

    #[test]
    fn a_string_that_is_still_the_same_becomes_a_hash() {
        let row = packed(Some(5), None, 40);
        let copy = unpacking().row(b"k:p", b"k", &[Some(&row)], 50, COPY);
        let read = [b"=".as_slice(), &row].concat();
        let expected: [&[u8]; 18] = [
            b"k:p",
            b"k",
            b"copy",
            b"2",
            b"0",
            &read,
            b"1",
            b"HDEL",
            b"b",
            b"4",
            b"HSET",
            b"a",
            b"5",
            b"_ts:p",
            b"40",
            b"1",
            b"PEXPIREAT",
            b"59",
        ];
        assert_eq!(words_of(&copy), expected);
        let row = packed(Some(5), Some(b"[1]"), NO_TIME);
        let copy = unpacking().row(b"k:p", b"k", &[Some(&row)], 50, COPY);
        let expected: [&[u8]; 9] = [
            b"1", b"HDEL", b"_ts:p", b"4", b"HSET", b"a", b"5", b"b", b"[1]",
        ];
        assert_eq!(words_of(&copy)[6..], expected);
    }

    #[test]
    fn what_is_gone_goes() {
        let copy = packing().row(b"k", b"k:p", &[None; 3], 50, COPY);
        assert_eq!(
            words_of(&copy)[8..],
            [b"", b"", b"", b"0".as_slice(), b"UNLINK"]
        );
        let copy = unpacking().row(b"k:p", b"k", &[None], 50, COPY);
        let expected: [&[u8]; 7] = [b"0", b"", b"3", b"HDEL", b"a", b"b", b"_ts:p"];
        assert_eq!(words_of(&copy)[4..], expected);
    }

    #[test]
    fn a_row_that_has_no_copy_is_moved() {
        let read = [Some(b"5".as_slice()), None, Some(b"40")];
        let copied = packing().row(b"k", b"k:p", &read, 50, COPY);
        let moved = packing().row(b"k", b"k:p", &read, 50, Transfer::Move);
        assert_eq!(words_of(&moved)[2], b"move");
        assert_eq!(words_of(&moved)[3..], words_of(&copied)[3..]);
        let row = packed(Some(5), None, 40);
        let copied = unpacking().row(b"k:p", b"k", &[Some(&row)], 50, COPY);
        let moved = unpacking().row(b"k:p", b"k", &[Some(&row)], 50, Transfer::Move);
        // The script needs the fields to see whether the hash has a row.
        let expected: [&[u8]; 6] = [b"move", b"2", b"3", b"a", b"b", b"_ts:p"];
        assert_eq!(words_of(&moved)[2..8], expected);
        assert_eq!(words_of(&moved)[8..], words_of(&copied)[5..]);
    }

    #[test]
    fn a_row_that_has_a_copy_is_removed() {
        for (copy, hash) in [(packing(), b"1"), (unpacking(), b"2")] {
            let expected: [&[u8]; 8] = [b"k", b"l", b"remove", hash, b"3", b"a", b"b", b"_ts:p"];
            assert_eq!(copy.removal(b"k", b"l"), expected);
        }
    }

    #[test]
    fn invalid_values_are_told_and_become_null() {
        let read = [Some(b"x".as_slice()), Some(b"[1]"), Some(b"40")];
        let copy = packing().row(b"k", b"k:p", &read, 50, COPY);
        let reason = "is not an integer: Int64".to_owned();
        assert_eq!(copy.invalid, [(Some(0), reason)]);
        assert_eq!(words_of(&copy)[13], packed(None, Some(b"[1]"), 40));
        let read = [Some(b"5".as_slice()), Some(b"[1]"), Some(b"now")];
        let copy = packing().row(b"k", b"k:p", &read, 50, COPY);
        let reason = "has an event time that is not an integer".to_owned();
        assert_eq!(copy.invalid, [(None, reason)]);
        assert_eq!(words_of(&copy)[13], packed(None, None, NO_TIME));
        let copy = unpacking().row(b"k:p", b"k", &[Some(b"\x01")], 50, COPY);
        assert_eq!(copy.invalid[0].0, None);
        let expected: [&[u8]; 5] = [b"3", b"HDEL", b"a", b"b", b"_ts:p"];
        assert_eq!(words_of(&copy)[6..], expected);
    }
}
