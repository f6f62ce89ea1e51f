use std::fmt;
use std::time::Duration;

use crate::resp::Limits;

/// How a connection greets, and what it may hold. The defaults of settings live in
/// `fscore/config.py`; those here serve tests.
#[derive(Clone)]
pub struct Config {
    /// The ACL user; `default` if only a password is given.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// What `CLIENT LIST` shows as `name`; no spaces.
    pub client_name: Option<String>,
    /// What `CLIENT LIST` shows as `lib-name`, on servers that know it.
    pub library_name: String,
    /// What `CLIENT LIST` shows as `lib-ver`, on servers that know it.
    pub library_version: String,
    /// The database to select.
    pub database: u32,
    /// Whether to ask for RESP3 first.
    pub prefer_resp3: bool,
    /// How long it may take until the connection is ready, counted from its creation.
    pub connect_timeout: Duration,
    /// How many jobs and tombstones there may be.
    pub max_in_flight: usize,
    /// How many encoded bytes they may have; one job alone may exceed it.
    pub max_bytes: usize,
    /// How many bytes one pushed message may have.
    pub max_push: usize,
    /// Limits of the scanner.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            username: None,
            password: None,
            client_name: None,
            library_name: "fscore".to_owned(),
            library_version: env!("CARGO_PKG_VERSION").to_owned(),
            database: 0,
            prefer_resp3: true,
            connect_timeout: Duration::from_secs(2),
            max_in_flight: 10_000,
            max_bytes: 64 << 20,
            max_push: 1 << 20,
            limits: Limits::default(),
        }
    }
}

impl fmt::Debug for Config {
    /// Without the password: configurations end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("client_name", &self.client_name)
            .field("database", &self.database)
            .field("prefer_resp3", &self.prefer_resp3)
            .finish_non_exhaustive()
    }
}
