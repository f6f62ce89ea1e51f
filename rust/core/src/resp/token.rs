//! The tokens of a scanner: elements of replies, borrowed from the received bytes.

/// One element of a reply.
///
/// An aggregate says how many elements follow, one level deeper. It has no end token: its reader
/// has to count. Types that mean the same to a client are one token: a set is an
/// [`Array`](Token::Array), a verbatim string is a [`Blob`](Token::Blob) without its `txt:` prefix,
/// a blob error is an [`Error`](Token::Error), and `$-1`, `*-1` and `_` are all
/// [`Null`](Token::Null). Attributes never appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// This many elements follow.
    Array(usize),
    /// This many pairs follow: twice as many elements.
    Map(usize),
    /// This many elements of a message that is not a reply follow.
    Push(usize),
    /// No value.
    Null,
    /// Binary-safe bytes.
    Blob(&'a [u8]),
    /// A status line such as `OK`.
    Simple(&'a [u8]),
    /// The text of a server error, its code first: `WRONGTYPE Operation against …`.
    Error(&'a [u8]),
    /// A 64-bit integer.
    Integer(i64),
    /// The text of a double. Its characters are checked, but not its value.
    Double(&'a [u8]),
    /// A RESP3 boolean.
    Boolean(bool),
    /// The text of an integer of any size.
    BigNumber(&'a [u8]),
}

impl Token<'_> {
    /// The number of elements that belong to this one, one level deeper.
    pub fn children(&self) -> usize {
        match *self {
            Token::Array(n) | Token::Push(n) => n,
            Token::Map(pairs) => pairs * 2,
            _ => 0,
        }
    }
}
