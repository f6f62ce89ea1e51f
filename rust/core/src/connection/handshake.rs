use std::collections::VecDeque;

use super::config::Config;
use super::event::HandshakeError;
use crate::error::{ErrorKind, classify};
use crate::resp::{Reply, ReplyBuilder, Scanned, encode};

/// A HELLO reply has seven short fields; modules add some.
const LARGEST_REPLY: usize = 64 << 10;

/// Who the server said it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// 2 or 3; 0 until known.
    pub protocol: u8,
    /// `redis` or `valkey`; empty if the server does not know HELLO.
    pub server: String,
    /// Its version.
    pub version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// `master` or `replica`.
    pub role: String,
    /// The connection's id, as in `CLIENT LIST`.
    pub id: Option<i64>,
}

/// The first commands of a connection and what their replies mean.
///
/// They leave in one write, so a connection is ready after one round trip. A server that does not
/// know HELLO has authenticated nobody, and so may have refused the commands behind it too. The
/// client then sends them all again in RESP2, in a second round.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) server: ServerInfo,
    pending: VecDeque<HandshakeCommand>,
    builder: ReplyBuilder,
    round: Round,
    failure: Option<HandshakeError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Resp3,
    /// HELLO was refused. The replies to the commands behind it are read and ignored.
    GivingUp,
    Resp2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandshakeCommand {
    Hello,
    Auth,
    Select,
    SetName,
    /// Best effort: servers before 7.2 do not know it, and users need no right to it.
    SetInfo,
}

pub(super) enum Progress {
    Waiting,
    Ready,
    Failed(HandshakeError),
    Unexpected,
}

impl Default for Handshake {
    fn default() -> Self {
        Handshake {
            server: ServerInfo::default(),
            pending: VecDeque::new(),
            builder: ReplyBuilder::new(LARGEST_REPLY),
            round: Round::Resp3,
            failure: None,
        }
    }
}

impl Handshake {
    pub(super) fn start(&mut self, config: &Config, out: &mut Vec<u8>) {
        if config.prefer_resp3 {
            self.send_resp3(config, out);
        } else {
            self.send_resp2(config, out);
        }
    }

    pub(super) fn token(
        &mut self,
        scanned: &Scanned<'_>,
        config: &Config,
        out: &mut Vec<u8>,
    ) -> Progress {
        self.builder.token(scanned.token);
        if !scanned.last {
            return Progress::Waiting;
        }
        let (Ok(reply), Some(command)) = (self.builder.finish(), self.pending.pop_front()) else {
            return Progress::Unexpected;
        };
        self.reply(command, &reply);
        if !self.pending.is_empty() {
            return Progress::Waiting;
        }
        if let Some(error) = self.failure.take() {
            return Progress::Failed(error);
        }
        if self.round == Round::GivingUp {
            self.send_resp2(config, out);
            return Progress::Waiting;
        }
        Progress::Ready
    }

    fn reply(&mut self, command: HandshakeCommand, reply: &Reply) {
        if let Reply::Error(text) = reply {
            self.refused(command, text);
        } else if command == HandshakeCommand::Hello {
            self.greeted(reply);
        }
    }

    fn refused(&mut self, command: HandshakeCommand, text: &[u8]) {
        if self.round == Round::GivingUp || self.failure.is_some() {
            return;
        }
        let kind = classify(text).kind;
        let error = match command {
            HandshakeCommand::Hello if knows_no_hello(text) => {
                self.round = Round::GivingUp;
                return;
            }
            HandshakeCommand::SetInfo if kind != ErrorKind::AuthenticationFailed => return,
            // "ERR AUTH called without any password configured" and its like have no code.
            HandshakeCommand::Auth if kind == ErrorKind::ConfigError => {
                HandshakeError::authentication("AUTH", text)
            }
            HandshakeCommand::Hello if text.starts_with(b"ERR Client sent AUTH") => {
                HandshakeError::authentication("HELLO", text)
            }
            HandshakeCommand::Hello => HandshakeError::server("HELLO", text),
            HandshakeCommand::Auth => HandshakeError::server("AUTH", text),
            HandshakeCommand::Select => HandshakeError::server("SELECT", text),
            HandshakeCommand::SetName => HandshakeError::server("CLIENT SETNAME", text),
            HandshakeCommand::SetInfo => HandshakeError::server("CLIENT SETINFO", text),
        };
        self.failure = Some(error);
    }

    fn greeted(&mut self, reply: &Reply) {
        let text = |key: &[u8]| {
            let bytes = reply
                .field(key)
                .and_then(Reply::as_bytes)
                .unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        self.server = ServerInfo {
            protocol: 3,
            server: text(b"server"),
            version: text(b"version"),
            mode: text(b"mode"),
            role: text(b"role"),
            id: match reply.field(b"id") {
                Some(&Reply::Integer(id)) => Some(id),
                _ => None,
            },
        };
    }

    fn send_resp3(&mut self, config: &Config, out: &mut Vec<u8>) {
        let mut hello: Vec<&str> = vec!["HELLO", "3"];
        if let Some(password) = &config.password {
            hello.extend([
                "AUTH",
                config.username.as_deref().unwrap_or("default"),
                password,
            ]);
        }
        if let Some(name) = &config.client_name {
            hello.extend(["SETNAME", name]);
        }
        self.send(HandshakeCommand::Hello, &hello, out);
        self.send_common(config, out);
    }

    fn send_resp2(&mut self, config: &Config, out: &mut Vec<u8>) {
        self.round = Round::Resp2;
        self.server.protocol = 2;
        match (&config.username, &config.password) {
            (Some(user), Some(password)) => {
                self.send(HandshakeCommand::Auth, &["AUTH", user, password], out);
            }
            (None, Some(password)) => self.send(HandshakeCommand::Auth, &["AUTH", password], out),
            (_, None) => {}
        }
        if let Some(name) = &config.client_name {
            self.send(HandshakeCommand::SetName, &["CLIENT", "SETNAME", name], out);
        }
        self.send_common(config, out);
    }

    fn send_common(&mut self, config: &Config, out: &mut Vec<u8>) {
        if config.database != 0 {
            self.send(
                HandshakeCommand::Select,
                &["SELECT", &config.database.to_string()],
                out,
            );
        }
        let name = ["CLIENT", "SETINFO", "LIB-NAME", &config.library_name];
        self.send(HandshakeCommand::SetInfo, &name, out);
        let version = ["CLIENT", "SETINFO", "LIB-VER", &config.library_version];
        self.send(HandshakeCommand::SetInfo, &version, out);
    }

    fn send(&mut self, command: HandshakeCommand, arguments: &[&str], out: &mut Vec<u8>) {
        self.pending.push_back(command);
        encode::command(out, arguments);
    }
}

/// Servers before 6.0 and some proxies do not have HELLO, and an ACL may forbid it alone.
fn knows_no_hello(text: &[u8]) -> bool {
    [b"ERR unknown command".as_slice(), b"NOPROTO", b"NOPERM"]
        .iter()
        .any(|beginning| text.starts_with(beginning))
}
