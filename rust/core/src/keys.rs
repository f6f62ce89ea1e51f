//! Join keys of a request: typed columns, and the Redis keys made of them.

use std::fmt;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::convert::index_u32;
use crate::key::{self, KeyError};

/// The type of a join key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `Int64`.
    Integer,
    /// `String`.
    Text,
}

impl KeyType {
    /// The type's spelling in definitions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "Int64",
            Self::Text => "String",
        }
    }

    /// The type with this spelling.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "Int64" => Some(Self::Integer),
            "String" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Byte strings one after another, in two allocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByteColumn {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl ByteColumn {
    /// An empty column with room for `rows` strings of about `bytes` bytes in all.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
        }
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes all of them have.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends one.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.close();
    }

    /// The string with this index.
    #[inline]
    pub fn at(&self, index: usize) -> &[u8] {
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Ends a string. Those past 4 GiB are empty; [`EntityKeys::build`] refuses keys of that many.
    fn close(&mut self) {
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.ends.push(end);
    }

    fn open_start(&self) -> usize {
        self.ends.last().map_or(0, |&end| end as usize)
    }
}

/// The values of one join key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyColumn {
    /// The values of an `Int64` join key.
    Integer(Vec<i64>),
    /// The values of a `String` join key, as UTF-8.
    Text(ByteColumn),
}

impl KeyColumn {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its type.
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Integer(_) => KeyType::Integer,
            Self::Text(_) => KeyType::Text,
        }
    }
}

/// The keys of a request: one named column for each join key, all of one length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyColumns {
    /// Name and values, in the order the request gave them.
    pub columns: Vec<(String, KeyColumn)>,
}

impl KeyColumns {
    /// How many rows the request asks for.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// The indices of the columns in the order of `wanted`.
    pub fn bind(&self, wanted: &[(String, KeyType)]) -> Result<Vec<usize>, KeysError> {
        let names = || {
            wanted
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        for (index, (name, column)) in self.columns.iter().enumerate() {
            if !wanted.iter().any(|(known, _)| known == name) {
                return Err(KeysError::new(
                    name,
                    None,
                    format!("is not a join key of this request; it takes {}", names()),
                ));
            }
            if self.columns[..index]
                .iter()
                .any(|(earlier, _)| earlier == name)
            {
                return Err(KeysError::new(name, None, "is given twice".to_owned()));
            }
            if column.len() != self.rows() {
                return Err(KeysError::new(
                    name,
                    None,
                    format!(
                        "has {} values, and {} has {}; all join keys need the same number",
                        column.len(),
                        self.columns[0].0,
                        self.rows()
                    ),
                ));
            }
        }
        wanted
            .iter()
            .map(|(name, key_type)| {
                let index = self
                    .columns
                    .iter()
                    .position(|(given, _)| given == name)
                    .ok_or_else(|| {
                        KeysError::new(
                            name,
                            None,
                            format!("is missing; the join keys are {}", names()),
                        )
                    })?;
                let given = &self.columns[index].1;
                if given.key_type() != *key_type && !given.is_empty() {
                    return Err(KeysError::new(
                        name,
                        Some(0),
                        format!(
                            "must be {}, not {}; keys are not converted",
                            key_type.name(),
                            given.key_type().name()
                        ),
                    ));
                }
                Ok(index)
            })
            .collect()
    }
}

/// An error in the keys of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysError {
    /// The join key.
    pub join_key: String,
    /// The row, if the error is in one row.
    pub row: Option<usize>,
    /// The reason. It follows the join key's name in messages.
    pub reason: String,
}

impl KeysError {
    /// An error of `join_key`.
    pub fn new(join_key: &str, row: Option<usize>, reason: String) -> Self {
        Self {
            join_key: join_key.to_owned(),
            row,
            reason,
        }
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "join key {} (row {row}) {}", self.join_key, self.reason),
            None => write!(f, "join key {} {}", self.join_key, self.reason),
        }
    }
}

impl std::error::Error for KeysError {}

/// The most bytes that the keys of one call may have, all together. Tests have a smaller bound, so
/// that they can reach it.
const MOST_BYTES: usize = if cfg!(test) {
    64 << 10
} else {
    u32::MAX as usize
};

/// The distinct Redis keys of one entity in a request.
#[derive(Debug, Clone, Default)]
pub struct EntityKeys {
    /// The keys, in the order of their first rows.
    pub keys: ByteColumn,
    /// The index of each row's key in `keys`; `None` if it is the row's own number.
    pub key_of_row: Option<Vec<u32>>,
}

impl EntityKeys {
    /// Makes the keys `head` ids `tail` from join key columns (name and values).
    pub fn build(
        head: &[u8],
        columns: &[(&str, &KeyColumn)],
        tail: &[u8],
        rows: usize,
    ) -> Result<Self, KeysError> {
        let guess = rows * (head.len() + tail.len() + 12 * columns.len());
        let mut keys = ByteColumn::with_capacity(rows, guess);
        let mut distinct = Distinct::new(rows);
        for row in 0..rows {
            keys.bytes.extend_from_slice(head);
            let tag_start = keys.bytes.len();
            for (position, &(name, column)) in columns.iter().enumerate() {
                if position > 0 {
                    keys.bytes.push(b',');
                }
                match column {
                    KeyColumn::Integer(ids) => key::integer_id_into(&mut keys.bytes, ids[row]),
                    KeyColumn::Text(ids) => key::text_id_into(&mut keys.bytes, ids.at(row))
                        .map_err(|error| KeysError::new(name, Some(row), error.to_string()))?,
                }
            }
            if keys.bytes.len() == tag_start {
                let name = columns.first().map_or("", |&(name, _)| name);
                return Err(KeysError::new(name, Some(row), KeyError::Empty.to_string()));
            }
            keys.bytes.extend_from_slice(tail);
            distinct.close_row(&mut keys);
        }
        if keys.byte_len() > MOST_BYTES {
            let name = columns.first().map_or("", |&(name, _)| name);
            let reason = "has too many values: the keys of one call have at most 4 GiB; split it";
            return Err(KeysError::new(name, None, reason.to_owned()));
        }
        Ok(Self {
            keys,
            key_of_row: distinct.key_of_row,
        })
    }
}

/// The keys of the same ids with another head and tail. `head` and `tail` are the lengths of those
/// in `keys`.
pub fn with_same_ids(
    keys: &ByteColumn,
    (head, tail): (usize, usize),
    (new_head, new_tail): (&[u8], &[u8]),
) -> ByteColumn {
    let longer = (new_head.len() + new_tail.len()) * keys.len();
    let mut out = ByteColumn::with_capacity(keys.len(), keys.byte_len() + longer);
    for key in keys.iter() {
        out.bytes.extend_from_slice(new_head);
        out.bytes.extend_from_slice(&key[head..key.len() - tail]);
        out.bytes.extend_from_slice(new_tail);
        out.close();
    }
    out
}

/// Finds keys that an earlier row has, so that each key is read once.
struct Distinct {
    seen: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    key_of_row: Option<Vec<u32>>,
    one_row: bool,
}

impl Distinct {
    fn new(rows: usize) -> Self {
        let one_row = rows < 2;
        Self {
            seen: if one_row {
                HashTable::new()
            } else {
                HashTable::with_capacity(rows)
            },
            hasher: foldhash::fast::FixedState::default(),
            key_of_row: None,
            one_row,
        }
    }

    /// Makes the bytes after the last key a key of its own, or drops them if that key is known.
    fn close_row(&mut self, keys: &mut ByteColumn) {
        let index = index_u32(keys.len());
        if self.one_row {
            keys.close();
            return;
        }
        let start = keys.open_start();
        let hash = self.hasher.hash_one(&keys.bytes[start..]);
        let known = self
            .seen
            .find(hash, |&earlier| {
                keys.at(earlier as usize) == &keys.bytes[start..]
            })
            .copied();
        if let Some(earlier) = known {
            keys.bytes.truncate(start);
            self.key_of_row
                .get_or_insert_with(|| (0..index).collect())
                .push(earlier);
            return;
        }
        keys.close();
        self.seen.insert_unique(hash, index, |&other| {
            self.hasher.hash_one(keys.at(other as usize))
        });
        if let Some(key_of_row) = &mut self.key_of_row {
            key_of_row.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ids: &[&str]) -> KeyColumn {
        let mut column = ByteColumn::default();
        for id in ids {
            column.push(id.as_bytes());
        }
        KeyColumn::Text(column)
    }

    fn keys(columns: &[(&str, &KeyColumn)], rows: usize) -> EntityKeys {
        EntityKeys::build(b"user:{", columns, b"}:v1", rows).unwrap()
    }

    #[test]
    fn repeated_keys_are_read_once_and_answered_in_order() {
        let ids = KeyColumn::Integer(vec![7, 8, 7, 9, 8]);
        let built = keys(&[("user_id", &ids)], 5);
        let texts: Vec<_> = built.keys.iter().collect();
        assert_eq!(texts, [b"user:{7}:v1", b"user:{8}:v1", b"user:{9}:v1"]);
        assert_eq!(built.key_of_row, Some(vec![0, 1, 0, 2, 1]));
        assert_eq!(
            keys(&[("user_id", &KeyColumn::Integer(vec![1, 2]))], 2).key_of_row,
            None
        );
    }

    #[test]
    fn composite_keys_are_joined_and_escaped() {
        let (left, right) = (text(&["a,b", "a"]), text(&["c", "b,c"]));
        let built = keys(&[("l", &left), ("r", &right)], 2);
        let texts: Vec<_> = built.keys.iter().collect();
        assert_eq!(texts, [b"user:{a%2Cb,c}:v1", b"user:{a,b%2Cc}:v1"]);
        let built = keys(&[("l", &text(&[""])), ("r", &text(&[""]))], 1);
        assert_eq!(built.keys.at(0), b"user:{,}:v1");
    }

    #[test]
    fn bad_ids_name_their_row() {
        let ids = text(&["a", ""]);
        let error = EntityKeys::build(b"u:{", &[("id", &ids)], b"}", 2).unwrap_err();
        assert_eq!((error.join_key.as_str(), error.row), ("id", Some(1)));
        let long = "x".repeat(513);
        let error = EntityKeys::build(b"u:{", &[("id", &text(&[&long]))], b"}", 1).unwrap_err();
        assert!(error.to_string().contains("513"), "{error}");
    }

    #[test]
    fn keys_of_too_many_bytes_are_refused() {
        let rows = MOST_BYTES / b"u:{12345}".len() + 1;
        let ids = KeyColumn::Integer((10_000..).take(rows).collect());
        let build = |rows| EntityKeys::build(b"u:{", &[("id", &ids)], b"}", rows);
        assert!(build(rows - 1).is_ok());
        let error = build(rows).unwrap_err();
        assert_eq!((error.join_key.as_str(), error.row), ("id", None));
        assert!(error.to_string().contains("at most 4 GiB"), "{error}");
    }

    #[test]
    fn columns_bind_by_name_and_type() {
        let columns = KeyColumns {
            columns: vec![
                ("b".to_owned(), text(&["x"])),
                ("a".to_owned(), KeyColumn::Integer(vec![1])),
            ],
        };
        let wanted = [
            ("a".to_owned(), KeyType::Integer),
            ("b".to_owned(), KeyType::Text),
        ];
        assert_eq!(columns.bind(&wanted), Ok(vec![1, 0]));
        let reason = |wanted: &[(String, KeyType)]| columns.bind(wanted).unwrap_err().to_string();
        assert!(reason(&wanted[..1]).contains("is not a join key"));
        let wrong = [
            ("a".to_owned(), KeyType::Text),
            ("b".to_owned(), KeyType::Text),
        ];
        assert!(reason(&wrong).contains("must be String, not Int64"));
        let more = [wanted.as_slice(), &[("c".to_owned(), KeyType::Text)]].concat();
        assert!(reason(&more).contains("is missing"));
    }
}
