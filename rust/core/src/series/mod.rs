//! Series: events of one entity in a sorted set, and the windows over them.

pub mod member;
pub mod range;
