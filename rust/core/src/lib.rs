//! The sans-IO core of fscore.
//!
//! Pure functions and state machines: RESP encoding and scanning, hash slots, the key codec,
//! compiled read plans, decoding of replies into typed cells, packed rows, the connection state
//! machine, retry decisions and JSON. No Python, sockets, threads or clocks: bytes and times are
//! arguments.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod connection;
pub mod error;
pub mod expression;
pub mod flag;
pub mod http;
pub mod json;
pub mod key;
pub mod keys;
pub mod moment;
pub mod packed;
pub mod plan;
pub mod read;
pub mod reconnect;
pub mod resp;
pub mod retry;
pub mod script;
pub mod series;
pub mod slot;
pub mod table;
mod text;
pub mod types;
pub mod value;
pub mod write;
