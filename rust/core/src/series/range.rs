//! The events and the tiles of a window.
//!
//! A window of length `w` at the time `as_of` holds the events with `as_of - w < t <= as_of`.
//! Retention is a window that contains every other.

/// The events of a window: later than `after`, at or before `until`, in epoch milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The exclusive left edge; `None` if the window has none.
    pub after: Option<i64>,
    /// The inclusive right edge.
    pub until: i64,
}

impl TimeRange {
    /// The window of length `window_ms` within the retention; 0 for no bound.
    pub fn of_window(as_of: i64, window_ms: i64, retention_ms: i64) -> Self {
        let edge = |length: i64| (length > 0).then(|| as_of.saturating_sub(length));
        Self {
            after: edge(window_ms).max(edge(retention_ms)),
            until: as_of,
        }
    }

    /// Whether an event of this time is in it.
    pub fn holds(self, time: i64) -> bool {
        self.after.is_none_or(|after| time > after) && time <= self.until
    }
}

/// Consecutive tiles: `start`, `start + tile`, … before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileRange {
    /// Start of the first tile.
    pub start: i64,
    /// End of the last one.
    pub end: i64,
    /// Length of each.
    pub tile: i64,
}

impl TileRange {
    /// The tiles that are wholly in the window.
    pub fn within(as_of: i64, window_ms: i64, tile: i64) -> Self {
        let first = as_of.saturating_sub(window_ms).saturating_add(1);
        let start = ceiling(first, tile);
        let end = floor(as_of.saturating_add(1), tile).max(start);
        Self { start, end, tile }
    }

    /// The tiles that the window touches.
    pub fn touched(as_of: i64, window_ms: i64, tile: i64) -> Self {
        let first = as_of.saturating_sub(window_ms).saturating_add(1);
        Self {
            start: floor(first, tile),
            end: floor(as_of, tile).saturating_add(tile),
            tile,
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The start of each.
    pub fn starts(self) -> impl Iterator<Item = i64> {
        let count = (self.end.saturating_sub(self.start) / self.tile).max(0);
        (0..count).map(move |index| self.start + index * self.tile)
    }
}

fn floor(ms: i64, tile: i64) -> i64 {
    ms.div_euclid(tile).saturating_mul(tile)
}

fn ceiling(ms: i64, tile: i64) -> i64 {
    floor(ms.saturating_add(tile - 1), tile)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn retention_bounds_every_window() {
        let after = |window, retention| TimeRange::of_window(1_000, window, retention).after;
        assert_eq!(after(0, 0), None);
        assert_eq!(after(300, 0), Some(700));
        assert_eq!(after(0, 500), Some(500));
        assert_eq!(after(800, 500), Some(500));
        let range = TimeRange::of_window(1_000, 300, 500);
        assert!(!range.holds(700) && range.holds(701) && range.holds(1_000) && !range.holds(1_001));
    }

    proptest! {
        #[test]
        fn whole_tiles_and_edges_make_up_the_window(
            as_of in 0_i64..10_000,
            window in 1_i64..3_000,
            tile in 1_i64..500,
            time in -4_000_i64..12_000,
        ) {
            let whole = TileRange::within(as_of, window, tile);
            let in_tiles = whole.starts().any(|start| (start..start + tile).contains(&time));
            let range = TimeRange::of_window(as_of, window, 0);
            prop_assert!(!in_tiles || range.holds(time));
            let at_an_edge = range.holds(time) && (time < whole.start || time >= whole.end);
            prop_assert_eq!(in_tiles || at_an_edge, range.holds(time));
            let touched = TileRange::touched(as_of, window, tile);
            let touches = touched.starts().any(|start| (start..start + tile).contains(&time));
            prop_assert!(touches || !range.holds(time));
            prop_assert!(touched.start > as_of - window - tile && touched.end <= as_of + tile);
        }
    }
}
