//! The output columns of a plan: what a result has to know of the plan that it was read by.

use crate::text::json_string;
use crate::types::DataType;

/// The output columns of a plan, shared with its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumns {
    pub(crate) features: Vec<Feature>,
    /// How many views the plan reads.
    pub(crate) views: usize,
}

/// An output column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name in results.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Index of its view among all views of the plan; `None` if it is computed.
    pub view: Option<usize>,
    /// Whether it has a default.
    pub(crate) has_default: bool,
    /// The name as a JSON string.
    pub(crate) json_name: Vec<u8>,
}

impl Feature {
    pub(crate) fn new(
        name: &str,
        data_type: DataType,
        view: Option<usize>,
        has_default: bool,
    ) -> Self {
        Self {
            name: name.to_owned(),
            data_type,
            view,
            has_default,
            json_name: json_string(name),
        }
    }
}
