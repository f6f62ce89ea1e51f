//! Tables as bytes, and tables from bytes of any kind.
//!
//! The bytes have all that a table says, and nothing of other values that its arena may hold. All
//! integers are little-endian:
//!
//! ```text
//! "fs.table"  format: u16  body  FNV-1a of everything before it: u64
//! body     = version: i64  pointer: 0 | 1 i64  unknown schemas: u32 each  keys  features  values
//! keys     = count, then each: name  0 i64s | 1 texts
//! features = count, then each: name  type  view: 0 | 1 u64  default: u8    then views: u64
//! values   = rows: u64  cells: u64 each  statuses: u8 each  event times: i64 each  arena  problems
//! problems = count, then each: row: u32  feature: 0 | 1 u32  reason
//! ```
//!
//! Counts and lengths are u64. The cell of a value in the arena is its length; the arena has these
//! values one after another.

use std::fmt;
use std::sync::Arc;

use super::{Problem, Table};
use crate::keys::{ByteColumn, KeyColumn, KeyColumns};
use crate::plan::{Feature, OutputColumns};
use crate::types::{DataType, Status};
use crate::value::{self, ArenaSpan};

const MAGIC: &[u8; 8] = b"fs.table";

/// The format that is written, and the only one that is read.
const FORMAT: u16 = 1;

/// Why bytes are not a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotATable {
    /// They do not begin like one.
    Foreign,
    /// They have this other format.
    Format(u16),
    /// They were changed or cut off.
    Damaged,
}

impl fmt::Display for NotATable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("these bytes are not a table"),
            Self::Format(format) => write!(
                f,
                "the table has format {format}, and this release of fscore reads format {FORMAT}; \
                 read it with the release that wrote it"
            ),
            Self::Damaged => f.write_str("the bytes of the table are damaged or cut off"),
        }
    }
}

impl std::error::Error for NotATable {}

impl Table {
    /// The table as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
        write_option(&mut out, self.pointer.map(i64::to_le_bytes));
        write_count(&mut out, self.unknown_schemas.len());
        for schema in &self.unknown_schemas {
            out.extend_from_slice(&schema.to_le_bytes());
        }
        write_keys(&mut out, &self.keys);
        write_output(&mut out, &self.output);
        self.write_values(&mut out);
        write_count(&mut out, self.problems.len());
        for problem in &self.problems {
            out.extend_from_slice(&problem.row.to_le_bytes());
            write_option(&mut out, problem.feature.map(u32::to_le_bytes));
            write_sized(&mut out, problem.reason.as_bytes());
        }
        let sum = fnv_1a(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn write_values(&self, out: &mut Vec<u8>) {
        write_count(out, self.rows);
        let mut arena = Vec::new();
        for row in 0..self.rows {
            for (column, feature) in self.features().iter().enumerate() {
                let cell = self.cells[row * self.columns() + column];
                let there = self.has_value(row, column);
                let written = if !there {
                    value::absent(feature.data_type)
                } else if value::in_arena(feature.data_type) {
                    let bytes = ArenaSpan::of(cell).slice(&self.arena);
                    arena.extend_from_slice(bytes);
                    bytes.len() as u64
                } else {
                    cell
                };
                out.extend_from_slice(&written.to_le_bytes());
            }
        }
        out.extend_from_slice(&self.statuses);
        for time in &self.event_times {
            out.extend_from_slice(&time.to_le_bytes());
        }
        write_sized(out, &arena);
    }

    /// The table that [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotATable> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NotATable::Foreign)?;
        let (format, _) = rest.split_first_chunk().ok_or(NotATable::Damaged)?;
        match u16::from_le_bytes(*format) {
            FORMAT => {}
            other => return Err(NotATable::Format(other)),
        }
        let (summed, sum) = bytes.split_last_chunk().ok_or(NotATable::Damaged)?;
        let body = summed.get(MAGIC.len() + 2..).ok_or(NotATable::Damaged)?;
        if u64::from_le_bytes(*sum) != fnv_1a(summed) {
            return Err(NotATable::Damaged);
        }
        let mut reader = TableReader { rest: body };
        let table = reader.table()?;
        require(reader.rest.is_empty())?;
        Ok(table)
    }
}

fn write_keys(out: &mut Vec<u8>, keys: &KeyColumns) {
    write_count(out, keys.columns.len());
    for (name, column) in &keys.columns {
        write_sized(out, name.as_bytes());
        match column {
            KeyColumn::Integer(ids) => {
                out.push(0);
                write_count(out, ids.len());
                for id in ids {
                    out.extend_from_slice(&id.to_le_bytes());
                }
            }
            KeyColumn::Text(ids) => {
                out.push(1);
                write_count(out, ids.len());
                for id in ids.iter() {
                    write_sized(out, id);
                }
            }
        }
    }
}

fn write_output(out: &mut Vec<u8>, output: &OutputColumns) {
    write_count(out, output.features.len());
    for feature in &output.features {
        write_sized(out, feature.name.as_bytes());
        write_sized(out, feature.data_type.to_string().as_bytes());
        write_option(out, feature.view.map(|view| (view as u64).to_le_bytes()));
        out.push(u8::from(feature.has_default));
    }
    write_count(out, output.views);
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

fn write_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    write_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_option<const N: usize>(out: &mut Vec<u8>, bytes: Option<[u8; N]>) {
    match bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            out.extend_from_slice(&bytes);
        }
    }
}

/// A sum that differs if any one byte differs.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A part of the body, or [`NotATable::Damaged`].
type Read<T> = Result<T, NotATable>;

/// Reads the body. Nothing is allocated for a count before that many bytes are known to be there.
struct TableReader<'a> {
    rest: &'a [u8],
}

impl<'a> TableReader<'a> {
    fn table(&mut self) -> Read<Table> {
        let version = i64::from_le_bytes(self.array()?);
        let pointer = self.option(|reader| reader.array().map(i64::from_le_bytes))?;
        let schemas = self.count()?;
        let unknown_schemas = self.arrays(schemas, u32::from_le_bytes)?;
        let keys = self.keys()?;
        let output = self.output()?;
        let rows = self.count()?;
        require(keys.rows() == rows)?;
        require(keys.columns.iter().all(|(_, ids)| ids.len() == rows))?;
        let values = product(rows, output.features.len())?;
        let mut cells = self.arrays(values, u64::from_le_bytes)?;
        let statuses = self.take(values)?.to_vec();
        let known = |&code: &u8| code <= Status::Unavailable as u8;
        require(statuses.iter().all(known))?;
        let event_times = self.arrays(product(rows, output.views)?, i64::from_le_bytes)?;
        let arena = self.sized()?.to_vec();
        place(&output, &mut cells, &arena)?;
        let problems = self.problems(output.features.len())?;
        let invalid = Status::Invalid as u8;
        let table = Table {
            output: Arc::new(output),
            keys,
            version,
            pointer,
            unknown_schemas,
            rows,
            cells,
            invalid: statuses
                .iter()
                .map(|&code| usize::from(code == invalid))
                .sum(),
            statuses,
            event_times,
            arena,
            problems,
        };
        require(table.is_valid())?;
        Ok(table)
    }

    fn keys(&mut self) -> Read<KeyColumns> {
        let mut columns = Vec::new();
        for _ in 0..self.count()? {
            let name = self.text()?.to_owned();
            let is_text = self.flag()?;
            let rows = self.count()?;
            let column = if is_text {
                let mut ids = ByteColumn::default();
                for _ in 0..rows {
                    ids.push(self.text()?.as_bytes());
                }
                KeyColumn::Text(ids)
            } else {
                KeyColumn::Integer(self.arrays(rows, i64::from_le_bytes)?)
            };
            columns.push((name, column));
        }
        Ok(KeyColumns { columns })
    }

    fn output(&mut self) -> Read<OutputColumns> {
        let mut features = Vec::new();
        for _ in 0..self.count()? {
            let name = self.text()?;
            let data_type: Option<DataType> = self.text()?.parse().ok();
            let data_type = data_type.ok_or(NotATable::Damaged)?;
            let view = self.option(Self::count)?;
            let has_default = self.flag()?;
            features.push(Feature::new(name, data_type, view, has_default));
        }
        let views = self.count()?;
        let known = |feature: &Feature| feature.view.is_none_or(|view| view < views);
        require(!features.is_empty() && features.iter().all(known))?;
        Ok(OutputColumns { features, views })
    }

    fn problems(&mut self, features: usize) -> Read<Vec<Problem>> {
        let mut problems = Vec::new();
        for _ in 0..self.count()? {
            let row = u32::from_le_bytes(self.array()?);
            let feature = self.option(|reader| reader.array().map(u32::from_le_bytes))?;
            require(feature.is_none_or(|feature| (feature as usize) < features))?;
            let reason = self.text()?.to_owned();
            problems.push(Problem {
                row,
                feature,
                reason,
            });
        }
        Ok(problems)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(NotATable::Damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(NotATable::Damaged)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn arrays<const N: usize, T>(
        &mut self,
        count: usize,
        of: impl Fn([u8; N]) -> T,
    ) -> Read<Vec<T>> {
        let (chunks, _) = self.take(product(count, N)?)?.as_chunks();
        Ok(chunks.iter().map(|&chunk| of(chunk)).collect())
    }

    fn flag(&mut self) -> Read<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(NotATable::Damaged),
        }
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn count(&mut self) -> Read<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| NotATable::Damaged)
    }

    fn sized(&mut self) -> Read<&'a [u8]> {
        let length = self.count()?;
        self.take(length)
    }

    fn text(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| NotATable::Damaged)
    }
}

fn require(holds: bool) -> Read<()> {
    if holds {
        Ok(())
    } else {
        Err(NotATable::Damaged)
    }
}

fn product(one: usize, other: usize) -> Read<usize> {
    one.checked_mul(other).ok_or(NotATable::Damaged)
}

/// Turns the lengths of values in the arena, which lie there one after another, into spans.
fn place(output: &OutputColumns, cells: &mut [u64], arena: &[u8]) -> Read<()> {
    let mut offset = 0_u64;
    for (index, cell) in cells.iter_mut().enumerate() {
        // There are cells, so there are features.
        let feature = &output.features[index % output.features.len()];
        if value::in_arena(feature.data_type) {
            let (Ok(from), Ok(length)) = (u32::try_from(offset), u32::try_from(*cell)) else {
                return Err(NotATable::Damaged);
            };
            offset += *cell;
            *cell = ArenaSpan {
                offset: from,
                length,
            }
            .cell();
        }
    }
    require(offset == arena.len() as u64)
}

impl Table {
    /// Whether each value in the arena is one of its type.
    fn is_valid(&self) -> bool {
        self.features().iter().enumerate().all(|(column, feature)| {
            !value::in_arena(feature.data_type)
                || (0..self.rows).all(|row| {
                    let cell = self.cells[row * self.columns() + column];
                    let bytes = ArenaSpan::of(cell).slice(&self.arena);
                    !self.has_value(row, column) || value::is_decoded(feature.data_type, bytes)
                })
        })
    }
}

#[cfg(test)]
mod tests;
