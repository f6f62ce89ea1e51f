//! Events of entities in sorted sets, with their tiles.

use super::batch::ExpectedReply;
use super::events::{ByteRange, Events, HeldEvent};
use super::tiles::{Tiles, TilesView};
use super::{
    Destination, Destinations, Given, Layout, Outdated, Row, RowEncoder, RowError, WriteBatch,
    kept_until,
};
use crate::keys::{EntityKeys, KeyColumn, KeysError};
use crate::resp::encode::{write_blob, write_integer};
use crate::series::member;
use crate::value::{self, Invalid, Value};

/// The most events of an entity in one command.
const EVENTS_PER_COMMAND: usize = 500;

/// A view that is a series.
#[derive(Debug, Clone)]
pub struct SeriesView {
    /// The beginning of keys: prefix, view, entity and `:{`.
    pub key_head: Vec<u8>,
    /// The number of fields of the payload.
    pub payload: usize,
    /// How long events are kept, in ms; 0 for ever.
    pub retention_ms: i64,
    /// Which expiries an earlier definition may have set.
    pub outdated: Outdated,
    /// How many events are kept of an entity; 0 for all.
    pub max_events: i64,
    /// Whether every event has a member of its own; else equal payloads share one.
    pub count_repeats: bool,
    /// Whether events have ids.
    pub event_ids: bool,
    /// Its tiles, if it has any.
    pub tiles: Option<TilesView>,
}

/// Events in sorted sets, which have no version.
#[derive(Debug)]
pub struct SeriesLayout {
    view: SeriesView,
    tiles: Option<Tiles>,
}

impl SeriesLayout {
    /// Compiles what `view` says.
    pub fn new(view: SeriesView) -> Self {
        Self {
            tiles: view
                .tiles
                .as_ref()
                .map(|tiles| Tiles::new(tiles, view.retention_ms, view.max_events)),
            view,
        }
    }
}

impl Layout for SeriesLayout {
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        _version: i64,
    ) -> Result<Destinations, KeysError> {
        EntityKeys::build(&self.view.key_head, columns, b"}", rows).map(Destinations::Keys)
    }

    fn encoder(&self, clock_ms: i64) -> Box<dyn RowEncoder + '_> {
        Box::new(SeriesEncoder {
            layout: self,
            clock_ms,
            columns: vec![None; self.view.payload],
            text: Vec::new(),
            events: Vec::new(),
            bytes: Vec::new(),
        })
    }

    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch) {
        let Destination::Key(_, key) = destination else {
            return;
        };
        let arguments = usize::from(self.tiles.is_some());
        let out = batch.command(b"UNLINK", key, arguments, row, ExpectedReply::Effect);
        if let Some(tiles) = &self.tiles {
            write_blob(out, &tiles.key(key));
        }
    }

    fn counts_rows(&self) -> bool {
        true
    }

    fn needs_order(&self) -> bool {
        self.tiles.is_some()
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

/// Keeps events back, and sorts them by entity and time.
struct SeriesEncoder<'a> {
    layout: &'a SeriesLayout,
    clock_ms: i64,
    /// The ranges in `text` of each column's value and of its summand.
    columns: Vec<Option<(ByteRange, ByteRange)>>,
    text: Vec<u8>,
    events: Vec<HeldEvent>,
    bytes: Vec<u8>,
}

impl SeriesEncoder<'_> {
    /// The range of `bytes` from `start` on.
    fn span(&self, start: usize) -> ByteRange {
        (start, self.bytes.len())
    }

    fn member(&mut self, row: &Row<'_>) -> ByteRange {
        let start = self.bytes.len();
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                self.bytes.push(b',');
            }
            match column {
                Some(((start, end), _)) => {
                    member::escape_into(&mut self.bytes, &self.text[*start..*end]);
                }
                None => self.bytes.extend_from_slice(member::NULL),
            }
        }
        if self.layout.view.count_repeats {
            self.bytes.push(b'#');
            let mut buffer = itoa::Buffer::new();
            let suffix = row
                .event_id
                .unwrap_or_else(|| buffer.format(row.time_ms).as_bytes());
            member::escape_into(&mut self.bytes, suffix);
        }
        self.span(start)
    }

    fn summands(&mut self, tiles: &Tiles) -> ByteRange {
        let start = self.bytes.len();
        for &column in tiles.columns() {
            let (from, upto) = self.columns[column].map_or((0, 0), |(_, summand)| summand);
            write_blob(&mut self.bytes, &self.text[from..upto]);
        }
        self.span(start)
    }
}

impl RowEncoder for SeriesEncoder<'_> {
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid> {
        let start = self.text.len();
        let wide = match value {
            // Sums over the events themselves add up the widened value, so tiles do too.
            Given::Scalar(Value::Float32(narrow), scalar) => {
                Some((Value::Float64(f64::from(narrow)), scalar))
            }
            _ => None,
        };
        value.text(&mut self.text);
        let text = (start, self.text.len());
        let summand = wide.map_or(text, |(value, scalar)| {
            value::encode(&mut self.text, value, scalar);
            (text.1, self.text.len())
        });
        self.columns[column] = Some((text, summand));
        Ok(())
    }

    fn null(&mut self, column: usize) {
        self.columns[column] = None;
    }

    fn end_row(&mut self, row: Row<'_>, _batch: &mut WriteBatch) -> Result<(), RowError> {
        let Destination::Key(entity, key) = row.destination else {
            return Ok(());
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let key = self.span(start);
        let member = self.member(&row);
        let layout = self.layout;
        let summands = match &layout.tiles {
            Some(tiles) => self.summands(tiles),
            None => (0, 0),
        };
        self.events.push(HeldEvent {
            entity,
            time_ms: row.time_ms,
            row: row.number,
            key,
            member,
            summands,
        });
        self.columns.fill(None);
        self.text.clear();
        Ok(())
    }

    fn close(&mut self, batch: &mut WriteBatch) {
        let mut sorted = std::mem::take(&mut self.events);
        // Among events of one time the greatest member is the newest, in whatever order they came.
        sorted.sort_by(|a, b| {
            let member = |event: &HeldEvent| &self.bytes[event.member.0..event.member.1];
            (a.entity, a.time_ms)
                .cmp(&(b.entity, b.time_ms))
                .then_with(|| member(a).cmp(member(b)))
        });
        for entity in sorted.chunk_by(|a, b| a.entity == b.entity) {
            for events in entity.chunks(EVENTS_PER_COMMAND) {
                let events = Events {
                    events,
                    bytes: &self.bytes,
                };
                match &self.layout.tiles {
                    Some(tiles) => tiles.append(&events, self.clock_ms, batch),
                    None => self.layout.append(&events, self.clock_ms, batch),
                }
            }
        }
        sorted.clear();
        self.events = sorted;
        self.bytes.clear();
    }

    fn held(&self) -> usize {
        self.bytes.len()
    }
}

impl SeriesLayout {
    /// Appends events without tiles: plain commands.
    fn append(&self, events: &Events<'_>, clock_ms: i64, batch: &mut WriteBatch) {
        let (key, row, newest_ms) = (events.key(), events.first_row(), events.newest_ms());
        let view = &self.view;
        // A member without its time in it may come again with another time. The newest time counts.
        let moves = !view.count_repeats || view.event_ids;
        let arguments = 2 * events.events.len() + if moves { 2 } else { 0 };
        let out = batch.command(b"ZADD", key, arguments, row, ExpectedReply::Verdict);
        if moves {
            write_blob(out, b"GT");
            write_blob(out, b"CH");
        }
        for event in events.events {
            write_integer(out, event.time_ms);
            write_blob(out, events.member(event));
        }
        if view.retention_ms > 0 {
            let out = batch.command(b"ZREMRANGEBYSCORE", key, 2, row, ExpectedReply::Integer);
            write_blob(out, b"-inf");
            write_integer(out, newest_ms - view.retention_ms);
        }
        if view.max_events > 0 {
            let out = batch.command(b"ZREMRANGEBYRANK", key, 2, row, ExpectedReply::Integer);
            write_blob(out, b"0");
            write_integer(out, -view.max_events - 1);
        }
        if view.retention_ms > 0 {
            let at_ms = kept_until(newest_ms, clock_ms, view.retention_ms);
            batch.expire_not_sooner(key, at_ms, row);
        } else if view.outdated != Outdated::Nothing {
            batch.command(b"PERSIST", key, 0, row, ExpectedReply::Integer);
        }
    }
}
