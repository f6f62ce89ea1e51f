//! The resumable scanner of replies.

use memchr::memchr;

use super::limits::{Limits, MAX_DEPTH, ScanError, ScanErrorKind};
use super::token::Token;

/// A length line is a type byte, a sign and at most 20 digits. The rest is slack.
const MAX_LENGTH_LINE: usize = 32;

/// One token, and its position in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned<'a> {
    /// The element.
    pub token: Token<'a>,
    /// The bytes of the buffer that are consumed. The next call's buffer starts after them.
    pub consumed: usize,
    /// 0 for the reply itself.
    pub depth: usize,
    /// Whether this token completes the reply at depth 0.
    pub last: bool,
}

/// Splits a stream of replies into [`Token`]s.
///
/// The caller keeps the bytes: [`next`](Scanner::next) takes a buffer that starts where the last
/// token ended. While an element is incomplete it returns `None`, and remembers what it learned
/// about it (the length of a bulk string, how far a line was searched, which attributes were
/// dropped). So a reply that arrives in many pieces costs no more than one that arrives whole.
///
/// After an error the stream has no meaning, and every further call returns the same error.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    /// Elements still to come at each level.
    remaining: [usize; MAX_DEPTH],
    depth: usize,
    /// Bit `n` says that level `n` is an attribute. While any bit is set, elements are dropped.
    attributes: u32,
    /// Bytes at the start of the next buffer that belong to dropped attributes.
    dropped: usize,
    /// Bytes that the incomplete element needs before it is worth another look.
    needed: usize,
    /// Bytes of the incomplete element's line in which no CR was found.
    searched: usize,
    /// Bytes of the stream before the next buffer.
    offset: u64,
    failed: Option<ScanError>,
}

impl Scanner {
    /// A scanner at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            depth: limits.depth.min(MAX_DEPTH),
            ..limits
        };
        Scanner {
            limits,
            remaining: [0; MAX_DEPTH],
            depth: 0,
            attributes: 0,
            dropped: 0,
            needed: 0,
            searched: 0,
            offset: 0,
            failed: None,
        }
    }

    /// Bytes of the stream consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the stream is between two replies.
    pub fn between_replies(&self) -> bool {
        self.depth == 0 && self.dropped == 0
    }

    /// Steps over `length` bytes of whole replies, which the caller read itself.
    pub(crate) fn skip_replies(&mut self, length: usize) {
        debug_assert!(self.between_replies(), "in the middle of a reply");
        self.needed = 0;
        self.searched = 0;
        self.offset += length as u64;
    }

    /// The next token in `buf`, which starts where the last token ended. `None` means that more
    /// bytes are needed: call again with the same bytes and more after them.
    #[inline]
    pub fn next<'a>(&mut self, buf: &'a [u8]) -> Result<Option<Scanned<'a>>, ScanError> {
        // Nearly every element is a short bulk string that is whole in the buffer.
        // (A scanner that failed has every bit of `attributes` set.)
        if self.attributes as usize | self.dropped == 0
            && let Some((start, end)) = short_blob(buf)
        {
            let depth = self.depth;
            let last = self.complete();
            let consumed = end + 2;
            self.needed = 0;
            self.searched = 0;
            self.offset += consumed as u64;
            return Ok(Some(Scanned {
                token: Token::Blob(&buf[start..end]),
                consumed,
                depth,
                last,
            }));
        }
        self.next_of_any(buf)
    }

    fn next_of_any<'a>(&mut self, buf: &'a [u8]) -> Result<Option<Scanned<'a>>, ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        loop {
            let element = &buf[self.dropped..];
            if element.len() < self.needed || element.is_empty() {
                return Ok(None);
            }
            let found = match self.element(element) {
                Ok(Some(found)) => found,
                Ok(None) if self.attributes == 0 => return Ok(None),
                Ok(None) if self.dropped + self.needed <= self.limits.attributes => {
                    return Ok(None);
                }
                Ok(None) => return Err(self.fail(ScanErrorKind::AttributesTooLong, 0)),
                Err(ElementError { kind, at }) => return Err(self.fail(kind, at)),
            };
            self.needed = 0;
            self.searched = 0;
            if !found.attribute && self.attributes == 0 {
                let consumed = self.dropped + found.length;
                let depth = self.depth;
                let last = self.enter_or_complete(found.token.children());
                self.dropped = 0;
                self.offset += consumed as u64;
                return Ok(Some(Scanned {
                    token: found.token,
                    consumed,
                    depth,
                    last,
                }));
            }
            if self.dropped + found.length > self.limits.attributes {
                return Err(self.fail(ScanErrorKind::AttributesTooLong, 0));
            }
            self.dropped += found.length;
            if found.attribute {
                let children = found.token.children();
                if children > 0 {
                    self.attributes |= 1 << self.depth;
                    self.remaining[self.depth] = children;
                    self.depth += 1;
                }
            } else {
                self.enter_or_complete(found.token.children());
            }
        }
    }

    fn fail(&mut self, kind: ScanErrorKind, at: usize) -> ScanError {
        let offset = self.offset + (self.dropped + at) as u64;
        let error = ScanError { kind, offset };
        self.failed = Some(error);
        self.attributes = u32::MAX;
        error
    }

    fn enter_or_complete(&mut self, children: usize) -> bool {
        if children == 0 {
            return self.complete();
        }
        // `element` refused deeper nesting, so the level exists.
        self.remaining[self.depth] = children;
        self.depth += 1;
        false
    }

    /// Counts an element that is whole, and every aggregate that it completes.
    #[inline]
    fn complete(&mut self) -> bool {
        while self.depth > 0 {
            let level = self.depth - 1;
            self.remaining[level] -= 1;
            if self.remaining[level] > 0 {
                return false;
            }
            self.depth = level;
            if self.attributes & (1 << level) != 0 {
                // An attribute is not an element of the aggregate around it.
                self.attributes &= !(1 << level);
                return false;
            }
        }
        true
    }

    fn element<'a>(&mut self, buf: &'a [u8]) -> Result<Option<Found<'a>>, ElementError> {
        let kind = buf[0];
        match kind {
            b'$' | b'=' | b'!' => self.blob(buf, kind),
            b'*' | b'%' | b'~' | b'>' | b'|' => self.aggregate(buf, kind),
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => self.scalar(buf, kind),
            _ => Err(ElementError {
                kind: ScanErrorKind::UnknownType(kind),
                at: 0,
            }),
        }
    }

    fn blob<'a>(&mut self, buf: &'a [u8], kind: u8) -> Result<Option<Found<'a>>, ElementError> {
        let Some((line, start)) = self.line(buf, MAX_LENGTH_LINE, ScanErrorKind::BadLength)? else {
            return Ok(None);
        };
        let length = match parse_length(line)? {
            Some(length) => length,
            None if kind == b'$' => return Ok(Some(Found::new(Token::Null, start))),
            None => {
                return Err(ElementError {
                    kind: ScanErrorKind::BadLength,
                    at: 1,
                });
            }
        };
        if length > self.limits.blob {
            return Err(ElementError {
                kind: ScanErrorKind::BlobTooLong,
                at: 1,
            });
        }
        let end = start + length;
        if buf.len() < end + 2 {
            self.needed = end + 2;
            return Ok(None);
        }
        if &buf[end..end + 2] != b"\r\n" {
            return Err(ElementError {
                kind: ScanErrorKind::MissingTerminator,
                at: end,
            });
        }
        let bytes = &buf[start..end];
        let token = match kind {
            b'$' => Token::Blob(bytes),
            b'!' => Token::Error(bytes),
            _ if bytes.get(3) == Some(&b':') => Token::Blob(&bytes[4..]),
            _ => {
                return Err(ElementError {
                    kind: ScanErrorKind::BadVerbatim,
                    at: start,
                });
            }
        };
        Ok(Some(Found::new(token, end + 2)))
    }

    fn aggregate<'a>(
        &mut self,
        buf: &'a [u8],
        kind: u8,
    ) -> Result<Option<Found<'a>>, ElementError> {
        let Some((line, length)) = self.line(buf, MAX_LENGTH_LINE, ScanErrorKind::BadLength)?
        else {
            return Ok(None);
        };
        let count = match parse_length(line)? {
            Some(count) => count,
            None if kind == b'*' => return Ok(Some(Found::new(Token::Null, length))),
            None => {
                return Err(ElementError {
                    kind: ScanErrorKind::BadLength,
                    at: 1,
                });
            }
        };
        if count > self.limits.aggregate {
            return Err(ElementError {
                kind: ScanErrorKind::AggregateTooLong,
                at: 1,
            });
        }
        // An empty aggregate counts as a level too, so that `*0` and `*1` have the same limit.
        if self.depth >= self.limits.depth {
            return Err(ElementError {
                kind: ScanErrorKind::TooDeep,
                at: 0,
            });
        }
        if kind == b'>' && self.depth > 0 {
            return Err(ElementError {
                kind: ScanErrorKind::NestedPush,
                at: 0,
            });
        }
        let token = match kind {
            b'%' | b'|' => Token::Map(count),
            b'>' => Token::Push(count),
            _ => Token::Array(count),
        };
        Ok(Some(Found {
            token,
            length,
            attribute: kind == b'|',
        }))
    }

    fn scalar<'a>(&mut self, buf: &'a [u8], kind: u8) -> Result<Option<Found<'a>>, ElementError> {
        let limit = self.limits.line;
        let Some((text, length)) = self.line(buf, limit, ScanErrorKind::LineTooLong)? else {
            return Ok(None);
        };
        let fault = |kind| ElementError { kind, at: 1 };
        let token = match kind {
            b'+' => Token::Simple(text),
            b'-' => Token::Error(text),
            b':' => Token::Integer(parse_integer(text).ok_or(fault(ScanErrorKind::BadInteger))?),
            b',' if is_double(text) => Token::Double(text),
            b',' => return Err(fault(ScanErrorKind::BadDouble)),
            b'#' => match text {
                b"t" => Token::Boolean(true),
                b"f" => Token::Boolean(false),
                _ => return Err(fault(ScanErrorKind::BadBoolean)),
            },
            b'(' if is_integer(text) => Token::BigNumber(text),
            b'(' => return Err(fault(ScanErrorKind::BadBigNumber)),
            _ if text.is_empty() => Token::Null,
            _ => return Err(fault(ScanErrorKind::BadNull)),
        };
        Ok(Some(Found::new(token, length)))
    }

    /// The text between the type byte and CR LF, and the start of the next line.
    fn line<'a>(
        &mut self,
        buf: &'a [u8],
        limit: usize,
        too_long: ScanErrorKind,
    ) -> Result<Option<(&'a [u8], usize)>, ElementError> {
        let from = self.searched.max(1);
        // One byte more than the limit, so that the end of a line of exactly the limit is seen.
        let window = &buf[from.min(buf.len())..buf.len().min(limit + 2)];
        let Some(found) = memchr(b'\r', window) else {
            if buf.len() >= limit + 2 {
                return Err(ElementError {
                    kind: too_long,
                    at: 1,
                });
            }
            self.searched = buf.len();
            self.needed = buf.len() + 1;
            return Ok(None);
        };
        let end = from + found;
        match buf.get(end + 1) {
            Some(b'\n') => Ok(Some((&buf[1..end], end + 2))),
            Some(_) => Err(ElementError {
                kind: ScanErrorKind::MissingTerminator,
                at: end,
            }),
            None => {
                self.searched = end;
                self.needed = end + 2;
                Ok(None)
            }
        }
    }
}

/// An element that is whole, or the head of an aggregate.
struct Found<'a> {
    token: Token<'a>,
    length: usize,
    attribute: bool,
}

impl<'a> Found<'a> {
    fn new(token: Token<'a>, length: usize) -> Self {
        Found {
            token,
            length,
            attribute: false,
        }
    }
}

/// A [`ScanError`] whose offset counts from the element's start.
struct ElementError {
    kind: ScanErrorKind,
    at: usize,
}

/// The start and end of a bulk string's content, if `buf` starts with a whole one of at most 999
/// bytes. Everything else, also if it is wrong or incomplete, takes the general path.
#[inline]
pub(crate) fn short_blob(buf: &[u8]) -> Option<(usize, usize)> {
    let [b'$', first, second, third, fourth, ..] = *buf else {
        return None;
    };
    let digit = |byte: u8| {
        let value = byte.wrapping_sub(b'0');
        (value < 10).then_some(usize::from(value))
    };
    let mut length = digit(first)?;
    let start = if second == b'\r' {
        if third != b'\n' {
            return None;
        }
        4
    } else {
        length = length * 10 + digit(second)?;
        if third == b'\r' {
            if fourth != b'\n' {
                return None;
            }
            5
        } else {
            length = length * 10 + digit(third)?;
            if fourth != b'\r' || buf.get(5) != Some(&b'\n') {
                return None;
            }
            6
        }
    };
    let end = start + length;
    (buf.get(end..end + 2)? == b"\r\n").then_some((start, end))
}

/// The length; `None` for the -1 of a null.
fn parse_length(text: &[u8]) -> Result<Option<usize>, ElementError> {
    if text == b"-1" {
        return Ok(None);
    }
    if text.first() == Some(&b'?') {
        return Err(ElementError {
            kind: ScanErrorKind::Streamed,
            at: 1,
        });
    }
    let bad = ElementError {
        kind: ScanErrorKind::BadLength,
        at: 1,
    };
    // 18 digits fit into 64 bits, and are beyond every limit.
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(bad);
    }
    let value = text
        .iter()
        .fold(0_u64, |value, byte| value * 10 + u64::from(byte - b'0'));
    Ok(Some(usize::try_from(value).unwrap_or(usize::MAX)))
}

fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 20 {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        // Negative, because there is one more negative value than positive ones.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = match text {
        [b'-' | b'+', digits @ ..] | digits => digits,
    };
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Whether its characters are those of a double. The decoder checks their meaning.
fn is_double(text: &[u8]) -> bool {
    if matches!(text, b"inf" | b"+inf" | b"-inf" | b"nan" | b"-nan") {
        return true;
    }
    text.iter().any(u8::is_ascii_digit)
        && text
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}
