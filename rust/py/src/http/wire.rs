//! The socket of an HTTP connection's transport.

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use socket2::SockRef;

/// Sends the answers of a connection: by its transport, or directly by its socket if possible.
pub(super) struct Wire {
    transport: Py<PyAny>,
    socket: Option<RawFd>,
}

impl Wire {
    /// The wire of an asyncio transport.
    pub(super) fn of(transport: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = transport.py();
        let info = |name| transport.call_method1(intern!(py, "get_extra_info"), (name,));
        let socket = info("socket")?;
        // Only the transport can send if it encrypts.
        let plain = info("sslcontext")?.is_none() && !socket.is_none();
        let socket = plain.then(|| socket.call_method0("fileno")?.extract());
        Ok(Self {
            transport: transport.clone().unbind(),
            socket: socket.transpose()?.filter(|&socket| socket >= 0),
        })
    }

    /// Whether bytes that are sent now come after all that was written, and the connection is open.
    pub(super) fn is_clear(&self, py: Python<'_>) -> PyResult<bool> {
        if self.socket.is_none() {
            return Ok(false);
        }
        let transport = self.transport.bind(py);
        // A closing transport may have closed its descriptor, and another socket may have it now.
        let closing = transport.call_method0(intern!(py, "is_closing"))?;
        if closing.is_truthy()? {
            return Ok(false);
        }
        let held = transport.call_method0(intern!(py, "get_write_buffer_size"))?;
        Ok(!held.is_truthy()?)
    }

    /// Sends as many bytes as the system takes at once, and returns their number. The wire must be
    /// clear ([`is_clear`](Self::is_clear)).
    ///
    /// A transport's `write` does the same first, but needs a Python object of the bytes.
    pub(super) fn send(&self, bytes: &[u8]) -> usize {
        let Some(socket) = self.socket else {
            return 0;
        };
        // SAFETY: The descriptor is open. The transport owns it, and `is_clear` asked whether that
        // is closing; no other code ran since.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // If this fails, the transport finds out when it sends the rest.
        SockRef::from(&socket)
            .send_with_flags(bytes, flags)
            .unwrap_or(0)
    }

    /// Gives the bytes to the transport, which sends them when it can.
    pub(super) fn write(&self, py: Python<'_>, bytes: Bound<'_, PyBytes>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        transport
            .call_method1(intern!(py, "write"), (bytes,))
            .map(drop)
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            transport: self.transport.clone_ref(py),
            socket: self.socket,
        }
    }
}
