//! Bits of bitmaps. One command reads the bits of many ids of a shard.

use super::part::ReadPart;
use super::route::NO_BIT;
use super::sections::Section;
use crate::plan::Source;
use crate::resp::encode::{write_array_header, write_blob, write_integer};
use crate::resp::token::Token;
use crate::types::Status;

impl ReadPart {
    pub(super) fn encode_bits(
        &self,
        section: &Section,
        group: usize,
        unit: usize,
        out: &mut Vec<u8>,
    ) {
        let keys = &self.groups[group].keys;
        let rows = section.units.rows(unit);
        let key = keys.keys.at(section.units.row(unit, 0));
        let bit = |index: usize| i64::from(keys.bits[section.units.row(unit, index)]);
        if rows == 1 {
            write_array_header(out, 3);
            write_blob(out, b"GETBIT");
            write_blob(out, key);
            return write_integer(out, bit(0));
        }
        write_array_header(out, 2 + 3 * rows);
        write_blob(out, b"BITFIELD_RO");
        write_blob(out, key);
        for index in 0..rows {
            write_blob(out, b"GET");
            write_blob(out, b"u1");
            write_integer(out, bit(index));
        }
    }

    pub(super) fn bit_token(&mut self, depth: usize, token: Token<'_>) {
        let Some((units, unit)) = self.unit() else {
            return;
        };
        let rows = units.rows(unit);
        let element = self.cursor.element;
        match (depth, token) {
            (0, Token::Array(length)) if rows > 1 && length == rows => return,
            (0, Token::Integer(0 | 1)) if rows == 1 => {}
            (1, Token::Integer(0 | 1)) if element < rows => {}
            _ => return self.misshapen("the reply for a bitmap holds something other than bits"),
        }
        let row = units.row(unit, element);
        self.cursor.element += 1;
        let answers = &mut self.answers[self.cursor.group];
        answers.cells[row] = u64::from(token == Token::Integer(1));
        answers.statuses[row] = Status::Present as u8;
    }

    /// Ids without a bit are `NOT_FOUND`, because nobody can have set their flag.
    pub(super) fn settle_ids_without_bits(&mut self) {
        for (index, group) in self.plan.groups.iter().enumerate() {
            if !matches!(group.source, Source::Flag(_)) {
                continue;
            }
            let answers = &mut self.answers[index];
            for (row, &bit) in self.groups[index].keys.bits.iter().enumerate() {
                if bit == NO_BIT {
                    answers.statuses[row] = Status::NotFound as u8;
                }
            }
        }
    }
}
