//! The API key in a request's headers.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The beginning of every API key, so that scanners find keys that leaked.
pub const API_KEY_PREFIX: &str = "fsk_";

/// 256 bits in unpadded base64url.
const RANDOM_CHARACTERS: usize = 43;

/// The headers of a request that may hold its API key.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) api_key: Option<&'a [u8]>,
    /// Whether a header is there twice.
    repeated: bool,
}

/// Why a request is not authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has no API key.
    Missing,
    /// It has more than one, and it is not clear which one counts.
    Several,
    /// Its key does not have the form of an API key.
    Malformed,
    /// Its key is not known.
    Unknown,
    /// Its key has expired; holds the index.
    Expired(usize),
}

impl<'a> Credentials<'a> {
    /// Those among all headers of a request. The names must be in lower case.
    pub fn among(headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let slot = match name {
                b"authorization" => &mut found.authorization,
                b"x-api-key" => &mut found.api_key,
                _ => continue,
            };
            found.repeated |= slot.replace(value).is_some();
        }
        found
    }

    /// Whether both headers are there. A plain request has one.
    pub fn are_both(&self) -> bool {
        self.authorization.is_some() && self.api_key.is_some()
    }

    /// The API key as it was sent. An `Authorization` of another scheme than `Bearer` may be for a
    /// proxy, and is ignored.
    pub fn api_key(&self) -> Result<&'a [u8], Refusal> {
        if self.repeated {
            return Err(Refusal::Several);
        }
        match (self.authorization.and_then(bearer), self.api_key) {
            (Some(_), Some(_)) => Err(Refusal::Several),
            (Some(key), None) | (None, Some(key)) => Ok(key.trim_ascii()),
            (None, None) => Err(Refusal::Missing),
        }
    }
}

/// Hides the key, because what is printed ends in logs.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorization", &self.authorization.is_some())
            .field("api_key", &self.api_key.is_some())
            .finish_non_exhaustive()
    }
}

/// The text after the scheme, if that is `Bearer`.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let value = authorization.trim_ascii();
    let end = value.iter().position(|&byte| byte == b' ');
    let (scheme, rest) = value.split_at(end.unwrap_or(value.len()));
    scheme.eq_ignore_ascii_case(b"Bearer").then_some(rest)
}

/// The SHA-256 that stands for an API key; `None` if the text does not have the form of one. So no
/// password that a person made up is used as a key, and the hash takes one block.
pub fn api_key_hash(key: &[u8]) -> Option<[u8; 32]> {
    let random = key.strip_prefix(API_KEY_PREFIX.as_bytes())?;
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let formed = random.len() == RANDOM_CHARACTERS && random.iter().all(is_base64url);
    formed.then(|| Sha256::digest(key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"fsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-_";

    fn key_among<'a>(headers: &[(&'a str, &'a str)]) -> Result<&'a [u8], Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Credentials::among(headers).api_key()
    }

    #[test]
    fn one_header_has_the_key() {
        for value in [
            "Bearer fsk_a",
            "bearer fsk_a",
            "BEARER   fsk_a",
            " Bearer fsk_a ",
        ] {
            assert_eq!(key_among(&[("authorization", value)]), Ok(&b"fsk_a"[..]));
        }
        assert_eq!(key_among(&[("x-api-key", " fsk_a ")]), Ok(&b"fsk_a"[..]));
        assert_eq!(key_among(&[("authorization", "Bearer")]), Ok(&b""[..]));
        assert_eq!(
            key_among(&[("authorization", "Bearer a b")]),
            Ok(&b"a b"[..])
        );
        let both = [("authorization", "Basic YTpi"), ("x-api-key", "fsk_a")];
        assert_eq!(key_among(&both), Ok(&b"fsk_a"[..]));
    }

    #[test]
    fn none_and_several_are_told_apart() {
        for headers in [
            &[][..],
            &[("accept", "fsk_a")],
            &[("authorization", "Basic x")],
        ] {
            assert_eq!(key_among(headers), Err(Refusal::Missing));
        }
        for headers in [
            [("authorization", "Bearer fsk_a"), ("x-api-key", "fsk_a")],
            [("x-api-key", "fsk_a"), ("x-api-key", "fsk_a")],
            [
                ("authorization", "Basic a"),
                ("authorization", "Bearer fsk_a"),
            ],
        ] {
            assert_eq!(key_among(&headers), Err(Refusal::Several));
        }
    }

    #[test]
    fn only_what_has_the_form_of_a_key_is_hashed() {
        assert_eq!(KEY.len(), API_KEY_PREFIX.len() + RANDOM_CHARACTERS);
        let hash = api_key_hash(KEY).unwrap();
        assert_eq!(&hash[..4], [0x9a, 0x6d, 0x1d, 0x28]);
        for other in [&b""[..], b"fsk_", &KEY[1..], &KEY[..46], b"password"] {
            assert_eq!(api_key_hash(other), None);
        }
        for byte in [b'+', b'/', b'=', b' ', 0, 0xff] {
            let mut key = KEY.to_vec();
            key[20] = byte;
            assert_eq!(api_key_hash(&key), None, "{byte}");
        }
        assert_eq!(api_key_hash(&[KEY, b"A"].concat()), None);
    }

    #[test]
    fn what_is_printed_has_no_key() {
        let shown = format!("{:?}", Credentials::among([(&b"x-api-key"[..], KEY)]));
        assert!(
            shown.contains("api_key: true") && !shown.contains("fsk_"),
            "{shown}"
        );
    }
}
