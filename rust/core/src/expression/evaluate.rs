//! Evaluation: the instructions of an expression, over chunks of rows.

use std::ops::Range;

use super::compile::compile;
use super::input::Inputs;
use super::instructions::{Instruction, Map, ValueType};
use super::lanes::{Lanes, Operand, Statuses, Values, merge, zip};
use super::{ExpressionError, Tree, numbers, sequences};
use crate::types::{DataType, Scalar, Status};

/// How many rows go through the instructions at a time: few enough to stay in a core's own cache.
/// Tests have few rows, so theirs is smaller, and they cross it as well.
const CHUNK: usize = if cfg!(test) { 8 } else { 1_024 };

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    instructions: Vec<Instruction>,
    scalar: Scalar,
    /// For each input whether it is bytes rather than cells.
    column_bytes: Vec<bool>,
    request_bytes: Vec<bool>,
}

impl Expression {
    /// Compiles `tree` over columns and request inputs of these names and types.
    pub fn compile(
        tree: &Tree,
        columns: &[(String, DataType)],
        request: &[(String, DataType)],
    ) -> Result<Self, ExpressionError> {
        let part = compile(tree, columns, request)?;
        let bytes = |inputs: &[(String, DataType)]| {
            inputs
                .iter()
                .map(|(_, data_type)| ValueType::of(*data_type).is_bytes())
                .collect()
        };
        Ok(Self {
            // Only an expression of a scalar type compiles.
            scalar: part.value_type.scalar().unwrap_or(Scalar::Float64),
            instructions: part.instructions,
            column_bytes: bytes(columns),
            request_bytes: bytes(request),
        })
    }

    /// The type of its values.
    pub fn data_type(&self) -> DataType {
        DataType::Scalar(self.scalar)
    }

    /// The same expression with values of `data_type`; `None` if its own values do not fit that
    /// type.
    pub(super) fn for_type(mut self, data_type: DataType) -> Option<Self> {
        let DataType::Scalar(wanted) = data_type else {
            return None;
        };
        let maps: &[Map] = match (self.scalar, wanted) {
            (Scalar::Int64, Scalar::Float64) => &[Map::Widen],
            (Scalar::Int64, Scalar::Float32) => &[Map::Widen, Map::Narrow],
            (Scalar::Float64, Scalar::Float32) => &[Map::Narrow],
            // In memory both are milliseconds.
            (Scalar::Timestamp(_), Scalar::Timestamp(_)) => &[],
            (own, wanted) if own == wanted => &[],
            _ => return None,
        };
        self.instructions
            .extend(maps.iter().copied().map(Instruction::Map));
        self.scalar = wanted;
        Some(self)
    }

    /// Calls `take` with each chunk of rows and their values.
    pub(super) fn evaluate<'a>(
        &'a self,
        inputs: &Inputs<'a>,
        mut take: impl FnMut(Range<usize>, Operand<'a>),
    ) {
        let mut stack = Vec::new();
        let mut start = 0;
        while start < inputs.rows {
            let rows = start..inputs.rows.min(start + CHUNK);
            start = rows.end;
            for instruction in &self.instructions {
                self.execute(instruction, &mut stack, inputs, rows.clone());
            }
            if let Some(column) = stack.pop() {
                take(rows, column);
            }
        }
    }

    fn execute<'a>(
        &self,
        instruction: &'a Instruction,
        stack: &mut Vec<Operand<'a>>,
        inputs: &Inputs<'a>,
        rows: Range<usize>,
    ) {
        let result = match instruction {
            Instruction::Column(index) => {
                inputs.columns[*index].operand(rows, self.column_bytes[*index])
            }
            Instruction::Request(index) => {
                inputs.request[*index].operand(rows, self.request_bytes[*index])
            }
            Instruction::Now => inputs.now.operand(rows),
            Instruction::Cell(cell) => constant(Values::Cells(Lanes::One(*cell)), Status::Present),
            Instruction::Text(text) => constant(Values::Bytes(Lanes::One(text)), Status::Present),
            Instruction::Nothing { bytes: false } => {
                constant(Values::Cells(Lanes::One(0)), Status::Null)
            }
            Instruction::Nothing { bytes: true } => {
                constant(Values::Bytes(Lanes::One(&[])), Status::Null)
            }
            Instruction::Map(map) => {
                let (cells, statuses) = cells(stack);
                numbers::map(*map, &cells, statuses)
            }
            Instruction::Zip(kernel) => {
                let (right, right_statuses) = cells(stack);
                let (left, left_statuses) = cells(stack);
                numbers::zip(*kernel, &left, &right, merge(left_statuses, right_statuses))
            }
            Instruction::And => decide(stack, 0),
            Instruction::Or => decide(stack, 1),
            Instruction::Where => choose(stack, rows.len()),
            Instruction::Coalesce => coalesce(stack),
            Instruction::IsNull => is_null(&pop(stack).statuses),
            Instruction::IntegerIn(known) => {
                let (cells, statuses) = cells(stack);
                numbers::integer_in(known, &cells, statuses)
            }
            Instruction::FloatIn(known) => {
                let (cells, statuses) = cells(stack);
                numbers::float_in(known, &cells, statuses)
            }
            Instruction::IntegerBucket(bounds) => {
                let (cells, statuses) = cells(stack);
                numbers::integer_bucket(bounds, &cells, statuses)
            }
            Instruction::FloatBucket(bounds) => {
                let (cells, statuses) = cells(stack);
                numbers::float_bucket(bounds, &cells, statuses)
            }
            Instruction::TextIn(known) => {
                let (texts, statuses) = texts(stack);
                sequences::text_in(known, &texts, statuses)
            }
            Instruction::Length(length) => {
                let (texts, statuses) = texts(stack);
                sequences::length(*length, &texts, statuses)
            }
            Instruction::Fold(fold, scalar) => {
                let (lists, statuses) = texts(stack);
                sequences::fold(*fold, *scalar, &lists, statuses)
            }
            Instruction::TextEqual
            | Instruction::TextAmong
            | Instruction::Dot
            | Instruction::Cosine => {
                let (right, right_statuses) = texts(stack);
                let (left, left_statuses) = texts(stack);
                let statuses = merge(left_statuses, right_statuses);
                sequences::pairs(instruction, &left, &right, statuses)
            }
            Instruction::Element(scalar) => {
                let (indices, index_statuses) = cells(stack);
                let (lists, list_statuses) = texts(stack);
                let statuses = merge(list_statuses, index_statuses);
                sequences::element(*scalar, &lists, &indices, statuses)
            }
            Instruction::CellAmong(scalar) => {
                let (sought, sought_statuses) = cells(stack);
                let (lists, list_statuses) = texts(stack);
                let statuses = merge(list_statuses, sought_statuses);
                sequences::cell_among(*scalar, &lists, &sought, statuses)
            }
        };
        stack.push(result);
    }
}

fn constant(values: Values<'_>, status: Status) -> Operand<'_> {
    Operand {
        values,
        statuses: Lanes::One(status as u8),
    }
}

fn pop<'a>(stack: &mut Vec<Operand<'a>>) -> Operand<'a> {
    // The compiler puts the operands of each instruction before it.
    stack.pop().unwrap()
}

fn cells<'a>(stack: &mut Vec<Operand<'a>>) -> (Lanes<'a, u64>, Statuses<'a>) {
    let Operand { values, statuses } = pop(stack);
    match values {
        Values::Cells(cells) => (cells, statuses),
        Values::Bytes(_) => unreachable!("an operand was compiled to be cells"),
    }
}

fn texts<'a>(stack: &mut Vec<Operand<'a>>) -> (Lanes<'a, &'a [u8]>, Statuses<'a>) {
    let Operand { values, statuses } = pop(stack);
    match values {
        Values::Bytes(bytes) => (bytes, statuses),
        Values::Cells(_) => unreachable!("an operand was compiled to be bytes"),
    }
}

const PRESENT: u8 = Status::Present as u8;
/// From this status on it is not known whether there is a value.
const UNKNOWN: u8 = Status::Invalid as u8;

/// `&` or `|`: if an operand is `deciding`, so is the result, whatever the other operand is.
fn decide<'a>(stack: &mut Vec<Operand<'a>>, deciding: u64) -> Operand<'a> {
    let (right, right_statuses) = cells(stack);
    let (left, left_statuses) = cells(stack);
    let values = zip(&left, &right, |left, right| {
        if deciding == 0 {
            left & right
        } else {
            left | right
        }
    });
    let present = matches!(
        (&left_statuses, &right_statuses),
        (Lanes::One(PRESENT), Lanes::One(PRESENT))
    );
    if present {
        return constant(Values::Cells(values), Status::Present);
    }
    let is_deciding = |cells: &Lanes<'_, u64>, statuses: &Statuses<'_>| {
        zip(cells, statuses, |cell, status| {
            cell == deciding && status == PRESENT
        })
    };
    let decided = zip(
        &is_deciding(&left, &left_statuses),
        &is_deciding(&right, &right_statuses),
        |left, right| left | right,
    );
    let values = zip(
        &values,
        &decided,
        |value, decided| if decided { deciding } else { value },
    );
    let statuses = merge(left_statuses, right_statuses);
    Operand {
        values: Values::Cells(values),
        statuses: zip(
            &statuses,
            &decided,
            |status, decided| if decided { PRESENT } else { status },
        ),
    }
}

/// `where`: the value and status of each row, from the branch that its condition takes.
fn choose<'a>(stack: &mut Vec<Operand<'a>>, rows: usize) -> Operand<'a> {
    let otherwise = pop(stack);
    let then = pop(stack);
    let (conditions, condition_statuses) = cells(stack);
    if let (Lanes::One(condition), Lanes::One(PRESENT)) = (&conditions, &condition_statuses) {
        return if *condition == 0 { otherwise } else { then };
    }
    let taken = |row: usize| conditions.at(row) != 0;
    let status = |row: usize| match condition_statuses.at(row) {
        PRESENT if taken(row) => then.statuses.at(row),
        PRESENT => otherwise.statuses.at(row),
        unknown => unknown,
    };
    Operand {
        values: pick(&then.values, &otherwise.values, rows, taken),
        statuses: Lanes::Many((0..rows).map(status).collect()),
    }
}

fn pick<'a>(
    left: &Values<'a>,
    right: &Values<'a>,
    rows: usize,
    take_left: impl Fn(usize) -> bool,
) -> Values<'a> {
    fn each<'a, T: Copy>(
        left: &Lanes<'a, T>,
        right: &Lanes<'a, T>,
        rows: usize,
        take_left: impl Fn(usize) -> bool,
    ) -> Lanes<'a, T> {
        let pick = |row: usize| {
            if take_left(row) {
                left.at(row)
            } else {
                right.at(row)
            }
        };
        Lanes::Many((0..rows).map(pick).collect())
    }
    match (left, right) {
        (Values::Cells(left), Values::Cells(right)) => {
            Values::Cells(each(left, right, rows, take_left))
        }
        (Values::Bytes(left), Values::Bytes(right)) => {
            Values::Bytes(each(left, right, rows, take_left))
        }
        _ => unreachable!("both branches were compiled to one type"),
    }
}

/// The first operand that has a value. An operand of unknown value ends the search.
fn coalesce<'a>(stack: &mut Vec<Operand<'a>>) -> Operand<'a> {
    let second = pop(stack);
    let first = pop(stack);
    let statuses = match first.statuses {
        Lanes::One(PRESENT | UNKNOWN..) => return first,
        Lanes::One(missing) => {
            let statuses = second.statuses.map(|status| either(missing, status));
            return Operand { statuses, ..second };
        }
        Lanes::Many(statuses) => statuses,
    };
    let own = |row: usize| matches!(statuses[row], PRESENT | UNKNOWN..);
    let values = pick(&first.values, &second.values, statuses.len(), own);
    let status = |row: usize| either(statuses[row], second.statuses.at(row));
    Operand {
        values,
        statuses: Lanes::Many((0..statuses.len()).map(status).collect()),
    }
}

/// The status of the first operand that has a value.
fn either(first: u8, second: u8) -> u8 {
    match (first, second) {
        (PRESENT | UNKNOWN.., _) => first,
        (_, PRESENT) => PRESENT,
        _ => first.max(second),
    }
}

fn is_null<'a>(statuses: &Statuses<'a>) -> Operand<'a> {
    Operand {
        values: Values::Cells(statuses.map(|status| u64::from(status != PRESENT))),
        statuses: statuses.map(|status| if status < UNKNOWN { PRESENT } else { status }),
    }
}
