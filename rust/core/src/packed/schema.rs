//! The layout of a row's columns.

use std::collections::HashSet;
use std::fmt;

use super::HEADER_BYTES;
use crate::types::{DataType, Scalar};
use crate::value;

/// The longest fixed part of a row, because the server's strings hold no more.
const LONGEST_FIXED: usize = 512 << 20;

/// One version of the columns of a view's rows, laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    fingerprint: u32,
    columns: Vec<SchemaColumn>,
    /// Indices of the columns of variable length.
    pub(super) variable: Vec<usize>,
    /// The start of the tail.
    pub(super) tail: usize,
}

/// A column of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaColumn {
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// The offset of its fixed part in the row.
    pub(super) offset: usize,
    /// Its index among the columns of variable length, if it is one of them.
    pub(super) variable: Option<usize>,
}

/// Why columns are not a valid schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaError {
    /// Two columns have this name.
    Duplicate(String),
    /// A row would be longer than the servers' strings may be.
    TooLong,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(name) => write!(f, "two columns of one packed row are called {name}"),
            Self::TooLong => f.write_str(
                "its packed rows would be longer than the 512 MiB that a string may have; \
                 divide the view",
            ),
        }
    }
}

impl std::error::Error for SchemaError {}

impl Schema {
    /// Lays out `columns`, which are in declared order. Their fingerprint is `fingerprint`.
    pub fn new(fingerprint: u32, columns: Vec<(String, DataType)>) -> Result<Self, SchemaError> {
        let mut names = HashSet::with_capacity(columns.len());
        if let Some((name, _)) = columns.iter().find(|(name, _)| !names.insert(name)) {
            return Err(SchemaError::Duplicate(name.clone()));
        }
        let mut offset = HEADER_BYTES + columns.len().div_ceil(8);
        let mut variable = Vec::new();
        let mut laid_out = Vec::with_capacity(columns.len());
        for (index, (name, data_type)) in columns.into_iter().enumerate() {
            let varies = varies(data_type);
            laid_out.push(SchemaColumn {
                name,
                data_type,
                offset,
                variable: varies.then_some(variable.len()),
            });
            if varies {
                variable.push(index);
            }
            offset += fixed_bytes(data_type);
            if offset > LONGEST_FIXED {
                return Err(SchemaError::TooLong);
            }
        }
        Ok(Self {
            fingerprint,
            columns: laid_out,
            variable,
            tail: offset,
        })
    }

    /// The fingerprint that its rows have.
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// Names and types of the columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, DataType)> {
        self.columns
            .iter()
            .map(|column| (column.name.as_str(), column.data_type))
    }

    pub(super) fn layout(&self) -> &[SchemaColumn] {
        &self.columns
    }
}

/// Whether values of this type are in the tail.
fn varies(data_type: DataType) -> bool {
    value::in_arena(data_type) && !matches!(data_type, DataType::Vector(_))
}

/// The bytes of a column in the fixed part.
pub(super) const fn fixed_bytes(data_type: DataType) -> usize {
    match data_type {
        DataType::Scalar(Scalar::Int64 | Scalar::Float64 | Scalar::Timestamp(_)) => 8,
        DataType::Scalar(Scalar::Bool) => 1,
        DataType::Scalar(Scalar::Float32 | Scalar::String | Scalar::Bytes) | DataType::List(_) => 4,
        DataType::Vector(dimension) => 4 * dimension as usize,
    }
}

/// The offset of the byte, and the bit in it, that say whether a column is null.
pub(super) const fn null_bit(column: usize) -> (usize, u8) {
    (HEADER_BYTES + column / 8, 1 << (column % 8))
}
