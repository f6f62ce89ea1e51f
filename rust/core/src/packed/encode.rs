//! Encodes values to rows.

use super::schema::{Schema, fixed_bytes, null_bit};
use super::{FORMAT, HEADER_BYTES};
use crate::convert::offset_u32;
use crate::types::{DataType, Scalar};
use crate::value::{self, Invalid, Value};

const OTHER_TYPE: Invalid = Invalid("is not of its column's type");

/// Writes rows of one schema, one after another, in the same memory.
///
/// Columns may be given in any order. A column that is not given is null.
#[derive(Debug)]
pub struct RowWriter<'a> {
    schema: &'a Schema,
    /// The row up to its tail.
    head: Vec<u8>,
    /// A head whose columns are all null.
    blank: Vec<u8>,
    /// Bytes of variable length, in the order in which they were given.
    given: Vec<u8>,
    /// The range in `given` of each column of variable length.
    spans: Vec<(usize, usize)>,
}

impl<'a> RowWriter<'a> {
    /// A writer of rows of `schema`.
    pub fn new(schema: &'a Schema) -> Self {
        let mut blank = vec![0; schema.tail];
        blank[0] = FORMAT;
        blank[1..5].copy_from_slice(&schema.fingerprint().to_le_bytes());
        for column in 0..schema.layout().len() {
            let (byte, bit) = null_bit(column);
            blank[byte] |= bit;
        }
        Self {
            schema,
            head: blank.clone(),
            blank,
            given: Vec::new(),
            spans: vec![(0, 0); schema.variable.len()],
        }
    }

    /// Sets a column of the current row. The last value counts.
    ///
    /// # Panics
    /// If the schema has no such column.
    pub fn value(&mut self, column: usize, value: Value<'_>) -> Result<(), Invalid> {
        match (self.schema.layout()[column].data_type, value) {
            (DataType::Scalar(Scalar::Int64), Value::Integer(value)) => {
                self.fixed(column, &value.to_le_bytes());
            }
            (DataType::Scalar(Scalar::Timestamp(unit)), Value::Integer(ms)) => {
                let stored = ms.div_euclid(unit.milliseconds());
                self.fixed(column, &stored.to_le_bytes());
            }
            (DataType::Scalar(Scalar::Float64), Value::Float64(value)) => {
                self.fixed(column, &value.to_le_bytes());
            }
            (DataType::Scalar(Scalar::Float32), Value::Float32(value)) => {
                self.fixed(column, &value.to_le_bytes());
            }
            (DataType::Scalar(Scalar::Bool), Value::Bool(value)) => {
                self.fixed(column, &[u8::from(value)]);
            }
            (DataType::Vector(_), Value::Vector(bytes)) => return self.bytes(column, bytes),
            (DataType::Scalar(Scalar::String), Value::String(text)) => {
                return self.bytes(column, text.as_bytes());
            }
            (DataType::Scalar(Scalar::Bytes), Value::Bytes(bytes)) => {
                return self.bytes(column, bytes);
            }
            (DataType::List(scalar), Value::List(elements)) if elements.scalar() == scalar => {
                let start = self.given.len();
                value::encode(&mut self.given, Value::List(elements), scalar);
                return self.span(column, start);
            }
            _ => return Err(OTHER_TYPE),
        }
        Ok(())
    }

    /// Sets a column from the bytes that the hash layout stores: the JSON text of a list, the
    /// floats of a vector, a string, bytes.
    ///
    /// # Panics
    /// If the schema has no such column.
    pub fn bytes(&mut self, column: usize, bytes: &[u8]) -> Result<(), Invalid> {
        match self.schema.layout()[column].data_type {
            DataType::Vector(dimension) if bytes.len() == 4 * dimension as usize => {
                self.fixed(column, bytes);
                Ok(())
            }
            _ if self.schema.layout()[column].variable.is_some() => {
                let start = self.given.len();
                self.given.extend_from_slice(bytes);
                self.span(column, start)
            }
            _ => Err(OTHER_TYPE),
        }
    }

    /// Appends the row to `out` and begins the next.
    pub fn finish(&mut self, event_time: i64, out: &mut Vec<u8>) {
        self.head[5..HEADER_BYTES].copy_from_slice(&event_time.to_le_bytes());
        let mut end = 0;
        for (&column, &(start, stop)) in self.schema.variable.iter().zip(&self.spans) {
            // `span` refused what does not fit into 32 bits. A null column is empty.
            end += offset_u32(stop - start);
            let offset = self.schema.layout()[column].offset;
            self.head[offset..offset + 4].copy_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.head);
        for &(start, stop) in &self.spans {
            out.extend_from_slice(&self.given[start..stop]);
        }
        self.head.copy_from_slice(&self.blank);
        self.given.clear();
        self.spans.fill((0, 0));
    }

    fn fixed(&mut self, column: usize, bytes: &[u8]) {
        let laid_out = &self.schema.layout()[column];
        debug_assert_eq!(bytes.len(), fixed_bytes(laid_out.data_type));
        self.head[laid_out.offset..laid_out.offset + bytes.len()].copy_from_slice(bytes);
        self.present(column);
    }

    /// Makes the bytes of `given` from `start` on the value of `column`.
    fn span(&mut self, column: usize, start: usize) -> Result<(), Invalid> {
        let stop = self.given.len();
        if u32::try_from(stop).is_err() {
            self.given.truncate(start);
            return Err(Invalid("makes the row longer than 4 GiB"));
        }
        if let Some(variable) = self.schema.layout()[column].variable {
            self.spans[variable] = (start, stop);
        }
        self.present(column);
        Ok(())
    }

    fn present(&mut self, column: usize) {
        let (byte, bit) = null_bit(column);
        self.head[byte] &= !bit;
    }
}
