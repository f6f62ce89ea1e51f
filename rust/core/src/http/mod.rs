//! Requests in HTTP/1.1 that are plain enough to be answered without a web framework.

mod head;

pub use head::{Head, Method};
