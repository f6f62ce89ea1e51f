//! The times that an event may have.
//!
//! Nothing else notices a time in the wrong unit. Seconds are a time in January 1970, so the row
//! has expired when it arrives. Microseconds are a time so late that the row wins over every newer
//! row for good.

use crate::convert::index_u32;
use std::fmt;
use std::ops::RangeInclusive;

/// The beginning of 1990, in epoch milliseconds. A time in seconds gets here in the year 21970.
const EARLIEST_MS: i64 = 631_152_000_000;
/// How far ahead of the clock an event may be; a clock that is wrong by more has to be set.
const AHEAD_MS: i64 = 5 * 60 * 1000;

/// The times that an event may have, in epoch milliseconds, while the clock shows `clock_ms`.
pub fn limits(clock_ms: i64) -> RangeInclusive<i64> {
    EARLIEST_MS..=clock_ms.saturating_add(AHEAD_MS)
}

/// Says what is wrong with the time of an event, if it is out of the limits.
pub fn check(time_ms: i64, clock_ms: i64) -> Result<(), EventTimeFault> {
    let limits = limits(clock_ms);
    if limits.contains(&time_ms) {
        return Ok(());
    }
    Err(EventTimeFault {
        is_early: time_ms < *limits.start(),
        time_ms,
        clock_ms,
    })
}

/// Why a time cannot be that of an event. Its text goes on after "which is".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimeFault {
    is_early: bool,
    time_ms: i64,
    clock_ms: i64,
}

/// The unit in which a number was read as a time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Names of units, each a thousandth of the one before.
const UNITS: [&str; 4] = ["seconds", "milliseconds", "microseconds", "nanoseconds"];

impl EventTimeFault {
    /// The time, in epoch milliseconds.
    pub fn time_ms(self) -> i64 {
        self.time_ms
    }

    /// What is wrong, and the unit that the number seems to be in.
    pub fn of_number(self, read_as: EpochUnit) -> String {
        let read = read_as as usize;
        let limits = limits(self.clock_ms);
        let meant = UNITS.iter().enumerate().find(|&(unit, _)| {
            // The unit is this many times smaller, or larger, than the one that the number was read
            // in.
            let (times, larger) = (1000_i64.pow(index_u32(unit.abs_diff(read))), unit < read);
            let time_ms = if larger {
                self.time_ms.checked_mul(times)
            } else {
                Some(self.time_ms / times)
            };
            unit != read && time_ms.is_some_and(|time_ms| limits.contains(&time_ms))
        });
        let read = UNITS[read];
        match meant {
            Some((_, meant)) => {
                format!("{self}; is it in {meant}? It is read as {read} since 1970")
            }
            None if self.is_early => format!("{self}; it is read as {read} since 1970"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for EventTimeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_early {
            "before 1990"
        } else {
            "more than 5 minutes ahead of the clock"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK_MS: i64 = 1_764_537_600_000;

    fn fault(time_ms: i64, read_as: EpochUnit) -> String {
        check(time_ms, CLOCK_MS).unwrap_err().of_number(read_as)
    }

    #[test]
    fn times_from_1990_to_five_minutes_ahead_are_those_of_events() {
        for (time_ms, wrong) in [
            (i64::MIN, Some("before 1990")),
            (-1, Some("before 1990")),
            (631_151_999_999, Some("before 1990")),
            (631_152_000_000, None),
            (CLOCK_MS + 300_000, None),
            (
                CLOCK_MS + 300_001,
                Some("more than 5 minutes ahead of the clock"),
            ),
            (i64::MAX, Some("more than 5 minutes ahead of the clock")),
        ] {
            let found = check(time_ms, CLOCK_MS)
                .err()
                .map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), wrong, "{time_ms}");
        }
        assert!(check(i64::MAX, i64::MAX).is_ok());
    }

    #[test]
    fn a_number_in_another_unit_is_reported() {
        use EpochUnit::{Milliseconds, Seconds};
        let ms = |text: &str| format!("{text} It is read as milliseconds since 1970");
        let seconds = |text: &str| format!("{text} It is read as seconds since 1970");
        let ahead = "more than 5 minutes ahead of the clock; is it in";
        for (time_ms, read_as, expected) in [
            (
                CLOCK_MS / 1000,
                Milliseconds,
                ms("before 1990; is it in seconds?"),
            ),
            (
                CLOCK_MS * 1000,
                Milliseconds,
                ms(&format!("{ahead} microseconds?")),
            ),
            (
                CLOCK_MS * 1_000_000,
                Milliseconds,
                ms(&format!("{ahead} nanoseconds?")),
            ),
            // The milliseconds that such numbers become if they are read as seconds.
            (
                CLOCK_MS * 1000,
                Seconds,
                seconds(&format!("{ahead} milliseconds?")),
            ),
            (
                CLOCK_MS * 1_000_000,
                Seconds,
                seconds(&format!("{ahead} microseconds?")),
            ),
        ] {
            assert_eq!(fault(time_ms, read_as), expected, "{time_ms}");
        }
        let year = CLOCK_MS + 365 * 86_400_000;
        let early = "before 1990; it is read as milliseconds since 1970";
        for (time_ms, expected) in [
            (5, early),
            (-CLOCK_MS, early),
            (i64::MIN, early),
            (year, "more than 5 minutes ahead of the clock"),
            (i64::MAX, "more than 5 minutes ahead of the clock"),
        ] {
            assert_eq!(fault(time_ms, Milliseconds), expected);
        }
    }
}
