//! All conversions of errors to Python exceptions. Their classes are in `fscore.errors`.

use fscore_core::error::{ErrorKind, classify, printable};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};

static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// An exception of `fscore.errors` with this message and these attributes.
pub(crate) fn new(
    py: Python<'_>,
    class: &str,
    message: &str,
    attributes: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> PyErr {
    let make = || {
        let module =
            MODULE.get_or_try_init(py, || py.import("fscore.errors").map(Bound::unbind))?;
        let keywords = PyDict::new(py);
        attributes(&keywords)?;
        module
            .bind(py)
            .getattr(class)?
            .call((message,), Some(&keywords))
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

pub(crate) fn invalid_keys(
    py: Python<'_>,
    message: &str,
    join_key: Option<&str>,
    row: Option<usize>,
) -> PyErr {
    new(py, "InvalidKeys", message, |attributes| {
        attributes.set_item("join_key", join_key)?;
        attributes.set_item("row", row)
    })
}

pub(crate) fn invalid_value(
    py: Python<'_>,
    message: &str,
    feature: Option<&str>,
    row: Option<usize>,
) -> PyErr {
    new(py, "InvalidValue", message, |attributes| {
        attributes.set_item("feature", feature)?;
        attributes.set_item("row", row)
    })
}

pub(crate) fn invalid_argument(py: Python<'_>, message: &str, argument: &str) -> PyErr {
    new(py, "InvalidArgument", message, |attributes| {
        attributes.set_item("argument", argument)
    })
}

pub(crate) fn invalid_definition(py: Python<'_>, message: &str) -> PyErr {
    new(py, "InvalidDefinition", message, |_| Ok(()))
}

/// A read of more rows than the client allows.
pub(crate) fn too_many_rows(py: Python<'_>, rows: usize, limit: usize) -> PyErr {
    let message =
        format!("{rows} rows are asked for, and max_keys allows {limit}; ask for fewer at a time");
    new(py, "RequestTooLarge", &message, |attributes| {
        attributes.set_item("limit", limit)
    })
}

/// A result is larger than a form of it can be.
pub(crate) fn too_large(py: Python<'_>, message: &str, limit: i32) -> PyErr {
    new(py, "RequestTooLarge", message, |attributes| {
        attributes.set_item("limit", limit)
    })
}

/// A client was used in a child of the process that made it.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let message = "this client was connected before the process forked, and its sockets belong to \
                   the parent; connect again in the child";
    new(py, "ForkedProcess", message, |_| Ok(()))
}

/// A failure of the server, the network or the configuration. It becomes an exception later,
/// because it is made while the interpreter may be detached.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// The code of the server's error, if one is the cause.
    reason: Option<String>,
    /// The pause before the request is sent again, if it is.
    pause: Option<Duration>,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Fault {
            kind,
            message: message.into(),
            reason: None,
            pause: None,
        }
    }

    /// The failure of an error reply.
    pub(crate) fn server(text: &[u8]) -> Self {
        let known = classify(text);
        let code = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        let advice = match (known.code, known.kind) {
            ("WRONGTYPE", _) => "; the key holds another type than the command is for",
            ("CROSSSLOT", _) => "; the keys of one command must share a hash tag",
            ("NOPERM", _) => "; give the ACL user the right, or use another user",
            ("OOM", _) => "; raise maxmemory or let keys expire",
            (_, ErrorKind::AuthenticationFailed) => "; check the user name and the password",
            _ => "",
        };
        Fault {
            kind: known.kind,
            message: format!("the server answered {:?}{advice}", printable(text)),
            reason: Some(printable(code)),
            pause: None,
        }
    }

    /// Adds to the message.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }

    /// Tells the driver to send the request again after `pause`.
    pub(crate) fn retried_after(self, pause: Duration) -> Self {
        Fault {
            pause: Some(pause),
            ..self
        }
    }

    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        let class = match self.kind {
            ErrorKind::DeadlineExceeded => "DeadlineExceeded",
            ErrorKind::Unavailable => "Unavailable",
            ErrorKind::Overloaded => "Overloaded",
            ErrorKind::WriteRejected => "WriteRejected",
            ErrorKind::ProtocolError => "ProtocolError",
            ErrorKind::ConfigError => "ConfigError",
            ErrorKind::AuthenticationFailed => "AuthenticationFailed",
        };
        let error = new(py, class, &self.message, |attributes| match self.kind {
            ErrorKind::WriteRejected => attributes.set_item("reason", &self.reason),
            _ => Ok(()),
        });
        if let Some(code) = &self.reason
            && let Err(error) = error.value(py).setattr("redis_code", code)
        {
            return error;
        }
        if let Some(pause) = self.pause {
            // The asyncio driver reads this attribute, and sends the request again.
            if let Err(error) = error.value(py).setattr("_retry_after", pause.as_secs_f64()) {
                return error;
            }
        }
        error
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        Python::attach(|py| fault.into_exception(py))
    }
}
