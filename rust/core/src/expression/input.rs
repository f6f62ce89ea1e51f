//! The inputs of an expression: read columns, request inputs, and the time of the request.

use std::ops::Range;

use super::lanes::{Lanes, Operand, Statuses, Values};
use crate::types::{DataType, Scalar, Status};
use crate::value::{self, ArenaSpan, Invalid, Value};

/// All inputs of the expressions of one request.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The number of rows.
    pub rows: usize,
    /// The columns, in the order that the expressions were compiled with.
    pub columns: &'a [Input<'a>],
    /// The request's inputs, in that order too.
    pub request: &'a [Input<'a>],
    /// The value of `request.now`.
    pub now: RequestTime<'a>,
}

/// A column in memory: of a table, or an [`InputColumn`].
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Cells, from the first row on.
    pub cells: &'a [u64],
    /// Status codes, from the first row on.
    pub statuses: &'a [u8],
    /// The distance from a row to the next, in cells and statuses; 0 for one value for all rows.
    pub stride: usize,
    /// The bytes of values of variable length.
    pub arena: &'a [u8],
    /// Whether the cells of `NULL`, `NOT_FOUND` and `EXPIRED` hold a default.
    pub has_default: bool,
}

/// Epoch milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum RequestTime<'a> {
    /// The same for all rows.
    One(i64),
    /// One for each row.
    Each(&'a [i64]),
}

/// A column that owns its memory: a request's input, or training data.
#[derive(Debug, Clone)]
pub struct InputColumn {
    data_type: DataType,
    cells: Vec<u64>,
    statuses: Vec<u8>,
    arena: Vec<u8>,
    constant: bool,
}

impl<'a> Input<'a> {
    /// The cells of `rows`, or their bytes if `bytes`.
    pub(super) fn operand(&self, rows: Range<usize>, bytes: bool) -> Operand<'a> {
        let cells = strided(self.cells, self.stride, rows.clone());
        let statuses = self.served(rows);
        let values = if bytes {
            let slice = |cell, status| match status {
                PRESENT => ArenaSpan::of(cell).slice(self.arena),
                _ => &[],
            };
            Values::Bytes(super::lanes::zip(&cells, &statuses, slice))
        } else {
            Values::Cells(cells)
        };
        Operand { values, statuses }
    }

    /// The statuses, in which a default counts as a value.
    fn served(&self, rows: Range<usize>) -> Statuses<'a> {
        let present = if self.has_default {
            ..UNREADABLE
        } else {
            ..PRESENT + 1
        };
        let all = match self.stride {
            0 => present.contains(&self.statuses[0]),
            stride => {
                let from = self.statuses.get(rows.start * stride..).unwrap_or_default();
                let mut each = from.chunks(stride).take(rows.len());
                each.all(|row| present.contains(&row[0]))
            }
        };
        if all {
            return Lanes::One(PRESENT);
        }
        strided(self.statuses, self.stride, rows).map(|code| {
            if present.contains(&code) {
                PRESENT
            } else {
                code
            }
        })
    }
}

const PRESENT: u8 = Status::Present as u8;
/// From this status on no default is served.
const UNREADABLE: u8 = Status::Invalid as u8;

/// Every `stride`-th value of `rows`.
fn strided<T: Copy>(values: &[T], stride: usize, rows: Range<usize>) -> Lanes<'_, T> {
    match stride {
        0 => Lanes::One(values[0]),
        1 => Lanes::Many(values[rows].into()),
        _ => {
            let count = rows.len();
            let from = values.get(rows.start * stride..).unwrap_or_default();
            Lanes::Many(from.chunks(stride).take(count).map(|row| row[0]).collect())
        }
    }
}

impl<'a> RequestTime<'a> {
    pub(super) fn operand(self, rows: Range<usize>) -> Operand<'a> {
        Operand {
            values: Values::Cells(match self {
                Self::One(ms) => Lanes::One(ms.cast_unsigned()),
                Self::Each(times) => Lanes::Many(bytemuck::cast_slice(&times[rows]).into()),
            }),
            statuses: Lanes::One(PRESENT),
        }
    }
}

impl InputColumn {
    /// An empty column with room for `rows` rows.
    pub fn with_capacity(data_type: DataType, rows: usize) -> Self {
        Self {
            data_type,
            cells: Vec::with_capacity(rows),
            statuses: Vec::with_capacity(rows),
            arena: Vec::new(),
            constant: false,
        }
    }

    /// A column of these cells. Those that are true in `nulls` are null.
    pub fn from_cells(data_type: DataType, cells: Vec<u64>, nulls: Option<&[bool]>) -> Self {
        let statuses = match nulls {
            None => vec![PRESENT; cells.len()],
            Some(nulls) => nulls.iter().map(|&null| u8::from(null)).collect(),
        };
        Self {
            data_type,
            cells,
            statuses,
            arena: Vec::new(),
            constant: false,
        }
    }

    /// Makes its one value that of all rows.
    #[must_use]
    pub fn for_all_rows(mut self) -> Self {
        self.constant = true;
        self
    }

    /// Appends a value: `put` adds bytes of variable length to the arena, and returns the cell.
    pub fn push<E>(
        &mut self,
        put: impl FnOnce(DataType, &mut Vec<u8>) -> Result<u64, E>,
    ) -> Result<(), E> {
        let cell = put(self.data_type, &mut self.arena)?;
        self.cells.push(cell);
        self.statuses.push(PRESENT);
        Ok(())
    }

    /// Appends a value of its type, which is a scalar. A timestamp is rounded down to its unit.
    pub fn push_scalar(&mut self, value: Value<'_>) -> Result<(), Invalid> {
        self.push(|data_type, arena| {
            Ok(match (value, data_type) {
                (Value::Integer(ms), DataType::Scalar(Scalar::Timestamp(unit))) => {
                    (ms - ms.rem_euclid(unit.milliseconds())).cast_unsigned()
                }
                (Value::Integer(value), _) => value.cast_unsigned(),
                (Value::Float64(value), _) => value.to_bits(),
                (Value::Float32(value), _) => f64::from(value).to_bits(),
                (Value::Bool(value), _) => u64::from(value),
                (Value::String(text), _) => value::decode(data_type, text.as_bytes(), arena)?,
                (Value::Bytes(bytes), _) => value::decode(data_type, bytes, arena)?,
                (Value::Vector(_) | Value::List(_), _) => {
                    return Err(Invalid("is not a single value"));
                }
            })
        })
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        self.cells.push(value::absent(self.data_type));
        self.statuses.push(Status::Null as u8);
    }

    /// Its type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The number of rows; `None` if its one value is for all rows.
    pub fn rows(&self) -> Option<usize> {
        (!self.constant).then_some(self.cells.len())
    }

    /// The column as an input.
    pub fn as_input(&self) -> Input<'_> {
        Input {
            cells: &self.cells,
            statuses: &self.statuses,
            stride: usize::from(!self.constant),
            arena: &self.arena,
            has_default: false,
        }
    }
}
