//! The specification of a plan: names are resolved, and nothing is laid out yet.

use std::fmt;

use super::Strategy;
use crate::keys::KeyType;
use crate::types::UnknownType;

/// A whole read.
#[derive(Debug, Clone, Default)]
pub struct PlanSpec {
    /// Prepended to every key.
    pub key_prefix: String,
    /// The entities, in the order in which the features first need them.
    pub entities: Vec<EntitySpec>,
    /// The views. Each has the index of its entity.
    pub views: Vec<ViewSpec>,
    /// The features that are read, including inputs of computed ones.
    pub features: Vec<FeatureSpec>,
    /// The command that reads hashes; `None` to choose by the measured rule.
    pub strategy: Option<Strategy>,
    /// Names and types of the values that a request brings.
    pub request: Vec<(String, String)>,
    /// The features that are computed from others.
    pub computed: Vec<ComputedSpec>,
    /// The output columns; empty for the features that are read, in their order.
    pub outputs: Vec<OutputSource>,
    /// The key that holds the version to read. Snapshots read it.
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
    /// Whether a field may be longer than 64 bytes, which makes the hash a hash table.
    pub wide_values: bool,
}

/// A view of a plan.
#[derive(Debug, Clone, Default)]
pub struct ViewSpec {
    /// Index of its entity.
    pub entity: usize,
    /// Its name, which is part of its event time's field or of its key.
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
        /// Fingerprints and columns (name and type) of all schemas that rows may have, with the
        /// current one first.
        schemas: Vec<(u32, Vec<(String, String)>)>,
    },
    /// Events in a sorted set.
    Series(SeriesSpec),
    /// Bits in bitmaps, one for each feature.
    Flags {
        /// The pattern that makes text ids from integers; `None` if the join key is an integer.
        ids: Option<String>,
    },
}

/// How events are stored.
#[derive(Debug, Clone, Default)]
pub struct SeriesSpec {
    /// How old an event may be, in milliseconds; 0 for any age.
    pub retention_ms: i64,
    /// The length of a tile; 0 if there are none.
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
    /// Its stored name.
    pub field: String,
    /// Its type's spelling.
    pub data_type: String,
    /// The stored text of its default.
    pub default: Option<Vec<u8>>,
    /// How old it may be, in milliseconds; 0 for the TTL of its view.
    pub ttl_ms: i64,
    /// Its window, if its view is a series.
    pub window: Option<WindowSpec>,
}

/// A feature's window, and its operation on the events in it.
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
    /// How tiles are used.
    pub tiles: TileUse,
}

/// How tiles are used for a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TileUse {
    /// They are not used: every event is read.
    #[default]
    None,
    /// Whole tiles in the middle, events at both edges.
    Exact,
    /// Whole tiles alone; the window grows to their edges.
    Granular,
}

/// A feature that is computed from others.
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

/// The source of an output column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSource {
    /// Index of a feature that is read.
    Read(usize),
    /// Index of a feature that is computed.
    Computed(usize),
}

/// Why a specification does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// A feature's type is unknown; holds the feature's name.
    Type(String, UnknownType),
    /// A feature's default is not of its type; holds its name and the reason.
    Default(String, &'static str),
    /// Two entities give a join key different types; holds its name.
    JoinKey(String),
    /// A feature does not fit its view; holds its name and the reason.
    Feature(String, String),
    /// An index is out of range, or there are no features.
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
