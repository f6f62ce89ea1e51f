//! The body of `POST /v1/features`, parsed as strictly as it is documented.
//!
//! Every route and driver that takes such a body uses this parser. Nothing is coerced, repeated
//! names are refused, and an error names its offset.

use jiter::Peek;

use super::cursor::JsonCursor;
use super::inputs::RequestInputs;
use super::problem::{BodyProblem, BodyResult, ProblemKind, invalid, malformed};
use crate::keys::{ByteColumn, KeyColumn, KeyColumns};
use crate::timestamp::{self, TimestampError};

/// A read request, from its body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadRequest {
    /// The feature service asked for.
    pub service: Option<String>,
    /// The features asked for instead.
    pub features: Option<Vec<String>>,
    /// The join keys.
    pub keys: KeyColumns,
    /// `eventual`, `primary` or `snapshot`.
    pub consistency: Option<String>,
    /// Whether event times are wanted.
    pub timestamps: bool,
    /// The pinned version.
    pub version: Option<i64>,
    /// Whether an incomplete answer is accepted.
    pub partial: Option<bool>,
    /// The time at which windows end and rows expire, in epoch milliseconds.
    pub as_of_ms: Option<i64>,
    /// Its inputs, beside its keys.
    pub inputs: Option<RequestInputs>,
}

/// The members that a body may have, for the error of one that has another.
const MEMBERS: &str =
    "service, features, entities, consistency, timestamps, version, partial, as_of, request";

/// Parses `body`, which may ask for at most `max_rows` rows.
pub fn parse_read_request(body: &[u8], max_rows: usize) -> BodyResult<ReadRequest> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(malformed("the body is not UTF-8", error.valid_up_to()));
    }
    let mut body = Body {
        json: JsonCursor::new(body, 0),
        max_rows,
    };
    let request = body.request()?;
    body.json.finish()?;
    if request.service.is_some() == request.features.is_some() {
        return Err(invalid("name either a \"service\" or \"features\"", 0));
    }
    if request.keys.columns.is_empty() {
        return Err(invalid(
            "\"entities\" is missing: {\"join_key\": [values, …]}",
            0,
        ));
    }
    if request.keys.rows() == 0 {
        return Err(invalid("\"entities\" has no rows; ask for at least one", 0));
    }
    Ok(request)
}

struct Body<'a> {
    json: JsonCursor<'a>,
    max_rows: usize,
}

impl Body<'_> {
    fn request(&mut self) -> BodyResult<ReadRequest> {
        let peek = self.json.peek()?;
        if peek != Peek::Object {
            return Err(self.json.unexpected(peek, "the body must be a JSON object"));
        }
        let mut request = ReadRequest::default();
        let mut seen = Vec::new();
        let mut name = self.json.first_name()?;
        while let Some(member) = name {
            self.json.once(&mut seen, &member)?;
            self.member(&mut request, &member)?;
            name = self.json.next_name()?;
        }
        Ok(request)
    }

    fn member(&mut self, request: &mut ReadRequest, name: &str) -> BodyResult<()> {
        let peek = self.json.peek()?;
        let offset = self.json.offset();
        match name {
            "service" => {
                request.service = Some(self.json.string(peek, "\"service\" must be a string")?);
            }
            "features" => request.features = Some(self.features(peek)?),
            "entities" => request.keys = self.entities(peek)?,
            "consistency" => {
                let text = self.json.string(peek, "\"consistency\" must be a string")?;
                if !["eventual", "primary", "snapshot"].contains(&text.as_str()) {
                    let detail =
                        "\"consistency\" must be \"eventual\", \"primary\" or \"snapshot\"";
                    return Err(invalid(detail, offset));
                }
                request.consistency = Some(text);
            }
            "timestamps" => {
                request.timestamps = self
                    .json
                    .boolean(peek, "\"timestamps\" must be true or false")?;
            }
            "partial" => {
                request.partial = Some(
                    self.json
                        .boolean(peek, "\"partial\" must be true or false")?,
                );
            }
            "version" => {
                if !peek.is_num() {
                    return Err(self.json.unexpected(peek, "\"version\" must be an integer"));
                }
                let version = self.json.integer(peek)?;
                let version =
                    version.ok_or_else(|| invalid("\"version\" must be an integer", offset))?;
                if version < 1 {
                    return Err(invalid("\"version\" must be at least 1", offset));
                }
                request.version = Some(version);
            }
            "request" => {
                if peek != Peek::Object {
                    let wanted = "\"request\" must be an object of inputs and their values";
                    return Err(self.json.unexpected(peek, wanted));
                }
                self.json.skip(peek, 1)?;
                request.inputs = Some(RequestInputs::new(self.json.since(offset), offset));
            }
            "as_of" => request.as_of_ms = Some(self.timestamp(peek, "\"as_of\"")?),
            unknown => {
                self.json.skip(peek, 1)?;
                let detail = format!("unknown member {unknown:?}; known are {MEMBERS}");
                return Err(invalid(detail, offset));
            }
        }
        Ok(())
    }

    fn features(&mut self, peek: Peek) -> BodyResult<Vec<String>> {
        const WANTED: &str = "\"features\" must be an array of feature names";
        let offset = self.json.offset();
        if peek != Peek::Array {
            return Err(self.json.unexpected(peek, WANTED));
        }
        let mut features = Vec::new();
        let mut next = self.json.first_element()?;
        while let Some(peek) = next {
            features.push(self.json.string(peek, WANTED)?);
            next = self.json.next_element()?;
        }
        if features.is_empty() {
            return Err(invalid("\"features\" is empty; name at least one", offset));
        }
        Ok(features)
    }

    fn entities(&mut self, peek: Peek) -> BodyResult<KeyColumns> {
        const WANTED: &str = "\"entities\" must be an object of join keys and arrays of values";
        if peek != Peek::Object {
            return Err(self.json.unexpected(peek, WANTED));
        }
        let mut keys = KeyColumns::default();
        let mut seen = Vec::new();
        let mut name = self.json.first_name()?;
        while let Some(join_key) = name {
            self.json.once(&mut seen, &join_key)?;
            let peek = self.json.peek()?;
            if peek != Peek::Array {
                return Err(self.json.unexpected(peek, WANTED));
            }
            let column = self.key_column(&join_key)?;
            keys.columns.push((join_key, column));
            name = self.json.next_name()?;
        }
        Ok(keys)
    }

    /// RFC 3339 in a string, or epoch milliseconds as a number.
    fn timestamp(&mut self, peek: Peek, name: &str) -> BodyResult<i64> {
        let offset = self.json.offset();
        let wanted = || format!("{name} {}", TimestampError::Form);
        let read = if peek.is_num() {
            let ms = self.json.integer(peek)?;
            timestamp::checked(ms.ok_or_else(|| invalid(wanted(), offset))?)
        } else {
            let text = self.json.string(peek, &wanted())?;
            timestamp::rfc3339(&text).and_then(timestamp::checked)
        };
        read.map_err(|error| invalid(format!("{name} {error}"), offset))
    }

    fn key_column(&mut self, join_key: &str) -> BodyResult<KeyColumn> {
        let wanted =
            || format!("the values of {join_key:?} must all be integers or all be strings");
        let mut next = self.json.first_element()?;
        let Some(first) = next else {
            return Ok(KeyColumn::Integer(Vec::new()));
        };
        let mut integers = Vec::new();
        let mut texts = ByteColumn::default();
        while let Some(peek) = next {
            if integers.len() + texts.len() == self.max_rows {
                return Err(BodyProblem {
                    kind: ProblemKind::TooLarge,
                    detail: format!(
                        "{join_key:?} has more than {} values; split the request",
                        self.max_rows
                    ),
                    offset: self.json.offset(),
                });
            }
            let is_text = peek == Peek::String;
            if is_text != (first == Peek::String) || !(is_text || peek.is_num()) {
                return Err(self.json.unexpected(peek, &wanted()));
            }
            if is_text {
                self.json.text(|text| texts.push(text.as_bytes()))?;
            } else {
                let offset = self.json.offset();
                let id = self.json.integer(peek)?;
                integers.push(id.ok_or_else(|| invalid(wanted(), offset))?);
            }
            next = self.json.next_element()?;
        }
        Ok(if first == Peek::String {
            KeyColumn::Text(texts)
        } else {
            KeyColumn::Integer(integers)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(body: &str) -> ProblemKind {
        parse_read_request(body.as_bytes(), 4).unwrap_err().kind
    }

    #[test]
    fn a_request_is_read_whole() {
        let body = r#" {"service": "s", "entities": {"id": [1, -2], "t": ["a", "\u00e9"]},
            "consistency": "primary", "timestamps": true, "version": 3, "partial": false,
            "as_of": "2024-06-01T14:00:00.5+02:00"} "#;
        let request = parse_read_request(body.as_bytes(), 4).unwrap();
        let mut texts = ByteColumn::default();
        texts.push(b"a");
        texts.push("é".as_bytes());
        assert_eq!(
            request,
            ReadRequest {
                service: Some("s".to_owned()),
                features: None,
                keys: KeyColumns {
                    columns: vec![
                        ("id".to_owned(), KeyColumn::Integer(vec![1, -2])),
                        ("t".to_owned(), KeyColumn::Text(texts)),
                    ]
                },
                consistency: Some("primary".to_owned()),
                timestamps: true,
                version: Some(3),
                partial: Some(false),
                as_of_ms: Some(1_717_243_200_500),
                inputs: None,
            }
        );
    }

    #[test]
    fn what_is_wrong_with_a_timestamp_is_told_with_its_offset() {
        for (written, reason) in [
            (r#""2024-06-01T12:00:00""#, "has no offset from UTC"),
            (r#""yesterday""#, "is not a timestamp"),
            (r#""1717243200000""#, "is not a timestamp"),
            (r#""1969-01-01T00:00:00Z""#, "is before 1970"),
            ("-1", "is before 1970"),
            ("253402300800000", "is after the year 9999"),
            ("1717243200.5", "is not a timestamp"),
            ("true", "is not a timestamp"),
            ("null", "is not a timestamp"),
            ("[0]", "is not a timestamp"),
        ] {
            let body = format!(r#"{{"as_of": {written}, "service":"s","entities":{{"id":[1]}}}}"#);
            let problem = parse_read_request(body.as_bytes(), 4).unwrap_err();
            assert_eq!(
                (problem.kind, problem.offset),
                (ProblemKind::Invalid, 10),
                "{written}"
            );
            assert!(
                problem.detail.starts_with(&format!("\"as_of\" {reason}")),
                "{problem:?}"
            );
        }
        let body = r#"{"service":"s","entities":{"id":[1]},"as_of":1717243200000}"#;
        let request = parse_read_request(body.as_bytes(), 4).unwrap();
        assert_eq!(request.as_of_ms, Some(1_717_243_200_000));
    }

    #[test]
    fn bodies_that_are_not_json_are_malformed() {
        let deep = format!(
            r#"{{"service":"s","x":{}{}}}"#,
            "[".repeat(40),
            "]".repeat(40)
        );
        for body in [
            "",
            "{",
            "nul",
            r#"{"service":"s",}"#,
            r#"{"service":"s"} x"#,
            &deep,
            r#"{"service":"s","service":"s"}"#,
            r#"{"entities":{"a":[1],"a":[1]}}"#,
            r#"{"entities":{"id":[NaN]}}"#,
            r#"{"entities":{"id":[-Infinity]}}"#,
            r#"{"entities":{"id":[9223372036854775808]}}"#,
            r#"{"entities":{"id":[1,]}}"#,
            r#"{"version":NaN}"#,
            r#"{"x":{"y":1,"y":2}}"#,
            "{\"service\":\"\n\"}",
            r#"{"entities":{"id":["\ud800"]}}"#,
            r#"{"entities":{"id":[01]}}"#,
        ] {
            assert_eq!(kind(body), ProblemKind::Malformed, "{body}");
        }
        let problem = parse_read_request(b"{\"service\": \"\xff\"}", 4).unwrap_err();
        assert_eq!((problem.kind, problem.offset), (ProblemKind::Malformed, 13));
    }

    #[test]
    fn json_that_is_not_a_request_is_invalid() {
        for body in [
            "[]",
            "1",
            "null",
            "{}",
            r#"{"service":1,"entities":{"id":[1]}}"#,
            r#"{"service":"s","features":["a"],"entities":{"id":[1]}}"#,
            r#"{"features":[],"entities":{"id":[1]}}"#,
            r#"{"service":"s"}"#,
            r#"{"service":"s","entities":{}}"#,
            r#"{"service":"s","entities":{"id":[]}}"#,
            r#"{"service":"s","entities":{"id":1}}"#,
            r#"{"service":"s","entities":{"id":[true]}}"#,
            r#"{"service":"s","entities":{"id":[1.0]}}"#,
            r#"{"service":"s","entities":{"id":[null]}}"#,
            r#"{"service":"s","entities":{"id":[1,"1"]}}"#,
            r#"{"service":"s","entities":{"id":[[1]]}}"#,
            r#"{"service":"s","entities":{"id":[1]},"version":0}"#,
            r#"{"service":"s","entities":{"id":[1]},"version":"1"}"#,
            r#"{"service":"s","entities":{"id":[1]},"consistency":"strong"}"#,
            r#"{"service":"s","entities":{"id":[1]},"other":1}"#,
        ] {
            assert_eq!(kind(body), ProblemKind::Invalid, "{body}");
        }
        assert_eq!(
            kind(r#"{"service":"s","entities":{"id":[1,2,3,4,5]}}"#),
            ProblemKind::TooLarge
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<_, _> = parse_read_request(&body, 10);
        }
    }
}
