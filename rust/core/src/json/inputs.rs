//! The inputs of a request, beside its keys: the member `request` of its body.
//!
//! The types of inputs follow from the features, which are known later. So the member is checked to
//! be JSON and kept as it was written, and its values are read later.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiter::Peek;

use super::cursor::JsonCursor;
use super::problem::{BodyProblem, BodyResult, invalid};
use crate::convert::nearest_f32;
use crate::expression::InputColumn;
use crate::timestamp;
use crate::types::{DataType, Scalar};
use crate::value::{self, Value};

/// The inputs of a request, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInputs {
    text: Vec<u8>,
    /// The offset of the text in the body.
    offset: usize,
}

impl RequestInputs {
    /// `text` is an object that was stepped over, and `offset` is where it begins in the body.
    pub(super) fn new(text: &[u8], offset: usize) -> Self {
        Self {
            text: text.to_owned(),
            offset,
        }
    }

    /// A column for each of `wanted`, in that order, for `rows` rows.
    ///
    /// Nothing is converted, except that an integer is a number too. A `Timestamp` is epoch
    /// milliseconds or RFC 3339.
    pub fn columns(
        &self,
        wanted: &[(String, DataType)],
        rows: usize,
    ) -> Result<Vec<InputColumn>, BodyProblem> {
        let mut columns: Vec<Option<InputColumn>> = wanted.iter().map(|_| None).collect();
        let mut json = JsonCursor::new(&self.text, self.offset);
        json.peek()?;
        let mut next = json.first_name()?;
        while let Some(name) = next {
            let Some(index) = wanted.iter().position(|(known, _)| *known == name) else {
                return Err(invalid(unknown(&name, wanted), json.offset()));
            };
            let mut reader = Reader {
                json: &mut json,
                name: &name,
                data_type: wanted[index].1,
                rows,
            };
            columns[index] = Some(reader.column()?);
            next = json.next_name()?;
        }
        let columns = columns
            .into_iter()
            .zip(wanted)
            .map(|(column, (name, kind))| {
                column.ok_or_else(|| invalid(missing(name, *kind), self.offset))
            });
        columns.collect()
    }
}

/// The error of an input that no feature uses.
pub fn unknown(name: &str, wanted: &[(String, DataType)]) -> String {
    let known: Vec<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    if known.is_empty() {
        return format!("{name:?} is not an input of these features, which need none");
    }
    let known = known.join(", ");
    format!("{name:?} is not an input of these features; their inputs are {known}")
}

/// The error of an input that a request does not bring.
pub fn missing(name: &str, data_type: DataType) -> String {
    format!("these features need the input {name:?} ({data_type}); bring it in \"request\"")
}

struct Reader<'a, 'j> {
    json: &'a mut JsonCursor<'j>,
    name: &'a str,
    data_type: DataType,
    rows: usize,
}

impl Reader<'_, '_> {
    /// Reads one value for each row in an array, or one value for all rows.
    fn column(&mut self) -> BodyResult<InputColumn> {
        let peek = self.json.peek()?;
        let offset = self.json.offset();
        if peek != Peek::Array {
            let mut column = InputColumn::with_capacity(self.data_type, 1);
            self.value(peek, None, &mut column)?;
            return Ok(column.for_all_rows());
        }
        let mut next = self.json.first_element()?;
        let nested = matches!(next, Some(Peek::Array | Peek::Null));
        if !matches!(self.data_type, DataType::Scalar(_)) && !nested {
            let mut column = InputColumn::with_capacity(self.data_type, 1);
            self.elements(next, None, &mut column)?;
            return Ok(column.for_all_rows());
        }
        let mut column = InputColumn::with_capacity(self.data_type, self.rows);
        let mut row = 0;
        while let Some(peek) = next {
            self.value(peek, Some(row), &mut column)?;
            row += 1;
            next = self.json.next_element()?;
        }
        if row != self.rows {
            let rows = self.rows;
            let detail = format!(
                "{:?} has {row} values for {rows} rows; give one for each, or a single one for all",
                self.name
            );
            return Err(invalid(detail, offset));
        }
        Ok(column)
    }

    fn value(
        &mut self,
        peek: Peek,
        row: Option<usize>,
        column: &mut InputColumn,
    ) -> BodyResult<()> {
        if peek == Peek::Null {
            // It was checked before, so this only steps over it.
            self.json.skip(peek, 1)?;
            column.push_null();
            return Ok(());
        }
        match self.data_type {
            DataType::Scalar(scalar) => {
                let offset = self.json.offset();
                let pushed = self.scalar(peek, row, scalar, |value| column.push_scalar(value))?;
                pushed.map_err(|reason| invalid(self.says(row, reason.0), offset))
            }
            DataType::List(_) | DataType::Vector(_) => {
                if peek != Peek::Array {
                    return Err(self.unexpected(peek, row));
                }
                let next = self.json.first_element()?;
                self.elements(next, row, column)
            }
        }
    }

    /// Reads the rest of an array that is one value. Its first element is next.
    fn elements(
        &mut self,
        mut next: Option<Peek>,
        row: Option<usize>,
        column: &mut InputColumn,
    ) -> BodyResult<()> {
        let offset = self.json.offset();
        let scalar = match self.data_type {
            DataType::Vector(_) => Scalar::Float32,
            DataType::List(scalar) | DataType::Scalar(scalar) => scalar,
        };
        let is_vector = matches!(self.data_type, DataType::Vector(_));
        // Decoding takes the stored form, so the value is written in that form first.
        let mut stored = Vec::new();
        while let Some(peek) = next {
            self.scalar(peek, row, scalar, |value| match value {
                Value::Float32(element) if is_vector => {
                    stored.extend_from_slice(&element.to_le_bytes());
                }
                value => {
                    stored.push(if stored.is_empty() { b'[' } else { b',' });
                    value::encode_element(&mut stored, value, scalar);
                }
            })?;
            next = self.json.next_element()?;
        }
        if !is_vector {
            stored.extend_from_slice(if stored.is_empty() { b"[]" } else { b"]" });
        }
        let pushed = column.push(|data_type, arena| value::decode(data_type, &stored, arena));
        pushed.map_err(|reason| invalid(self.says(row, reason.0), offset))
    }

    /// Gives `take` the scalar that is next, and returns its result.
    fn scalar<T>(
        &mut self,
        peek: Peek,
        row: Option<usize>,
        scalar: Scalar,
        take: impl FnOnce(Value<'_>) -> T,
    ) -> BodyResult<T> {
        let offset = self.json.offset();
        match (scalar, peek) {
            (Scalar::Int64 | Scalar::Timestamp(_), peek) if peek.is_num() => {
                let value = self.json.integer(peek)?;
                let value = value.ok_or_else(|| invalid(self.wanted(row), offset))?;
                Ok(take(Value::Integer(value)))
            }
            (Scalar::Float64, peek) if peek.is_num() => {
                let value = self.json.float(peek)?;
                if value.is_infinite() {
                    return Err(invalid(
                        self.says(row, "is beyond the range of Float64"),
                        offset,
                    ));
                }
                Ok(take(Value::Float64(value)))
            }
            (Scalar::Float32, peek) if peek.is_num() => {
                let value = nearest_f32(self.json.float(peek)?);
                if value.is_infinite() {
                    return Err(invalid(
                        self.says(row, "is beyond the range of Float32"),
                        offset,
                    ));
                }
                Ok(take(Value::Float32(value)))
            }
            (Scalar::Bool, Peek::True | Peek::False) => {
                let value = self.json.boolean(peek, "")?;
                Ok(take(Value::Bool(value)))
            }
            (Scalar::String, Peek::String) => self.json.text(|text| take(Value::String(text))),
            (Scalar::Timestamp(_), Peek::String) => {
                let read = self.json.text(timestamp::rfc3339)?;
                let ms =
                    read.map_err(|error| invalid(self.says(row, &error.to_string()), offset))?;
                Ok(take(Value::Integer(ms)))
            }
            (Scalar::Bytes, Peek::String) => {
                let bytes = self.json.text(|text| BASE64.decode(text))?;
                match bytes {
                    Ok(bytes) => Ok(take(Value::Bytes(&bytes))),
                    Err(_) => Err(invalid(self.says(row, "is not base64"), offset)),
                }
            }
            _ => Err(self.unexpected(peek, row)),
        }
    }

    fn unexpected(&mut self, peek: Peek, row: Option<usize>) -> BodyProblem {
        let wanted = self.wanted(row);
        self.json.unexpected(peek, &wanted)
    }

    fn wanted(&self, row: Option<usize>) -> String {
        let what = match self.data_type {
            DataType::Scalar(scalar) => written_as(scalar).to_owned(),
            DataType::List(scalar) => {
                format!("an array, each of its elements {}", written_as(scalar))
            }
            DataType::Vector(dimension) => format!("an array of {dimension} numbers"),
        };
        self.says(
            row,
            &format!("must be {what}, or null; nothing is converted"),
        )
    }

    fn says(&self, row: Option<usize>, what: &str) -> String {
        let place = row.map_or_else(String::new, |row| format!(", row {row}"));
        format!("{:?} ({}{place}) {what}", self.name, self.data_type)
    }
}

fn written_as(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Int64 => "an integer",
        Scalar::Float32 | Scalar::Float64 => "a number",
        Scalar::Bool => "true or false",
        Scalar::String => "a string",
        Scalar::Bytes => "a string of base64",
        Scalar::Timestamp(_) => "epoch milliseconds, or a string like 2024-06-01T12:00:00Z",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ProblemKind, parse_read_request};
    use super::*;
    use crate::types::Status;

    /// Reads the inputs of a body for two rows; `wanted` are names and types.
    fn read(request: &str, wanted: &[(&str, &str)]) -> Result<Vec<InputColumn>, BodyProblem> {
        let body = format!(r#"{{"features":["a"],"request":{request},"entities":{{"id":[1,2]}}}}"#);
        let read = parse_read_request(body.as_bytes(), 4)?;
        let typed = |(name, kind): &(&str, &str)| ((*name).to_owned(), kind.parse().unwrap());
        let wanted: Vec<(String, DataType)> = wanted.iter().map(typed).collect();
        read.inputs.unwrap().columns(&wanted, read.keys.rows())
    }

    /// Every value as it would be stored, `None` for null; and the rows, if it is a column.
    fn shown(column: &InputColumn) -> (Vec<Option<String>>, Option<usize>) {
        let data_type = column.data_type();
        let input = column.as_input();
        let values = input
            .cells
            .iter()
            .zip(input.statuses)
            .map(|(cell, status)| {
                (*status == Status::Present as u8).then(|| {
                    let mut out = Vec::new();
                    let (DataType::Scalar(scalar) | DataType::List(scalar)) = data_type else {
                        let value = value::view(data_type, *cell, input.arena);
                        return format!("{value:?}");
                    };
                    value::encode(&mut out, value::view(data_type, *cell, input.arena), scalar);
                    String::from_utf8(out).unwrap()
                })
            });
        (values.collect(), column.rows())
    }

    #[test]
    fn every_type_is_read() {
        for (data_type, written, stored) in [
            ("Int64", "-7", "-7"),
            ("Int64", "9223372036854775807", "9223372036854775807"),
            ("Float64", "12.5", "12.5"),
            ("Float64", "3", "3.0"),
            ("Float64", "1e2", "100.0"),
            ("Float32", "0.1", "0.1"),
            ("Bool", "true", "1"),
            ("String", r#""\u00e9,""#, "é,"),
            ("Bytes", r#""AAE=""#, "\0\u{1}"),
            ("Timestamp", "1717243200000", "1717243200000"),
            ("Timestamp", "-1", "-1"),
            (
                "Timestamp",
                r#""2024-06-01T14:00:00+02:00""#,
                "1717243200000",
            ),
            ("Timestamp", r#""1969-12-31T23:59:59Z""#, "-1000"),
            ("Timestamp[s]", "1717243200999", "1717243200"),
            ("List[Int64]", "[1,2]", "[1,2]"),
            ("List[Int64]", "[]", "[]"),
            ("List[Float64]", "[1,2.5]", "[1.0,2.5]"),
            ("List[String]", r#"["a","b\"c"]"#, r#"["a","b\"c"]"#),
            ("List[Timestamp[s]]", r#"["1970-01-01T00:00:17Z"]"#, "[17]"),
            ("List[Bytes]", r#"["AAE="]"#, r#"["AAE="]"#),
            (
                "Vector[2]",
                "[1,0.5]",
                "Vector([0, 0, 128, 63, 0, 0, 0, 63])",
            ),
        ] {
            let single = read(&format!(r#"{{"x": {written}}}"#), &[("x", data_type)]).unwrap();
            let expected = Some(stored.to_owned());
            assert_eq!(
                shown(&single[0]),
                (vec![expected.clone()], None),
                "{data_type} {written}"
            );
            let column = format!(r#"{{"x": [null, {written}]}}"#);
            let column = read(&column, &[("x", data_type)]).unwrap();
            assert_eq!(
                shown(&column[0]),
                (vec![None, expected], Some(2)),
                "{data_type} {written}"
            );
            let null = read(r#"{"x": null}"#, &[("x", data_type)]).unwrap();
            assert_eq!(shown(&null[0]), (vec![None], None));
        }
    }

    #[test]
    fn columns_are_in_the_wanted_order() {
        let wanted = [("a", "Int64"), ("b", "Bool")];
        let columns = read(r#"{"b": [true, false], "a": 1}"#, &wanted).unwrap();
        assert_eq!(columns[0].data_type().to_string(), "Int64");
        assert_eq!(columns[1].rows(), Some(2));
        assert!(read("{}", &[]).unwrap().is_empty());
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_with_its_offset() {
        for (data_type, written, offset, reason) in [
            ("Int64", "1.5", 0, "must be an integer"),
            ("Int64", r#""1""#, 0, "must be an integer"),
            ("Int64", "true", 0, "must be an integer"),
            ("Int64", "[1, 2.0]", 4, "(Int64, row 1) must be an integer"),
            ("Int64", "[1]", 0, "has 1 values for 2 rows"),
            ("Int64", "[1, 2, 3]", 0, "has 3 values for 2 rows"),
            ("Int64", "[]", 0, "has 0 values for 2 rows"),
            ("Int64", "[[1], 2]", 1, "must be an integer"),
            ("Float64", r#""1.5""#, 0, "must be a number"),
            ("Float64", "1e999", 0, "beyond the range of Float64"),
            ("Float32", "[1, 1e39]", 4, "beyond the range of Float32"),
            ("Bool", "1", 0, "must be true or false"),
            ("String", "1", 0, "must be a string"),
            ("Bytes", r#""?""#, 0, "is not base64"),
            (
                "Timestamp",
                r#""2024-06-01T12:00:00""#,
                0,
                "has no offset from UTC",
            ),
            ("Timestamp", "1.5", 0, "must be epoch milliseconds"),
            (
                "List[Int64]",
                "[1, null]",
                4,
                "must be an array, each of its elements an integer",
            ),
            ("List[Int64]", "[[1], 2]", 6, "must be an array"),
            ("List[Int64]", "[[1]]", 0, "has 1 values for 2 rows"),
            ("List[Int64]", "{}", 0, "must be an array"),
            ("Vector[2]", "[1]", 1, "is not 4 bytes for each dimension"),
            (
                "Vector[2]",
                r#"[1, "2"]"#,
                4,
                "must be an array of 2 numbers",
            ),
        ] {
            let request = format!(r#"{{"x": {written}}}"#);
            let problem = read(&request, &[("x", data_type)]).unwrap_err();
            assert_eq!(
                problem.kind,
                ProblemKind::Invalid,
                "{data_type} {written}: {problem:?}"
            );
            let start = r#"{"features":["a"],"request":{"x": "#.len();
            assert_eq!(
                problem.offset,
                start + offset,
                "{data_type} {written}: {problem:?}"
            );
            assert!(
                problem.detail.contains(reason),
                "{data_type} {written}: {problem:?}"
            );
            assert!(problem.detail.starts_with("\"x\""), "{problem:?}");
        }
    }

    #[test]
    fn unknown_and_missing_inputs_are_named() {
        let wanted = [("amount", "Float64"), ("basket", "Int64")];
        let problem = read(r#"{"amout": 1, "basket": 2}"#, &wanted).unwrap_err();
        assert!(problem.detail.contains(r#""amout""#), "{problem:?}");
        assert!(problem.detail.contains("amount, basket"), "{problem:?}");
        let problem = read(r#"{"basket": 2}"#, &wanted).unwrap_err();
        assert!(
            problem.detail.contains(r#""amount" (Float64)"#),
            "{problem:?}"
        );
        assert_eq!(problem.offset, r#"{"features":["a"],"request":"#.len());
        let problem = read(r#"{"basket": 2}"#, &[]).unwrap_err();
        assert!(problem.detail.contains("need none"), "{problem:?}");
    }

    #[test]
    fn malformed_json_is_refused_before_types_are_known() {
        for request in [
            r#"{"x": [1,]}"#,
            r#"{"x": 1, "x": 2}"#,
            r#"{"x": NaN}"#,
            r#"{"x": [Infinity]}"#,
            r#"{"x": 01}"#,
            r#"{"x": "\ud800"}"#,
        ] {
            let problem = read(request, &[]).unwrap_err();
            assert_eq!(
                problem.kind,
                ProblemKind::Malformed,
                "{request}: {problem:?}"
            );
        }
        for data_type in ["Int64", "Float64", "Timestamp", "List[Int64]"] {
            let request = r#"{"x": [9223372036854775808, 1]}"#;
            let problem = read(request, &[("x", data_type)]).unwrap_err();
            assert_eq!(
                problem.kind,
                ProblemKind::Malformed,
                "{data_type}: {problem:?}"
            );
        }
        let problem = read("[]", &[]).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }

    proptest! {
        #[test]
        fn arbitrary_values_never_panic(
            value in r#"(\[|\]|,|[0-9]|-|\.|e|null|true|"|a|\{|\}|:){0,30}"#
        ) {
            for data_type in ["Int64", "Float64", "String", "Timestamp", "List[Float64]", "Vector[2]"] {
                let _: Result<_, _> = read(&format!(r#"{{"x": {value}}}"#), &[("x", data_type)]);
            }
        }
    }
}
