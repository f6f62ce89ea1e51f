//! Columns of a table as arrays of Arrow.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, BinaryType, ByteArrayType, Float32Type, Float64Type, Int8Type, Int64Type,
    LargeBinaryType, LargeUtf8Type, TimestampMillisecondType, Utf8Type,
};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeListArray, GenericByteArray, ListArray,
    OffsetSizeTrait, PrimitiveArray, StringArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, FieldRef};
use fscore_core::convert::nearest_f32;
use fscore_core::keys::KeyColumn;
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar, Status};
use fscore_core::value::{ArenaSpan, Elements, Value, vector_elements};

use crate::table::selection::Column;

/// Why there is no array.
#[derive(Debug)]
pub(super) enum Failure {
    /// The text, or the elements of the lists, are more than offsets of 32 bits can count.
    TooLong,
    /// The code below is wrong.
    Unexpected(ArrowError),
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Self::Unexpected(error)
    }
}

/// The column as an array of type `target`: the column's own type, or that with offsets of 64 bits.
pub(super) fn array(
    table: &Table,
    column: Column,
    target: &ArrowType,
) -> Result<ArrayRef, Failure> {
    match column {
        Column::Key(index) => match &table.keys().columns[index].1 {
            KeyColumn::Integer(ids) => Ok(primitive::<Int64Type>(ids.iter().copied(), None)),
            KeyColumn::Text(ids) => {
                let texts = (0..ids.len()).map(|row| ids.at(row));
                match target {
                    ArrowType::LargeUtf8 => bytes::<LargeUtf8Type>(texts, None),
                    _ => bytes::<Utf8Type>(texts, None),
                }
            }
        },
        Column::Feature(index) => feature(table, index, target),
        Column::Status(index) => statuses(table, index),
    }
}

fn feature(table: &Table, column: usize, target: &ArrowType) -> Result<ArrayRef, Failure> {
    let nulls = nulls(table, column);
    let cells = (0..table.rows()).map(|row| table.cells()[row * table.columns() + column]);
    match (table.data_type(column), target) {
        (DataType::Scalar(Scalar::Int64), _) => {
            Ok(primitive::<Int64Type>(cells.map(u64::cast_signed), nulls))
        }
        (DataType::Scalar(Scalar::Timestamp(_)), _) => {
            Ok(times(cells.map(u64::cast_signed), nulls))
        }
        (DataType::Scalar(Scalar::Float64), _) => {
            Ok(primitive::<Float64Type>(cells.map(f64::from_bits), nulls))
        }
        (DataType::Scalar(Scalar::Float32), _) => {
            let values = cells.map(|cell| nearest_f32(f64::from_bits(cell)));
            Ok(primitive::<Float32Type>(values, nulls))
        }
        (DataType::Scalar(Scalar::Bool), _) => Ok(booleans(cells.map(|cell| cell != 0), nulls)),
        (DataType::Scalar(Scalar::String), ArrowType::LargeUtf8) => {
            bytes::<LargeUtf8Type>(spans(table, column), nulls)
        }
        (DataType::Scalar(Scalar::String), _) => bytes::<Utf8Type>(spans(table, column), nulls),
        (DataType::Scalar(Scalar::Bytes), ArrowType::LargeBinary) => {
            bytes::<LargeBinaryType>(spans(table, column), nulls)
        }
        (DataType::Scalar(Scalar::Bytes), _) => bytes::<BinaryType>(spans(table, column), nulls),
        (DataType::List(scalar), ArrowType::List(field)) => {
            lists(table, column, scalar, Arc::clone(field), nulls)
        }
        (DataType::Vector(dimension), ArrowType::FixedSizeList(field, _)) => {
            vectors(table, column, dimension, Arc::clone(field), nulls)
        }
        (data_type, _) => Err(Failure::Unexpected(ArrowError::SchemaError(format!(
            "{data_type} as {target}"
        )))),
    }
}

/// Which rows have a value; `None` if all have one.
fn nulls(table: &Table, column: usize) -> Option<NullBuffer> {
    let has_value = |row| table.has_value(row, column);
    let there = NullBuffer::new(BooleanBuffer::collect_bool(table.rows(), has_value));
    (there.null_count() > 0).then_some(there)
}

/// The bytes of each row's value; empty if it has none.
fn spans(table: &Table, column: usize) -> impl Iterator<Item = &[u8]> + Clone {
    (0..table.rows()).map(move |row| {
        if !table.has_value(row, column) {
            return &[] as &[u8];
        }
        let cell = table.cells()[row * table.columns() + column];
        ArenaSpan::of(cell).slice(table.arena())
    })
}

fn primitive<T: ArrowPrimitiveType>(
    values: impl Iterator<Item = T::Native>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.collect(), nulls))
}

fn times(values: impl Iterator<Item = i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = PrimitiveArray::<TimestampMillisecondType>::new(values.collect(), nulls);
    Arc::new(array.with_timezone("UTC"))
}

fn booleans(values: impl Iterator<Item = bool>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(BooleanArray::new(values.collect(), nulls))
}

fn bytes<'a, T: ByteArrayType>(
    values: impl Iterator<Item = &'a [u8]> + Clone,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Failure> {
    let offsets = offsets::<T::Offset>(values.clone().map(<[u8]>::len))?;
    let mut joined = Vec::with_capacity(offsets.last().as_usize());
    for value in values {
        joined.extend_from_slice(value);
    }
    let array = GenericByteArray::<T>::try_new(offsets, joined.into(), nulls)?;
    Ok(Arc::new(array))
}

/// Where each of the values begins and ends if they are put one behind another.
fn offsets<O: OffsetSizeTrait>(
    lengths: impl Iterator<Item = usize>,
) -> Result<OffsetBuffer<O>, Failure> {
    let mut end = 0_usize;
    let mut ends = Vec::with_capacity(lengths.size_hint().0 + 1);
    ends.push(O::usize_as(0));
    for length in lengths {
        end += length;
        if end > O::MAX_OFFSET {
            return Err(Failure::TooLong);
        }
        ends.push(O::usize_as(end));
    }
    Ok(OffsetBuffer::new(ends.into()))
}

fn lists(
    table: &Table,
    column: usize,
    scalar: Scalar,
    field: FieldRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Failure> {
    let elements_of = move |row| match table.value(row, column) {
        Some(Value::List(elements)) => Some(elements),
        _ => None,
    };
    let lengths = (0..table.rows()).map(|row| elements_of(row).map_or(0, Elements::count));
    let offsets = offsets::<i32>(lengths)?;
    let elements = (0..table.rows()).filter_map(elements_of).flatten();
    let values = match scalar {
        Scalar::Int64 => primitive::<Int64Type>(elements.map(integer), None),
        Scalar::Timestamp(_) => times(elements.map(integer), None),
        Scalar::Float64 => primitive::<Float64Type>(elements.map(float), None),
        Scalar::Float32 => {
            primitive::<Float32Type>(elements.map(|value| nearest_f32(float(value))), None)
        }
        Scalar::Bool => booleans(elements.map(|value| value == Value::Bool(true)), None),
        Scalar::String => bytes::<Utf8Type>(elements.map(text), None)?,
        Scalar::Bytes => bytes::<BinaryType>(elements.map(text), None)?,
    };
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
}

// The elements of a list are all of its type, so these match only the values that occur.

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
fn integer(value: Value<'_>) -> i64 {
    match value {
        Value::Integer(value) => value,
        _ => 0,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
fn float(value: Value<'_>) -> f64 {
    match value {
        Value::Float64(value) => value,
        Value::Float32(value) => f64::from(value),
        _ => f64::NAN,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over values")]
fn text(value: Value<'_>) -> &[u8] {
    match value {
        Value::String(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

fn vectors(
    table: &Table,
    column: usize,
    dimension: u32,
    field: FieldRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, Failure> {
    let (rows, width) = (table.rows(), dimension as usize);
    let mut elements: Vec<f32> = Vec::with_capacity(rows * width);
    for row in 0..rows {
        if let Some(Value::Vector(bytes)) = table.value(row, column) {
            elements.extend(vector_elements(bytes));
        }
        // The elements of a vector that is null.
        elements.resize((row + 1) * width, 0.0);
    }
    let elements = primitive::<Float32Type>(elements.into_iter(), None);
    let size = dimension.cast_signed();
    let array = FixedSizeListArray::try_new_with_length(field, size, elements, nulls, rows)?;
    Ok(Arc::new(array))
}

fn statuses(table: &Table, column: usize) -> Result<ArrayRef, Failure> {
    let codes = (0..table.rows()).map(|row| table.statuses()[row * table.columns() + column]);
    let codes = PrimitiveArray::<Int8Type>::from_iter_values(codes.map(u8::cast_signed));
    let names = StringArray::from_iter_values(Status::ALL.map(Status::name));
    Ok(Arc::new(DictionaryArray::try_new(codes, Arc::new(names))?))
}
