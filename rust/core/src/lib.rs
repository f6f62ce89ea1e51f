//! The sans-IO core of fscore.
//!
//! Pure functions and state machines: RESP encoding and scanning, hash slots, the key codec,
//! compiled read plans, decoding of replies into typed cells, packed rows, the connection state
//! machine, retry decisions and JSON. No Python, sockets, threads or clocks: bytes and times are
//! arguments.
#![forbid(unsafe_code)]

pub mod cluster;
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "ids count from the first that is queued, and what is queued is in memory; a window is a \
              few thousand commands, measured in fractions of a second"
)]
pub mod connection;
pub mod convert;
pub mod error;
pub mod event_time;
pub mod expression;
pub mod flag;
pub mod http;
pub mod json;
pub mod key;
pub mod keys;
pub mod packed;
pub mod plan;
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a result has fewer than 2^32 rows and at most 4 GiB of text; integers and floats of \
              series become the nearest value of their feature's type"
)]
pub mod read;
pub mod reconnect;
pub mod resp;
pub mod retry;
#[expect(clippy::cast_possible_wrap, reason = "a call has fewer than 2^63 keys")]
pub mod script;
pub mod series;
pub mod slot;
pub mod table;
mod text;
pub mod timestamp;
pub mod types;
pub mod value;
pub mod write;
