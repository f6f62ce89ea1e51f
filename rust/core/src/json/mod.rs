//! JSON: the body of a read request, and its answer.

mod render;
mod request;
mod text;

pub use render::{render_many, render_one};
pub use request::{Problem, ProblemKind, ReadRequest, parse_read_request};
pub use text::{string, write_string};
