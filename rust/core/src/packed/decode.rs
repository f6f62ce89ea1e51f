//! Decodes rows to cells.

use std::collections::HashMap;

use super::schema::{Schema, fixed_bytes, null_bit};
use super::{HEADER_BYTES, Header, PackedError};
use crate::convert::offset_u32;
use crate::types::{DataType, Scalar, Status, TimeUnit};
use crate::value::{self, Invalid};

/// Reads the wanted columns from rows of any known schema.
#[derive(Debug, Clone)]
pub struct Decoder {
    wanted: Vec<WantedColumn>,
    readers: Vec<SchemaReader>,
}

#[derive(Debug, Clone)]
struct WantedColumn {
    name: String,
    data_type: DataType,
    absent: u64,
}

/// Reads the wanted columns from rows of one schema.
#[derive(Debug, Clone)]
struct SchemaReader {
    fingerprint: u32,
    reads: Vec<ColumnRead>,
    /// The columns of variable length, in order.
    variable: Vec<Variable>,
    /// Whether the schema has every wanted column, each as eight bytes that are its cell.
    cells_only: bool,
    /// The end of the null bitmap.
    nulls_end: usize,
    /// The start of the tail.
    tail: usize,
    /// Stored types of columns that are wanted with another type.
    others: Vec<DataType>,
}

/// How one wanted column is read. A row has at most 512 MiB before its tail, so offsets fit.
#[derive(Debug, Clone, Copy)]
struct ColumnRead {
    form: ColumnForm,
    null_bit: u8,
    null_byte: u32,
    /// The offset of the column in the row, or an index into the list that `form` names.
    at: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnForm {
    /// Eight bytes that are the cell.
    Cell,
    Float32,
    Bool,
    Seconds,
    Vector,
    /// An index into `variable`.
    Variable,
    /// It has another type; an index into `others`.
    Other,
    /// The schema does not have it.
    Absent,
}

#[derive(Debug, Clone, Copy)]
struct Variable {
    column: usize,
    /// The offset in the row of its end offset.
    at: usize,
}

/// Why a column has no cell.
enum Without {
    Null,
    Invalid(Invalid),
    Row(PackedError),
}

impl Decoder {
    /// A decoder of the `wanted` columns from rows of `schemas`. The schema of most rows comes
    /// first.
    pub fn new(wanted: Vec<(String, DataType)>, schemas: &[Schema]) -> Self {
        let mut decoder = Self {
            wanted: wanted
                .into_iter()
                .map(|(name, data_type)| WantedColumn {
                    name,
                    data_type,
                    absent: value::absent(data_type),
                })
                .collect(),
            readers: Vec::with_capacity(schemas.len()),
        };
        for schema in schemas {
            decoder.add(schema);
        }
        decoder
    }

    /// Makes rows of one more schema readable.
    pub fn add(&mut self, schema: &Schema) {
        if !self.knows(schema.fingerprint()) {
            self.readers.push(SchemaReader::new(schema, &self.wanted));
        }
    }

    /// Whether rows of this schema can be read.
    pub fn knows(&self, fingerprint: u32) -> bool {
        self.reader(fingerprint).is_ok()
    }

    /// Decodes `row` into a cell and a status for each wanted column, and returns its event time.
    ///
    /// Statuses are `PRESENT`, `NULL` (the column is null, or its schema does not have it) or
    /// `INVALID` (it is stored as another type, or its bytes are not valid for its type). Bytes of
    /// variable length are appended to `arena`. After an error `arena` is unchanged, and cells and
    /// statuses mean nothing.
    ///
    /// # Panics
    /// If `cells` or `statuses` has another length than the wanted columns.
    pub fn decode(
        &self,
        row: &[u8],
        cells: &mut [u64],
        statuses: &mut [u8],
        arena: &mut Vec<u8>,
    ) -> Result<i64, PackedError> {
        assert_eq!(cells.len(), self.wanted.len(), "a cell for each column");
        assert_eq!(
            statuses.len(),
            self.wanted.len(),
            "a status for each column"
        );
        let header = Header::parse(row)?;
        let reader = self.reader(header.fingerprint)?;
        reader.check_length(row)?;
        if reader.is_cells(row) {
            for (read, cell) in reader.reads.iter().zip(cells) {
                *cell = u64::from_le_bytes(bytes_at(row, read.at as usize));
            }
            statuses.fill(Status::Present as u8);
            return Ok(header.event_time);
        }
        let before = arena.len();
        let outputs = cells.iter_mut().zip(statuses);
        for ((read, wanted), (cell, status)) in reader.reads.iter().zip(&self.wanted).zip(outputs) {
            (*cell, *status) = match reader.cell(*read, wanted.data_type, row, arena) {
                Ok(cell) => (cell, Status::Present as u8),
                Err(Without::Null) => (wanted.absent, Status::Null as u8),
                Err(Without::Invalid(_)) => (wanted.absent, Status::Invalid as u8),
                Err(Without::Row(error)) => {
                    arena.truncate(before);
                    return Err(error);
                }
            };
        }
        Ok(header.event_time)
    }

    /// Why the value of wanted column `column` of `row` is `INVALID`, for logs; `None` if it is
    /// not.
    ///
    /// # Panics
    /// If there is no such wanted column.
    pub fn reason(&self, row: &[u8], column: usize) -> Option<String> {
        let data_type = self.wanted[column].data_type;
        let reader = self.reader(Header::parse(row).ok()?.fingerprint).ok()?;
        reader.check_length(row).ok()?;
        let read = reader.reads[column];
        match reader.cell(read, data_type, row, &mut Vec::new()) {
            Err(Without::Invalid(_)) if read.form == ColumnForm::Other => {
                let stored = reader.others[read.at as usize];
                Some(format!("is stored as {stored}, not as {data_type}"))
            }
            Err(Without::Invalid(invalid)) => Some(format!("{}: {data_type}", invalid.0)),
            _ => None,
        }
    }

    fn reader(&self, fingerprint: u32) -> Result<&SchemaReader, PackedError> {
        self.readers
            .iter()
            .find(|reader| reader.fingerprint == fingerprint)
            .ok_or(PackedError::UnknownSchema(fingerprint))
    }
}

impl SchemaReader {
    fn new(schema: &Schema, wanted: &[WantedColumn]) -> Self {
        let stored = schema.layout();
        let by_name: HashMap<&str, usize> = stored
            .iter()
            .enumerate()
            .map(|(index, column)| (column.name.as_str(), index))
            .collect();
        let mut others = Vec::new();
        let reads: Vec<ColumnRead> = wanted
            .iter()
            .map(|wanted| {
                let Some(&index) = by_name.get(wanted.name.as_str()) else {
                    return ColumnRead {
                        form: ColumnForm::Absent,
                        null_bit: 0,
                        null_byte: 0,
                        at: 0,
                    };
                };
                let column = &stored[index];
                let (form, at) = if column.data_type != wanted.data_type {
                    others.push(column.data_type);
                    (ColumnForm::Other, others.len() - 1)
                } else if let Some(variable) = column.variable {
                    (ColumnForm::Variable, variable)
                } else {
                    (fixed_form(column.data_type), column.offset)
                };
                let (null_byte, null_bit) = null_bit(index);
                ColumnRead {
                    form,
                    null_bit,
                    null_byte: offset_u32(null_byte),
                    at: offset_u32(at),
                }
            })
            .collect();
        let variable = schema
            .variable
            .iter()
            .map(|&column| Variable {
                column,
                at: stored[column].offset,
            })
            .collect();
        Self {
            fingerprint: schema.fingerprint(),
            cells_only: reads.iter().all(|read| read.form == ColumnForm::Cell),
            nulls_end: HEADER_BYTES + stored.len().div_ceil(8),
            reads,
            variable,
            tail: schema.tail,
            others,
        }
    }

    /// Whether the row is only cells to copy. 30 cells take 24 ns this way, and 47 ns column by
    /// column.
    fn is_cells(&self, row: &[u8]) -> bool {
        self.cells_only
            && row[HEADER_BYTES..self.nulls_end]
                .iter()
                .all(|&byte| byte == 0)
    }

    /// Checks that the row is exactly as long as its last end offset says, so that neither a cut
    /// row nor one with more bytes after it is read.
    fn check_length(&self, row: &[u8]) -> Result<(), PackedError> {
        let mut expected = self.tail;
        if row.len() >= expected {
            expected = expected.saturating_add(self.tail_end(self.variable.len(), row));
        }
        if row.len() == expected {
            Ok(())
        } else {
            Err(PackedError::Length {
                found: row.len(),
                expected,
            })
        }
    }

    /// The end in the tail of the first `count` columns of variable length, as the last of them
    /// says.
    fn tail_end(&self, count: usize, row: &[u8]) -> usize {
        self.variable[..count].last().map_or(0, |variable| {
            u32::from_le_bytes(bytes_at(row, variable.at)) as usize
        })
    }

    #[inline]
    fn cell(
        &self,
        read: ColumnRead,
        data_type: DataType,
        row: &[u8],
        arena: &mut Vec<u8>,
    ) -> Result<u64, Without> {
        let at = read.at as usize;
        // An absent column has byte 0 and no bit, so this is never true for it.
        if row[read.null_byte as usize] & read.null_bit != 0 {
            return Err(Without::Null);
        }
        match read.form {
            ColumnForm::Cell => Ok(u64::from_le_bytes(bytes_at(row, at))),
            ColumnForm::Float32 => {
                let narrow = f32::from_le_bytes(bytes_at(row, at));
                Ok(f64::from(narrow).to_bits())
            }
            ColumnForm::Bool => match row[at] {
                value @ (0 | 1) => Ok(u64::from(value)),
                _ => Err(Without::Invalid(Invalid("is a byte other than 0 and 1"))),
            },
            ColumnForm::Seconds => i64::from_le_bytes(bytes_at(row, at))
                .checked_mul(TimeUnit::Seconds.milliseconds())
                .map(i64::cast_unsigned)
                .ok_or(Without::Invalid(Invalid(
                    "is a time beyond 64 bits of milliseconds",
                ))),
            ColumnForm::Vector => {
                let end = at + fixed_bytes(data_type);
                value::decode(data_type, &row[at..end], arena).map_err(Without::Invalid)
            }
            ColumnForm::Variable => {
                let variable = &self.variable[at];
                let start = self.tail_end(at, row);
                let end = u32::from_le_bytes(bytes_at(row, variable.at)) as usize;
                let bytes = row[self.tail..]
                    .get(start..end)
                    .ok_or(Without::Row(PackedError::Offset(variable.column)))?;
                value::decode(data_type, bytes, arena).map_err(Without::Invalid)
            }
            ColumnForm::Other => Err(Without::Invalid(Invalid("is stored as another type"))),
            ColumnForm::Absent => Err(Without::Null),
        }
    }
}

const fn fixed_form(data_type: DataType) -> ColumnForm {
    match data_type {
        DataType::Scalar(Scalar::Float32) => ColumnForm::Float32,
        DataType::Scalar(Scalar::Bool) => ColumnForm::Bool,
        DataType::Scalar(Scalar::Timestamp(TimeUnit::Seconds)) => ColumnForm::Seconds,
        DataType::Vector(_) => ColumnForm::Vector,
        _ => ColumnForm::Cell,
    }
}

/// The bytes of `row` at an offset before its tail. The row's length was checked, so they are
/// there.
#[inline]
fn bytes_at<const LENGTH: usize>(row: &[u8], at: usize) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(&row[at..at + LENGTH]);
    bytes
}
