//! The tree of an expression: operations, literals, and references to its inputs.

use std::fmt;

/// The deepest nesting of a tree.
pub const MAX_DEPTH: usize = 64;

/// The most nodes of a tree, literals included.
pub const MAX_NODES: usize = 1_000;

/// An expression as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// No value.
    Null,
    /// An `Int64`.
    Int64(i64),
    /// A `Float64`, finite.
    Float64(f64),
    /// A `Bool`.
    Bool(bool),
    /// A `String`.
    String(String),
    /// A `Timestamp`, in epoch milliseconds.
    Timestamp(i64),
    /// A stored feature, by its index among the columns that are read.
    Column(usize),
    /// A stored feature, by the name of its column.
    Feature(String),
    /// An input that the request brings.
    Request(String),
    /// The time that the request is answered for.
    Now,
    /// An operation.
    Call(Operation, Vec<Tree>),
}

macro_rules! operations {
    ($($operation:ident $name:literal $least:literal $most:tt $takes:literal;)*) => {
        /// An operation on values; see [`Operation::takes`] for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each says what it takes in words")]
        pub enum Operation {
            $($operation,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$operation,)*];

            /// The name in JSON.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)*
                }
            }

            /// Its arguments, in words.
            pub const fn takes(self) -> &'static str {
                match self {
                    $(Self::$operation => $takes,)*
                }
            }

            /// The least and the largest number of arguments.
            pub const fn arity(self) -> (usize, usize) {
                match self {
                    $(Self::$operation => ($least, $most),)*
                }
            }
        }
    };
}

const ANY: usize = MAX_NODES;

operations! {
    Add "+" 2 ANY "numbers, or a timestamp and an Int64 of milliseconds";
    Subtract "-" 2 2 "two numbers, two timestamps, or a timestamp and an Int64 of milliseconds";
    Multiply "*" 2 ANY "numbers";
    Divide "/" 2 2 "two numbers";
    FloorDivide "//" 2 2 "two numbers";
    Remainder "%" 2 2 "two numbers";
    Power "**" 2 2 "two numbers";
    Negate "neg" 1 1 "a number";
    Equal "==" 2 2 "two numbers, timestamps, strings or booleans";
    NotEqual "!=" 2 2 "two numbers, timestamps, strings or booleans";
    Less "<" 2 2 "two numbers or two timestamps";
    LessEqual "<=" 2 2 "two numbers or two timestamps";
    Greater ">" 2 2 "two numbers or two timestamps";
    GreaterEqual ">=" 2 2 "two numbers or two timestamps";
    And "&" 2 ANY "booleans";
    Or "|" 2 ANY "booleans";
    Not "~" 1 1 "a boolean";
    Abs "abs" 1 1 "a number";
    Round "round" 1 1 "a number";
    Floor "floor" 1 1 "a number";
    Ceil "ceil" 1 1 "a number";
    Sqrt "sqrt" 1 1 "a number";
    Exp "exp" 1 1 "a number";
    Log "log" 1 1 "a number";
    Log1p "log1p" 1 1 "a number";
    Least "least" 1 ANY "numbers, or timestamps";
    Greatest "greatest" 1 ANY "numbers, or timestamps";
    Clip "clip" 3 3 "a number and its bounds, or a timestamp and its bounds";
    Where "where" 3 3 "a boolean and two values of one type";
    Coalesce "coalesce" 1 ANY "values of one type";
    IsNull "is_null" 1 1 "a value";
    IsIn "is_in" 2 ANY "a value, and literals of its type";
    Bucket "bucket" 2 ANY "a number or a timestamp, and literals that ascend";
    ToInt64 "to_int64" 1 1 "a number, a boolean or a timestamp";
    ToFloat64 "to_float64" 1 1 "a number, a boolean or a timestamp";
    ToTimestamp "to_timestamp" 1 1 "an Int64 of epoch milliseconds";
    HourOfDay "hour_of_day" 1 1 "a timestamp";
    DayOfWeek "day_of_week" 1 1 "a timestamp";
    Length "length" 1 1 "a string, bytes, a list or a vector";
    Element "element" 2 2 "a list and an Int64";
    Contains "contains" 2 2 "a list and a value of its elements' type";
    ListSum "list_sum" 1 1 "a list of numbers";
    ListMean "list_mean" 1 1 "a list of numbers";
    ListMin "list_min" 1 1 "a list of numbers or timestamps";
    ListMax "list_max" 1 1 "a list of numbers or timestamps";
    Dot "dot" 2 2 "two vectors of one length";
    Cosine "cosine" 2 2 "two vectors of one length";
}

impl Operation {
    /// The operation of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|operation| operation.name() == name)
    }

    const fn is_infix(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Subtract
                | Self::Multiply
                | Self::Divide
                | Self::FloorDivide
                | Self::Remainder
                | Self::Power
                | Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
                | Self::And
                | Self::Or
        )
    }

    const fn prefix(self) -> Option<char> {
        match self {
            Self::Negate => Some('-'),
            Self::Not => Some('~'),
            _ => None,
        }
    }
}

impl fmt::Display for Tree {
    /// The form that people write in Python: `(request.now - user_profile:signup_time) / 86400000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|_| None)
    }
}

impl Tree {
    /// The same with the names of its columns, for messages. A long text is cut.
    pub(super) fn shown<'a>(&self, name: &dyn Fn(usize) -> Option<&'a str>) -> String {
        const SHOWN: usize = 120;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, name);
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(end);
            text.push('…');
        }
        text
    }

    fn write<'a>(
        &self,
        out: &mut dyn fmt::Write,
        name: &dyn Fn(usize) -> Option<&'a str>,
    ) -> fmt::Result {
        match self {
            Self::Null => out.write_str("None"),
            Self::Int64(value) => write!(out, "{value}"),
            Self::Float64(value) => write!(out, "{value:?}"),
            Self::Bool(value) => out.write_str(if *value { "True" } else { "False" }),
            Self::String(text) => write!(out, "{text:?}"),
            Self::Timestamp(ms) => write!(out, "timestamp({ms})"),
            Self::Column(index) => match name(*index) {
                Some(name) => out.write_str(name),
                None => write!(out, "column {index}"),
            },
            Self::Feature(name) => out.write_str(name),
            Self::Request(name) => write!(out, "request[{name:?}]"),
            Self::Now => out.write_str("request.now"),
            Self::Call(operation, arguments) => {
                if let ([argument], Some(prefix)) = (&arguments[..], operation.prefix()) {
                    out.write_char(prefix)?;
                    return argument.write_operand(out, name);
                }
                if operation.is_infix() {
                    for (index, argument) in arguments.iter().enumerate() {
                        if index > 0 {
                            write!(out, " {} ", operation.name())?;
                        }
                        argument.write_operand(out, name)?;
                    }
                    return Ok(());
                }
                write!(out, "{}(", operation.name())?;
                for (index, argument) in arguments.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    argument.write(out, name)?;
                }
                out.write_char(')')
            }
        }
    }

    fn write_operand<'a>(
        &self,
        out: &mut dyn fmt::Write,
        name: &dyn Fn(usize) -> Option<&'a str>,
    ) -> fmt::Result {
        match self {
            Self::Call(operation, _) if operation.is_infix() => {
                out.write_char('(')?;
                self.write(out, name)?;
                out.write_char(')')
            }
            _ => self.write(out, name),
        }
    }
}
