//! The trace of a request: W3C Trace Context, and the sampling of requests that bring none.

use std::num::{NonZeroU64, NonZeroU128};

/// A position in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The id of the trace.
    pub id: NonZeroU128,
    /// The caller's span in it; `None` if the request begins the trace.
    pub parent: Option<NonZeroU64>,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl Trace {
    /// Reads a `traceparent`; `None` if it is malformed, which counts as if there were none.
    /// Versions after 00 are read as 00, whatever they append.
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        const LENGTH: usize = 55;
        let (known, appended) = traceparent.split_at_checked(LENGTH)?;
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        let version = hex(&known[..2])?;
        let appendable = version > 0 && appended.first() == Some(&b'-');
        if !dashes || version == 0xff || !(appended.is_empty() || appendable) {
            return None;
        }
        Some(Self {
            id: NonZeroU128::new(hex(&known[3..35])?)?,
            parent: Some(NonZeroU64::new(u64::try_from(hex(&known[36..52])?).ok()?)?),
            sampled: hex(&known[53..])? & 1 == 1,
        })
    }
}

/// The number of at most 32 hexadecimal digits in lower case. Capitals are malformed.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Decides which of the requests that bring no trace begin one.
#[derive(Debug)]
pub struct Roots {
    /// The number of the 2^64 ends of ids that are sampled.
    bound: u128,
    /// Makes the ids of this source different from those of others.
    prefix: u64,
    state: u64,
}

impl Roots {
    /// Samples `ratio` of the requests, from 0 to 1. Ids follow from `seed`, which must be random.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio below 0 or above 1 saturates; each half of the seed has its use"
    )]
    pub fn new(ratio: f64, seed: u128) -> Self {
        const ENDS: f64 = 18_446_744_073_709_551_616.0;
        Self {
            bound: (ratio * ENDS) as u128,
            prefix: (seed >> 64) as u64,
            state: seed as u64,
        }
    }

    /// The trace that this request begins, if it is sampled.
    ///
    /// The end of the id decides, as in OpenTelemetry's samplers by ratio. So all services with the
    /// same ratio sample the same traces.
    pub fn begin(&mut self) -> Option<Trace> {
        let beginning = self.random() ^ self.prefix;
        let end = self.random();
        if u128::from(end) >= self.bound {
            return None;
        }
        Some(Trace {
            id: NonZeroU128::new(u128::from(beginning) << 64 | u128::from(end))?,
            parent: None,
            sampled: true,
        })
    }

    /// `SplitMix64`, which takes a few instructions and is random enough for ids.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn parsed(text: &str) -> Option<Trace> {
        Trace::parse(text.as_bytes())
    }

    #[test]
    fn a_parent_is_read() {
        let trace = parsed(PARENT).unwrap();
        assert_eq!(trace.id.get(), ID);
        assert_eq!(trace.parent.unwrap().get(), 0x00f0_67aa_0ba9_02b7);
        for (flags, sampled) in [
            ("00", false),
            ("01", true),
            // Flags that are not defined yet do not change the one that is.
            ("02", false),
            ("03", true),
            ("fe", false),
            ("ff", true),
        ] {
            let text = format!("{}{flags}", &PARENT[..53]);
            assert_eq!(parsed(&text), Some(Trace { sampled, ..trace }), "{text}");
        }
    }

    #[test]
    fn later_versions_are_read_as_the_first() {
        let first = parsed(PARENT);
        for version in ["01", "0a", "cc", "fe"] {
            for appended in ["", "-", "-what-the-future-brings"] {
                let text = format!("{version}{}{appended}", &PARENT[2..]);
                assert_eq!(parsed(&text), first, "{text}");
            }
            for appended in ["0", ".", " ", "01-"] {
                let text = format!("{version}{}{appended}", &PARENT[2..]);
                assert_eq!(parsed(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn malformed_parents_are_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            // Nothing follows the flags of version 00.
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // Version ff is never valid.
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            // Ids of zeros alone are not valid.
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            // Capitals, and characters that are not digits, in each part.
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
            "g0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b.-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            // Parts of other lengths.
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7a-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47361-00f067aa0ba902b-01",
            "000-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            // Other dashes.
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_ratio_of_the_requests_begin_a_trace() {
        let begun = |ratio| {
            let mut roots = Roots::new(ratio, 1 << 64 | 2);
            (0..10_000)
                .filter_map(|_| roots.begin())
                .collect::<Vec<_>>()
        };
        assert_eq!(begun(0.0), []);
        assert_eq!(begun(-1.0), []);
        assert_eq!(begun(f64::NAN), []);
        let some = begun(0.25);
        assert!((2300..2700).contains(&some.len()), "{}", some.len());
        let all = begun(1.0);
        assert_eq!(all.len(), 10_000);
        for trace in &all {
            assert!(trace.sampled && trace.parent.is_none());
            // Every other service with this ratio decides the same.
            let end = trace.id.get() & u128::from(u64::MAX);
            assert_eq!(some.contains(trace), end < 1 << 62, "{end}");
        }
        let ids: HashSet<_> = all.iter().map(|trace| trace.id).collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn other_seeds_give_other_ids() {
        let first = |seed| Roots::new(1.0, seed).begin().unwrap().id;
        let ids = HashSet::from([first(0), first(1), first(1 << 64), first(1 << 64 | 1)]);
        assert_eq!(ids.len(), 4);
    }

    proptest! {
        #[test]
        fn every_parent_is_read(
            id in 1..=u128::MAX, parent in 1..=u64::MAX, flags in any::<u8>()
        ) {
            let trace = parsed(&format!("00-{id:032x}-{parent:016x}-{flags:02x}")).unwrap();
            prop_assert_eq!((trace.id.get(), trace.parent.unwrap().get()), (id, parent));
            prop_assert_eq!(trace.sampled, flags & 1 == 1);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            if let Some(trace) = Trace::parse(&bytes) {
                prop_assert!(trace.parent.is_some());
            }
        }
    }
}
