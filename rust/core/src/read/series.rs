//! The commands that read a series, and the replies to them.

mod evaluate;

use super::cursor::Kind;
use super::part::ReadPart;
use crate::plan::{SeriesProgram, SeriesRead, Source, TileValue};
use crate::resp::encode::{write_array_header, write_blob, write_decimal, write_integer};
use crate::resp::token::Token;
use crate::script::SESSION;
use crate::series::range::{TileRange, TimeRange};
use crate::types::Status;
use crate::value;

/// A command that reads a series, encoded except for its key.
#[derive(Debug)]
pub(super) struct Command {
    head: Vec<u8>,
    /// The end of the tiles' key, after the key of the events; empty for a command on the events.
    key_end: Vec<u8>,
    tail: Vec<u8>,
}

impl Command {
    /// The commands of a program, as of this time.
    pub(super) fn all(program: &SeriesProgram, as_of: i64) -> Vec<Self> {
        let reads = program.reads.iter();
        reads.map(|read| Self::new(read, program, as_of)).collect()
    }

    fn new(read: &SeriesRead, program: &SeriesProgram, as_of: i64) -> Self {
        let window = |window_ms| TimeRange::of_window(as_of, window_ms, program.retention_ms);
        let whole = |window_ms| TileRange::within(as_of, window_ms, program.tile_ms);
        match read {
            SeriesRead::Count { window_ms } => {
                let span = window(*window_ms);
                Self::of(b"ZCOUNT", &[&after(span), &until(span.until)])
            }
            SeriesRead::Newest { n } => {
                let span = window(0);
                let n = itoa::Buffer::new().format(*n).to_owned();
                let ends = [until(span.until), after(span)];
                Self::of(
                    b"ZRANGE",
                    &[
                        &ends[0],
                        &ends[1],
                        b"BYSCORE",
                        b"REV",
                        b"LIMIT",
                        b"0",
                        n.as_bytes(),
                        b"WITHSCORES",
                    ],
                )
            }
            SeriesRead::Events { window_ms } => Self::range(window(*window_ms)),
            SeriesRead::Session { gap_ms } => {
                let span = window(0);
                let mut head = Vec::new();
                SESSION.call(&mut head, 1, 3);
                let mut tail = Vec::new();
                write_integer(&mut tail, span.until);
                write_blob(&mut tail, &after(span));
                write_integer(&mut tail, *gap_ms);
                Self {
                    head,
                    key_end: Vec::new(),
                    tail,
                }
            }
            SeriesRead::Tiles {
                window_ms,
                whole: is_whole,
                values,
            } => {
                let tiles = if *is_whole {
                    whole(*window_ms)
                } else {
                    TileRange::touched(as_of, *window_ms, program.tile_ms)
                };
                Self::tiles(tiles, values, program)
            }
            SeriesRead::LeftEdge { window_ms } => {
                let (span, tiles) = (window(*window_ms), whole(*window_ms));
                Self::range(TimeRange {
                    until: span.until.min(tiles.start - 1),
                    ..span
                })
            }
            SeriesRead::RightEdge { window_ms } => {
                let (span, tiles) = (window(*window_ms), whole(*window_ms));
                // If no tile is wholly in the window, the left edge has all of its events.
                let after = if tiles.is_empty() {
                    span.until
                } else {
                    tiles.end - 1
                };
                Self::range(TimeRange {
                    after: Some(after),
                    ..span
                })
            }
        }
    }

    fn of(name: &[u8], arguments: &[&[u8]]) -> Self {
        let mut head = Vec::new();
        write_array_header(&mut head, 2 + arguments.len());
        write_blob(&mut head, name);
        let mut tail = Vec::new();
        for argument in arguments {
            write_blob(&mut tail, argument);
        }
        Self {
            head,
            key_end: Vec::new(),
            tail,
        }
    }

    fn range(span: TimeRange) -> Self {
        Self::of(
            b"ZRANGE",
            &[&after(span), &until(span.until), b"BYSCORE", b"WITHSCORES"],
        )
    }

    fn tiles(tiles: TileRange, values: &[TileValue], program: &SeriesProgram) -> Self {
        let mut fields: Vec<Vec<u8>> = Vec::new();
        for start in tiles.starts() {
            for value in values {
                let mut field = Vec::new();
                write_decimal(&mut field, start);
                let (kind, of): (&[u8], _) = match *value {
                    TileValue::Events => (b":n", None),
                    TileValue::Sum(of) => (b":s:", Some(of)),
                    TileValue::Values(of) => (b":c:", Some(of)),
                    TileValue::Smallest(of) => (b":l:", Some(of)),
                    TileValue::Largest(of) => (b":g:", Some(of)),
                };
                field.extend_from_slice(kind);
                if let Some(of) = of {
                    field.extend_from_slice(program.payload[of].0.as_bytes());
                }
                fields.push(field);
            }
        }
        if fields.is_empty() {
            // HMGET needs a field, so this asks for one that no tile has.
            fields.push(b"-".to_vec());
        }
        let mut key_end = b":t".to_vec();
        write_decimal(&mut key_end, program.tile_ms);
        let arguments: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        Self {
            key_end,
            ..Self::of(b"HMGET", &arguments)
        }
    }

    /// Appends the command for the events of `key`.
    pub(super) fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.head.len() + self.tail.len() + key.len() + 16);
        out.extend_from_slice(&self.head);
        if self.key_end.is_empty() {
            write_blob(out, key);
        } else {
            write_blob(out, &[key, &self.key_end].concat());
        }
        out.extend_from_slice(&self.tail);
    }
}

fn after(span: TimeRange) -> Vec<u8> {
    span.after.map_or(b"-inf".to_vec(), |after| {
        let mut text = b"(".to_vec();
        write_decimal(&mut text, after);
        text
    })
}

fn until(moment: i64) -> Vec<u8> {
    let mut text = Vec::new();
    write_decimal(&mut text, moment);
    text
}

/// The replies about one key's events, read by read.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Members and texts.
    bytes: Vec<u8>,
    events: Vec<SeriesEvent>,
    texts: Vec<Option<(u32, u32)>>,
    numbers: Vec<i64>,
    /// For each read, the start of its results.
    starts: Vec<Start>,
    /// A member whose time is still to come.
    member: Option<(u32, u32)>,
}

/// An event: its time, and the range of its member in `bytes`.
#[derive(Debug, Clone, Copy)]
struct SeriesEvent {
    time: i64,
    member: (u32, u32),
}

#[derive(Debug, Clone, Copy, Default)]
struct Start {
    event: usize,
    text: usize,
    number: usize,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.texts.clear();
        self.numbers.clear();
        self.starts.clear();
        self.member = None;
    }

    fn begin(&mut self) {
        self.starts.push(self.end());
        self.member = None;
    }

    fn end(&self) -> Start {
        Start {
            event: self.events.len(),
            text: self.texts.len(),
            number: self.numbers.len(),
        }
    }

    fn start(&self, read: usize) -> Start {
        self.starts.get(read).copied().unwrap_or_else(|| self.end())
    }

    fn events(&self, read: usize) -> &[SeriesEvent] {
        &self.events[self.start(read).event..self.start(read + 1).event]
    }

    fn texts(&self, read: usize) -> &[Option<(u32, u32)>] {
        &self.texts[self.start(read).text..self.start(read + 1).text]
    }

    fn numbers(&self, read: usize) -> &[i64] {
        &self.numbers[self.start(read).number..self.start(read + 1).number]
    }

    fn bytes(&self, (start, end): (u32, u32)) -> &[u8] {
        &self.bytes[start as usize..end as usize]
    }

    fn keep(&mut self, text: &[u8]) -> (u32, u32) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        (start, self.bytes.len() as u32)
    }
}

impl ReadPart {
    pub(super) fn event_token(&mut self, depth: usize, token: Token<'_>) {
        if depth == 0 {
            self.series.begin();
        }
        let Source::Series(program) = &self.plan.groups[self.cursor.group].source else {
            return;
        };
        let fits = match (&program.reads[self.cursor.command], token) {
            (SeriesRead::Count { .. }, Token::Integer(number)) => {
                self.series.numbers.push(number);
                true
            }
            (SeriesRead::Session { .. }, Token::Blob(time)) => {
                let time = moment(time);
                self.series.numbers.extend(time);
                time.is_some()
            }
            (SeriesRead::Session { .. }, Token::Array(0 | 2))
            | (SeriesRead::Tiles { .. }, Token::Array(_)) => depth == 0,
            (SeriesRead::Tiles { .. }, Token::Null) => {
                self.series.texts.push(None);
                true
            }
            (SeriesRead::Tiles { .. }, Token::Blob(text) | Token::Simple(text)) => {
                let text = self.series.keep(text);
                self.series.texts.push(Some(text));
                true
            }
            (
                SeriesRead::Newest { .. }
                | SeriesRead::Events { .. }
                | SeriesRead::LeftEdge { .. }
                | SeriesRead::RightEdge { .. },
                _,
            ) => self.series.member_token(depth, token),
            _ => false,
        };
        if !fits {
            self.misshapen("the reply for a series has the wrong shape");
        }
    }

    /// Computes a key's values from its events, after the last reply about them.
    pub(super) fn finish_events(&mut self) {
        let (group, row) = (self.cursor.group, self.cursor.row);
        let Source::Series(program) = &self.plan.groups[group].source else {
            return;
        };
        if self.cursor.settled || self.cursor.command + 1 < program.reads.len() {
            return;
        }
        debug_assert_eq!(self.cursor.kind, Kind::Series);
        let plan = std::sync::Arc::clone(&self.plan);
        let Source::Series(program) = &plan.groups[group].source else {
            return;
        };
        let columns = &plan.groups[group].columns;
        for (index, (column, feature)) in columns.iter().zip(&program.features).enumerate() {
            let as_of = self.asked.as_of_ms;
            let made =
                self.series
                    .value(program, feature, column.data_type, as_of, &mut self.arena);
            let at = row * columns.len() + index;
            let answers = &mut self.answers[group];
            match made {
                Ok(Some(cell)) => {
                    answers.cells[at] = cell;
                    answers.statuses[at] = Status::Present as u8;
                }
                Ok(None) => {
                    answers.statuses[at] = Status::NotFound as u8;
                    if let Some(default) = column.default {
                        answers.cells[at] = default;
                    }
                }
                Err(reason) => {
                    answers.statuses[at] = Status::Invalid as u8;
                    self.invalid += 1;
                    self.problem(row, Some(index), || reason);
                }
            }
        }
        if let Some(newest) = self.series.events.iter().map(|event| event.time).max() {
            self.answers[group].event_times[row] = newest;
        }
    }
}

impl Scratch {
    /// Takes members and scores, which alternate in RESP2 and come in pairs in RESP3. Returns
    /// whether the token fits.
    fn member_token(&mut self, depth: usize, token: Token<'_>) -> bool {
        match (token, self.member) {
            (Token::Array(_), None) => depth <= 1,
            (Token::Blob(member), None) => {
                self.member = Some(self.keep(member));
                depth >= 1
            }
            (Token::Blob(score) | Token::Double(score), Some(member)) => {
                self.member = None;
                match moment(score) {
                    Some(time) => self.events.push(SeriesEvent { time, member }),
                    None => return false,
                }
                true
            }
            _ => false,
        }
    }
}

/// A score as epoch milliseconds. Only other programs write fractions; these are cut off.
fn moment(score: &[u8]) -> Option<i64> {
    value::integer(score).ok().or_else(|| {
        fast_float2::parse::<f64, _>(score)
            .ok()
            .map(|time| time as i64)
    })
}
