//! The socket of an HTTP connection, as its transport has it.

use std::os::fd::{BorrowedFd, RawFd};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use socket2::SockRef;

/// Where the answers of a connection go: its transport, and what most of them can be sent by.
pub(super) struct Wire {
    transport: Py<PyAny>,
    socket: Option<RawFd>,
}

impl Wire {
    /// That of a transport of asyncio.
    pub(super) fn of(transport: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = transport.py();
        let info = |name| transport.call_method1(intern!(py, "get_extra_info"), (name,));
        let socket = info("socket")?;
        // What a transport encrypts, only it can send.
        let plain = info("sslcontext")?.is_none() && !socket.is_none();
        let socket = plain.then(|| socket.call_method0("fileno")?.extract());
        Ok(Self {
            transport: transport.clone().unbind(),
            socket: socket.transpose()?.filter(|&socket| socket >= 0),
        })
    }

    /// Whether what is sent now comes behind everything that was written, to who is still there.
    pub(super) fn is_clear(&self, py: Python<'_>) -> PyResult<bool> {
        if self.socket.is_none() {
            return Ok(false);
        }
        let transport = self.transport.bind(py);
        // One that is closing may have given its descriptor back, and others get it next.
        let closing = transport.call_method0(intern!(py, "is_closing"))?;
        if closing.is_truthy()? {
            return Ok(false);
        }
        let held = transport.call_method0(intern!(py, "get_write_buffer_size"))?;
        Ok(!held.is_truthy()?)
    }

    /// Sends what the system takes at once; how much that was. It has to be clear.
    ///
    /// What a transport would do first with bytes given to `write`, without making an object of them.
    pub(super) fn send(&self, bytes: &[u8]) -> usize {
        let Some(socket) = self.socket else {
            return 0;
        };
        // SAFETY: The descriptor is open. The transport owns it, and `is_clear` asked whether that is
        // closing; no other code ran since.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // What is wrong with the connection, the transport finds out with the rest.
        SockRef::from(&socket)
            .send_with_flags(bytes, flags)
            .unwrap_or(0)
    }

    /// Has the transport send it when it can.
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
