//! Plain reads over HTTP, answered before ASGI: from the request's bytes to the answer's, without a
//! task, a future or a Python object per value.

mod connection;
mod counters;
mod reads;

pub(crate) use connection::HotConnection;
pub(crate) use counters::RouteCounters;
pub(crate) use reads::HotReads;
