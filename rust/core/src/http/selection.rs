//! A cache by the names in a request: a service or features, and join keys.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::Parameter;
use crate::json::ReadRequest;
use crate::keys::KeyColumns;

use super::ReadQuery;

/// The names in a request.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    service: Option<&'a str>,
    features: Features<'a>,
    join_keys: JoinKeys<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Features<'a> {
    All,
    /// Separated by commas.
    Text(&'a str),
    List(&'a [String]),
}

#[derive(Debug, Clone, Copy)]
enum JoinKeys<'a> {
    Parameters(&'a [Parameter<'a>]),
    Columns(&'a KeyColumns),
    List(&'a [String]),
}

impl<'a> Named<'a> {
    /// These names. `None` for `features` is all features of the entity with the join keys.
    pub fn new(
        service: Option<&'a str>,
        features: Option<&'a [String]>,
        join_keys: &'a [String],
    ) -> Self {
        Self {
            service,
            features: features.map_or(Features::All, Features::List),
            join_keys: JoinKeys::List(join_keys),
        }
    }

    fn features(self) -> impl Iterator<Item = &'a str> {
        let (text, list) = match self.features {
            Features::All => (None, None),
            Features::Text(text) => (Some(text.split(',')), None),
            Features::List(list) => (None, Some(list.iter().map(String::as_str))),
        };
        text.into_iter().flatten().chain(list.into_iter().flatten())
    }

    fn join_keys(self) -> impl Iterator<Item = &'a str> {
        let (parameters, columns, list) = match self.join_keys {
            JoinKeys::Parameters(parameters) => (parameters, &[][..], &[][..]),
            JoinKeys::Columns(keys) => (&[][..], keys.columns.as_slice(), &[][..]),
            JoinKeys::List(list) => (&[][..], &[][..], list),
        };
        let parameters = parameters.iter().map(|(name, _)| &**name);
        let columns = columns.iter().map(|(name, _)| name.as_str());
        parameters
            .chain(columns)
            .chain(list.iter().map(String::as_str))
    }

    fn hash(self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        self.service.hash(&mut hasher);
        for name in self.features() {
            name.hash(&mut hasher);
        }
        // No name has this byte, so it separates features from join keys.
        hasher.write_u8(0xff);
        for name in self.join_keys() {
            name.hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl<'a> From<&'a ReadQuery<'a>> for Named<'a> {
    fn from(query: &'a ReadQuery<'a>) -> Self {
        Self {
            service: query.service.as_deref(),
            features: query
                .features
                .as_deref()
                .map_or(Features::All, Features::Text),
            join_keys: JoinKeys::Parameters(&query.others),
        }
    }
}

impl<'a> From<&'a ReadRequest> for Named<'a> {
    fn from(request: &'a ReadRequest) -> Self {
        Self {
            service: request.service.as_deref(),
            features: request
                .features
                .as_deref()
                .map_or(Features::All, Features::List),
            join_keys: JoinKeys::Columns(&request.keys),
        }
    }
}

/// A cache of values by names, bounded by weight.
#[derive(Debug)]
pub struct Selections<T> {
    entries: HashTable<Entry<T>>,
    capacity: usize,
    weight: usize,
}

#[derive(Debug)]
struct Entry<T> {
    service: Option<String>,
    features: Option<Vec<String>>,
    join_keys: Vec<String>,
    made: T,
}

impl<T> Entry<T> {
    fn named(&self) -> Named<'_> {
        Named::new(
            self.service.as_deref(),
            self.features.as_deref(),
            &self.join_keys,
        )
    }

    fn is_for(&self, named: Named<'_>) -> bool {
        let own = self.named();
        own.service == named.service
            && matches!(own.features, Features::All) == matches!(named.features, Features::All)
            && own.features().eq(named.features())
            && own.join_keys().eq(named.join_keys())
    }
}

impl<T> Selections<T> {
    /// An empty cache that never has more than this weight.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashTable::new(),
            capacity,
            weight: 0,
        }
    }

    /// The value for these names.
    #[inline]
    pub fn find(&self, named: Named<'_>) -> Option<&T> {
        let found = self
            .entries
            .find(named.hash(), |entry| entry.is_for(named))?;
        Some(&found.made)
    }

    /// Adds the value for names that have none yet. If it does not fit beside the others, all of
    /// these are dropped: those that are asked for often come back soon.
    pub fn insert(&mut self, named: Named<'_>, made: T, weight: usize) {
        if weight > self.capacity {
            return;
        }
        if self.weight + weight > self.capacity {
            self.clear();
        }
        self.weight += weight;
        let features = match named.features {
            Features::All => None,
            _ => Some(named.features().map(str::to_owned).collect()),
        };
        let entry = Entry {
            service: named.service.map(str::to_owned),
            features,
            join_keys: named.join_keys().map(str::to_owned).collect(),
            made,
        };
        self.entries
            .insert_unique(named.hash(), entry, |other| other.named().hash());
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_read_request;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn insert(
        selections: &mut Selections<u32>,
        (service, features, join_keys): (Option<&str>, Option<&str>, &str),
        made: u32,
    ) {
        let features = features.map(names);
        let join_keys = names(join_keys);
        let named = Named::new(service, features.as_deref(), &join_keys);
        selections.insert(named, made, 1);
    }

    fn by_query(selections: &Selections<u32>, query: &str) -> Option<u32> {
        let query = ReadQuery::parse(query.as_bytes()).unwrap();
        selections.find(Named::from(&query)).copied()
    }

    fn by_body(selections: &Selections<u32>, body: &str) -> Option<u32> {
        let request = parse_read_request(body.as_bytes(), 9).unwrap();
        selections.find(Named::from(&request)).copied()
    }

    #[test]
    fn the_same_names_are_found_however_they_are_written() {
        let mut selections = Selections::new(10);
        insert(&mut selections, (Some("s"), None, "id"), 1);
        insert(&mut selections, (None, Some("a b"), "id"), 2);
        insert(&mut selections, (None, None, "id other"), 3);
        assert_eq!(by_query(&selections, "id=1&service=s"), Some(1));
        assert_eq!(by_query(&selections, "features=a,b&id=1"), Some(2));
        assert_eq!(by_query(&selections, "id=1&other=2"), Some(3));
        for other in [
            "id=1",
            "other=1&id=2",
            "id=1&service=t",
            "id=1&features=b,a",
            "id=1&features=ab",
            "id=1&features=a",
            "id=1&features=a,b,id",
            "id=1&service=s&features=a,b",
        ] {
            assert_eq!(by_query(&selections, other), None, "{other}");
        }
        let body = |what: &str| format!(r#"{{{what},"entities":{{"id":[1]}}}}"#);
        assert_eq!(by_body(&selections, &body(r#""service":"s""#)), Some(1));
        assert_eq!(
            by_body(&selections, &body(r#""features":["a","b"]"#)),
            Some(2)
        );
        assert_eq!(by_body(&selections, &body(r#""features":["a,b"]"#)), None);
    }

    #[test]
    fn they_are_bounded_by_weight() {
        let mut selections = Selections::new(2);
        for (made, service) in (0..).zip(["a", "b", "c"]) {
            insert(&mut selections, (Some(service), None, "id"), made);
        }
        let found = ["a", "b", "c"]
            .map(|service| by_query(&selections, &format!("id=1&service={service}")));
        assert_eq!(found, [None, None, Some(2)]);
        let join_keys = names("id");
        selections.insert(Named::new(Some("d"), None, &join_keys), 9, 3);
        assert_eq!(by_query(&selections, "id=1&service=d"), None);
        assert_eq!(by_query(&selections, "id=1&service=c"), Some(2));
    }
}
