//! What a read request is written in over HTTP/1.1: its query string, and the head of one that is
//! plain enough to be answered without a web framework.

mod head;
mod query;

pub use head::{Head, Method};
pub use query::{Parameter, QueryProblem, ReadQuery, parameters};
