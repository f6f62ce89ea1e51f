//! Writes: rows of a view to commands, and the replies to them.
//!
//! A [`Layout`] is compiled once for a view. It has the keys and the form of the view's rows. Its
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
use crate::event_time::EventTimeFault;
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

/// Which of two rows of one entity counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// The row that arrives last.
    Arrival,
    /// The row with the latest event time, in whatever order they arrive.
    EventTime,
}

/// Expiries that an earlier definition may have set. Rows take them back or replace them.
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
    /// Tells scripts whether even a row that changes nothing has to look after these expiries.
    fn flag(self) -> &'static [u8] {
        if self == Self::Nothing { b"" } else { b"1" }
    }
}

/// How rows of a view are stored.
pub trait Layout: fmt::Debug + Send + Sync {
    /// The destinations of rows with these join keys: names and columns, in key order.
    fn destinations(
        &self,
        columns: &[(&str, &KeyColumn)],
        rows: usize,
        version: i64,
    ) -> Result<Destinations, KeysError>;
    /// Takes rows one after another. `clock_ms` is the time of the write. The expiry of a late row
    /// counts from it.
    fn encoder(&self, clock_ms: i64) -> Box<dyn RowEncoder + '_>;
    /// Appends commands that remove everything the view has at a destination.
    fn remove(&self, destination: Destination<'_>, row: u32, batch: &mut WriteBatch);
    /// Whether the same rows can be written again at any time without undoing rows written since.
    fn is_idempotent(&self) -> bool;
    /// Whether the server says how many rows changed something.
    fn counts_rows(&self) -> bool;
    /// Whether older rows must be written before newer ones.
    fn needs_order(&self) -> bool {
        false
    }
}

/// Takes the rows of a write one after another.
///
/// A row is its values, in any order, and then [`end_row`](Self::end_row). An encoder may keep rows
/// back until [`close`](Self::close), to group them.
pub trait RowEncoder {
    /// Sets a column of the current row.
    fn value(&mut self, column: usize, value: Given<'_>) -> Result<(), Invalid>;
    /// Says that a column of the current row has no value.
    fn null(&mut self, column: usize);
    /// Ends the row.
    fn end_row(&mut self, row: Row<'_>, batch: &mut WriteBatch) -> Result<(), RowError>;
    /// Appends the rows that were kept back. The batch ends here.
    fn close(&mut self, batch: &mut WriteBatch);
    /// The bytes that are kept back.
    fn held(&self) -> usize {
        0
    }
}

/// A value of a row, from its writer.
#[derive(Debug, Clone, PartialEq)]
pub enum Given<'a> {
    /// A scalar of the column's type.
    Scalar(Value<'a>, Scalar),
    /// Its stored form in the hash layout: the JSON text of a list, the floats of a vector.
    Stored(&'a [u8]),
}

impl Given<'_> {
    /// Appends its stored form in the hash layout.
    pub fn text(self, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(value, scalar) => value::encode(out, value, scalar),
            Self::Stored(text) => out.extend_from_slice(text),
        }
    }
}

/// A row without its values.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its number in the call, for messages.
    pub number: u32,
    /// Its destination.
    pub destination: Destination<'a>,
    /// The event time in epoch milliseconds, which [`event_time::check`] has let pass. A row that is
    /// copied may have any, or [`NO_TIME`](crate::table::NO_TIME).
    ///
    /// [`event_time::check`]: crate::event_time::check
    pub time_ms: i64,
    /// The id of the event, if it has one.
    pub event_id: Option<&'a [u8]>,
}

/// The destination of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// A key. The same index is the same key.
    Key(u32, &'a [u8]),
    /// The bits with this number.
    Bit(u64),
}

/// The destinations of all rows of a write.
#[derive(Debug)]
pub enum Destinations {
    /// Keys.
    Keys(EntityKeys),
    /// The bits with these numbers.
    Bits(Vec<u64>),
}

impl Destinations {
    /// The destination of this row.
    pub fn of(&self, row: usize) -> Destination<'_> {
        match self {
            Self::Keys(EntityKeys { keys, key_of_row }) => {
                let index = key_of_row.as_ref().map_or(row, |keys| keys[row] as usize);
                Destination::Key(index_u32(index), keys.at(index))
            }
            Self::Bits(numbers) => Destination::Bit(numbers[row]),
        }
    }

    /// The destinations. Keys are distinct; bits may repeat.
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
    /// The value of a column is wrong.
    Column(usize, Invalid),
    /// Its event time is wrong.
    Time(EventTimeFault),
}

/// The expiry of a row's key: `ttl_ms` after its event time. For a late row it is `ttl_ms` from
/// now, so that a write never deletes rows of other views in the key.
fn kept_until(time_ms: i64, clock_ms: i64, ttl_ms: i64) -> i64 {
    time_ms.max(clock_ms).saturating_add(ttl_ms)
}
