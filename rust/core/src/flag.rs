//! Flags: one bit for each id, in bitmaps of a bounded size.
//!
//! A shard's bitmap holds [`SHARD_IDS`] consecutive ids, which is 8 KiB. No key of a flag grows
//! beyond that, and the load of many ids spreads over many keys.

use std::fmt;

/// How many ids share a bitmap.
pub const SHARD_IDS: u64 = 1 << 16;

/// The bitmap and the offset of an id's bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit {
    /// The bitmap's number.
    pub shard: u64,
    /// The bit's offset in it.
    pub offset: u32,
}

impl Bit {
    /// The bit of `id`.
    pub const fn of(id: u64) -> Self {
        Self {
            shard: id / SHARD_IDS,
            offset: (id % SHARD_IDS) as u32,
        }
    }
}

/// How an entity's ids are made from integers: plain decimals, or a prefix and a least number of
/// digits, `user_%04d`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdPattern {
    prefix: Vec<u8>,
    width: usize,
}

/// A text that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a pattern of ids: write a prefix and %d, or %04d for at least four digits",
            self.0
        )
    }
}

impl std::error::Error for BadPattern {}

impl IdPattern {
    /// Reads `user_%d` or `user_%04d`.
    pub fn parse(pattern: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(pattern.to_owned());
        let (prefix, digits) = pattern.split_once('%').ok_or_else(bad)?;
        let width = match digits.strip_suffix('d').ok_or_else(bad)? {
            "" => 0,
            width => match width.strip_prefix('0').map(str::parse) {
                Some(Ok(width @ 1..=18)) => width,
                _ => return Err(bad()),
            },
        };
        Ok(Self {
            prefix: prefix.as_bytes().to_vec(),
            width,
        })
    }

    /// The same pattern for ids as they are in keys.
    #[must_use]
    pub fn escaped(&self) -> Self {
        let mut prefix = Vec::new();
        crate::key::escape_into(&mut prefix, &self.prefix);
        Self {
            prefix,
            width: self.width,
        }
    }

    /// The integer of `id`; `None` if the pattern writes no integer as `id`. So no two ids share a
    /// bit.
    pub fn integer(&self, id: &[u8]) -> Option<u64> {
        let digits = id.strip_prefix(self.prefix.as_slice())?;
        let padded = digits.first() == Some(&b'0') && digits.len() > 1;
        if digits.len() < self.width.max(1) || (padded && digits.len() != self.width) {
            return None;
        }
        // Int64 join keys have the same limit.
        let value = crate::value::integer(digits).ok()?;
        u64::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reads_what_it_writes_and_nothing_else() {
        let pattern = IdPattern::parse("user_%04d").unwrap();
        for (id, expected) in [
            ("user_0042", Some(42)),
            ("user_0000", Some(0)),
            ("user_12345", Some(12_345)),
            ("user_42", None),
            ("user_00042", None),
            ("user_012345", None),
            ("user_", None),
            ("user_-042", None),
            ("User_0042", None),
            ("user_004x", None),
            ("user_99999999999999999999", None),
        ] {
            assert_eq!(pattern.integer(id.as_bytes()), expected, "{id}");
        }
        let plain = IdPattern::default();
        assert_eq!(plain.integer(b"42"), Some(42));
        assert_eq!(plain.integer(b"0"), Some(0));
        assert_eq!(plain.integer(b"042"), None);
        assert_eq!(plain.integer(b"-1"), None);
        let escaped = IdPattern::parse("eu:%d").unwrap().escaped();
        assert_eq!(escaped.integer(b"eu%3A7"), Some(7));
    }

    #[test]
    fn other_patterns_are_refused() {
        for text in [
            "user",
            "user_%s",
            "user_%4d",
            "user_%0d",
            "user_%099d",
            "%d_x",
            "",
        ] {
            assert!(IdPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_fill_one_shard_after_the_other() {
        let bit = |shard, offset| Bit { shard, offset };
        assert_eq!(Bit::of(0), bit(0, 0));
        assert_eq!(Bit::of(65_535), bit(0, 65_535));
        assert_eq!(Bit::of(65_536), bit(1, 0));
    }
}
