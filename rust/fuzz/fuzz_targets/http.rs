//! Bytes of any kind as the beginning of an HTTP connection: no panic, and a head that is taken as
//! plain is also plain by the checks here.
#![no_main]

use fscore_core::http::{Credentials, Head, ReadQuery, Trace, parameters};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = Head::scan(bytes) {
        let text = std::str::from_utf8(&bytes[..head.length]).unwrap();
        let (start, fields) = text
            .strip_suffix("\r\n\r\n")
            .map(|lines| lines.split_once("\r\n").unwrap_or((lines, "")))
            .unwrap();
        let words: Vec<&str> = start.split(' ').collect();
        assert!(matches!(words[..], ["GET" | "POST", _, "HTTP/1.1"]));
        assert!(words[1].starts_with('/'));
        let mut headers = Vec::new();
        for field in fields.split("\r\n").filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once(':').unwrap();
            assert!(!name.is_empty() && !name.contains(char::is_whitespace));
            assert!(!value.contains(['\r', '\n', '\0']));
            assert!(!name.eq_ignore_ascii_case("transfer-encoding"));
            headers.push((
                name.to_ascii_lowercase(),
                value.strip_prefix(' ').unwrap_or(value),
            ));
        }
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(Credentials::among(headers), head.credentials);
        let _: Result<_, _> = head.credentials.api_key();
        let query = ReadQuery::parse(head.query);
        assert_eq!(query.is_err_and(|problem| problem.malformed), {
            parameters(head.query).is_err_and(|problem| problem.malformed)
        });
    }
    let _: Result<_, _> = ReadQuery::parse(bytes);
    if let Some(trace) = Trace::parse(bytes) {
        assert_eq!(bytes[3..35], *format!("{:032x}", trace.id).as_bytes());
    }
});
