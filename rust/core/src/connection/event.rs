use std::fmt;

use crate::error::{ErrorKind, classify, printable};
use crate::resp::{Reply, ScanError};

/// Names one submitted job of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something that happened on a connection.
#[derive(Debug)]
pub enum Event<T, J> {
    /// The handshake is over; commands that were queued may be sent.
    Ready,
    /// All replies of a job were received.
    Done {
        /// Its ticket.
        ticket: Ticket,
        /// The tag that it was submitted with.
        tag: T,
        /// The job, with what it made of its replies.
        job: J,
    },
    /// The deadline of a job passed.
    TimedOut {
        /// Its ticket.
        ticket: Ticket,
        /// The tag that it was submitted with.
        tag: T,
        /// The job, with what it made of the replies so far.
        job: J,
        /// How many replies were whole.
        answered: usize,
        /// Whether its commands had left, and so may still be executed.
        sent: bool,
    },
    /// The connection ended before the replies of a job were there.
    Lost {
        /// Its ticket.
        ticket: Ticket,
        /// The tag that it was submitted with.
        tag: T,
        /// The job, with what it made of the replies so far.
        job: J,
        /// How many replies were whole.
        answered: usize,
        /// Whether its commands had left, and so may have been executed.
        sent: bool,
        /// Why the connection ended.
        reason: LostReason,
    },
    /// The connection will not become ready.
    HandshakeFailed(HandshakeError),
    /// The server sent a message nobody asked for.
    Push(Vec<Reply>),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// The socket ended.
    Closed,
    /// The handshake failed.
    Handshake(ErrorKind),
    /// The server broke the protocol.
    Protocol(ProtocolError),
}

/// Why a job was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// The connection is closed.
    Closed,
    /// A limit on what may be in flight is reached.
    Overloaded,
    /// The deadline has passed already.
    DeadlineExceeded,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SubmitError::Closed => "the connection is closed",
            SubmitError::Overloaded => {
                "too many requests are in flight on this connection; slow down, or raise the limit"
            }
            SubmitError::DeadlineExceeded => "the deadline passed before the request was sent",
        })
    }
}

impl std::error::Error for SubmitError {}

/// How the server broke the protocol. Nothing after that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// Bytes that are not RESP.
    Scan(ScanError),
    /// A reply to no command.
    UnexpectedReply {
        /// About how many bytes of the stream came before.
        offset: u64,
    },
    /// A reply whose shape does not fit its command.
    OutOfStep {
        /// About how many bytes of the stream came before.
        offset: u64,
    },
    /// A pushed message over the limit.
    PushTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl From<ScanError> for ProtocolError {
    fn from(error: ScanError) -> Self {
        ProtocolError::Scan(error)
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Scan(error) => {
                write!(f, "the server sent bytes that are not RESP: {error}")
            }
            ProtocolError::UnexpectedReply { offset } => {
                write!(
                    f,
                    "the server sent a reply to no command (byte {offset} of the stream)"
                )
            }
            ProtocolError::OutOfStep { offset } => {
                write!(
                    f,
                    "the server sent a reply whose shape does not fit its command (byte {offset} \
                     of the stream)"
                )
            }
            ProtocolError::PushTooLarge { limit } => {
                write!(f, "the server pushed a message of more than {limit} bytes")
            }
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Why a connection did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeError {
    /// Which error the caller gets. [`ErrorKind::Unavailable`] may pass by itself; the others stay
    /// until somebody changes something.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
}

impl HandshakeError {
    pub(super) fn server(command: &str, text: &[u8]) -> Self {
        let kind = classify(text).kind;
        let text = printable(text);
        let advice = match kind {
            ErrorKind::AuthenticationFailed => "; check the user name and the password",
            ErrorKind::ConfigError => "; check the URL's database and the user's rights",
            _ => "",
        };
        let message = format!("the server refused {command}: {text}{advice}");
        HandshakeError { kind, message }
    }

    pub(super) fn authentication(command: &str, text: &[u8]) -> Self {
        let text = printable(text);
        HandshakeError {
            kind: ErrorKind::AuthenticationFailed,
            message: format!(
                "the server refused {command}: {text}; check the user name and the password"
            ),
        }
    }

    pub(super) fn protocol(error: ProtocolError) -> Self {
        HandshakeError {
            kind: ErrorKind::ProtocolError,
            message: format!("{error}, in the handshake; is it a Redis or Valkey server?"),
        }
    }

    pub(super) fn closed() -> Self {
        HandshakeError {
            kind: ErrorKind::Unavailable,
            message: "the connection ended before the handshake was over".to_owned(),
        }
    }

    pub(super) fn timed_out() -> Self {
        HandshakeError {
            kind: ErrorKind::Unavailable,
            message: "the connection was not ready within the connect timeout".to_owned(),
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HandshakeError {}
