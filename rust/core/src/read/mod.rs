//! Reads: keys to commands, grouped by node, and replies back to one table in request order.

mod cursor;
mod flag;
mod hash;
mod output;
mod packed;
mod part;
mod route;
mod sections;
mod series;
#[cfg(test)]
mod tests;
mod transaction;
mod whole;

use std::sync::Arc;

use crate::cluster::{NodeIndex, SlotMap};
use crate::expression::InputColumn;
use crate::keys::{KeyColumns, KeysError};
use crate::plan::{OutputSource, ReadPlan};
use crate::table::{MAX_PROBLEMS, NO_TIME, Problem, Table};
use crate::types::Status;

use output::{Columns, Request, moved, output};
pub use part::{PartFailure, ReadPart};
use route::{Place, group_keys, split};

/// The parts of a read and the nodes they go to.
pub type Parts = Vec<(NodeIndex, ReadPart)>;

/// The options of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// The version of hashes and packed rows.
    pub version: i64,
    /// The time at which windows end and rows expire, in epoch milliseconds.
    pub as_of_ms: i64,
    /// Whether everything that is read of one entity must be as of one point in time.
    pub snapshot: bool,
    /// Whether a snapshot reads the pointer to the version too.
    pub pointer: bool,
}

impl ReadOptions {
    /// A plain read.
    pub const fn plain(version: i64, as_of_ms: i64) -> Self {
        Self {
            version,
            as_of_ms,
            snapshot: false,
            pointer: false,
        }
    }
}

/// A read in flight, with everything that is needed to join the answers of its parts.
#[derive(Debug)]
pub struct Read {
    plan: Arc<ReadPlan>,
    keys: KeyColumns,
    version: i64,
    /// For each entity, the index of each row's distinct key; `None` if it is the row's own number.
    key_of_row: Vec<Option<Vec<u32>>>,
    /// For each group, the part and the row of each distinct key; `None` if there is only one part,
    /// which has the keys in their own order.
    places: Vec<Option<Vec<Place>>>,
    request: Request,
}

impl Read {
    /// Splits a read of `keys` into one part for each node that has some of the keys.
    ///
    /// `request` has a column for each input of the plan: a value for each row of `keys`, or one
    /// value for all rows.
    pub fn new(
        plan: &Arc<ReadPlan>,
        keys: KeyColumns,
        request: Vec<InputColumn>,
        asked: ReadOptions,
        map: &SlotMap,
    ) -> Result<(Self, Parts), KeysError> {
        let request = Request {
            columns: request,
            as_of_ms: asked.as_of_ms,
        };
        let (groups, key_of_row) = group_keys(plan, &keys, asked.version)?;
        let read = |places| Self {
            plan: Arc::clone(plan),
            keys,
            version: asked.version,
            key_of_row,
            places,
            request,
        };
        match map {
            SlotMap::Standalone => {
                let places = groups.iter().map(|_| None).collect();
                let part = ReadPart::new(plan, groups, asked, false);
                Ok((read(places), vec![(0, part)]))
            }
            SlotMap::Cluster(_) => {
                // A transaction covers one slot, and the pointer is in another slot than the rows.
                let asked = ReadOptions {
                    pointer: false,
                    ..asked
                };
                let (places, parts) = split(plan, &groups, asked, map);
                Ok((read(places), parts))
            }
        }
    }

    /// The table of the whole request. Values that a part has no answer for are `UNAVAILABLE`.
    pub fn join(self, mut parts: Vec<ReadPart>) -> Table {
        let rows = self.keys.rows();
        let pointer = parts.iter().find_map(ReadPart::pointer);
        let mut unknown_schemas: Vec<u32> = Vec::new();
        for part in &parts {
            unknown_schemas.extend(part.unknown_schemas());
        }
        let whole = self.plan.identity
            && self.key_of_row.iter().all(Option::is_none)
            && self.places.iter().all(Option::is_none);
        let columns = match parts.pop() {
            Some(part) if whole => Columns::of_only_group(part),
            last => {
                parts.extend(last);
                let gathered = self.gather(parts, rows);
                output(&self.plan, gathered, &self.request, rows)
            }
        };
        Table {
            output: Arc::clone(&self.plan.output),
            keys: self.keys,
            version: self.version,
            pointer,
            unknown_schemas,
            rows,
            cells: columns.cells,
            statuses: columns.statuses,
            event_times: columns.event_times,
            arena: columns.arena,
            problems: columns.problems,
            invalid: columns.invalid,
        }
    }

    /// The columns that are read, in the order of the request's rows.
    fn gather(&self, parts: Vec<ReadPart>, rows: usize) -> Columns {
        let plan = &self.plan;
        let mut columns = Columns {
            cells: Vec::with_capacity(rows * plan.reads.len()),
            statuses: Vec::with_capacity(rows * plan.reads.len()),
            event_times: vec![NO_TIME; rows * plan.output.views],
            ..Columns::default()
        };
        let mut answers = Vec::with_capacity(parts.len());
        let mut found = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let (groups, arena, problems, _) = part.into_answers();
            let base = columns.arena.len() as u32;
            columns.arena.extend_from_slice(&arena);
            found.extend(problems.into_iter().map(|problem| (index as u32, problem)));
            answers.push((groups, base));
        }
        let mut places = Vec::with_capacity(plan.groups.len());
        for row in 0..rows {
            places.clear();
            places.extend((0..plan.groups.len()).map(|group| self.place(group, row)));
            for read in &plan.reads {
                let place = places[read.group];
                let (groups, base) = &answers[place.part as usize];
                let answer = &groups[read.group];
                let width = plan.groups[read.group].columns.len();
                let at = place.row as usize * width + read.column;
                let cell = moved(read.data_type, answer.cells[at], *base);
                columns.cells.push(cell);
                columns.statuses.push(answer.statuses[at]);
                columns.invalid += usize::from(answer.statuses[at] == Status::Invalid as u8);
            }
            for (index, (group, place)) in plan.groups.iter().zip(&places).enumerate() {
                let answer = &answers[place.part as usize].0[index];
                for (local, view) in group.views.iter().enumerate() {
                    columns.event_times[row * plan.output.views + view.view] =
                        answer.event_times[place.row as usize * group.views.len() + local];
                }
            }
        }
        for (part, problem) in found.into_iter().take(MAX_PROBLEMS) {
            let row = (0..rows).find(|&row| {
                let place = self.place(problem.group, row);
                (place.part, place.row) == (part, problem.row)
            });
            let feature = problem.column.and_then(|column| {
                plan.sources.iter().position(|source| {
                    let OutputSource::Read(index) = *source else {
                        return false;
                    };
                    let read = &plan.reads[index];
                    read.group == problem.group && read.column == column as usize
                })
            });
            columns.problems.push(Problem {
                row: row.unwrap_or_default() as u32,
                feature: feature.map(|feature| feature as u32),
                reason: problem.reason,
            });
        }
        columns
    }

    fn place(&self, group: usize, row: usize) -> Place {
        let key = self.key_of_row[self.plan.groups[group].entity]
            .as_ref()
            .map_or(row as u32, |keys| keys[row]);
        match &self.places[group] {
            None => Place { part: 0, row: key },
            Some(places) => places[key as usize],
        }
    }
}
