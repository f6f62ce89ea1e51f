//! RESP2 and RESP3: encoding of commands, and a resumable scanner of replies.
//!
//! The scanner hands out flat tokens instead of a tree of values, because most replies go straight
//! into columns; [`reply`] builds the owned tree for the few that do not.

pub mod encode;
pub mod limits;
pub mod reply;
pub mod scan;
pub mod token;

pub use limits::{Limits, ScanError, ScanErrorKind};
pub use reply::{Reply, ReplyBuilder, ReplyTooLarge};
pub use scan::{Scanned, Scanner};
pub use token::Token;
