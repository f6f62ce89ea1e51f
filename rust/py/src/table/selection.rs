//! The columns of a frame: the features, and if the caller wants them the join keys and statuses.

use std::collections::HashMap;

use fscore_core::table::Table;
use pyo3::prelude::*;

use crate::errors;

/// What a frame has beside its features.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selection {
    /// The join keys, before the features.
    pub(super) keys: bool,
    /// The status of each value, in columns behind the features.
    pub(super) statuses: bool,
}

/// A column of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// The join key of this index, in the order of the request.
    Key(usize),
    /// The feature of this index.
    Feature(usize),
    /// The statuses of the feature of this index.
    Status(usize),
}

impl Column {
    /// The name of the kind, and the index.
    pub(super) fn parts(self) -> (&'static str, usize) {
        match self {
            Self::Key(index) => ("key", index),
            Self::Feature(index) => ("feature", index),
            Self::Status(index) => ("status", index),
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Key(_) => "a join key",
            Self::Feature(_) => "a feature",
            Self::Status(_) => "a feature's statuses",
        }
    }
}

impl Selection {
    /// The columns with their names, in order. No two have the same name.
    pub(super) fn columns(self, py: Python<'_>, table: &Table) -> PyResult<Vec<(String, Column)>> {
        let features = table.features();
        let mut columns = Vec::with_capacity(2 * features.len() + 1);
        if self.keys {
            let keys = table.keys().columns.iter().enumerate();
            columns.extend(keys.map(|(index, (name, _))| (name.clone(), Column::Key(index))));
        }
        let names = features.iter().map(|feature| feature.name.clone());
        columns.extend(names.zip((0..).map(Column::Feature)));
        if self.statuses {
            let names = features.iter().map(|feature| status_name(&feature.name));
            columns.extend(names.zip((0..).map(Column::Status)));
        }
        if self.keys || self.statuses {
            unambiguous(py, &columns)?;
        }
        Ok(columns)
    }
}

/// The name of the column that has a feature's statuses.
pub(super) fn status_name(feature: &str) -> String {
    format!("{feature}__status")
}

fn unambiguous(py: Python<'_>, columns: &[(String, Column)]) -> PyResult<()> {
    let mut seen = HashMap::with_capacity(columns.len());
    for (name, column) in columns {
        if let Some(earlier) = seen.insert(name, *column) {
            let message = format!(
                "two columns would have the name {name:?}: {} and {}; give the feature another \
                 name in its service, with alias(), or leave out keys= or statuses=",
                earlier.described(),
                column.described()
            );
            let argument = match earlier {
                Column::Key(_) => "keys",
                _ => "statuses",
            };
            return Err(errors::invalid_argument(py, &message, argument));
        }
    }
    Ok(())
}
