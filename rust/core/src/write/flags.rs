//! Flags: a bit for each entity and feature.

use super::batch::ExpectedReply;
use super::{Destination, Destinations, Given, Layout, Row, RowEncoder, RowError, WriteBatch};
use crate::flag::{BadPattern, Bit, IdPattern};
use crate::keys::{KeyColumn, KeysError};
use crate::resp::encode::{write_blob, write_integer};
use crate::value::{Invalid, Value};

/// Bits in bitmaps, which have no version and no event time.
#[derive(Debug)]
pub struct FlagLayout {
    /// The pattern of text ids, and its text for messages.
    ids: Option<(IdPattern, String)>,
    /// The beginning of each feature's keys.
    heads: Vec<Vec<u8>>,
}

impl FlagLayout {
    /// Flags with these names. Ids are numbers, or texts of a pattern.
    pub fn new(
        key_prefix: &str,
        names: &[&str],
        pattern: Option<&str>,
    ) -> Result<Self, BadPattern> {
        let parsed = |text: &str| Ok((IdPattern::parse(text)?, text.to_owned()));
        Ok(Self {
            ids: pattern.map(parsed).transpose()?,
            heads: names
                .iter()
                .map(|name| format!("{key_prefix}flag:{name}:{{").into_bytes())
                .collect(),
        })
    }

    fn set(&self, feature: usize, number: u64, bit: bool, row: u32, batch: &mut WriteBatch) {
        let Bit { shard, offset } = Bit::of(number);
        let mut buffer = itoa::Buffer::new();
        let key = [&self.heads[feature], buffer.format(shard).as_bytes(), b"}"].concat();
        let out = batch.command(b"SETBIT", &key, 2, row, ExpectedReply::Effect);
        write_integer(out, i64::from(offset));
        write_blob(out, if bit { b"1" } else { b"0" });
    }
}

impl Layout for FlagLayout {
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        _version: i64,
    ) -> Result<Destinations, KeysError> {
        // Definitions allow flags only for entities with one join key.
        let Some(&(name, column)) = columns.first() else {
            return Ok(Destinations::Bits(Vec::new()));
        };
        (0..rows)
            .map(|row| {
                let (number, wrong) = match (column, &self.ids) {
                    (KeyColumn::Integer(ids), _) => (
                        u64::try_from(ids[row]).ok(),
                        "is negative; flags take ids from 0 on".to_owned(),
                    ),
                    (KeyColumn::Text(ids), Some((pattern, text))) => (
                        pattern.integer(ids.at(row)),
                        format!("is not an id that {text} writes; flags take no other"),
                    ),
                    (KeyColumn::Text(_), None) => (
                        None,
                        "is text; flags without a pattern take numbers".to_owned(),
                    ),
                };
                number.ok_or_else(|| KeysError::new(name, Some(row), wrong))
            })
            .collect::<Result<_, _>>()
            .map(Destinations::Bits)
    }

    fn encoder(&self, _clock_ms: i64) -> Box<dyn RowEncoder + '_> {
        Box::new(FlagEncoder {
            layout: self,
            row: vec![None; self.heads.len()],
            kept: Vec::new(),
            bits: Vec::new(),
        })
    }

    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch) {
        let Destination::Bit(number) = destination else {
            return;
        };
        for feature in 0..self.heads.len() {
            self.set(feature, number, false, row, batch);
        }
    }

    fn counts_rows(&self) -> bool {
        // SETBIT returns the bit that was there before, so it does not count changes.
        false
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

/// Keeps rows back, and sorts them by bitmap.
struct FlagEncoder<'a> {
    layout: &'a FlagLayout,
    row: Vec<Option<bool>>,
    /// The numbers of the id and of the row, in the order of the rows.
    kept: Vec<(u64, u32)>,
    /// The bits of each row, one for each feature.
    bits: Vec<Option<bool>>,
}

impl RowEncoder for FlagEncoder<'_> {
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        let Given::Scalar(Value::Bool(bit), _) = value else {
            return Err(Invalid("must be Bool"));
        };
        self.row[column] = Some(bit);
        Ok(())
    }

    fn null(&mut self, _column: usize) {}

    fn end_row(&mut self, row: Row<'_>, _batch: &mut WriteBatch) -> Result<(), RowError> {
        if let Destination::Bit(number) = row.destination {
            self.kept.push((number, row.number));
            self.bits.extend_from_slice(&self.row);
        }
        self.row.fill(None);
        Ok(())
    }

    fn close(&mut self, batch: &mut WriteBatch) {
        let width = self.row.len();
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        // Stable, because the last of an entity's rows counts.
        order.sort_by_key(|&index| Bit::of(self.kept[index].0).shard);
        for index in order {
            let (number, row) = self.kept[index];
            for (feature, bit) in self.bits[index * width..][..width].iter().enumerate() {
                if let &Some(bit) = bit {
                    self.layout.set(feature, number, bit, row, batch);
                }
            }
        }
        self.kept.clear();
        self.bits.clear();
    }

    fn held(&self) -> usize {
        // About the bytes of a command.
        self.bits.len() * 48
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Scalar;

    #[test]
    fn rows_are_sorted_by_bitmap_and_the_last_of_an_entity_stays_last() {
        let layout = FlagLayout::new("p:", &["a", "b"], None).unwrap();
        let mut batch = WriteBatch::default();
        let mut encoder = layout.encoder(0);
        for (number, (id, bits)) in (0..).zip([
            (70_000, [Some(true), None]),
            (5, [Some(true), Some(true)]),
            (70_000, [Some(false), Some(true)]),
        ]) {
            for (column, bit) in bits.into_iter().enumerate() {
                match bit {
                    Some(bit) => encoder
                        .value(column, Given::Scalar(Value::Bool(bit), Scalar::Bool))
                        .unwrap(),
                    None => encoder.null(column),
                }
            }
            let row = Row {
                number,
                destination: Destination::Bit(id),
                time_ms: 0,
                event_id: None,
            };
            encoder.end_row(row, &mut batch).unwrap();
        }
        encoder.close(&mut batch);
        let sent = String::from_utf8(batch.commands().to_vec()).unwrap();
        let bits: Vec<Vec<&str>> = sent
            .split("*4\r\n")
            .skip(1)
            .map(|command| command.split("\r\n").skip(3).step_by(2).collect())
            .collect();
        assert_eq!(
            bits,
            [
                ["p:flag:a:{0}", "5", "1"],
                ["p:flag:b:{0}", "5", "1"],
                ["p:flag:a:{1}", "4464", "1"],
                ["p:flag:a:{1}", "4464", "0"],
                ["p:flag:b:{1}", "4464", "1"],
            ]
        );
    }
}
