//! Members of a series' sorted set: the payload's fields as text, joined by commas. If repeats
//! count, a `#` follows, and a suffix that is different for each event.
//!
//! In a field, only `%`, `,` and `#` are percent-encoded. `%N` alone is a null.

use std::borrow::Cow;

/// A field without a value.
pub const NULL: &[u8] = b"%N";

/// Appends a field's text, encoded.
pub fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'%' => out.extend_from_slice(b"%25"),
            b',' => out.extend_from_slice(b"%2C"),
            b'#' => out.extend_from_slice(b"%23"),
            byte => out.push(byte),
        }
    }
}

/// A field's text before [`escape_into`]; `None` for a null. A `%` that begins no escape stands for
/// itself, so that a member written by hand is readable.
pub fn unescape(field: &[u8]) -> Option<Cow<'_, [u8]>> {
    if field == NULL {
        return None;
    }
    if !field.contains(&b'%') {
        return Some(Cow::Borrowed(field));
    }
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let (byte, tail) = match rest {
            [b'%', b'2', b'5', tail @ ..] => (b'%', tail),
            [b'%', b'2', b'C', tail @ ..] => (b',', tail),
            [b'%', b'2', b'3', tail @ ..] => (b'#', tail),
            _ => (byte, tail),
        };
        text.push(byte);
        rest = tail;
    }
    Some(Cow::Owned(text))
}

/// The payload of a member, without its suffix.
pub fn payload(member: &[u8]) -> &[u8] {
    memchr::memchr(b'#', member).map_or(member, |end| &member[..end])
}

/// The encoded field with this index, of `count` fields; `None` if the member has fewer. If the
/// payload has one field, that is all of it, with commas that were written by hand.
pub fn field(member: &[u8], index: usize, count: usize) -> Option<&[u8]> {
    let payload = payload(member);
    if count == 1 {
        return Some(payload);
    }
    payload.split(|&byte| byte == b',').nth(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape_into(&mut out, text);
        out
    }

    #[test]
    fn members_written_by_hand_are_readable() {
        assert_eq!(field(b"click:9876", 0, 1), Some(b"click:9876".as_slice()));
        assert_eq!(field(b"a,b", 0, 1), Some(b"a,b".as_slice()));
        assert_eq!(field(b"a,b#17", 1, 2), Some(b"b".as_slice()));
        assert_eq!(field(b"a", 1, 2), None);
        assert_eq!(unescape(b"100%"), Some(Cow::Owned(b"100%".to_vec())));
        assert_eq!(unescape(b"%N"), None);
    }

    proptest! {
        #[test]
        fn fields_come_back(
            fields in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12)), 1..5),
            suffix in "[0-9]{1,4}",
        ) {
            let encoded: Vec<_> = fields
                .iter()
                .map(|text| text.as_ref().map_or(NULL.to_vec(), |text| escaped(text)))
                .collect();
            let mut member = encoded.join(&b',');
            member.push(b'#');
            member.extend_from_slice(suffix.as_bytes());
            for (index, text) in fields.iter().enumerate() {
                let found = field(&member, index, fields.len()).unwrap();
                prop_assert_eq!(unescape(found).map(Cow::into_owned), text.clone());
            }
        }
    }
}
