//! Types: from a tree to steps whose operands are known to fit.

use super::tree::{MAX_DEPTH, MAX_NODES, Operation, Tree};
use super::{
    ExpressionError,
    steps::{Comparison, Fold, Kind, Length, Map, Step, Zip},
};
use crate::types::{DataType, Scalar};

type Compiled = Result<Part, ExpressionError>;

/// The steps of a part of an expression, and the type of what they leave on the stack.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) steps: Vec<Step>,
    pub(super) kind: Kind,
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
    if part.kind.scalar().is_none() {
        let reason = match part.kind {
            Kind::Null => "is None, which has no type".to_owned(),
            kind => format!("is a {kind}, and an on-request feature is one value"),
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
    fn new(step: Step, kind: Kind) -> Self {
        Self {
            steps: vec![step],
            kind,
        }
    }

    fn then(mut self, step: Step, kind: Kind) -> Self {
        self.steps.push(step);
        self.kind = kind;
        self
    }

    fn map(self, map: Map, kind: Kind) -> Self {
        self.then(Step::Map(map), kind)
    }

    fn with(mut self, other: Self, step: Step, kind: Kind) -> Self {
        self.steps.extend(other.steps);
        self.then(step, kind)
    }

    /// The same as a value of `kind`, which is common to its own and others.
    pub(super) fn into_kind(self, kind: Kind) -> Self {
        match (self.kind, kind) {
            (Kind::Null, kind) => Self::new(
                Step::Nothing {
                    bytes: kind.is_bytes(),
                },
                kind,
            ),
            (Kind::Int64, Kind::Float64) => match self.steps[..] {
                [Step::Cell(cell)] => {
                    Self::new(Step::Cell((cell as i64 as f64).to_bits()), Kind::Float64)
                }
                _ => self.map(Map::Widen, Kind::Float64),
            },
            _ => self,
        }
    }

    fn into_float(self) -> Self {
        self.into_kind(Kind::Float64)
    }
}

impl Compiler<'_> {
    fn part(&mut self, tree: &Tree, depth: usize) -> Compiled {
        self.nodes += 1;
        if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(ExpressionError::too_large());
        }
        Ok(match tree {
            Tree::Null => Part::new(Step::Nothing { bytes: false }, Kind::Null),
            Tree::Int64(value) => Part::new(Step::Cell(*value as u64), Kind::Int64),
            Tree::Float64(value) => Part::new(Step::Cell(value.to_bits()), Kind::Float64),
            Tree::Bool(value) => Part::new(Step::Cell(u64::from(*value)), Kind::Bool),
            Tree::Timestamp(ms) => Part::new(Step::Cell(*ms as u64), Kind::Timestamp),
            Tree::String(text) => Part::new(Step::Text(text.as_bytes().into()), Kind::String),
            Tree::Now => Part::new(Step::Now, Kind::Timestamp),
            Tree::Column(index) => {
                let (_, data_type) = self.columns.get(*index).ok_or_else(|| {
                    let reason = format!("there are {} columns", self.columns.len());
                    self.error(tree, &reason)
                })?;
                Part::new(Step::Column(*index), Kind::of(*data_type))
            }
            Tree::Feature(name) => {
                let (index, kind) = self.named(tree, name, self.columns, "feature")?;
                Part::new(Step::Column(index), kind)
            }
            Tree::Request(name) => {
                let (index, kind) = self.named(tree, name, self.request, "request input")?;
                Part::new(Step::Request(index), kind)
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
    ) -> Result<(usize, Kind), ExpressionError> {
        let found = among.iter().position(|(known, _)| known == name);
        found
            .map(|index| (index, Kind::of(among[index].1)))
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
        let kinds: Vec<Kind> = parts.iter().map(|part| part.kind).collect();
        let compiled = match <[Part; 1]>::try_from(parts) {
            Ok([part]) => unary(operation, part),
            Err(parts) => match <[Part; 2]>::try_from(parts) {
                Ok([left, right]) => binary(operation, left, right),
                Err(parts) => several(operation, parts),
            },
        };
        compiled.ok_or_else(|| {
            let given: Vec<String> = kinds.iter().map(Kind::to_string).collect();
            let hint = match operation {
                Operation::Equal | Operation::NotEqual if kinds.contains(&Kind::Null) => {
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
                value.kind
            );
            self.error(tree, &reason)
        };
        let mut kind = value.kind;
        if kind == Kind::Null {
            return Err(wrong());
        }
        for literal in literals {
            kind = literal_kind(literal)
                .and_then(|literal| kind.common(literal))
                .ok_or_else(wrong)?;
        }
        if operation == Operation::IsIn && kind == Kind::String {
            let mut texts: Vec<Box<[u8]>> = literals.iter().filter_map(text).collect();
            texts.sort_unstable();
            return Ok(value.then(Step::TextIn(texts.into()), Kind::Bool));
        }
        let cells: Vec<u64> = literals
            .iter()
            .filter_map(|literal| cell(literal, kind))
            .collect();
        if cells.len() != literals.len() {
            return Err(wrong());
        }
        let step = match (operation, kind) {
            (Operation::IsIn, _) => {
                let mut cells = cells;
                cells.sort_unstable();
                match kind {
                    Kind::Float64 => Step::FloatIn(cells.into()),
                    _ => Step::IntegerIn(cells.into()),
                }
            }
            (_, Kind::Float64) => {
                Step::FloatBucket(cells.iter().map(|&cell| f64::from_bits(cell)).collect())
            }
            (_, Kind::Int64 | Kind::Timestamp) => {
                Step::IntegerBucket(cells.iter().map(|&cell| cell as i64).collect())
            }
            _ => return Err(wrong()),
        };
        let ascends = match &step {
            Step::FloatBucket(bounds) => bounds.is_sorted_by(|left, right| left < right),
            Step::IntegerBucket(bounds) => bounds.is_sorted_by(|left, right| left < right),
            _ => true,
        };
        if !ascends {
            return Err(self.error(tree, "the boundaries of a bucket ascend, each once"));
        }
        let result = match operation {
            Operation::IsIn => Kind::Bool,
            _ => Kind::Int64,
        };
        Ok(value.into_kind(kind).then(step, result))
    }

    fn error(&self, tree: &Tree, reason: &str) -> ExpressionError {
        let name = |index: usize| self.columns.get(index).map(|(name, _)| name.as_str());
        ExpressionError::new(&tree.shown(&name), reason)
    }
}

fn literal_kind(literal: &Tree) -> Option<Kind> {
    Some(match literal {
        Tree::Int64(_) => Kind::Int64,
        Tree::Float64(_) => Kind::Float64,
        Tree::Bool(_) => Kind::Bool,
        Tree::Timestamp(_) => Kind::Timestamp,
        Tree::String(_) => Kind::String,
        _ => return None,
    })
}

fn text(literal: &Tree) -> Option<Box<[u8]>> {
    match literal {
        Tree::String(text) => Some(text.as_bytes().into()),
        _ => None,
    }
}

/// The cell of a literal as a value of `kind`.
fn cell(literal: &Tree, kind: Kind) -> Option<u64> {
    Some(match (literal, kind) {
        // Zero has two forms that are equal; look-ups go by the cell.
        (Tree::Float64(value), Kind::Float64) => (value + 0.0).to_bits(),
        (Tree::Int64(value), Kind::Float64) => (*value as f64).to_bits(),
        (Tree::Int64(value), Kind::Int64) | (Tree::Timestamp(value), Kind::Timestamp) => {
            *value as u64
        }
        (Tree::Bool(value), Kind::Bool) => u64::from(*value),
        _ => return None,
    })
}

fn unary(operation: Operation, part: Part) -> Option<Part> {
    let kind = part.kind;
    Some(match (operation, kind) {
        (Operation::Negate, Kind::Int64) => part.map(Map::NegateInteger, kind),
        (Operation::Negate, Kind::Float64) => part.map(Map::NegateFloat, kind),
        (Operation::Abs, Kind::Int64) => part.map(Map::AbsInteger, kind),
        (Operation::Abs, Kind::Float64) => part.map(Map::AbsFloat, kind),
        (
            Operation::Round | Operation::Floor | Operation::Ceil | Operation::ToInt64,
            Kind::Int64,
        )
        | (Operation::ToFloat64, Kind::Float64)
        | (Operation::ToTimestamp, Kind::Timestamp) => part,
        (Operation::Least | Operation::Greatest, Kind::Int64 | Kind::Float64 | Kind::Timestamp) => {
            part
        }
        (Operation::Round, Kind::Float64) => part.map(Map::Round, kind),
        (Operation::Floor, Kind::Float64) => part.map(Map::Floor, kind),
        (Operation::Ceil, Kind::Float64) => part.map(Map::Ceil, kind),
        (Operation::Sqrt, kind) if kind.is_number() => of_float(part, Map::Sqrt),
        (Operation::Exp, kind) if kind.is_number() => of_float(part, Map::Exp),
        (Operation::Log, kind) if kind.is_number() => of_float(part, Map::Log),
        (Operation::Log1p, kind) if kind.is_number() => of_float(part, Map::Log1p),
        (Operation::Not, Kind::Bool) => part.map(Map::Not, kind),
        (Operation::Coalesce, kind) if kind != Kind::Null => part,
        (Operation::IsNull, kind) if kind != Kind::Null => part.then(Step::IsNull, Kind::Bool),
        (Operation::ToInt64, Kind::Float64) => part.map(Map::Truncate, Kind::Int64),
        // The cells of both are the integer.
        (Operation::ToInt64, Kind::Bool | Kind::Timestamp) => Part {
            kind: Kind::Int64,
            ..part
        },
        (Operation::ToFloat64, Kind::Int64 | Kind::Bool | Kind::Timestamp) => Part {
            kind: Kind::Int64,
            ..part
        }
        .into_float(),
        (Operation::ToTimestamp, Kind::Int64) => Part {
            kind: Kind::Timestamp,
            ..part
        },
        (Operation::HourOfDay, Kind::Timestamp) => part.map(Map::HourOfDay, Kind::Int64),
        (Operation::DayOfWeek, Kind::Timestamp) => part.map(Map::DayOfWeek, Kind::Int64),
        (Operation::Length, _) => {
            let length = match kind {
                Kind::String => Length::Characters,
                Kind::Bytes => Length::Bytes(1),
                Kind::Vector(_) => Length::Bytes(4),
                Kind::List(Scalar::String | Scalar::Bytes) => Length::Sized,
                Kind::List(_) => Length::Bytes(8),
                _ => return None,
            };
            part.then(Step::Length(length), Kind::Int64)
        }
        (Operation::ListSum, Kind::List(scalar)) => fold(part, Fold::Sum, scalar)?,
        (Operation::ListMean, Kind::List(scalar)) => fold(part, Fold::Mean, scalar)?,
        (Operation::ListMin, Kind::List(scalar)) => fold(part, Fold::Min, scalar)?,
        (Operation::ListMax, Kind::List(scalar)) => fold(part, Fold::Max, scalar)?,
        _ => return None,
    })
}

fn of_float(part: Part, map: Map) -> Part {
    part.into_float().map(map, Kind::Float64)
}

fn fold(part: Part, fold: Fold, scalar: Scalar) -> Option<Part> {
    let kind = match (fold, Kind::of_scalar(scalar)) {
        (Fold::Mean, kind) if kind.is_number() => Kind::Float64,
        (Fold::Min | Fold::Max, Kind::Timestamp) => Kind::Timestamp,
        (_, kind) if kind.is_number() => kind,
        _ => return None,
    };
    Some(part.then(Step::Fold(fold, scalar), kind))
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
            if !(left.kind.is_number() && right.kind.is_number()) {
                return None;
            }
            let zip = match operation {
                Operation::Divide => Zip::DivideFloats,
                _ => Zip::Power,
            };
            let step = Step::Zip(zip);
            Some(
                left.into_float()
                    .with(right.into_float(), step, Kind::Float64),
            )
        }
        Operation::Equal => compare(left, right, Comparison::Equal),
        Operation::NotEqual => compare(left, right, Comparison::NotEqual),
        Operation::Less => compare(left, right, Comparison::Less),
        Operation::LessEqual => compare(left, right, Comparison::LessEqual),
        Operation::Greater => compare(left, right, Comparison::Greater),
        Operation::GreaterEqual => compare(left, right, Comparison::GreaterEqual),
        Operation::Element => match (left.kind, right.kind) {
            (Kind::List(scalar), Kind::Int64) => {
                let kind = Kind::of_scalar(scalar);
                Some(left.with(right, Step::Element(scalar), kind))
            }
            _ => None,
        },
        Operation::Contains => contains(left, right),
        Operation::Dot | Operation::Cosine => match (left.kind, right.kind) {
            (Kind::Vector(one), Kind::Vector(other)) if one == other => {
                let step = match operation {
                    Operation::Dot => Step::Dot,
                    _ => Step::Cosine,
                };
                Some(left.with(right, step, Kind::Float64))
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
    let moment = match (operation, left.kind, right.kind) {
        (Operation::Subtract, Kind::Timestamp, Kind::Timestamp) => Kind::Int64,
        (_, Kind::Timestamp, Kind::Int64) | (Operation::Add, Kind::Int64, Kind::Timestamp) => {
            Kind::Timestamp
        }
        _ => return numeric(left, right, integers, floats),
    };
    Some(left.with(right, Step::Zip(integers), moment))
}

fn numeric(left: Part, right: Part, integers: Zip, floats: Zip) -> Option<Part> {
    if !(left.kind.is_number() && right.kind.is_number()) {
        return None;
    }
    Some(alike(left, right, integers, floats))
}

/// The operation of integers or floats, as both operands are or become.
fn alike(left: Part, right: Part, integers: Zip, floats: Zip) -> Part {
    let kind = left.kind.common(right.kind).unwrap_or(left.kind);
    let step = Step::Zip(match kind {
        Kind::Float64 => floats,
        _ => integers,
    });
    left.into_kind(kind).with(right.into_kind(kind), step, kind)
}

fn compare(left: Part, right: Part, comparison: Comparison) -> Option<Part> {
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if left.kind == Kind::Null || right.kind == Kind::Null {
        return None;
    }
    match left.kind.common(right.kind)? {
        Kind::Bool if ordered => None,
        Kind::Int64 | Kind::Float64 | Kind::Timestamp | Kind::Bool => {
            let integers = Zip::CompareIntegers(comparison);
            let part = alike(left, right, integers, Zip::CompareFloats(comparison));
            Some(Part {
                kind: Kind::Bool,
                ..part
            })
        }
        Kind::String if !ordered => {
            let equal = left.with(right, Step::TextEqual, Kind::Bool);
            Some(match comparison {
                Comparison::Equal => equal,
                _ => equal.map(Map::Not, Kind::Bool),
            })
        }
        _ => None,
    }
}

fn contains(list: Part, value: Part) -> Option<Part> {
    let Kind::List(scalar) = list.kind else {
        return None;
    };
    let kind = Kind::of_scalar(scalar);
    if value.kind == Kind::Null || value.kind.common(kind) != Some(kind) {
        return None;
    }
    let step = if kind.is_bytes() {
        Step::TextAmong
    } else {
        Step::CellAmong(scalar)
    };
    Some(list.with(value.into_kind(kind), step, Kind::Bool))
}

/// What takes any number of operands, from the left to the right.
fn several(operation: Operation, mut parts: Vec<Part>) -> Option<Part> {
    if operation == Operation::Where {
        let [condition, then, otherwise] = <[Part; 3]>::try_from(parts).ok()?;
        let kind = then.kind.common(otherwise.kind)?;
        if condition.kind != Kind::Bool || kind == Kind::Null {
            return None;
        }
        let mut whole = condition;
        whole.steps.extend(then.into_kind(kind).steps);
        return Some(whole.with(otherwise.into_kind(kind), Step::Where, kind));
    }
    if !matches!(operation, Operation::Add | Operation::Multiply) {
        let mut kind = parts[0].kind;
        for part in &parts {
            if part.kind == Kind::Null && operation != Operation::Coalesce {
                return None;
            }
            kind = kind.common(part.kind)?;
        }
        parts = parts.into_iter().map(|part| part.into_kind(kind)).collect();
    }
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for (index, part) in parts.enumerate() {
        let kind = whole.kind;
        let step = match (operation, kind) {
            (Operation::Add, _) => {
                whole = sum(Operation::Add, whole, part)?;
                continue;
            }
            (Operation::Multiply, _) => {
                whole = numeric(whole, part, Zip::MultiplyIntegers, Zip::MultiplyFloats)?;
                continue;
            }
            (Operation::And, Kind::Bool) => Step::And,
            (Operation::Or, Kind::Bool) => Step::Or,
            (Operation::Coalesce, kind) if kind != Kind::Null => Step::Coalesce,
            (Operation::Clip, _) if index == 0 => greatest(kind)?,
            (Operation::Clip | Operation::Least, _) => least(kind)?,
            (Operation::Greatest, _) => greatest(kind)?,
            _ => return None,
        };
        whole = whole.with(part, step, kind);
    }
    Some(whole)
}

fn least(kind: Kind) -> Option<Step> {
    match kind {
        Kind::Int64 | Kind::Timestamp => Some(Step::Zip(Zip::LeastInteger)),
        Kind::Float64 => Some(Step::Zip(Zip::LeastFloat)),
        _ => None,
    }
}

fn greatest(kind: Kind) -> Option<Step> {
    match kind {
        Kind::Int64 | Kind::Timestamp => Some(Step::Zip(Zip::GreatestInteger)),
        Kind::Float64 => Some(Step::Zip(Zip::GreatestFloat)),
        _ => None,
    }
}
