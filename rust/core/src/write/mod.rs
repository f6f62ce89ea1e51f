//! Writes: rows of a view to commands, and the replies to them.

mod batch;

pub use batch::{Expiry, Outcome, WriteBatch, WritePart};
