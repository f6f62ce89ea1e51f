//! Compiled read plans.

use std::sync::Arc;

use fscore_core::cluster::SlotMap;
use fscore_core::keys::KeyType;
use fscore_core::plan::{
    EntitySpec, FeatureSpec, PlanSpec, ReadPlan as CoreReadPlan, Strategy, ViewSpec,
};
use fscore_core::read::Read;
use fscore_core::types::DataType;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::errors;
use crate::job::Job;
use crate::keys;
use crate::value::encode_object;

/// A feature service compiled once into commands and output columns.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) inner: Arc<CoreReadPlan>,
    max_rows: usize,
}

#[pymethods]
impl ReadPlan {
    #[new]
    #[pyo3(signature = (spec, key_prefix, max_rows = usize::MAX))]
    fn new(
        py: Python<'_>,
        spec: &Bound<'_, PyDict>,
        key_prefix: &str,
        max_rows: usize,
    ) -> PyResult<Self> {
        let spec = read_spec(spec, key_prefix)?;
        let plan = CoreReadPlan::new(&spec)
            .map_err(|error| errors::invalid_definition(py, &error.to_string()))?;
        Ok(Self {
            inner: Arc::new(plan),
            max_rows,
        })
    }

    /// Names of the output columns, in order.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .features()
                .iter()
                .map(|feature| feature.name.as_str()),
        )
    }

    /// Types of the output columns, in order.
    #[getter]
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .features()
                .iter()
                .map(|feature| feature.data_type.to_string()),
        )
    }

    /// Names and types of the join keys.
    #[getter]
    fn join_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let join_keys = PyDict::new(py);
        for (name, key_type) in self.inner.join_keys() {
            join_keys.set_item(name, key_type.name())?;
        }
        Ok(join_keys)
    }

    /// The command that reads each entity.
    #[getter]
    fn strategies(&self) -> Vec<&'static str> {
        self.inner.strategies().map(Strategy::name).collect()
    }
}

impl ReadPlan {
    /// The job that reads `keys` from a standalone server.
    pub(crate) fn read_job(
        &self,
        keys: &Bound<'_, PyAny>,
        version: i64,
        now_ms: i64,
        partial: bool,
    ) -> PyResult<Job> {
        let columns = keys::extract(self.inner.join_keys(), keys)?;
        if columns.rows() > self.max_rows {
            return Err(errors::too_many_rows(
                keys.py(),
                columns.rows(),
                self.max_rows,
            ));
        }
        let read = Read::new(&self.inner, columns, version, now_ms, &SlotMap::Standalone);
        let (read, mut parts) = read.map_err(|error| keys::error(keys.py(), &error))?;
        // A standalone server is one node, and so one part.
        let (_, part) = parts.remove(0);
        Ok(Job::read(read, part, partial))
    }
}

fn read_spec(spec: &Bound<'_, PyDict>, key_prefix: &str) -> PyResult<PlanSpec> {
    let entities = items(spec, "entities")?
        .iter()
        .map(|entity| {
            Ok(EntitySpec {
                name: entity.get_item("name")?.extract()?,
                join_keys: join_keys(&entity.get_item("join_keys")?)?,
                fields_total: entity.get_item("fields_total")?.extract()?,
                wide_values: entity.get_item("wide_values")?.extract()?,
            })
        })
        .collect::<PyResult<_>>()?;
    let views = items(spec, "views")?
        .iter()
        .map(|view| {
            Ok(ViewSpec {
                entity: view.get_item("entity")?.extract()?,
                name: view.get_item("name")?.extract()?,
                ttl_ms: view.get_item("ttl_ms")?.extract()?,
            })
        })
        .collect::<PyResult<_>>()?;
    let features = items(spec, "features")?
        .iter()
        .map(|feature| read_feature(&feature));
    Ok(PlanSpec {
        key_prefix: key_prefix.to_owned(),
        entities,
        views,
        features: features.collect::<PyResult<_>>()?,
        strategy: None,
    })
}

fn read_feature(feature: &Bound<'_, PyAny>) -> PyResult<FeatureSpec> {
    let name: String = feature.get_item("name")?.extract()?;
    let data_type: String = feature.get_item("type")?.extract()?;
    let default = feature.get_item("default")?;
    let default = if default.is_none() {
        None
    } else {
        let mut text = Vec::new();
        // An unknown type is told by the plan itself.
        if let Ok(parsed) = data_type.parse::<DataType>() {
            encode_object(&mut text, parsed, &default).map_err(|reason| {
                let message = format!("the default of feature {name} {reason}");
                errors::invalid_definition(feature.py(), &message)
            })?;
        }
        Some(text)
    };
    Ok(FeatureSpec {
        name,
        view: feature.get_item("view")?.extract()?,
        field: feature.get_item("field")?.extract()?,
        data_type,
        default,
    })
}

/// Names and types of an entity's join keys.
pub(crate) fn join_keys(pairs: &Bound<'_, PyAny>) -> PyResult<Vec<(String, KeyType)>> {
    pairs
        .try_iter()?
        .map(|pair| {
            let [name, type_name]: [String; 2] = pair?.extract()?;
            let key_type = KeyType::parse(&type_name).ok_or_else(|| {
                let message =
                    format!("join key {name} is {type_name}; a join key is Int64 or String");
                errors::invalid_definition(pairs.py(), &message)
            })?;
            Ok((name, key_type))
        })
        .collect()
}

/// The list in a specification's member.
pub(crate) fn items<'py>(spec: &Bound<'py, PyDict>, name: &str) -> PyResult<Bound<'py, PyList>> {
    let member = spec.get_item(name)?.ok_or_else(|| {
        errors::invalid_definition(spec.py(), &format!("the specification has no {name}"))
    })?;
    Ok(member.cast_into::<PyList>()?)
}
