//! Hash slots of keys, for tests and tools.

use pyo3::prelude::*;

/// The cluster's hash slot of `key`, 0 to 16,383, as `CLUSTER KEYSLOT` answers.
#[pyfunction]
pub(crate) fn key_slot(key: &[u8]) -> u16 {
    fscore_core::slot::of(key)
}
