//! The types of features and the statuses of values.

use std::fmt;
use std::str::FromStr;

/// The status of one value of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The value is there and of its type.
    Present = 0,
    /// The view's row was written, without a value for this feature.
    Null = 1,
    /// Nothing is stored.
    NotFound = 2,
    /// Stored, but older than the view's TTL.
    Expired = 3,
    /// The stored text is not of the feature's type.
    Invalid = 4,
    /// The node that holds it did not answer in time.
    Unavailable = 5,
}

impl Status {
    /// Whether all of these codes are `PRESENT`.
    pub fn all_present(codes: &[u8]) -> bool {
        // A loop without an early exit handles many codes at a time.
        let present = Self::Present as u8;
        codes
            .iter()
            .fold(0, |other, &code| other | (code ^ present))
            == 0
    }

    /// Every status, at the index of its code.
    pub const ALL: [Self; 6] = [
        Self::Present,
        Self::Null,
        Self::NotFound,
        Self::Expired,
        Self::Invalid,
        Self::Unavailable,
    ];

    /// The name used in JSON and in Python.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "PRESENT",
            Self::Null => "NULL",
            Self::NotFound => "NOT_FOUND",
            Self::Expired => "EXPIRED",
            Self::Invalid => "INVALID",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The status with this code; codes come from [`Self`] itself, so others mean `Unavailable`.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Present,
            1 => Self::Null,
            2 => Self::NotFound,
            3 => Self::Expired,
            4 => Self::Invalid,
            _ => Self::Unavailable,
        }
    }
}

/// A type that a single value can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// `1` or `0`.
    Bool,
    /// UTF-8 text.
    String,
    /// Any bytes.
    Bytes,
    /// A point in time; in memory, milliseconds since the Unix epoch.
    Timestamp(TimeUnit),
}

/// The unit of a timestamp's stored integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Milliseconds since the Unix epoch.
    Milliseconds,
    /// Seconds since the Unix epoch.
    Seconds,
}

impl TimeUnit {
    /// How many milliseconds one unit is.
    pub const fn milliseconds(self) -> i64 {
        match self {
            Self::Milliseconds => 1,
            Self::Seconds => 1_000,
        }
    }
}

/// The type of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// One value.
    Scalar(Scalar),
    /// Any number of values of one scalar type.
    List(Scalar),
    /// This many `Float32`s.
    Vector(u32),
}

impl DataType {
    /// Whether it is `Bool`.
    pub const fn is_bool(self) -> bool {
        matches!(self, Self::Scalar(Scalar::Bool))
    }
}

/// The spelling of a type that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownType(pub String);

impl fmt::Display for UnknownType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown type {:?}; known are Int64, Float32, Float64, Bool, String, Bytes, Timestamp, \
             Timestamp[s], List[…] of those and Vector[dimension]",
            self.0
        )
    }
}

impl std::error::Error for UnknownType {}

impl FromStr for DataType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let unknown = || UnknownType(text.to_owned());
        if let Some(scalar) = scalar(text) {
            return Ok(Self::Scalar(scalar));
        }
        let (outer, inner) = text
            .strip_suffix(']')
            .and_then(|text| text.split_once('['))
            .ok_or_else(unknown)?;
        match outer {
            "List" => scalar(inner).map(Self::List).ok_or_else(unknown),
            "Vector" => match inner.parse::<u32>() {
                Ok(dimension) if (1..=65_536).contains(&dimension) => Ok(Self::Vector(dimension)),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

fn scalar(text: &str) -> Option<Scalar> {
    Some(match text {
        "Int64" => Scalar::Int64,
        "Float32" => Scalar::Float32,
        "Float64" => Scalar::Float64,
        "Bool" => Scalar::Bool,
        "String" => Scalar::String,
        "Bytes" => Scalar::Bytes,
        "Timestamp" | "Timestamp[ms]" => Scalar::Timestamp(TimeUnit::Milliseconds),
        "Timestamp[s]" => Scalar::Timestamp(TimeUnit::Seconds),
        _ => return None,
    })
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int64 => "Int64",
            Self::Float32 => "Float32",
            Self::Float64 => "Float64",
            Self::Bool => "Bool",
            Self::String => "String",
            Self::Bytes => "Bytes",
            Self::Timestamp(TimeUnit::Milliseconds) => "Timestamp",
            Self::Timestamp(TimeUnit::Seconds) => "Timestamp[s]",
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::List(scalar) => write!(f, "List[{scalar}]"),
            Self::Vector(dimension) => write!(f, "Vector[{dimension}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for text in [
            "Int64",
            "Float32",
            "Float64",
            "Bool",
            "String",
            "Bytes",
            "Timestamp",
            "Timestamp[s]",
            "List[Int64]",
            "List[Timestamp[s]]",
            "Vector[64]",
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "int64",
            "",
            "List[]",
            "List[List[Int64]]",
            "Vector[0]",
            "Vector[-1]",
            "Vector[x]",
            "Vector[70000]",
            "Set[Int64]",
            "List[Int64",
        ] {
            assert_eq!(
                text.parse::<DataType>(),
                Err(UnknownType(text.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn codes_and_statuses_agree() {
        for (code, status) in (0..).zip(Status::ALL) {
            assert_eq!(status as u8, code);
            assert_eq!(Status::from_code(code), status);
        }
    }
}
