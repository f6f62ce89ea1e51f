//! The key codec: entity keys as `{prefix}{entity}:{` ids `}:v{version}`.
//!
//! Ids are percent-encoded. So no two ids have one encoding, and no byte of an id is raw in a key
//! if it structures keys (braces, colons, commas, percent signs) or garbles a terminal (control
//! characters, spaces, non-ASCII bytes). Integer ids are plain decimals, so that a key written by
//! hand is the key that is read.

use std::fmt;

/// The longest join key value, in bytes before escaping.
pub const MAX_ID_BYTES: usize = 512;

/// Why a join key value cannot become part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    /// The value is longer than [`MAX_ID_BYTES`]; holds its length.
    TooLong(usize),
    /// The only join key is the empty string. `{}` is not a hash tag, so the entity's keys would
    /// not share a slot.
    Empty,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(
                    f,
                    "is {length} bytes long; at most {MAX_ID_BYTES} are allowed"
                )
            }
            Self::Empty => f.write_str("is empty; an id needs at least one byte"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Appends `id` escaped.
pub fn escape_into(out: &mut Vec<u8>, id: &[u8]) {
    if id.iter().all(|&byte| PLAIN[usize::from(byte)]) {
        out.extend_from_slice(id);
        return;
    }
    for &byte in id {
        if PLAIN[usize::from(byte)] {
            out.push(byte);
        } else {
            out.extend_from_slice(&[
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
}

/// The id that [`escape_into`] wrote; `None` if `escaped` is not its output. Only the canonical
/// form is accepted, so decoding is injective too.
pub fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut id = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (&[high, low], tail) = tail.split_first_chunk::<2>()?;
            let value = hex_value(high)? << 4 | hex_value(low)?;
            if PLAIN[usize::from(value)] {
                return None;
            }
            id.push(value);
            rest = tail;
        } else if PLAIN[usize::from(byte)] {
            id.push(byte);
            rest = tail;
        } else {
            return None;
        }
    }
    Some(id)
}

/// Appends a text id, escaped.
pub fn text_id_into(out: &mut Vec<u8>, id: &[u8]) -> Result<(), KeyError> {
    if id.len() > MAX_ID_BYTES {
        return Err(KeyError::TooLong(id.len()));
    }
    escape_into(out, id);
    Ok(())
}

/// Appends an integer id as a plain decimal.
pub fn integer_id_into(out: &mut Vec<u8>, id: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

fn hex_value(digit: u8) -> Option<u8> {
    (0..)
        .zip(HEX)
        .find(|&(_, known)| known == digit)
        .map(|(value, _)| value)
}

/// Bytes that stand for themselves: printable ASCII without space and without `{ } : , %`.
static PLAIN: [bool; 256] = plain();

const fn plain() -> [bool; 256] {
    let mut plain = [false; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        plain[byte as usize] = !matches!(byte, b'{' | b'}' | b':' | b',' | b'%');
        byte += 1;
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escape(id: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape_into(&mut out, id);
        out
    }

    #[test]
    fn plain_ids_stand_for_themselves() {
        assert_eq!(escape(b"user_0042"), b"user_0042");
        assert_eq!(escape(b"a{b}:c,d%e f\n"), b"a%7Bb%7D%3Ac%2Cd%25e%20f%0A");
        assert_eq!(escape("é🙂".as_bytes()), b"%C3%A9%F0%9F%99%82");
    }

    #[test]
    fn only_the_canonical_form_decodes() {
        for text in ["%41", "%7b", "%", "%4", "%zz", "a b", "a{", "é"] {
            assert_eq!(unescape(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn long_ids_are_refused() {
        let mut out = Vec::new();
        assert_eq!(
            text_id_into(&mut out, &[b'x'; 513]),
            Err(KeyError::TooLong(513))
        );
        assert!(out.is_empty());
        assert_eq!(text_id_into(&mut out, &[b'{'; 512]), Ok(()));
    }

    proptest! {
        #[test]
        fn escaping_is_injective_and_safe(id in proptest::collection::vec(any::<u8>(), 0..64)) {
            let escaped = escape(&id);
            prop_assert!(escaped.iter().all(|byte| (0x21..0x7f).contains(byte)));
            let structural = b"{}:,";
            prop_assert!(!escaped.iter().any(|byte| structural.contains(byte)));
            prop_assert_eq!(unescape(&escaped), Some(id));
        }
    }
}
