//! Which field of a hash goes where, guessed by position.
//!
//! Hashes that one program wrote have their fields in one order, so the field at a position is
//! guessed to be the one that was there in the last reply; only a wrong guess is looked up. What one
//! request learns the next begins with.

use std::sync::{Arc, RwLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// The fields a plan asks for.
pub(crate) type Targets = HashMap<Vec<u8>, Target, FixedState>;

/// Where a field of a hash goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    EventTime(usize),
    Column(usize),
    Nowhere,
}

/// The names of fields by position, and where they go.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldOrder {
    names: Vec<u8>,
    positions: Vec<(usize, usize, Target)>,
}

impl FieldOrder {
    /// Past this the names are forgotten: hashes that share no order are looked up each time.
    const MAX_NAMES: usize = 64 * 1024;

    /// Where the field `name` goes, which stands at `position` of its hash.
    #[inline]
    pub(crate) fn target(
        this: &mut Arc<Self>,
        position: usize,
        name: &[u8],
        targets: &Targets,
    ) -> Target {
        if let Some(&(start, end, target)) = this.positions.get(position)
            && &this.names[start..end] == name
        {
            return target;
        }
        let target = targets.get(name).copied().unwrap_or(Target::Nowhere);
        Arc::make_mut(this).learn(position, name, target);
        target
    }

    #[cold]
    fn learn(&mut self, position: usize, name: &[u8], target: Target) {
        if self.names.len() + name.len() > Self::MAX_NAMES {
            self.names.clear();
            self.positions.clear();
        }
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let learned = (start, self.names.len(), target);
        if let Some(known) = self.positions.get_mut(position) {
            *known = learned;
        } else if self.positions.len() == position {
            self.positions.push(learned);
        }
    }
}

/// The order that requests share. Nobody waits for it: it is a guess.
#[derive(Debug, Default)]
pub(crate) struct Learned(RwLock<Arc<FieldOrder>>);

impl Learned {
    /// What is known.
    pub(crate) fn get(&self) -> Arc<FieldOrder> {
        self.0
            .try_read()
            .map(|known| Arc::clone(&known))
            .unwrap_or_default()
    }

    /// Takes over what a request learned.
    pub(crate) fn offer(&self, learned: &Arc<FieldOrder>) {
        let news = self
            .0
            .try_read()
            .is_ok_and(|known| !Arc::ptr_eq(&known, learned));
        if news && let Ok(mut known) = self.0.try_write() {
            *known = Arc::clone(learned);
        }
    }
}
