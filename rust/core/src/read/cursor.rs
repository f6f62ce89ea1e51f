//! Steps through the replies of a part: command by command, unit by unit, section by section.

use super::part::ReadPart;
use super::sections::{Section, Step, Units};
use super::transaction::Stage;
use crate::plan::{FieldTarget, Source};

/// The position of the next reply in its part.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    section: usize,
    slot: usize,
    /// The index of the unit. If units are rows, it is the row's.
    pub(super) row: usize,
    pub(super) stage: Stage,
    pub(super) kind: Kind,
    pub(super) group: usize,
    /// The index of the command among the unit's commands for this group.
    pub(super) command: usize,
    /// The index of the next element in the reply.
    pub(super) element: usize,
    pub(super) target: Option<FieldTarget>,
    /// Views of the group whose stored event time is unreadable.
    pub(super) bad_times: Vec<usize>,
    /// The reply was an error, so its row is settled.
    pub(super) settled: bool,
    /// The row's reply has begun, but is not complete.
    pub(super) open: bool,
}

/// The content of the next reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: all replies came.
    #[default]
    Done,
    Pointer,
    Hash,
    Packed {
        first: usize,
        count: usize,
    },
    Series,
    Flag,
}

impl ReadPart {
    /// The units of the next reply's section, and the index of the reply's unit among them.
    pub(super) fn unit(&self) -> Option<(&Units, usize)> {
        self.section()
            .map(|section| (&section.units, self.cursor.row))
    }

    /// The section of the next reply.
    pub(super) fn section(&self) -> Option<&Section> {
        self.sections.get(self.cursor.section)
    }

    pub(super) fn enter_section(&mut self) {
        self.cursor.row = 0;
        self.enter_unit();
    }

    fn enter_unit(&mut self) {
        self.cursor.slot = 0;
        self.cursor.stage = match self.section() {
            Some(section) if section.atomic => Stage::Begin,
            _ => Stage::Plain,
        };
        self.enter_step();
    }

    fn enter_step(&mut self) {
        let step = self
            .section()
            .map(|section| section.steps[self.cursor.slot]);
        self.cursor.command = 0;
        if let Some(group) = step.and_then(Step::group) {
            self.cursor.group = group;
        }
        self.cursor.kind = match step {
            None => Kind::Done,
            Some(Step::Pointer) => Kind::Pointer,
            Some(Step::Hash(group)) => {
                // A plain read gets the hashes of a group one after another, so it takes the
                // learned order only once.
                if (self.cursor.row == 0 || self.cursor.stage != Stage::Plain)
                    && let Source::Hash(hash) = &self.plan.groups[group].source
                {
                    self.order = hash.learned.get();
                }
                Kind::Hash
            }
            Some(Step::Packed { first, count }) => Kind::Packed { first, count },
            Some(Step::Series(_)) => {
                self.series.clear();
                Kind::Series
            }
            Some(Step::Flag(_)) => Kind::Flag,
        };
    }

    /// Goes to the next command, because the reply to this one is complete.
    pub(super) fn finish_command(&mut self) {
        // A command that failed was not answered, and neither were those after it.
        self.answered += usize::from(self.failure().is_none());
        match self.cursor.kind {
            Kind::Hash if !self.cursor.settled => self.settle(self.cursor.group, self.cursor.row),
            Kind::Series => self.finish_events(),
            _ => {}
        }
        self.cursor.element = 0;
        self.cursor.target = None;
        self.cursor.bad_times.clear();
        self.cursor.open = false;
        let Some(section) = self.sections.get(self.cursor.section) else {
            return;
        };
        self.cursor.command += 1;
        let step = section.steps[self.cursor.slot];
        if self.cursor.command < step.commands(&self.groups) {
            return;
        }
        self.cursor.settled = false;
        self.cursor.slot += 1;
        if self.cursor.slot < section.steps.len() {
            self.leave_hash();
            self.enter_step();
        } else {
            self.next_unit();
        }
    }

    /// Skips the rest of this unit, and goes to the next one.
    pub(super) fn next_unit(&mut self) {
        let Some(section) = self.sections.get(self.cursor.section) else {
            return;
        };
        let (units, atomic) = (section.units.len(), section.atomic);
        self.cursor.settled = false;
        self.cursor.row += 1;
        if self.cursor.row < units {
            if atomic {
                self.leave_hash();
                self.enter_unit();
            } else if self.cursor.slot > 0 {
                self.cursor.slot = 0;
                self.enter_step();
            }
        } else {
            self.leave_hash();
            self.cursor.section += 1;
            self.enter_section();
        }
    }

    fn leave_hash(&mut self) {
        if self.cursor.kind == Kind::Hash
            && let Source::Hash(hash) = &self.plan.groups[self.cursor.group].source
        {
            hash.learned.offer(&self.order);
        }
    }
}
