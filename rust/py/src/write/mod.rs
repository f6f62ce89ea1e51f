//! Rows of a view to commands: Python objects in, encoded batches out.

mod batch;
mod column;

use std::sync::Arc;
use std::time::SystemTime;

use fscore_core::keys::{EntityKeys, KeyColumns, KeyType};
use fscore_core::resp::encode::write_blob;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{Value, encode};
use fscore_core::write::{Expiry, WriteBatch as CoreWriteBatch};
use numpy::PyReadonlyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDict, PyInt, PyList, PyString};

use crate::errors;
use crate::keys;
use crate::plan::{items, join_keys};
use crate::value::{encode_object, epoch_ms};
use batch::Batches;
pub(crate) use batch::{WriteBatch, to_python};
use column::Column;

/// What writing a feature view takes, compiled once.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct WritePlan {
    view: String,
    key_head: Vec<u8>,
    join_keys: Vec<(String, KeyType)>,
    features: Vec<Feature>,
    time_field: String,
    key_ttl: Option<KeyTtl>,
}

/// How long a key lives after a row of the view was written to it.
#[derive(Debug, Clone, Copy)]
struct KeyTtl {
    ms: i64,
    /// Whether the entity has other views, whose rows are in the same key.
    shared: bool,
}

#[derive(Debug)]
struct Feature {
    name: String,
    data_type: DataType,
}

#[pymethods]
impl WritePlan {
    #[new]
    fn new(py: Python<'_>, spec: &Bound<'_, PyDict>, key_prefix: &str) -> PyResult<Self> {
        let member = |name: &str| -> PyResult<Bound<'_, PyAny>> { spec.as_any().get_item(name) };
        let entity: String = member("entity")?.extract()?;
        let view: String = member("view")?.extract()?;
        let features = items(spec, "features")?
            .iter()
            .map(|feature| {
                let name: String = feature.get_item("name")?.extract()?;
                let spelling: String = feature.get_item("type")?.extract()?;
                let data_type = spelling.parse().map_err(|error| {
                    errors::invalid_definition(py, &format!("feature {name}: {error}"))
                })?;
                Ok(Feature { name, data_type })
            })
            .collect::<PyResult<_>>()?;
        Ok(Self {
            key_head: format!("{key_prefix}{entity}:{{").into_bytes(),
            join_keys: join_keys(&member("join_keys")?)?,
            features,
            time_field: format!("_ts:{view}"),
            key_ttl: match member("key_ttl_ms")?.extract()? {
                0 => None,
                ms => Some(KeyTtl {
                    ms,
                    shared: member("shared_key")?.extract()?,
                }),
            },
            view,
        })
    }

    /// Encodes rows given as one dict each: join keys, features, and `event_time` where it is not
    /// `now_ms`. A feature that is absent stays as it is; one that is None becomes NULL. Every
    /// `batch_rows` rows make a batch, or 4 MiB.
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
        let entities = self.entity_keys(py, &keys, version)?;
        let mut batches = Batches::new(batch_rows);
        let mut text = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let batch = batches.row();
            // Every row was seen to be a dict when its keys were read.
            let row = row.cast::<PyDict>()?;
            let mut known = self.join_keys.len();
            for feature in &self.features {
                let Some(value) = row.get_item(&feature.name)? else {
                    continue;
                };
                known += 1;
                if value.is_none() {
                    batch.null(feature.name.as_bytes());
                    continue;
                }
                text.clear();
                encode_object(&mut text, feature.data_type, &value)
                    .map_err(|reason| self.invalid(py, &feature.name, index, &reason))?;
                batch.value(feature.name.as_bytes(), &text);
            }
            let time = match row.get_item(intern!(py, "event_time"))? {
                Some(time) if !self.has("event_time") => {
                    known += 1;
                    self.time(&time, index, now_ms)?
                }
                _ => now_ms,
            };
            if known != row.len() {
                return Err(self.unknown_member(row, index));
            }
            self.end_row(batch, &entities, index, time);
        }
        Ok(batches.finish())
    }

    /// Encodes columns: `keys` as for a read; each column a feature's name, its values as an array
    /// of int64, float64, float32 or bool or a list of objects, and an array of bool that is true
    /// where the value is null, or None. `event_times` are epoch ms, one for each row, or None.
    /// Every `batch_rows` rows make a batch, or 4 MiB.
    #[pyo3(signature = (keys, columns, event_times, version, now_ms, batch_rows = usize::MAX))]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments of a Python method are owned"
    )]
    fn encode_columns(
        &self,
        keys: &Bound<'_, PyDict>,
        columns: Vec<(String, Bound<'_, PyAny>, Option<PyReadonlyArray1<'_, bool>>)>,
        event_times: Option<PyReadonlyArray1<'_, i64>>,
        version: i64,
        now_ms: i64,
        batch_rows: usize,
    ) -> PyResult<Vec<WriteBatch>> {
        let py = keys.py();
        let keys = keys::extract(&self.join_keys, keys)?;
        let entities = self.entity_keys(py, &keys, version)?;
        let rows = keys.rows();
        let columns = columns
            .iter()
            .map(|(name, values, nulls)| {
                let feature = self.features.iter().find(|feature| feature.name == *name);
                let feature = feature.ok_or_else(|| self.unknown(py, name, None))?;
                let nulls = nulls.as_ref().map(PyReadonlyArray1::as_array);
                let column = Column::new(feature, values)?;
                if column.values.len() == rows
                    && nulls.as_ref().is_none_or(|nulls| nulls.len() == rows)
                {
                    return Ok((column, nulls));
                }
                let reason = format!("has {} values for {rows} rows", column.values.len());
                Err(self.invalid_column(py, name, &reason))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let times = event_times.as_ref().map(PyReadonlyArray1::as_array);
        if times.as_ref().is_some_and(|times| times.len() != rows) {
            return Err(self.invalid_column(py, "event_time", &format!("needs {rows} values")));
        }
        let mut batches = Batches::new(batch_rows);
        let mut text = Vec::new();
        for row in 0..rows {
            let batch = batches.row();
            for (column, nulls) in &columns {
                let name = column.feature.name.as_bytes();
                if nulls.as_ref().is_some_and(|nulls| nulls[row]) {
                    batch.null(name);
                    continue;
                }
                text.clear();
                match column.encode(&mut text, row) {
                    Ok(true) => batch.value(name, &text),
                    Ok(false) => batch.null(name),
                    Err(reason) => {
                        return Err(self.invalid(py, &column.feature.name, row, &reason));
                    }
                }
            }
            let time = times.as_ref().map_or(now_ms, |times| times[row]);
            self.end_row(batch, &entities, row, time);
        }
        Ok(batches.finish())
    }

    /// Encodes the removal of the view's values of these entities.
    fn encode_delete(&self, keys: &Bound<'_, PyAny>, version: i64) -> PyResult<WriteBatch> {
        let keys_read = keys::extract(&self.join_keys, keys)?;
        let entities = self.entity_keys(keys.py(), &keys_read, version)?;
        let mut fields = Vec::new();
        for feature in &self.features {
            write_blob(&mut fields, feature.name.as_bytes());
        }
        write_blob(&mut fields, self.time_field.as_bytes());
        let mut batch = CoreWriteBatch::default();
        for (row, key) in entities.keys.iter().enumerate() {
            batch.remove(key, &fields, self.features.len() + 1, row as u32);
        }
        Ok(WriteBatch {
            inner: Arc::new(batch),
            rows: keys_read.rows(),
        })
    }
}

impl WritePlan {
    fn row_keys<'py>(&self, rows: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
        let py = rows.py();
        let keys = PyDict::new(py);
        for (name, _) in &self.join_keys {
            let column = PyList::empty(py);
            for (index, row) in rows.iter().enumerate() {
                let Ok(row) = row.cast::<PyDict>() else {
                    let message = format!("row {index} of view {} is no dict", self.view);
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

    fn entity_keys(&self, py: Python<'_>, keys: &KeyColumns, version: i64) -> PyResult<EntityKeys> {
        let bound = keys
            .bind(&self.join_keys)
            .map_err(|error| keys::error(py, &error))?;
        let columns: Vec<_> = bound
            .iter()
            .map(|&index| {
                let (name, column) = &keys.columns[index];
                (name.as_str(), column)
            })
            .collect();
        let tail = format!("}}:v{version}");
        EntityKeys::build(&self.key_head, &columns, tail.as_bytes(), keys.rows())
            .map_err(|error| keys::error(py, &error))
    }

    fn end_row(&self, batch: &mut CoreWriteBatch, entities: &EntityKeys, row: usize, time: i64) {
        batch.value(self.time_field.as_bytes(), itoa(time).as_slice());
        let key = entities
            .key_of_row
            .as_ref()
            .map_or(row, |keys| keys[row] as usize);
        let expiry = self.key_ttl.map(|KeyTtl { ms, shared }| Expiry {
            // Counted from now for what is late: a write must not delete what others have there.
            at_ms: time.max(epoch_ms_now()).saturating_add(ms),
            shared,
        });
        batch.end_row(entities.keys.at(key), row as u32, expiry);
    }

    fn time(&self, time: &Bound<'_, PyAny>, row: usize, now_ms: i64) -> PyResult<i64> {
        let invalid = |reason: &str| self.invalid(time.py(), "event_time", row, reason);
        if time.is_none() {
            return Ok(now_ms);
        }
        let ms = if let Ok(time) = time.cast::<PyDateTime>() {
            epoch_ms(time).map_err(|reason| invalid(&reason))?
        } else if time.is_instance_of::<PyInt>() && !time.is_instance_of::<PyBool>() {
            time.extract().map_err(|_| invalid("is beyond 64 bits"))?
        } else {
            return Err(invalid(
                "must be a datetime with a time zone, or epoch milliseconds",
            ));
        };
        if ms < 0 {
            Err(invalid("is before 1970"))
        } else {
            Ok(ms)
        }
    }

    fn has(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature.name == name)
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
            .features
            .iter()
            .map(|feature| feature.name.as_str())
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

fn itoa(value: i64) -> Vec<u8> {
    let mut text = Vec::with_capacity(20);
    encode(&mut text, Value::Integer(value), Scalar::Int64);
    text
}

fn epoch_ms_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
