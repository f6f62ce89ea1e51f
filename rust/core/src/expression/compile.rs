//! Types: from a tree to instructions whose operands are known to fit.

use super::tree::{MAX_DEPTH, MAX_NODES, Operation, Tree};
use super::{
    ExpressionError,
    instructions::{Comparison, Fold, Instruction, Length, Map, ValueType, Zip},
};
use crate::types::{DataType, Scalar};

type Compiled = Result<Part, ExpressionError>;

/// The instructions of a part of an expression, and the type of what they leave on the stack.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) instructions: Vec<Instruction>,
    pub(super) value_type: ValueType,
}

/// Compiles `tree` over columns and request inputs of these names and types.
pub(super) fn compile(
    tree: &Tree,
    columns: &[(String, DataType)],
    request: &[(String, DataType)],
) -> Compiled {
    let mut compiler = Compiler {
        columns,
        request,
        nodes: 0,
    };
    let part = compiler.part(tree, 0)?;
    if part.value_type.scalar().is_none() {
        let reason = match part.value_type {
            ValueType::Null => "is None, which has no type".to_owned(),
            value_type => format!("is a {value_type}, and an on-request feature is one value"),
        };
        return Err(compiler.error(tree, &reason));
    }
    Ok(part)
}

struct Compiler<'a> {
    columns: &'a [(String, DataType)],
    request: &'a [(String, DataType)],
    nodes: usize,
}

impl Part {
    fn new(instruction: Instruction, value_type: ValueType) -> Self {
        Self {
            instructions: vec![instruction],
            value_type,
        }
    }

    fn then(mut self, instruction: Instruction, value_type: ValueType) -> Self {
        self.instructions.push(instruction);
        self.value_type = value_type;
        self
    }

    fn map(self, map: Map, value_type: ValueType) -> Self {
        self.then(Instruction::Map(map), value_type)
    }

    fn with(mut self, other: Self, instruction: Instruction, value_type: ValueType) -> Self {
        self.instructions.extend(other.instructions);
        self.then(instruction, value_type)
    }

    /// The same as a value of `value_type`, which is common to its own and others.
    pub(super) fn into_type(self, value_type: ValueType) -> Self {
        match (self.value_type, value_type) {
            (ValueType::Null, value_type) => Self::new(
                Instruction::Nothing {
                    bytes: value_type.is_bytes(),
                },
                value_type,
            ),
            (ValueType::Int64, ValueType::Float64) => match self.instructions[..] {
                [Instruction::Cell(cell)] => Self::new(
                    Instruction::Cell((cell as i64 as f64).to_bits()),
                    ValueType::Float64,
                ),
                _ => self.map(Map::Widen, ValueType::Float64),
            },
            _ => self,
        }
    }

    fn into_float(self) -> Self {
        self.into_type(ValueType::Float64)
    }
}

impl Compiler<'_> {
    fn part(&mut self, tree: &Tree, depth: usize) -> Compiled {
        self.nodes += 1;
        if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(ExpressionError::too_large());
        }
        Ok(match tree {
            Tree::Null => Part::new(Instruction::Nothing { bytes: false }, ValueType::Null),
            Tree::Int64(value) => Part::new(Instruction::Cell(*value as u64), ValueType::Int64),
            Tree::Float64(value) => {
                Part::new(Instruction::Cell(value.to_bits()), ValueType::Float64)
            }
            Tree::Bool(value) => Part::new(Instruction::Cell(u64::from(*value)), ValueType::Bool),
            Tree::Timestamp(ms) => Part::new(Instruction::Cell(*ms as u64), ValueType::Timestamp),
            Tree::String(text) => {
                Part::new(Instruction::Text(text.as_bytes().into()), ValueType::String)
            }
            Tree::Now => Part::new(Instruction::Now, ValueType::Timestamp),
            Tree::Column(index) => {
                let (_, data_type) = self.columns.get(*index).ok_or_else(|| {
                    let reason = format!("there are {} columns", self.columns.len());
                    self.error(tree, &reason)
                })?;
                Part::new(Instruction::Column(*index), ValueType::of(*data_type))
            }
            Tree::Feature(name) => {
                let (index, value_type) = self.named(tree, name, self.columns, "feature")?;
                Part::new(Instruction::Column(index), value_type)
            }
            Tree::Request(name) => {
                let (index, value_type) = self.named(tree, name, self.request, "request input")?;
                Part::new(Instruction::Request(index), value_type)
            }
            Tree::Call(operation, arguments) => self.call(tree, *operation, arguments, depth)?,
        })
    }

    fn named(
        &self,
        tree: &Tree,
        name: &str,
        among: &[(String, DataType)],
        what: &str,
    ) -> Result<(usize, ValueType), ExpressionError> {
        let found = among.iter().position(|(known, _)| known == name);
        found
            .map(|index| (index, ValueType::of(among[index].1)))
            .ok_or_else(|| {
                let known: Vec<_> = among.iter().map(|(known, _)| known.as_str()).collect();
                let known = if known.is_empty() {
                    "there is none".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                };
                self.error(tree, &format!("is no {what} here; {known}"))
            })
    }

    fn call(
        &mut self,
        tree: &Tree,
        operation: Operation,
        arguments: &[Tree],
        depth: usize,
    ) -> Compiled {
        let (least, most) = operation.arity();
        if !(least..=most).contains(&arguments.len()) {
            let reason = format!("{} takes {}", operation.name(), operation.takes());
            return Err(self.error(tree, &reason));
        }
        if matches!(operation, Operation::IsIn | Operation::Bucket) {
            let value = self.part(&arguments[0], depth + 1)?;
            self.nodes += arguments.len() - 1;
            if self.nodes > MAX_NODES {
                return Err(ExpressionError::too_large());
            }
            return self.among(tree, operation, value, &arguments[1..]);
        }
        let parts = arguments
            .iter()
            .map(|argument| self.part(argument, depth + 1))
            .collect::<Result<Vec<_>, _>>()?;
        let value_types: Vec<ValueType> = parts.iter().map(|part| part.value_type).collect();
        let compiled = match <[Part; 1]>::try_from(parts) {
            Ok([part]) => unary(operation, part),
            Err(parts) => match <[Part; 2]>::try_from(parts) {
                Ok([left, right]) => binary(operation, left, right),
                Err(parts) => several(operation, parts),
            },
        };
        compiled.ok_or_else(|| {
            let given: Vec<String> = value_types.iter().map(ValueType::to_string).collect();
            let hint = match operation {
                Operation::Equal | Operation::NotEqual
                    if value_types.contains(&ValueType::Null) =>
                {
                    "; is_null tells whether there is a value"
                }
                _ => "",
            };
            let reason = format!(
                "{} takes {}, not {}{hint}",
                operation.name(),
                operation.takes(),
                given.join(" and ")
            );
            self.error(tree, &reason)
        })
    }

    /// `is_in` and `bucket`: a value against literals.
    fn among(&self, tree: &Tree, operation: Operation, value: Part, literals: &[Tree]) -> Compiled {
        let wrong = || {
            let reason = format!(
                "{} takes {}; the value is {}",
                operation.name(),
                operation.takes(),
                value.value_type
            );
            self.error(tree, &reason)
        };
        let mut value_type = value.value_type;
        if value_type == ValueType::Null {
            return Err(wrong());
        }
        for literal in literals {
            value_type = literal_type(literal)
                .and_then(|literal| value_type.common(literal))
                .ok_or_else(wrong)?;
        }
        if operation == Operation::IsIn && value_type == ValueType::String {
            let mut texts: Vec<Box<[u8]>> = literals.iter().filter_map(text).collect();
            texts.sort_unstable();
            return Ok(value.then(Instruction::TextIn(texts.into()), ValueType::Bool));
        }
        let cells: Vec<u64> = literals
            .iter()
            .filter_map(|literal| cell(literal, value_type))
            .collect();
        if cells.len() != literals.len() {
            return Err(wrong());
        }
        let instruction = match (operation, value_type) {
            (Operation::IsIn, _) => {
                let mut cells = cells;
                cells.sort_unstable();
                match value_type {
                    ValueType::Float64 => Instruction::FloatIn(cells.into()),
                    _ => Instruction::IntegerIn(cells.into()),
                }
            }
            (_, ValueType::Float64) => {
                Instruction::FloatBucket(cells.iter().map(|&cell| f64::from_bits(cell)).collect())
            }
            (_, ValueType::Int64 | ValueType::Timestamp) => {
                Instruction::IntegerBucket(cells.iter().map(|&cell| cell as i64).collect())
            }
            _ => return Err(wrong()),
        };
        let ascends = match &instruction {
            Instruction::FloatBucket(bounds) => bounds.is_sorted_by(|left, right| left < right),
            Instruction::IntegerBucket(bounds) => bounds.is_sorted_by(|left, right| left < right),
            _ => true,
        };
        if !ascends {
            return Err(self.error(tree, "the boundaries of a bucket ascend, each once"));
        }
        let result = match operation {
            Operation::IsIn => ValueType::Bool,
            _ => ValueType::Int64,
        };
        Ok(value.into_type(value_type).then(instruction, result))
    }

    fn error(&self, tree: &Tree, reason: &str) -> ExpressionError {
        let name = |index: usize| self.columns.get(index).map(|(name, _)| name.as_str());
        ExpressionError::new(&tree.shown(&name), reason)
    }
}

fn literal_type(literal: &Tree) -> Option<ValueType> {
    Some(match literal {
        Tree::Int64(_) => ValueType::Int64,
        Tree::Float64(_) => ValueType::Float64,
        Tree::Bool(_) => ValueType::Bool,
        Tree::Timestamp(_) => ValueType::Timestamp,
        Tree::String(_) => ValueType::String,
        _ => return None,
    })
}

fn text(literal: &Tree) -> Option<Box<[u8]>> {
    match literal {
        Tree::String(text) => Some(text.as_bytes().into()),
        _ => None,
    }
}

/// The cell of a literal as a value of `value_type`.
fn cell(literal: &Tree, value_type: ValueType) -> Option<u64> {
    Some(match (literal, value_type) {
        // Zero has two forms that are equal; look-ups go by the cell.
        (Tree::Float64(value), ValueType::Float64) => (value + 0.0).to_bits(),
        (Tree::Int64(value), ValueType::Float64) => (*value as f64).to_bits(),
        (Tree::Int64(value), ValueType::Int64) | (Tree::Timestamp(value), ValueType::Timestamp) => {
            *value as u64
        }
        (Tree::Bool(value), ValueType::Bool) => u64::from(*value),
        _ => return None,
    })
}

fn unary(operation: Operation, part: Part) -> Option<Part> {
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

fn binary(operation: Operation, left: Part, right: Part) -> Option<Part> {
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
    let moment = match (operation, left.value_type, right.value_type) {
        (Operation::Subtract, ValueType::Timestamp, ValueType::Timestamp) => ValueType::Int64,
        (_, ValueType::Timestamp, ValueType::Int64)
        | (Operation::Add, ValueType::Int64, ValueType::Timestamp) => ValueType::Timestamp,
        _ => return numeric(left, right, integers, floats),
    };
    Some(left.with(right, Instruction::Zip(integers), moment))
}

fn numeric(left: Part, right: Part, integers: Zip, floats: Zip) -> Option<Part> {
    if !(left.value_type.is_number() && right.value_type.is_number()) {
        return None;
    }
    Some(alike(left, right, integers, floats))
}

/// The operation of integers or floats, as both operands are or become.
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

/// What takes any number of operands, from the left to the right.
fn several(operation: Operation, mut parts: Vec<Part>) -> Option<Part> {
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
