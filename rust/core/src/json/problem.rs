//! Errors in a body.

/// The kind of an error in a body. Over HTTP each has its own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// It is not JSON (400).
    Malformed,
    /// It is JSON, but not a valid read request (422).
    Invalid,
    /// It asks for too much (413).
    TooLarge,
}

/// An error in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyProblem {
    /// The kind.
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub detail: String,
    /// The offset in the body, in bytes.
    pub offset: usize,
}

pub(super) type BodyResult<T> = Result<T, BodyProblem>;

pub(super) fn malformed(detail: impl Into<String>, offset: usize) -> BodyProblem {
    BodyProblem {
        kind: ProblemKind::Malformed,
        detail: detail.into(),
        offset,
    }
}

pub(super) fn invalid(detail: impl Into<String>, offset: usize) -> BodyProblem {
    BodyProblem {
        kind: ProblemKind::Invalid,
        detail: detail.into(),
        offset,
    }
}
