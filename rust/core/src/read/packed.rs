//! Packed rows. One command reads those of many ids, and of all packed views of each id.

use super::part::ReadPart;
use super::sections::Section;
use crate::packed::PackedError;
use crate::plan::Source;
use crate::resp::encode::{write_array_header, write_blob};
use crate::resp::token::Token;
use crate::types::Status;

/// The most unknown schemas that a result lists; more than one is rare.
const MAX_UNKNOWN: usize = 16;

impl ReadPart {
    pub(super) fn encode_rows(
        &self,
        section: &Section,
        (first, count): (usize, usize),
        unit: usize,
        out: &mut Vec<u8>,
    ) {
        let rows = section.units.rows(unit);
        let name: &[u8] = if rows * count == 1 { b"GET" } else { b"MGET" };
        write_array_header(out, 1 + rows * count);
        write_blob(out, name);
        for index in 0..rows {
            let row = section.units.row(unit, index);
            for group in first..first + count {
                write_blob(out, self.groups[group].keys.keys.at(row));
            }
        }
    }

    pub(super) fn row_token(
        &mut self,
        (first, count): (usize, usize),
        depth: usize,
        token: Token<'_>,
    ) {
        let Some((units, unit)) = self.unit() else {
            return;
        };
        let total = units.rows(unit) * count;
        let element = self.cursor.element;
        let row = match (depth, token) {
            (0, Token::Array(length)) if total > 1 && length == total => return,
            (0, Token::Blob(row)) if total == 1 => Some(row),
            (0, Token::Null) if total == 1 => None,
            (1, Token::Blob(row)) if element < total => Some(row),
            (1, Token::Null) if element < total => None,
            _ => return self.misshapen("the reply for packed rows has the wrong shape"),
        };
        let at = units.row(unit, element / count);
        self.cursor.element += 1;
        self.cursor.group = first + element % count;
        self.packed_row(at, row);
    }

    fn packed_row(&mut self, row: usize, stored: Option<&[u8]>) {
        let index = self.cursor.group;
        let plan = std::sync::Arc::clone(&self.plan);
        let group = &plan.groups[index];
        let Source::Packed(decoder) = &group.source else {
            return;
        };
        let width = group.columns.len();
        let answers = &mut self.answers[index];
        let cells = &mut answers.cells[row * width..][..width];
        let statuses = &mut answers.statuses[row * width..][..width];
        let Some(stored) = stored else {
            statuses.fill(Status::NotFound as u8);
            return self.settle(index, row);
        };
        match decoder.decode(stored, cells, statuses, &mut self.arena) {
            Ok(time) => {
                answers.event_times[row] = time;
                let invalid = Status::Invalid as u8;
                let wrong = (0..width).filter(|&column| statuses[column] == invalid);
                let wrong: Vec<usize> = wrong.collect();
                self.invalid += wrong.len();
                for column in wrong {
                    self.problem(row, Some(column), || {
                        decoder.reason(stored, column).unwrap_or_default()
                    });
                }
                self.settle(index, row);
            }
            Err(error) => {
                cells.copy_from_slice(&group.absent_row);
                if let PackedError::UnknownSchema(fingerprint) = error
                    && self.unknown_schemas.len() < MAX_UNKNOWN
                    && !self.unknown_schemas.contains(&fingerprint)
                {
                    self.unknown_schemas.push(fingerprint);
                }
                self.invalidate_row(row, &format!("the packed row {error}"));
            }
        }
    }
}
