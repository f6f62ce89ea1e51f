//! Reads: keys to commands, grouped by node, and replies back to one table in request order.

mod part;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;

use crate::cluster::{NodeIndex, SlotMap};
use crate::keys::{ByteColumn, EntityKeys, KeyColumns, KeysError};
use crate::plan::ReadPlan;
use crate::table::{MAX_PROBLEMS, NO_TIME, Problem, Table};
use crate::types::Status;
use crate::value::{self, Span};

pub use part::{Failure, ReadPart};

/// The parts of a read and the nodes they go to.
pub type Parts = Vec<(NodeIndex, ReadPart)>;

/// A read whose parts are under way: what is needed to put their answers together.
#[derive(Debug)]
pub struct Read {
    plan: Arc<ReadPlan>,
    keys: KeyColumns,
    version: i64,
    /// For each entity and row of the request which distinct key it is; `None` for the row itself.
    key_of_row: Vec<Option<Vec<u32>>>,
    /// For each entity and distinct key, which part has it and at which row; `None` for the only
    /// part, at the key's own index.
    places: Vec<Option<Vec<Place>>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    part: u32,
    row: u32,
}

impl Read {
    /// Splits a read of `keys` into one part for each node that has some of it.
    ///
    /// `now_ms` is the wall clock, against which rows expire.
    pub fn new(
        plan: &Arc<ReadPlan>,
        keys: KeyColumns,
        version: i64,
        now_ms: i64,
        map: &SlotMap,
    ) -> Result<(Self, Parts), KeysError> {
        let bound = keys.bind(&plan.join_keys)?;
        let rows = keys.rows();
        let mut tail = b"}:v".to_vec();
        tail.extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
        let mut entities = Vec::with_capacity(plan.groups.len());
        for group in &plan.groups {
            let columns: Vec<_> = group
                .join_keys
                .iter()
                .map(|&key| {
                    let (name, column) = &keys.columns[bound[key]];
                    (name.as_str(), column)
                })
                .collect();
            entities.push(EntityKeys::build(&group.key_head, &columns, &tail, rows)?);
        }
        let mut key_of_row = Vec::with_capacity(entities.len());
        let mut entity_keys = Vec::with_capacity(entities.len());
        for entity in entities {
            key_of_row.push(entity.key_of_row);
            entity_keys.push(entity.keys);
        }
        let read = |places| Self {
            plan: Arc::clone(plan),
            keys,
            version,
            key_of_row,
            places,
        };
        match map {
            SlotMap::Standalone => {
                let places = entity_keys.iter().map(|_| None).collect();
                let part = ReadPart::new(plan, entity_keys, now_ms);
                Ok((read(places), vec![(0, part)]))
            }
            SlotMap::Cluster(_) => {
                let (places, parts) = split(plan, &entity_keys, now_ms, map);
                Ok((read(places), parts))
            }
        }
    }

    /// The table of the whole request. What a part has no answer for is `UNAVAILABLE`.
    pub fn join(self, mut parts: Vec<ReadPart>) -> Table {
        let rows = self.keys.rows();
        let whole = self.plan.identity
            && self.key_of_row.iter().all(Option::is_none)
            && self.places.iter().all(Option::is_none);
        match parts.pop() {
            Some(part) if whole => {
                let (mut groups, arena, problems, invalid) = part.into_answers();
                // An identity plan has exactly one group.
                let group = groups.remove(0);
                Table {
                    plan: self.plan,
                    keys: self.keys,
                    version: self.version,
                    rows,
                    cells: group.cells,
                    statuses: group.statuses,
                    event_times: group.event_times,
                    arena,
                    problems: problems
                        .into_iter()
                        .map(|problem| Problem {
                            row: problem.row,
                            feature: problem.column,
                            reason: problem.reason,
                        })
                        .collect(),
                    invalid,
                }
            }
            last => {
                parts.extend(last);
                self.gather(parts, rows)
            }
        }
    }

    fn gather(self, parts: Vec<ReadPart>, rows: usize) -> Table {
        let plan = &self.plan;
        let columns = plan.features.len();
        let mut arena = Vec::new();
        let mut answers = Vec::with_capacity(parts.len());
        let mut found = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            let (groups, part_arena, problems, _) = part.into_answers();
            let base = arena.len() as u32;
            arena.extend_from_slice(&part_arena);
            found.extend(problems.into_iter().map(|problem| (index as u32, problem)));
            answers.push((groups, base));
        }
        let mut table = Table {
            cells: Vec::with_capacity(rows * columns),
            statuses: Vec::with_capacity(rows * columns),
            event_times: vec![NO_TIME; rows * plan.views],
            arena,
            problems: Vec::new(),
            invalid: 0,
            rows,
            version: self.version,
            plan: Arc::clone(plan),
            keys: KeyColumns::default(),
        };
        let mut places = Vec::with_capacity(plan.groups.len());
        for row in 0..rows {
            places.clear();
            places.extend((0..plan.groups.len()).map(|group| self.place(group, row)));
            for feature in &plan.features {
                let place = places[feature.group];
                let (groups, base) = &answers[place.part as usize];
                let answer = &groups[feature.group];
                let width = plan.groups[feature.group].columns.len();
                let at = place.row as usize * width + feature.column;
                let mut cell = answer.cells[at];
                if *base > 0 && value::in_arena(feature.data_type) {
                    let span = Span::of(cell);
                    cell = Span {
                        offset: span.offset + base,
                        length: span.length,
                    }
                    .cell();
                }
                table.cells.push(cell);
                table.statuses.push(answer.statuses[at]);
                table.invalid += usize::from(answer.statuses[at] == Status::Invalid as u8);
            }
            for (index, (group, place)) in plan.groups.iter().zip(&places).enumerate() {
                let answer = &answers[place.part as usize].0[index];
                for (local, view) in group.views.iter().enumerate() {
                    table.event_times[row * plan.views + view.view] =
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
                plan.features.iter().position(|feature| {
                    feature.group == problem.group && feature.column == column as usize
                })
            });
            table.problems.push(Problem {
                row: row.unwrap_or_default() as u32,
                feature: feature.map(|feature| feature as u32),
                reason: problem.reason,
            });
        }
        table.keys = self.keys;
        table
    }

    fn place(&self, group: usize, row: usize) -> Place {
        let key = self.key_of_row[group]
            .as_ref()
            .map_or(row as u32, |keys| keys[row]);
        match &self.places[group] {
            None => Place { part: 0, row: key },
            Some(places) => places[key as usize],
        }
    }
}

/// Deals the keys of each entity out to the nodes that serve them.
fn split(
    plan: &Arc<ReadPlan>,
    entities: &[ByteColumn],
    now_ms: i64,
    map: &SlotMap,
) -> (Vec<Option<Vec<Place>>>, Parts) {
    let mut nodes: Vec<NodeIndex> = Vec::new();
    let mut shares: Vec<Vec<ByteColumn>> = Vec::new();
    let mut places = Vec::with_capacity(entities.len());
    for (group, keys) in entities.iter().enumerate() {
        let mut group_places = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            let node = map.node_of(key);
            let part = nodes
                .iter()
                .position(|&known| known == node)
                .unwrap_or_else(|| {
                    nodes.push(node);
                    shares.push(vec![ByteColumn::default(); entities.len()]);
                    nodes.len() - 1
                });
            let share = &mut shares[part][group];
            group_places.push(Place {
                part: part as u32,
                row: share.len() as u32,
            });
            share.push(key);
        }
        places.push(Some(group_places));
    }
    let parts = shares
        .into_iter()
        .map(|keys| ReadPart::new(plan, keys, now_ms));
    (places, nodes.into_iter().zip(parts).collect())
}
