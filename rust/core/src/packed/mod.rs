//! Packed rows: one view of an entity in one string.
//!
//! A row names the schema it was written with by a fingerprint, so that views can change while rows
//! of every earlier schema are still there. Columns are found by name: what a row's schema lacks is
//! `NULL`, what it stores as another type is `INVALID`, and nothing is ever taken for something else.
//!
//! ```text
//! 0x01 | fingerprint u32 | event time i64 | null bitmap | fixed part | tail
//! ```
//!
//! All integers are little-endian. A column of variable length has in the fixed part where in the
//! tail it ends; it begins where the one before it ends. One that is null ends where it begins.

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

/// What a row says of itself before its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The schema that the row was written with.
    pub fingerprint: u32,
    /// When what it tells was so, in milliseconds since the Unix epoch.
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
    /// Another format than [`FORMAT`]; holds its first byte.
    Format(u8),
    /// Written with a schema that the decoder was not told of; holds its fingerprint.
    UnknownSchema(u32),
    /// Not as long as its header, its schema and its end offsets say.
    Length {
        /// How many bytes it has.
        found: usize,
        /// How many it should have, or at least have.
        expected: usize,
    },
    /// A column ends before it begins, or behind the row; holds the column's index in the schema.
    Offset(usize),
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(byte) => {
                write!(f, "its first byte is {byte:#04x}, which is no packed row's")
            }
            Self::UnknownSchema(fingerprint) => {
                write!(f, "its schema {fingerprint:08x} is not known")
            }
            Self::Length { found, expected } => {
                write!(f, "it has {found} bytes where its schema needs {expected}")
            }
            Self::Offset(column) => write!(f, "column {column} of its schema ends outside of it"),
        }
    }
}

impl std::error::Error for PackedError {}
