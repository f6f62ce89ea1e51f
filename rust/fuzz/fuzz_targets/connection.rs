//! A connection under any order of calls, with a server that answers right, or sends garbage.
//! Nothing panics, every job comes back once, and with the right replies if the server sent no
//! garbage.
#![no_main]

use std::collections::HashMap;
use std::time::Duration;

use arbitrary::Arbitrary;
use fscore_core::connection::{Config, Connection, Event, Replies, Ticket};
use fscore_core::resp::{Token, encode};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum DriverCall {
    Submit {
        replies: u8,
        timeout_ms: u8,
        /// Its commands are equal to those of other jobs with this number, and may be shared.
        same: Option<u8>,
    },
    Cancel(u8),
    Flush,
    /// This many bytes of the right answers arrive.
    Answer(u8),
    Push,
    /// These bytes arrive.
    Garbage(Vec<u8>),
    Wait(u8),
    Close,
}

#[derive(Debug)]
struct Job {
    /// What it asks for.
    key: u64,
    reads_whole: bool,
    shareable: bool,
    expected: usize,
    right: bool,
}

impl Replies for Job {
    fn expected(&self) -> usize {
        self.expected
    }

    fn token(&mut self, reply: usize, _depth: usize, token: Token<'_>) {
        assert!(reply < self.expected);
        self.right &= token == Token::Integer(answer(self.key, reply));
    }

    fn finish(&mut self, _reply: usize) {}

    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        let expected = format!(":{}\r\n", answer(self.key, reply));
        let reads = self.reads_whole && buf.starts_with(expected.as_bytes());
        reads.then_some(expected.len())
    }

    fn is_shareable(&self) -> bool {
        self.shareable
    }
}

fn answer(key: u64, reply: usize) -> i64 {
    key as i64 * 8 + reply as i64
}

fuzz_target!(|input: (bool, Vec<DriverCall>)| {
    let (resp3, calls) = input;
    let mut now = Duration::ZERO;
    let config = Config {
        prefer_resp3: resp3,
        max_in_flight: 100,
        max_bytes: 5_000,
        ..Config::default()
    };
    // Jobs are tagged with their numbers.
    let mut connection: Connection<u64, Job> = Connection::new(config, now);
    connection.handle_connected(now);
    let _ = connection.poll_output();
    let greeting: &[u8] = if resp3 {
        b"%0\r\n+OK\r\n+OK\r\n"
    } else {
        b"+OK\r\n+OK\r\n"
    };
    connection.handle_data(greeting, now).unwrap();
    assert!(matches!(connection.poll_event(), Some(Event::Ready)));

    let mut open: HashMap<Ticket, u64> = HashMap::new();
    let mut tickets = Vec::new();
    let mut wire: Vec<u8> = Vec::new();
    let mut honest = true;
    let mut next_id = 0;
    for call in calls {
        match call {
            DriverCall::Submit {
                replies,
                timeout_ms,
                same,
            } => {
                let expected = usize::from(replies % 5);
                let job = Job {
                    key: same.map_or(u64::from(u8::MAX) + next_id, |same| u64::from(same % 4)),
                    // Every other job reads whole replies by itself.
                    reads_whole: next_id % 2 == 0,
                    shareable: same.is_some(),
                    expected,
                    right: true,
                };
                let deadline = now + Duration::from_millis(timeout_ms.into());
                let encode = |job: &Job, out: &mut Vec<u8>| {
                    for reply in 0..job.expected {
                        encode::write_integer(out, answer(job.key, reply));
                    }
                };
                if let Ok(ticket) = connection.submit(next_id, job, encode, deadline, now) {
                    assert!(open.insert(ticket, next_id).is_none());
                    tickets.push(ticket);
                }
                next_id += 1;
            }
            DriverCall::Cancel(back) => {
                let index = tickets.len().checked_sub(usize::from(back) + 1);
                if let Some(index) = index
                    && let Some((id, job)) = connection.cancel(tickets[index])
                {
                    assert_eq!(open.remove(&tickets[index]), Some(id));
                    assert!(job.right || !honest);
                }
            }
            DriverCall::Flush => flush(&mut connection, &mut wire),
            DriverCall::Answer(count) => {
                let count = usize::from(count).min(wire.len());
                let piece: Vec<u8> = wire.drain(..count).collect();
                let result = connection.handle_data(&piece, now);
                assert!(result.is_ok() || !honest);
            }
            // After everything answered so far, which is between two replies.
            DriverCall::Push => wire.extend_from_slice(b">1\r\n+x\r\n"),
            DriverCall::Garbage(bytes) => {
                honest = false;
                let _ = connection.handle_data(&bytes, now);
            }
            DriverCall::Wait(ms) => {
                now += Duration::from_millis(ms.into());
                connection.handle_deadlines(now);
                hear(&mut connection, &mut open, honest);
                assert!(
                    connection
                        .next_deadline()
                        .is_none_or(|deadline| deadline > now)
                );
            }
            DriverCall::Close => connection.handle_closed(now),
        }
        hear(&mut connection, &mut open, honest);
        assert_eq!(connection.in_flight(), open.len());
    }
    if honest {
        // Commands that wait for the window leave after replies.
        while connection.has_output() || !wire.is_empty() {
            flush(&mut connection, &mut wire);
            connection
                .handle_data(&std::mem::take(&mut wire), now)
                .unwrap();
        }
        hear(&mut connection, &mut open, honest);
        assert!(open.is_empty());
    }
    connection.handle_closed(now);
    hear(&mut connection, &mut open, honest);
    assert!(open.is_empty());
});

/// Answers what was sent: an argument `$n\r\n<digits>\r\n` by the integer it is.
fn flush(connection: &mut Connection<u64, Job>, wire: &mut Vec<u8>) {
    while let Some(output) = connection.poll_output() {
        let mut lines = output.split(|&byte| byte == b'\n');
        while let (Some(_length), Some(digits)) = (lines.next(), lines.next()) {
            wire.push(b':');
            wire.extend_from_slice(digits);
            wire.push(b'\n');
        }
        connection.recycle(output);
    }
}

fn hear(connection: &mut Connection<u64, Job>, open: &mut HashMap<Ticket, u64>, honest: bool) {
    while let Some(event) = connection.poll_event() {
        let (ticket, id, job) = match event {
            Event::Done { ticket, tag, job }
            | Event::TimedOut {
                ticket, tag, job, ..
            }
            | Event::Lost {
                ticket, tag, job, ..
            } => (ticket, tag, job),
            Event::Push(_) => continue,
            event => panic!("{event:?}"),
        };
        assert_eq!(open.remove(&ticket), Some(id));
        assert!(job.right || !honest);
    }
}
