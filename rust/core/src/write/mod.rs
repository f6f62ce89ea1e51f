//! Writes: rows of a view to commands, and the replies to them.
//!
//! A [`Layout`] is compiled once for a view and says where its rows go and in which form. Its
//! [`RowEncoder`] takes rows value by value and appends commands to a [`WriteBatch`], which a
//! [`WritePart`] sends.

mod batch;
mod call;
mod copy;
mod events;
mod flags;
mod hash;
mod packed;
mod part;
mod series;
mod tiles;

use std::fmt;

use crate::convert::index_u32;
use crate::keys::{EntityKeys, KeyColumn, KeysError};
use crate::types::Scalar;
use crate::value::{self, Invalid, Value};

pub use batch::WriteBatch;
pub use copy::{CopySource, LayoutCopy, RowCopy, Transfer};
pub use flags::FlagLayout;
pub use hash::{HashLayout, HashView};
pub use packed::PackedLayout;
pub use part::{Outcome, WritePart};
pub use series::{SeriesLayout, SeriesView};
pub use tiles::{TileField, TilesView};

/// Which of two rows of one entity stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// The one that arrives last.
    Arrival,
    /// The one that happened last, however they arrive.
    EventTime,
}

/// Which expiries may be there that an earlier definition set. Rows take them back or replace them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated {
    /// None.
    Nothing,
    /// Those of keys.
    Keys,
    /// Those of keys, and of single fields in them.
    Fields,
}

impl Outdated {
    /// How scripts are told that a row which changes nothing has to look after them too.
    fn flag(self) -> &'static [u8] {
        if self == Self::Nothing { b"" } else { b"1" }
    }
}

/// How rows of a view are stored.
pub trait Layout: fmt::Debug + Send + Sync {
    /// Where the rows with these join keys go: names and values of one row each, in key order.
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        version: i64,
    ) -> Result<Destinations, KeysError>;
    /// Takes rows one after another. `clock_ms` is the time of the write, from which what comes late
    /// lives on.
    fn encoder(&self, clock_ms: i64) -> Box<dyn RowEncoder + '_>;
    /// Appends the removal of what the view has at a destination.
    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch);
    /// Whether the same rows can be written again at any time without undoing what came between.
    fn is_idempotent(&self) -> bool;
    /// Whether the server tells how many rows changed something.
    fn counts_rows(&self) -> bool;
    /// Whether what is older must be there before what is newer, or it comes too late.
    fn needs_order(&self) -> bool {
        false
    }
}

/// Takes the rows of a write one after another.
///
/// A row is begun by its values, in any order, and ended by [`end_row`](Self::end_row). An encoder
/// may keep rows back until [`close`](Self::close), to put together what belongs together.
pub trait RowEncoder {
    /// Sets a column of the row that is being put together.
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid>;
    /// Says that a column of the row has no value.
    fn null(&mut self, column: usize);
    /// Ends the row.
    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError>;
    /// Appends what was kept back: the batch ends here.
    fn close(&mut self, batch: &mut WriteBatch);
    /// How many bytes are kept back.
    fn held(&self) -> usize {
        0
    }
}

/// A value of a row as its writer gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Given<'a> {
    /// A scalar of the column's type.
    Scalar(Value<'a>, Scalar),
    /// What the hash layout stores of it: the JSON text of a list, the floats of a vector.
    Stored(&'a [u8]),
}

impl Given<'_> {
    /// Appends what the hash layout stores of it.
    pub fn text(self, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(value, scalar) => value::encode(out, value, scalar),
            Self::Stored(text) => out.extend_from_slice(text),
        }
    }
}

/// What a row has besides its values.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its number in the call, for messages.
    pub number: u32,
    /// Where it goes.
    pub destination: Destination<'a>,
    /// When what it tells was so, in epoch milliseconds; [`NO_TIME`](crate::table::NO_TIME) of a row
    /// that is copied without.
    pub time_ms: i64,
    /// The id of the event that it is, where it has one.
    pub event_id: Option<&'a [u8]>,
}

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To a key; the same index is the same key.
    Key(u32, &'a [u8]),
    /// To the bits with this number.
    Bit(u64),
}

/// Where each row of a write goes.
#[derive(Debug)]
pub enum Destinations {
    /// To keys.
    Keys(EntityKeys),
    /// To the bits with these numbers.
    Bits(Vec<u64>),
}

impl Destinations {
    /// Where this row goes.
    pub fn of(&self, row: usize) -> Destination<'_> {
        match self {
            Self::Keys(EntityKeys { keys, key_of_row }) => {
                let index = key_of_row.as_ref().map_or(row, |keys| keys[row] as usize);
                Destination::Key(index_u32(index), keys.at(index))
            }
            Self::Bits(numbers) => Destination::Bit(numbers[row]),
        }
    }

    /// Every destination once, as far as that is known.
    pub fn distinct(&self) -> impl Iterator<Item = Destination<'_>> {
        let (keys, bits) = match self {
            Self::Keys(entity) => (Some(&entity.keys), None),
            Self::Bits(numbers) => (None, Some(numbers)),
        };
        let keys = keys.into_iter().flat_map(|keys| {
            keys.iter()
                .enumerate()
                .map(|(index, key)| Destination::Key(index_u32(index), key))
        });
        keys.chain(bits.into_iter().flatten().map(|&bit| Destination::Bit(bit)))
    }
}

/// Why a row cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowError {
    /// The value of a column is to blame.
    Column(usize, Invalid),
    /// Its event time is to blame.
    Time(Invalid),
}

/// Until when the server keeps a key after a row: `ttl_ms` from its event time, or from now for what
/// comes late, so that a write never deletes what others have there.
fn kept_until(time_ms: i64, clock_ms: i64, ttl_ms: i64) -> i64 {
    time_ms.max(clock_ms).saturating_add(ttl_ms)
}
