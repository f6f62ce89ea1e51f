//! The instructions of each operation, by the types of its operands; `None` if the operation does
//! not take operands of these types.

use super::instructions::{Comparison, Fold, Instruction, Length, Map, ValueType, Zip};
use super::part::Part;
use super::tree::Operation;
use crate::types::Scalar;

pub(super) fn unary(operation: Operation, part: Part) -> Option<Part> {
    let value_type = part.value_type;
    Some(match (operation, value_type) {
        (Operation::Negate, ValueType::Int64) => part.map(Map::NegateInteger, value_type),
        (Operation::Negate, ValueType::Float64) => part.map(Map::NegateFloat, value_type),
        (Operation::Abs, ValueType::Int64) => part.map(Map::AbsInteger, value_type),
        (Operation::Abs, ValueType::Float64) => part.map(Map::AbsFloat, value_type),
        (
            Operation::Round | Operation::Floor | Operation::Ceil | Operation::ToInt64,
            ValueType::Int64,
        )
        | (Operation::ToFloat64, ValueType::Float64)
        | (Operation::ToTimestamp, ValueType::Timestamp)
        | (
            Operation::Least | Operation::Greatest,
            ValueType::Int64 | ValueType::Float64 | ValueType::Timestamp,
        ) => part,
        (Operation::Round, ValueType::Float64) => part.map(Map::Round, value_type),
        (Operation::Floor, ValueType::Float64) => part.map(Map::Floor, value_type),
        (Operation::Ceil, ValueType::Float64) => part.map(Map::Ceil, value_type),
        (Operation::Sqrt, value_type) if value_type.is_number() => of_float(part, Map::Sqrt),
        (Operation::Exp, value_type) if value_type.is_number() => of_float(part, Map::Exp),
        (Operation::Log, value_type) if value_type.is_number() => of_float(part, Map::Log),
        (Operation::Log1p, value_type) if value_type.is_number() => of_float(part, Map::Log1p),
        (Operation::Not, ValueType::Bool) => part.map(Map::Not, value_type),
        (Operation::Coalesce, value_type) if value_type != ValueType::Null => part,
        (Operation::IsNull, value_type) if value_type != ValueType::Null => {
            part.then(Instruction::IsNull, ValueType::Bool)
        }
        (Operation::ToInt64, ValueType::Float64) => part.map(Map::Truncate, ValueType::Int64),
        // The cells of both are the integer.
        (Operation::ToInt64, ValueType::Bool | ValueType::Timestamp) => Part {
            value_type: ValueType::Int64,
            ..part
        },
        (Operation::ToFloat64, ValueType::Int64 | ValueType::Bool | ValueType::Timestamp) => Part {
            value_type: ValueType::Int64,
            ..part
        }
        .into_float(),
        (Operation::ToTimestamp, ValueType::Int64) => Part {
            value_type: ValueType::Timestamp,
            ..part
        },
        (Operation::HourOfDay, ValueType::Timestamp) => part.map(Map::HourOfDay, ValueType::Int64),
        (Operation::DayOfWeek, ValueType::Timestamp) => part.map(Map::DayOfWeek, ValueType::Int64),
        (Operation::Length, _) => {
            let length = match value_type {
                ValueType::String => Length::Characters,
                ValueType::Bytes => Length::Bytes(1),
                ValueType::Vector(_) => Length::Bytes(4),
                ValueType::List(Scalar::String | Scalar::Bytes) => Length::Sized,
                ValueType::List(_) => Length::Bytes(8),
                _ => return None,
            };
            part.then(Instruction::Length(length), ValueType::Int64)
        }
        (Operation::ListSum, ValueType::List(scalar)) => fold(part, Fold::Sum, scalar)?,
        (Operation::ListMean, ValueType::List(scalar)) => fold(part, Fold::Mean, scalar)?,
        (Operation::ListMin, ValueType::List(scalar)) => fold(part, Fold::Min, scalar)?,
        (Operation::ListMax, ValueType::List(scalar)) => fold(part, Fold::Max, scalar)?,
        _ => return None,
    })
}

fn of_float(part: Part, map: Map) -> Part {
    part.into_float().map(map, ValueType::Float64)
}

fn fold(part: Part, fold: Fold, scalar: Scalar) -> Option<Part> {
    let value_type = match (fold, ValueType::of_scalar(scalar)) {
        (Fold::Mean, value_type) if value_type.is_number() => ValueType::Float64,
        (Fold::Min | Fold::Max, ValueType::Timestamp) => ValueType::Timestamp,
        (_, value_type) if value_type.is_number() => value_type,
        _ => return None,
    };
    Some(part.then(Instruction::Fold(fold, scalar), value_type))
}

pub(super) fn binary(operation: Operation, left: Part, right: Part) -> Option<Part> {
    match operation {
        Operation::Add | Operation::Subtract => sum(operation, left, right),
        Operation::Multiply => numeric(left, right, Zip::MultiplyIntegers, Zip::MultiplyFloats),
        Operation::FloorDivide => numeric(
            left,
            right,
            Zip::FloorDivideIntegers,
            Zip::FloorDivideFloats,
        ),
        Operation::Remainder => numeric(left, right, Zip::IntegerRemainder, Zip::FloatRemainder),
        Operation::Divide | Operation::Power => {
            if !(left.value_type.is_number() && right.value_type.is_number()) {
                return None;
            }
            let zip = match operation {
                Operation::Divide => Zip::DivideFloats,
                _ => Zip::Power,
            };
            let instruction = Instruction::Zip(zip);
            Some(
                left.into_float()
                    .with(right.into_float(), instruction, ValueType::Float64),
            )
        }
        Operation::Equal => compare(left, right, Comparison::Equal),
        Operation::NotEqual => compare(left, right, Comparison::NotEqual),
        Operation::Less => compare(left, right, Comparison::Less),
        Operation::LessEqual => compare(left, right, Comparison::LessEqual),
        Operation::Greater => compare(left, right, Comparison::Greater),
        Operation::GreaterEqual => compare(left, right, Comparison::GreaterEqual),
        Operation::Element => match (left.value_type, right.value_type) {
            (ValueType::List(scalar), ValueType::Int64) => {
                let value_type = ValueType::of_scalar(scalar);
                Some(left.with(right, Instruction::Element(scalar), value_type))
            }
            _ => None,
        },
        Operation::Contains => contains(left, right),
        Operation::Dot | Operation::Cosine => match (left.value_type, right.value_type) {
            (ValueType::Vector(one), ValueType::Vector(other)) if one == other => {
                let instruction = match operation {
                    Operation::Dot => Instruction::Dot,
                    _ => Instruction::Cosine,
                };
                Some(left.with(right, instruction, ValueType::Float64))
            }
            _ => None,
        },
        _ => several(operation, vec![left, right]),
    }
}

fn sum(operation: Operation, left: Part, right: Part) -> Option<Part> {
    let (integers, floats) = match operation {
        Operation::Add => (Zip::AddIntegers, Zip::AddFloats),
        _ => (Zip::SubtractIntegers, Zip::SubtractFloats),
    };
    let value_type = match (operation, left.value_type, right.value_type) {
        (Operation::Subtract, ValueType::Timestamp, ValueType::Timestamp) => ValueType::Int64,
        (_, ValueType::Timestamp, ValueType::Int64)
        | (Operation::Add, ValueType::Int64, ValueType::Timestamp) => ValueType::Timestamp,
        _ => return numeric(left, right, integers, floats),
    };
    Some(left.with(right, Instruction::Zip(integers), value_type))
}

fn numeric(left: Part, right: Part, integers: Zip, floats: Zip) -> Option<Part> {
    if !(left.value_type.is_number() && right.value_type.is_number()) {
        return None;
    }
    Some(alike(left, right, integers, floats))
}

/// The operation of integers, or of floats if one operand is a float.
fn alike(left: Part, right: Part, integers: Zip, floats: Zip) -> Part {
    let value_type = left
        .value_type
        .common(right.value_type)
        .unwrap_or(left.value_type);
    let instruction = Instruction::Zip(match value_type {
        ValueType::Float64 => floats,
        _ => integers,
    });
    left.into_type(value_type)
        .with(right.into_type(value_type), instruction, value_type)
}

fn compare(left: Part, right: Part, comparison: Comparison) -> Option<Part> {
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if left.value_type == ValueType::Null || right.value_type == ValueType::Null {
        return None;
    }
    match left.value_type.common(right.value_type)? {
        ValueType::Bool if ordered => None,
        ValueType::Int64 | ValueType::Float64 | ValueType::Timestamp | ValueType::Bool => {
            let integers = Zip::CompareIntegers(comparison);
            let part = alike(left, right, integers, Zip::CompareFloats(comparison));
            Some(Part {
                value_type: ValueType::Bool,
                ..part
            })
        }
        ValueType::String if !ordered => {
            let equal = left.with(right, Instruction::TextEqual, ValueType::Bool);
            Some(match comparison {
                Comparison::Equal => equal,
                _ => equal.map(Map::Not, ValueType::Bool),
            })
        }
        _ => None,
    }
}

fn contains(list: Part, value: Part) -> Option<Part> {
    let ValueType::List(scalar) = list.value_type else {
        return None;
    };
    let value_type = ValueType::of_scalar(scalar);
    if value.value_type == ValueType::Null
        || value.value_type.common(value_type) != Some(value_type)
    {
        return None;
    }
    let instruction = if value_type.is_bytes() {
        Instruction::TextAmong
    } else {
        Instruction::CellAmong(scalar)
    };
    Some(list.with(value.into_type(value_type), instruction, ValueType::Bool))
}

/// Operations with any number of operands, from left to right.
pub(super) fn several(operation: Operation, mut parts: Vec<Part>) -> Option<Part> {
    if operation == Operation::Where {
        let [condition, then, otherwise] = <[Part; 3]>::try_from(parts).ok()?;
        let value_type = then.value_type.common(otherwise.value_type)?;
        if condition.value_type != ValueType::Bool || value_type == ValueType::Null {
            return None;
        }
        let mut whole = condition;
        whole
            .instructions
            .extend(then.into_type(value_type).instructions);
        return Some(whole.with(
            otherwise.into_type(value_type),
            Instruction::Where,
            value_type,
        ));
    }
    if !matches!(operation, Operation::Add | Operation::Multiply) {
        let mut value_type = parts[0].value_type;
        for part in &parts {
            if part.value_type == ValueType::Null && operation != Operation::Coalesce {
                return None;
            }
            value_type = value_type.common(part.value_type)?;
        }
        parts = parts
            .into_iter()
            .map(|part| part.into_type(value_type))
            .collect();
    }
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for (index, part) in parts.enumerate() {
        let value_type = whole.value_type;
        let instruction = match (operation, value_type) {
            (Operation::Add, _) => {
                whole = sum(Operation::Add, whole, part)?;
                continue;
            }
            (Operation::Multiply, _) => {
                whole = numeric(whole, part, Zip::MultiplyIntegers, Zip::MultiplyFloats)?;
                continue;
            }
            (Operation::And, ValueType::Bool) => Instruction::And,
            (Operation::Or, ValueType::Bool) => Instruction::Or,
            (Operation::Coalesce, value_type) if value_type != ValueType::Null => {
                Instruction::Coalesce
            }
            (Operation::Clip, _) if index == 0 => greatest(value_type)?,
            (Operation::Clip | Operation::Least, _) => least(value_type)?,
            (Operation::Greatest, _) => greatest(value_type)?,
            _ => return None,
        };
        whole = whole.with(part, instruction, value_type);
    }
    Some(whole)
}

fn least(value_type: ValueType) -> Option<Instruction> {
    match value_type {
        ValueType::Int64 | ValueType::Timestamp => Some(Instruction::Zip(Zip::LeastInteger)),
        ValueType::Float64 => Some(Instruction::Zip(Zip::LeastFloat)),
        _ => None,
    }
}

fn greatest(value_type: ValueType) -> Option<Instruction> {
    match value_type {
        ValueType::Int64 | ValueType::Timestamp => Some(Instruction::Zip(Zip::GreatestInteger)),
        ValueType::Float64 => Some(Instruction::Zip(Zip::GreatestFloat)),
        _ => None,
    }
}
