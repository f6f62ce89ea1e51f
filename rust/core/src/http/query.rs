//! The query string of `GET /v1/features`, read strictly: an ambiguous or unreadable query is
//! refused, and nothing is guessed.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::convert::nearest_f32;
use crate::expression::InputColumn;
use crate::keys::{ByteColumn, KeyColumn, KeyColumns, KeyType};
use crate::timestamp::{self, TimestampError};
use crate::types::{DataType, Scalar};
use crate::value::Value;

/// A parameter's name and its value, decoded.
pub type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// An error in a query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryProblem {
    /// Whether the query cannot be read at all (400); otherwise its content is invalid (422).
    pub malformed: bool,
    /// What is wrong and what to do.
    pub detail: String,
}

type QueryResult<T> = Result<T, QueryProblem>;

/// A read request of one entity, from its query string.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadQuery<'a> {
    /// The feature service asked for.
    pub service: Option<Cow<'a, str>>,
    /// The names of the features asked for, separated by commas. No name is empty.
    pub features: Option<Cow<'a, str>>,
    /// The pinned version.
    pub version: Option<i64>,
    /// Whether an incomplete answer is accepted.
    pub partial: Option<bool>,
    /// `eventual`, `primary` or `snapshot`.
    pub consistency: Option<Cow<'a, str>>,
    /// The time at which windows end and rows expire, in epoch milliseconds.
    pub as_of_ms: Option<i64>,
    /// All other parameters, in order: join keys, and inputs of on-request features.
    pub others: Vec<Parameter<'a>>,
}

const CONSISTENCIES: [&str; 3] = ["eventual", "primary", "snapshot"];

impl<'a> ReadQuery<'a> {
    /// Reads `query`, the part of a target after its question mark.
    pub fn parse(query: &'a [u8]) -> QueryResult<Self> {
        let mut read = Self {
            others: parameters(query)?,
            ..Self::default()
        };
        read.service = read.take("service");
        read.features = read.take("features");
        if let Some(features) = &read.features
            && features.split(',').any(str::is_empty)
        {
            return Err(invalid(
                "The parameter 'features' is names separated by commas.".to_owned(),
            ));
        }
        if let Some(text) = read.take("version") {
            read.version = Some(integer("version", &text, 1)?);
        }
        if let Some(text) = read.take("partial") {
            read.partial = Some(flag("partial", &text)?);
        }
        if let Some(text) = read.take("consistency") {
            if !CONSISTENCIES.contains(&&*text) {
                return Err(invalid(format!(
                    "The parameter 'consistency' is one of {}.",
                    CONSISTENCIES.join(", ")
                )));
            }
            read.consistency = Some(text);
        }
        if let Some(text) = read.take("as_of") {
            let ms = timestamp::parse(&text).and_then(timestamp::checked);
            read.as_of_ms = Some(ms.map_err(|error| not_a_timestamp("as_of", &text, error))?);
        }
        Ok(read)
    }

    /// The values of these join keys, read as their types: columns of one row. Other parameters are
    /// ignored.
    pub fn key_columns(&self, wanted: &[(String, KeyType)]) -> QueryResult<KeyColumns> {
        let mut columns = Vec::with_capacity(wanted.len());
        for (name, key_type) in wanted {
            let text = self.other(name)?;
            let column = match key_type {
                KeyType::Integer => KeyColumn::Integer(vec![integer(name, text, i64::MIN)?]),
                KeyType::Text => {
                    let mut column = ByteColumn::with_capacity(1, text.len());
                    column.push(text.as_bytes());
                    KeyColumn::Text(column)
                }
            };
            columns.push((name.clone(), column));
        }
        Ok(KeyColumns { columns })
    }

    /// The values of these inputs, read as their types. Each is one value for all rows.
    pub fn input_columns(&self, wanted: &[(String, DataType)]) -> QueryResult<Vec<InputColumn>> {
        let read = wanted.iter().map(|(name, data_type)| {
            let DataType::Scalar(scalar) = *data_type else {
                return Err(not_held(name, *data_type));
            };
            let text = self.other(name)?;
            let value = match scalar {
                Scalar::Int64 => Value::Integer(integer(name, text, i64::MIN)?),
                Scalar::Float64 => Value::Float64(number(name, text)?),
                Scalar::Float32 => {
                    Value::Float32(in_range(name, nearest_f32(number(name, text)?))?)
                }
                Scalar::Bool => Value::Bool(flag(name, text)?),
                Scalar::String => Value::String(text),
                Scalar::Timestamp(_) => {
                    let ms = timestamp::parse(text);
                    Value::Integer(ms.map_err(|error| not_a_timestamp(name, text, error))?)
                }
                Scalar::Bytes => return Err(not_held(name, *data_type)),
            };
            let mut column = InputColumn::with_capacity(*data_type, 1);
            let pushed = column.push_scalar(value);
            pushed.map_err(|reason| invalid(format!("The parameter '{name}' {}.", reason.0)))?;
            Ok(column.for_all_rows())
        });
        read.collect()
    }

    fn other(&self, name: &str) -> QueryResult<&str> {
        let found = self.others.iter().find(|(given, _)| given == name);
        found.map(|(_, text)| &**text).ok_or_else(|| {
            invalid(format!(
                "The parameter '{name}' is missing, which these features need."
            ))
        })
    }

    /// A copy that does not borrow the bytes it was read from.
    pub fn into_owned(self) -> ReadQuery<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        ReadQuery {
            service: self.service.map(owned),
            features: self.features.map(owned),
            version: self.version,
            partial: self.partial,
            consistency: self.consistency.map(owned),
            as_of_ms: self.as_of_ms,
            others: self
                .others
                .into_iter()
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
        }
    }

    fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let index = self.others.iter().position(|(given, _)| given == name)?;
        Some(self.others.remove(index).1)
    }
}

/// The parameters of a query string, in order. None may be given twice.
pub fn parameters(query: &[u8]) -> QueryResult<Vec<Parameter<'_>>> {
    let mut found: Vec<Parameter<'_>> = Vec::with_capacity(4);
    let mut rest = query;
    while !rest.is_empty() {
        let end = memchr(b'&', rest).unwrap_or(rest.len());
        let pair = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if pair.is_empty() {
            continue;
        }
        let middle = memchr(b'=', pair).unwrap_or(pair.len());
        let name = decoded(&pair[..middle])?;
        let value = decoded(pair.get(middle + 1..).unwrap_or_default())?;
        if found.iter().any(|(earlier, _)| *earlier == name) {
            let name = shown(&name);
            return Err(invalid(format!(
                "The parameter {name} is given twice; several entities are asked for with POST."
            )));
        }
        found.push((name, value));
    }
    Ok(found)
}

fn decoded(raw: &[u8]) -> QueryResult<Cow<'_, str>> {
    let malformed = |detail: &str| QueryProblem {
        malformed: true,
        detail: detail.to_owned(),
    };
    let not_utf8 = "The query string is not UTF-8.";
    if memchr2(b'%', b'+', raw).is_none() {
        let text = std::str::from_utf8(raw).map_err(|_| malformed(not_utf8))?;
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = (rest.next().and_then(digit), rest.next().and_then(digit));
                let (Some(high), Some(low)) = pair else {
                    return Err(malformed(
                        "A percent sign is not followed by two hexadecimal digits.",
                    ));
                };
                high << 4 | low
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed(not_utf8))?;
    Ok(Cow::Owned(text))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn flag(name: &str, text: &str) -> QueryResult<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(not(name, "true or false", text)),
    }
}

/// A decimal integer of 64 bits, without the plus sign that `parse` would take.
fn integer(name: &str, text: &str, least: i64) -> QueryResult<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // The longest integer has 20 characters.
    if digits.is_empty() || text.len() > 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not(name, "an integer", text));
    }
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(invalid(format!(
            "The parameter '{name}' is from {least} to {}.",
            i64::MAX
        ))),
    }
}

/// A number as JSON writes it. `parse` alone would take other forms too.
fn number(name: &str, text: &str) -> QueryResult<f64> {
    let read = is_number(text.as_bytes())
        .then(|| text.parse())
        .and_then(Result::ok);
    in_range(name, read.ok_or_else(|| not(name, "a number", text))?)
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return false;
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

fn in_range<F: Copy + Into<f64>>(name: &str, number: F) -> QueryResult<F> {
    if number.into().is_finite() {
        return Ok(number);
    }
    Err(invalid(format!(
        "The parameter '{name}' is beyond its type's range."
    )))
}

fn not_a_timestamp(name: &str, text: &str, error: TimestampError) -> QueryProblem {
    // The plus of an offset becomes a space if it was not escaped.
    let hint = if text.contains(' ') {
        "; in a query string + is written %2B"
    } else {
        ""
    };
    let text = shown(text);
    invalid(format!("The parameter '{name}', {text}, {error}{hint}."))
}

fn not_held(name: &str, data_type: DataType) -> QueryProblem {
    invalid(format!(
        "The input '{name}' is {data_type}, which a query string does not hold; use POST."
    ))
}

fn not(name: &str, what: &str, text: &str) -> QueryProblem {
    let text = shown(text);
    invalid(format!("The parameter '{name}' is {what}, not {text}."))
}

fn invalid(detail: String) -> QueryProblem {
    QueryProblem {
        malformed: false,
        detail,
    }
}

/// The text, or its beginning, in quotes. Line breaks are escaped.
fn shown(text: &str) -> String {
    const SHOWN: usize = 64;
    let (end, more) = match text.char_indices().nth(SHOWN) {
        None => (text.len(), ""),
        Some((end, _)) => (end, "…"),
    };
    format!("'{}{more}'", text[..end].escape_debug())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::expression::Input;
    use crate::types::TimeUnit;
    use crate::value;

    fn refused(query: &str) -> QueryProblem {
        let wanted = [("id".to_owned(), KeyType::Integer)];
        let read = ReadQuery::parse(query.as_bytes());
        read.and_then(|read| read.key_columns(&wanted)).unwrap_err()
    }

    #[test]
    fn a_query_is_read_whole() {
        let query = b"id=-7&service=a%2Bb&t=x+%C3%A9&&version=3&partial=false&consistency=primary\
                      &as_of=1717243200000&features=a,b:c&empty";
        let read = ReadQuery::parse(query).unwrap();
        assert_eq!(read.service.as_deref(), Some("a+b"));
        assert_eq!(read.features.as_deref(), Some("a,b:c"));
        assert_eq!((read.version, read.partial), (Some(3), Some(false)));
        assert_eq!(read.consistency.as_deref(), Some("primary"));
        assert_eq!(read.as_of_ms, Some(1_717_243_200_000));
        let names: Vec<&str> = read.others.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["id", "t", "empty"]);
        let wanted = [
            ("t".to_owned(), KeyType::Text),
            ("id".to_owned(), KeyType::Integer),
        ];
        let keys = read.key_columns(&wanted).unwrap();
        let mut text = ByteColumn::default();
        text.push("x é".as_bytes());
        assert_eq!(
            keys.columns,
            [
                ("t".to_owned(), KeyColumn::Text(text)),
                ("id".to_owned(), KeyColumn::Integer(vec![-7])),
            ]
        );
    }

    #[test]
    fn unreadable_queries_are_malformed() {
        for query in ["id=%", "id=%4", "id=%zz", "id=%+1", "id=%ff", "%C3=1"] {
            assert!(refused(query).malformed, "{query}");
        }
        assert!(ReadQuery::parse(b"id=\xff").unwrap_err().malformed);
    }

    #[test]
    fn invalid_parameters_are_named() {
        for (query, named) in [
            ("", "'id' is missing"),
            ("id=1&id=2", "'id' is given twice"),
            ("id=1&%69d=2", "'id' is given twice"),
            ("id=1&features=", "'features'"),
            ("id=1&features=a,,b", "'features'"),
            ("id=1&version=one", "'version' is an integer, not 'one'"),
            ("id=1&version=0", "'version' is from 1"),
            ("id=1&partial=1", "'partial' is true or false"),
            ("id=1&consistency=strong", "'consistency' is one of"),
            ("id=1&as_of=2024-06-01T12:00:00+02:00", "%2B"),
            ("id=1&as_of=soon", "'as_of', 'soon', is not a timestamp"),
        ] {
            let problem = refused(query);
            assert!(!problem.malformed, "{query}");
            assert!(problem.detail.contains(named), "{problem:?}");
        }
        for id in [
            "", "-", "--1", "%2B1", "+1", "1+", "1_0", "0x1", "1.0", "%D9%A1",
        ] {
            let problem = refused(&format!("id={id}"));
            assert!(problem.detail.contains("'id' is an integer"), "{problem:?}");
        }
        for id in ["9223372036854775808", "-9223372036854775809"] {
            assert!(
                refused(&format!("id={id}"))
                    .detail
                    .contains("'id' is from -")
            );
        }
        assert!(refused(&format!("id={}", "é".repeat(9999))).detail.len() < 250);
    }

    fn input(data_type: DataType, text: &str) -> Result<String, String> {
        let query = format!("x={text}");
        let read = ReadQuery::parse(query.as_bytes()).unwrap();
        let columns = read.input_columns(&[("x".to_owned(), data_type)]);
        columns
            .map(|columns| {
                let Input { cells, arena, .. } = columns[0].as_input();
                format!("{:?}", value::view(data_type, cells[0], arena))
            })
            .map_err(|problem| problem.detail)
    }

    #[test]
    fn inputs_are_read_as_their_types() {
        let timestamp = Scalar::Timestamp(TimeUnit::Milliseconds);
        for (scalar, text, value) in [
            (Scalar::Int64, "-7", "Integer(-7)"),
            (Scalar::Float64, "-7", "Float64(-7.0)"),
            (Scalar::Float64, "0.5e-3", "Float64(0.0005)"),
            (Scalar::Float64, "1E2", "Float64(100.0)"),
            (Scalar::Float32, "0.1", "Float32(0.1)"),
            (Scalar::Bool, "true", "Bool(true)"),
            (Scalar::String, "", "String(\"\")"),
            (timestamp, "-1", "Integer(-1)"),
            (timestamp, "1969-12-31T23:59:59Z", "Integer(-1000)"),
        ] {
            assert_eq!(
                input(DataType::Scalar(scalar), text),
                Ok(value.to_owned()),
                "{text}"
            );
        }
        for (scalar, text, reason) in [
            (Scalar::Int64, "1.0", "is an integer, not '1.0'"),
            (Scalar::Float64, "", "is a number, not ''"),
            (Scalar::Float64, "nan", "is a number"),
            (Scalar::Float64, "1.", "is a number"),
            (Scalar::Float64, ".5", "is a number"),
            (Scalar::Float64, "01", "is a number"),
            (Scalar::Float64, "%2B1", "is a number"),
            (Scalar::Float64, "1e", "is a number"),
            (Scalar::Float64, "1e+", "is a number"),
            (Scalar::Float64, "-", "is a number"),
            (Scalar::Float64, "1e999", "beyond its type's range"),
            (Scalar::Float32, "1e39", "beyond its type's range"),
            (Scalar::Bool, "1", "is true or false"),
            (timestamp, "soon", "is not a timestamp"),
            (Scalar::Bytes, "AA==", "use POST"),
        ] {
            let said = input(DataType::Scalar(scalar), text).unwrap_err();
            assert!(said.contains("'x'") && said.contains(reason), "{said}");
        }
        let list = DataType::List(Scalar::Int64);
        assert!(input(list, "1").unwrap_err().contains("use POST"));
    }

    proptest! {
        #[test]
        fn numbers_are_read(number in proptest::num::f64::NORMAL) {
            prop_assert_eq!(super::number("n", &format!("{number:e}")), Ok(number));
        }

        #[test]
        fn integers_of_64_bits_are_read(number in any::<i64>()) {
            prop_assert_eq!(integer("n", &number.to_string(), i64::MIN), Ok(number));
        }

        #[test]
        fn arbitrary_queries_never_panic(query in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _: Result<_, _> = ReadQuery::parse(&query);
        }

        #[test]
        fn parameters_read_back(
            given in proptest::collection::btree_map("\\PC{1,8}", any::<String>(), 0..6)
        ) {
            let escape = |text: &str| {
                let mut escaped = String::new();
                for byte in text.bytes() {
                    write!(escaped, "%{byte:02x}").unwrap();
                }
                escaped
            };
            let pairs: Vec<String> = given
                .iter()
                .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
                .collect();
            let query = pairs.join("&");
            let read = parameters(query.as_bytes()).unwrap();
            let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
            let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (&**name, &**value)).collect();
            prop_assert_eq!(read, given);
        }
    }
}
