//! What a plan is compiled from: names resolved, nothing laid out.

use std::fmt;

use super::Strategy;
use crate::keys::KeyType;
use crate::types::UnknownType;

/// A whole read.
#[derive(Debug, Clone, Default)]
pub struct PlanSpec {
    /// Prepended to every key.
    pub key_prefix: String,
    /// The entities, in the order the features first need them.
    pub entities: Vec<EntitySpec>,
    /// The views, by index of their entity.
    pub views: Vec<ViewSpec>,
    /// The features that are read, inputs of computed ones included.
    pub features: Vec<FeatureSpec>,
    /// The command to read hashes with; `None` leaves it to the measured rule.
    pub strategy: Option<Strategy>,
    /// Names and types of the values that a request brings.
    pub request: Vec<(String, String)>,
    /// The features that are computed of others.
    pub computed: Vec<ComputedSpec>,
    /// The output columns; empty for the features that are read, in their order.
    pub outputs: Vec<OutputSource>,
    /// The key that holds the version to read, which a snapshot looks at.
    pub pointer: Option<String>,
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

/// A view of a plan.
#[derive(Debug, Clone, Default)]
pub struct ViewSpec {
    /// Index of its entity.
    pub entity: usize,
    /// Its name, which its event time or its key is called by.
    pub name: String,
    /// How old a row may be, in milliseconds; 0 for any age.
    pub ttl_ms: i64,
    /// How it is stored.
    pub kind: ViewKind,
}

/// How a view is stored.
#[derive(Debug, Clone, Default)]
pub enum ViewKind {
    /// Fields of the entity's hash.
    #[default]
    Hash,
    /// A row in a string of its own.
    Packed {
        /// Fingerprints and columns (name and type) of all schemas that rows may have, the current
        /// one first.
        schemas: Vec<(u32, Vec<(String, String)>)>,
    },
    /// Events in a sorted set.
    Series(SeriesSpec),
    /// Bits in bitmaps, one for each feature.
    Flags {
        /// How text ids are made of integers; `None` where the join key is one.
        ids: Option<String>,
    },
}

/// How events are stored.
#[derive(Debug, Clone, Default)]
pub struct SeriesSpec {
    /// How old an event may be, in milliseconds; 0 for any age.
    pub retention_ms: i64,
    /// How long a tile is; 0 where there are none.
    pub tile_ms: i64,
    /// Names and types of the payload's fields, in the order of the member.
    pub payload: Vec<(String, String)>,
}

/// A feature that is read.
#[derive(Debug, Clone, Default)]
pub struct FeatureSpec {
    /// Its name in results.
    pub name: String,
    /// Index of its view.
    pub view: usize,
    /// Its name where it is stored.
    pub field: String,
    /// Its type's spelling.
    pub data_type: String,
    /// The stored text of its default.
    pub default: Option<Vec<u8>>,
    /// How old it may be, in milliseconds; 0 for as old as its view's rows.
    pub ttl_ms: i64,
    /// What is made of the events, where its view is a series.
    pub window: Option<WindowSpec>,
}

/// What a feature says of the events in a window.
#[derive(Debug, Clone, Default)]
pub struct WindowSpec {
    /// `last`, `last_times`, `count`, `sum`, `avg`, `min`, `max`, `distinct`, `time_since_last` or
    /// `session_length`.
    pub op: String,
    /// The payload's field.
    pub field: Option<String>,
    /// The window's length; 0 for all that is retained.
    pub window_ms: i64,
    /// How many events.
    pub n: usize,
    /// The longest pause within a session.
    pub gap_ms: i64,
    /// Where the events are read from.
    pub tiles: TileUse,
}

/// Which part tiles have in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TileUse {
    /// None: every event is read.
    #[default]
    None,
    /// Whole tiles in the middle, events at both edges.
    Exact,
    /// Whole tiles alone; the window grows to their edges.
    Granular,
}

/// A feature that is computed of others.
#[derive(Debug, Clone)]
pub struct ComputedSpec {
    /// Its name in results.
    pub name: String,
    /// Its type's spelling.
    pub data_type: String,
    /// The stored text of its default.
    pub default: Option<Vec<u8>>,
    /// The expression, as JSON.
    pub expression: Vec<u8>,
}

/// Where an output column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// Index of a feature that is read.
    Read(usize),
    /// Index of one that is computed.
    Computed(usize),
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
    /// What a feature says cannot be made of what its view holds; holds its name and the reason.
    Feature(String, String),
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
            Self::Feature(feature, reason) => write!(f, "feature {feature} {reason}"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for PlanError {}
