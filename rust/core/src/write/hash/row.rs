//! The fields of a view's rows in its hash layout, compiled once.

use crate::convert::count_i64;
use crate::resp::encode::{write_blob, write_integer};
use crate::write::{Ordering, Outdated};

/// A view in the hash layout.
#[derive(Debug, Clone)]
pub struct HashView {
    /// The beginning of keys: prefix, entity and `:{`.
    pub key_head: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Names of its features, and the TTL of each from the event time, in ms; 0 for ever.
    pub features: Vec<(String, i64)>,
    /// The TTL of a key from the last row that was written to it, in ms; 0 for ever.
    pub key_ttl_ms: i64,
    /// Whether other views have rows in the same key. Then the latest expiry of all of them counts.
    pub shared_key: bool,
    /// Whether the server can let single fields of a hash expire.
    pub field_ttl: bool,
    /// Which expiries an earlier definition may have set.
    pub outdated: Outdated,
    /// Which of two rows stays.
    pub ordering: Ordering,
}

/// The fields of a row, and when they expire.
#[derive(Debug)]
pub(super) struct HashRow {
    /// The names of the fields, each encoded as an argument.
    pub(super) fields: Vec<Vec<u8>>,
    pub(super) time_field: Vec<u8>,
    pub(super) expiry: Expiry,
    pub(super) groups: Vec<FieldGroup>,
    /// The fields in no group, if some may have an expiry that an earlier definition set.
    pub(super) lasting: FieldNames,
    pub(super) outdated: Outdated,
}

/// How a row changes the expiry of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing: the key has none.
    None,
    /// The key has none from now on.
    Cleared,
    /// The key expires this many milliseconds after the row.
    Own(i64),
    /// The key expires at least this many milliseconds after the row, for other views share it.
    Shared(i64),
}

/// Fields that expire together, before their key does.
#[derive(Debug)]
pub(super) struct FieldGroup {
    pub(super) ttl_ms: i64,
    pub(super) fields: FieldNames,
}

/// Names of fields.
#[derive(Debug, Default)]
pub(super) struct FieldNames {
    pub(super) count: usize,
    /// The names, each encoded as an argument.
    pub(super) encoded: Vec<u8>,
}

impl FieldNames {
    fn add(&mut self, name: &str) {
        self.count += 1;
        write_blob(&mut self.encoded, name.as_bytes());
    }

    /// Appends the arguments that name them.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        write_blob(out, b"FIELDS");
        write_integer(out, count_i64(self.count));
        out.extend_from_slice(&self.encoded);
    }
}

impl HashRow {
    pub(super) fn new(view: &HashView) -> Self {
        let argument = |name: &str| {
            let mut encoded = Vec::with_capacity(name.len() + 8);
            write_blob(&mut encoded, name.as_bytes());
            encoded
        };
        let (groups, lasting) = if view.field_ttl {
            field_groups(view)
        } else {
            Default::default()
        };
        Self {
            fields: view
                .features
                .iter()
                .map(|(name, _)| argument(name))
                .collect(),
            time_field: argument(&format!("_ts:{}", view.name)),
            expiry: match view.key_ttl_ms {
                0 if view.outdated == Outdated::Nothing => Expiry::None,
                0 => Expiry::Cleared,
                ttl_ms if view.shared_key => Expiry::Shared(ttl_ms),
                ttl_ms => Expiry::Own(ttl_ms),
            },
            groups,
            lasting: if view.outdated == Outdated::Fields {
                lasting
            } else {
                FieldNames::default()
            },
            outdated: view.outdated,
        }
    }
}

/// The fields that must expire before their key, in groups that expire together; and all others.
fn field_groups(view: &HashView) -> (Vec<FieldGroup>, FieldNames) {
    let mut groups: Vec<FieldGroup> = Vec::new();
    let mut lasting = FieldNames::default();
    let mut add = |name: &str, ttl_ms: i64| {
        if ttl_ms == 0 || view.key_ttl_ms > 0 && ttl_ms >= view.key_ttl_ms {
            lasting.add(name);
            return;
        }
        let known = groups.iter().position(|group| group.ttl_ms == ttl_ms);
        let index = known.unwrap_or_else(|| {
            groups.push(FieldGroup {
                ttl_ms,
                fields: FieldNames::default(),
            });
            groups.len() - 1
        });
        groups[index].fields.add(name);
    };
    for (name, ttl_ms) in &view.features {
        add(name, *ttl_ms);
    }
    // Without the event time, expired fields would be NOT_FOUND while others are still valid, so
    // the event time stays longest.
    let longest = view.features.iter().map(|&(_, ttl_ms)| ttl_ms).max();
    let all_expire = view.features.iter().all(|&(_, ttl_ms)| ttl_ms > 0);
    let with_the_last = all_expire && view.key_ttl_ms == 0;
    let time_ttl_ms = longest.filter(|_| with_the_last).unwrap_or(0);
    add(&format!("_ts:{}", view.name), time_ttl_ms);
    (groups, lasting)
}
