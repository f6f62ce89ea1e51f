//! What callers take out of a table by name or by row: columns, rows, keys.

use fscore_core::convert::nearest_f32;
use fscore_core::keys::{KeyColumn, KeyColumns};
use fscore_core::plan::Feature;
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar, Status};
use fscore_core::value::{ArenaSpan, decode, vector_elements, view};
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice, PyString};

use super::columns::NOT_A_TIME;
use super::rows::RowNames;
use crate::errors;
use crate::value::{encode_object, is_null, to_object};

/// What stands in a column for a value that is missing.
#[derive(Debug)]
pub(crate) enum Missing<'py> {
    /// What the type has for it, or an error if it has nothing.
    Raise,
    /// The mask of a masked array.
    Mask,
    /// This value.
    Fill(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Missing<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(word) = object.cast::<PyString>() {
            match word.to_str() {
                Ok("raise") => return Ok(Self::Raise),
                Ok("mask") => return Ok(Self::Mask),
                _ => {}
            }
        }
        Ok(Self::Fill(object.to_owned()))
    }
}

/// One feature: an array of length rows, or of shape (rows, dimension) for a vector.
pub(super) fn column<'py>(
    py: Python<'py>,
    table: &Table,
    name: &Bound<'py, PyAny>,
    missing: &Missing<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let index = index(table, name)?;
    Column::new(py, table, index, missing)?.to_array()
}

/// A feature of a table, and what stands for its missing values.
struct Column<'a, 'py> {
    py: Python<'py>,
    table: &'a Table,
    index: usize,
    missing: &'a Missing<'py>,
    /// The value to fill with, as a cell and its arena.
    fill: Option<(u64, Vec<u8>)>,
}

impl<'a, 'py> Column<'a, 'py> {
    fn new(
        py: Python<'py>,
        table: &'a Table,
        index: usize,
        missing: &'a Missing<'py>,
    ) -> PyResult<Self> {
        let fill = match missing {
            Missing::Fill(object) => filling(&table.features()[index], object)?,
            Missing::Raise | Missing::Mask => None,
        };
        Ok(Self {
            py,
            table,
            index,
            missing,
            fill,
        })
    }

    fn to_array(&self) -> PyResult<Bound<'py, PyAny>> {
        match self.table.data_type(self.index) {
            DataType::Scalar(Scalar::Int64) => self.exact(0, u64::cast_signed),
            DataType::Scalar(Scalar::Bool) => self.exact(false, |cell| cell != 0),
            DataType::Scalar(Scalar::Float64) => {
                let (values, _) = self.numbers(f64::NAN, f64::from_bits);
                self.masked(PyArray1::from_vec(self.py, values).into_any(), 1)
            }
            DataType::Scalar(Scalar::Float32) => {
                let narrow = |cell| nearest_f32(f64::from_bits(cell));
                let (values, _) = self.numbers(f32::NAN, narrow);
                self.masked(PyArray1::from_vec(self.py, values).into_any(), 1)
            }
            DataType::Scalar(Scalar::Timestamp(_)) => {
                let time = |ms| Datetime::<Milliseconds>::from(ms);
                let take = |cell: u64| time(cell.cast_signed());
                let (values, _) = self.numbers(time(NOT_A_TIME), take);
                self.masked(PyArray1::from_vec(self.py, values).into_any(), 1)
            }
            DataType::Vector(dimension) => self.vectors(dimension as usize),
            DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => self.objects(),
        }
    }

    /// Values of a type that has nothing for a missing value.
    fn exact<T: Element + Copy>(
        &self,
        absent: T,
        take: impl Fn(u64) -> T,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (values, missing) = self.numbers(absent, take);
        if let (Missing::Raise, Some((first, count))) = (self.missing, missing) {
            return Err(self.missing_values(first, count));
        }
        self.masked(PyArray1::from_vec(self.py, values).into_any(), 1)
    }

    /// The values in cells; the first row without one, and how many rows have none.
    fn numbers<T: Copy>(
        &self,
        absent: T,
        take: impl Fn(u64) -> T,
    ) -> (Vec<T>, Option<(usize, usize)>) {
        let absent = self.fill.as_ref().map_or(absent, |(cell, _)| take(*cell));
        let mut missing = None;
        let (columns, index) = (self.table.columns(), self.index);
        let cells = self.table.cells().get(index..).unwrap_or_default().iter();
        let statuses = self
            .table
            .statuses()
            .get(index..)
            .unwrap_or_default()
            .iter();
        let both = cells.step_by(columns).zip(statuses.step_by(columns));
        let values = both.enumerate().map(|(row, (&cell, &status))| {
            // Nearly every value is PRESENT.
            if status == Status::Present as u8 || self.table.has_value(row, index) {
                return take(cell);
            }
            missing.get_or_insert((row, 0)).1 += 1;
            absent
        });
        (values.collect(), missing)
    }

    fn vectors(&self, dimension: usize) -> PyResult<Bound<'py, PyAny>> {
        let rows = self.table.rows();
        let absent: Vec<f32> = match &self.fill {
            Some((cell, arena)) => vector_elements(ArenaSpan::of(*cell).slice(arena)).collect(),
            None => vec![f32::NAN; dimension],
        };
        let mut elements = Vec::with_capacity(rows * dimension);
        for row in 0..rows {
            if self.table.has_value(row, self.index) {
                let cell = self.table.cells()[row * self.table.columns() + self.index];
                let bytes = ArenaSpan::of(cell).slice(self.table.arena());
                elements.extend(vector_elements(bytes));
            } else {
                elements.extend_from_slice(&absent);
            }
        }
        let array = PyArray1::from_vec(self.py, elements).reshape((rows, dimension))?;
        self.masked(array.into_any(), dimension)
    }

    fn objects(&self) -> PyResult<Bound<'py, PyAny>> {
        let mut objects = Vec::with_capacity(self.table.rows());
        for row in 0..self.table.rows() {
            let object = match self.table.value(row, self.index) {
                Some(value) => to_object(self.py, value)?,
                None => self.absent_object()?,
            };
            objects.push(object.unbind());
        }
        self.masked(PyArray1::from_vec(self.py, objects).into_any(), 1)
    }

    /// The object that stands for a missing value. Each row has its own, for a list can be changed.
    #[cold]
    fn absent_object(&self) -> PyResult<Bound<'py, PyAny>> {
        match &self.fill {
            Some((cell, arena)) => to_object(
                self.py,
                view(self.table.data_type(self.index), *cell, arena),
            ),
            None => Ok(self.py.None().into_bound(self.py)),
        }
    }

    /// `values` with a mask that is true if there is no value, if one is asked for. Each row has
    /// `width` elements.
    fn masked(&self, values: Bound<'py, PyAny>, width: usize) -> PyResult<Bound<'py, PyAny>> {
        let Missing::Mask = self.missing else {
            return Ok(values);
        };
        let mask: Vec<bool> = (0..self.table.rows())
            .map(|row| !self.table.has_value(row, self.index))
            .flat_map(|missing| std::iter::repeat_n(missing, width))
            .collect();
        let mask = PyArray1::from_vec(self.py, mask);
        let mask = mask.call_method1(
            intern!(self.py, "reshape"),
            (values.getattr(intern!(self.py, "shape"))?,),
        )?;
        self.py
            .import(intern!(self.py, "numpy.ma"))?
            .call_method1(intern!(self.py, "MaskedArray"), (values, mask))
    }

    fn missing_values(&self, first: usize, count: usize) -> PyErr {
        let name = &self.table.features()[self.index].name;
        let data_type = self.table.data_type(self.index);
        let zero = if data_type.is_bool() { "False" } else { "0" };
        let rows = self.table.rows();
        let of = if rows == 1 { "row" } else { "rows" };
        let status = self.table.status(first, self.index).name();
        let message = format!(
            "feature {name} has no value in {count} of {rows} {of}, first in row {first}, which is \
             {status}; a column of {data_type} has no NaN to say so: missing=\"mask\" returns a \
             masked array, missing={zero} fills in {zero}"
        );
        errors::new(self.py, "MissingValues", &message, |attributes| {
            attributes.set_item("feature", name)?;
            attributes.set_item("row", first)?;
            attributes.set_item("count", count)
        })
    }
}

/// `object` as a cell and its arena; `None` if it is what stands for missing values anyway.
fn filling(feature: &Feature, object: &Bound<'_, PyAny>) -> PyResult<Option<(u64, Vec<u8>)>> {
    let py = object.py();
    let wrong = |reason: &str| {
        let message = format!(
            "missing= for feature {} {reason}; it is \"raise\", \"mask\" or a value of the feature",
            feature.name
        );
        errors::invalid_value(py, &message, Some(&feature.name), None)
    };
    let exact = matches!(
        feature.data_type,
        DataType::Scalar(Scalar::Int64 | Scalar::Bool)
    );
    if !exact && is_null(object) {
        return Ok(None);
    }
    let mut text = Vec::new();
    encode_object(&mut text, feature.data_type, object).map_err(|reason| wrong(&reason))?;
    let mut arena = Vec::new();
    let cell = decode(feature.data_type, &text, &mut arena);
    Ok(Some((cell.map_err(|error| wrong(error.0))?, arena)))
}

/// The index of a feature, if there is one of this name.
pub(super) fn position(table: &Table, name: &str) -> Option<usize> {
    let mut features = table.features().iter();
    features.position(|feature| feature.name == name)
}

/// The index of a feature; the error names those that are spelled most like it first.
fn index(table: &Table, name: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = name.py();
    let Ok(text) = name.cast::<PyString>() else {
        let found = name.get_type().name()?;
        let message = format!("the name of a feature is a str, not {found}");
        return Err(errors::invalid_argument(py, &message, "name"));
    };
    // A text that is not UTF-8 is not the name of a feature either.
    let text = text.to_string_lossy();
    position(table, &text).map_or_else(|| Err(unknown_feature(py, table, &text)?), Ok)
}

fn unknown_feature(py: Python<'_>, table: &Table, name: &str) -> PyResult<PyErr> {
    const MOST_NAMES: usize = 20;
    // Longer names are slow to compare.
    const LONGEST: usize = 200;
    let features = table.features().iter();
    let names: Vec<&str> = features.map(|feature| feature.name.as_str()).collect();
    let near: Vec<String> = if name.len() > LONGEST {
        Vec::new()
    } else {
        py.import(intern!(py, "difflib"))?
            .call_method1(intern!(py, "get_close_matches"), (name, &names))?
            .extract()?
    };
    let others = names
        .iter()
        .filter(|&&name| near.iter().all(|near| near != name));
    let listed: Vec<&str> = near
        .iter()
        .map(String::as_str)
        .chain(others.copied())
        .collect();
    let more = if listed.len() > MOST_NAMES {
        ", …"
    } else {
        ""
    };
    let message = format!(
        "the table has no feature {:?}; it has {}{more}",
        name.chars().take(LONGEST).collect::<String>(),
        listed[..listed.len().min(MOST_NAMES)].join(", ")
    );
    Ok(errors::new(py, "FeatureNotFound", &message, |attributes| {
        attributes.set_item("name", name)?;
        attributes.set_item("suggestions", near)
    }))
}

/// A column for a name, a row for an index, rows for a slice.
pub(super) fn item<'py>(
    py: Python<'py>,
    table: &Table,
    item: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if item.is_instance_of::<PyString>() {
        return column(py, table, item, &Missing::Raise);
    }
    let names = RowNames::new(py, table);
    if let Ok(slice) = item.cast::<PySlice>() {
        let chosen = slice.indices(table.rows().cast_signed())?;
        let mut row = chosen.start;
        let rows = PyList::empty(py);
        for _ in 0..chosen.slicelength {
            rows.append(names.dict(py, table, row.cast_unsigned())?)?;
            row += chosen.step;
        }
        return Ok(rows.into_any());
    }
    let rows = table.rows();
    let beyond = || PyIndexError::new_err(format!("row {item} is beyond the table's {rows} rows"));
    let Ok(index) = item.call_method0(intern!(py, "__index__")) else {
        let found = item.get_type().name()?;
        let message = format!(
            "a table is indexed by a feature's name, a row's number or a slice of rows, not {found}"
        );
        return Err(errors::invalid_argument(py, &message, "item"));
    };
    let index: isize = index.extract().map_err(|_| beyond())?;
    let from_end = if index < 0 { rows.cast_signed() } else { 0 };
    let row = usize::try_from(index + from_end).map_err(|_| beyond())?;
    if row >= rows {
        return Err(beyond());
    }
    Ok(names.dict(py, table, row)?.into_any())
}

/// The join keys of the first `rows` rows as the caller gave them: name to a list of values.
pub(super) fn keys<'py>(
    py: Python<'py>,
    keys: &KeyColumns,
    rows: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let rows = rows.min(keys.rows());
    for (name, column) in &keys.columns {
        let ids: Vec<_> = (0..rows)
            .map(|row| key(py, column, row))
            .collect::<PyResult<_>>()?;
        columns.set_item(name, ids)?;
    }
    Ok(columns)
}

/// The value of a join key.
pub(super) fn key<'py>(
    py: Python<'py>,
    column: &KeyColumn,
    row: usize,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match column {
        KeyColumn::Integer(ids) => ids[row].into_pyobject(py)?.into_any(),
        // It is UTF-8, because it came as text.
        KeyColumn::Text(ids) => {
            PyString::new(py, std::str::from_utf8(ids.at(row)).unwrap_or_default()).into_any()
        }
    })
}
