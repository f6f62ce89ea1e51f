//! Results: a row-major table of cells, each with a status.
//!
//! A table has one allocation for its cells, however many features it has, and can be filled in any
//! order of rows. A column is a strided view. A matrix of floats is the cells themselves.

mod bytes;

use std::sync::Arc;

use crate::keys::KeyColumns;
use crate::plan::{Feature, OutputColumns};
use crate::types::{DataType, Scalar, Status};
use crate::value::{self, ArenaSpan, Value};

pub use bytes::NotATable;

/// Stands for an unknown event time.
pub const NO_TIME: i64 = i64::MIN;

/// The most problems that a table describes. It counts all of them.
pub const MAX_PROBLEMS: usize = 32;

/// A stored value that could not be served, for logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The row of the result.
    pub row: u32,
    /// The output column; `None` for the whole row of an entity.
    pub feature: Option<u32>,
    /// The reason.
    pub reason: String,
}

/// The answer to a read.
#[derive(Debug)]
pub struct Table {
    pub(crate) output: Arc<OutputColumns>,
    pub(crate) keys: KeyColumns,
    pub(crate) version: i64,
    pub(crate) pointer: Option<i64>,
    pub(crate) unknown_schemas: Vec<u32>,
    pub(crate) rows: usize,
    pub(crate) cells: Vec<u64>,
    pub(crate) statuses: Vec<u8>,
    pub(crate) event_times: Vec<i64>,
    pub(crate) arena: Vec<u8>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) invalid: usize,
}

impl Table {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many features.
    pub fn columns(&self) -> usize {
        self.output.features.len()
    }

    /// The features, in order.
    pub fn features(&self) -> &[Feature] {
        &self.output.features
    }

    /// The keys that were asked for.
    pub fn keys(&self) -> &KeyColumns {
        &self.keys
    }

    /// The version of the data that was read.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The pointer to the version when the snapshot was taken, if the read asked for it.
    pub fn pointer(&self) -> Option<i64> {
        self.pointer
    }

    /// Fingerprints of stored rows whose schema the plan does not have; their values are `INVALID`.
    pub fn unknown_schemas(&self) -> &[u32] {
        &self.unknown_schemas
    }

    /// The cells, row by row; see [`value`].
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// The bytes of values of variable length.
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// The status codes, row by row.
    pub fn statuses(&self) -> &[u8] {
        &self.statuses
    }

    /// Stored values that could not be served, at most [`MAX_PROBLEMS`].
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many values are `INVALID`.
    pub fn invalid(&self) -> usize {
        self.invalid
    }

    /// Whether every value is `PRESENT`.
    pub fn all_present(&self) -> bool {
        Status::all_present(&self.statuses)
    }

    /// The type of a feature.
    pub fn data_type(&self, column: usize) -> DataType {
        self.output.features[column].data_type
    }

    /// The status of a value.
    pub fn status(&self, row: usize, column: usize) -> Status {
        Status::from_code(self.statuses[row * self.columns() + column])
    }

    /// Whether there is a value: its own, or the feature's default if that may be served.
    #[inline]
    pub fn has_value(&self, row: usize, column: usize) -> bool {
        match self.status(row, column) {
            Status::Present => true,
            Status::Null | Status::NotFound | Status::Expired => {
                self.output.features[column].has_default
            }
            Status::Invalid | Status::Unavailable => false,
        }
    }

    /// The value if there is one, else the feature's default if that may be served, else `None`.
    #[inline]
    pub fn value(&self, row: usize, column: usize) -> Option<Value<'_>> {
        let cell = self.cells[row * self.columns() + column];
        let data_type = self.data_type(column);
        self.has_value(row, column)
            .then(|| value::view(data_type, cell, &self.arena))
    }

    /// The values of a row, in the order of the columns. Most values are numbers that are present,
    /// so these take the shortest path.
    #[inline]
    pub fn row(&self, row: usize) -> impl Iterator<Item = Option<Value<'_>>> {
        const PRESENT: u8 = Status::Present as u8;
        let range = row * self.columns()..(row + 1) * self.columns();
        let cells = self.cells[range.clone()].iter();
        let statuses = &self.statuses[range];
        let features = self.output.features.iter();
        cells.zip(statuses).zip(features).enumerate().map(
            move |(column, ((&cell, &status), feature))| match feature.data_type {
                DataType::Scalar(Scalar::Float64) if status == PRESENT => {
                    Some(Value::Float64(f64::from_bits(cell)))
                }
                _ => self.value(row, column),
            },
        )
    }

    /// The event time of a value's row in milliseconds, or [`NO_TIME`].
    pub fn event_time(&self, row: usize, column: usize) -> i64 {
        self.output.features[column].view.map_or(NO_TIME, |view| {
            self.event_times[row * self.output.views + view]
        })
    }
}

/// Tables are equal if everything that they say is: features and types, keys, values, statuses,
/// event times, version, pointer, unknown schemas and problems. Floats are compared bit by bit, so
/// NaN equals NaN.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        let same = |(own, others): (&Feature, &Feature)| {
            own.name == others.name && own.data_type == others.data_type
        };
        self.rows == other.rows
            && self.columns() == other.columns()
            && self.version == other.version
            && self.pointer == other.pointer
            && self.statuses == other.statuses
            && self.unknown_schemas == other.unknown_schemas
            && self.problems == other.problems
            && self.keys == other.keys
            && self.features().iter().zip(other.features()).all(same)
            && (0..self.rows).all(|row| {
                (0..self.columns()).all(|column| {
                    self.event_time(row, column) == other.event_time(row, column)
                        && self.bits(row, column) == other.bits(row, column)
                })
            })
    }
}

impl Table {
    /// A value as its cell, or as its bytes in the arena.
    fn bits(&self, row: usize, column: usize) -> Option<(u64, &[u8])> {
        let cell = self.cells[row * self.columns() + column];
        self.has_value(row, column).then(|| {
            if value::in_arena(self.data_type(column)) {
                (0, ArenaSpan::of(cell).slice(&self.arena))
            } else {
                (cell, [].as_slice())
            }
        })
    }
}
