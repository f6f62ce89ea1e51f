//! A batch that is being sent, and the server's replies.

use std::sync::Arc;

use super::batch::{ExpectedReply, WriteBatch};
use crate::connection::Replies;
use crate::convert::index_u32;
use crate::resp::encode::each_command;
use crate::resp::token::Token;
use crate::script::{Calls, Script, is_unknown};

/// The most rejected rows whose errors are kept. All are counted.
const MAX_REJECTED: usize = 32;

/// A [`WriteBatch`] that is being sent.
#[derive(Debug)]
pub struct WritePart {
    batch: Arc<WriteBatch>,
    outcome: Outcome,
    /// Commands that called a script which the server does not know, and the server's error.
    unknown: Vec<u32>,
    unknown_words: String,
    /// The commands that are sent again; `None` while all are sent.
    again: Option<Vec<u32>>,
    verdict: Verdict,
    out_of_step: bool,
}

/// The server's replies to a [`WriteBatch`].
#[derive(Debug, Default)]
pub struct Outcome {
    /// The rows that changed or removed something, as far as replies say.
    pub effective: usize,
    /// The number of rows that the server refused.
    pub rejected: usize,
    /// The first of those: the row and the server's error.
    pub rejections: Vec<(u32, String)>,
    /// The last row that was counted. It may have several commands.
    counted: Option<u32>,
}

/// The state of an array that says which rows of a command failed.
#[derive(Debug, Default)]
struct Verdict {
    /// Whether the number of effective rows has come.
    begun: bool,
    /// The row whose error comes next.
    row: Option<u32>,
}

impl WritePart {
    /// Sends `batch` once.
    pub fn new(batch: Arc<WriteBatch>) -> Self {
        Self {
            batch,
            outcome: Outcome::default(),
            unknown: Vec::new(),
            unknown_words: String::new(),
            again: None,
            verdict: Verdict::default(),
            out_of_step: false,
        }
    }

    /// The batch.
    pub fn batch(&self) -> &Arc<WriteBatch> {
        &self.batch
    }

    /// The server's replies.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Why rows were refused, if some were: the server's error for the first of them.
    pub fn refusal(&self) -> Option<&str> {
        let rejected = self.outcome.rejections.first();
        let unknown = (!self.unknown.is_empty()).then_some(self.unknown_words.as_str());
        rejected.map(|(_, words)| words.as_str()).or(unknown)
    }

    fn command(&self, reply: usize) -> u32 {
        self.again
            .as_ref()
            .map_or(index_u32(reply), |commands| commands[reply])
    }

    /// The reply itself, or the head of it.
    fn head(&mut self, reply: usize, token: Token<'_>) {
        let command = self.command(reply);
        let sent = self.batch.sent()[command as usize];
        match (token, sent.expected) {
            (Token::Error(text), ExpectedReply::Verdict) if is_unknown(text) => {
                if self.unknown.is_empty() {
                    self.unknown_words = String::from_utf8_lossy(text).into_owned();
                }
                self.unknown.push(command);
            }
            (Token::Error(text), _) => self.outcome.reject(sent.row, text),
            (Token::Integer(0), ExpectedReply::Effect)
            | (Token::Integer(_), ExpectedReply::Integer)
            | (Token::Simple(_), ExpectedReply::Done)
            | (Token::Array(_), ExpectedReply::Integers) => {}
            (Token::Integer(_), ExpectedReply::Effect) => {
                if self.outcome.counted.replace(sent.row) != Some(sent.row) {
                    self.outcome.effective += 1;
                }
            }
            (Token::Integer(rows), ExpectedReply::Verdict) => {
                self.outcome.effective += usize::try_from(rows).unwrap_or_default();
            }
            (Token::Array(_), ExpectedReply::Verdict) => self.verdict = Verdict::default(),
            _ => self.out_of_step = true,
        }
    }

    /// An element of an array that says which rows failed.
    fn failure(&mut self, reply: usize, token: Token<'_>) {
        let first = self.batch.sent()[self.command(reply) as usize].row;
        match (token, self.verdict.row.take()) {
            (Token::Integer(rows), None) if !self.verdict.begun => {
                self.verdict.begun = true;
                self.outcome.effective += usize::try_from(rows).unwrap_or_default();
            }
            (Token::Integer(position), None) => match u32::try_from(position) {
                Ok(position @ 1..) => self.verdict.row = Some(first + position - 1),
                _ => self.out_of_step = true,
            },
            (Token::Blob(text) | Token::Simple(text), Some(row)) => {
                self.outcome.reject(row, text);
            }
            _ => self.out_of_step = true,
        }
    }
}

impl Outcome {
    fn reject(&mut self, row: u32, error: &[u8]) {
        self.rejected += 1;
        if self.rejections.len() < MAX_REJECTED {
            let error = String::from_utf8_lossy(error).into_owned();
            self.rejections.push((row, error));
        }
    }
}

impl Replies for WritePart {
    fn expected(&self) -> usize {
        self.again.as_ref().map_or(self.batch.len(), Vec::len)
    }

    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>) {
        if depth == 0 {
            self.head(reply, token);
            return;
        }
        let answer = self.batch.sent()[self.command(reply) as usize].expected;
        match (answer, token) {
            (ExpectedReply::Verdict, token) => self.failure(reply, token),
            (ExpectedReply::Integers, Token::Integer(_)) => {}
            _ => self.out_of_step = true,
        }
    }

    fn finish(&mut self, _reply: usize) {}

    fn is_out_of_step(&self) -> bool {
        self.out_of_step
    }
}

impl Calls for WritePart {
    fn scripts(&self) -> Vec<&'static Script> {
        self.batch.scripts().to_vec()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Some(again) = &self.again else {
            out.extend_from_slice(self.batch.commands());
            return;
        };
        let mut wanted = again.iter().copied().peekable();
        for (index, command) in each_command(self.batch.commands()).enumerate() {
            if wanted.next_if_eq(&index_u32(index)).is_some() {
                out.extend_from_slice(command);
            }
        }
    }

    fn keep_unknown(&mut self) -> bool {
        if self.unknown.is_empty() {
            return false;
        }
        self.again = Some(std::mem::take(&mut self.unknown));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode::write_blob;
    use crate::script::{SESSION, Scripted};

    fn batch(answers: &[ExpectedReply]) -> WritePart {
        let mut batch = WriteBatch::default();
        for (row, &answer) in (0..).step_by(10).zip(answers) {
            let out = match answer {
                ExpectedReply::Verdict => batch.call(&SESSION, 1, 0, row, answer),
                _ => batch.command(b"X", b"k", 1, row, answer),
            };
            write_blob(out, row.to_string().as_bytes());
        }
        WritePart::new(Arc::new(batch))
    }

    #[test]
    fn rows_are_counted_once() {
        let mut part = batch(&[
            ExpectedReply::Effect,
            ExpectedReply::Done,
            ExpectedReply::Verdict,
            ExpectedReply::Integer,
        ]);
        let replies = [
            Token::Integer(3),
            Token::Simple(b"OK"),
            Token::Integer(2),
            Token::Integer(7),
        ];
        for (reply, token) in replies.into_iter().enumerate() {
            part.token(reply, 0, token);
        }
        assert_eq!(part.outcome().effective, 3);
        assert_eq!(part.outcome().rejected, 0);
        assert!(!part.is_out_of_step());
    }

    #[test]
    fn a_verdict_names_the_rows_that_failed() {
        let mut part = batch(&[ExpectedReply::Integer, ExpectedReply::Verdict]);
        part.token(0, 0, Token::Error(b"OOM command not allowed"));
        part.token(1, 0, Token::Array(5));
        for token in [
            Token::Integer(4),
            Token::Integer(1),
            Token::Blob(b"WRONGTYPE Operation"),
            Token::Integer(6),
            Token::Blob(b"OOM"),
        ] {
            part.token(1, 1, token);
        }
        assert_eq!(part.outcome().effective, 4);
        let of = |row, text: &str| (row, text.to_owned());
        assert_eq!(
            part.outcome().rejections,
            [
                of(0, "OOM command not allowed"),
                of(10, "WRONGTYPE Operation"),
                of(15, "OOM"),
            ]
        );
        assert!(!part.is_out_of_step());
    }

    #[test]
    fn answers_of_another_shape_are_out_of_step() {
        for (answer, token) in [
            (ExpectedReply::Done, Token::Integer(1)),
            (ExpectedReply::Integer, Token::Simple(b"OK")),
            (ExpectedReply::Effect, Token::Array(1)),
            (ExpectedReply::Verdict, Token::Null),
            (ExpectedReply::Verdict, Token::Blob(b"1")),
            (ExpectedReply::Integers, Token::Integer(1)),
        ] {
            let mut part = batch(&[answer]);
            part.token(0, 0, token);
            assert!(part.is_out_of_step(), "{answer:?} {token:?}");
        }
        for tokens in [
            [Token::Blob(b"x"), Token::Integer(1)],
            [Token::Integer(1), Token::Blob(b"x")],
            [Token::Integer(1), Token::Integer(0)],
        ] {
            let mut part = batch(&[ExpectedReply::Verdict]);
            part.token(0, 0, Token::Array(2));
            for token in tokens {
                part.token(0, 1, token);
            }
            assert!(part.is_out_of_step(), "{tokens:?}");
        }
    }

    #[test]
    fn calls_of_an_unknown_script_are_sent_again_and_the_others_keep_their_outcome() {
        let shapes = [
            ExpectedReply::Integer,
            ExpectedReply::Verdict,
            ExpectedReply::Verdict,
            ExpectedReply::Verdict,
        ];
        let mut job = Scripted::new(batch(&shapes));
        let unknown = Token::Error(b"NOSCRIPT No matching script.");
        for (reply, token) in [Token::Integer(1), unknown, Token::Integer(1), unknown]
            .into_iter()
            .enumerate()
        {
            job.token(reply, 0, token);
        }
        assert!(job.goes_on());
        let mut out = Vec::new();
        job.encode(&mut out);
        let out = String::from_utf8(out).unwrap().replace("\r\n", " ");
        let call = |row| format!("*4 $10 EVALSHA_RO $40 {} $1 1 $2 {row} ", SESSION.sha1());
        let (_, calls) = out.rsplit_once("until ended").unwrap();
        assert!(
            calls.ends_with(&format!("{}{}", call(10), call(30))),
            "{calls}"
        );
        assert_eq!(job.calls().refusal(), None);
        assert_eq!(job.expected(), 3);
        job.token(0, 0, Token::Blob(SESSION.sha1().as_bytes()));
        job.token(1, 0, Token::Integer(1));
        job.token(2, 0, unknown);
        assert_eq!(job.calls().refusal(), Some("NOSCRIPT No matching script."));
        assert_eq!(job.calls().outcome().effective, 2);
        job.token(2, 0, Token::Error(b"OOM command not allowed"));
        assert_eq!(job.calls().refusal(), Some("OOM command not allowed"));
    }
}
