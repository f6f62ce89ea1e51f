//! Makes the columns of the result from the columns that were read.

use super::part::ReadPart;
use crate::expression::{ComputedColumn, Input, InputColumn, Inputs, RequestTime};
use crate::plan::{OutputSource, ReadPlan};
use crate::table::Problem;
use crate::types::{DataType, Status};
use crate::value::{self, ArenaSpan};

/// The values that a request brings for computed features.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) columns: Vec<InputColumn>,
    pub(super) as_of_ms: i64,
}

/// Columns of a table, row by row.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) cells: Vec<u64>,
    pub(super) statuses: Vec<u8>,
    pub(super) event_times: Vec<i64>,
    pub(super) arena: Vec<u8>,
    pub(super) problems: Vec<Problem>,
    pub(super) invalid: usize,
}

impl Columns {
    /// The answers of a part with only one group, whose columns are those of the result.
    pub(super) fn of_only_group(part: ReadPart) -> Self {
        let (mut groups, arena, problems, invalid) = part.into_answers();
        // An identity plan has exactly one group.
        let group = groups.remove(0);
        let problems = problems.into_iter().map(|problem| Problem {
            row: problem.row,
            feature: problem.column,
            reason: problem.reason,
        });
        Self {
            cells: group.cells,
            statuses: group.statuses,
            event_times: group.event_times,
            arena,
            problems: problems.collect(),
            invalid,
        }
    }
}

/// The output columns: those that are read and asked for, and those that are computed.
pub(super) fn output(plan: &ReadPlan, read: Columns, request: &Request, rows: usize) -> Columns {
    if plan.reads_only {
        return read;
    }
    let columns: Vec<Input<'_>> = plan
        .reads
        .iter()
        .enumerate()
        .map(|(index, column)| Input {
            cells: read.cells.get(index..).unwrap_or_default(),
            statuses: read.statuses.get(index..).unwrap_or_default(),
            stride: plan.reads.len(),
            arena: &read.arena,
            has_default: column.has_default,
        })
        .collect();
    let brought: Vec<Input<'_>> = request.columns.iter().map(InputColumn::as_input).collect();
    let inputs = Inputs {
        rows,
        columns: &columns,
        request: &brought,
        now: RequestTime::One(request.as_of_ms),
    };
    let made: Vec<ComputedColumn> = plan
        .computed
        .iter()
        .map(|computed| computed.evaluate(&inputs))
        .collect();
    let mut arena = read.arena.clone();
    let bases: Vec<u32> = made
        .iter()
        .map(|column| {
            let base = arena.len() as u32;
            arena.extend_from_slice(&column.arena);
            base
        })
        .collect();
    let mut cells = Vec::with_capacity(rows * plan.sources.len());
    let mut statuses = Vec::with_capacity(rows * plan.sources.len());
    for row in 0..rows {
        for (&source, feature) in plan.sources.iter().zip(plan.features()) {
            let (cell, status) = match source {
                OutputSource::Read(index) => {
                    let at = row * plan.reads.len() + index;
                    (read.cells[at], read.statuses[at])
                }
                OutputSource::Computed(index) => {
                    let column = &made[index];
                    let cell = moved(feature.data_type, column.cells[row], bases[index]);
                    (cell, column.statuses[row])
                }
            };
            cells.push(cell);
            statuses.push(status);
        }
    }
    let invalid = Status::Invalid as u8;
    Columns {
        invalid: statuses
            .iter()
            .map(|&status| usize::from(status == invalid))
            .sum(),
        cells,
        statuses,
        event_times: read.event_times,
        arena,
        problems: read.problems,
    }
}

/// A cell, after its arena was appended to another one of `base` bytes.
pub(super) fn moved(data_type: DataType, cell: u64, base: u32) -> u64 {
    if base == 0 || !value::in_arena(data_type) {
        return cell;
    }
    let span = ArenaSpan::of(cell);
    ArenaSpan {
        offset: span.offset + base,
        length: span.length,
    }
    .cell()
}
