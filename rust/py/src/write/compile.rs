//! Compiles specifications of views to the layouts that they are written in.

use fscore_core::packed::Schema;
use fscore_core::types::{DataType, Scalar};
use fscore_core::write::{
    FlagLayout, HashLayout, HashView, Layout, Ordering, Outdated, PackedLayout, SeriesLayout,
    SeriesView, TileField, TilesView,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::WriteColumn;
use crate::errors;
use crate::plan::items;

/// The settings of a write that do not come from the definitions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices<'a> {
    pub(super) key_prefix: &'a str,
    pub(super) ordering: Ordering,
    /// Whether the server can let single fields of a hash expire.
    pub(super) field_ttl: bool,
    /// Which expiries earlier definitions may have set.
    pub(super) outdated: Outdated,
    /// Whether rows are written in two layouts.
    pub(super) migrating: bool,
}

/// The columns of a view's rows: its features, or the payload of its events.
pub(super) fn columns(spec: &Bound<'_, PyDict>) -> PyResult<Vec<WriteColumn>> {
    let py = spec.py();
    let column = |name: String, spelling: &str| {
        let data_type = spelling
            .parse()
            .map_err(|error| errors::invalid_definition(py, &format!("feature {name}: {error}")))?;
        Ok(WriteColumn { name, data_type })
    };
    if kind(spec)? == "series" {
        return items(spec, "payload")?
            .iter()
            .map(|pair| {
                let [name, spelling]: [String; 2] = pair.extract()?;
                column(name, &spelling)
            })
            .collect();
    }
    items(spec, "features")?
        .iter()
        .map(|feature| {
            let spelling: String = feature.get_item("type")?.extract()?;
            column(feature.get_item("name")?.extract()?, &spelling)
        })
        .collect()
}

/// The layout of `spec`, and a second one if rows are written in both.
pub(super) fn layouts(
    spec: &Bound<'_, PyDict>,
    columns: &[WriteColumn],
    choices: Choices<'_>,
) -> PyResult<Vec<Box<dyn Layout>>> {
    let also = spec.get_item("also")?.filter(|also| !also.is_none());
    let choices = Choices {
        migrating: also.is_some(),
        ..choices
    };
    let mut layouts = vec![layout(spec, columns, choices)?];
    if let Some(also) = also {
        layouts.push(layout(also.cast::<PyDict>()?, columns, choices)?);
    }
    Ok(layouts)
}

pub(super) fn kind(spec: &Bound<'_, PyDict>) -> PyResult<String> {
    member(spec, "kind")
}

pub(super) fn layout(
    spec: &Bound<'_, PyDict>,
    columns: &[WriteColumn],
    choices: Choices<'_>,
) -> PyResult<Box<dyn Layout>> {
    let py = spec.py();
    match kind(spec)?.as_str() {
        "hash" => hash(spec, choices),
        "packed" => packed(spec, columns, choices),
        "series" => series(spec, columns, choices),
        "flags" => flags(spec, columns, choices),
        other => {
            let message = format!("views of kind {other:?} cannot be written");
            Err(errors::invalid_definition(py, &message))
        }
    }
}

fn hash(spec: &Bound<'_, PyDict>, choices: Choices<'_>) -> PyResult<Box<dyn Layout>> {
    let entity: String = member(spec, "entity")?;
    let features = items(spec, "features")?
        .iter()
        .map(|feature| {
            let name = feature.get_item("name")?.extract()?;
            Ok((name, feature.get_item("ttl_ms")?.extract()?))
        })
        .collect::<PyResult<_>>()?;
    Ok(Box::new(HashLayout::new(&HashView {
        key_head: format!("{}{entity}:{{", choices.key_prefix).into_bytes(),
        name: member(spec, "view")?,
        features,
        key_ttl_ms: member(spec, "key_ttl_ms")?,
        shared_key: member(spec, "shared_key")?,
        field_ttl: choices.field_ttl,
        outdated: choices.outdated,
        ordering: choices.ordering,
    })))
}

fn packed(
    spec: &Bound<'_, PyDict>,
    columns: &[WriteColumn],
    choices: Choices<'_>,
) -> PyResult<Box<dyn Layout>> {
    let entity: String = member(spec, "entity")?;
    let columns = columns
        .iter()
        .map(|column| (column.name.clone(), column.data_type))
        .collect();
    let schema = Schema::new(member(spec, "fingerprint")?, columns)
        .map_err(|error| errors::invalid_definition(spec.py(), &error.to_string()))?;
    Ok(Box::new(PackedLayout {
        key_head: format!("{}{entity}:{{", choices.key_prefix).into_bytes(),
        name: member(spec, "view")?,
        schema,
        key_ttl_ms: member(spec, "key_ttl_ms")?,
        outdated: choices.outdated,
        ordering: choices.ordering,
        migrating: choices.migrating,
    }))
}

fn series(
    spec: &Bound<'_, PyDict>,
    columns: &[WriteColumn],
    choices: Choices<'_>,
) -> PyResult<Box<dyn Layout>> {
    let entity: String = member(spec, "entity")?;
    let view: String = member(spec, "view")?;
    let count_repeats = member(spec, "count_repeats")?;
    let tiles = match member(spec, "tile_ms")? {
        0 => None,
        tile_ms if count_repeats => Some(TilesView {
            tile_ms,
            retention_ms: member(spec, "tile_retention_ms")?,
            fields: tile_fields(&items(spec, "tile_fields")?, columns)?,
        }),
        _ => {
            let message = format!(
                "series {view} has tiles and repeats=\"collapse\": an event that moves cannot be \
                 taken out of its tile; leave one out"
            );
            return Err(errors::invalid_definition(spec.py(), &message));
        }
    };
    Ok(Box::new(SeriesLayout::new(SeriesView {
        key_head: format!("{}{view}:{entity}:{{", choices.key_prefix).into_bytes(),
        payload: columns.len(),
        retention_ms: member(spec, "retention_ms")?,
        outdated: choices.outdated,
        max_events: member(spec, "max_events")?,
        count_repeats,
        event_ids: member(spec, "event_id")?,
        tiles,
    })))
}

fn tile_fields(names: &Bound<'_, PyList>, columns: &[WriteColumn]) -> PyResult<Vec<TileField>> {
    let py = names.py();
    names
        .iter()
        .map(|name| {
            let name: String = name.extract()?;
            let column = columns.iter().position(|column| column.name == name);
            let integer = column.and_then(|index| match columns[index].data_type {
                DataType::Scalar(Scalar::Int64 | Scalar::Timestamp(_)) => Some(true),
                DataType::Scalar(Scalar::Float32 | Scalar::Float64) => Some(false),
                _ => None,
            });
            let (Some(column), Some(integer)) = (column, integer) else {
                let message =
                    format!("tiles cannot add up {name:?}: it is not a number of the payload");
                return Err(errors::invalid_definition(py, &message));
            };
            Ok(TileField {
                name,
                column,
                integer,
            })
        })
        .collect()
}

fn flags(
    spec: &Bound<'_, PyDict>,
    columns: &[WriteColumn],
    choices: Choices<'_>,
) -> PyResult<Box<dyn Layout>> {
    let pattern: Option<String> = member(spec, "ids")?;
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    let layout = FlagLayout::new(choices.key_prefix, &names, pattern.as_deref())
        .map_err(|error| errors::invalid_definition(spec.py(), &error.to_string()))?;
    Ok(Box::new(layout))
}

/// A member of a specification.
pub(super) fn member<'py, T>(spec: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    spec.as_any().get_item(name)?.extract().map_err(Into::into)
}
