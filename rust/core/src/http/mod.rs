//! What a read request is written in over HTTP/1.1: its query string, the head of one that is plain
//! enough to be answered without a web framework, and the head of that answer.

mod answer;
mod fields;
mod head;
mod query;
mod selection;

pub use answer::{Answer, AnswerHead};
pub use fields::{MAX_REQUEST_ID, is_request_id, timeout_ms};
pub use head::{Head, Method};
pub use query::{Parameter, QueryProblem, ReadQuery, parameters};
pub use selection::{Named, Selections};
