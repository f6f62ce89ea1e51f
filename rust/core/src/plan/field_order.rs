//! The targets of a hash's fields, guessed by position.
//!
//! Hashes that one program wrote have their fields in one order. So the field at a position is
//! guessed to be the one that was there in the last reply, and only a wrong guess is looked up. A
//! request begins with the order that earlier ones learned.

use std::sync::{Arc, RwLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::resp::encode::write_blob;

/// The fields a plan asks for.
pub(crate) type FieldTargets = HashMap<Vec<u8>, FieldTarget, FixedState>;

/// The target of a hash's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldTarget {
    EventTime(usize),
    Column(usize),
    Nowhere,
}

/// The names of fields by position, and their targets.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldOrder {
    /// The names as they are in replies, each a whole bulk string.
    encoded: Vec<u8>,
    positions: Vec<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// Start of the encoded name.
    start: usize,
    /// Start of the name itself, which ends two bytes before `end`.
    name: usize,
    end: usize,
    target: FieldTarget,
}

impl FieldOrder {
    /// Beyond this the names are forgotten: hashes that share no order would add names forever.
    const MAX_NAMES: usize = 64 * 1024;

    /// The target of the field that is expected at `position`, and the length of its encoded name,
    /// if `buf` starts with that.
    #[inline]
    pub(crate) fn expected(&self, position: usize, buf: &[u8]) -> Option<(FieldTarget, usize)> {
        let known = self.positions.get(position)?;
        let encoded = &self.encoded[known.start..known.end];
        buf.starts_with(encoded)
            .then_some((known.target, encoded.len()))
    }

    /// The target of the field `name`, which is at `position` of its hash.
    #[inline]
    pub(crate) fn target(
        this: &mut Arc<Self>,
        position: usize,
        name: &[u8],
        targets: &FieldTargets,
    ) -> FieldTarget {
        if let Some(known) = this.positions.get(position)
            && &this.encoded[known.name..known.end - 2] == name
        {
            return known.target;
        }
        let target = targets.get(name).copied().unwrap_or(FieldTarget::Nowhere);
        Arc::make_mut(this).learn(position, name, target);
        target
    }

    #[cold]
    fn learn(&mut self, position: usize, name: &[u8], target: FieldTarget) {
        if self.encoded.len() + name.len() > Self::MAX_NAMES {
            self.encoded.clear();
            self.positions.clear();
        }
        let start = self.encoded.len();
        write_blob(&mut self.encoded, name);
        let end = self.encoded.len();
        let learned = Known {
            start,
            name: end - 2 - name.len(),
            end,
            target,
        };
        if let Some(known) = self.positions.get_mut(position) {
            *known = learned;
        } else if self.positions.len() == position {
            self.positions.push(learned);
        }
    }
}

/// The order that requests share. It is only a guess, so no request waits for its lock.
#[derive(Debug, Default)]
pub(crate) struct Learned(RwLock<Arc<FieldOrder>>);

impl Learned {
    /// The order that is known.
    pub(crate) fn get(&self) -> Arc<FieldOrder> {
        self.0
            .try_read()
            .map(|known| Arc::clone(&known))
            .unwrap_or_default()
    }

    /// Takes over the order that a request learned.
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
