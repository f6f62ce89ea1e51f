//! The head of a plain request.
//!
//! This is not an HTTP parser. It knows what nearly every client sends, and returns `None` for
//! everything else: requests that are incomplete, allowed but unusual, doubtful, or wrong. A real
//! parser then reads the same bytes from the start, and answers or refuses them.

use memchr::memchr;

use super::Credentials;

const VERSION: &[u8] = b" HTTP/1.1\r\n";

/// A request that a plain read may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: Method,
    /// The target before the question mark, as it was sent.
    pub path: &'a [u8],
    /// The target after the question mark, as it was sent; empty without one.
    pub query: &'a [u8],
    /// `Accept`.
    pub accept: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `X-Request-ID`.
    pub request_id: Option<&'a [u8]>,
    /// `X-Request-Timeout-Ms`.
    pub timeout_ms: Option<&'a [u8]>,
    /// `Authorization` and `X-API-Key`.
    pub credentials: Credentials<'a>,
    /// `traceparent`.
    pub traceparent: Option<&'a [u8]>,
    /// `tracestate`.
    pub tracestate: Option<&'a [u8]>,
    /// The bytes of the head, with the empty line.
    pub length: usize,
    /// The bytes of the body after it.
    pub body_length: usize,
}

/// The methods that read features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`, which has no body here.
    Get,
    /// `POST`, which has one.
    Post,
}

impl<'a> Head<'a> {
    /// The head that `buf` starts with, if it is whole and plain. It is plain with HTTP/1.1, a path
    /// and a query of unreserved and reserved characters, and printable ASCII in every header. No
    /// header that has a role may be there twice. The connection must be kept alive. Only `POST`
    /// has a body, and states its length.
    pub fn scan(buf: &'a [u8]) -> Option<Self> {
        let (method, mut at) = if buf.starts_with(b"GET /") {
            (Method::Get, 4)
        } else if buf.starts_with(b"POST /") {
            (Method::Post, 5)
        } else {
            return None;
        };
        let target = &buf[at..];
        let path = run_of(IN_PATH, target);
        let mut end = path.len();
        let mut query: &[u8] = &[];
        if target.get(end) == Some(&b'?') {
            query = run_of(IN_PATH | IN_QUERY, &target[end + 1..]);
            end += 1 + query.len();
        }
        at += end;
        if !buf[at..].starts_with(VERSION) {
            return None;
        }
        at += VERSION.len();
        let mut head = Self {
            method,
            path,
            query,
            accept: None,
            content_type: None,
            request_id: None,
            timeout_ms: None,
            credentials: Credentials::default(),
            traceparent: None,
            tracestate: None,
            length: 0,
            body_length: 0,
        };
        let mut body_length = None;
        while !buf[at..].starts_with(b"\r\n") {
            let line = &buf[at..];
            let line = &line[..memchr(b'\r', line)?];
            if buf.get(at + line.len() + 1) != Some(&b'\n') {
                return None;
            }
            at += line.len() + 2;
            let name = run_of(IN_NAME, line);
            let (&b':', value) = line[name.len()..].split_first()? else {
                return None;
            };
            if name.is_empty() || run_of(IN_VALUE, value).len() < value.len() {
                return None;
            }
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match known(name) {
                HeaderRole::Ignored => {}
                HeaderRole::ApiKey => once(&mut head.credentials.api_key, value)?,
                HeaderRole::Authorization => once(&mut head.credentials.authorization, value)?,
                HeaderRole::Accept => once(&mut head.accept, value)?,
                HeaderRole::ContentType => once(&mut head.content_type, value)?,
                HeaderRole::RequestId => once(&mut head.request_id, value)?,
                HeaderRole::TimeoutMs => once(&mut head.timeout_ms, value)?,
                HeaderRole::Traceparent => once(&mut head.traceparent, value)?,
                HeaderRole::Tracestate => once(&mut head.tracestate, value)?,
                HeaderRole::ContentLength => once(&mut body_length, value)?,
                HeaderRole::Connection if value.eq_ignore_ascii_case(b"keep-alive") => {}
                HeaderRole::Connection | HeaderRole::Refused => return None,
            }
        }
        head.length = at + 2;
        head.body_length = match (method, body_length) {
            (Method::Get, None) => 0,
            (Method::Post, Some(digits)) => decimal(digits)?,
            _ => return None,
        };
        Some(head)
    }
}

/// The role of a header in a plain read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderRole {
    Ignored,
    Accept,
    ApiKey,
    Authorization,
    Connection,
    ContentLength,
    ContentType,
    RequestId,
    TimeoutMs,
    Traceparent,
    Tracestate,
    /// It changes the message, its framing or the use of the connection.
    Refused,
}

fn known(name: &[u8]) -> HeaderRole {
    // Most headers of most requests have no role, and the length alone tells.
    let (known, header): (&[u8], _) = match name.len() {
        6 if name[0] | 0x20 == b'a' => (b"accept", HeaderRole::Accept),
        6 => (b"expect", HeaderRole::Refused),
        7 => (b"upgrade", HeaderRole::Refused),
        9 => (b"x-api-key", HeaderRole::ApiKey),
        10 if name[0] | 0x20 == b'c' => (b"connection", HeaderRole::Connection),
        10 => (b"tracestate", HeaderRole::Tracestate),
        11 => (b"traceparent", HeaderRole::Traceparent),
        12 if name[0] | 0x20 == b'c' => (b"content-type", HeaderRole::ContentType),
        12 => (b"x-request-id", HeaderRole::RequestId),
        13 => (b"authorization", HeaderRole::Authorization),
        14 if name[0] | 0x20 == b'h' => (b"http2-settings", HeaderRole::Refused),
        14 => (b"content-length", HeaderRole::ContentLength),
        16 if name[0] | 0x20 == b'p' => (b"proxy-connection", HeaderRole::Refused),
        16 => (b"content-encoding", HeaderRole::Refused),
        17 => (b"transfer-encoding", HeaderRole::Refused),
        20 => (b"x-request-timeout-ms", HeaderRole::TimeoutMs),
        _ => return HeaderRole::Ignored,
    };
    if name.eq_ignore_ascii_case(known) {
        header
    } else {
        HeaderRole::Ignored
    }
}

/// Takes the value of a header. Refuses a second value, and blanks around the value except one
/// before it: only a real parser decides which value counts, and whether blanks belong to it.
fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Option<()> {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if slot.is_some() || blank(value.first()) || blank(value.last()) {
        return None;
    }
    *slot = Some(value);
    Some(())
}

/// A length of at most nine digits.
fn decimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')),
    )
}

const IN_NAME: u8 = 1;
const IN_VALUE: u8 = 2;
const IN_PATH: u8 = 4;
const IN_QUERY: u8 = 8;

/// The parts of a head that each byte is allowed in.
#[expect(clippy::cast_possible_truncation, reason = "a byte is below 256")]
const ALLOWED: [u8; 256] = {
    let mut allowed = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character == b'\t' || (character >= 0x20 && character < 0x7f) {
            allowed[byte] |= IN_VALUE;
        }
        if character.is_ascii_alphanumeric() {
            allowed[byte] |= IN_NAME | IN_PATH;
        }
        byte += 1;
    }
    set(&mut allowed, b"!#$%&'*+-.^_`|~", IN_NAME);
    set(&mut allowed, b"/-._~", IN_PATH);
    set(&mut allowed, b"%!$&'()*+,;=:@?", IN_QUERY);
    allowed
};

const fn set(allowed: &mut [u8; 256], characters: &[u8], part: u8) {
    let mut index = 0;
    while index < characters.len() {
        allowed[characters[index] as usize] |= part;
        index += 1;
    }
}

/// The longest beginning of `buf` whose bytes are all allowed in these parts.
#[inline]
fn run_of(parts: u8, buf: &[u8]) -> &[u8] {
    let end = buf
        .iter()
        .position(|&byte| ALLOWED[usize::from(byte)] & parts == 0);
    &buf[..end.unwrap_or(buf.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET /v1/features?user_id=u%201&service=s HTTP/1.1\r\nHost: x:80\r\n";

    fn scanned(text: &str) -> Option<Head<'_>> {
        Head::scan(text.as_bytes())
    }

    #[test]
    fn a_plain_get_is_read() {
        let text = format!(
            "{GET}Accept: */*\r\nconnection: Keep-Alive\r\nX-REQUEST-ID: a b\r\n\
             X-Request-Timeout-Ms:20\r\nX-API-Key: k\r\nAuthorization: Bearer x\r\n\
             TraceParent: 00-a\r\ntracestate: a=1,b=2\r\nUser-Agent: \t (x; y)  \r\n\r\nbehind"
        );
        let head = scanned(&text).unwrap();
        assert_eq!(
            (head.method, head.path),
            (Method::Get, &b"/v1/features"[..])
        );
        assert_eq!(head.query, b"user_id=u%201&service=s");
        assert_eq!(head.accept, Some(&b"*/*"[..]));
        assert_eq!(head.request_id, Some(&b"a b"[..]));
        assert_eq!(head.timeout_ms, Some(&b"20"[..]));
        assert_eq!(head.credentials.api_key, Some(&b"k"[..]));
        assert_eq!(head.credentials.authorization, Some(&b"Bearer x"[..]));
        assert!(head.credentials.are_both());
        assert_eq!(head.traceparent, Some(&b"00-a"[..]));
        assert_eq!(head.tracestate, Some(&b"a=1,b=2"[..]));
        assert_eq!((head.content_type, head.body_length), (None, 0));
        assert_eq!(&text[head.length..], "behind");
    }

    #[test]
    fn a_plain_post_is_read() {
        let text = "POST /v1/features HTTP/1.1\r\nContent-Type: application/json\r\n\
                    Content-Length: 17\r\n\r\n{";
        let head = scanned(text).unwrap();
        assert_eq!((head.method, head.query), (Method::Post, &b""[..]));
        assert_eq!(head.content_type, Some(&b"application/json"[..]));
        assert_eq!((head.body_length, &text[head.length..]), (17, "{"));
    }

    #[test]
    fn no_beginning_of_a_head_is_a_head() {
        let text = format!("{GET}Accept: */*\r\nA: b\r\n\r\n");
        for end in 0..text.len() {
            assert_eq!(scanned(&text[..end]), None, "{end}");
        }
        assert!(scanned(&text).is_some());
    }

    #[test]
    fn what_is_not_plain_is_left_alone() {
        for start in [
            "get /v1/features HTTP/1.1\r\n",
            "HEAD /v1/features HTTP/1.1\r\n",
            "GET  /v1/features HTTP/1.1\r\n",
            "GET v1/features HTTP/1.1\r\n",
            "GET http://x/v1/features HTTP/1.1\r\n",
            "GET /v1/features HTTP/1.0\r\n",
            "GET /v1/features HTTP/1.1\n",
            "GET /v1/features  HTTP/1.1\r\n",
            "GET /v1/features#a HTTP/1.1\r\n",
            "GET /v1/features?a=b#c HTTP/1.1\r\n",
            "GET /v1/features?a=\u{e9} HTTP/1.1\r\n",
            "GET /v1/features?a={b} HTTP/1.1\r\n",
            "GET /v1/fe%61tures HTTP/1.1\r\n",
            "\r\nGET /v1/features HTTP/1.1\r\n",
        ] {
            assert_eq!(scanned(&format!("{start}\r\n")), None, "{start:?}");
        }
        for header in [
            "Expect: 100-continue",
            "Upgrade: h2c",
            "HTTP2-Settings: AAM",
            "Connection: close",
            "Connection: upgrade",
            "Connection: keep-alive, close",
            "Proxy-Connection: close",
            "Transfer-Encoding: chunked",
            "Content-Encoding: identity",
            "Content-Length: 0",
            "Accept: */*\r\nAccept: */*",
            "X-Request-ID: a\r\nx-request-id: b",
            "X-API-Key: a\r\nx-api-key: a",
            "Authorization: Bearer a\r\nauthorization: Basic a",
            "Authorization: Bearer a ",
            "traceparent: a\r\nTraceparent: b",
            "tracestate: a=1\r\ntracestate: b=2",
            "X-Request-ID:  a",
            "X-Request-ID: a ",
            "X-Request-ID: a\t",
            "A b: c",
            "A : c",
            ": c",
            "A",
            " folded",
            "A: b\r\n folded",
            "A: b\nC: d",
            "A: \u{e9}",
            "A: \0",
            "A: \x7f",
            "A: b\rC: d",
        ] {
            assert_eq!(
                scanned(&format!("{GET}{header}\r\n\r\n")),
                None,
                "{header:?}"
            );
        }
        for length in [
            "",
            "ten",
            "-1",
            "+1",
            "1,1",
            "1 ",
            "1\r\nContent-Length: 1",
            "1234567890",
        ] {
            let text = format!("POST /v1/features HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(scanned(&text), None, "{length:?}");
        }
        assert_eq!(scanned("POST /v1/features HTTP/1.1\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _: Option<_> = Head::scan(&bytes);
            let request = [GET.as_bytes(), &bytes].concat();
            if let Some(head) = Head::scan(&request) {
                prop_assert!(request[..head.length].ends_with(b"\r\n\r\n"));
            }
        }
    }
}
