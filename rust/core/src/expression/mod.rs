//! On-request features: values computed at read time from stored features and request inputs.
//!
//! A [`Tree`] says what to compute. [`Expression::compile`] checks its types and turns it into
//! instructions over whole columns. [`Computed`] is such an expression as a feature, with a
//! declared type and a default, and [`Computed::evaluate`] answers for all rows of a request at
//! once.
//!
//! An operation has a value if all of its operands have one. Otherwise its status is the first of
//! these that an operand has: `UNAVAILABLE`, `INVALID`, `EXPIRED`, `NOT_FOUND`, `NULL`. A default
//! that is served for a stored value is a value. An operation without an answer (a division by
//! zero, an integer beyond 64 bits, the logarithm of a negative number) is `NULL`. A result is
//! infinite or NaN only if an operand is.
//!
//! Some operations do not need all of their operands. `where` needs the condition and the branch
//! that it takes. One `false` decides `&`, and one `true` decides `|`. `coalesce` is its first
//! operand that has a value, and `is_null` says whether there is one. For these two `UNAVAILABLE`
//! and `INVALID` are not missing values.

mod compile;
mod computed;
mod evaluate;
mod input;
mod instructions;
mod json;
mod lanes;
mod numbers;
mod operations;
mod part;
mod sequences;
#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "tests count few things, and cut numbers as expressions do"
)]
mod tests;
mod tree;

use std::fmt;

pub use computed::{Computed, ComputedColumn};
pub use evaluate::Expression;
pub use input::{Input, InputColumn, Inputs, RequestTime};
pub use tree::{MAX_DEPTH, MAX_NODES, Operation, Tree};

/// An error in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// The part that is wrong, as people write it.
    pub part: String,
    /// The reason.
    pub reason: String,
}

impl ExpressionError {
    fn new(part: &str, reason: &str) -> Self {
        Self {
            part: part.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn too_large() -> Self {
        let reason = format!(
            "is too large: at most {MAX_NODES} parts, nested at most {MAX_DEPTH} deep; split it \
             into several features"
        );
        Self::new("the expression", &reason)
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.reason)
    }
}

impl std::error::Error for ExpressionError {}
