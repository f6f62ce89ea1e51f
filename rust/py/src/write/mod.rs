//! Rows of a view to commands: Python objects in, encoded batches out.

mod batch;
mod compile;
mod copy;
mod rows;
mod values;

use std::time::SystemTime;

use fscore_core::event_time::EpochUnit;
use fscore_core::keys::{KeyColumns, KeyType};
use fscore_core::types::{DataType, Scalar, TimeUnit};
use fscore_core::write::{
    Destinations, Given, Layout, Ordering, Outdated, RowError, WriteBatch as CoreWriteBatch,
};
use numpy::PyReadonlyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::errors;
use crate::keys;
use crate::plan::join_keys;
use crate::value::{encode_object, is_null, timestamp, with_given};
use batch::BatchKind;
pub(crate) use batch::{WriteBatch, to_python};
use compile::{Choices, member};
pub(crate) use copy::LayoutCopy;
use rows::Rows;
use values::ColumnValues;

/// The writing of a view, compiled once.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct WritePlan {
    view: String,
    join_keys: Vec<(String, KeyType)>,
    columns: Vec<WriteColumn>,
    /// Whether rows may have the id of their event.
    event_ids: bool,
    layouts: Vec<Box<dyn Layout>>,
}

/// A feature, or a field of an event's payload.
#[derive(Debug)]
struct WriteColumn {
    name: String,
    data_type: DataType,
}

#[pymethods]
impl WritePlan {
    #[new]
    #[pyo3(signature = (
        spec, key_prefix, *, event_time_order = false, field_ttl = false, outdated = None
    ))]
    fn new(
        py: Python<'_>,
        spec: &Bound<'_, PyDict>,
        key_prefix: &str,
        event_time_order: bool,
        field_ttl: bool,
        outdated: Option<&str>,
    ) -> PyResult<Self> {
        let ordering = if event_time_order {
            Ordering::EventTime
        } else {
            Ordering::Arrival
        };
        let choices = Choices {
            key_prefix,
            ordering,
            field_ttl,
            outdated: match outdated {
                None => Outdated::Nothing,
                Some("fields") => Outdated::Fields,
                Some(_) => Outdated::Keys,
            },
            migrating: false,
        };
        let columns = compile::columns(spec)?;
        let layouts = compile::layouts(spec, &columns, choices)?;
        let event_ids = compile::kind(spec)? == "series" && member(spec, "event_id")?;
        Ok(Self {
            view: member(spec, "view")?,
            join_keys: join_keys(&spec.as_any().get_item(intern!(py, "join_keys"))?)?,
            columns,
            event_ids,
            layouts,
        })
    }

    /// Encodes rows, one dict each: join keys, features or payload, `event_time` if it is not
    /// `now_ms`, and `event_id` if events have ids. A batch has `batch_rows` rows, or 4 MiB.
    #[pyo3(signature = (rows, version, now_ms, batch_rows = usize::MAX))]
    fn encode_rows(
        &self,
        rows: &Bound<'_, PyList>,
        version: i64,
        now_ms: i64,
        batch_rows: usize,
    ) -> PyResult<Vec<WriteBatch>> {
        let py = rows.py();
        let keys = keys::extract(&self.join_keys, self.row_keys(rows)?.as_any())?;
        let mut encoded = self.rows(py, &keys, version, batch_rows)?;
        let mut scratch = Vec::new();
        let mut event_id = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            encoded.begin();
            // Every row is a dict: this was checked when its keys were read.
            let row = row.cast::<PyDict>()?;
            let mut known = self.join_keys.len();
            for (column, WriteColumn { name, data_type }) in self.columns.iter().enumerate() {
                let Some(value) = row.get_item(name)? else {
                    continue;
                };
                known += 1;
                let take = |given: Given<'_>| encoded.value(column, &given);
                let is_value = with_given(&value, *data_type, &mut scratch, take)
                    .map_err(|reason| self.invalid(py, name, index, &reason))?;
                if !is_value {
                    encoded.null(column);
                }
            }
            let time = match row.get_item(intern!(py, "event_time"))? {
                Some(time) if !self.has("event_time") => {
                    known += 1;
                    self.time(&time, index, now_ms)?
                }
                _ => now_ms,
            };
            event_id.clear();
            let has_id = match row.get_item(intern!(py, "event_id"))? {
                Some(id) if self.event_ids => {
                    known += usize::from(!self.has("event_id"));
                    self.event_id(&mut event_id, &id, index)?
                }
                _ => false,
            };
            if known != row.len() {
                return Err(self.unknown_member(row, index));
            }
            encoded
                .end(index, time, has_id.then_some(&event_id))
                .map_err(|error| self.refused(py, index, &error))?;
        }
        Ok(encoded.finish())
    }

    /// Encodes columns. `keys` are those of a read. A column is a feature's name, its values as an
    /// array of int64, float64, float32 or bool or as a list of objects, and an array of bool that
    /// is true for nulls, or None. `event_times` are epoch milliseconds, one for each row, or None.
    /// `event_ids` are strings or integers, one for each row, or None. A batch has `batch_rows`
    /// rows, or 4 MiB.
    #[pyo3(signature = (keys, columns, event_times, version, now_ms, batch_rows = usize::MAX, event_ids = None))]
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "arguments of a Python method are owned, and one crossing instead of several"
    )]
    fn encode_columns(
        &self,
        keys: &Bound<'_, PyDict>,
        columns: Vec<(String, Bound<'_, PyAny>, Option<PyReadonlyArray1<'_, bool>>)>,
        event_times: Option<PyReadonlyArray1<'_, i64>>,
        version: i64,
        now_ms: i64,
        batch_rows: usize,
        event_ids: Option<Bound<'_, PyList>>,
    ) -> PyResult<Vec<WriteBatch>> {
        let py = keys.py();
        let keys = keys::extract(&self.join_keys, keys)?;
        let mut encoded = self.rows(py, &keys, version, batch_rows)?;
        let rows = keys.rows();
        let columns = columns
            .iter()
            .map(|(name, values, nulls)| {
                let column = self.columns.iter().position(|column| column.name == *name);
                let column = column.ok_or_else(|| self.unknown(py, name, None))?;
                let nulls = nulls.as_ref().map(PyReadonlyArray1::as_array);
                let values = ColumnValues::new(self.columns[column].data_type, values)?;
                if values.len() == rows && nulls.as_ref().is_none_or(|nulls| nulls.len() == rows) {
                    return Ok((column, values, nulls));
                }
                let reason = format!("has {} values for {rows} rows", values.len());
                Err(self.invalid_column(py, name, &reason))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let times = event_times.as_ref().map(PyReadonlyArray1::as_array);
        for (name, given) in [
            (
                "event_time",
                event_times.as_ref().map(|times| times.as_array().len()),
            ),
            ("event_id", event_ids.as_ref().map(PyListMethods::len)),
        ] {
            if given.is_some_and(|given| given != rows) {
                return Err(self.invalid_column(py, name, &format!("needs {rows} values")));
            }
        }
        let mut scratch = Vec::new();
        let mut event_id = Vec::new();
        for row in 0..rows {
            encoded.begin();
            for (column, values, nulls) in &columns {
                if nulls.as_ref().is_some_and(|nulls| nulls[row]) {
                    encoded.null(*column);
                    continue;
                }
                let take = |given: Given<'_>| encoded.value(*column, &given);
                match values.with_given(row, &mut scratch, take) {
                    Ok(true) => {}
                    Ok(false) => encoded.null(*column),
                    Err(reason) => {
                        let name = &self.columns[*column].name;
                        return Err(self.invalid(py, name, row, &reason));
                    }
                }
            }
            let time = times.as_ref().map_or(now_ms, |times| times[row]);
            event_id.clear();
            let has_id = match &event_ids {
                Some(ids) => self.event_id(&mut event_id, &ids.get_item(row)?, row)?,
                None => false,
            };
            encoded
                .end(row, time, has_id.then_some(&event_id))
                .map_err(|error| self.refused(py, row, &error))?;
        }
        Ok(encoded.finish())
    }

    /// Encodes the removal of everything that the view has of these entities.
    fn encode_delete(&self, keys: &Bound<'_, PyAny>, version: i64) -> PyResult<WriteBatch> {
        let py = keys.py();
        let keys = keys::extract(&self.join_keys, keys)?;
        let destinations = self.destinations(py, &keys, version)?;
        let mut batch = CoreWriteBatch::default();
        // Every layout has as many distinct destinations, so a row is the same entity in each.
        let mut distinct: Vec<_> = destinations.iter().map(Destinations::distinct).collect();
        for row in 0.. {
            let found: Vec<_> = distinct.iter_mut().filter_map(Iterator::next).collect();
            if found.is_empty() {
                break;
            }
            for (layout, destination) in self.layouts.iter().zip(found) {
                layout.remove(destination, row, &mut batch);
            }
        }
        let kind = BatchKind {
            idempotent: false,
            counted: true,
            in_order: false,
        };
        Ok(WriteBatch::new(batch, keys.rows(), kind))
    }
}

impl WritePlan {
    fn rows(
        &self,
        py: Python<'_>,
        keys: &KeyColumns,
        version: i64,
        batch_rows: usize,
    ) -> PyResult<Rows<'_>> {
        let destinations = self.destinations(py, keys, version)?;
        Ok(Rows::new(
            &self.layouts,
            destinations,
            epoch_ms_now(),
            batch_rows,
        ))
    }

    fn destinations(
        &self,
        py: Python<'_>,
        keys: &KeyColumns,
        version: i64,
    ) -> PyResult<Vec<Destinations>> {
        rows::destinations(&self.layouts, &self.join_keys, keys, version)
            .map_err(|error| keys::error(py, &error))
    }

    fn row_keys<'py>(&self, rows: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
        let py = rows.py();
        let keys = PyDict::new(py);
        for (name, _) in &self.join_keys {
            let column = PyList::empty(py);
            for (index, row) in rows.iter().enumerate() {
                let Ok(row) = row.cast::<PyDict>() else {
                    let message = format!("row {index} of view {} is not a dict", self.view);
                    return Err(errors::invalid_value(py, &message, None, Some(index)));
                };
                let Some(id) = row.get_item(name)? else {
                    let message =
                        format!("row {index} of view {} has no join key {name}", self.view);
                    return Err(errors::invalid_keys(py, &message, Some(name), Some(index)));
                };
                column.append(id)?;
            }
            keys.set_item(name, column)?;
        }
        Ok(keys)
    }

    fn time(&self, time: &Bound<'_, PyAny>, row: usize, now_ms: i64) -> PyResult<i64> {
        if time.is_none() {
            return Ok(now_ms);
        }
        match timestamp(time, Scalar::Timestamp(TimeUnit::Milliseconds)) {
            Ok(time_ms) => Ok(time_ms),
            Err(_) if is_null(time) => Ok(now_ms),
            Err(reason) => {
                let reason = if reason.starts_with("must be") {
                    "must be a datetime with a time zone, or epoch milliseconds"
                } else {
                    &reason
                };
                Err(self.invalid(time.py(), "event_time", row, reason))
            }
        }
    }

    /// Appends the text of an event's id; false if it is None.
    fn event_id(&self, out: &mut Vec<u8>, id: &Bound<'_, PyAny>, row: usize) -> PyResult<bool> {
        if is_null(id) {
            return Ok(false);
        }
        let scalar = if id.is_instance_of::<PyString>() {
            Scalar::String
        } else {
            Scalar::Int64
        };
        encode_object(out, DataType::Scalar(scalar), id)
            .map(|()| true)
            .map_err(|reason| {
                let reason = reason.replace("be Int64", "be a string or an integer");
                self.invalid(id.py(), "event_id", row, &reason)
            })
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    fn refused(&self, py: Python<'_>, row: usize, error: &RowError) -> PyErr {
        match error {
            RowError::Column(column, reason) => {
                self.invalid(py, &self.columns[*column].name, row, reason.0)
            }
            RowError::Time(fault) => {
                let reason = fault.of_number(EpochUnit::Milliseconds);
                let reason = format!("is {}, which is {reason}", fault.time_ms());
                self.invalid(py, "event_time", row, &reason)
            }
        }
    }

    fn invalid(&self, py: Python<'_>, feature: &str, row: usize, reason: &str) -> PyErr {
        let message = format!("{}:{feature} (row {row}) {reason}", self.view);
        errors::invalid_value(py, &message, Some(feature), Some(row))
    }

    fn invalid_column(&self, py: Python<'_>, feature: &str, reason: &str) -> PyErr {
        let message = format!("column {feature} of view {} {reason}", self.view);
        errors::invalid_value(py, &message, Some(feature), None)
    }

    fn unknown(&self, py: Python<'_>, name: &str, row: Option<usize>) -> PyErr {
        let known: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let place = row.map_or_else(String::new, |row| format!("row {row}: "));
        let message = format!(
            "{place}view {} has no feature {name:?}; it has {}",
            self.view,
            known.join(", ")
        );
        errors::invalid_value(py, &message, Some(name), row)
    }

    fn unknown_member(&self, row: &Bound<'_, PyDict>, index: usize) -> PyErr {
        let known = |name: &str| {
            name == "event_time"
                || name == "event_id" && self.event_ids
                || self.has(name)
                || self.join_keys.iter().any(|(join_key, _)| join_key == name)
        };
        let stray = row
            .keys()
            .iter()
            .find_map(|name| match name.cast::<PyString>() {
                Ok(text) if text.to_str().is_ok_and(known) => None,
                _ => Some(name.to_string()),
            });
        self.unknown(row.py(), &stray.unwrap_or_default(), Some(index))
    }
}

fn epoch_ms_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
