//! What can be wrong with a body.

/// What kind of fault a body has; each is a status of its own over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// It is no JSON (400).
    Malformed,
    /// It is JSON, but no read request (422).
    Invalid,
    /// It asks for too much (413).
    TooLarge,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyProblem {
    /// The kind of fault.
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub detail: String,
    /// Where in the body, in bytes.
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
