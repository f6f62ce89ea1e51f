//! Operands: one value for all rows, or one for each.

use std::borrow::Cow;

/// One value for all rows, or one for each.
#[derive(Debug, Clone)]
pub(super) enum Lanes<'a, T: Copy> {
    One(T),
    Many(Cow<'a, [T]>),
}

impl<T: Copy> Lanes<'_, T> {
    pub(super) fn at(&self, row: usize) -> T {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => values[row],
        }
    }

    /// Appends the values of `rows` rows.
    pub(super) fn extend(&self, out: &mut Vec<T>, rows: usize) {
        match self {
            Self::One(value) => out.resize(out.len() + rows, *value),
            Self::Many(values) => out.extend_from_slice(values),
        }
    }

    pub(super) fn map<'r, R: Copy>(&self, mut f: impl FnMut(T) -> R) -> Lanes<'r, R> {
        match self {
            Self::One(value) => Lanes::One(f(*value)),
            Self::Many(values) => Lanes::Many(values.iter().map(|&value| f(value)).collect()),
        }
    }
}

/// Applies `f` to each row's pair. Each shape has a loop of its own, so that it is a plain pass.
pub(super) fn zip<'r, A: Copy, B: Copy, R: Copy>(
    left: &Lanes<'_, A>,
    right: &Lanes<'_, B>,
    mut f: impl FnMut(A, B) -> R,
) -> Lanes<'r, R> {
    match (left, right) {
        (&Lanes::One(left), &Lanes::One(right)) => Lanes::One(f(left, right)),
        (Lanes::Many(left), &Lanes::One(right)) => {
            Lanes::Many(left.iter().map(|&left| f(left, right)).collect())
        }
        (&Lanes::One(left), Lanes::Many(right)) => {
            Lanes::Many(right.iter().map(|&right| f(left, right)).collect())
        }
        (Lanes::Many(left), Lanes::Many(right)) => {
            let pairs = left.iter().zip(right.iter());
            Lanes::Many(pairs.map(|(&left, &right)| f(left, right)).collect())
        }
    }
}

/// Status codes. The status of a result is the greatest of its operands'.
pub(super) type Statuses<'a> = Lanes<'a, u8>;

/// The values of a part of an expression.
#[derive(Debug)]
pub(super) enum Values<'a> {
    Cells(Lanes<'a, u64>),
    /// Values of strings, bytes, lists and vectors, in the form of an arena.
    Bytes(Lanes<'a, &'a [u8]>),
}

/// A part of an expression over some rows. If a status is not `PRESENT`, the value is arbitrary.
#[derive(Debug)]
pub(super) struct Operand<'a> {
    pub(super) values: Values<'a>,
    pub(super) statuses: Statuses<'a>,
}

const PRESENT: u8 = crate::types::Status::Present as u8;
const NULL: u8 = crate::types::Status::Null as u8;

impl<'a> Operand<'a> {
    /// Cells from a function that also says whether it has an answer.
    pub(super) fn of<A: Copy>(
        operands: &Lanes<'_, A>,
        statuses: Statuses<'a>,
        f: impl Fn(A) -> (u64, bool),
    ) -> Self {
        let mut all = true;
        let cells = operands.map(|operand| {
            let (cell, answered) = f(operand);
            all &= answered;
            cell
        });
        let statuses = if all {
            statuses
        } else {
            merge(
                statuses,
                operands.map(|operand| if f(operand).1 { PRESENT } else { NULL }),
            )
        };
        Self {
            values: Values::Cells(cells),
            statuses,
        }
    }

    /// Cells from a function of two operands that also says whether it has an answer.
    pub(super) fn of_pairs<A: Copy, B: Copy>(
        left: &Lanes<'_, A>,
        right: &Lanes<'_, B>,
        statuses: Statuses<'a>,
        f: impl Fn(A, B) -> (u64, bool),
    ) -> Self {
        let mut all = true;
        let cells = zip(left, right, |left, right| {
            let (cell, answered) = f(left, right);
            all &= answered;
            cell
        });
        let statuses = if all {
            statuses
        } else {
            let failed = zip(
                left,
                right,
                |left, right| {
                    if f(left, right).1 { PRESENT } else { NULL }
                },
            );
            merge(statuses, failed)
        };
        Self {
            values: Values::Cells(cells),
            statuses,
        }
    }
}

/// The statuses of a result that needs both operands.
pub(super) fn merge<'a>(left: Statuses<'a>, right: Statuses<'a>) -> Statuses<'a> {
    match (left, right) {
        (Lanes::One(PRESENT), other) | (other, Lanes::One(PRESENT)) => other,
        (left, right) => zip(&left, &right, u8::max),
    }
}
