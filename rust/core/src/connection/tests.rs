//! Both ends simulated, in virtual time.

mod again;
mod handshake;
mod oracle;
mod server;
mod shapes;
mod sharing;
mod tickets;
mod window;

use std::time::Duration;

use super::*;
use crate::resp::{Reply, encode};
use server::Server;

/// Asks for its own name a number of times, and knows what a right answer looks like.
#[derive(Debug)]
struct Echo {
    name: String,
    /// READs are shared, and are answered with the number of WRITEs before.
    verb: &'static str,
    expected: usize,
    replies: Vec<String>,
    whole: usize,
    /// How many more times it sends all of its commands.
    more: usize,
    /// Whether it reads whole replies by itself.
    reads_whole: bool,
}

impl Echo {
    fn new(name: impl Into<String>, expected: usize) -> Self {
        Echo {
            name: name.into(),
            verb: "ECHO",
            expected,
            replies: Vec::new(),
            whole: 0,
            more: 0,
            reads_whole: false,
        }
    }

    fn read(name: impl Into<String>, expected: usize) -> Self {
        Echo {
            verb: "READ",
            ..Echo::new(name, expected)
        }
    }

    fn write(name: impl Into<String>) -> Self {
        Echo {
            verb: "WRITE",
            ..Echo::new(name, 1)
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for index in 0..self.expected {
            encode::command(out, &[self.verb, &format!("{} {index}", self.name)]);
        }
    }

    /// Every reply so far is this job's own and in its place.
    fn assert_own(&self) {
        for (index, reply) in self.replies.iter().enumerate() {
            let asked = reply.split('@').next().unwrap();
            assert_eq!(asked, format!("{} {index}", self.name));
        }
    }

    /// How many WRITEs came before each of its replies.
    fn versions(&self) -> Vec<usize> {
        let version = |reply: &String| reply.split_once('@').unwrap().1.parse().unwrap();
        self.replies.iter().map(version).collect()
    }
}

impl Replies for Echo {
    fn expected(&self) -> usize {
        self.expected
    }

    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>) {
        assert_eq!((reply, depth), (self.replies.len(), 0));
        let Token::Blob(text) = token else {
            panic!("{token:?}")
        };
        self.replies.push(String::from_utf8(text.to_vec()).unwrap());
    }

    fn finish(&mut self, reply: usize) {
        assert_eq!(reply, self.whole);
        self.whole += 1;
        assert_eq!(self.replies.len(), self.whole);
    }

    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        assert_eq!(reply, self.replies.len());
        let text = std::str::from_utf8(buf).unwrap();
        let (header, rest) = text.strip_prefix('$')?.split_once("\r\n")?;
        let text = rest.get(..header.parse().ok()?)?;
        let length = 1 + header.len() + 2 + text.len() + 2;
        if !self.reads_whole || length > buf.len() {
            return None;
        }
        self.replies.push(text.to_owned());
        Some(length)
    }

    fn goes_on(&mut self) -> bool {
        let goes_on = self.more > 0;
        if goes_on {
            self.more -= 1;
            self.replies.clear();
            self.whole = 0;
        }
        goes_on
    }

    fn encode_rest(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn is_shareable(&self) -> bool {
        self.verb == "READ"
    }
}

/// A connection, a server, and the time.
struct Pair {
    /// Its jobs are tagged with how many were submitted before.
    connection: Connection<usize, Echo>,
    submitted: usize,
    server: Server,
    now: Duration,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pair {
    fn new(config: Config, server: Server) -> Self {
        let now = Duration::from_secs(1000);
        Pair {
            connection: Connection::new(config, now),
            submitted: 0,
            server,
            now,
        }
    }

    /// Connected, greeted, and nothing left to hear.
    fn ready() -> Self {
        Pair::ready_with(Config::default())
    }

    fn ready_with(config: Config) -> Self {
        let mut pair = Pair::new(config, Server::default());
        pair.connection.handle_connected(pair.now);
        pair.exchange();
        assert!(matches!(pair.connection.poll_event(), Some(Event::Ready)));
        pair.server.commands.clear();
        pair
    }

    fn submit(&mut self, name: &str, expected: usize, timeout: Duration) -> Ticket {
        self.try_submit(Echo::new(name, expected), timeout).unwrap()
    }

    fn try_submit(&mut self, echo: Echo, timeout: Duration) -> Result<Ticket, SubmitError> {
        let deadline = self.now + timeout;
        let tag = self.submitted;
        self.submitted += 1;
        self.connection
            .submit(tag, echo, Echo::encode, deadline, self.now)
    }

    /// Sends all output.
    fn flush(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            self.server.receive(&output);
            self.connection.recycle(output);
        }
    }

    /// Lets the server answer everything, until both are at rest.
    fn exchange(&mut self) {
        loop {
            self.flush();
            let answer = self.server.take_output();
            if answer.is_empty() {
                return;
            }
            if self.connection.handle_data(&answer, self.now).is_err() {
                return;
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.connection.handle_deadlines(self.now);
    }

    fn events(&mut self) -> Vec<Event<usize, Echo>> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    /// The names of the jobs that are done, which must be the only events.
    fn done(&mut self) -> Vec<String> {
        self.events()
            .into_iter()
            .map(|event| match event {
                Event::Done { job, .. } => {
                    assert_eq!(job.whole, job.expected);
                    job.assert_own();
                    job.name
                }
                event => panic!("{event:?}"),
            })
            .collect()
    }
}
