//! Settings of connections. `fscore/config.py` gives all of them by name.

use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict};

use fscore_core::connection::{Config, ServerInfo};

/// The most bytes that a reply to a generic command may take in memory.
pub(crate) const MAX_REPLY: usize = 256 << 20;

/// The settings of the protocol. Unknown names are refused, because a misspelt setting must not be
/// silent.
pub(crate) fn connection(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Config> {
    let mut config = Config::default();
    for (name, value) in settings.into_iter().flatten() {
        let name: String = name.extract()?;
        if !apply(&mut config, &name, &value)? {
            return Err(unknown(&name));
        }
    }
    Ok(config)
}

/// Sets one setting; `false` if there is none of this name.
pub(crate) fn apply(config: &mut Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match name {
        "username" => config.username = value.extract()?,
        "password" => config.password = value.extract()?,
        "client_name" => config.client_name = value.extract()?,
        "library_version" => config.library_version = value.extract()?,
        "database" => config.database = value.extract()?,
        "prefer_resp3" => config.prefer_resp3 = value.extract()?,
        "connect_timeout" => config.connect_timeout = duration(value)?,
        "max_in_flight" => config.max_in_flight = value.extract()?,
        "max_bytes_in_flight" => config.max_bytes = value.extract()?,
        "max_push" => config.max_push = value.extract()?,
        "max_bulk_length" => config.limits.blob = value.extract()?,
        "max_aggregate_length" => config.limits.aggregate = value.extract()?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A setting in seconds.
pub(crate) fn duration(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = value.extract()?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyTypeError::new_err(format!("{seconds} is not a duration in seconds")))
}

/// The error for a setting that does not exist.
pub(crate) fn unknown(name: &str) -> PyErr {
    PyTypeError::new_err(format!("a connection has no setting {name:?}"))
}

/// The server's information about itself.
pub(crate) fn server_info<'py>(
    py: Python<'py>,
    server: &ServerInfo,
) -> PyResult<Bound<'py, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("server", &server.server)?;
    info.set_item("version", &server.version)?;
    info.set_item("mode", &server.mode)?;
    info.set_item("role", &server.role)?;
    info.set_item("id", server.id)?;
    info.set_item("protocol", server.protocol)?;
    Ok(info)
}
