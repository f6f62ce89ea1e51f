//! Copies a view's rows from one layout to another: takes replies, and returns a script's
//! arguments.

use fscore_core::packed::{Decoder, Schema};
use fscore_core::write::{CopySource, LayoutCopy as CoreLayoutCopy, Ordering, Outdated, Transfer};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::compile::{self, Choices, member};
use crate::errors;

/// Column names and types, as a schema in Redis has them.
type SchemaColumns = Vec<(String, String)>;
/// The script's arguments; and the invalid values: the feature, or `None` for the whole row, and
/// the reason.
type CopiedRow<'a, 'py> = (Bound<'py, PyList>, Vec<(Option<&'a str>, String)>);

/// The copying of a view's rows, compiled once.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct LayoutCopy {
    inner: CoreLayoutCopy,
}

#[pymethods]
impl LayoutCopy {
    #[new]
    #[pyo3(signature = (source, target, key_prefix, schemas, *, field_ttl = false))]
    fn new(
        source: &Bound<'_, PyDict>,
        target: &Bound<'_, PyDict>,
        key_prefix: &str,
        schemas: Vec<(u32, SchemaColumns)>,
        field_ttl: bool,
    ) -> PyResult<Self> {
        let py = source.py();
        let columns = compile::columns(source)?;
        let choices = Choices {
            key_prefix,
            ordering: Ordering::Arrival,
            field_ttl,
            // Rows of other views in the key may have set one before this view came to it. A row that
            // is copied is whole, so that none of its fields keeps one.
            outdated: Outdated::Keys,
            migrating: true,
        };
        let target = compile::layout(target, &columns, choices)?;
        let columns: Vec<_> = columns
            .into_iter()
            .map(|column| (column.name, column.data_type))
            .collect();
        let view: String = member(source, "view")?;
        let invalid = |message: &str| errors::invalid_definition(py, message);
        let source = if compile::kind(source)? == "packed" {
            let mut decoder = Decoder::new(columns.clone(), &[]);
            for (fingerprint, pairs) in schemas {
                let parsed = pairs
                    .into_iter()
                    .map(|(name, spelling)| Ok((name, spelling.parse()?)))
                    .collect::<Result<_, fscore_core::types::UnknownType>>()
                    .map_err(|error| invalid(&error.to_string()))?;
                let schema = Schema::new(fingerprint, parsed)
                    .map_err(|error| invalid(&error.to_string()))?;
                decoder.add(&schema);
            }
            CopySource::Packed(decoder)
        } else {
            CopySource::Hash
        };
        Ok(Self {
            inner: CoreLayoutCopy::new(&view, columns, source, target),
        })
    }

    /// The fields that the view has in a hash, whichever layout that is.
    #[getter]
    fn hash_fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .hash_fields()
                .iter()
                .map(|field| PyBytes::new(py, field)),
        )
    }

    /// The Lua source of the script that copies a row, and its digest.
    #[getter]
    fn script(&self) -> (&'static str, &str) {
        let script = self.inner.script();
        (script.body(), script.sha1())
    }

    /// The script's arguments to remove a row from the source layout, if the target has one.
    fn removal<'py>(
        &self,
        py: Python<'py>,
        source_key: &[u8],
        target_key: &[u8],
    ) -> PyResult<Bound<'py, PyList>> {
        let arguments = self.inner.removal(source_key, target_key);
        PyList::new(
            py,
            arguments.iter().map(|argument| PyBytes::new(py, argument)),
        )
    }

    /// The script's arguments to copy the row that was read, or with `moving` to move it if the
    /// target has none: two keys, then the others, without the revision. And the values that are
    /// invalid, each a feature, or None for the whole row, and the reason.
    #[pyo3(signature = (source_key, target_key, read, clock_ms, *, moving = false))]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments of a Python method are owned"
    )]
    fn row<'a, 'py>(
        &'a self,
        py: Python<'py>,
        source_key: &[u8],
        target_key: &[u8],
        read: Vec<Option<Bound<'py, PyBytes>>>,
        clock_ms: i64,
        moving: bool,
    ) -> PyResult<CopiedRow<'a, 'py>> {
        let wanted = self.inner.values();
        if read.len() != wanted {
            let message = format!("{} values were read, not {wanted}", read.len());
            return Err(errors::invalid_value(py, &message, None, None));
        }
        let read: Vec<_> = read
            .iter()
            .map(|text| text.as_ref().map(PyBytesMethods::as_bytes))
            .collect();
        let transfer = if moving {
            Transfer::Move
        } else {
            Transfer::Copy
        };
        let copy = self
            .inner
            .row(source_key, target_key, &read, clock_ms, transfer);
        let names: Vec<_> = self.inner.columns().collect();
        let arguments = copy
            .arguments
            .iter()
            .map(|argument| PyBytes::new(py, argument));
        let invalid = copy
            .invalid
            .into_iter()
            .map(|(column, reason)| (column.map(|column| names[column]), reason));
        Ok((PyList::new(py, arguments)?, invalid.collect()))
    }
}
