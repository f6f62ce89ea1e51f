//! The meaning of a server's error reply: its code, its retry class, and the error of the caller.

use std::borrow::Cow;

/// The error of the caller. Each has an exception class in `fscore.errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The deadline passed.
    DeadlineExceeded,
    /// The server cannot be reached, or cannot answer now.
    Unavailable,
    /// A bound of this client is reached; the server was not asked.
    Overloaded,
    /// The server refuses writes now.
    WriteRejected,
    /// The peer does not speak RESP, or its answer does not fit the command.
    ProtocolError,
    /// The command cannot succeed with this configuration.
    ConfigError,
    /// The credentials were refused, or are missing.
    AuthenticationFailed,
}

/// When and where the same command may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Not until a person changes something.
    Never,
    /// On the same connection, after a pause.
    Later,
    /// On another connection, after looking up again which node serves the key: this one lost its
    /// role, or is still starting.
    Elsewhere,
    /// On the node that the reply names (`MOVED`).
    Moved,
    /// Once on the node that the reply names, after `ASKING`.
    Ask,
    /// After loading the script on this node.
    LoadScript,
}

/// A code that begins a server's error, and its consequences.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerCode {
    /// The first word of the error.
    pub code: &'static str,
    /// When to send the command again.
    pub retry: RetryClass,
    /// The caller's error if the command is not sent again.
    pub kind: ErrorKind,
    /// Whether a command with this reply certainly changed nothing.
    pub unchanged: bool,
}

const fn code(code: &'static str, retry: RetryClass, kind: ErrorKind) -> ServerCode {
    ServerCode {
        code,
        retry,
        kind,
        unchanged: true,
    }
}

/// Every code that a client handles in its own way. All others are [`UNKNOWN`].
pub static SERVER_CODES: &[ServerCode] = &[
    // The node is there but cannot answer now.
    code("LOADING", RetryClass::Elsewhere, ErrorKind::Unavailable),
    code("BUSY", RetryClass::Later, ErrorKind::Unavailable),
    code("MASTERDOWN", RetryClass::Elsewhere, ErrorKind::Unavailable),
    code("CLUSTERDOWN", RetryClass::Elsewhere, ErrorKind::Unavailable),
    code("TRYAGAIN", RetryClass::Later, ErrorKind::Unavailable),
    code("READONLY", RetryClass::Elsewhere, ErrorKind::Unavailable),
    code("UNBLOCKED", RetryClass::Elsewhere, ErrorKind::Unavailable),
    // Another node has the key.
    code("MOVED", RetryClass::Moved, ErrorKind::Unavailable),
    code("ASK", RetryClass::Ask, ErrorKind::Unavailable),
    // Writes are refused while reads go on.
    code("OOM", RetryClass::Later, ErrorKind::WriteRejected),
    code("MISCONF", RetryClass::Later, ErrorKind::WriteRejected),
    code("NOREPLICAS", RetryClass::Later, ErrorKind::WriteRejected),
    ServerCode {
        // The master executed it, but too few replicas acknowledged it.
        unchanged: false,
        ..code("NOGOODSLAVE", RetryClass::Later, ErrorKind::WriteRejected)
    },
    // The transaction was not executed. An earlier reply says why.
    code("EXECABORT", RetryClass::Later, ErrorKind::Unavailable),
    code("NOSCRIPT", RetryClass::LoadScript, ErrorKind::Unavailable),
    code("NOTBUSY", RetryClass::Never, ErrorKind::ConfigError),
    // Credentials.
    code("NOAUTH", RetryClass::Never, ErrorKind::AuthenticationFailed),
    code(
        "WRONGPASS",
        RetryClass::Never,
        ErrorKind::AuthenticationFailed,
    ),
    // A person has to change data, rights or code first.
    code("DENIED", RetryClass::Never, ErrorKind::ConfigError),
    code("NOPERM", RetryClass::Never, ErrorKind::ConfigError),
    code("WRONGTYPE", RetryClass::Never, ErrorKind::ConfigError),
    code("CROSSSLOT", RetryClass::Never, ErrorKind::ConfigError),
    code("NOPROTO", RetryClass::Never, ErrorKind::ConfigError),
    code("BUSYKEY", RetryClass::Never, ErrorKind::ConfigError),
    code("BUSYGROUP", RetryClass::Never, ErrorKind::ConfigError),
    code("NOGROUP", RetryClass::Never, ErrorKind::ConfigError),
];

/// An error without a known code. `ERR` is one of them: servers use it for syntax errors and for
/// scripts that failed half-way, so a command with it may have changed something.
pub static UNKNOWN: ServerCode = ServerCode {
    code: "ERR",
    retry: RetryClass::Never,
    kind: ErrorKind::ConfigError,
    unchanged: false,
};

/// `-ERR max number of clients reached`, which has no code of its own.
pub static MAX_CLIENTS: ServerCode = ServerCode {
    code: "ERR",
    retry: RetryClass::Elsewhere,
    kind: ErrorKind::Unavailable,
    unchanged: true,
};

/// The meaning of an error reply's text.
pub fn classify(text: &[u8]) -> &'static ServerCode {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    if first == b"ERR" && rest.starts_with(b" max number of clients") {
        return &MAX_CLIENTS;
    }
    SERVER_CODES
        .iter()
        .find(|known| known.code.as_bytes() == first)
        .unwrap_or(&UNKNOWN)
}

/// The destination in a `MOVED` or `ASK` reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The slot.
    pub slot: u16,
    /// The host; empty for the host that sent the reply.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Redirect<'a> {
    /// Reads `MOVED 3999 127.0.0.1:6381`; `None` for any other text.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        if !matches!(words.next()?, "MOVED" | "ASK") {
            return None;
        }
        let slot = words.next()?.parse().ok()?;
        // An IPv6 address has colons itself, and servers send it without brackets.
        let (host, port) = words.next()?.rsplit_once(':')?;
        let port = port.parse().ok()?;
        (slot < 16_384).then_some(Redirect { slot, host, port })
    }
}

/// An error text for a message: one printable line of bounded length.
pub fn printable(text: &[u8]) -> String {
    const LONGEST: usize = 300;
    let cut = &text[..text.len().min(LONGEST)];
    let mut line: String = match String::from_utf8_lossy(cut) {
        Cow::Borrowed(text) => text.chars(),
        Cow::Owned(ref text) => text.chars(),
    }
    .map(|character| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    })
    .collect();
    if text.len() > LONGEST {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_classifies_as_itself_and_once() {
        for known in SERVER_CODES {
            let text = format!("{} something", known.code);
            assert_eq!(classify(text.as_bytes()), known);
            assert_eq!(classify(known.code.as_bytes()), known);
            assert_eq!(
                SERVER_CODES
                    .iter()
                    .filter(|other| other.code == known.code)
                    .count(),
                1
            );
        }
    }

    #[test]
    fn texts_as_servers_send_them() {
        let table: &[(&str, RetryClass, ErrorKind)] = &[
            (
                "LOADING Redis is loading the dataset in memory",
                RetryClass::Elsewhere,
                ErrorKind::Unavailable,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                RetryClass::Later,
                ErrorKind::WriteRejected,
            ),
            (
                "ERR max number of clients reached",
                RetryClass::Elsewhere,
                ErrorKind::Unavailable,
            ),
            (
                "ERR unknown command 'HELLO', with args beginning with: '3' ",
                RetryClass::Never,
                ErrorKind::ConfigError,
            ),
            (
                "NOPERM this user has no permissions to run the 'set' command",
                RetryClass::Never,
                ErrorKind::ConfigError,
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                RetryClass::Never,
                ErrorKind::AuthenticationFailed,
            ),
            ("", RetryClass::Never, ErrorKind::ConfigError),
            ("LOADINGS of fun", RetryClass::Never, ErrorKind::ConfigError),
        ];
        for (text, retry, kind) in table {
            let found = classify(text.as_bytes());
            assert_eq!((found.retry, found.kind), (*retry, *kind), "{text}");
        }
    }

    #[test]
    fn redirects() {
        let moved = Redirect::parse(b"MOVED 3999 127.0.0.1:6381");
        assert_eq!(
            moved,
            Some(Redirect {
                slot: 3999,
                host: "127.0.0.1",
                port: 6381
            })
        );
        let ask = Redirect::parse(b"ASK 16383 ::1:7000");
        assert_eq!(
            ask,
            Some(Redirect {
                slot: 16_383,
                host: "::1",
                port: 7000
            })
        );
        assert_eq!(
            Redirect::parse(b"MOVED 1 :7000").map(|to| to.host),
            Some("")
        );
        for wrong in [
            "MOVED",
            "MOVED x y:1",
            "MOVED 16384 a:1",
            "MOVED 1 a",
            "MOVED 1 a:65536",
            "ERR 1 a:1",
        ] {
            assert_eq!(Redirect::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn printable_text_is_one_bounded_line() {
        assert_eq!(printable(b"ERR a\r\nb\xff"), "ERR a  b\u{fffd}");
        assert!(printable(&[b'x'; 1000]).chars().count() <= 301);
    }
}
