//! The order in which the commands of a part are sent, and so in which its replies arrive.

use std::ops::Range;

use super::ReadOptions;
use super::part::GroupPart;
use super::route::NO_BIT;
use crate::plan::{Group, ReadPlan, Source};
use crate::slot;

/// The most keys or bits that one command asks for, so that it does not block the server for long.
const BATCH: usize = 256;

/// Commands that repeat: those of every step, once for each unit.
///
/// A plain read goes through one group after another, key by key. A snapshot goes through one
/// entity after another, and reads the rows of one id in all groups together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) steps: Vec<Step>,
    pub(super) units: Units,
    /// Whether each unit is a transaction.
    pub(super) atomic: bool,
}

/// The rows that a section's commands read, unit by unit.
#[derive(Debug)]
pub(super) enum Units {
    /// Each unit is one row; holds how many there are.
    Rows(usize),
    /// Each unit is several rows; holds the rows in order, and the end of each unit.
    Batches { rows: Vec<u32>, ends: Vec<u32> },
}

/// A step of each unit, by what its commands read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The pointer to the version.
    Pointer,
    /// The hash of this group.
    Hash(usize),
    /// The packed rows of these groups.
    Packed { first: usize, count: usize },
    /// The events of this group.
    Series(usize),
    /// The bits of this group.
    Flag(usize),
}

impl Section {
    /// The sections of a part with these groups. `by_slot` keeps the keys of one command in one
    /// slot.
    pub(super) fn all(
        plan: &ReadPlan,
        groups: &[GroupPart],
        asked: ReadOptions,
        by_slot: bool,
    ) -> Vec<Self> {
        let mut sections = Vec::new();
        for entity in &plan.entities {
            let mut own = Vec::new();
            for step in steps(&plan.groups, entity.groups.clone()) {
                // A bitmap holds the bits of many ids, and is in another slot than their rows.
                if asked.snapshot && !matches!(step, Step::Flag(_)) {
                    own.push(step);
                } else {
                    sections.push(Self::of_step(step, groups, by_slot));
                }
            }
            if let Some(first) = own.first().and_then(|step| step.group()) {
                if asked.pointer && plan.pointer.is_some() {
                    own.insert(0, Step::Pointer);
                }
                let mut section = Self {
                    steps: own,
                    units: Units::Rows(groups[first].keys.keys.len()),
                    atomic: false,
                };
                // A single command is atomic by itself.
                section.atomic = section.commands(groups) > 1;
                sections.push(section);
            }
        }
        sections.retain(|section| section.units.len() > 0);
        sections
    }

    fn of_step(step: Step, groups: &[GroupPart], by_slot: bool) -> Self {
        let units = match step {
            Step::Packed { first, .. } if by_slot => {
                Units::batches(&groups[first], |key| u64::from(slot::of(key)))
            }
            Step::Packed { first, .. } => Units::batches(&groups[first], |_| 0),
            Step::Flag(group) => Units::bits(&groups[group]),
            // The pointer, which has no group, is never a section of its own.
            _ => Units::Rows(
                step.group()
                    .map_or(0, |group| groups[group].keys.keys.len()),
            ),
        };
        Self {
            steps: vec![step],
            units,
            atomic: false,
        }
    }

    /// How many commands a unit has, not counting MULTI and EXEC.
    pub(super) fn commands(&self, groups: &[GroupPart]) -> usize {
        let steps = self.steps.iter();
        steps.map(|step| step.commands(groups)).sum()
    }

    /// How many replies the whole section gets.
    pub(super) fn replies(&self, groups: &[GroupPart]) -> usize {
        let commands = self.commands(groups);
        let each = if self.atomic { commands + 2 } else { commands };
        self.units.len() * each
    }
}

fn steps(groups: &[Group], own: Range<usize>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for index in own {
        match (&groups[index].source, steps.last_mut()) {
            (Source::Packed(_), Some(Step::Packed { count, .. })) => *count += 1,
            (source, _) => steps.push(match source {
                Source::Hash(_) => Step::Hash(index),
                Source::Packed(_) => Step::Packed {
                    first: index,
                    count: 1,
                },
                Source::Series(_) => Step::Series(index),
                Source::Flag(_) => Step::Flag(index),
            }),
        }
    }
    steps
}

impl Step {
    /// How many commands it has for each unit.
    pub(super) fn commands(self, groups: &[GroupPart]) -> usize {
        match self {
            Self::Series(group) => groups[group].commands.len(),
            _ => 1,
        }
    }

    /// Its first group.
    pub(super) fn group(self) -> Option<usize> {
        match self {
            Self::Pointer => None,
            Self::Hash(group) | Self::Series(group) | Self::Flag(group) => Some(group),
            Self::Packed { first, .. } => Some(first),
        }
    }
}

impl Units {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => *rows,
            Self::Batches { ends, .. } => ends.len(),
        }
    }

    /// How many rows a unit has.
    pub(super) fn rows(&self, unit: usize) -> usize {
        match self {
            Self::Rows(_) => 1,
            Self::Batches { ends, .. } => ends[unit] as usize - start(ends, unit),
        }
    }

    /// The row with this index in a unit.
    pub(super) fn row(&self, unit: usize, index: usize) -> usize {
        match self {
            Self::Rows(_) => unit,
            Self::Batches { rows, ends } => rows[start(ends, unit) + index] as usize,
        }
    }

    /// The rows of a group, in batches of rows whose keys have the same `home`.
    fn batches(group: &GroupPart, home: impl Fn(&[u8]) -> u64) -> Self {
        let homes: Vec<u64> = group.keys.keys.iter().map(home).collect();
        let mut rows: Vec<u32> = (0..homes.len() as u32).collect();
        rows.sort_by_key(|&row| homes[row as usize]);
        Self::cut(rows, |row| homes[row as usize])
    }

    /// The rows that have a bit, in batches of rows of the same bitmap.
    fn bits(group: &GroupPart) -> Self {
        let keys = &group.keys;
        let mut rows: Vec<u32> = (0..keys.keys.len() as u32)
            .filter(|&row| keys.bits[row as usize] != NO_BIT)
            .collect();
        rows.sort_by_key(|&row| keys.keys.at(row as usize));
        Self::cut(rows, |row| keys.keys.at(row as usize))
    }

    fn cut<H: PartialEq>(rows: Vec<u32>, home: impl Fn(u32) -> H) -> Self {
        let mut ends = Vec::new();
        let mut start = 0;
        for (index, pair) in rows.windows(2).enumerate() {
            if home(pair[0]) != home(pair[1]) || index + 1 - start == BATCH {
                start = index + 1;
                ends.push(start as u32);
            }
        }
        if !rows.is_empty() {
            ends.push(rows.len() as u32);
        }
        Self::Batches { rows, ends }
    }
}

fn start(ends: &[u32], unit: usize) -> usize {
    unit.checked_sub(1)
        .map_or(0, |before| ends[before] as usize)
}
