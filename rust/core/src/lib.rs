//! The sans-IO core of fscore.
//!
//! Pure functions and state machines: RESP encoding and scanning, hash slots, the key codec,
//! compiled read plans, decoding of replies into typed cells, the connection state machine, retry
//! decisions and JSON. No Python, sockets, threads or clocks: bytes and times are arguments.
#![forbid(unsafe_code)]

pub mod connection;
pub mod error;
pub mod resp;
pub mod retry;
