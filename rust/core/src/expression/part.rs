//! A part of an expression as it is compiled.

use super::instructions::{Instruction, Map, ValueType};
use crate::convert::nearest_f64;

/// The instructions of a part of an expression, and the type of their result.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) instructions: Vec<Instruction>,
    pub(super) value_type: ValueType,
}

impl Part {
    pub(super) fn new(instruction: Instruction, value_type: ValueType) -> Self {
        Self {
            instructions: vec![instruction],
            value_type,
        }
    }

    pub(super) fn then(mut self, instruction: Instruction, value_type: ValueType) -> Self {
        self.instructions.push(instruction);
        self.value_type = value_type;
        self
    }

    pub(super) fn map(self, map: Map, value_type: ValueType) -> Self {
        self.then(Instruction::Map(map), value_type)
    }

    pub(super) fn with(
        mut self,
        other: Self,
        instruction: Instruction,
        value_type: ValueType,
    ) -> Self {
        self.instructions.extend(other.instructions);
        self.then(instruction, value_type)
    }

    /// The same as a value of `value_type`, which its own type can become.
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
                    Instruction::Cell(nearest_f64(cell.cast_signed()).to_bits()),
                    ValueType::Float64,
                ),
                _ => self.map(Map::Widen, ValueType::Float64),
            },
            _ => self,
        }
    }

    pub(super) fn into_float(self) -> Self {
        self.into_type(ValueType::Float64)
    }
}
