//! Evaluation: the steps of an expression over some rows after the other.

use std::ops::Range;

use super::compile::compile;
use super::input::Inputs;
use super::lanes::{Column, Lanes, Values, merge, zip};
use super::steps::{Kind, Map, Step};
use super::{ExpressionError, Tree, numbers, sequences};
use crate::types::{DataType, Scalar, Status};

/// How many rows go through the steps at a time: few enough to stay in a core's own cache. Tests
/// have few rows, which are to cross it as well.
const CHUNK: usize = if cfg!(test) { 8 } else { 1_024 };

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    steps: Vec<Step>,
    scalar: Scalar,
    /// Which inputs are bytes rather than cells.
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
                .map(|(_, data_type)| Kind::of(*data_type).is_bytes())
                .collect()
        };
        Ok(Self {
            // It compiles only to what one value can have.
            scalar: part.kind.scalar().unwrap_or(Scalar::Float64),
            steps: part.steps,
            column_bytes: bytes(columns),
            request_bytes: bytes(request),
        })
    }

    /// The type of its values.
    pub fn data_type(&self) -> DataType {
        DataType::Scalar(self.scalar)
    }

    /// The same with its values as a feature of `data_type` holds them, where they are of it.
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
        self.steps.extend(maps.iter().copied().map(Step::Map));
        self.scalar = wanted;
        Some(self)
    }

    /// Calls `take` with each run of rows and the column of their values.
    pub(super) fn evaluate<'a>(
        &'a self,
        inputs: &Inputs<'a>,
        mut take: impl FnMut(Range<usize>, Column<'a>),
    ) {
        let mut stack = Vec::new();
        let mut start = 0;
        while start < inputs.rows {
            let rows = start..inputs.rows.min(start + CHUNK);
            start = rows.end;
            for step in &self.steps {
                self.step(step, &mut stack, inputs, rows.clone());
            }
            if let Some(column) = stack.pop() {
                take(rows, column);
            }
        }
    }

    fn step<'a>(
        &self,
        step: &'a Step,
        stack: &mut Vec<Column<'a>>,
        inputs: &Inputs<'a>,
        rows: Range<usize>,
    ) {
        let column = match step {
            Step::Column(index) => inputs.columns[*index].column(rows, self.column_bytes[*index]),
            Step::Request(index) => inputs.request[*index].column(rows, self.request_bytes[*index]),
            Step::Now => inputs.now.column(rows),
            Step::Cell(cell) => constant(Values::Cells(Lanes::One(*cell)), Status::Present),
            Step::Text(text) => constant(Values::Bytes(Lanes::One(text)), Status::Present),
            Step::Nothing { bytes: false } => constant(Values::Cells(Lanes::One(0)), Status::Null),
            Step::Nothing { bytes: true } => constant(Values::Bytes(Lanes::One(&[])), Status::Null),
            Step::Map(map) => {
                let (cells, statuses) = cells(stack);
                numbers::map(*map, &cells, statuses)
            }
            Step::Zip(kernel) => {
                let (right, right_statuses) = cells(stack);
                let (left, left_statuses) = cells(stack);
                numbers::zip(*kernel, &left, &right, merge(left_statuses, right_statuses))
            }
            Step::And => decide(stack, 0),
            Step::Or => decide(stack, 1),
            Step::Where => choose(stack, rows.len()),
            Step::Coalesce => coalesce(stack),
            Step::IsNull => is_null(&column(stack).statuses),
            Step::IntegerIn(known) => {
                let (cells, statuses) = cells(stack);
                numbers::integer_in(known, &cells, statuses)
            }
            Step::FloatIn(known) => {
                let (cells, statuses) = cells(stack);
                numbers::float_in(known, &cells, statuses)
            }
            Step::IntegerBucket(bounds) => {
                let (cells, statuses) = cells(stack);
                numbers::integer_bucket(bounds, &cells, statuses)
            }
            Step::FloatBucket(bounds) => {
                let (cells, statuses) = cells(stack);
                numbers::float_bucket(bounds, &cells, statuses)
            }
            Step::TextIn(known) => {
                let (texts, statuses) = texts(stack);
                sequences::text_in(known, &texts, statuses)
            }
            Step::Length(length) => {
                let (texts, statuses) = texts(stack);
                sequences::length(*length, &texts, statuses)
            }
            Step::Fold(fold, scalar) => {
                let (lists, statuses) = texts(stack);
                sequences::fold(*fold, *scalar, &lists, statuses)
            }
            Step::TextEqual | Step::TextAmong | Step::Dot | Step::Cosine => {
                let (right, right_statuses) = texts(stack);
                let (left, left_statuses) = texts(stack);
                let statuses = merge(left_statuses, right_statuses);
                sequences::pairs(step, &left, &right, statuses)
            }
            Step::Element(scalar) => {
                let (indices, index_statuses) = cells(stack);
                let (lists, list_statuses) = texts(stack);
                let statuses = merge(list_statuses, index_statuses);
                sequences::element(*scalar, &lists, &indices, statuses)
            }
            Step::CellAmong(scalar) => {
                let (sought, sought_statuses) = cells(stack);
                let (lists, list_statuses) = texts(stack);
                let statuses = merge(list_statuses, sought_statuses);
                sequences::cell_among(*scalar, &lists, &sought, statuses)
            }
        };
        stack.push(column);
    }
}

fn constant(values: Values<'_>, status: Status) -> Column<'_> {
    Column {
        values,
        statuses: Lanes::One(status as u8),
    }
}

fn column<'a>(stack: &mut Vec<Column<'a>>) -> Column<'a> {
    // Each step was compiled with its operands before it.
    stack.pop().unwrap()
}

fn cells<'a>(stack: &mut Vec<Column<'a>>) -> (Lanes<'a, u64>, Lanes<'a, u8>) {
    let Column { values, statuses } = column(stack);
    match values {
        Values::Cells(cells) => (cells, statuses),
        Values::Bytes(_) => unreachable!("an operand was compiled to be cells"),
    }
}

fn texts<'a>(stack: &mut Vec<Column<'a>>) -> (Lanes<'a, &'a [u8]>, Lanes<'a, u8>) {
    let Column { values, statuses } = column(stack);
    match values {
        Values::Bytes(bytes) => (bytes, statuses),
        Values::Cells(_) => unreachable!("an operand was compiled to be bytes"),
    }
}

const PRESENT: u8 = Status::Present as u8;
/// From here on nothing is known, so that nothing is missing either.
const UNKNOWN: u8 = Status::Invalid as u8;

/// `&` or `|`: an operand that is `deciding` is the result, whatever the other is.
fn decide<'a>(stack: &mut Vec<Column<'a>>, deciding: u64) -> Column<'a> {
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
    let is_deciding = |cells: &Lanes<'_, u64>, statuses: &Lanes<'_, u8>| {
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
    Column {
        values: Values::Cells(values),
        statuses: zip(
            &statuses,
            &decided,
            |status, decided| if decided { PRESENT } else { status },
        ),
    }
}

/// `where`: each row's value and status from the branch that its condition takes.
fn choose<'a>(stack: &mut Vec<Column<'a>>, rows: usize) -> Column<'a> {
    let otherwise = column(stack);
    let then = column(stack);
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
    Column {
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

/// The first operand that has a value; one of which nothing is known ends the search.
fn coalesce<'a>(stack: &mut Vec<Column<'a>>) -> Column<'a> {
    let second = column(stack);
    let first = column(stack);
    let statuses = match first.statuses {
        Lanes::One(PRESENT | UNKNOWN..) => return first,
        Lanes::One(missing) => {
            let statuses = second.statuses.map(|status| either(missing, status));
            return Column { statuses, ..second };
        }
        Lanes::Many(statuses) => statuses,
    };
    let own = |row: usize| matches!(statuses[row], PRESENT | UNKNOWN..);
    let values = pick(&first.values, &second.values, statuses.len(), own);
    let status = |row: usize| either(statuses[row], second.statuses.at(row));
    Column {
        values,
        statuses: Lanes::Many((0..statuses.len()).map(status).collect()),
    }
}

/// The status of the first that has a value.
fn either(first: u8, second: u8) -> u8 {
    match (first, second) {
        (PRESENT | UNKNOWN.., _) => first,
        (_, PRESENT) => PRESENT,
        _ => first.max(second),
    }
}

fn is_null<'a>(statuses: &Lanes<'a, u8>) -> Column<'a> {
    Column {
        values: Values::Cells(statuses.map(|status| u64::from(status != PRESENT))),
        statuses: statuses.map(|status| if status < UNKNOWN { PRESENT } else { status }),
    }
}
