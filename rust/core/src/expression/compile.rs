//! Compiles a tree to instructions, and checks the types of their operands.

use super::ExpressionError;
use super::instructions::{Instruction, ValueType};
use super::operations::{binary, several, unary};
use super::part::Part;
use super::tree::{MAX_DEPTH, MAX_NODES, Operation, Tree};
use crate::convert::nearest_f64;
use crate::types::DataType;

type Compiled = Result<Part, ExpressionError>;

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

impl Compiler<'_> {
    fn part(&mut self, tree: &Tree, depth: usize) -> Compiled {
        self.nodes += 1;
        if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(ExpressionError::too_large());
        }
        Ok(match tree {
            Tree::Null => Part::new(Instruction::Nothing { bytes: false }, ValueType::Null),
            Tree::Int64(value) => {
                Part::new(Instruction::Cell(value.cast_unsigned()), ValueType::Int64)
            }
            Tree::Float64(value) => {
                Part::new(Instruction::Cell(value.to_bits()), ValueType::Float64)
            }
            Tree::Bool(value) => Part::new(Instruction::Cell(u64::from(*value)), ValueType::Bool),
            Tree::Timestamp(ms) => {
                Part::new(Instruction::Cell(ms.cast_unsigned()), ValueType::Timestamp)
            }
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
                self.error(tree, &format!("is not a {what} here; {known}"))
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
                Instruction::IntegerBucket(cells.iter().map(|cell| cell.cast_signed()).collect())
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
        (Tree::Int64(value), ValueType::Float64) => nearest_f64(*value).to_bits(),
        (Tree::Int64(value), ValueType::Int64) | (Tree::Timestamp(value), ValueType::Timestamp) => {
            value.cast_unsigned()
        }
        (Tree::Bool(value), ValueType::Bool) => u64::from(*value),
        _ => return None,
    })
}
