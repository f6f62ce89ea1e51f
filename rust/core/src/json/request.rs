//! The body of `POST /v1/features`, parsed as strictly as it is documented.
//!
//! Every route and driver that takes such a body uses this parser. Nothing is coerced, repeated
//! names are refused, and what is not JSON is told with its offset.

use jiter::{Jiter, JiterError, Peek};

use crate::keys::{ByteColumn, KeyColumn, KeyColumns};
use crate::value;

/// How deep a body may nest.
const MAX_DEPTH: usize = 32;

/// A read request as its body says it.
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
    /// Whether an answer with gaps is welcome.
    pub partial: Option<bool>,
}

/// What kind of fault a body has; each is a status of its own over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// It is no JSON (400).
    Malformed,
    /// It is JSON, but no read request (422).
    Invalid,
    /// It asks for too much (413).
    TooLarge,
}

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind of fault.
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub detail: String,
    /// Where in the body, in bytes.
    pub offset: usize,
}

type Parsed<T> = Result<T, Problem>;

/// Parses `body`, which may ask for at most `max_rows` rows.
pub fn parse_read_request(body: &[u8], max_rows: usize) -> Parsed<ReadRequest> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(malformed("the body is not UTF-8", error.valid_up_to()));
    }
    let mut body = Body {
        json: Jiter::new(body),
        max_rows,
    };
    let request = body.request()?;
    body.json.finish().map_err(|error| broken(&error))?;
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

fn malformed(detail: impl Into<String>, offset: usize) -> Problem {
    Problem {
        kind: ProblemKind::Malformed,
        detail: detail.into(),
        offset,
    }
}

fn invalid(detail: impl Into<String>, offset: usize) -> Problem {
    Problem {
        kind: ProblemKind::Invalid,
        detail: detail.into(),
        offset,
    }
}

struct Body<'a> {
    json: Jiter<'a>,
    max_rows: usize,
}

impl Body<'_> {
    fn request(&mut self) -> Parsed<ReadRequest> {
        let peek = self.peek()?;
        if peek != Peek::Object {
            return Err(self.unexpected(peek, "the body must be a JSON object"));
        }
        let mut request = ReadRequest::default();
        let mut seen = Vec::new();
        let mut name = self.first_name()?;
        while let Some(member) = name {
            self.once(&mut seen, &member)?;
            self.member(&mut request, &member)?;
            name = self.next_name()?;
        }
        Ok(request)
    }

    fn member(&mut self, request: &mut ReadRequest, name: &str) -> Parsed<()> {
        let offset = self.json.current_index();
        let peek = self.peek()?;
        match name {
            "service" => request.service = Some(self.string(peek, "\"service\" must be a string")?),
            "features" => request.features = Some(self.features(peek)?),
            "entities" => request.keys = self.entities(peek)?,
            "consistency" => {
                let text = self.string(peek, "\"consistency\" must be a string")?;
                if !["eventual", "primary", "snapshot"].contains(&text.as_str()) {
                    let detail =
                        "\"consistency\" must be \"eventual\", \"primary\" or \"snapshot\"";
                    return Err(invalid(detail, offset));
                }
                request.consistency = Some(text);
            }
            "timestamps" => {
                request.timestamps = self.boolean(peek, "\"timestamps\" must be true or false")?;
            }
            "partial" => {
                request.partial = Some(self.boolean(peek, "\"partial\" must be true or false")?);
            }
            "version" => {
                if !peek.is_num() {
                    return Err(self.unexpected(peek, "\"version\" must be an integer"));
                }
                let version = self.integer(peek, "\"version\" must be an integer")?;
                if version < 1 {
                    return Err(invalid("\"version\" must be at least 1", offset));
                }
                request.version = Some(version);
            }
            unknown => {
                self.skip(peek, 1)?;
                return Err(invalid(
                    format!(
                        "unknown member {unknown:?}; known are service, features, entities, \
                         consistency, timestamps, version, partial"
                    ),
                    offset,
                ));
            }
        }
        Ok(())
    }

    fn features(&mut self, peek: Peek) -> Parsed<Vec<String>> {
        const WANTED: &str = "\"features\" must be an array of feature names";
        let offset = self.json.current_index();
        if peek != Peek::Array {
            return Err(self.unexpected(peek, WANTED));
        }
        let mut features = Vec::new();
        let mut next = self.first_element()?;
        while let Some(peek) = next {
            features.push(self.string(peek, WANTED)?);
            next = self.next_element()?;
        }
        if features.is_empty() {
            return Err(invalid("\"features\" is empty; name at least one", offset));
        }
        Ok(features)
    }

    fn entities(&mut self, peek: Peek) -> Parsed<KeyColumns> {
        const WANTED: &str = "\"entities\" must be an object of join keys and arrays of values";
        if peek != Peek::Object {
            return Err(self.unexpected(peek, WANTED));
        }
        let mut keys = KeyColumns::default();
        let mut seen = Vec::new();
        let mut name = self.first_name()?;
        while let Some(join_key) = name {
            self.once(&mut seen, &join_key)?;
            let peek = self.peek()?;
            if peek != Peek::Array {
                return Err(self.unexpected(peek, WANTED));
            }
            let column = self.key_column(&join_key)?;
            keys.columns.push((join_key, column));
            name = self.next_name()?;
        }
        Ok(keys)
    }

    fn key_column(&mut self, join_key: &str) -> Parsed<KeyColumn> {
        let wanted =
            || format!("the values of {join_key:?} must all be integers or all be strings");
        let mut next = self.first_element()?;
        let Some(first) = next else {
            return Ok(KeyColumn::Integer(Vec::new()));
        };
        let mut integers = Vec::new();
        let mut texts = ByteColumn::default();
        while let Some(peek) = next {
            if integers.len() + texts.len() == self.max_rows {
                return Err(Problem {
                    kind: ProblemKind::TooLarge,
                    detail: format!(
                        "{join_key:?} has more than {} values; split the request",
                        self.max_rows
                    ),
                    offset: self.json.current_index(),
                });
            }
            let is_text = peek == Peek::String;
            if is_text != (first == Peek::String) || !(is_text || peek.is_num()) {
                return Err(self.unexpected(peek, &wanted()));
            }
            if is_text {
                let text = self
                    .json
                    .known_str()
                    .map(str::as_bytes)
                    .map(|text| texts.push(text));
                text.map_err(|error| broken(&error))?;
            } else {
                integers.push(self.integer(peek, &wanted())?);
            }
            next = self.next_element()?;
        }
        Ok(if first == Peek::String {
            KeyColumn::Text(texts)
        } else {
            KeyColumn::Integer(integers)
        })
    }

    fn string(&mut self, peek: Peek, wanted: &str) -> Parsed<String> {
        if peek != Peek::String {
            return Err(self.unexpected(peek, wanted));
        }
        self.json
            .known_str()
            .map(str::to_owned)
            .map_err(|error| broken(&error))
    }

    fn boolean(&mut self, peek: Peek, wanted: &str) -> Parsed<bool> {
        if !matches!(peek, Peek::True | Peek::False) {
            return Err(self.unexpected(peek, wanted));
        }
        self.json.known_bool(peek).map_err(|error| broken(&error))
    }

    fn integer(&mut self, peek: Peek, wanted: &str) -> Parsed<i64> {
        let offset = self.json.current_index();
        // Its text, because a fraction or an exponent is JSON of another type, not malformed.
        let number = self
            .json
            .known_number_bytes(peek)
            .map_err(|error| broken(&error))?;
        if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return Err(invalid(wanted, offset));
        }
        value::integer(number).map_err(|_| malformed("an integer is beyond 64 bits", offset))
    }

    /// A value of another type than wanted: malformed where it is no JSON, else invalid.
    fn unexpected(&mut self, peek: Peek, wanted: &str) -> Problem {
        let offset = self.json.current_index();
        match self.skip(peek, 1) {
            Ok(()) => invalid(wanted, offset),
            Err(problem) => problem,
        }
    }

    /// Steps over a value, checking all of it.
    fn skip(&mut self, peek: Peek, depth: usize) -> Parsed<()> {
        if depth >= MAX_DEPTH {
            let detail = format!("nested more than {MAX_DEPTH} deep");
            return Err(malformed(detail, self.json.current_index()));
        }
        match peek {
            Peek::Array => {
                let mut next = self.first_element()?;
                while let Some(peek) = next {
                    self.skip(peek, depth + 1)?;
                    next = self.next_element()?;
                }
                Ok(())
            }
            Peek::Object => {
                let mut seen = Vec::new();
                let mut name = self.first_name()?;
                while let Some(member) = name {
                    self.once(&mut seen, &member)?;
                    let peek = self.peek()?;
                    self.skip(peek, depth + 1)?;
                    name = self.next_name()?;
                }
                Ok(())
            }
            Peek::NaN | Peek::Infinity => Err(malformed(
                "NaN and Infinity are no JSON",
                self.json.current_index(),
            )),
            scalar => self.json.known_skip(scalar).map_err(|error| broken(&error)),
        }
    }

    fn once(&self, seen: &mut Vec<String>, name: &str) -> Parsed<()> {
        const MAX_MEMBERS: usize = 256;
        if seen.iter().any(|known| known == name) {
            return Err(malformed(
                format!("the name {name:?} stands twice in one object"),
                self.json.current_index(),
            ));
        }
        if seen.len() == MAX_MEMBERS {
            let detail = format!("an object has more than {MAX_MEMBERS} members");
            return Err(malformed(detail, self.json.current_index()));
        }
        seen.push(name.to_owned());
        Ok(())
    }

    fn peek(&mut self) -> Parsed<Peek> {
        self.json.peek().map_err(|error| broken(&error))
    }

    fn first_name(&mut self) -> Parsed<Option<String>> {
        let name = self.json.known_object().map(|name| name.map(str::to_owned));
        name.map_err(|error| broken(&error))
    }

    fn next_name(&mut self) -> Parsed<Option<String>> {
        let name = self.json.next_key().map(|name| name.map(str::to_owned));
        name.map_err(|error| broken(&error))
    }

    fn first_element(&mut self) -> Parsed<Option<Peek>> {
        self.json.known_array().map_err(|error| broken(&error))
    }

    fn next_element(&mut self) -> Parsed<Option<Peek>> {
        self.json.array_step().map_err(|error| broken(&error))
    }
}

fn broken(error: &JiterError) -> Problem {
    malformed(error.error_type.to_string(), error.index)
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
            "consistency": "primary", "timestamps": true, "version": 3, "partial": false} "#;
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
            }
        );
    }

    #[test]
    fn what_is_no_json_is_malformed() {
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
    fn json_that_is_no_request_is_invalid() {
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
