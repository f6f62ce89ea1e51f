//! Operations on numbers, booleans and timestamps. Each is one pass over the cells.
//!
//! Each kernel returns a cell, and whether that is an answer. The cells of rows without a value are
//! arbitrary, so no kernel may panic on any cell.

use super::instructions::{Comparison, Map, Zip};
use super::lanes::{Lanes, Operand, Statuses};
use crate::convert::{nearest_f32, nearest_f64};

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

type Cells<'a> = Lanes<'a, u64>;

pub(super) fn map<'a>(map: Map, cells: &Cells<'_>, statuses: Statuses<'a>) -> Operand<'a> {
    match map {
        Map::Widen => Operand::of(cells, statuses, |cell| {
            float(nearest_f64(cell.cast_signed()))
        }),
        Map::Truncate => of_floats(cells, statuses, truncate),
        Map::Narrow => of_floats(cells, statuses, |x| {
            finite(f64::from(nearest_f32(x)), x.is_finite())
        }),
        Map::NegateInteger => Operand::of(cells, statuses, |cell| {
            unless(i64::overflowing_neg(cell.cast_signed()))
        }),
        Map::NegateFloat => of_floats(cells, statuses, |x| float(-x)),
        Map::AbsInteger => Operand::of(cells, statuses, |cell| {
            unless(i64::overflowing_abs(cell.cast_signed()))
        }),
        Map::AbsFloat => of_floats(cells, statuses, |x| float(x.abs())),
        Map::Round => of_floats(cells, statuses, |x| float(x.round_ties_even())),
        Map::Floor => of_floats(cells, statuses, |x| float(x.floor())),
        Map::Ceil => of_floats(cells, statuses, |x| float(x.ceil())),
        Map::Sqrt => of_floats(cells, statuses, |x| {
            (x.sqrt().to_bits(), x >= 0.0 || x.is_nan())
        }),
        Map::Exp => of_floats(cells, statuses, |x| finite(x.exp(), x.is_finite())),
        Map::Log => of_floats(cells, statuses, |x| {
            (x.ln().to_bits(), x > 0.0 || x.is_nan())
        }),
        Map::Log1p => of_floats(cells, statuses, |x| {
            (x.ln_1p().to_bits(), x > -1.0 || x.is_nan())
        }),
        Map::Not => Operand::of(cells, statuses, |cell| (cell ^ 1, true)),
        Map::HourOfDay => Operand::of(cells, statuses, |cell| {
            let ms = cell.cast_signed().rem_euclid(MS_PER_DAY);
            ((ms / MS_PER_HOUR).cast_unsigned(), true)
        }),
        Map::DayOfWeek => Operand::of(cells, statuses, |cell| {
            // 1970-01-01 was a Thursday, the fourth day from Monday.
            let days = cell.cast_signed().div_euclid(MS_PER_DAY);
            ((days + 3).rem_euclid(7).cast_unsigned(), true)
        }),
    }
}

pub(super) fn zip<'a>(
    zip: Zip,
    left: &Cells<'_>,
    right: &Cells<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    let pairs = Pairs { left, right };
    match zip {
        Zip::AddIntegers => pairs.integers(statuses, |a, b| unless(a.overflowing_add(b))),
        Zip::SubtractIntegers => pairs.integers(statuses, |a, b| unless(a.overflowing_sub(b))),
        Zip::MultiplyIntegers => pairs.integers(statuses, |a, b| unless(a.overflowing_mul(b))),
        Zip::FloorDivideIntegers => pairs.integers(statuses, |a, b| given(floor_divide(a, b))),
        Zip::IntegerRemainder => pairs.integers(statuses, |a, b| given(remainder(a, b))),
        Zip::LeastInteger => pairs.integers(statuses, |a, b| (a.min(b).cast_unsigned(), true)),
        Zip::GreatestInteger => pairs.integers(statuses, |a, b| (a.max(b).cast_unsigned(), true)),
        Zip::CompareIntegers(comparison) => match comparison {
            Comparison::Equal => pairs.integers(statuses, |a, b| (u64::from(a == b), true)),
            Comparison::NotEqual => pairs.integers(statuses, |a, b| (u64::from(a != b), true)),
            Comparison::Less => pairs.integers(statuses, |a, b| (u64::from(a < b), true)),
            Comparison::LessEqual => pairs.integers(statuses, |a, b| (u64::from(a <= b), true)),
            Comparison::Greater => pairs.integers(statuses, |a, b| (u64::from(a > b), true)),
            Comparison::GreaterEqual => pairs.integers(statuses, |a, b| (u64::from(a >= b), true)),
        },
        Zip::AddFloats => pairs.floats(statuses, |a, b| finite(a + b, both(a, b))),
        Zip::SubtractFloats => pairs.floats(statuses, |a, b| finite(a - b, both(a, b))),
        Zip::MultiplyFloats => pairs.floats(statuses, |a, b| finite(a * b, both(a, b))),
        Zip::DivideFloats => pairs.floats(statuses, |a, b| divided(a / b, a, b)),
        Zip::FloorDivideFloats => {
            pairs.floats(statuses, |a, b| divided(floats_floor_divide(a, b), a, b))
        }
        Zip::FloatRemainder => pairs.floats(statuses, |a, b| divided(floats_remainder(a, b), a, b)),
        Zip::Power => pairs.floats(statuses, |a, b| finite(a.powf(b), both(a, b))),
        Zip::LeastFloat => pairs.floats(statuses, |a, b| {
            float(if a < b || a.is_nan() { a } else { b })
        }),
        Zip::GreatestFloat => pairs.floats(statuses, |a, b| {
            float(if a > b || a.is_nan() { a } else { b })
        }),
        Zip::CompareFloats(comparison) => match comparison {
            #[expect(clippy::float_cmp, reason = "it is what the expression asks for")]
            Comparison::Equal => pairs.floats(statuses, |a, b| (u64::from(a == b), true)),
            #[expect(clippy::float_cmp, reason = "it is what the expression asks for")]
            Comparison::NotEqual => pairs.floats(statuses, |a, b| (u64::from(a != b), true)),
            Comparison::Less => pairs.floats(statuses, |a, b| (u64::from(a < b), true)),
            Comparison::LessEqual => pairs.floats(statuses, |a, b| (u64::from(a <= b), true)),
            Comparison::Greater => pairs.floats(statuses, |a, b| (u64::from(a > b), true)),
            Comparison::GreaterEqual => pairs.floats(statuses, |a, b| (u64::from(a >= b), true)),
        },
    }
}

pub(super) fn integer_in<'a>(
    known: &[u64],
    cells: &Cells<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    Operand::of(cells, statuses, |cell| {
        (u64::from(known.binary_search(&cell).is_ok()), true)
    })
}

pub(super) fn float_in<'a>(
    known: &[u64],
    cells: &Cells<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    of_floats(cells, statuses, |x| {
        // The two zeros are equal, and the literals have the positive one.
        let cell = (x + 0.0).to_bits();
        (u64::from(known.binary_search(&cell).is_ok()), true)
    })
}

pub(super) fn integer_bucket<'a>(
    bounds: &[i64],
    cells: &Cells<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    Operand::of(cells, statuses, |cell| {
        (
            bounds.partition_point(|&bound| bound <= cell.cast_signed()) as u64,
            true,
        )
    })
}

/// NaN is in no bucket.
pub(super) fn float_bucket<'a>(
    bounds: &[f64],
    cells: &Cells<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    of_floats(cells, statuses, |x| {
        (
            bounds.partition_point(|&bound| bound <= x) as u64,
            !x.is_nan(),
        )
    })
}

#[derive(Clone, Copy)]
struct Pairs<'l, 'a> {
    left: &'l Cells<'a>,
    right: &'l Cells<'a>,
}

impl Pairs<'_, '_> {
    fn integers(self, statuses: Statuses<'_>, f: impl Fn(i64, i64) -> (u64, bool)) -> Operand<'_> {
        Operand::of_pairs(self.left, self.right, statuses, |a, b| {
            f(a.cast_signed(), b.cast_signed())
        })
    }

    fn floats(self, statuses: Statuses<'_>, f: impl Fn(f64, f64) -> (u64, bool)) -> Operand<'_> {
        Operand::of_pairs(self.left, self.right, statuses, |a, b| {
            f(f64::from_bits(a), f64::from_bits(b))
        })
    }
}

fn of_floats<'a>(
    cells: &Cells<'_>,
    statuses: Statuses<'a>,
    f: impl Fn(f64) -> (u64, bool),
) -> Operand<'a> {
    Operand::of(cells, statuses, |cell| f(f64::from_bits(cell)))
}

fn float(value: f64) -> (u64, bool) {
    (value.to_bits(), true)
}

fn unless((value, overflowed): (i64, bool)) -> (u64, bool) {
    (value.cast_unsigned(), !overflowed)
}

fn given(value: Option<i64>) -> (u64, bool) {
    (value.unwrap_or_default().cast_unsigned(), value.is_some())
}

fn both(a: f64, b: f64) -> bool {
    a.is_finite() && b.is_finite()
}

/// An infinite or NaN result is an answer only if an operand is infinite or NaN.
fn finite(result: f64, operands: bool) -> (u64, bool) {
    (result.to_bits(), result.is_finite() || !operands)
}

fn divided(result: f64, a: f64, b: f64) -> (u64, bool) {
    let (cell, answered) = finite(result, both(a, b));
    (cell, answered && b != 0.0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it cuts the fraction, and values beyond 64 bits are not answers"
)]
fn truncate(x: f64) -> (u64, bool) {
    // The first float above every Int64. The least Int64 is a float itself.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    ((x as i64).cast_unsigned(), (-BEYOND..BEYOND).contains(&x))
}

/// Rounded down, as Python does.
fn floor_divide(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    let exact = a.wrapping_rem(b) == 0;
    Some(if exact || (a < 0) == (b < 0) {
        quotient
    } else {
        quotient - 1
    })
}

/// With the sign of the divisor, as Python does.
fn remainder(a: i64, b: i64) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let remainder = a.wrapping_rem(b);
    Some(if remainder != 0 && (remainder < 0) != (b < 0) {
        remainder + b
    } else {
        remainder
    })
}

fn floats_remainder(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    if remainder == 0.0 {
        return 0.0_f64.copysign(b);
    }
    if (remainder < 0.0) == (b < 0.0) {
        remainder
    } else {
        remainder + b
    }
}

/// As Python does: the quotient that fits the remainder. The rounded quotient of the two alone may
/// differ (1 // 0.1 is 9).
fn floats_floor_divide(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0_f64.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}
