//! What a scanner hands out: one element of a reply, borrowed from the bytes received.

/// One element of a reply.
///
/// Aggregates announce how many elements follow, one level deeper, and have no end token: whoever
/// needs to know where one ends counts. Types that mean the same to a client are folded together:
/// a set is an [`Array`](Token::Array), a verbatim string is a [`Blob`](Token::Blob) without its
/// `txt:` prefix, a blob error is an [`Error`](Token::Error), and `$-1`, `*-1` and `_` are all
/// [`Null`](Token::Null). Attributes never appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// That many elements follow.
    Array(usize),
    /// That many pairs follow: twice as many elements.
    Map(usize),
    /// That many elements of a message nobody asked for follow.
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
    /// The text of a double; its characters are checked, its value is not.
    Double(&'a [u8]),
    /// A RESP3 boolean.
    Boolean(bool),
    /// The text of an integer of any size.
    BigNumber(&'a [u8]),
}

impl Token<'_> {
    /// How many elements one level deeper belong to this one.
    pub fn children(&self) -> usize {
        match *self {
            Token::Array(n) | Token::Push(n) => n,
            Token::Map(pairs) => pairs * 2,
            _ => 0,
        }
    }
}
