//! Computes the values of features from the events of one key.

use hashbrown::HashSet;

use super::{Scratch, SeriesEvent};
use crate::plan::{Op, SeriesFeature, SeriesInput, SeriesProgram, SeriesRead, TileValue};
use crate::series::member;
use crate::series::range::TimeRange;
use crate::types::{DataType, Scalar};
use crate::value::{self, ArenaSpan};

/// A cell, or `None` without a value, or why the stored data is invalid.
type Made = Result<Option<u64>, String>;

impl Scratch {
    /// The cell of a feature.
    pub(super) fn value(
        &self,
        program: &SeriesProgram,
        feature: &SeriesFeature,
        data_type: DataType,
        as_of: i64,
        arena: &mut Vec<u8>,
    ) -> Made {
        let span = TimeRange::of_window(as_of, feature.window_ms, program.retention_ms);
        match feature.input {
            SeriesInput::Number(read) => Ok(number(self.numbers(read).first().copied(), data_type)),
            SeriesInput::Session(read) => {
                let length = match *self.numbers(read) {
                    [first, newest] if as_of.saturating_sub(newest) <= gap(program, read) => {
                        newest.saturating_sub(first)
                    }
                    _ => 0,
                };
                Ok(number(Some(length), data_type))
            }
            SeriesInput::Newest { read, n } => {
                let events = self.events(read);
                let events = &events[..n.min(events.len())];
                self.newest(program, feature.op, events, as_of, data_type, arena)
            }
            SeriesInput::Events(read) => {
                let events = self.events(read).iter();
                let events = events.filter(|event| span.holds(event.time));
                self.aggregate(program, feature.op, events, data_type)
            }
            SeriesInput::Tiles { read, edges } => {
                self.of_tiles(program, feature.op, read, edges, data_type)
            }
        }
    }

    fn newest(
        &self,
        program: &SeriesProgram,
        op: Op,
        events: &[SeriesEvent],
        as_of: i64,
        data_type: DataType,
        arena: &mut Vec<u8>,
    ) -> Made {
        if op == Op::TimeSinceLast {
            let since = events.first().map(|event| as_of.saturating_sub(event.time));
            return Ok(number(since, data_type));
        }
        if events.is_empty() {
            return Ok(None);
        }
        let start = arena.len();
        let mut text = Vec::new();
        for event in events {
            let made = if let Op::Last(field) = op {
                self.element(program, field, *event, &mut text, arena)
            } else {
                arena.extend_from_slice(&event.time.to_le_bytes());
                Ok(())
            };
            if let Err(reason) = made {
                arena.truncate(start);
                return Err(reason);
            }
        }
        span(start, arena)
    }

    /// Appends a field of an event as an element of a list, unless the field is null.
    fn element(
        &self,
        program: &SeriesProgram,
        field: usize,
        event: SeriesEvent,
        text: &mut Vec<u8>,
        arena: &mut Vec<u8>,
    ) -> Result<(), String> {
        text.clear();
        let Some(cell) = self.field(program, field, event, text)? else {
            return Ok(());
        };
        let scalar = program.payload[field].1;
        if matches!(scalar, Scalar::String | Scalar::Bytes) {
            let bytes = ArenaSpan::of(cell).slice(text);
            arena.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            arena.extend_from_slice(bytes);
        } else {
            arena.extend_from_slice(&cell.to_le_bytes());
        }
        Ok(())
    }

    /// The cell of an event's field; `None` if it is null. Text goes to `arena`.
    fn field(
        &self,
        program: &SeriesProgram,
        field: usize,
        event: SeriesEvent,
        arena: &mut Vec<u8>,
    ) -> Made {
        let (name, scalar) = &program.payload[field];
        let member = self.bytes(event.member);
        let Some(text) =
            member::field(member, field, program.payload.len()).and_then(member::unescape)
        else {
            return Ok(None);
        };
        value::decode(DataType::Scalar(*scalar), &text, arena)
            .map(Some)
            .map_err(|invalid| {
                let shown = super::super::part::preview(member);
                format!("{name} of the event {shown} {}: {scalar}", invalid.0)
            })
    }

    /// The aggregate of a window's events, which come oldest first.
    fn aggregate<'a>(
        &self,
        program: &SeriesProgram,
        op: Op,
        events: impl Iterator<Item = &'a SeriesEvent>,
        data_type: DataType,
    ) -> Made {
        match op {
            Op::Distinct(field) => {
                let mut seen: HashSet<&[u8], foldhash::fast::FixedState> = HashSet::default();
                for event in events {
                    let member = self.bytes(event.member);
                    let text = member::field(member, field, program.payload.len());
                    seen.extend(text.filter(|&text| text != member::NULL));
                }
                Ok(number(Some(seen.len() as i64), data_type))
            }
            Op::Sum(field) | Op::Avg(field) | Op::Min(field) | Op::Max(field) => {
                let mut total = Total::new(op, program.payload[field].1);
                for event in events {
                    if let Some(cell) = self.field(program, field, *event, &mut Vec::new())? {
                        total.add(cell, 1);
                    }
                }
                total.cell(data_type)
            }
            _ => Ok(number(Some(events.count() as i64), data_type)),
        }
    }

    fn of_tiles(
        &self,
        program: &SeriesProgram,
        op: Op,
        read: usize,
        edges: Option<(usize, usize)>,
        data_type: DataType,
    ) -> Made {
        let SeriesRead::Tiles { values, .. } = &program.reads[read] else {
            return Ok(None);
        };
        let texts = self.texts(read);
        // If there was no tile to ask for, the reply holds one field that stands in for a tile.
        let tiles = texts.chunks_exact(values.len());
        let of = |tile: &[Option<(u32, u32)>], value: TileValue| {
            let position = values.iter().position(|&known| known == value)?;
            tile[position].map(|text| self.bytes(text))
        };
        let (field, wanted) = match op {
            Op::Sum(field) | Op::Avg(field) => (field, TileValue::Sum(field)),
            Op::Min(field) => (field, TileValue::Smallest(field)),
            Op::Max(field) => (field, TileValue::Largest(field)),
            _ => {
                let mut events = 0_i64;
                for tile in tiles {
                    if let Some(text) = of(tile, TileValue::Events) {
                        events = events.saturating_add(integer(text)?);
                    }
                }
                return Ok(number(Some(events), data_type));
            }
        };
        let (name, scalar) = &program.payload[field];
        let mut total = Total::new(op, *scalar);
        let edge = |total: &mut Total, read: usize| {
            for event in self.events(read) {
                if let Some(cell) = self.field(program, field, *event, &mut Vec::new())? {
                    total.add(cell, 1);
                }
            }
            Ok::<(), String>(())
        };
        if let Some((left, _)) = edges {
            edge(&mut total, left)?;
        }
        for tile in tiles {
            let Some(text) = of(tile, wanted) else {
                continue;
            };
            let count = match of(tile, TileValue::Values(field)) {
                Some(text) => integer(text)?,
                None => 1,
            };
            let cell = value::decode(DataType::Scalar(*scalar), text, &mut Vec::new())
                .map_err(|invalid| format!("a tile's {name} {}", invalid.0))?;
            total.add(cell, count);
        }
        if let Some((_, right)) = edges {
            edge(&mut total, right)?;
        }
        total.cell(data_type)
    }
}

/// A sum, an average or an extreme that is being computed.
struct Total {
    op: Op,
    scalar: Scalar,
    count: i64,
    whole: Option<i64>,
    real: f64,
    best: Option<u64>,
}

impl Total {
    fn new(op: Op, scalar: Scalar) -> Self {
        Self {
            op,
            scalar,
            count: 0,
            whole: Some(0),
            real: 0.0,
            best: None,
        }
    }

    /// Adds a value, or the sum of `count` values.
    fn add(&mut self, cell: u64, count: i64) {
        self.count = self.count.saturating_add(count);
        match self.op {
            Op::Sum(_) | Op::Avg(_) if self.scalar == Scalar::Int64 => {
                self.whole = self.whole.and_then(|sum| sum.checked_add(cell as i64));
                self.real += cell as i64 as f64;
            }
            Op::Sum(_) | Op::Avg(_) => self.real += f64::from_bits(cell),
            _ => {
                self.best = Some(match self.best {
                    None => cell,
                    Some(best) => self.better(cell, best),
                });
            }
        }
    }

    /// The smaller or the larger of two values. A NaN loses against any number.
    fn better(&self, one: u64, other: u64) -> u64 {
        let smaller = matches!(self.op, Op::Min(_));
        if matches!(self.scalar, Scalar::Float32 | Scalar::Float64) {
            let (one, other) = (f64::from_bits(one), f64::from_bits(other));
            return if smaller {
                one.min(other)
            } else {
                one.max(other)
            }
            .to_bits();
        }
        let (one, other) = (one as i64, other as i64);
        (if smaller {
            one.min(other)
        } else {
            one.max(other)
        }) as u64
    }

    fn cell(self, data_type: DataType) -> Made {
        match self.op {
            Op::Sum(_) if data_type == DataType::Scalar(Scalar::Int64) => match self.whole {
                Some(sum) => Ok(Some(sum as u64)),
                None => Err("the sum is beyond 64 bits".to_owned()),
            },
            Op::Sum(_) => Ok(Some(real(self.real, data_type))),
            Op::Avg(_) if self.count > 0 => {
                Ok(Some(real(self.real / self.count as f64, data_type)))
            }
            Op::Avg(_) => Ok(None),
            _ if self.scalar == Scalar::Int64 => {
                Ok(number(self.best.map(|cell| cell as i64), data_type))
            }
            _ => Ok(self.best),
        }
    }
}

/// The longest pause within the session that a read looks for.
fn gap(program: &SeriesProgram, read: usize) -> i64 {
    match program.reads[read] {
        SeriesRead::Session { gap_ms } => gap_ms,
        _ => 0,
    }
}

fn integer(text: &[u8]) -> Result<i64, String> {
    value::integer(text).map_err(|invalid| format!("a tile's count {}", invalid.0))
}

/// The cell of a count or a duration, in the feature's type.
fn number(value: Option<i64>, data_type: DataType) -> Option<u64> {
    value.map(|value| match data_type {
        DataType::Scalar(Scalar::Float32 | Scalar::Float64) => real(value as f64, data_type),
        _ => value as u64,
    })
}

fn real(value: f64, data_type: DataType) -> u64 {
    match data_type {
        DataType::Scalar(Scalar::Float32) => f64::from(value as f32).to_bits(),
        _ => value.to_bits(),
    }
}

fn span(start: usize, arena: &[u8]) -> Made {
    match (u32::try_from(start), u32::try_from(arena.len() - start)) {
        (Ok(offset), Ok(length)) => Ok(Some(ArenaSpan { offset, length }.cell())),
        _ => Err("does not fit: one result holds at most 4 GiB of text".to_owned()),
    }
}
