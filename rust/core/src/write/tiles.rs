//! Tiles: sums of events, in intervals of equal length, beside their series.

use super::WriteBatch;
use super::batch::ExpectedReply;
use super::events::Events;
use super::kept_until;
use crate::convert::count_i64;
use crate::resp::encode::{write_blob, write_integer};
use crate::script::SERIES_TILES;

/// The tiles of a view.
#[derive(Debug, Clone)]
pub struct TilesView {
    /// The length of a tile in ms.
    pub tile_ms: i64,
    /// How long tiles are kept, in ms; 0 for ever.
    pub retention_ms: i64,
    /// The payload fields that are added up.
    pub fields: Vec<TileField>,
}

/// A payload field that is added up.
#[derive(Debug, Clone)]
pub struct TileField {
    /// Its name.
    pub name: String,
    /// Its index in the payload.
    pub column: usize,
    /// Whether its values are integers, whose sums are exact; else they are floats.
    pub integer: bool,
}

/// Adds events to a series and to its tiles in one script.
#[derive(Debug)]
pub(super) struct Tiles {
    /// How long the series and its tiles are kept, in ms; 0 for ever.
    retention_ms: [i64; 2],
    key_tail: Vec<u8>,
    columns: Vec<usize>,
    /// The arguments that are the same for all calls, but for the times.
    header: Vec<u8>,
    header_count: usize,
}

impl Tiles {
    /// Tiles of a series that keeps events for `retention_ms`, and at most `max_events` of them.
    pub(super) fn new(tiles: &TilesView, retention_ms: i64, max_events: i64) -> Self {
        let mut header = Vec::new();
        for number in [
            tiles.tile_ms,
            retention_ms,
            max_events,
            tiles.retention_ms,
            count_i64(tiles.fields.len()),
        ] {
            write_integer(&mut header, number);
        }
        for field in &tiles.fields {
            write_blob(&mut header, field.name.as_bytes());
            let kind: &[u8] = if field.integer { b"integer" } else { b"float" };
            write_blob(&mut header, kind);
        }
        Self {
            retention_ms: [retention_ms, tiles.retention_ms],
            key_tail: format!(":t{}", tiles.tile_ms).into_bytes(),
            columns: tiles.fields.iter().map(|field| field.column).collect(),
            header,
            header_count: 5 + 2 * tiles.fields.len(),
        }
    }

    /// The indices of the payload fields that are added up.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The key of the tiles of the series in `key`.
    pub(super) fn key(&self, key: &[u8]) -> Vec<u8> {
        [key, &self.key_tail].concat()
    }

    pub(super) fn append(&self, events: &Events<'_>, clock_ms: i64, batch: &mut WriteBatch) {
        let arguments = self.header_count + 2 + events.events.len() * (2 + self.columns.len());
        let row = events.first_row();
        let out = batch.call(&SERIES_TILES, 2, arguments, row, ExpectedReply::Verdict);
        write_blob(out, events.key());
        write_blob(out, &self.key(events.key()));
        for ttl_ms in self.retention_ms {
            match ttl_ms {
                0 => write_blob(out, b""),
                ttl_ms => write_integer(out, kept_until(events.newest_ms(), clock_ms, ttl_ms)),
            }
        }
        out.extend_from_slice(&self.header);
        for event in events.events {
            write_integer(out, event.time_ms);
            write_blob(out, events.member(event));
            out.extend_from_slice(events.summands(event));
        }
    }
}
