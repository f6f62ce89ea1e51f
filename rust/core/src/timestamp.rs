//! Timestamps as requests write them: RFC 3339 with an offset from UTC, or epoch milliseconds.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::value;

/// The last millisecond of the year 9999, which is the last that RFC 3339 can write.
pub const LATEST_MS: i64 = 253_402_300_799_999;

/// Why something is not a valid timestamp. The message follows the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampError {
    /// It is written in another form.
    Form,
    /// It has no offset from UTC, so its time zone is not known.
    NoOffset,
    /// It is before 1970.
    TooEarly,
    /// It is after [`LATEST_MS`].
    TooLate,
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => {
                "is not a timestamp: write 2024-06-01T12:00:00Z, or milliseconds since 1970"
            }
            Self::NoOffset => {
                "has no offset from UTC: write 2024-06-01T12:00:00Z, or +02:00 instead of Z"
            }
            Self::TooEarly => "is before 1970",
            Self::TooLate => "is after the year 9999; milliseconds since 1970 are meant",
        })
    }
}

impl std::error::Error for TimestampError {}

/// The epoch milliseconds that `text` says, as an integer or as RFC 3339.
pub fn parse(text: &str) -> Result<i64, TimestampError> {
    match value::integer(text.as_bytes()) {
        Ok(ms) => Ok(ms),
        Err(_) => rfc3339(text),
    }
}

/// The epoch milliseconds of an RFC 3339 text, rounded down.
pub fn rfc3339(text: &str) -> Result<i64, TimestampError> {
    match date_time(text) {
        Some(time) => Ok(time.unix_timestamp() * 1_000 + i64::from(time.millisecond())),
        None if date_time(&format!("{text}Z")).is_some() => Err(TimestampError::NoOffset),
        None => Err(TimestampError::Form),
    }
}

/// `ms`, if it is from 1970 to the year 9999.
pub fn checked(ms: i64) -> Result<i64, TimestampError> {
    match ms {
        ..0 => Err(TimestampError::TooEarly),
        0..=LATEST_MS => Ok(ms),
        _ => Err(TimestampError::TooLate),
    }
}

fn date_time(text: &str) -> Option<OffsetDateTime> {
    // The parser takes any separator, but the RFC guarantees only this one.
    matches!(text.as_bytes().get(10), Some(b'T' | b't'))
        .then(|| OffsetDateTime::parse(text, &Rfc3339).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rfc_3339_writes_is_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-06-01T12:00:00Z", 1_717_243_200_000),
            ("2024-06-01t12:00:00z", 1_717_243_200_000),
            ("2024-06-01T14:00:00+02:00", 1_717_243_200_000),
            ("2024-06-01T06:30:00-05:30", 1_717_243_200_000),
            ("2024-06-01T12:00:00-00:00", 1_717_243_200_000),
            ("2024-06-01T12:00:00.5Z", 1_717_243_200_500),
            ("2024-06-01T12:00:00.0019999999999999Z", 1_717_243_200_001),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_999),
            ("9999-12-31T23:59:59.999Z", LATEST_MS),
            ("0", 0),
            ("1717243200000", 1_717_243_200_000),
        ] {
            assert_eq!(parse(text).and_then(checked), Ok(ms), "{text}");
        }
        assert_eq!(rfc3339("1969-12-31T23:59:59.9995Z"), Ok(-1));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        use TimestampError::{Form, NoOffset, TooEarly, TooLate};
        for (text, error) in [
            ("", Form),
            ("now", Form),
            ("2024-06-01", Form),
            ("2024-06-01 12:00:00Z", Form),
            ("2024-06-01112:00:00Z", Form),
            ("2024-06-01T12:00Z", Form),
            ("2024-06-01T12:00:00,5Z", Form),
            ("2024-06-01T12:00:00.Z", Form),
            ("2024-06-01T12:00:00+0200", Form),
            ("2024-06-01T12:00:00+24:00", Form),
            ("2024-06-01T12:00:00+02:60", Form),
            ("2024-06-01T12:00:00 02:00", Form),
            ("2024-06-01T12:00:00Z ", Form),
            ("2023-02-29T00:00:00Z", Form),
            ("2024-06-01T24:00:00Z", Form),
            ("2024-06-01T12:00:60Z", Form),
            ("1e3", Form),
            ("1717243200.5", Form),
            ("9223372036854775808", Form),
            ("2024-06-01T12:00:00", NoOffset),
            ("2024-06-01T12:00:00.123456", NoOffset),
            ("1969-12-31T23:59:59.999Z", TooEarly),
            ("0000-01-01T00:00:00Z", TooEarly),
            ("1970-01-01T00:00:00+00:01", TooEarly),
            ("-1", TooEarly),
            ("253402300800000", TooLate),
            ("9223372036854775807", TooLate),
            ("9999-12-31T23:59:59-00:01", TooLate),
        ] {
            assert_eq!(parse(text).and_then(checked), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,40}") {
            let _: Result<_, _> = parse(&text);
        }

        #[test]
        fn digits_anywhere_never_panic(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?[Zz+-]?") {
            if let Ok(ms) = parse(&text).and_then(checked) {
                prop_assert!((0..=LATEST_MS).contains(&ms));
            }
        }
    }
}
