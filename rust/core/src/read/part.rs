//! The part of a read that one node answers: encodes commands, and decodes replies into cells.

use std::sync::Arc;

use super::ReadOptions;
use super::cursor::{Cursor, Kind};
use super::route::GroupKeys;
use super::sections::{Section, Step};
use super::series::{Command, Scratch};
use super::transaction::Stage;
use super::whole;
use crate::connection::Replies;
use crate::plan::{FieldOrder, ReadPlan, Source};
use crate::resp::encode::{command, write_blob};
use crate::resp::token::Token;
use crate::script::{Calls, Script, is_unknown};
use crate::table::{MAX_PROBLEMS, NO_TIME};
use crate::types::Status;
use crate::value;

/// Why a part as a whole has no answer although its replies came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartFailure {
    /// The server's error, as it sent it (`NOPERM …`, `LOADING …`).
    Server(String),
    /// A reply whose shape does not fit its command.
    Protocol(String),
}

/// The commands for one node, and its answers as they arrive.
#[derive(Debug)]
pub struct ReadPart {
    pub(super) plan: Arc<ReadPlan>,
    pub(super) asked: ReadOptions,
    pub(super) groups: Vec<GroupPart>,
    pub(super) sections: Vec<Section>,
    pub(super) answers: Vec<Answers>,
    pub(super) arena: Vec<u8>,
    problems: Vec<PartProblem>,
    pub(super) invalid: usize,
    failure: Option<PartFailure>,
    /// How many commands were answered before anything failed.
    pub(super) answered: usize,
    pointer: Option<i64>,
    /// Fingerprints of packed rows whose schema the plan does not have.
    pub(super) unknown_schemas: Vec<u32>,
    /// Whether the keys of one command must share a slot.
    by_slot: bool,
    pub(super) cursor: Cursor,
    /// The order of the current group's fields, if it is read by HGETALL.
    pub(super) order: Arc<FieldOrder>,
    /// The events of the current key that have arrived.
    pub(super) series: Scratch,
}

/// The keys of one group, and how they are read if they are series.
#[derive(Debug)]
pub(super) struct GroupPart {
    pub(super) keys: GroupKeys,
    /// The commands that read each key of a series; empty for other groups.
    pub(super) commands: Vec<Command>,
}

/// The cells of one group's rows.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) cells: Vec<u64>,
    pub(super) statuses: Vec<u8>,
    pub(super) event_times: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct PartProblem {
    pub(super) group: usize,
    pub(super) row: u32,
    pub(super) column: Option<u32>,
    pub(super) reason: String,
}

impl ReadPart {
    pub(super) fn new(
        plan: &Arc<ReadPlan>,
        keys: Vec<GroupKeys>,
        asked: ReadOptions,
        by_slot: bool,
    ) -> Self {
        let groups: Vec<GroupPart> = plan
            .groups
            .iter()
            .zip(keys)
            .map(|(group, keys)| GroupPart {
                keys,
                commands: match &group.source {
                    Source::Series(program) => Command::all(program, asked.as_of_ms),
                    _ => Vec::new(),
                },
            })
            .collect();
        let answers = plan
            .groups
            .iter()
            .zip(&groups)
            .map(|(group, GroupPart { keys, .. })| Answers {
                cells: group.absent_row.repeat(keys.keys.len()),
                statuses: vec![Status::Unavailable as u8; keys.keys.len() * group.columns.len()],
                event_times: vec![NO_TIME; keys.keys.len() * group.views.len()],
            })
            .collect();
        let sections = Section::all(plan, &groups, asked, by_slot);
        let mut part = Self {
            plan: Arc::clone(plan),
            asked,
            groups,
            sections,
            answers,
            arena: plan.default_arena.clone(),
            problems: Vec::new(),
            invalid: 0,
            failure: None,
            answered: 0,
            pointer: None,
            unknown_schemas: Vec::new(),
            by_slot,
            cursor: Cursor::default(),
            order: Arc::default(),
            series: Scratch::default(),
        };
        part.settle_ids_without_bits();
        part.enter_section();
        part
    }

    #[inline]
    fn encode_step(&self, section: &Section, step: Step, unit: usize, out: &mut Vec<u8>) {
        match step {
            Step::Pointer => {
                let pointer = self.plan.pointer.as_deref().unwrap_or_default();
                command(out, &[b"GET", pointer]);
            }
            Step::Hash(group) => {
                let Source::Hash(hash) = &self.plan.groups[group].source else {
                    return;
                };
                let keys = &self.groups[group].keys.keys;
                if unit == 0 {
                    let each = hash.command_head.len() + hash.command_tail.len() + 8;
                    out.reserve(keys.len() * each + keys.byte_len());
                }
                out.extend_from_slice(&hash.command_head);
                write_blob(out, keys.at(unit));
                out.extend_from_slice(&hash.command_tail);
            }
            Step::Packed { first, count } => self.encode_rows(section, (first, count), unit, out),
            Step::Series(group) => {
                let GroupPart { keys, commands } = &self.groups[group];
                for command in commands {
                    command.encode(keys.keys.at(unit), out);
                }
            }
            Step::Flag(group) => self.encode_bits(section, group, unit, out),
        }
    }

    /// Why the part failed as a whole, if it did.
    pub fn failure(&self) -> Option<&PartFailure> {
        self.failure.as_ref()
    }

    /// How many commands were answered before anything failed.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// The pointer to the version, if it was asked for and the server answered.
    pub fn pointer(&self) -> Option<i64> {
        self.pointer
    }

    /// Fingerprints of stored rows whose schema the plan does not have.
    pub fn unknown_schemas(&self) -> &[u32] {
        &self.unknown_schemas
    }

    /// Drops all answers, so that the part can be sent again.
    #[must_use]
    pub fn restarted(mut self) -> Self {
        self.restart();
        self
    }

    fn restart(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        let keys = groups.into_iter().map(|group| group.keys).collect();
        *self = Self::new(&self.plan, keys, self.asked, self.by_slot);
    }

    pub(super) fn into_answers(mut self) -> (Vec<Answers>, Vec<u8>, Vec<PartProblem>, usize) {
        if self.cursor.open {
            self.withdraw();
        }
        (self.answers, self.arena, self.problems, self.invalid)
    }

    /// Drops the row whose reply was cut short. A field that has not arrived may still be stored,
    /// and only the whole row shows whether it has expired.
    fn withdraw(&mut self) {
        let Cursor { group, row, .. } = self.cursor;
        let (width, views) = {
            let group = &self.plan.groups[group];
            (group.columns.len(), group.views.len())
        };
        let answers = &mut self.answers[group];
        let statuses = &mut answers.statuses[row * width..][..width];
        let invalid = Status::Invalid as u8;
        self.invalid -= statuses
            .iter()
            .map(|&status| usize::from(status == invalid))
            .sum::<usize>();
        statuses.fill(Status::Unavailable as u8);
        answers.cells[row * width..][..width].copy_from_slice(&self.plan.groups[group].absent_row);
        answers.event_times[row * views..][..views].fill(NO_TIME);
        self.problems
            .retain(|problem| (problem.group, problem.row) != (group, row as u32));
    }

    /// A token of the reply to one command.
    #[inline]
    pub(super) fn command_token(&mut self, depth: usize, token: Token<'_>) {
        if self.cursor.settled {
            return;
        }
        match (self.cursor.kind, token) {
            (_, Token::Error(text)) if depth == 0 => self.error(text),
            (Kind::Hash, _) => match depth {
                0 => self.begin_hash(token),
                1 => self.field(token),
                _ => self.misshapen("a hash field's value is nested"),
            },
            (Kind::Packed { first, count }, _) => self.row_token((first, count), depth, token),
            (Kind::Series, _) => self.event_token(depth, token),
            (Kind::Flag, _) => self.bit_token(depth, token),
            (Kind::Pointer, Token::Blob(text) | Token::Simple(text)) if depth == 0 => {
                self.pointer = value::integer(text).ok();
            }
            (Kind::Pointer, Token::Null) => {}
            (Kind::Pointer | Kind::Done, _) => self.misshapen("the version is not text"),
        }
    }

    fn error(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.cursor.settled = true;
        if !text.starts_with("WRONGTYPE") {
            return self.fail(PartFailure::Server(text.into_owned()));
        }
        // Somebody stored another type in this key: its values are invalid, but the request
        // does not fail.
        let what = match self.cursor.kind {
            Kind::Hash => "hash",
            Kind::Packed { .. } => "packed row",
            Kind::Series => "sorted set",
            Kind::Flag => "bitmap",
            Kind::Pointer | Kind::Done => return,
        };
        let reason = format!("the key does not hold a {what}");
        let Some((units, unit)) = self.unit() else {
            return;
        };
        let rows: Vec<usize> = (0..units.rows(unit))
            .map(|index| units.row(unit, index))
            .collect();
        for row in rows {
            self.invalidate_row(row, &reason);
        }
    }

    pub(super) fn invalidate_row(&mut self, row: usize, reason: &str) {
        let width = self.plan.groups[self.cursor.group].columns.len();
        self.answers[self.cursor.group].statuses[row * width..][..width]
            .fill(Status::Invalid as u8);
        self.invalid += width;
        self.problem(row, None, || reason.to_owned());
    }

    pub(super) fn fail(&mut self, failure: PartFailure) {
        self.failure.get_or_insert(failure);
    }

    /// The shape of the reply does not fit its command, so nothing after it can be trusted.
    pub(super) fn misshapen(&mut self, what: &str) {
        self.cursor.settled = true;
        self.fail(PartFailure::Protocol(what.to_owned()));
    }

    pub(super) fn problem(
        &mut self,
        row: usize,
        column: Option<usize>,
        reason: impl FnOnce() -> String,
    ) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(PartProblem {
                group: self.cursor.group,
                row: row as u32,
                column: column.map(|column| column as u32),
                reason: reason(),
            });
        }
    }
}

impl Replies for ReadPart {
    fn expected(&self) -> usize {
        self.sections
            .iter()
            .map(|section| section.replies(&self.groups))
            .sum()
    }

    #[inline]
    fn token(&mut self, _reply: usize, depth: usize, token: Token<'_>) {
        match self.cursor.stage {
            Stage::Plain => self.command_token(depth, token),
            _ => self.transaction_token(depth, token),
        }
    }

    fn is_out_of_step(&self) -> bool {
        matches!(self.failure, Some(PartFailure::Protocol(_)))
    }

    fn is_shareable(&self) -> bool {
        true
    }

    #[inline]
    fn finish(&mut self, _reply: usize) {
        match self.cursor.stage {
            Stage::Plain => self.finish_command(),
            _ => self.finish_stage(),
        }
    }

    fn whole(&mut self, _reply: usize, buf: &[u8]) -> Option<usize> {
        if self.cursor.kind != Kind::Hash || self.cursor.stage != Stage::Plain {
            return None;
        }
        let arena = self.arena.len();
        let length = whole::decode(self, buf);
        if length.is_none() {
            self.withdraw();
            self.arena.truncate(arena);
        }
        length
    }
}

impl Calls for ReadPart {
    fn scripts(&self) -> Vec<&'static Script> {
        self.plan.scripts()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for section in &self.sections {
            for unit in 0..section.units.len() {
                if section.atomic {
                    command(out, &[b"MULTI"]);
                }
                for step in &section.steps {
                    self.encode_step(section, *step, unit, out);
                }
                if section.atomic {
                    command(out, &[b"EXEC"]);
                }
            }
        }
    }

    fn keep_unknown(&mut self) -> bool {
        let unknown =
            matches!(&self.failure, Some(PartFailure::Server(text)) if is_unknown(text.as_bytes()));
        if unknown {
            // The answers beside it are older than those to come, so everything is read again.
            self.restart();
        }
        unknown
    }
}

/// The beginning of stored text, in a form that logs can show.
pub(super) fn preview(text: &[u8]) -> String {
    const SHOWN: usize = 32;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let more = if text.len() > SHOWN { "…" } else { "" };
    format!("{shown:?}{more}")
}
