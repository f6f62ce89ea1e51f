//! Series: events of one entity in a sorted set, and what is said of the events in a window.

pub mod member;
pub mod range;
