//! The names of a table's columns in forms that have more than the features.

use fscore_core::table::Table;
use pyo3::prelude::*;

use crate::errors;

/// Names of columns, in the order of dicts and tables.
#[derive(Debug)]
pub(super) struct ColumnNames {
    /// Of the join keys, if they are asked for.
    pub(super) keys: Vec<String>,
    pub(super) features: Vec<String>,
    /// Of each feature's statuses, if they are asked for.
    pub(super) statuses: Vec<String>,
}

impl ColumnNames {
    /// The names that `table` needs, each only once.
    pub(super) fn new(py: Python<'_>, table: &Table, keys: bool, statuses: bool) -> PyResult<Self> {
        let features = table.features().iter().map(|feature| feature.name.clone());
        let features: Vec<String> = features.collect();
        let mut names = Self {
            keys: Vec::new(),
            statuses: Vec::new(),
            features,
        };
        if keys {
            let given = table.keys().columns.iter();
            names.keys = given.map(|(name, _)| name.clone()).collect();
        }
        if statuses {
            let of = names.features.iter();
            names.statuses = of.map(|name| format!("{name}__status")).collect();
        }
        for (option, added) in [("keys", &names.keys), ("statuses", &names.statuses)] {
            if let Some(name) = added.iter().find(|name| names.features.contains(name)) {
                let message = format!(
                    "with {option}=True there would be two columns {name:?}, for there is a \
                     feature of this name; leave out {option}, or give the feature an alias"
                );
                return Err(errors::invalid_value(py, &message, Some(name), None));
            }
        }
        if let Some(name) = names.keys.iter().find(|name| names.statuses.contains(name)) {
            let message = format!(
                "with keys=True and statuses=True there would be two columns {name:?}; ask for one \
                 of the two"
            );
            return Err(errors::invalid_value(py, &message, None, None));
        }
        Ok(names)
    }
}
