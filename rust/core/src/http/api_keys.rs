//! The API keys of a server, and their scopes.

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use super::credentials::{Credentials, Refusal, api_key_hash};

/// An API key, without the secret itself.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its name in logs. Several keys may share one while a key replaces another.
    pub name: String,
    /// The key's SHA-256.
    pub sha256: [u8; 32],
    /// The time from which it is not valid any more, in epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// Its scope; `None` to read everything.
    pub scope: Option<Scope>,
}

/// The services and views that a key may read.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Services, whatever views they read.
    pub services: Vec<String>,
    /// Views, by name or in a service that reads no other views.
    pub views: Vec<String>,
}

/// A service or view that a key may not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied<'a> {
    /// This service.
    Service(&'a str),
    /// The first such view.
    View(&'a str),
}

/// All keys of a server.
#[derive(Debug, Default)]
pub struct ApiKeys {
    keys: Vec<ApiKey>,
}

impl ApiKeys {
    /// These keys.
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self { keys }
    }

    /// The key with this index.
    pub fn key(&self, index: usize) -> &ApiKey {
        &self.keys[index]
    }

    /// The index of a request's key. All hashes are compared whole, so the time that this takes
    /// does not show which of the keys the request nearly has.
    pub fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        now_ms: i64,
    ) -> Result<usize, Refusal> {
        let hash = api_key_hash(credentials.api_key()?).ok_or(Refusal::Malformed)?;
        let mut found = u32::MAX;
        for (index, key) in (0..).zip(&self.keys) {
            found.conditional_assign(&index, key.sha256[..].ct_eq(&hash[..]));
        }
        let index = found as usize;
        match self.keys.get(index) {
            None => Err(Refusal::Unknown),
            Some(key) if key.expires_ms.is_some_and(|expires| now_ms >= expires) => {
                Err(Refusal::Expired(index))
            }
            Some(_) => Ok(index),
        }
    }
}

impl ApiKey {
    /// Checks that it may read this service: by name, or because it may read all `views` that the
    /// service reads. Without a service, checks that it may read all `views`.
    pub fn may_read<'a>(
        &self,
        service: Option<&'a str>,
        views: &'a [String],
    ) -> Result<(), Denied<'a>> {
        if service.is_some_and(|service| self.has_service(service)) {
            return Ok(());
        }
        let denied = views.iter().find(|view| !self.has_view(view));
        match (service, denied) {
            // A service that reads no view is not granted by having all of its views.
            (_, None) if self.scope.is_none() || !views.is_empty() => Ok(()),
            (Some(service), _) => Err(Denied::Service(service)),
            (None, view) => Err(Denied::View(view.map_or("", String::as_str))),
        }
    }

    /// Whether it may read this service, whatever views that reads.
    pub fn has_service(&self, service: &str) -> bool {
        self.has(|scope| &scope.services, service)
    }

    /// Whether it may read this view.
    pub fn has_view(&self, view: &str) -> bool {
        self.has(|scope| &scope.views, view)
    }

    fn has(&self, names: impl Fn(&Scope) -> &Vec<String>, name: &str) -> bool {
        self.scope
            .as_ref()
            .is_none_or(|scope| names(scope).iter().any(|known| known == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn secret(number: u8) -> String {
        format!("fsk_{}", char::from(b'a' + number).to_string().repeat(43))
    }

    fn key(number: u8, expires_ms: Option<i64>, scope: Option<Scope>) -> ApiKey {
        ApiKey {
            name: "ranking".to_owned(),
            sha256: api_key_hash(secret(number).as_bytes()).unwrap(),
            expires_ms,
            scope,
        }
    }

    fn scope(services: &[&str], views: &[&str]) -> Scope {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Scope {
            services: owned(services),
            views: owned(views),
        }
    }

    fn authenticated(keys: &ApiKeys, secret: &str) -> Result<usize, Refusal> {
        let headers = [(&b"x-api-key"[..], secret.as_bytes())];
        keys.authenticate(&Credentials::among(headers), NOW)
    }

    #[test]
    fn each_key_is_found_and_no_other() {
        let keys = ApiKeys::new((0..5).map(|number| key(number, None, None)).collect());
        for number in 0..5 {
            let found = authenticated(&keys, &secret(number));
            assert_eq!(found, Ok(usize::from(number)));
        }
        assert_eq!(authenticated(&keys, &secret(5)), Err(Refusal::Unknown));
        assert_eq!(authenticated(&keys, "fsk_a"), Err(Refusal::Malformed));
        let none = Credentials::default();
        assert_eq!(keys.authenticate(&none, NOW), Err(Refusal::Missing));
        let nobody = ApiKeys::default();
        assert_eq!(authenticated(&nobody, &secret(0)), Err(Refusal::Unknown));
    }

    #[test]
    fn a_key_ends_at_its_time() {
        let keys = ApiKeys::new(vec![
            key(0, Some(NOW), None),
            key(1, Some(NOW + 1), None),
            key(2, Some(i64::MIN), None),
        ]);
        assert_eq!(authenticated(&keys, &secret(0)), Err(Refusal::Expired(0)));
        assert_eq!(authenticated(&keys, &secret(1)), Ok(1));
        assert_eq!(authenticated(&keys, &secret(2)), Err(Refusal::Expired(2)));
    }

    #[test]
    fn a_scope_is_services_and_views() {
        let (user, both) = (["user".to_owned()], ["user".to_owned(), "item".to_owned()]);
        let all = key(0, None, None);
        assert_eq!(all.may_read(None, &both), Ok(()));
        assert_eq!(all.may_read(Some("ranking"), &[]), Ok(()));
        let ranking = key(0, None, Some(scope(&["ranking"], &[])));
        assert_eq!(ranking.may_read(Some("ranking"), &both), Ok(()));
        let denied = Err(Denied::Service("other"));
        assert_eq!(ranking.may_read(Some("other"), &user), denied);
        assert_eq!(ranking.may_read(None, &user), Err(Denied::View("user")));
        let users = key(0, None, Some(scope(&[], &["user"])));
        assert_eq!(users.may_read(None, &user), Ok(()));
        assert_eq!(users.may_read(Some("ranking"), &user), Ok(()));
        assert_eq!(users.may_read(None, &both), Err(Denied::View("item")));
        let denied = Err(Denied::Service("ranking"));
        assert_eq!(users.may_read(Some("ranking"), &both), denied);
        assert_eq!(users.may_read(Some("ranking"), &[]), denied);
        assert_eq!(users.may_read(None, &[]), Err(Denied::View("")));
        let nothing = key(0, None, Some(scope(&[], &[])));
        assert_eq!(nothing.may_read(None, &user), Err(Denied::View("user")));
    }
}
