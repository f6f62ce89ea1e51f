//! Read plans: a feature service compiled once into commands and output columns.

mod build;
mod field_order;
mod output;
mod series;
mod spec;
mod strategy;

use std::ops::Range;
use std::sync::Arc;

use crate::expression::Computed;
use crate::flag::IdPattern;
use crate::keys::KeyType;
use crate::packed::Decoder;
use crate::script::{SESSION, Script};
use crate::types::DataType;

pub(crate) use field_order::{FieldOrder, FieldTarget, FieldTargets, Learned};
pub use output::{Feature, OutputColumns};
pub(crate) use series::{Op, SeriesFeature, SeriesInput, SeriesProgram, SeriesRead, TileValue};
pub use spec::{
    ComputedSpec, EntitySpec, FeatureSpec, OutputSource, PlanError, PlanSpec, SeriesSpec, TileUse,
    ViewKind, ViewSpec, WindowSpec,
};
pub use strategy::{Strategy, choose};

/// A compiled read, shared by every request for it.
#[derive(Debug)]
pub struct ReadPlan {
    pub(crate) join_keys: Vec<(String, KeyType)>,
    /// The output columns.
    pub(crate) output: Arc<OutputColumns>,
    /// Where the values of each output column come from.
    pub(crate) sources: Vec<OutputSource>,
    /// The columns that are read.
    pub(crate) reads: Vec<ReadColumn>,
    /// The columns that are computed from those.
    pub(crate) computed: Vec<Computed>,
    /// The inputs that a request brings beside its keys.
    pub(crate) request: Vec<(String, DataType)>,
    pub(crate) entities: Vec<Entity>,
    pub(crate) groups: Vec<Group>,
    /// The bytes of defaults of variable length. Every result's arena begins with them.
    pub(crate) default_arena: Vec<u8>,
    /// Whether the one group's columns are the features, in order.
    pub(crate) identity: bool,
    /// Whether the columns that are read are the features, in order.
    pub(crate) reads_only: bool,
    /// The key of the pointer to the version.
    pub(crate) pointer: Option<Vec<u8>>,
}

/// A column that is read, and the group and column that its values come from.
#[derive(Debug)]
pub(crate) struct ReadColumn {
    pub(crate) data_type: DataType,
    pub(crate) has_default: bool,
    pub(crate) view: usize,
    pub(crate) group: usize,
    pub(crate) column: usize,
}

/// The read of one entity.
#[derive(Debug)]
pub(crate) struct Entity {
    /// Indices into the plan's join keys.
    pub(crate) join_keys: Vec<usize>,
    /// Its groups: the hash, then packed views, series and flags.
    pub(crate) groups: Range<usize>,
}

/// The read of one entity's keys of one kind.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) entity: usize,
    /// A key up to its ids, with the brace before them.
    pub(crate) key_head: Vec<u8>,
    pub(crate) key_tail: KeyTail,
    pub(crate) views: Vec<GroupView>,
    pub(crate) columns: Vec<GroupColumn>,
    pub(crate) source: Source,
    /// A row of missing values.
    pub(crate) absent_row: Vec<u64>,
    /// The least TTL of its columns; if no column has one, more than any time.
    pub(crate) least_ttl_ms: i64,
}

/// The part of a key after its ids.
#[derive(Debug)]
pub(crate) enum KeyTail {
    /// `}:v42`, then this.
    Versioned(Vec<u8>),
    /// `}`: events and flags have no versions.
    Plain,
}

/// How a group's keys are read.
#[derive(Debug)]
pub(crate) enum Source {
    /// One hash, and so one command, for each key.
    Hash(HashSource),
    /// A row in a string. One command reads many keys.
    Packed(Decoder),
    /// Events. Each key is read by all commands of the program.
    Series(SeriesProgram),
    /// A bit for each key.
    Flag(IdPattern),
}

#[derive(Debug)]
pub(crate) struct HashSource {
    pub(crate) strategy: Strategy,
    /// The command before its key, and after its key.
    pub(crate) command_head: Vec<u8>,
    pub(crate) command_tail: Vec<u8>,
    pub(crate) targets: FieldTargets,
    /// The field order of hashes that earlier requests read.
    pub(crate) learned: Learned,
}

#[derive(Debug)]
pub(crate) struct GroupView {
    /// Index among all views of the plan.
    pub(crate) view: usize,
}

#[derive(Debug)]
pub(crate) struct GroupColumn {
    pub(crate) data_type: DataType,
    /// Index into the group's views.
    pub(crate) view: usize,
    pub(crate) ttl_ms: i64,
    pub(crate) default: Option<u64>,
}

impl ReadPlan {
    /// The output columns, in order.
    pub fn features(&self) -> &[Feature] {
        &self.output.features
    }

    /// Names and types of the join keys a request must bring.
    pub fn join_keys(&self) -> &[(String, KeyType)] {
        &self.join_keys
    }

    /// Names and types of the inputs that a request brings beside its keys.
    pub fn request(&self) -> &[(String, DataType)] {
        &self.request
    }

    /// The command that reads the hash of each entity that has one.
    pub fn strategies(&self) -> impl Iterator<Item = Strategy> + '_ {
        self.groups.iter().filter_map(|group| match &group.source {
            Source::Hash(hash) => Some(hash.strategy),
            _ => None,
        })
    }

    /// The scripts that its commands call.
    pub(crate) fn scripts(&self) -> Vec<&'static Script> {
        let calls = self.groups.iter().any(|group| match &group.source {
            Source::Series(program) => program.calls_session(),
            _ => false,
        });
        if calls { vec![&SESSION] } else { Vec::new() }
    }
}
