//! Operations on texts, lists and vectors, in the form of an arena.

use super::instructions::{Fold, Instruction, Length, ValueType};
use super::lanes::{Lanes, Operand, Statuses, Values, zip};
use crate::convert::count_f64;
use crate::types::{Scalar, Status};
use crate::value::vector_elements;

type Bytes<'a> = Lanes<'a, &'a [u8]>;

pub(super) fn text_in<'a>(
    known: &[Box<[u8]>],
    texts: &Bytes<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    Operand::of(texts, statuses, |text: &[u8]| {
        let found = known.binary_search_by(|known| (**known).cmp(text));
        (u64::from(found.is_ok()), true)
    })
}

pub(super) fn length<'a>(length: Length, texts: &Bytes<'_>, statuses: Statuses<'a>) -> Operand<'a> {
    Operand::of(texts, statuses, |bytes: &[u8]| {
        let count = match length {
            // Every character has exactly one byte that is not a continuation byte.
            Length::Characters => bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count(),
            Length::Bytes(each) => bytes.len() / each,
            Length::Sized => sized(bytes).count(),
        };
        (count as u64, true)
    })
}

pub(super) fn fold<'a>(
    fold: Fold,
    scalar: Scalar,
    lists: &Bytes<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    if ValueType::of_scalar(scalar) == ValueType::Float64 {
        return Operand::of(lists, statuses, |list: &[u8]| {
            let values = || cells(list).map(f64::from_bits);
            let sum = || values().fold(0.0, |sum, value| sum + value);
            let result = match fold {
                Fold::Sum => Some(sum()),
                Fold::Mean => (!list.is_empty()).then(|| sum() / count_f64(cells(list).len())),
                Fold::Min => values().reduce(|a, b| if a < b || a.is_nan() { a } else { b }),
                Fold::Max => values().reduce(|a, b| if a > b || a.is_nan() { a } else { b }),
            };
            answer(result, || values().all(f64::is_finite))
        });
    }
    Operand::of(lists, statuses, |list: &[u8]| {
        let mut values = cells(list).map(u64::cast_signed);
        let result = match fold {
            Fold::Sum => values.try_fold(0, i64::checked_add),
            Fold::Mean => {
                let count = values.len();
                let sum: i128 = values.map(i128::from).sum();
                return answer((count > 0).then(|| nearest(sum) / count_f64(count)), || {
                    true
                });
            }
            Fold::Min => values.min(),
            Fold::Max => values.max(),
        };
        (result.unwrap_or_default().cast_unsigned(), result.is_some())
    })
}

#[expect(clippy::cast_precision_loss, reason = "it gives the nearest")]
fn nearest(sum: i128) -> f64 {
    sum as f64
}

/// Operations on two texts, lists or vectors.
pub(super) fn pairs<'a>(
    instruction: &Instruction,
    left: &Bytes<'_>,
    right: &Bytes<'_>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    match instruction {
        Instruction::TextAmong => {
            Operand::of_pairs(left, right, statuses, |list: &[u8], sought: &[u8]| {
                (
                    u64::from(sized(list).any(|element| element == sought)),
                    true,
                )
            })
        }
        Instruction::Dot => {
            Operand::of_pairs(left, right, statuses, |left: &[u8], right: &[u8]| {
                answer(Some(dot(left, right)), || {
                    all_finite(left) && all_finite(right)
                })
            })
        }
        Instruction::Cosine => {
            Operand::of_pairs(left, right, statuses, |left: &[u8], right: &[u8]| {
                answer(cosine(left, right), || {
                    all_finite(left) && all_finite(right)
                })
            })
        }
        _ => Operand::of_pairs(left, right, statuses, |left: &[u8], right: &[u8]| {
            (u64::from(left == right), true)
        }),
    }
}

/// Whether a cell is among a list's elements.
pub(super) fn cell_among<'a>(
    scalar: Scalar,
    lists: &Bytes<'_>,
    sought: &Lanes<'_, u64>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    if ValueType::of_scalar(scalar) == ValueType::Float64 {
        #[expect(clippy::float_cmp, reason = "it is what the expression asks for")]
        return Operand::of_pairs(lists, sought, statuses, |list: &[u8], sought| {
            let sought = f64::from_bits(sought);
            let found = cells(list).any(|cell| f64::from_bits(cell) == sought);
            (u64::from(found), true)
        });
    }
    Operand::of_pairs(lists, sought, statuses, |list: &[u8], sought: u64| {
        let found = cells(list).any(|cell| cell == sought);
        (u64::from(found), true)
    })
}

/// The element at an index; a negative one counts from the end.
pub(super) fn element<'a>(
    scalar: Scalar,
    lists: &Bytes<'a>,
    indices: &Lanes<'_, u64>,
    statuses: Statuses<'a>,
) -> Operand<'a> {
    if !ValueType::of_scalar(scalar).is_bytes() {
        return Operand::of_pairs(lists, indices, statuses, |list: &[u8], index| {
            let mut cells = cells(list);
            let found = place(index, || cells.len());
            let cell = found.and_then(|place| cells.nth(place));
            (cell.unwrap_or_default(), cell.is_some())
        });
    }
    let found = zip(lists, indices, |list: &'a [u8], index| {
        let found = place(index, || sized(list).count());
        found.and_then(|place| sized(list).nth(place))
    });
    let null = Status::Null as u8;
    let status = |status: u8, element: Option<&[u8]>| match element {
        Some(_) => status,
        None => status.max(null),
    };
    Operand {
        statuses: zip(&statuses, &found, status),
        values: Values::Bytes(found.map(Option::unwrap_or_default)),
    }
}

fn place(index: u64, length: impl FnOnce() -> usize) -> Option<usize> {
    match index.cast_signed() {
        index @ 0.. => usize::try_from(index).ok(),
        index => length().checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The elements of a list of cells.
fn cells(list: &[u8]) -> impl ExactSizeIterator<Item = u64> + '_ {
    let (cells, _) = list.as_chunks::<8>();
    cells.iter().map(|cell| u64::from_le_bytes(*cell))
}

/// The elements of a list of texts. Each has a length of four bytes before it.
fn sized(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = list.split_first_chunk::<4>()?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
        list = rest;
        Some(element)
    })
}

fn dot(left: &[u8], right: &[u8]) -> f64 {
    let mut sums = [0.0; 4];
    fours(left, right, |left, right| add(&mut sums, left, right));
    total(sums)
}

fn cosine(left: &[u8], right: &[u8]) -> Option<f64> {
    let [mut both, mut lefts, mut rights] = [[0.0; 4]; 3];
    fours(left, right, |left, right| {
        add(&mut both, left, right);
        add(&mut lefts, left, left);
        add(&mut rights, right, right);
    });
    let lengths = total(lefts).sqrt() * total(rights).sqrt();
    (lengths != 0.0).then(|| total(both) / lengths)
}

/// Adds four products to four sums, which are independent of each other.
fn add(sums: &mut [f64; 4], left: [f64; 4], right: [f64; 4]) {
    for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
        *sum += left * right;
    }
}

fn total([a, b, c, d]: [f64; 4]) -> f64 {
    (a + b) + (c + d)
}

/// Calls `each` with four elements of both vectors at a time. The last call is padded with zeros.
fn fours(left: &[u8], right: &[u8], mut each: impl FnMut([f64; 4], [f64; 4])) {
    let ((lefts, left), (rights, right)) = (left.as_chunks(), right.as_chunks());
    for (left, right) in lefts.iter().zip(rights) {
        each(widened(left), widened(right));
    }
    let padded = |rest: &[u8]| {
        let mut whole = [0; 16];
        whole[..rest.len()].copy_from_slice(rest);
        widened(&whole)
    };
    each(padded(left), padded(right));
}

fn widened(elements: &[u8; 16]) -> [f64; 4] {
    let (singles, _) = elements.as_chunks();
    std::array::from_fn(|index| f64::from(f32::from_le_bytes(singles[index])))
}

fn all_finite(vector: &[u8]) -> bool {
    vector_elements(vector).all(f32::is_finite)
}

/// An infinite or NaN result is an answer only if an operand is infinite or NaN.
fn answer(result: Option<f64>, operands_finite: impl FnOnce() -> bool) -> (u64, bool) {
    match result {
        Some(value) => (value.to_bits(), value.is_finite() || !operands_finite()),
        None => (0, false),
    }
}
