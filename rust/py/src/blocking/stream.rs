use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::Socket;

use fscore_core::error::ErrorKind;

use crate::errors::Fault;

/// A socket's own timeout is rounded up to the kernel's ticks, 4 ms as a rule; below this the
/// difference matters, and a second system call does not.
const COARSE: Duration = Duration::from_millis(20);

/// A connected socket, with or without TLS.
pub(super) struct Stream {
    transport: Transport,
    read_timeout: Duration,
    write_timeout: Duration,
}

enum Transport {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

/// What has arrived on an idle stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    Bytes,
    End,
}

impl Stream {
    pub(super) fn plain(socket: Socket) -> Self {
        Stream::new(Transport::Plain(socket))
    }

    /// The TLS handshake itself happens with the first bytes.
    pub(super) fn tls(
        socket: Socket,
        config: Arc<ClientConfig>,
        name: &str,
    ) -> Result<Self, Fault> {
        let wrong = |error: &dyn std::fmt::Display| {
            Fault::new(
                ErrorKind::ConfigError,
                format!("{name:?} is not a valid TLS server name: {error}"),
            )
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|error| wrong(&error))?;
        let session = ClientConnection::new(config, name).map_err(|error| wrong(&error))?;
        Ok(Stream::new(Transport::Tls(Box::new(StreamOwned::new(
            session, socket,
        )))))
    }

    fn new(transport: Transport) -> Self {
        Stream {
            transport,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
        }
    }

    fn socket(&self) -> &Socket {
        match &self.transport {
            Transport::Plain(socket) => socket,
            Transport::Tls(stream) => &stream.sock,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Looks at what has arrived without taking it.
    pub(super) fn pending(&self) -> Pending {
        let mut byte = [MaybeUninit::uninit()];
        match self
            .socket()
            .recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        {
            Ok(0) => Pending::End,
            Ok(_) => Pending::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pending::Nothing,
            Err(_) => Pending::End,
        }
    }

    /// Reads once, waiting for at most `timeout` and possibly less.
    pub(super) fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if let Some(new) = changed(self.read_timeout, timeout) {
            self.socket().set_read_timeout(Some(new))?;
            self.read_timeout = new;
        }
        match &mut self.transport {
            Transport::Plain(socket) => {
                if timeout < COARSE && !is_readable(socket, timeout)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                socket.read(buffer)
            }
            Transport::Tls(stream) => stream.read(buffer),
        }
    }

    /// Writes once, waiting for at most `timeout` and possibly less.
    pub(super) fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<usize> {
        if let Some(new) = changed(self.write_timeout, timeout) {
            self.socket().set_write_timeout(Some(new))?;
            self.write_timeout = new;
        }
        match &mut self.transport {
            Transport::Plain(socket) => socket.write(bytes),
            Transport::Tls(stream) => stream.write(bytes),
        }
    }

    /// Pushes out what TLS still holds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.transport {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(stream) => stream.flush(),
        }
    }
}

/// Waits for bytes, as precisely as Linux can.
fn is_readable(socket: &Socket, timeout: Duration) -> io::Result<bool> {
    let mut entry = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
    };
    // SAFETY: one entry is passed and one is there, and the kernel keeps neither pointer.
    let ready = unsafe { libc::ppoll(&raw mut entry, 1, &raw const timeout, std::ptr::null()) };
    if ready < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ready > 0)
    }
}

/// The timeout to set, if the one that is set is longer than wanted or much shorter.
///
/// After a timeout the caller looks at the clock and reads again, so a shorter one does no harm.
/// Setting three quarters of what is wanted saves a system call in most calls with one timeout.
fn changed(set: Duration, wanted: Duration) -> Option<Duration> {
    let fits = set <= wanted && set >= wanted / 2 && !set.is_zero();
    (!fits).then(|| (wanted / 4 * 3).max(Duration::from_micros(100)))
}
