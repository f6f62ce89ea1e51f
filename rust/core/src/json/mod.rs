//! JSON: the body of a read request, and its answer.

mod cursor;
mod inputs;
mod problem;
mod render;
mod request;

pub use inputs::{RequestInputs, missing, unknown};
pub use problem::{BodyProblem, ProblemKind};
pub use render::{add_as_of, render_many, render_one};
pub use request::{ReadRequest, parse_read_request};
