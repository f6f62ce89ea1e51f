//! The choice between HMGET and HGETALL, by their cost.

/// The command that reads an entity's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The fields asked for, by name.
    Hmget,
    /// Every field; only those asked for are kept.
    Hgetall,
}

impl Strategy {
    /// The command's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmget => "HMGET",
            Self::Hgetall => "HGETALL",
        }
    }
}

/// Both servers' default `hash-max-listpack-entries`: above it a hash is a hash table.
const LISTPACK_FIELDS: u64 = 512;

/// The cheaper way to read `asked` of `total` fields, event times included.
///
/// HMGET searches a listpack once for each field asked for, and HGETALL goes through it once. One
/// value of more than 64 bytes makes the hash a hash table (`wide_values`). There HMGET pays only
/// for the fields asked for. The constants are tenths of nanoseconds: the mean of Redis 7.0 and
/// Valkey 9 as `bench/suites/hash_plan.py` measures it, and 25 ns a field for the client, which steps over
/// fields that were not asked for.
pub fn choose(asked: usize, total: usize, wide_values: bool) -> Strategy {
    let asked = asked as u64;
    let total = (total as u64).max(asked);
    if wide_values || total > LISTPACK_FIELDS {
        return Strategy::Hmget;
    }
    let hmget = asked * (900 + 23 * total);
    let hgetall = 700 + 950 * total;
    if hmget > hgetall {
        Strategy::Hgetall
    } else {
        Strategy::Hmget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_are_asked_by_name_and_most_of_many_are_all_read() {
        // The first `asked` for which HGETALL was cheaper, by the measured table.
        for (total, crossover) in [(10, 9), (20, 15), (30, 19), (50, 24), (100, 30), (300, 37)] {
            assert_eq!(
                choose(crossover - 1, total, false),
                Strategy::Hmget,
                "{total}"
            );
            assert_eq!(
                choose(crossover + 1, total, false),
                Strategy::Hgetall,
                "{total}"
            );
        }
        assert_eq!(choose(4, 4, false), Strategy::Hmget);
    }

    #[test]
    fn hash_tables_are_never_read_whole() {
        assert_eq!(choose(30, 30, true), Strategy::Hmget);
        assert_eq!(choose(600, 600, false), Strategy::Hmget);
    }
}
