//! The meaning of expressions, row by row and value by value. Tests compare the columns with it.

use super::{DataType, Expression, Scalar, Status, Tree};
use crate::expression::Operation;

/// A value of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    Bool(bool),
    Timestamp(i64),
    Text(String),
    List(Vec<Value>),
    Vector(Vec<f32>),
}

use Value::{Bool, Float, Integer, List, Text, Timestamp, Vector};

pub(super) type Answer = Result<Value, Status>;

/// The names and types of columns and request inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Types<'a> {
    pub(super) columns: &'a [(String, DataType)],
    pub(super) request: &'a [(String, DataType)],
}

/// One row of what an expression is computed from.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) columns: Vec<Answer>,
    pub(super) request: Vec<Answer>,
    pub(super) now: i64,
}

/// The value of `tree` for one row.
pub(super) fn evaluate(tree: &Tree, row: &Row, types: Types<'_>) -> Answer {
    let index = |names: &[(String, DataType)], name: &str| {
        names.iter().position(|(known, _)| known == name).unwrap()
    };
    match tree {
        Tree::Null => Err(Status::Null),
        Tree::Int64(value) => Ok(Integer(*value)),
        Tree::Float64(value) => Ok(Float(*value)),
        Tree::Bool(value) => Ok(Bool(*value)),
        Tree::String(text) => Ok(Text(text.clone())),
        Tree::Timestamp(ms) => Ok(Timestamp(*ms)),
        Tree::Now => Ok(Timestamp(row.now)),
        Tree::Column(index) => row.columns[*index].clone(),
        Tree::Feature(name) => row.columns[index(types.columns, name)].clone(),
        Tree::Request(name) => row.request[index(types.request, name)].clone(),
        Tree::Call(operation, arguments) => {
            let arguments: Vec<Answer> = arguments
                .iter()
                .map(|argument| evaluate(argument, row, types))
                .collect();
            let answer = lenient(*operation, &arguments)
                .unwrap_or_else(|| strict(*operation, arguments, is_float(tree, types)))?;
            Ok(if is_float(tree, types) {
                Float(float(&answer))
            } else {
                answer
            })
        }
    }
}

fn is_float(tree: &Tree, types: Types<'_>) -> bool {
    Expression::compile(tree, types.columns, types.request)
        .is_ok_and(|compiled| compiled.data_type() == DataType::Scalar(Scalar::Float64))
}

/// The operations that need less than all of their operands.
fn lenient(operation: Operation, arguments: &[Answer]) -> Option<Answer> {
    Some(match operation {
        Operation::Where => match &arguments[0] {
            Ok(condition) if truth(condition) => arguments[1].clone(),
            Ok(_) => arguments[2].clone(),
            Err(status) => Err(*status),
        },
        Operation::And | Operation::Or => {
            let deciding = Ok(Bool(operation == Operation::Or));
            if arguments.contains(&deciding) {
                deciding
            } else {
                worst(arguments).map_or(Ok(Bool(operation == Operation::And)), Err)
            }
        }
        Operation::Coalesce => {
            let mut missing = Status::Null;
            for argument in arguments {
                match argument {
                    Err(status @ (Status::Null | Status::NotFound | Status::Expired)) => {
                        missing = if (*status as u8) > missing as u8 {
                            *status
                        } else {
                            missing
                        };
                    }
                    found => return Some(found.clone()),
                }
            }
            Err(missing)
        }
        Operation::IsNull => match arguments[0] {
            Ok(_) => Ok(Bool(false)),
            Err(status @ (Status::Invalid | Status::Unavailable)) => Err(status),
            Err(_) => Ok(Bool(true)),
        },
        _ => return None,
    })
}

fn worst(arguments: &[Answer]) -> Option<Status> {
    let statuses = arguments
        .iter()
        .filter_map(|argument| argument.as_ref().err().copied());
    statuses.max_by_key(|&status| status as u8)
}

fn strict(operation: Operation, arguments: Vec<Answer>, wide: bool) -> Answer {
    if let Some(status) = worst(&arguments) {
        return Err(status);
    }
    let values: Vec<Value> = arguments.into_iter().map(Result::unwrap).collect();
    compute(operation, &values, wide).ok_or(Status::Null)
}

fn compute(operation: Operation, values: &[Value], wide: bool) -> Option<Value> {
    let first = &values[0];
    Some(match operation {
        Operation::Add | Operation::Multiply => {
            let mut whole = first.clone();
            for value in &values[1..] {
                whole = arithmetic(operation, &whole, value)?;
            }
            whole
        }
        Operation::Subtract | Operation::FloorDivide | Operation::Remainder => {
            arithmetic(operation, first, &values[1])?
        }
        Operation::Divide | Operation::Power => {
            arithmetic(operation, &Float(float(first)), &Float(float(&values[1])))?
        }
        Operation::Negate => match first {
            Integer(value) => Integer(value.checked_neg()?),
            value => Float(-float(value)),
        },
        Operation::Abs => match first {
            Integer(value) => Integer(value.checked_abs()?),
            value => Float(float(value).abs()),
        },
        Operation::Equal => Bool(equal(first, &values[1])),
        Operation::NotEqual => Bool(!equal(first, &values[1])),
        Operation::Less => Bool(less(first, &values[1])),
        Operation::Greater => Bool(less(&values[1], first)),
        Operation::LessEqual => Bool(less(first, &values[1]) || equal(first, &values[1])),
        Operation::GreaterEqual => Bool(less(&values[1], first) || equal(first, &values[1])),
        Operation::Not => Bool(!truth(first)),
        Operation::Round => whole(first, f64::round_ties_even),
        Operation::Floor => whole(first, f64::floor),
        Operation::Ceil => whole(first, f64::ceil),
        Operation::Sqrt => function(first, f64::sqrt)?,
        Operation::Exp => function(first, f64::exp)?,
        Operation::Log => function(first, f64::ln)?,
        Operation::Log1p => function(first, f64::ln_1p)?,
        Operation::Least => extreme(values, wide, less),
        Operation::Greatest => extreme(values, wide, |a, b| less(b, a)),
        Operation::Clip => {
            let low = extreme(&values[..2], wide, |a, b| less(b, a));
            extreme(&[low, values[2].clone()], wide, less)
        }
        Operation::IsIn => Bool(values[1..].iter().any(|known| equal(first, known))),
        Operation::Bucket => {
            if float(first).is_nan() {
                return None;
            }
            let below = values[1..].iter().filter(|bound| !less(first, bound));
            Integer(below.count() as i64)
        }
        Operation::ToInt64 => match first {
            Float(value) if *value >= -(2_f64.powi(63)) && *value < 2_f64.powi(63) => {
                Integer(*value as i64)
            }
            Float(_) => return None,
            Bool(value) => Integer(i64::from(*value)),
            value => Integer(integer(value)),
        },
        Operation::ToFloat64 => Float(match first {
            Bool(value) => f64::from(u8::from(*value)),
            Timestamp(ms) => *ms as f64,
            value => float(value),
        }),
        Operation::ToTimestamp => Timestamp(integer(first)),
        Operation::HourOfDay => Integer(integer(first).div_euclid(3_600_000).rem_euclid(24)),
        Operation::DayOfWeek => Integer((integer(first).div_euclid(86_400_000) + 3).rem_euclid(7)),
        _ => return of_sequences(operation, values, wide),
    })
}

fn of_sequences(operation: Operation, values: &[Value], wide: bool) -> Option<Value> {
    let first = &values[0];
    Some(match operation {
        Operation::Length => Integer(match first {
            Text(text) => text.chars().count(),
            List(elements) => elements.len(),
            Vector(elements) => elements.len(),
            _ => unreachable!(),
        } as i64),
        Operation::Element => {
            let (List(elements), Integer(index)) = (first, &values[1]) else {
                unreachable!()
            };
            let length = elements.len() as i64;
            let index = if *index < 0 {
                index.checked_add(length)?
            } else {
                *index
            };
            elements.get(usize::try_from(index).ok()?)?.clone()
        }
        Operation::Contains => Bool(elements(first).iter().any(|known| equal(known, &values[1]))),
        Operation::ListSum if wide => total(elements(first))?,
        Operation::ListSum => elements(first)
            .iter()
            .try_fold(0_i64, |sum, value| sum.checked_add(integer(value)))
            .map(Integer)?,
        Operation::ListMean => match elements(first) {
            [] => return None,
            [Integer(_), ..] => {
                let sum: i128 = elements(first)
                    .iter()
                    .map(|value| i128::from(integer(value)))
                    .sum();
                Float(sum as f64 / elements(first).len() as f64)
            }
            floats => answer(
                float(&total(floats)?) / floats.len() as f64,
                floats.iter().all(|value| float(value).is_finite()),
            )?,
        },
        Operation::ListMin | Operation::ListMax if elements(first).is_empty() => return None,
        Operation::ListMin => extreme(elements(first), wide, less),
        Operation::ListMax => extreme(elements(first), wide, |a, b| less(b, a)),
        Operation::Dot => Float(dot(first, &values[1])),
        Operation::Cosine => {
            let lengths = dot(first, first).sqrt() * dot(&values[1], &values[1]).sqrt();
            if lengths == 0.0 {
                return None;
            }
            Float(dot(first, &values[1]) / lengths)
        }
        _ => unreachable!("needs less than all of its operands"),
    })
}

fn arithmetic(operation: Operation, left: &Value, right: &Value) -> Option<Value> {
    let moment = match (left, right) {
        (Timestamp(_), Timestamp(_)) | (Integer(_), Integer(_)) => Some(false),
        (Timestamp(_), _) | (_, Timestamp(_)) => Some(true),
        _ => None,
    };
    if let Some(moment) = moment {
        let (a, b) = (integer(left), integer(right));
        let value = match operation {
            Operation::Add => a.checked_add(b)?,
            Operation::Subtract => a.checked_sub(b)?,
            Operation::Multiply => a.checked_mul(b)?,
            _ if b == 0 => return None,
            Operation::FloorDivide => {
                let (a, b) = (i128::from(a), i128::from(b));
                i64::try_from((a - (a % b + b) % b) / b).ok()?
            }
            _ => {
                let (a, b) = (i128::from(a), i128::from(b));
                ((a % b + b) % b) as i64
            }
        };
        return Some(if moment {
            Timestamp(value)
        } else {
            Integer(value)
        });
    }
    let (a, b) = (float(left), float(right));
    let divides = matches!(
        operation,
        Operation::Divide | Operation::FloorDivide | Operation::Remainder
    );
    if divides && b == 0.0 {
        return None;
    }
    let value = match operation {
        Operation::Add => a + b,
        Operation::Subtract => a - b,
        Operation::Multiply => a * b,
        Operation::Divide => a / b,
        Operation::Power => a.powf(b),
        Operation::FloorDivide => python_divmod(a, b).0,
        _ => python_divmod(a, b).1,
    };
    answer(value, a.is_finite() && b.is_finite())
}

/// `float_divmod` of `CPython`.
fn python_divmod(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (remainder < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    let floored = if quotient == 0.0 {
        0.0_f64.copysign(a / b)
    } else if quotient - quotient.floor() > 0.5 {
        quotient.floor() + 1.0
    } else {
        quotient.floor()
    };
    (floored, remainder)
}

fn answer(value: f64, operands_finite: bool) -> Option<Value> {
    (value.is_finite() || !operands_finite).then_some(Float(value))
}

fn function(value: &Value, f: impl Fn(f64) -> f64) -> Option<Value> {
    answer(f(float(value)), float(value).is_finite())
        // The root and the logarithm of -inf are not numbers either.
        .filter(|result| float(value).is_nan() || !float(result).is_nan())
}

fn whole(value: &Value, f: impl Fn(f64) -> f64) -> Value {
    match value {
        Float(value) => Float(f(*value)),
        value => value.clone(),
    }
}

fn extreme(values: &[Value], wide: bool, before: impl Fn(&Value, &Value) -> bool) -> Value {
    let widened = values.iter().map(|value| {
        if wide {
            Float(float(value))
        } else {
            value.clone()
        }
    });
    let nan = |value: &Value| matches!(value, Float(value) if value.is_nan());
    let chosen = widened.reduce(|a, b| if before(&a, &b) || nan(&a) { a } else { b });
    chosen.unwrap()
}

fn total(values: &[Value]) -> Option<Value> {
    let sum = values.iter().fold(0.0, |sum, value| sum + float(value));
    answer(sum, values.iter().all(|value| float(value).is_finite()))
}

fn dot(left: &Value, right: &Value) -> f64 {
    let (Vector(left), Vector(right)) = (left, right) else {
        unreachable!()
    };
    let products = left
        .iter()
        .zip(right)
        .map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.fold(0.0, |sum, product| sum + product)
}

#[expect(clippy::float_cmp, reason = "it is what the expression asks for")]
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Float(_), Integer(_)) | (Integer(_), Float(_)) => float(left) == float(right),
        _ => left == right,
    }
}

fn less(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Integer(a), Integer(b)) | (Timestamp(a), Timestamp(b)) => a < b,
        _ => float(left) < float(right),
    }
}

fn truth(value: &Value) -> bool {
    matches!(value, Bool(true))
}

fn elements(value: &Value) -> &[Value] {
    match value {
        List(elements) => elements,
        _ => unreachable!(),
    }
}

fn integer(value: &Value) -> i64 {
    match value {
        Integer(value) | Timestamp(value) => *value,
        _ => unreachable!(),
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Integer(value) => *value as f64,
        Float(value) => *value,
        _ => unreachable!(),
    }
}
