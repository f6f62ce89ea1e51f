//! The instructions of a compiled expression. Each works on a whole column at a time.

use std::fmt;

use crate::types::{DataType, Scalar, TimeUnit};

/// The type of a part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    /// The literal null, which takes the type of the operand beside it.
    Null,
    Int64,
    /// Also `Float32`, which is kept widened.
    Float64,
    Bool,
    Timestamp,
    String,
    Bytes,
    List(Scalar),
    Vector(u32),
}

impl ValueType {
    pub(super) fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Scalar(scalar) => Self::of_scalar(scalar),
            DataType::List(scalar) => Self::List(scalar),
            DataType::Vector(dimension) => Self::Vector(dimension),
        }
    }

    pub(super) fn of_scalar(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Int64 => Self::Int64,
            Scalar::Float32 | Scalar::Float64 => Self::Float64,
            Scalar::Bool => Self::Bool,
            Scalar::String => Self::String,
            Scalar::Bytes => Self::Bytes,
            Scalar::Timestamp(_) => Self::Timestamp,
        }
    }

    /// The type of a feature with such values, if it is a scalar type.
    pub(super) fn scalar(self) -> Option<Scalar> {
        Some(match self {
            Self::Int64 => Scalar::Int64,
            Self::Float64 => Scalar::Float64,
            Self::Bool => Scalar::Bool,
            Self::Timestamp => Scalar::Timestamp(TimeUnit::Milliseconds),
            Self::String => Scalar::String,
            Self::Null | Self::Bytes | Self::List(_) | Self::Vector(_) => return None,
        })
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Int64 | Self::Float64)
    }

    /// Whether its values are bytes rather than cells.
    pub(super) const fn is_bytes(self) -> bool {
        matches!(
            self,
            Self::String | Self::Bytes | Self::List(_) | Self::Vector(_)
        )
    }

    /// The type that values of both types can become.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Null, value_type) | (value_type, Self::Null) => Some(value_type),
            (left, right) if left == right => Some(left),
            (left, right) if left.is_number() && right.is_number() => Some(Self::Float64),
            _ => None,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("None"),
            Self::Bytes => f.write_str("Bytes"),
            Self::List(scalar) => write!(f, "List[{scalar}]"),
            Self::Vector(dimension) => write!(f, "Vector[{dimension}]"),
            Self::Int64 | Self::Float64 | Self::Bool | Self::Timestamp | Self::String => {
                self.scalar().map_or(Ok(()), |scalar| scalar.fmt(f))
            }
        }
    }
}

/// An instruction takes its operands off a stack, and puts its result on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Instruction {
    Column(usize),
    Request(usize),
    Now,
    /// A cell for all rows.
    Cell(u64),
    /// A text for all rows.
    Text(Box<[u8]>),
    /// No value. `bytes` says whether a value would be bytes.
    Nothing {
        bytes: bool,
    },
    Map(Map),
    Zip(Zip),
    And,
    Or,
    Where,
    Coalesce,
    IsNull,
    TextEqual,
    /// Whether an integer is among these, which are sorted.
    IntegerIn(Box<[u64]>),
    /// Whether a float is among these, which are sorted; zero is positive.
    FloatIn(Box<[u64]>),
    TextIn(Box<[Box<[u8]>]>),
    /// The number of these, which are sorted, that are not above the value.
    IntegerBucket(Box<[i64]>),
    FloatBucket(Box<[f64]>),
    Length(Length),
    Fold(Fold, Scalar),
    Element(Scalar),
    CellAmong(Scalar),
    TextAmong,
    Dot,
    Cosine,
}

/// An operation on one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Map {
    /// An integer as a float.
    Widen,
    /// A float without its fraction, as an integer.
    Truncate,
    /// A float as the nearest `Float32`.
    Narrow,
    NegateInteger,
    NegateFloat,
    AbsInteger,
    AbsFloat,
    Round,
    Floor,
    Ceil,
    Sqrt,
    Exp,
    Log,
    Log1p,
    Not,
    HourOfDay,
    DayOfWeek,
}

/// An operation on two cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zip {
    AddIntegers,
    SubtractIntegers,
    MultiplyIntegers,
    FloorDivideIntegers,
    IntegerRemainder,
    LeastInteger,
    GreatestInteger,
    CompareIntegers(Comparison),
    AddFloats,
    SubtractFloats,
    MultiplyFloats,
    DivideFloats,
    FloorDivideFloats,
    FloatRemainder,
    Power,
    LeastFloat,
    GreatestFloat,
    CompareFloats(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// How the length of a value is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// A string's characters.
    Characters,
    /// Elements of this many bytes each.
    Bytes(usize),
    /// Elements of a list that have their lengths before them.
    Sized,
}

/// An operation on all elements of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Mean,
    Min,
    Max,
}
