//! The reads of a series, which all of its features share, and the input of each feature.

use super::{FeatureSpec, PlanError, SeriesSpec, TileUse, WindowSpec};
use crate::types::{DataType, Scalar};

/// The compiled read of a series: a few commands for each key, shared by its features.
#[derive(Debug)]
pub(crate) struct SeriesProgram {
    pub(crate) retention_ms: i64,
    pub(crate) tile_ms: i64,
    /// Names and types of the payload's fields.
    pub(crate) payload: Vec<(String, Scalar)>,
    pub(crate) reads: Vec<SeriesRead>,
    /// One for each column.
    pub(crate) features: Vec<SeriesFeature>,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SeriesRead {
    /// The number of events in a window.
    Count { window_ms: i64 },
    /// The newest events, newest first.
    Newest { n: usize },
    /// The events of a window, oldest first.
    Events { window_ms: i64 },
    /// The times of the current session's first and newest events.
    Session { gap_ms: i64 },
    /// The tiles of a window: those that are wholly in it, or all that it touches.
    Tiles {
        window_ms: i64,
        whole: bool,
        values: Vec<TileValue>,
    },
    /// The events of a window before its whole tiles.
    LeftEdge { window_ms: i64 },
    /// The events of a window after its whole tiles. All windows end with the same whole tile.
    RightEdge { window_ms: i64 },
}

/// A number that a tile holds. Those of a field have the field's index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TileValue {
    Events,
    Sum(usize),
    Values(usize),
    Smallest(usize),
    Largest(usize),
}

/// A feature of a series.
#[derive(Debug)]
pub(crate) struct SeriesFeature {
    pub(crate) op: Op,
    pub(crate) window_ms: i64,
    pub(crate) input: SeriesInput,
}

/// The operation of a feature. A field is an index into the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Last(usize),
    LastTimes,
    Count,
    Sum(usize),
    Avg(usize),
    Min(usize),
    Max(usize),
    Distinct(usize),
    TimeSinceLast,
    SessionLength,
}

/// The replies that a feature is made from. They are indices of reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeriesInput {
    /// The number itself.
    Number(usize),
    /// The first `n` of the newest events.
    Newest { read: usize, n: usize },
    /// The events of a read that are in the feature's window.
    Events(usize),
    /// The two times of a session.
    Session(usize),
    /// Tiles, and the events at both edges if only whole tiles are read.
    Tiles {
        read: usize,
        edges: Option<(usize, usize)>,
    },
}

impl SeriesProgram {
    /// Compiles the features of a series, each with the type of its column.
    pub(super) fn new<'a>(
        series: &SeriesSpec,
        features: impl Iterator<Item = (&'a FeatureSpec, DataType)> + Clone,
    ) -> Result<Self, PlanError> {
        let payload = payload(series)?;
        let mut builder = Builder {
            reads: Vec::new(),
            newest: 0,
            events: None,
        };
        let mut wanted = Vec::new();
        for (feature, data_type) in features {
            let wrong = |reason: &str| PlanError::Feature(feature.name.clone(), reason.to_owned());
            let window = feature
                .window
                .as_ref()
                .ok_or_else(|| wrong("is of a series, and has no window"))?;
            let op = op(window, &payload).map_err(|reason| wrong(&reason))?;
            if !fits(op, data_type, &payload) {
                return Err(wrong("has a type that its operation does not give"));
            }
            if window.tiles != TileUse::None && (series.tile_ms <= 0 || window.window_ms <= 0) {
                return Err(wrong(
                    "reads tiles, which its series or its window does not have",
                ));
            }
            builder.foresee(op, window);
            wanted.push((op, window));
        }
        let features = wanted
            .into_iter()
            .map(|(op, window)| SeriesFeature {
                op,
                window_ms: window.window_ms,
                input: builder.input(op, window),
            })
            .collect();
        Ok(Self {
            retention_ms: series.retention_ms,
            tile_ms: series.tile_ms,
            payload,
            reads: builder.reads,
            features,
        })
    }
}

impl SeriesProgram {
    /// Whether a read calls the script that finds a session.
    pub(crate) fn calls_session(&self) -> bool {
        let is_session = |read: &SeriesRead| matches!(read, SeriesRead::Session { .. });
        self.reads.iter().any(is_session)
    }
}

/// Collects the reads of all features, so that each read serves as many features as it can.
struct Builder {
    reads: Vec<SeriesRead>,
    /// The most newest events that a feature asks for.
    newest: usize,
    /// The longest window whose events are read.
    events: Option<i64>,
}

impl Builder {
    /// Notes what a read that several features share must cover.
    fn foresee(&mut self, op: Op, window: &WindowSpec) {
        match op {
            Op::Last(_) | Op::LastTimes => self.newest = self.newest.max(window.n),
            Op::TimeSinceLast => self.newest = self.newest.max(1),
            Op::Sum(_) | Op::Avg(_) | Op::Min(_) | Op::Max(_) | Op::Distinct(_)
                if window.tiles == TileUse::None =>
            {
                self.events = Some(match self.events {
                    Some(known) if covers(known, window.window_ms) => known,
                    _ => window.window_ms,
                });
            }
            _ => {}
        }
    }

    fn input(&mut self, op: Op, window: &WindowSpec) -> SeriesInput {
        match op {
            Op::Last(_) | Op::LastTimes | Op::TimeSinceLast => SeriesInput::Newest {
                read: self.read(SeriesRead::Newest { n: self.newest }),
                n: window.n.max(1),
            },
            Op::SessionLength => {
                let gap_ms = window.gap_ms;
                SeriesInput::Session(self.read(SeriesRead::Session { gap_ms }))
            }
            _ if window.tiles == TileUse::Granular => self.tiles(op, window.window_ms, false),
            // ZCOUNT is as fast as reading the tiles.
            Op::Count => {
                let window_ms = window.window_ms;
                match self.events {
                    Some(known) if covers(known, window_ms) => self.events(),
                    _ => SeriesInput::Number(self.read(SeriesRead::Count { window_ms })),
                }
            }
            _ if window.tiles == TileUse::Exact => self.tiles(op, window.window_ms, true),
            _ => self.events(),
        }
    }

    fn events(&mut self) -> SeriesInput {
        let window_ms = self.events.unwrap_or_default();
        SeriesInput::Events(self.read(SeriesRead::Events { window_ms }))
    }

    fn tiles(&mut self, op: Op, window_ms: i64, whole: bool) -> SeriesInput {
        let wanted: &[TileValue] = match op {
            Op::Sum(field) => &[TileValue::Sum(field)],
            Op::Avg(field) => &[TileValue::Sum(field), TileValue::Values(field)],
            Op::Min(field) => &[TileValue::Smallest(field)],
            Op::Max(field) => &[TileValue::Largest(field)],
            _ => &[TileValue::Events],
        };
        // One command for each window, because other windows have other edges.
        let known = self
            .reads
            .iter_mut()
            .enumerate()
            .find_map(|(index, read)| match read {
                SeriesRead::Tiles {
                    window_ms: known,
                    whole: kind,
                    values,
                } if (*known, *kind) == (window_ms, whole) => Some((index, values)),
                _ => None,
            });
        let read = if let Some((index, values)) = known {
            for value in wanted {
                if !values.contains(value) {
                    values.push(*value);
                }
            }
            index
        } else {
            let values = wanted.to_vec();
            self.reads.push(SeriesRead::Tiles {
                window_ms,
                whole,
                values,
            });
            self.reads.len() - 1
        };
        SeriesInput::Tiles {
            read,
            edges: whole.then(|| {
                (
                    self.read(SeriesRead::LeftEdge { window_ms }),
                    self.read(SeriesRead::RightEdge { window_ms }),
                )
            }),
        }
    }

    /// The index of this read, which is added if it is not there.
    fn read(&mut self, read: SeriesRead) -> usize {
        self.reads
            .iter()
            .position(|known| *known == read)
            .unwrap_or_else(|| {
                self.reads.push(read);
                self.reads.len() - 1
            })
    }
}

/// Whether a window holds everything that another one holds.
fn covers(window_ms: i64, other_ms: i64) -> bool {
    window_ms == 0 || (other_ms != 0 && other_ms <= window_ms)
}

fn payload(series: &SeriesSpec) -> Result<Vec<(String, Scalar)>, PlanError> {
    series
        .payload
        .iter()
        .map(|(name, spelling)| match spelling.parse() {
            Ok(DataType::Scalar(scalar)) => Ok((name.clone(), scalar)),
            Ok(other) => Err(PlanError::Feature(
                name.clone(),
                format!("is {other}, and events hold single values"),
            )),
            Err(error) => Err(PlanError::Type(name.clone(), error)),
        })
        .collect()
}

fn op(window: &WindowSpec, payload: &[(String, Scalar)]) -> Result<Op, String> {
    let field = || {
        let name = window.field.as_deref().unwrap_or_default();
        payload
            .iter()
            .position(|(known, _)| known == name)
            .ok_or_else(|| format!("is made from {name:?}, which the events do not have"))
    };
    Ok(match window.op.as_str() {
        "last" => Op::Last(field()?),
        "last_times" => Op::LastTimes,
        "count" => Op::Count,
        "sum" => Op::Sum(field()?),
        "avg" => Op::Avg(field()?),
        "min" => Op::Min(field()?),
        "max" => Op::Max(field()?),
        "distinct" => Op::Distinct(field()?),
        "time_since_last" => Op::TimeSinceLast,
        "session_length" => Op::SessionLength,
        other => return Err(format!("has {other:?}, which is not an operation")),
    })
}

fn fits(op: Op, data_type: DataType, payload: &[(String, Scalar)]) -> bool {
    let of = |field: usize| payload[field].1;
    let number = |scalar| matches!(scalar, Scalar::Int64 | Scalar::Float64 | Scalar::Float32);
    let float = |scalar| matches!(scalar, Scalar::Float64 | Scalar::Float32);
    match (op, data_type) {
        (Op::Last(field), DataType::List(element)) => element == of(field),
        (Op::LastTimes, DataType::List(element)) => matches!(element, Scalar::Timestamp(_)),
        (
            Op::Count | Op::Distinct(_) | Op::TimeSinceLast | Op::SessionLength,
            DataType::Scalar(scalar),
        ) => number(scalar),
        (Op::Sum(field), DataType::Scalar(scalar)) => {
            number(of(field))
                && (float(scalar) || (scalar, of(field)) == (Scalar::Int64, Scalar::Int64))
        }
        (Op::Avg(field), DataType::Scalar(scalar)) => number(of(field)) && float(scalar),
        (Op::Min(field) | Op::Max(field), DataType::Scalar(scalar)) => match of(field) {
            Scalar::Int64 | Scalar::Float32 | Scalar::Float64 => {
                scalar == of(field) || float(scalar)
            }
            Scalar::Timestamp(_) => scalar == of(field),
            _ => false,
        },
        _ => false,
    }
}
