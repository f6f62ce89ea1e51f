//! The part of a read that one node answers: encoding, and decoding of its replies into cells.

use std::sync::Arc;

use super::whole;
use crate::connection::Replies;
use crate::keys::ByteColumn;
use crate::plan::{FieldOrder, ReadPlan, Strategy, Target};
use crate::resp::encode::write_blob;
use crate::resp::token::Token;
use crate::table::{MAX_PROBLEMS, NO_TIME};
use crate::types::Status;
use crate::value;

/// Why a part as a whole has no answer although its replies came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server's error, as it sent it (`NOPERM …`, `LOADING …`).
    Server(String),
    /// A reply of another shape than the command's.
    Protocol(String),
}

/// What one node is asked, and its answers as they come in.
#[derive(Debug)]
pub struct ReadPart {
    pub(super) plan: Arc<ReadPlan>,
    now_ms: i64,
    keys: Vec<ByteColumn>,
    pub(super) answers: Vec<Answers>,
    pub(super) arena: Vec<u8>,
    problems: Vec<PartProblem>,
    invalid: usize,
    failure: Option<Failure>,
    pub(super) cursor: Cursor,
    /// The order of the current group's fields, where it is read by HGETALL.
    pub(super) order: Arc<FieldOrder>,
}

/// The cells of one entity's rows.
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

/// Where in the part the next reply belongs.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    pub(super) group: usize,
    pub(super) row: usize,
    /// Element of the reply.
    element: usize,
    target: Option<Target>,
    /// Views of the group whose stored event time is unreadable.
    bad_times: Vec<usize>,
    /// The reply was an error, so its row is settled.
    settled: bool,
    /// Some of the row's reply came, but not yet all of it.
    open: bool,
}

impl ReadPart {
    pub(super) fn new(plan: &Arc<ReadPlan>, keys: Vec<ByteColumn>, now_ms: i64) -> Self {
        let answers = plan
            .groups
            .iter()
            .zip(&keys)
            .map(|(group, keys)| Answers {
                cells: group.absent_row.repeat(keys.len()),
                statuses: vec![Status::Unavailable as u8; keys.len() * group.columns.len()],
                event_times: vec![NO_TIME; keys.len() * group.views.len()],
            })
            .collect();
        let mut part = Self {
            plan: Arc::clone(plan),
            now_ms,
            keys,
            answers,
            arena: plan.default_arena.clone(),
            problems: Vec::new(),
            invalid: 0,
            failure: None,
            cursor: Cursor::default(),
            order: Arc::default(),
        };
        part.begin_group();
        part
    }

    /// Appends the commands of this part.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (group, keys) in self.plan.groups.iter().zip(&self.keys) {
            let each = group.command_head.len() + group.command_tail.len() + 8;
            out.reserve(keys.len() * each + keys.byte_len());
            for key in keys.iter() {
                out.extend_from_slice(&group.command_head);
                write_blob(out, key);
                out.extend_from_slice(&group.command_tail);
            }
        }
    }

    /// Why the part failed as a whole, where it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Forgets all answers, to be asked again.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self::new(&self.plan, self.keys, self.now_ms)
    }

    pub(super) fn into_answers(mut self) -> (Vec<Answers>, Vec<u8>, Vec<PartProblem>, usize) {
        if self.cursor.open {
            self.withdraw();
        }
        (self.answers, self.arena, self.problems, self.invalid)
    }

    /// Forgets the row whose reply was cut short: a field that had not come yet is not missing, and
    /// whether the row has expired is told by its last fields.
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

    /// Goes to the next group that has keys, where this one's are answered.
    fn next_group(&mut self) {
        if let Some(group) = self.plan.groups.get(self.cursor.group) {
            group.learned.offer(&self.order);
        }
        self.cursor.group += 1;
        self.cursor.row = 0;
        self.begin_group();
    }

    fn begin_group(&mut self) {
        while self
            .keys
            .get(self.cursor.group)
            .is_some_and(ByteColumn::is_empty)
        {
            self.cursor.group += 1;
        }
        if let Some(group) = self.plan.groups.get(self.cursor.group) {
            self.order = group.learned.get();
        }
    }

    /// The reply itself: its shape must be the command's.
    fn begin(&mut self, token: Token<'_>) {
        let group = &self.plan.groups[self.cursor.group];
        let asked = group.views.len() + group.columns.len();
        let fits = match (token, group.strategy) {
            (Token::Array(length), Strategy::Hmget) => length == asked,
            (Token::Array(length), Strategy::Hgetall) => length % 2 == 0,
            (Token::Map(_), Strategy::Hgetall) => true,
            (Token::Error(text), _) => return self.error(text),
            _ => false,
        };
        if fits {
            self.cursor.open = true;
            let width = group.columns.len();
            let start = self.cursor.row * width;
            self.answers[self.cursor.group].statuses[start..start + width]
                .fill(Status::NotFound as u8);
        } else {
            self.cursor.settled = true;
            self.fail(Failure::Protocol(format!(
                "{} answered with another shape than its own",
                group.strategy.name()
            )));
        }
    }

    fn error(&mut self, text: &[u8]) {
        self.cursor.settled = true;
        let text = String::from_utf8_lossy(text);
        if text.starts_with("WRONGTYPE") {
            // Somebody's key of another kind: the entity's values are invalid, not the request.
            let width = self.plan.groups[self.cursor.group].columns.len();
            let start = self.cursor.row * width;
            self.answers[self.cursor.group].statuses[start..start + width]
                .fill(Status::Invalid as u8);
            self.invalid += width;
            self.problem(None, || "the key holds no hash".to_owned());
        } else {
            self.fail(Failure::Server(text.into_owned()));
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    #[inline]
    fn element(&mut self, token: Token<'_>) {
        let Cursor { group, element, .. } = self.cursor;
        self.cursor.element += 1;
        let group = &self.plan.groups[group];
        let target = match group.strategy {
            Strategy::Hmget => match element.checked_sub(group.views.len()) {
                None => Target::EventTime(element),
                Some(column) => Target::Column(column),
            },
            Strategy::Hgetall => {
                let Some(target) = self.cursor.target.take() else {
                    self.cursor.target = Some(match token {
                        Token::Blob(name) | Token::Simple(name) => {
                            FieldOrder::target(&mut self.order, element / 2, name, &group.targets)
                        }
                        _ => Target::Nowhere,
                    });
                    return;
                };
                target
            }
        };
        match token {
            Token::Blob(text) | Token::Simple(text) => match target {
                Target::Column(column) => self.value(column, text),
                Target::EventTime(view) => self.event_time(view, text),
                Target::Nowhere => {}
            },
            Token::Null => {}
            _ => self.fail(Failure::Protocol(
                "a hash field's value is no string".to_owned(),
            )),
        }
    }

    #[inline]
    fn value(&mut self, column: usize, text: &[u8]) {
        let Cursor { group, row, .. } = self.cursor;
        let columns = &self.plan.groups[group].columns;
        let at = row * columns.len() + column;
        let data_type = columns[column].data_type;
        match value::decode(data_type, text, &mut self.arena) {
            Ok(cell) => {
                let answers = &mut self.answers[group];
                answers.cells[at] = cell;
                answers.statuses[at] = Status::Present as u8;
            }
            Err(invalid) => {
                self.answers[group].statuses[at] = Status::Invalid as u8;
                self.invalid += 1;
                self.problem(Some(column), || {
                    format!("{} {}: {data_type}", preview(text), invalid.0)
                });
            }
        }
    }

    fn event_time(&mut self, view: usize, text: &[u8]) {
        let Cursor { group, row, .. } = self.cursor;
        let views = self.plan.groups[group].views.len();
        match value::integer(text) {
            Ok(ms) => self.answers[group].event_times[row * views + view] = ms,
            Err(invalid) => {
                self.cursor.bad_times.push(view);
                self.problem(None, || {
                    format!("the event time {} {}", preview(text), invalid.0)
                });
            }
        }
    }

    /// Settles the statuses of a row now that its event times are known.
    fn settle(&mut self) {
        let (index, row) = (self.cursor.group, self.cursor.row);
        let group = &self.plan.groups[index];
        let answers = &mut self.answers[index];
        let width = group.columns.len();
        let times = &answers.event_times[row * group.views.len()..][..group.views.len()];
        let cells = &mut answers.cells[row * width..][..width];
        let statuses = &mut answers.statuses[row * width..][..width];
        for ((column, cell), status) in group.columns.iter().zip(cells).zip(statuses) {
            let time = times[column.view];
            let ttl = group.views[column.view].ttl_ms;
            if self.cursor.bad_times.contains(&column.view) {
                // Its age cannot be told, so it cannot be served as fresh.
                if *status != Status::Invalid as u8 {
                    self.invalid += 1;
                }
                *status = Status::Invalid as u8;
                *cell = value::absent(column.data_type);
            } else if time != NO_TIME && ttl > 0 && time.saturating_add(ttl) <= self.now_ms {
                if *status == Status::Invalid as u8 {
                    self.invalid -= 1;
                }
                *status = Status::Expired as u8;
                *cell = column.default.unwrap_or(value::absent(column.data_type));
            } else if *status == Status::NotFound as u8 {
                if time != NO_TIME {
                    *status = Status::Null as u8;
                }
                if let Some(default) = column.default {
                    *cell = default;
                }
            }
        }
    }

    fn problem(&mut self, column: Option<usize>, reason: impl FnOnce() -> String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(PartProblem {
                group: self.cursor.group,
                row: self.cursor.row as u32,
                column: column.map(|column| column as u32),
                reason: reason(),
            });
        }
    }
}

impl Replies for ReadPart {
    fn expected(&self) -> usize {
        self.keys.iter().map(ByteColumn::len).sum()
    }

    #[inline]
    fn token(&mut self, _reply: usize, depth: usize, token: Token<'_>) {
        match depth {
            0 => self.begin(token),
            1 if !self.cursor.settled => self.element(token),
            1 => {}
            _ => self.fail(Failure::Protocol(
                "a hash field's value is nested".to_owned(),
            )),
        }
    }

    fn is_out_of_step(&self) -> bool {
        matches!(self.failure, Some(Failure::Protocol(_)))
    }

    fn finish(&mut self, _reply: usize) {
        if !self.cursor.settled {
            self.settle();
        }
        self.cursor.row += 1;
        self.cursor.element = 0;
        self.cursor.target = None;
        self.cursor.bad_times.clear();
        self.cursor.settled = false;
        self.cursor.open = false;
        if self
            .keys
            .get(self.cursor.group)
            .is_some_and(|keys| self.cursor.row >= keys.len())
        {
            self.next_group();
        }
    }

    fn whole(&mut self, _reply: usize, buf: &[u8]) -> Option<usize> {
        let arena = self.arena.len();
        let length = whole::decode(self, buf);
        if length.is_none() {
            self.withdraw();
            self.arena.truncate(arena);
        }
        length
    }
}

/// Stored text as a log can show it.
fn preview(text: &[u8]) -> String {
    const SHOWN: usize = 32;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let more = if text.len() > SHOWN { "…" } else { "" };
    format!("{shown:?}{more}")
}
