//! Headers of fscore's own.

/// The longest id that a caller may choose, in bytes.
pub const MAX_REQUEST_ID: usize = 128;

/// Whether a caller's `X-Request-ID` can be returned and logged as it is. It must be short, and
/// printable ASCII without the space, so that it cannot break a header, a log line or a shell word.
pub fn is_request_id(value: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// `X-Request-Timeout-Ms`: whole milliseconds from 1, in at most nine digits.
pub fn timeout_ms(value: &[u8]) -> Option<u32> {
    const DIGITS: usize = 9;
    if value.is_empty() || value.len() > DIGITS {
        return None;
    }
    let mut ms = 0;
    for digit in value {
        ms = ms * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (ms > 0).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_printable() {
        assert!(is_request_id(b"a") && is_request_id(&[b'~'; MAX_REQUEST_ID]));
        for id in [&b""[..], b"a b", b"a\n", b"\x7f", b"\xc3\xa9"] {
            assert!(!is_request_id(id), "{id:?}");
        }
        assert!(!is_request_id(&[b'a'; MAX_REQUEST_ID + 1]));
    }

    #[test]
    fn timeouts_are_whole_milliseconds() {
        assert_eq!(timeout_ms(b"1"), Some(1));
        assert_eq!(timeout_ms(b"000000020"), Some(20));
        assert_eq!(timeout_ms(b"999999999"), Some(999_999_999));
        for value in [
            "",
            "0",
            "000000000",
            "1234567890",
            "-1",
            "+1",
            "1.5",
            " 1",
            "1s",
        ] {
            assert_eq!(timeout_ms(value.as_bytes()), None, "{value:?}");
        }
    }
}
