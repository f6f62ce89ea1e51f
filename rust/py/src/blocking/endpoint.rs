use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use rustls::ClientConfig;
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::stream::Stream;
use super::tls::{self, TlsSettings};
use fscore_core::error::ErrorKind;

use crate::errors::Fault;

/// Keepalive does not notice a dead peer while data is in flight, so an unacknowledged byte ends
/// the connection after this time.
const USER_TIMEOUT: Duration = Duration::from_millis(1500);
/// The smallest that Linux takes.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// Where the server is and how to reach it. Names are resolved at each dial, because addresses
/// change when servers move.
#[derive(Default)]
pub(super) struct Endpoint {
    host: Option<String>,
    port: u16,
    path: Option<String>,
    tls: bool,
    tls_settings: TlsSettings,
    tls_config: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// Sets one setting; `false` if there is none of this name.
    pub(super) fn apply(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        match name {
            "host" => self.host = value.extract()?,
            "port" => self.port = value.extract()?,
            "path" => self.path = value.extract()?,
            "tls" => self.tls = value.extract()?,
            _ => return self.tls_settings.apply(name, value),
        }
        Ok(true)
    }

    /// Checks the settings and reads the files they name, once.
    pub(super) fn prepare(&mut self) -> PyResult<()> {
        if self.host.is_some() == self.path.is_some() {
            return Err(PyTypeError::new_err("give either host and port, or path"));
        }
        if self.path.is_some() && self.tls {
            return Err(PyTypeError::new_err("a unix socket does not speak TLS"));
        }
        if self.tls {
            self.tls_config = Some(tls::client_config(&self.tls_settings)?);
        }
        Ok(())
    }

    /// A connected stream, within `timeout`.
    pub(super) fn dial(&self, timeout: Duration) -> Result<Stream, Fault> {
        let failed = |error: &io::Error| {
            let message =
                format!("cannot connect to {self}: {error}; is the server running there?");
            Fault::new(ErrorKind::Unavailable, message)
        };
        if let Some(path) = &self.path {
            let socket = connect_unix(path, timeout).map_err(|error| failed(&error))?;
            return Ok(Stream::plain(socket));
        }
        let host = self.host.as_deref().unwrap_or_default();
        let socket = connect_tcp(host, self.port, timeout).map_err(|error| failed(&error))?;
        match &self.tls_config {
            None => Ok(Stream::plain(socket)),
            Some(config) => {
                let name = self.tls_settings.server_name.as_deref().unwrap_or(host);
                Stream::tls(socket, Arc::clone(config), name)
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, &self.host) {
            (Some(path), _) => write!(f, "{path}"),
            (None, Some(host)) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            (None, host) => write!(f, "{}:{}", host.as_deref().unwrap_or_default(), self.port),
        }
    }
}

fn connect_unix(path: &str, timeout: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect_timeout(&SockAddr::unix(path)?, timeout)?;
    Ok(socket)
}

fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let begun = Instant::now();
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    for (index, &address) in addresses.iter().enumerate() {
        // An address that does not answer leaves the others their share of the time.
        let untried = (addresses.len() - index) as u32;
        let share = timeout.saturating_sub(begun.elapsed()) / untried;
        if share.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        match socket.connect_timeout(&address.into(), share) {
            Ok(()) => {
                socket.set_tcp_nodelay(true)?;
                let keepalive = TcpKeepalive::new()
                    .with_time(KEEPALIVE)
                    .with_interval(KEEPALIVE)
                    .with_retries(2);
                socket.set_tcp_keepalive(&keepalive)?;
                #[cfg(target_os = "linux")]
                socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
