//! The extension module `fscore._fscore`: the only crate that knows Python.

mod array;
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "jitter has 53 bits, addresses are few, and deadlines are seconds"
)]
mod blocking;
mod command;
mod config;
mod connection;
mod errors;
mod event_time;
mod expression;
mod http;
mod input;
mod job;
mod json;
mod keys;
mod plan;
mod query;
mod reconnect;
mod reply;
mod slot;
mod table;
mod value;
mod write;

/// A read allocates some thirty small pieces of memory, which live for a millisecond.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Rust core of fscore.
// An interpreter without a GIL turns it on for this module: that its objects bear several threads at
// once has been tested with the GIL alone.
#[pyo3::pymodule(gil_used = true)]
mod _fscore {
    #[pymodule_export]
    use crate::blocking::BlockingPool;
    #[pymodule_export]
    use crate::connection::Connection;
    #[pymodule_export]
    use crate::event_time::{event_time_fault, event_time_limits};
    #[pymodule_export]
    use crate::expression::{CompiledExpression, format_expression};
    #[pymodule_export]
    const MAX_EXPRESSION_DEPTH: usize = fscore_core::expression::MAX_DEPTH;
    #[pymodule_export]
    use crate::http::{ApiKeys, Caller, api_key_hash};
    #[pymodule_export]
    use crate::http::{HotConnection, HotReads, RouteCounters, is_request_id, parse_timeout_ms};
    #[pymodule_export]
    use crate::http::{Trace, Traces};
    #[pymodule_export]
    const API_KEY_PREFIX: &str = fscore_core::http::API_KEY_PREFIX;
    #[pymodule_export]
    const MAX_REQUEST_ID: usize = fscore_core::http::MAX_REQUEST_ID;
    #[pymodule_export]
    use crate::json::{ReadRequest, RequestInputs, parse_read_request};
    #[pymodule_export]
    use crate::keys::KeyColumns;
    #[pymodule_export]
    use crate::plan::ReadPlan;
    #[pymodule_export]
    use crate::query::{ReadQuery, parse_as_of, parse_query, parse_timestamp};
    #[pymodule_export]
    use crate::reconnect::{ReconnectBackoff, reconnect_pause};
    #[pymodule_export]
    use crate::reply::ReplyParser;
    #[pymodule_export]
    use crate::slot::key_slot;
    #[pymodule_export]
    use crate::table::FeatureTable;
    #[pymodule_export]
    use crate::table::pickle::unpickle_table;
    #[pymodule_export]
    use crate::write::{LayoutCopy, WriteBatch, WritePlan};
}
