//! Arrow's C interfaces: a table's schema, and a stream with its rows as one record batch.

mod arrays;

use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchOptions};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType as ArrowType, Field, FieldRef, Schema, TimeUnit};
use fscore_core::keys::KeyType;
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::selection::{Column, Selection};
use crate::errors;
use arrays::Failure;

/// A capsule with the schema of the features.
pub(super) fn schema_capsule<'py>(
    py: Python<'py>,
    table: &Table,
) -> PyResult<Bound<'py, PyCapsule>> {
    let columns = Selection::default().columns(py, table)?;
    let schema =
        FFI_ArrowSchema::try_from(schema(table, &columns)).map_err(|error| unexpected(&error))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

/// A capsule with a stream of the selected columns. `requested` is a capsule with the schema that
/// the consumer prefers, or None.
pub(super) fn stream_capsule<'py>(
    py: Python<'py>,
    table: &Table,
    selection: Selection,
    requested: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let columns = selection.columns(py, table)?;
    let mut schema = schema(table, &columns);
    if let Some(requested) = requested {
        schema = as_requested(&schema, requested)?;
    }
    let arrays = columns
        .iter()
        .zip(schema.fields())
        .map(|((_, column), field)| {
            arrays::array(table, *column, field.data_type()).map_err(|failure| match failure {
                Failure::TooLong => too_long(py, field.name()),
                Failure::Unexpected(error) => unexpected(&error),
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    let schema = Arc::new(schema);
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
        .map_err(|error| unexpected(&error))?;
    let batches = RecordBatchIterator::new([Ok(batch)], schema);
    let stream = FFI_ArrowArrayStream::new(Box::new(batches));
    PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
}

fn schema(table: &Table, columns: &[(String, Column)]) -> Schema {
    let fields = columns.iter().map(|(name, column)| {
        let data_type = match *column {
            Column::Key(index) => match table.keys().columns[index].1.key_type() {
                KeyType::Integer => ArrowType::Int64,
                KeyType::Text => ArrowType::Utf8,
            },
            Column::Feature(index) => arrow_type(table.data_type(index)),
            Column::Status(_) => {
                ArrowType::Dictionary(Box::new(ArrowType::Int8), Box::new(ArrowType::Utf8))
            }
        };
        Field::new(name, data_type, true)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Scalar(scalar) => scalar_type(scalar),
        DataType::List(scalar) => ArrowType::List(element(scalar_type(scalar))),
        DataType::Vector(dimension) => {
            ArrowType::FixedSizeList(element(ArrowType::Float32), dimension.cast_signed())
        }
    }
}

fn scalar_type(scalar: Scalar) -> ArrowType {
    match scalar {
        Scalar::Int64 => ArrowType::Int64,
        Scalar::Float32 => ArrowType::Float32,
        Scalar::Float64 => ArrowType::Float64,
        Scalar::Bool => ArrowType::Boolean,
        Scalar::String => ArrowType::Utf8,
        Scalar::Bytes => ArrowType::Binary,
        Scalar::Timestamp(_) => ArrowType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    }
}

fn element(data_type: ArrowType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

/// The schema with the types of `requested` that cost nothing: text and bytes with offsets of 64
/// bits. All other types stay, so the consumer converts them, as the protocol allows.
fn as_requested(schema: &Schema, requested: &Bound<'_, PyAny>) -> PyResult<Schema> {
    let py = requested.py();
    let wrong = |reason: &str| {
        let message = format!("requested_schema {reason}");
        errors::invalid_argument(py, &message, "requested_schema")
    };
    let pointer = requested
        .cast::<PyCapsule>()
        .ok()
        .and_then(|capsule| capsule.pointer_checked(Some(c"arrow_schema")).ok())
        .ok_or_else(|| wrong("must be a capsule named arrow_schema"))?;
    // SAFETY: a capsule of this name holds an ArrowSchema for as long as the capsule lives, and the
    // caller keeps it alive during this call, which only reads.
    let requested = unsafe { pointer.cast::<FFI_ArrowSchema>().as_ref() };
    if requested.release().is_none() || requested.format() != "+s" {
        return Err(wrong("is not the schema of a table, or was released"));
    }
    let wanted: Vec<_> = requested.children().collect();
    let same_names = wanted.len() == schema.fields().len()
        && wanted
            .iter()
            .zip(schema.fields())
            .all(|(wanted, field)| wanted.name() == Some(field.name()));
    if !same_names {
        let listed = |names: Vec<&str>| names.join(", ");
        return Err(wrong(&format!(
            "has the columns {}, and the table has {}; both must be the same",
            listed(wanted.iter().filter_map(|field| field.name()).collect()),
            listed(schema.fields().iter().map(|f| f.name().as_str()).collect()),
        )));
    }
    let fields = schema.fields().iter().zip(wanted).map(|(field, wanted)| {
        let data_type = match (field.data_type(), wanted.format()) {
            (ArrowType::Utf8, "U") => ArrowType::LargeUtf8,
            (ArrowType::Binary, "Z") => ArrowType::LargeBinary,
            (own, _) => own.clone(),
        };
        Field::new(field.name(), data_type, true)
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn too_long(py: Python<'_>, column: &str) -> PyErr {
    let message = format!(
        "column {column} has 2 GiB of text or more, or lists of 2^31 elements or more in all; read \
         fewer rows, or ask for large_utf8 or large_binary in requested_schema"
    );
    errors::too_large(py, &message, i32::MAX)
}

/// An error that the code above makes impossible.
fn unexpected(error: &ArrowError) -> PyErr {
    PyRuntimeError::new_err(format!("the table does not fit Arrow's rules: {error}"))
}
