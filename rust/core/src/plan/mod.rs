//! Read plans: a feature service compiled once into commands and output columns.

mod field_order;
mod strategy;

use std::fmt;

use crate::json;
use crate::keys::KeyType;
use crate::resp::encode::{write_array_header, write_blob};
use crate::types::{DataType, UnknownType};
use crate::value;

pub(crate) use field_order::{FieldOrder, Learned, Target, Targets};
pub use strategy::{Strategy, choose};

/// What a plan is compiled from: names resolved, nothing laid out.
#[derive(Debug, Clone, Default)]
pub struct PlanSpec {
    /// Prepended to every key.
    pub key_prefix: String,
    /// The entities, in the order the features first need them.
    pub entities: Vec<EntitySpec>,
    /// The views, by index of their entity.
    pub views: Vec<ViewSpec>,
    /// The output columns.
    pub features: Vec<FeatureSpec>,
    /// The command to read with; `None` leaves it to the measured rule.
    pub strategy: Option<Strategy>,
}

/// An entity of a plan.
#[derive(Debug, Clone)]
pub struct EntitySpec {
    /// Its name, which begins its keys.
    pub name: String,
    /// Join key names and types, in declared order.
    pub join_keys: Vec<(String, KeyType)>,
    /// How many hash fields it has when all of its views are written.
    pub fields_total: usize,
    /// Whether some field may be longer than 64 bytes, which makes the hash a hash table.
    pub wide_values: bool,
}

/// A feature view of a plan.
#[derive(Debug, Clone)]
pub struct ViewSpec {
    /// Index of its entity.
    pub entity: usize,
    /// Its name, which its event time is stored under.
    pub name: String,
    /// How old a row may be, in milliseconds; 0 for any age.
    pub ttl_ms: i64,
}

/// An output column of a plan.
#[derive(Debug, Clone)]
pub struct FeatureSpec {
    /// Its name in results.
    pub name: String,
    /// Index of its view.
    pub view: usize,
    /// Its name in the hash.
    pub field: String,
    /// Its type's spelling.
    pub data_type: String,
    /// The stored text of its default.
    pub default: Option<Vec<u8>>,
}

/// Why a specification does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// A feature's type; holds the feature's name.
    Type(String, UnknownType),
    /// A feature's default is not of its type; holds its name and the reason.
    Default(String, &'static str),
    /// Two entities give one join key name different types; holds it.
    JoinKey(String),
    /// An index points nowhere, or there are no features.
    Malformed(&'static str),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(feature, error) => write!(f, "feature {feature}: {error}"),
            Self::Default(feature, reason) => {
                write!(f, "the default of feature {feature} {reason}")
            }
            Self::JoinKey(name) => {
                write!(
                    f,
                    "join key {name} has different types in the entities of this service"
                )
            }
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for PlanError {}

/// A compiled read, shared by every request for it.
#[derive(Debug)]
pub struct ReadPlan {
    pub(crate) join_keys: Vec<(String, KeyType)>,
    pub(crate) features: Vec<Feature>,
    pub(crate) groups: Vec<Group>,
    pub(crate) views: usize,
    /// The bytes of defaults that live in an arena; every result's arena begins with them.
    pub(crate) default_arena: Vec<u8>,
    /// Whether the one group's columns are the features, in order.
    pub(crate) identity: bool,
}

/// An output column.
#[derive(Debug)]
pub struct Feature {
    /// Its name in results.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Index of its view among all views of the plan.
    pub view: usize,
    pub(crate) group: usize,
    pub(crate) column: usize,
    /// The name as a JSON string.
    pub(crate) json_name: Vec<u8>,
}

/// What is read of one entity: one hash, hence one command, for each key.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key_head: Vec<u8>,
    /// Indices into the plan's join keys.
    pub(crate) join_keys: Vec<usize>,
    pub(crate) views: Vec<GroupView>,
    pub(crate) columns: Vec<Column>,
    pub(crate) strategy: Strategy,
    /// The command up to its key, and all that follows the key.
    pub(crate) command_head: Vec<u8>,
    pub(crate) command_tail: Vec<u8>,
    pub(crate) targets: Targets,
    /// The field order of hashes read by requests before.
    pub(crate) learned: Learned,
    /// A row of values that are not there.
    pub(crate) absent_row: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct GroupView {
    /// Index among all views of the plan.
    pub(crate) view: usize,
    pub(crate) ttl_ms: i64,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) data_type: DataType,
    /// Index into the group's views.
    pub(crate) view: usize,
    pub(crate) default: Option<u64>,
}

impl ReadPlan {
    /// Compiles `spec`.
    pub fn new(spec: &PlanSpec) -> Result<Self, PlanError> {
        if spec.features.is_empty() {
            return Err(PlanError::Malformed("a plan needs at least one feature"));
        }
        let mut join_keys: Vec<(String, KeyType)> = Vec::new();
        for (name, key_type) in spec.entities.iter().flat_map(|entity| &entity.join_keys) {
            match join_keys.iter().find(|(known, _)| known == name) {
                None => join_keys.push((name.clone(), *key_type)),
                Some((_, known)) if known == key_type => {}
                Some(_) => return Err(PlanError::JoinKey(name.clone())),
            }
        }
        let mut builders: Vec<GroupBuilder<'_>> = spec
            .entities
            .iter()
            .map(|_| GroupBuilder::default())
            .collect();
        let mut default_arena = Vec::new();
        let mut features = Vec::with_capacity(spec.features.len());
        for feature in &spec.features {
            let data_type: DataType = feature
                .data_type
                .parse()
                .map_err(|error| PlanError::Type(feature.name.clone(), error))?;
            let view = spec.views.get(feature.view).ok_or(PlanError::Malformed(
                "a feature names a view that is not there",
            ))?;
            let group = builders.get_mut(view.entity).ok_or(PlanError::Malformed(
                "a view names an entity that is not there",
            ))?;
            let default = feature
                .default
                .as_ref()
                .map(|text| value::decode(data_type, text, &mut default_arena))
                .transpose()
                .map_err(|invalid| PlanError::Default(feature.name.clone(), invalid.0))?;
            let column = group.column(feature, view, data_type, default);
            features.push(Feature {
                name: feature.name.clone(),
                data_type,
                view: feature.view,
                group: view.entity,
                column,
                json_name: json::string(&feature.name),
            });
        }
        let groups: Vec<Group> = builders
            .into_iter()
            .zip(&spec.entities)
            .map(|(builder, entity)| builder.finish(entity, spec, &join_keys))
            .collect();
        let identity = groups.len() == 1
            && groups[0].columns.len() == features.len()
            && features
                .iter()
                .enumerate()
                .all(|(index, feature)| feature.column == index)
            && groups[0]
                .views
                .iter()
                .enumerate()
                .all(|(index, view)| view.view == index)
            && groups[0].views.len() == spec.views.len();
        Ok(Self {
            join_keys,
            features,
            groups,
            views: spec.views.len(),
            default_arena,
            identity,
        })
    }

    /// The output columns, in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Names and types of the join keys a request must bring.
    pub fn join_keys(&self) -> &[(String, KeyType)] {
        &self.join_keys
    }

    /// How each entity is read.
    pub fn strategies(&self) -> impl Iterator<Item = Strategy> + '_ {
        self.groups.iter().map(|group| group.strategy)
    }
}

#[derive(Default)]
struct GroupBuilder<'a> {
    views: Vec<GroupView>,
    view_names: Vec<&'a str>,
    columns: Vec<Column>,
    fields: Vec<&'a str>,
}

impl<'a> GroupBuilder<'a> {
    /// The column of this feature's field; a field that two outputs share is read once.
    fn column(
        &mut self,
        feature: &'a FeatureSpec,
        view: &'a ViewSpec,
        data_type: DataType,
        default: Option<u64>,
    ) -> usize {
        if let Some(known) = self.fields.iter().position(|&field| field == feature.field) {
            return known;
        }
        let local = self
            .views
            .iter()
            .position(|known| known.view == feature.view);
        let local = local.unwrap_or_else(|| {
            self.views.push(GroupView {
                view: feature.view,
                ttl_ms: view.ttl_ms,
            });
            self.view_names.push(&view.name);
            self.views.len() - 1
        });
        self.columns.push(Column {
            data_type,
            view: local,
            default,
        });
        self.fields.push(&feature.field);
        self.columns.len() - 1
    }

    fn finish(
        self,
        entity: &EntitySpec,
        spec: &PlanSpec,
        join_keys: &[(String, KeyType)],
    ) -> Group {
        let event_times: Vec<String> = self
            .view_names
            .iter()
            .map(|view| format!("_ts:{view}"))
            .collect();
        let asked = event_times.len() + self.fields.len();
        let chosen = choose(asked, entity.fields_total, entity.wide_values);
        let strategy = spec.strategy.unwrap_or(chosen);
        let mut command_head = Vec::new();
        let mut command_tail = Vec::new();
        match strategy {
            Strategy::Hgetall => {
                write_array_header(&mut command_head, 2);
                write_blob(&mut command_head, b"HGETALL");
            }
            Strategy::Hmget => {
                write_array_header(&mut command_head, 2 + asked);
                write_blob(&mut command_head, b"HMGET");
                for field in event_times
                    .iter()
                    .map(String::as_str)
                    .chain(self.fields.iter().copied())
                {
                    write_blob(&mut command_tail, field.as_bytes());
                }
            }
        }
        let targets = event_times
            .into_iter()
            .enumerate()
            .map(|(index, field)| (field.into_bytes(), Target::EventTime(index)))
            .chain(
                self.fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| (field.as_bytes().to_vec(), Target::Column(index))),
            )
            .collect();
        Group {
            key_head: format!("{}{}:{{", spec.key_prefix, entity.name).into_bytes(),
            // Every join key of every entity was put there before.
            join_keys: entity
                .join_keys
                .iter()
                .filter_map(|(name, _)| join_keys.iter().position(|(known, _)| known == name))
                .collect(),
            absent_row: self
                .columns
                .iter()
                .map(|column| value::absent(column.data_type))
                .collect(),
            views: self.views,
            columns: self.columns,
            strategy,
            command_head,
            command_tail,
            targets,
            learned: Learned::default(),
        }
    }
}
