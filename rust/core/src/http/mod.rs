//! A read request over HTTP/1.1: its query string and its API key, the head of a request that is
//! plain enough to be answered without a web framework, and the head of that answer.

mod answer;
mod api_keys;
mod credentials;
mod fields;
mod head;
mod query;
mod selection;
mod trace;

pub use answer::{Answer, AnswerHead};
pub use api_keys::{ApiKey, ApiKeys, Denied, Scope};
pub use credentials::{API_KEY_PREFIX, Credentials, Refusal, api_key_hash};
pub use fields::{MAX_REQUEST_ID, is_request_id, timeout_ms};
pub use head::{Head, Method};
pub use query::{Parameter, QueryProblem, ReadQuery, parameters};
pub use selection::{Named, Selections};
pub use trace::{Roots, Trace};
