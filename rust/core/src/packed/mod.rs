//! Packed rows: one view of an entity in one string.
//!
//! A row names the schema it was written with by a fingerprint, so that views can change while rows
//! of earlier schemas are still stored. Columns are found by name. A column that the row's schema
//! lacks is `NULL`, and one that it stores as another type is `INVALID`. So no value is ever read
//! as another column's or with the wrong type.
//!
//! ```text
//! 0x01 | fingerprint u32 | event time i64 | null bitmap | fixed part | tail
//! ```
//!
//! All integers are little-endian. For a column of variable length the fixed part has the offset in
//! the tail where it ends. It begins where the one before it ends. A null column is empty.

mod decode;
mod encode;
mod schema;
#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests make numbers of any bits"
)]
mod tests;

use std::fmt;

pub use decode::Decoder;
pub use encode::RowWriter;
pub use schema::{Schema, SchemaError};

/// The first byte of every row.
pub const FORMAT: u8 = 1;

/// Bytes before the null bitmap.
const HEADER_BYTES: usize = 13;

/// The beginning of a row, before its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The schema that the row was written with.
    pub fingerprint: u32,
    /// The event time, in milliseconds since the Unix epoch.
    pub event_time: i64,
}

impl Header {
    /// Reads the beginning of `row`.
    pub fn parse(row: &[u8]) -> Result<Self, PackedError> {
        match row.first_chunk::<HEADER_BYTES>() {
            Some(&[FORMAT, f0, f1, f2, f3, t0, t1, t2, t3, t4, t5, t6, t7]) => Ok(Self {
                fingerprint: u32::from_le_bytes([f0, f1, f2, f3]),
                event_time: i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            }),
            Some(&[format, ..]) => Err(PackedError::Format(format)),
            None => match row.first() {
                Some(&format) if format != FORMAT => Err(PackedError::Format(format)),
                _ => Err(PackedError::Length {
                    found: row.len(),
                    expected: HEADER_BYTES,
                }),
            },
        }
    }
}

/// Why a row as a whole cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackedError {
    /// It has another format than [`FORMAT`]; holds its first byte.
    Format(u8),
    /// The decoder does not know its schema; holds the fingerprint.
    UnknownSchema(u32),
    /// Its length does not fit its header, its schema and its end offsets.
    Length {
        /// The number of bytes.
        found: usize,
        /// The number of bytes that it should have, or at least have.
        expected: usize,
    },
    /// A column ends before it begins, or beyond the row; holds the column's index in the schema.
    Offset(usize),
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(byte) => {
                write!(
                    f,
                    "its first byte is {byte:#04x}, not {FORMAT:#04x} of a packed row"
                )
            }
            Self::UnknownSchema(fingerprint) => {
                write!(f, "its schema {fingerprint:08x} is not known")
            }
            Self::Length { found, expected } => {
                write!(f, "it has {found} bytes, and its schema needs {expected}")
            }
            Self::Offset(column) => write!(f, "column {column} of its schema ends outside of it"),
        }
    }
}

impl std::error::Error for PackedError {}
