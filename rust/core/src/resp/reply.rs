//! The owned tree of a reply, for commands whose replies may have any shape.

use std::fmt;

use super::token::Token;

/// A whole reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// No value.
    Null,
    /// Binary-safe bytes.
    Blob(Vec<u8>),
    /// A status line.
    Simple(Vec<u8>),
    /// The text of a server error.
    Error(Vec<u8>),
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Boolean(bool),
    /// The text of an integer of any size.
    BigNumber(Vec<u8>),
    /// Elements in order.
    Array(Vec<Reply>),
    /// Pairs in the server's order.
    Map(Vec<(Reply, Reply)>),
    /// A message that is not a reply.
    Push(Vec<Reply>),
}

impl Reply {
    /// Whether it has elements.
    pub fn is_aggregate(&self) -> bool {
        matches!(self, Reply::Array(_) | Reply::Map(_) | Reply::Push(_))
    }

    /// The bytes of a blob or a status line.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Reply::Blob(bytes) | Reply::Simple(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The value of `key` in a map, or in the flat array of pairs that is a map in RESP2.
    pub fn field(&self, key: &[u8]) -> Option<&Reply> {
        match self {
            Reply::Map(pairs) => pairs
                .iter()
                .find(|(name, _)| name.as_bytes() == Some(key))
                .map(|(_, value)| value),
            Reply::Array(items) => items
                .chunks_exact(2)
                .find(|pair| pair[0].as_bytes() == Some(key))
                .map(|pair| &pair[1]),
            _ => None,
        }
    }
}

/// A reply needs more memory than the caller allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTooLarge {
    /// The bound it exceeded, in bytes.
    pub limit: usize,
}

impl fmt::Display for ReplyTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the reply needs more than {} bytes; ask for less at a time",
            self.limit
        )
    }
}

impl std::error::Error for ReplyTooLarge {}

/// Builds [`Reply`]s from tokens, one after another, each within a bound.
///
/// A million empty arrays are 4 MB of text and many times that as a tree, so the bound counts the
/// memory of the tree. Beyond it the rest of the reply is read and dropped, so that the stream
/// stays in step.
#[derive(Debug)]
pub struct ReplyBuilder {
    open: Vec<Open>,
    whole: Option<Reply>,
    limit: usize,
    used: usize,
}

#[derive(Debug)]
struct Open {
    kind: Aggregate,
    remaining: usize,
    items: Vec<Reply>,
}

#[derive(Debug, Clone, Copy)]
enum Aggregate {
    Array,
    Map,
    Push,
}

impl ReplyBuilder {
    /// A builder of replies of at most about `limit` bytes each.
    pub fn new(limit: usize) -> Self {
        ReplyBuilder {
            open: Vec::new(),
            whole: None,
            limit,
            used: 0,
        }
    }

    /// Takes the next token of the reply.
    pub fn token(&mut self, token: Token<'_>) {
        let content = match token {
            Token::Blob(bytes)
            | Token::Simple(bytes)
            | Token::Error(bytes)
            | Token::Double(bytes)
            | Token::BigNumber(bytes) => bytes.len(),
            _ => 0,
        };
        self.used = self.used.saturating_add(size_of::<Reply>() + content);
        if self.used > self.limit {
            self.open.clear();
            return;
        }
        let mut item = match token {
            Token::Array(n) if n > 0 => return self.enter(Aggregate::Array, n),
            Token::Map(n) if n > 0 => return self.enter(Aggregate::Map, n * 2),
            Token::Push(n) if n > 0 => return self.enter(Aggregate::Push, n),
            Token::Array(_) => Reply::Array(Vec::new()),
            Token::Map(_) => Reply::Map(Vec::new()),
            Token::Push(_) => Reply::Push(Vec::new()),
            Token::Null => Reply::Null,
            Token::Blob(bytes) => Reply::Blob(bytes.to_vec()),
            Token::Simple(bytes) => Reply::Simple(bytes.to_vec()),
            Token::Error(bytes) => Reply::Error(bytes.to_vec()),
            Token::Integer(value) => Reply::Integer(value),
            Token::Double(text) => Reply::Double(parse_double(text)),
            Token::Boolean(value) => Reply::Boolean(value),
            Token::BigNumber(text) => Reply::BigNumber(text.to_vec()),
        };
        loop {
            let Some(open) = self.open.last_mut() else {
                self.whole = Some(item);
                return;
            };
            open.items.push(item);
            open.remaining -= 1;
            if open.remaining > 0 {
                return;
            }
            let Some(closed) = self.open.pop() else {
                return;
            };
            item = closed.close();
        }
    }

    /// The reply, after its last token. The builder is ready for the next reply.
    pub fn finish(&mut self) -> Result<Reply, ReplyTooLarge> {
        self.open.clear();
        let used = std::mem::take(&mut self.used);
        match self.whole.take() {
            Some(reply) if used <= self.limit => Ok(reply),
            _ => Err(ReplyTooLarge { limit: self.limit }),
        }
    }

    fn enter(&mut self, kind: Aggregate, remaining: usize) {
        // A length prefix may be wrong, so memory grows with the elements that really come.
        let items = Vec::with_capacity(remaining.min(64));
        self.open.push(Open {
            kind,
            remaining,
            items,
        });
    }
}

impl Open {
    fn close(self) -> Reply {
        match self.kind {
            Aggregate::Array => Reply::Array(self.items),
            Aggregate::Push => Reply::Push(self.items),
            Aggregate::Map => {
                let mut pairs = Vec::with_capacity(self.items.len() / 2);
                let mut items = self.items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Reply::Map(pairs)
            }
        }
    }
}

fn parse_double(text: &[u8]) -> f64 {
    match text {
        b"inf" | b"+inf" => f64::INFINITY,
        b"-inf" => f64::NEG_INFINITY,
        // The scanner checked only the characters. If they are not a number, this is NaN.
        _ => fast_float2::parse(text).unwrap_or(f64::NAN),
    }
}
