//! Puts rows into batches, in every layout that the view is written in.

use fscore_core::convert::index_u32;
use fscore_core::event_time;
use fscore_core::keys::{KeyColumns, KeyType, KeysError};
use fscore_core::write::{
    Destinations, Given, Layout, Row, RowEncoder, RowError, WriteBatch as CoreWriteBatch,
};

use super::WriteBatch;
use super::batch::BatchKind;

/// A batch of this many bytes takes no more rows, so that wide rows do not make one of gigabytes.
const LARGEST_BATCH: usize = 4 << 20;

pub(super) struct Rows<'a> {
    encoders: Vec<Box<dyn RowEncoder + 'a>>,
    destinations: Vec<Destinations>,
    whole: Vec<WriteBatch>,
    current: CoreWriteBatch,
    /// Rows in `current`.
    taken: usize,
    most: usize,
    clock_ms: i64,
    kind: BatchKind,
}

impl<'a> Rows<'a> {
    /// Rows for these destinations. A batch has at most `most` of them.
    pub(super) fn new(
        layouts: &'a [Box<dyn Layout>],
        destinations: Vec<Destinations>,
        clock_ms: i64,
        most: usize,
    ) -> Self {
        Rows {
            encoders: layouts
                .iter()
                .map(|layout| layout.encoder(clock_ms))
                .collect(),
            destinations,
            whole: Vec::new(),
            current: CoreWriteBatch::default(),
            taken: 0,
            most,
            clock_ms,
            kind: BatchKind {
                idempotent: layouts.iter().all(|layout| layout.is_idempotent()),
                // In two layouts a row may change something in only one of them.
                counted: matches!(layouts, [layout] if layout.counts_rows()),
                in_order: layouts.iter().any(|layout| layout.needs_order()),
            },
        }
    }

    /// Begins a row.
    pub(super) fn begin(&mut self) {
        let held: usize = self.encoders.iter().map(|encoder| encoder.held()).sum();
        if self.taken == self.most || self.current.commands().len() + held >= LARGEST_BATCH {
            self.close();
        }
        self.taken += 1;
    }

    pub(super) fn value(&mut self, column: usize, value: &Given<'_>) -> Result<(), String> {
        for encoder in &mut self.encoders {
            encoder
                .value(column, value.clone())
                .map_err(|invalid| invalid.0.to_owned())?;
        }
        Ok(())
    }

    pub(super) fn null(&mut self, column: usize) {
        for encoder in &mut self.encoders {
            encoder.null(column);
        }
    }

    /// Ends row `index` of the call. Its time is checked here, whatever form and layout it has.
    pub(super) fn end(
        &mut self,
        index: usize,
        time_ms: i64,
        event_id: Option<&[u8]>,
    ) -> Result<(), RowError> {
        event_time::check(time_ms, self.clock_ms).map_err(RowError::Time)?;
        for (encoder, destinations) in self.encoders.iter_mut().zip(&self.destinations) {
            let row = Row {
                number: index_u32(index),
                destination: destinations.of(index),
                time_ms,
                event_id,
            };
            encoder.end_row(row, &mut self.current)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<WriteBatch> {
        if self.taken > 0 {
            self.close();
        }
        self.whole
    }

    fn close(&mut self) {
        for encoder in &mut self.encoders {
            encoder.close(&mut self.current);
        }
        let commands = std::mem::take(&mut self.current);
        let rows = std::mem::take(&mut self.taken);
        self.whole.push(WriteBatch::new(commands, rows, self.kind));
    }
}

/// The destinations of the rows with these keys, in each layout.
pub(super) fn destinations(
    layouts: &[Box<dyn Layout>],
    join_keys: &[(String, KeyType)],
    keys: &KeyColumns,
    version: i64,
) -> Result<Vec<Destinations>, KeysError> {
    let columns: Vec<_> = keys
        .bind(join_keys)?
        .into_iter()
        .map(|index| {
            let (name, column) = &keys.columns[index];
            (name.as_str(), column)
        })
        .collect();
    layouts
        .iter()
        .map(|layout| layout.destinations(&columns, keys.rows(), version))
        .collect()
}
