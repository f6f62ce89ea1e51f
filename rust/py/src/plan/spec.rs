//! The plain data of `ResolvedSet.to_spec()` as the core's specification.

use fscore_core::keys::KeyType;
use fscore_core::plan::{
    ComputedSpec, EntitySpec, FeatureSpec, OutputSource, PlanSpec, SeriesSpec, TileUse, ViewKind,
    ViewSpec, WindowSpec,
};
use fscore_core::types::DataType;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors;
use crate::value::encode_object;

pub(super) fn read(spec: &Bound<'_, PyDict>, key_prefix: &str) -> PyResult<PlanSpec> {
    Ok(PlanSpec {
        key_prefix: key_prefix.to_owned(),
        entities: each(spec, "entities", entity)?,
        views: each(spec, "views", view)?,
        features: each(spec, "features", feature)?,
        request: columns(items(spec, "request")?.as_any())?,
        computed: each(spec, "computed", computed)?,
        outputs: each(spec, "outputs", output)?,
        pointer: optional(spec.as_any(), "service")?
            .map(|service: String| format!("feature_version:{service}")),
        ..PlanSpec::default()
    })
}

fn entity(entity: &Bound<'_, PyAny>) -> PyResult<EntitySpec> {
    Ok(EntitySpec {
        name: entity.get_item("name")?.extract()?,
        join_keys: join_keys(&entity.get_item("join_keys")?)?,
        fields_total: entity.get_item("fields_total")?.extract()?,
        wide_values: entity.get_item("wide_values")?.extract()?,
    })
}

fn view(view: &Bound<'_, PyAny>) -> PyResult<ViewSpec> {
    let kind: String = view.get_item("kind")?.extract()?;
    let kind = match kind.as_str() {
        "hash" => ViewKind::Hash,
        "packed" => ViewKind::Packed {
            schemas: view
                .get_item("schemas")?
                .try_iter()?
                .map(|schema| {
                    let schema = schema?;
                    let fingerprint = schema.get_item(0)?.extract()?;
                    Ok((fingerprint, columns(&schema.get_item(1)?)?))
                })
                .collect::<PyResult<_>>()?,
        },
        "series" => ViewKind::Series(SeriesSpec {
            retention_ms: view.get_item("retention_ms")?.extract()?,
            tile_ms: view.get_item("tile_ms")?.extract()?,
            payload: columns(&view.get_item("payload")?)?,
        }),
        "flags" => ViewKind::Flags {
            ids: view.get_item("ids")?.extract()?,
        },
        other => {
            let message = format!("a view of kind {other:?} cannot be read");
            return Err(errors::invalid_definition(view.py(), &message));
        }
    };
    Ok(ViewSpec {
        entity: view.get_item("entity")?.extract()?,
        name: view.get_item("name")?.extract()?,
        ttl_ms: view.get_item("ttl_ms")?.extract()?,
        kind,
    })
}

/// Names and types.
fn columns(pairs: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let pairs: Vec<[String; 2]> = pairs.extract()?;
    Ok(pairs.into_iter().map(|[name, kind]| (name, kind)).collect())
}

fn feature(feature: &Bound<'_, PyAny>) -> PyResult<FeatureSpec> {
    let name: String = feature.get_item("name")?.extract()?;
    let data_type: String = feature.get_item("type")?.extract()?;
    let default = default_text(&name, &data_type, &feature.get_item("default")?)?;
    let window = feature.get_item("window")?;
    Ok(FeatureSpec {
        name,
        view: feature.get_item("view")?.extract()?,
        field: feature.get_item("field")?.extract()?,
        data_type,
        default,
        ttl_ms: feature.get_item("ttl_ms")?.extract()?,
        window: if window.is_none() {
            None
        } else {
            Some(window_of(&window)?)
        },
    })
}

fn computed(feature: &Bound<'_, PyAny>) -> PyResult<ComputedSpec> {
    let name: String = feature.get_item("name")?.extract()?;
    let data_type: String = feature.get_item("type")?.extract()?;
    let default = default_text(&name, &data_type, &feature.get_item("default")?)?;
    let json = feature.py().import("json")?;
    let tree = json.call_method1("dumps", (feature.get_item("expression")?,))?;
    Ok(ComputedSpec {
        name,
        data_type,
        default,
        expression: tree.extract::<String>()?.into_bytes(),
    })
}

fn output(output: &Bound<'_, PyAny>) -> PyResult<OutputSource> {
    let kind: String = output.get_item(0)?.extract()?;
    let index = output.get_item(1)?.extract()?;
    Ok(match kind.as_str() {
        "computed" => OutputSource::Computed(index),
        _ => OutputSource::Read(index),
    })
}

/// A default in its stored form.
fn default_text(
    name: &str,
    data_type: &str,
    default: &Bound<'_, PyAny>,
) -> PyResult<Option<Vec<u8>>> {
    if default.is_none() {
        return Ok(None);
    }
    let mut text = Vec::new();
    // The plan itself reports an unknown type.
    if let Ok(parsed) = data_type.parse::<DataType>() {
        encode_object(&mut text, parsed, default).map_err(|reason| {
            let message = format!("the default of feature {name} {reason}");
            errors::invalid_definition(default.py(), &message)
        })?;
    }
    Ok(Some(text))
}

fn window_of(window: &Bound<'_, PyAny>) -> PyResult<WindowSpec> {
    let tiles: String = window.get_item("tiles")?.extract()?;
    Ok(WindowSpec {
        op: window.get_item("op")?.extract()?,
        field: window.get_item("field")?.extract()?,
        window_ms: window.get_item("window_ms")?.extract()?,
        n: window.get_item("n")?.extract()?,
        gap_ms: window.get_item("gap_ms")?.extract()?,
        tiles: match tiles.as_str() {
            "exact" => TileUse::Exact,
            "granular" => TileUse::Granular,
            _ => TileUse::None,
        },
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

fn each<T>(
    spec: &Bound<'_, PyDict>,
    name: &str,
    read: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    items(spec, name)?.iter().map(|item| read(&item)).collect()
}

fn optional<'py, T>(item: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
    for<'a> <T as FromPyObject<'a, 'py>>::Error: Into<PyErr>,
{
    item.get_item(name)?.extract().map_err(Into::into)
}
