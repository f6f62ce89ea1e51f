//! An expression as a feature: with a declared type, and a default.

use super::evaluate::Expression;
use super::input::Inputs;
use super::lanes::{Lanes, Values};
use super::{ExpressionError, Tree};
use crate::convert::offset_u32;
use crate::types::{DataType, Status};
use crate::value::{self, ArenaSpan};

const PRESENT: u8 = Status::Present as u8;

/// An on-request feature.
#[derive(Debug, Clone)]
pub struct Computed {
    expression: Expression,
    data_type: DataType,
    /// The cell of the default, and its bytes if it has some.
    default: Option<(u64, Vec<u8>)>,
}

/// The values of an on-request feature, one for each row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ComputedColumn {
    /// The cells. Without a value the cell is the default's or [`value::absent`].
    pub cells: Vec<u64>,
    /// The status codes.
    pub statuses: Vec<u8>,
    /// The bytes of strings; empty for other types.
    pub arena: Vec<u8>,
}

impl Computed {
    /// A feature of type `data_type` computed by `tree`, over columns and request inputs of these
    /// names and types. `default` is the stored text of the value that is served if there is none.
    pub fn new(
        tree: &Tree,
        columns: &[(String, DataType)],
        request: &[(String, DataType)],
        data_type: DataType,
        default: Option<&[u8]>,
    ) -> Result<Self, ExpressionError> {
        let expression = Expression::compile(tree, columns, request)?;
        let error = |reason: &str| {
            let name = |index: usize| columns.get(index).map(|(name, _)| name.as_str());
            ExpressionError::new(&tree.shown(&name), reason)
        };
        let own = expression.data_type();
        let expression = expression.for_type(data_type).ok_or_else(|| {
            error(&format!(
                "is {own}, which a feature declared {data_type} does not hold"
            ))
        })?;
        let mut arena = Vec::new();
        let default = default
            .map(|text| value::decode(data_type, text, &mut arena))
            .transpose()
            .map_err(|invalid| error(&format!("the default {}", invalid.0)))?;
        Ok(Self {
            expression,
            data_type,
            default: default.map(|cell| (cell, arena)),
        })
    }

    /// Its declared type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Whether it has a default.
    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// The values of all rows.
    ///
    /// # Panics
    ///
    /// If an input has fewer rows than `inputs` says, or there are fewer inputs than the feature
    /// was compiled with.
    pub fn evaluate(&self, inputs: &Inputs<'_>) -> ComputedColumn {
        let mut column = ComputedColumn {
            cells: Vec::with_capacity(inputs.rows),
            statuses: Vec::with_capacity(inputs.rows),
            arena: Vec::new(),
        };
        let default = match &self.default {
            Some((cell, arena)) => {
                // Its span is from the beginning of the arena.
                column.arena.extend_from_slice(arena);
                *cell
            }
            None => value::absent(self.data_type),
        };
        let absent = value::absent(self.data_type);
        self.expression.evaluate(inputs, |rows, part| {
            let start = column.cells.len();
            part.statuses.extend(&mut column.statuses, rows.len());
            match part.values {
                Values::Cells(cells) => cells.extend(&mut column.cells, rows.len()),
                Values::Bytes(texts) => {
                    for row in 0..rows.len() {
                        let present = column.statuses[start + row] == PRESENT;
                        let text = if present { texts.at(row) } else { &[] };
                        let span = ArenaSpan {
                            offset: offset_u32(column.arena.len()),
                            length: offset_u32(text.len()),
                        };
                        column.arena.extend_from_slice(text);
                        column.cells.push(span.cell());
                    }
                }
            }
            if let Lanes::One(PRESENT) = part.statuses {
                return;
            }
            for (cell, status) in column.cells[start..]
                .iter_mut()
                .zip(&column.statuses[start..])
            {
                *cell = match Status::from_code(*status) {
                    Status::Present => *cell,
                    Status::Null | Status::NotFound | Status::Expired => default,
                    Status::Invalid | Status::Unavailable => absent,
                };
            }
        });
        column
    }
}
