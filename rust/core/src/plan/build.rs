//! Compiling a specification.

use std::sync::Arc;

use super::{
    ComputedSpec, Entity, EntitySpec, Feature, FeatureSpec, FieldTarget, Group, GroupColumn,
    GroupView, HashSource, KeyTail, Learned, OutputColumns, OutputSource, PlanError, PlanSpec,
    ReadColumn, ReadPlan, SeriesProgram, Source, Strategy, ViewKind, ViewSpec, choose,
};
use crate::expression::{Computed, ExpressionError, Tree};
use crate::flag::IdPattern;
use crate::keys::KeyType;
use crate::packed::{Decoder, Schema};
use crate::resp::encode::{write_array_header, write_blob};
use crate::types::DataType;
use crate::value;

impl ReadPlan {
    /// Compiles `spec`.
    pub fn new(spec: &PlanSpec) -> Result<Self, PlanError> {
        plan(spec)
    }
}

fn plan(spec: &PlanSpec) -> Result<ReadPlan, PlanError> {
    if spec.features.is_empty() && spec.computed.is_empty() {
        return Err(PlanError::Malformed("a plan needs at least one feature"));
    }
    let join_keys = join_keys(spec)?;
    let mut entities: Vec<Entity> = spec
        .entities
        .iter()
        .map(|entity| Entity {
            // Every join key of every entity is in the list already.
            join_keys: entity
                .join_keys
                .iter()
                .filter_map(|(name, _)| join_keys.iter().position(|(known, _)| known == name))
                .collect(),
            groups: 0..0,
        })
        .collect();
    let mut builders: Vec<GroupBuilder<'_>> = Vec::new();
    for (index, entity) in entities.iter_mut().enumerate() {
        let own = spec.features.iter().filter_map(|feature| {
            let view = spec.views.get(feature.view)?;
            (view.entity == index).then(|| Storage::of(feature, view))
        });
        let mut storages: Vec<Storage<'_>> = Vec::new();
        for storage in own {
            if !storages.contains(&storage) {
                storages.push(storage);
            }
        }
        storages.sort_by_key(Storage::rank);
        let start = builders.len();
        builders.extend(storages.into_iter().map(GroupBuilder::new));
        entity.groups = start..builders.len();
    }
    let mut default_arena = Vec::new();
    let mut reads = Vec::with_capacity(spec.features.len());
    for feature in &spec.features {
        let data_type = data_type(&feature.name, &feature.data_type)?;
        let view = spec.views.get(feature.view).ok_or(PlanError::Malformed(
            "a feature names a view that is not there",
        ))?;
        let storage = Storage::of(feature, view);
        let group = builders
            .iter()
            .position(|builder| builder.storage == storage)
            .ok_or(PlanError::Malformed(
                "a view names an entity that is not there",
            ))?;
        let default = default_of(feature, data_type, &mut default_arena)?;
        reads.push(ReadColumn {
            data_type,
            has_default: default.is_some(),
            view: feature.view,
            group,
            column: builders[group].column(feature, view, data_type, default),
        });
    }
    let groups = builders
        .into_iter()
        .map(|builder| builder.finish(spec))
        .collect::<Result<Vec<_>, _>>()?;
    let request = spec
        .request
        .iter()
        .map(|(name, spelling)| Ok((name.clone(), data_type(name, spelling)?)))
        .collect::<Result<Vec<_>, _>>()?;
    let computed = computed(spec, &reads, &request)?;
    let sources = sources(spec, reads.len());
    let features = features(spec, &reads, &computed, &sources)?;
    let reads_only = sources.len() == reads.len()
        && sources
            .iter()
            .enumerate()
            .all(|(index, source)| *source == OutputSource::Read(index));
    Ok(ReadPlan {
        identity: reads_only && is_identity(spec, &reads, &groups),
        reads_only,
        computed,
        request,
        join_keys,
        output: Arc::new(OutputColumns {
            features,
            views: spec.views.len(),
        }),
        sources,
        reads,
        entities,
        groups,
        default_arena,
        pointer: spec
            .pointer
            .as_ref()
            .map(|key| format!("{}{key}", spec.key_prefix).into_bytes()),
    })
}

fn join_keys(spec: &PlanSpec) -> Result<Vec<(String, KeyType)>, PlanError> {
    let mut join_keys: Vec<(String, KeyType)> = Vec::new();
    for (name, key_type) in spec.entities.iter().flat_map(|entity| &entity.join_keys) {
        match join_keys.iter().find(|(known, _)| known == name) {
            None => join_keys.push((name.clone(), *key_type)),
            Some((_, known)) if known == key_type => {}
            Some(_) => return Err(PlanError::JoinKey(name.clone())),
        }
    }
    Ok(join_keys)
}

fn data_type(name: &str, spelling: &str) -> Result<DataType, PlanError> {
    spelling
        .parse()
        .map_err(|error| PlanError::Type(name.to_owned(), error))
}

fn default_of(
    feature: &FeatureSpec,
    data_type: DataType,
    arena: &mut Vec<u8>,
) -> Result<Option<u64>, PlanError> {
    feature
        .default
        .as_ref()
        .map(|text| value::decode(data_type, text, arena))
        .transpose()
        .map_err(|invalid| PlanError::Default(feature.name.clone(), invalid.0))
}

fn computed(
    spec: &PlanSpec,
    reads: &[ReadColumn],
    request: &[(String, DataType)],
) -> Result<Vec<Computed>, PlanError> {
    let columns = spec.features.iter().zip(reads);
    let columns: Vec<(String, DataType)> = columns
        .map(|(feature, read)| (feature.name.clone(), read.data_type))
        .collect();
    let compile = |feature: &ComputedSpec| {
        let wrong = |error: ExpressionError| {
            let reason = format!("has an expression that is not valid: {error}");
            PlanError::Feature(feature.name.clone(), reason)
        };
        let tree = Tree::from_json(&feature.expression).map_err(wrong)?;
        let data_type = data_type(&feature.name, &feature.data_type)?;
        let default = feature.default.as_deref();
        Computed::new(&tree, &columns, request, data_type, default).map_err(wrong)
    };
    spec.computed.iter().map(compile).collect()
}

/// Where the output columns come from; all columns that are read, unless the spec chooses.
fn sources(spec: &PlanSpec, reads: usize) -> Vec<OutputSource> {
    if spec.outputs.is_empty() {
        (0..reads).map(OutputSource::Read).collect()
    } else {
        spec.outputs.clone()
    }
}

fn features(
    spec: &PlanSpec,
    reads: &[ReadColumn],
    computed: &[Computed],
    sources: &[OutputSource],
) -> Result<Vec<Feature>, PlanError> {
    let feature = |&source: &OutputSource| {
        let (name, data_type, view, has_default) = match source {
            OutputSource::Read(index) => {
                let read = reads.get(index)?;
                let name = &spec.features[index].name;
                (name, read.data_type, Some(read.view), read.has_default)
            }
            OutputSource::Computed(index) => {
                let made = computed.get(index)?;
                let name = &spec.computed[index].name;
                (name, made.data_type(), None, made.has_default())
            }
        };
        Some(Feature::new(name, data_type, view, has_default))
    };
    sources
        .iter()
        .map(feature)
        .collect::<Option<_>>()
        .ok_or(PlanError::Malformed(
            "an output names a feature that is not there",
        ))
}

/// Whether the only group's cells are those of the columns that are read.
fn is_identity(spec: &PlanSpec, reads: &[ReadColumn], groups: &[Group]) -> bool {
    let [group] = groups else {
        return false;
    };
    group.columns.len() == reads.len()
        && reads
            .iter()
            .enumerate()
            .all(|(index, read)| read.column == index)
        && group.views.len() == spec.views.len()
        && group
            .views
            .iter()
            .enumerate()
            .all(|(index, view)| view.view == index)
}

/// The storage of a feature's values. Features of one storage are read together.
#[derive(Debug, PartialEq, Eq)]
enum Storage<'a> {
    /// The hash of this entity.
    Hash(usize),
    /// The rows of this view.
    Packed(usize),
    /// The events of this view.
    Series(usize),
    /// The bitmaps of this flag, of this view.
    Flag(usize, &'a str),
}

impl<'a> Storage<'a> {
    fn of(feature: &'a FeatureSpec, view: &ViewSpec) -> Self {
        match view.kind {
            ViewKind::Hash => Self::Hash(view.entity),
            ViewKind::Packed { .. } => Self::Packed(feature.view),
            ViewKind::Series(_) => Self::Series(feature.view),
            ViewKind::Flags { .. } => Self::Flag(feature.view, &feature.field),
        }
    }

    /// Its rank in the order of its entity's groups.
    fn rank(&self) -> usize {
        match self {
            Self::Hash(_) => 0,
            Self::Packed(_) => 1,
            Self::Series(_) => 2,
            Self::Flag(..) => 3,
        }
    }
}

struct GroupBuilder<'a> {
    storage: Storage<'a>,
    views: Vec<GroupView>,
    columns: Vec<GroupColumn>,
    features: Vec<&'a FeatureSpec>,
}

impl<'a> GroupBuilder<'a> {
    fn new(storage: Storage<'a>) -> Self {
        Self {
            storage,
            views: Vec::new(),
            columns: Vec::new(),
            features: Vec::new(),
        }
    }

    /// The column of this feature's field. A field that two outputs share is read once.
    fn column(
        &mut self,
        feature: &'a FeatureSpec,
        view: &ViewSpec,
        data_type: DataType,
        default: Option<u64>,
    ) -> usize {
        let same = |known: &&FeatureSpec| known.field == feature.field;
        if let Some(known) = self.features.iter().position(same) {
            return known;
        }
        let local = self
            .views
            .iter()
            .position(|known| known.view == feature.view);
        let local = local.unwrap_or_else(|| {
            self.views.push(GroupView { view: feature.view });
            self.views.len() - 1
        });
        self.columns.push(GroupColumn {
            data_type,
            view: local,
            ttl_ms: match feature.ttl_ms {
                0 => view.ttl_ms,
                own => own,
            },
            default,
        });
        self.features.push(feature);
        self.columns.len() - 1
    }

    fn finish(self, spec: &PlanSpec) -> Result<Group, PlanError> {
        let prefix = &spec.key_prefix;
        let view_at = |index: usize| &spec.views[index];
        let (entity, head, tail, source) = match &self.storage {
            Storage::Hash(entity) => {
                let name = &spec.entities[*entity].name;
                let source = self.hash(&spec.entities[*entity], spec);
                let tail = KeyTail::Versioned(Vec::new());
                (*entity, format!("{prefix}{name}:{{"), tail, source)
            }
            Storage::Packed(index) => {
                let view = view_at(*index);
                let name = &spec.entities[view.entity].name;
                let tail = KeyTail::Versioned(format!(":{}", view.name).into_bytes());
                let source = self.packed(view)?;
                (view.entity, format!("{prefix}{name}:{{"), tail, source)
            }
            Storage::Series(index) => {
                let view = view_at(*index);
                let name = &spec.entities[view.entity].name;
                let head = format!("{prefix}{}:{name}:{{", view.name);
                (view.entity, head, KeyTail::Plain, self.series(view)?)
            }
            Storage::Flag(index, field) => {
                let view = view_at(*index);
                let head = format!("{prefix}flag:{field}:{{");
                let source = self.flag(view)?;
                (view.entity, head, KeyTail::Plain, source)
            }
        };
        Ok(Group {
            entity,
            key_head: head.into_bytes(),
            key_tail: tail,
            absent_row: self
                .columns
                .iter()
                .map(|column| value::absent(column.data_type))
                .collect(),
            least_ttl_ms: self
                .columns
                .iter()
                .map(|column| column.ttl_ms)
                .filter(|&ttl_ms| ttl_ms > 0)
                .min()
                .unwrap_or(i64::MAX),
            views: self.views,
            columns: self.columns,
            source,
        })
    }

    fn hash(&self, entity: &EntitySpec, spec: &PlanSpec) -> Source {
        let event_times: Vec<String> = self
            .views
            .iter()
            .map(|view| format!("_ts:{}", spec.views[view.view].name))
            .collect();
        let fields = self.features.iter().map(|feature| feature.field.as_str());
        let asked = event_times.len() + self.features.len();
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
                for field in event_times.iter().map(String::as_str).chain(fields.clone()) {
                    write_blob(&mut command_tail, field.as_bytes());
                }
            }
        }
        let times = event_times.iter().enumerate();
        let times = times.map(|(index, field)| (field.as_bytes(), FieldTarget::EventTime(index)));
        let columns = fields.enumerate();
        let columns = columns.map(|(index, field)| (field.as_bytes(), FieldTarget::Column(index)));
        Source::Hash(HashSource {
            strategy,
            command_head,
            command_tail,
            targets: times
                .chain(columns)
                .map(|(field, target)| (field.to_vec(), target))
                .collect(),
            learned: Learned::default(),
        })
    }

    fn packed(&self, view: &ViewSpec) -> Result<Source, PlanError> {
        let ViewKind::Packed { schemas } = &view.kind else {
            return Err(PlanError::Malformed("a packed row's view is not packed"));
        };
        let wanted = self.features.iter().zip(&self.columns);
        let wanted = wanted.map(|(feature, column)| (feature.field.clone(), column.data_type));
        let mut known = Vec::with_capacity(schemas.len());
        for (fingerprint, columns) in schemas {
            let columns = columns
                .iter()
                .map(|(name, spelling)| match spelling.parse() {
                    Ok(data_type) => Ok((name.clone(), data_type)),
                    Err(error) => Err(PlanError::Type(name.clone(), error)),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let schema = Schema::new(*fingerprint, columns);
            known.push(schema.map_err(|error| {
                PlanError::Feature(self.features[0].name.clone(), error.to_string())
            })?);
        }
        Ok(Source::Packed(Decoder::new(wanted.collect(), &known)))
    }

    fn series(&self, view: &ViewSpec) -> Result<Source, PlanError> {
        let ViewKind::Series(series) = &view.kind else {
            return Err(PlanError::Malformed("an event's view is not a series"));
        };
        let types = self.columns.iter().map(|column| column.data_type);
        let features = self.features.iter().copied().zip(types);
        SeriesProgram::new(series, features).map(Source::Series)
    }

    fn flag(&self, view: &ViewSpec) -> Result<Source, PlanError> {
        let ViewKind::Flags { ids } = &view.kind else {
            return Err(PlanError::Malformed("a flag's view is not a view of flags"));
        };
        let name = &self.features[0].name;
        let wrong = |reason: String| PlanError::Feature(name.clone(), reason);
        if !self.columns[0].data_type.is_bool() {
            return Err(wrong("is a flag, and flags are Bool".to_owned()));
        }
        let pattern = ids.as_deref().map_or(Ok(IdPattern::default()), |pattern| {
            IdPattern::parse(pattern).map_err(|error| wrong(format!("has a bad pattern: {error}")))
        })?;
        Ok(Source::Flag(pattern.escaped()))
    }
}
