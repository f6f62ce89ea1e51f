//! Values: stored text to cells and back.
//!
//! A cell is eight bytes. Numbers, booleans and timestamps are in the cell itself. For a value of
//! variable length the cell says where in an arena its bytes are ([`ArenaSpan`]). `Float32` is kept
//! widened to `Float64`, which is exact, so that a matrix of floats is the cells themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiter::{Jiter, Peek};

use crate::convert::nearest_f32;
use crate::text::write_json_string;
use crate::types::{DataType, Scalar, TimeUnit};

/// Why stored text is not a value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

/// A decoded value, borrowed from a table or given by a writer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// An `Int64`, or a timestamp in epoch milliseconds.
    Integer(i64),
    /// A `Float64`.
    Float64(f64),
    /// A `Float32`.
    Float32(f32),
    /// A `Bool`.
    Bool(bool),
    /// A `String`.
    String(&'a str),
    /// A `Bytes`.
    Bytes(&'a [u8]),
    /// A list.
    List(Elements<'a>),
    /// A vector: little-endian `Float32`s.
    Vector(&'a [u8]),
}

/// The range of a value's bytes in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaSpan {
    /// Offset of the first byte.
    pub offset: u32,
    /// Number of bytes.
    pub length: u32,
}

impl ArenaSpan {
    /// The cell that holds this span.
    pub const fn cell(self) -> u64 {
        self.offset as u64 | (self.length as u64) << 32
    }

    /// The span in `cell`.
    pub const fn of(cell: u64) -> Self {
        Self {
            offset: (cell & 0xffff_ffff) as u32,
            length: (cell >> 32) as u32,
        }
    }

    /// The value's bytes in `arena`.
    pub fn slice(self, arena: &[u8]) -> &[u8] {
        &arena[self.offset as usize..self.offset as usize + self.length as usize]
    }
}

/// Whether values of this type are in the arena rather than in the cell.
pub const fn in_arena(data_type: DataType) -> bool {
    !matches!(
        data_type,
        DataType::Scalar(
            Scalar::Int64 | Scalar::Float32 | Scalar::Float64 | Scalar::Bool | Scalar::Timestamp(_)
        )
    )
}

/// The cell of a missing value: NaN for floats, an empty span or zero otherwise.
pub const fn absent(data_type: DataType) -> u64 {
    match data_type {
        DataType::Scalar(Scalar::Float32 | Scalar::Float64) => f64::NAN.to_bits(),
        _ => 0,
    }
}

/// Decodes stored `text` of a value into its cell; bytes of variable length go to `arena`.
#[inline]
pub fn decode(data_type: DataType, text: &[u8], arena: &mut Vec<u8>) -> Result<u64, Invalid> {
    match data_type {
        DataType::Scalar(Scalar::Float64) => float64(text).map(f64::to_bits),
        DataType::Scalar(Scalar::Int64) => integer(text).map(i64::cast_unsigned),
        DataType::Scalar(Scalar::Float32) => float32(text).map(|value| f64::from(value).to_bits()),
        DataType::Scalar(Scalar::Bool) => boolean(text).map(u64::from),
        DataType::Scalar(Scalar::Timestamp(unit)) => timestamp(text, unit).map(i64::cast_unsigned),
        DataType::Scalar(Scalar::String) => {
            std::str::from_utf8(text).map_err(|_| Invalid("is not UTF-8"))?;
            append(arena, text)
        }
        DataType::Scalar(Scalar::Bytes) => append(arena, text),
        DataType::Vector(dimension) => {
            if text.len() != 4 * dimension as usize {
                return Err(Invalid("is not 4 bytes for each dimension of the vector"));
            }
            append(arena, text)
        }
        DataType::List(scalar) => list(scalar, text, arena),
    }
}

fn append(arena: &mut Vec<u8>, bytes: &[u8]) -> Result<u64, Invalid> {
    let span = span_from(arena.len(), bytes.len())?;
    arena.extend_from_slice(bytes);
    Ok(span.cell())
}

fn span_from(offset: usize, length: usize) -> Result<ArenaSpan, Invalid> {
    match (u32::try_from(offset), u32::try_from(length)) {
        (Ok(offset), Ok(length)) => Ok(ArenaSpan { offset, length }),
        _ => Err(Invalid(
            "does not fit: one result holds at most 4 GiB of text",
        )),
    }
}

/// Parses a decimal integer: an optional minus sign and digits, nothing else.
#[inline]
pub fn integer(text: &[u8]) -> Result<i64, Invalid> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(Invalid("is not an integer"));
    }
    // Eighteen digits cannot overflow, so only longer texts pay for checked arithmetic.
    if digits.len() <= 18 {
        let mut value = 0_i64;
        for &digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Invalid("is not an integer"));
            }
            value = value * 10 + i64::from(digit);
        }
        return Ok(if negative { -value } else { value });
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Invalid("is not an integer"));
    }
    // `text` is an optional sign and ASCII digits. So it is UTF-8, and can only overflow.
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Invalid("is an integer beyond 64 bits"))
}

/// Parses a number, `nan` and `inf` included.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Result<f64, Invalid> {
    fast_float2::parse(text).map_err(|_| Invalid("is not a number"))
}

#[inline]
fn float32(text: &[u8]) -> Result<f32, Invalid> {
    fast_float2::parse(text).map_err(|_| Invalid("is not a number"))
}

#[inline]
fn boolean(text: &[u8]) -> Result<bool, Invalid> {
    match text {
        b"1" | b"true" => Ok(true),
        b"0" | b"false" => Ok(false),
        _ => Err(Invalid("is not a boolean: 1, 0, true or false")),
    }
}

fn timestamp(text: &[u8], unit: TimeUnit) -> Result<i64, Invalid> {
    integer(text)?
        .checked_mul(unit.milliseconds())
        .ok_or(Invalid("is a time beyond 64 bits of milliseconds"))
}

fn list(scalar: Scalar, text: &[u8], arena: &mut Vec<u8>) -> Result<u64, Invalid> {
    let start = arena.len();
    match list_elements(scalar, text, arena) {
        Ok(()) => Ok(span_from(start, arena.len() - start)?.cell()),
        Err(invalid) => {
            arena.truncate(start);
            Err(invalid)
        }
    }
}

fn list_elements(scalar: Scalar, text: &[u8], arena: &mut Vec<u8>) -> Result<(), Invalid> {
    const NOT_A_LIST: Invalid = Invalid("is not a JSON array of the list's type");
    let mut json = Jiter::new(text).with_allow_inf_nan();
    let mut next = json.next_array().map_err(|_| NOT_A_LIST)?;
    while let Some(peek) = next {
        list_element(scalar, &mut json, peek, arena).ok_or(NOT_A_LIST)?;
        next = json.array_step().map_err(|_| NOT_A_LIST)?;
    }
    json.finish().map_err(|_| NOT_A_LIST)
}

fn list_element(
    scalar: Scalar,
    json: &mut Jiter<'_>,
    peek: Peek,
    arena: &mut Vec<u8>,
) -> Option<()> {
    let fixed = match scalar {
        Scalar::Int64 => known_integer(json, peek)?.cast_unsigned(),
        Scalar::Timestamp(unit) => {
            let ms = known_integer(json, peek)?.checked_mul(unit.milliseconds())?;
            ms.cast_unsigned()
        }
        Scalar::Float64 => known_float(json, peek)?.to_bits(),
        // Rounded once, from the text's own double, and kept widened like a scalar.
        Scalar::Float32 => f64::from(nearest_f32(known_float(json, peek)?)).to_bits(),
        Scalar::Bool => u64::from(json.known_bool(peek).ok()?),
        Scalar::String | Scalar::Bytes => {
            if peek != Peek::String {
                return None;
            }
            let text = json.known_str().ok()?;
            if scalar == Scalar::Bytes {
                push_sized(arena, &BASE64.decode(text).ok()?)?;
            } else {
                push_sized(arena, text.as_bytes())?;
            }
            return Some(());
        }
    };
    arena.extend_from_slice(&fixed.to_le_bytes());
    Some(())
}

fn known_integer(json: &mut Jiter<'_>, peek: Peek) -> Option<i64> {
    if !peek.is_num() {
        return None;
    }
    // The parser's own integers have less than 64 bits, so this reads the text.
    integer(json.known_number_bytes(peek).ok()?).ok()
}

fn known_float(json: &mut Jiter<'_>, peek: Peek) -> Option<f64> {
    if !peek.is_num() && peek != Peek::NaN && peek != Peek::Infinity {
        return None;
    }
    json.known_float(peek).ok()
}

fn push_sized(arena: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    arena.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    arena.extend_from_slice(bytes);
    Some(())
}

/// The value in `cell`.
pub fn view(data_type: DataType, cell: u64, arena: &[u8]) -> Value<'_> {
    match data_type {
        DataType::Scalar(scalar) => fixed(scalar, cell).unwrap_or_else(|| {
            let bytes = ArenaSpan::of(cell).slice(arena);
            text(scalar, bytes)
        }),
        DataType::List(scalar) => Value::List(Elements {
            scalar,
            rest: ArenaSpan::of(cell).slice(arena),
        }),
        DataType::Vector(_) => Value::Vector(ArenaSpan::of(cell).slice(arena)),
    }
}

/// Whether `bytes` of an arena are a value of this type, as [`decode`] puts them there.
pub(crate) fn is_decoded(data_type: DataType, bytes: &[u8]) -> bool {
    match data_type {
        DataType::Scalar(Scalar::String) => std::str::from_utf8(bytes).is_ok(),
        DataType::Scalar(_) => true,
        DataType::Vector(dimension) => bytes.len() == 4 * dimension as usize,
        DataType::List(scalar @ (Scalar::String | Scalar::Bytes)) => {
            let mut rest = bytes;
            while let Some((&length, after)) = rest.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(length) as usize;
                let Some((element, after)) = after.split_at_checked(length) else {
                    return false;
                };
                if !is_decoded(DataType::Scalar(scalar), element) {
                    return false;
                }
                rest = after;
            }
            rest.is_empty()
        }
        DataType::List(_) => bytes.len().is_multiple_of(8),
    }
}

fn fixed(scalar: Scalar, cell: u64) -> Option<Value<'static>> {
    Some(match scalar {
        Scalar::Int64 | Scalar::Timestamp(_) => Value::Integer(cell.cast_signed()),
        Scalar::Float64 => Value::Float64(f64::from_bits(cell)),
        Scalar::Float32 => Value::Float32(nearest_f32(f64::from_bits(cell))),
        Scalar::Bool => Value::Bool(cell != 0),
        Scalar::String | Scalar::Bytes => return None,
    })
}

fn text(scalar: Scalar, bytes: &[u8]) -> Value<'_> {
    match scalar {
        // It was checked when it was decoded, so the fallback is never used.
        Scalar::String => Value::String(std::str::from_utf8(bytes).unwrap_or_default()),
        _ => Value::Bytes(bytes),
    }
}

/// The elements of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Elements<'a> {
    scalar: Scalar,
    rest: &'a [u8],
}

impl Elements<'_> {
    /// The type of each element.
    pub fn scalar(&self) -> Scalar {
        self.scalar
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if matches!(self.scalar, Scalar::String | Scalar::Bytes) {
            let (&length, rest) = self.rest.split_first_chunk::<4>()?;
            let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(length) as usize)?;
            self.rest = rest;
            return Some(text(self.scalar, bytes));
        }
        let (&cell, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        fixed(self.scalar, u64::from_le_bytes(cell))
    }
}

/// The `Float32`s of a vector's bytes.
pub fn vector_elements(bytes: &[u8]) -> impl ExactSizeIterator<Item = f32> + '_ {
    // `chunks_exact(4)` yields chunks of four bytes.
    bytes
        .chunks_exact(4)
        .map(|chunk| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
}

/// Appends the stored text of `value`. A timestamp is stored in the unit of `scalar`, rounded down.
pub fn encode(out: &mut Vec<u8>, value: Value<'_>, scalar: Scalar) {
    match value {
        Value::Integer(ms) => {
            let stored = match scalar {
                Scalar::Timestamp(unit) => ms.div_euclid(unit.milliseconds()),
                _ => ms,
            };
            out.extend_from_slice(itoa::Buffer::new().format(stored).as_bytes());
        }
        Value::Float64(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        Value::Float32(value) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        Value::Float64(value) => non_finite(out, value),
        Value::Float32(value) => non_finite(out, f64::from(value)),
        Value::Bool(value) => out.push(if value { b'1' } else { b'0' }),
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) | Value::Vector(bytes) => out.extend_from_slice(bytes),
        Value::List(elements) => {
            out.push(b'[');
            for (index, element) in elements.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                encode_element(out, element, scalar);
            }
            out.push(b']');
        }
    }
}

/// Appends one element of a list's stored text, which is JSON; bytes are base64.
pub fn encode_element(out: &mut Vec<u8>, element: Value<'_>, scalar: Scalar) {
    match element {
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::String(text) => write_json_string(out, text),
        Value::Bytes(bytes) => {
            out.push(b'"');
            out.extend_from_slice(BASE64.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Value::Float64(value) if !value.is_finite() => json_non_finite(out, value),
        Value::Float32(value) if !value.is_finite() => json_non_finite(out, f64::from(value)),
        number => encode(out, number, scalar),
    }
}

// JSON has no such numbers. Python's `json` writes and reads them in these spellings.
fn json_non_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        value if value.is_nan() => b"NaN".as_slice(),
        value if value > 0.0 => b"Infinity",
        _ => b"-Infinity",
    });
}

fn non_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        value if value.is_nan() => b"nan".as_slice(),
        value if value > 0.0 => b"inf",
        _ => b"-inf",
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(data_type: &str, text: &[u8]) -> Result<Vec<u8>, Invalid> {
        let data_type: DataType = data_type.parse().unwrap();
        let (DataType::Scalar(scalar) | DataType::List(scalar)) = data_type else {
            unreachable!()
        };
        let mut arena = Vec::new();
        let cell = decode(data_type, text, &mut arena)?;
        let mut out = Vec::new();
        encode(&mut out, view(data_type, cell, &arena), scalar);
        Ok(out)
    }

    #[test]
    fn canonical_texts_round_trip() {
        for (data_type, text) in [
            ("Int64", "0"),
            ("Int64", "-9223372036854775808"),
            ("Int64", "9223372036854775807"),
            ("Float64", "0.07"),
            ("Float64", "nan"),
            ("Float64", "-inf"),
            ("Float64", "29.0"),
            ("Float32", "0.1"),
            ("Float32", "inf"),
            ("Bool", "1"),
            ("Bool", "0"),
            ("String", "US"),
            ("String", ""),
            ("Bytes", "\0x"),
            ("Timestamp", "1710325274000"),
            ("Timestamp[s]", "-1"),
            ("List[Int64]", "[1,-2,3]"),
            ("List[Int64]", "[]"),
            ("List[String]", r#"["a","b\"c",""]"#),
            ("List[Bool]", "[true,false]"),
            ("List[Float32]", "[0.1,NaN,Infinity]"),
            ("List[Bytes]", r#"["AAE="]"#),
            ("List[Timestamp[s]]", "[17]"),
        ] {
            let written = round_trip(data_type, text.as_bytes());
            assert_eq!(
                written.as_deref(),
                Ok(text.as_bytes()),
                "{data_type} {text}"
            );
        }
    }

    #[test]
    fn other_texts_are_invalid() {
        for (data_type, text) in [
            ("Int64", ""),
            ("Int64", "-"),
            ("Int64", "1.0"),
            ("Int64", " 1"),
            ("Int64", "+1"),
            ("Int64", "9223372036854775808"),
            ("Int64", "1e3"),
            ("Float64", ""),
            ("Float64", "1,5"),
            ("Float64", "abc"),
            ("Float64", "1 "),
            ("Bool", "yes"),
            ("Bool", ""),
            ("Bool", "2"),
            ("Timestamp", "2024-01-01"),
            ("Timestamp[s]", "9223372036854775807"),
            ("List[Int64]", "[1,null]"),
            ("List[Int64]", "[1.5]"),
            ("List[Int64]", "1"),
            ("List[Int64]", "[1"),
            ("List[Int64]", "[1] x"),
            ("List[Int64]", "[true]"),
            ("List[Float64]", r#"["1"]"#),
            ("List[String]", "[1]"),
            ("List[Bytes]", r#"["?"]"#),
            ("List[Int64]", "[9223372036854775808]"),
            ("Int64", "123456789012345678x0"),
        ] {
            assert!(
                round_trip(data_type, text.as_bytes()).is_err(),
                "{data_type} {text}"
            );
        }
        let mut arena = b"before".to_vec();
        let list = DataType::List(Scalar::Int64);
        assert!(decode(list, b"[1,2,x]", &mut arena).is_err());
        assert_eq!(arena, b"before", "a list that fails leaves nothing behind");
        assert!(decode(DataType::Scalar(Scalar::String), b"\xff", &mut arena).is_err());
        assert!(decode(DataType::Vector(2), b"1234567", &mut arena).is_err());
    }

    proptest! {
        #[test]
        fn every_integer_and_float_round_trips(integer in any::<i64>(), float in any::<f64>()) {
            let text = integer.to_string();
            prop_assert_eq!(round_trip("Int64", text.as_bytes()), Ok(text.into_bytes()));
            let mut text = Vec::new();
            encode(&mut text, Value::Float64(float), Scalar::Float64);
            let cell = decode(DataType::Scalar(Scalar::Float64), &text, &mut Vec::new()).unwrap();
            prop_assert!(cell == float.to_bits() || float.is_nan());
        }

        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            for data_type in ["Int64", "Float32", "Bool", "String", "Timestamp[s]", "List[String]",
                "List[Float64]", "List[Bytes]", "Vector[3]"]
            {
                let _: Result<_, _> = decode(data_type.parse().unwrap(), &text, &mut Vec::new());
            }
        }
    }
}
