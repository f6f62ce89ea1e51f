//! The limits of the scanner, and its errors, which name the kind and the offset.

use std::fmt;

/// The deepest nesting that [`Limits`] can allow: the scanner's stack is a fixed array.
pub const MAX_DEPTH: usize = 32;

/// Bounds on what a server can make this client hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of aggregates, at most [`MAX_DEPTH`].
    pub depth: usize,
    /// Bytes of one bulk string.
    pub blob: usize,
    /// Elements of one aggregate (pairs of a map).
    pub aggregate: usize,
    /// Bytes of one simple string, error or number.
    pub line: usize,
    /// Bytes of attributes before one element. They are dropped, but buffered until they end.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: MAX_DEPTH,
            blob: 512 << 20,
            aggregate: 1 << 24,
            line: 64 << 10,
            attributes: 1 << 20,
        }
    }
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanErrorKind {
    /// No RESP type starts with this byte.
    UnknownType(u8),
    /// A length is not a decimal number, or is negative and not the -1 of a null.
    BadLength,
    /// The length of a bulk string is beyond the limit.
    BlobTooLong,
    /// The number of elements of an aggregate is beyond the limit.
    AggregateTooLong,
    /// A line did not end within the limit.
    LineTooLong,
    /// More nested aggregates than the limit.
    TooDeep,
    /// CR LF was expected.
    MissingTerminator,
    /// Not a 64-bit decimal integer.
    BadInteger,
    /// Not the text of a double.
    BadDouble,
    /// A boolean that is neither `#t` nor `#f`.
    BadBoolean,
    /// Not the text of a big number.
    BadBigNumber,
    /// A null with content.
    BadNull,
    /// A verbatim string without its three-letter format and colon.
    BadVerbatim,
    /// A push within another reply.
    NestedPush,
    /// A streamed string or aggregate (`$?`, `*?`). No server sends these.
    Streamed,
    /// More attributes before one element than the limit.
    AttributesTooLong,
}

impl fmt::Display for ScanErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ScanErrorKind::UnknownType(byte) => {
                return write!(f, "no RESP type starts with byte 0x{byte:02x}");
            }
            ScanErrorKind::BadLength => "a length is not a number",
            ScanErrorKind::BlobTooLong => "a bulk string is longer than the limit",
            ScanErrorKind::AggregateTooLong => "an aggregate has more elements than the limit",
            ScanErrorKind::LineTooLong => "a line is longer than the limit",
            ScanErrorKind::TooDeep => "replies are nested deeper than the limit",
            ScanErrorKind::MissingTerminator => "CR LF is missing",
            ScanErrorKind::BadInteger => "not a 64-bit integer",
            ScanErrorKind::BadDouble => "not a double",
            ScanErrorKind::BadBoolean => "a boolean is neither t nor f",
            ScanErrorKind::BadBigNumber => "not a big number",
            ScanErrorKind::BadNull => "a null has content",
            ScanErrorKind::BadVerbatim => "a verbatim string has no format",
            ScanErrorKind::NestedPush => "a push message within another reply",
            ScanErrorKind::Streamed => "streamed strings and aggregates are not supported",
            ScanErrorKind::AttributesTooLong => "attributes are longer than the limit",
        };
        f.write_str(text)
    }
}

/// Bytes that are not RESP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanError {
    /// The kind.
    pub kind: ScanErrorKind,
    /// The offset in the stream of the wrong element or byte.
    pub offset: u64,
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {} of the stream)", self.kind, self.offset)
    }
}

impl std::error::Error for ScanError {}
