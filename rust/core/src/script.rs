//! Lua scripts: how they are called, and what happens if a server does not know one.

use std::sync::OnceLock;

use crate::connection::Replies;
use crate::resp::encode::{command, write_array_header, write_blob, write_integer};
use crate::resp::token::Token;

/// Finds when the current session of a series began, and its newest event; see the script itself.
pub static SESSION: Script = Script::reading("session", include_str!("script/session.lua"));

/// Writes rows of a view to hashes, and keeps the newest; see the script itself.
pub(crate) static HASH_ROWS: Script = Script::writing(
    "hash_rows",
    concat!(
        include_str!("script/bytes.lua"),
        include_str!("script/hash_rows.lua")
    ),
);

/// Writes packed rows, and keeps the newest; see the script itself.
pub(crate) static PACKED_ROWS: Script = Script::writing(
    "packed_rows",
    concat!(
        include_str!("script/bytes.lua"),
        include_str!("script/packed_rows.lua")
    ),
);

/// Adds events to a series and its tiles; see the script itself.
pub(crate) static SERIES_TILES: Script = Script::writing(
    "series_tiles",
    concat!(
        include_str!("script/bytes.lua"),
        include_str!("script/series_tiles.lua")
    ),
);

/// Copies a row to the other layout, if it is still what was read; see the script itself.
pub(crate) static COPY_ROW: Script =
    Script::writing("copy_row", include_str!("script/copy_row.lua"));

/// A script that is called by its digest.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    body: &'static str,
    /// The command that calls it.
    command: &'static str,
    sha1: OnceLock<String>,
}

impl Script {
    const fn reading(name: &'static str, body: &'static str) -> Self {
        Self {
            name,
            body,
            // Replicas and users without the right to write may run this one.
            command: "EVALSHA_RO",
            sha1: OnceLock::new(),
        }
    }

    const fn writing(name: &'static str, body: &'static str) -> Self {
        Self {
            name,
            body,
            command: "EVALSHA",
            sha1: OnceLock::new(),
        }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The Lua source.
    pub fn body(&self) -> &'static str {
        self.body
    }

    /// The digest of the source, in lowercase hexadecimal, under which servers know it.
    pub fn sha1(&self) -> &str {
        self.sha1
            .get_or_init(|| sha1_smol::Sha1::from(self.body).digest().to_string())
    }

    /// Appends the beginning of a call. The caller appends the keys and then the arguments, as many
    /// as it says here, each by [`write_blob`].
    pub fn call(&self, out: &mut Vec<u8>, keys: usize, arguments: usize) {
        write_array_header(out, 3 + keys + arguments);
        write_blob(out, self.command.as_bytes());
        write_blob(out, self.sha1().as_bytes());
        write_integer(out, keys as i64);
    }

    /// Appends the command that loads it.
    pub fn load(&self, out: &mut Vec<u8>) {
        command(out, &["SCRIPT", "LOAD", self.body]);
    }
}

/// Whether an error reply says that the server does not know the script. Nothing was changed then.
pub fn is_unknown(error: &[u8]) -> bool {
    error.starts_with(b"NOSCRIPT")
}

/// Commands, some of which call scripts.
pub trait Calls: Replies {
    /// The scripts, each once.
    fn scripts(&self) -> Vec<&'static Script>;
    /// Appends the commands, as many as replies are expected.
    fn encode(&self, out: &mut Vec<u8>);
    /// Called when all replies came. If some say that a script is unknown, keeps only the commands
    /// that have to be sent again, expects their replies from the first on, and returns true.
    fn keep_unknown(&mut self) -> bool;
}

/// How often scripts are loaded for the same commands. Once is enough, unless somebody flushes the
/// scripts before the calls: the server may read in pieces what was sent together.
const MOST_LOADS: usize = 3;

/// Commands that call scripts, and load these if the server does not know them. Only the calls that
/// were refused are sent again, on the same connection behind `SCRIPT LOAD`.
#[derive(Debug)]
pub struct Scripted<C> {
    calls: C,
    loading: Loading,
    loads: usize,
}

#[derive(Debug, Default)]
enum Loading {
    #[default]
    NotNeeded,
    /// These are loaded before the calls; and the first error that `SCRIPT LOAD` was answered with.
    Ahead(Vec<&'static Script>, Option<String>),
}

impl<C: Calls> Scripted<C> {
    /// These commands, with nothing sent yet.
    pub fn new(calls: C) -> Self {
        Self {
            calls,
            loading: Loading::NotNeeded,
            loads: 0,
        }
    }

    /// The commands.
    pub fn calls(&self) -> &C {
        &self.calls
    }

    /// The commands, by value.
    pub fn into_calls(self) -> C {
        self.calls
    }

    /// Appends the commands, behind those that load scripts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Loading::Ahead(scripts, _) = &self.loading {
            for script in scripts {
                script.load(out);
            }
        }
        self.calls.encode(out);
    }

    /// The server's error, if it refused to load a script.
    pub fn not_loaded(&self) -> Option<&str> {
        match &self.loading {
            Loading::Ahead(_, error) => error.as_deref(),
            Loading::NotNeeded => None,
        }
    }

    /// How many replies come before those of the calls.
    fn loading_replies(&self) -> usize {
        match &self.loading {
            Loading::Ahead(scripts, _) => scripts.len(),
            Loading::NotNeeded => 0,
        }
    }
}

impl<C: Calls> Replies for Scripted<C> {
    fn expected(&self) -> usize {
        self.loading_replies() + self.calls.expected()
    }

    #[inline]
    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>) {
        match &mut self.loading {
            Loading::Ahead(scripts, error) if reply < scripts.len() => {
                if let Token::Error(text) = token {
                    error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                }
            }
            Loading::Ahead(scripts, _) => self.calls.token(reply - scripts.len(), depth, token),
            Loading::NotNeeded => self.calls.token(reply, depth, token),
        }
    }

    #[inline]
    fn finish(&mut self, reply: usize) {
        if let Some(reply) = reply.checked_sub(self.loading_replies()) {
            self.calls.finish(reply);
        }
    }

    #[inline]
    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        self.calls
            .whole(reply.checked_sub(self.loading_replies())?, buf)
    }

    fn is_out_of_step(&self) -> bool {
        self.calls.is_out_of_step()
    }

    fn goes_on(&mut self) -> bool {
        let again = self.loads < MOST_LOADS && self.not_loaded().is_none();
        let again = again && self.calls.keep_unknown();
        if again {
            self.loads += 1;
            self.loading = Loading::Ahead(self.calls.scripts(), None);
        }
        again
    }

    fn encode_rest(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn is_shareable(&self) -> bool {
        self.calls.is_shareable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIRST: Script = Script::reading("first", "return 1");
    static SECOND: Script = Script::reading("second", "return 2");

    /// Calls a script with each of some keys, and keeps what was answered.
    #[derive(Debug, Default)]
    struct Caller {
        keys: Vec<&'static str>,
        answers: Vec<(&'static str, String)>,
        unknown: Vec<&'static str>,
    }

    impl Replies for Caller {
        fn expected(&self) -> usize {
            self.keys.len()
        }

        fn token(&mut self, reply: usize, _depth: usize, token: Token<'_>) {
            let key = self.keys[reply];
            match token {
                Token::Error(text) if is_unknown(text) => self.unknown.push(key),
                token => self.answers.push((key, format!("{token:?}"))),
            }
        }

        fn finish(&mut self, _reply: usize) {}
    }

    impl Calls for Caller {
        fn scripts(&self) -> Vec<&'static Script> {
            vec![&FIRST, &SECOND]
        }

        fn encode(&self, out: &mut Vec<u8>) {
            for key in &self.keys {
                FIRST.call(out, 1, 0);
                write_blob(out, key.as_bytes());
            }
        }

        fn keep_unknown(&mut self) -> bool {
            self.keys = std::mem::take(&mut self.unknown);
            !self.keys.is_empty()
        }
    }

    fn sent(job: &Scripted<Caller>) -> String {
        let mut out = Vec::new();
        job.encode(&mut out);
        String::from_utf8(out).unwrap().replace("\r\n", " ")
    }

    fn answer(job: &mut Scripted<Caller>, tokens: &[Token<'_>]) {
        assert_eq!(job.expected(), tokens.len());
        for (reply, token) in tokens.iter().enumerate() {
            job.token(reply, 0, *token);
            job.finish(reply);
        }
    }

    const UNKNOWN: Token<'static> = Token::Error(b"NOSCRIPT No matching script.");
    const DIGEST: Token<'static> = Token::Blob(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");

    fn job() -> Scripted<Caller> {
        Scripted::new(Caller {
            keys: vec!["a", "b", "c"],
            ..Caller::default()
        })
    }

    #[test]
    fn a_call_names_the_digest() {
        let mut out = Vec::new();
        FIRST.call(&mut out, 1, 2);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "*6\r\n$10\r\nEVALSHA_RO\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n\
             $1\r\n1\r\n"
        );
    }

    #[test]
    fn scripts_that_a_server_knows_are_not_loaded() {
        let mut job = job();
        assert!(!sent(&job).contains("SCRIPT"));
        answer(&mut job, &[Token::Integer(1); 3]);
        assert!(!job.goes_on());
    }

    #[test]
    fn only_calls_that_were_refused_are_sent_again() {
        let mut job = job();
        answer(&mut job, &[UNKNOWN, Token::Integer(1), UNKNOWN]);
        assert!(job.goes_on());
        let load = "*3 $6 SCRIPT $4 LOAD $8 return 1 *3 $6 SCRIPT $4 LOAD $8 return 2 ";
        let call = |key: &str| {
            format!("*4 $10 EVALSHA_RO $40 e0e1f9fabfc9d4800c877a703b823ac0578ff8db $1 1 $1 {key} ")
        };
        assert_eq!(sent(&job), format!("{load}{}{}", call("a"), call("c")));
        answer(&mut job, &[DIGEST, DIGEST, Token::Integer(2), UNKNOWN]);
        // Unknown again, as after another flush.
        for _ in 1..MOST_LOADS {
            assert!(job.goes_on());
            assert_eq!(sent(&job), format!("{load}{}", call("c")));
            answer(&mut job, &[DIGEST, DIGEST, UNKNOWN]);
        }
        // And again: the caller hears of it.
        assert!(!job.goes_on());
        assert_eq!(job.not_loaded(), None);
        let answers = job.into_calls().answers;
        let of = |key, text: &str| (key, text.to_owned());
        assert_eq!(answers, [of("b", "Integer(1)"), of("a", "Integer(2)")]);
    }

    #[test]
    fn a_refusal_to_load_is_kept() {
        let mut job = job();
        answer(&mut job, &[UNKNOWN; 3]);
        assert!(job.goes_on());
        let refused = Token::Error(b"NOPERM this user has no permissions");
        answer(
            &mut job,
            &[refused, DIGEST, UNKNOWN, UNKNOWN, Token::Integer(1)],
        );
        assert!(!job.goes_on());
        assert_eq!(
            job.not_loaded(),
            Some("NOPERM this user has no permissions")
        );
    }
}
