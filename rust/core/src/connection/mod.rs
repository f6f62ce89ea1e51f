//! One connection to one server, without sockets and clocks.

mod config;
mod deadlines;
mod event;
mod handshake;
mod output;
mod queue;
mod raw;
mod receive;
mod sharing;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;
use std::time::Duration;

use crate::resp::{ReplyBuilder, Scanner, Token};
use handshake::Handshake;
use queue::{ExpectedReplies, Queue};
use receive::Recipient;
use window::Window;

pub use config::Config;
pub use event::{Event, HandshakeError, LostReason, ProtocolError, SubmitError, Ticket};
pub use handshake::ServerInfo;
pub use raw::RawJob;

/// A job that waits for the replies to its commands.
///
/// Tokens arrive as they are scanned, while the rest of the reply may still be under way, so a job
/// decodes in place and keeps nothing but its result.
pub trait Replies {
    /// How many replies belong to this job; the same at every call, until it goes on.
    fn expected(&self) -> usize;
    /// One token of the reply with this index, `0..expected`.
    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>);
    /// The reply with this index is whole.
    fn finish(&mut self, reply: usize);
    /// Reads the reply with this index from the start of `buf` and returns its length, if the whole
    /// reply is there and the job can read it without a scanner. `None` means that nothing has
    /// changed, and that the reply comes as tokens.
    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        let _ = (reply, buf);
        None
    }
    /// Whether a reply had a shape that no reply to its command has. It then most likely belongs to
    /// another command, and so do the replies behind it.
    fn is_out_of_step(&self) -> bool {
        false
    }
    /// Called when all replies are there: says whether the job has more commands to send on this
    /// connection before it is done. [`encode_rest`](Self::encode_rest) appends these, and their
    /// replies are counted from 0 again.
    fn goes_on(&mut self) -> bool {
        false
    }
    /// Appends the commands of a job that goes on, as many as it expects replies now.
    fn encode_rest(&self, out: &mut Vec<u8>) {
        let _ = out;
    }
    /// Whether its commands only read, so that jobs with equal commands can share the replies.
    fn is_shareable(&self) -> bool {
        false
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for [`Connection::handle_connected`].
    Connecting,
    /// Greeting, authenticating, selecting the database.
    Handshaking,
    /// Commands flow.
    Ready,
    /// For good. A driver that wants to go on makes a new connection.
    Closed,
}

/// The protocol of one connection, as a state machine that performs no I/O.
///
/// The driver owns the socket and the clock, and calls:
///
/// - [`handle_connected`](Self::handle_connected) once the socket is connected,
/// - [`handle_data`](Self::handle_data) with every piece of bytes received, however cut,
/// - [`handle_deadlines`](Self::handle_deadlines) when [`next_deadline`](Self::next_deadline) has
///   come,
/// - [`handle_closed`](Self::handle_closed) when the socket ended, or was given up.
///
/// After any of them, and after [`submit`](Self::submit) and [`cancel`](Self::cancel), it calls
/// [`poll_output`](Self::poll_output) until there is nothing more to send,
/// [`poll_event`](Self::poll_event) until there is nothing more to hear, and looks at
/// `next_deadline` again. Several submissions may share one `poll_output`: that is how the writes
/// of one turn of a loop leave in one send. Once [`state`](Self::state) is [`State::Closed`] the
/// driver closes the socket; the events say what became of the jobs.
///
/// Times are durations since an origin of the driver's choice, and never go back.
///
/// Guarantees:
///
/// - Every submitted job comes back exactly once: by [`Event::Done`], [`Event::TimedOut`] or
///   [`Event::Lost`], or from `cancel`.
/// - Replies are matched in order. A job that timed out or was cancelled after its commands left
///   stays behind as a tombstone: its replies are read and discarded. If its commands had not left,
///   they are never sent.
/// - A job that goes on after its replies keeps its ticket and its deadline, and queues behind the
///   jobs that were submitted meanwhile.
/// - Jobs that only read ([`Replies::is_shareable`]) share the replies if their commands are equal
///   and have not left yet: the commands are sent once, and each job decodes for itself. It still
///   has its own ticket and deadline, may be cancelled, and may go on. The shared commands are
///   sent, and their replies read, as long as one of these jobs waits.
/// - A job that may write ends the sharing with all jobs before it. So what a job reads is never
///   older than a write submitted before it, and never newer than one submitted after it. Reads
///   between the same two writes may be carried out in any order.
/// - Back-pressure: commands are sent ahead only for about 10 ms of the server's work, as measured,
///   and at least 64 of them. The commands of further jobs wait until the server has answered some.
///   All commands of one job leave together, however many they are.
/// - A message that the server pushed never reaches a job.
/// - Memory is bounded by [`Config`]; beyond these bounds `submit` refuses.
/// - Nothing can be trusted after bytes that are not RESP, a reply that nobody waits for, or a
///   reply whose shape does not fit its command. The connection then closes and every job is lost;
///   each is told whether it had been sent and how many of its replies were whole.
#[derive(Debug)]
pub struct Connection<T, J> {
    config: Config,
    state: State,
    scanner: Scanner,
    /// Received but not scanned: the beginning of an element whose end has not come yet.
    inbox: Vec<u8>,
    /// The recipient of the tokens of the reply under way.
    recipient: Recipient,
    handshake: Handshake,
    handshake_output: Vec<u8>,
    push: ReplyBuilder,
    queue: Queue<T, J>,
    window: Window,
    handshake_deadline: Duration,
    /// When the server last sent something, or began to owe an answer.
    heard: Duration,
    /// Whether it has answered any command since the handshake.
    has_answered: bool,
    /// The latest time that the driver gave.
    now: Duration,
    events: VecDeque<Event<T, J>>,
}

impl<T, J: Replies> Connection<T, J> {
    /// A connection that is being made.
    pub fn new(config: Config, now: Duration) -> Self {
        Connection {
            state: State::Connecting,
            scanner: Scanner::new(config.limits),
            inbox: Vec::new(),
            recipient: Recipient::Job,
            handshake: Handshake::default(),
            handshake_output: Vec::new(),
            push: ReplyBuilder::new(config.max_push),
            queue: Queue::default(),
            window: Window::default(),
            handshake_deadline: now.saturating_add(config.connect_timeout),
            heard: now,
            has_answered: false,
            now,
            events: VecDeque::new(),
            config,
        }
    }

    /// The state of the connection.
    pub fn state(&self) -> State {
        self.state
    }

    /// Jobs that were submitted and have not come back.
    pub fn in_flight(&self) -> usize {
        self.queue.live()
    }

    /// Whether the server has answered any command of a job.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Who the server said it is. Complete once ready; with RESP2 only the protocol is known.
    pub fn server(&self) -> &ServerInfo {
        &self.handshake.server
    }

    /// For how long the server has owed an answer without sending a byte.
    pub fn silent_for(&self, now: Duration) -> Option<Duration> {
        self.queue.is_owed().then(|| now.saturating_sub(self.heard))
    }

    /// The socket is connected: the handshake is ready to leave.
    pub fn handle_connected(&mut self, now: Duration) {
        if self.state == State::Connecting {
            self.state = State::Handshaking;
            self.heard = now;
            self.window.connected(now);
            self.handshake
                .start(&self.config, &mut self.handshake_output);
        }
    }

    /// Takes bytes from the server. On an error the connection is closed, and the events say what
    /// became of the jobs. Bytes after the end are ignored.
    pub fn handle_data(&mut self, data: &[u8], now: Duration) -> Result<(), ProtocolError> {
        if self.state == State::Closed {
            return Ok(());
        }
        (self.heard, self.now) = (now, now);
        let owed = self.queue.owed();
        let result = if self.inbox.is_empty() {
            self.scan(data)
                .map(|used| self.inbox.extend_from_slice(&data[used..]))
        } else {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(data);
            self.scan(&inbox).map(|used| self.keep(inbox, used))
        };
        let answered = owed - self.queue.owed();
        if answered > 0 {
            self.has_answered = true;
            self.window.answered(answered, owed - answered, now);
        }
        if let Err(error) = result {
            self.inbox = Vec::new();
            if self.state == State::Handshaking {
                self.events
                    .push_back(Event::HandshakeFailed(HandshakeError::protocol(error)));
            }
            self.close(LostReason::Protocol(error));
        }
        result
    }

    /// The socket ended. Every job that has not come back is in the events.
    pub fn handle_closed(&mut self, _now: Duration) {
        if matches!(self.state, State::Connecting | State::Handshaking) {
            self.events
                .push_back(Event::HandshakeFailed(HandshakeError::closed()));
        }
        self.close(LostReason::Closed);
    }

    /// Queues a job: `encode` appends its commands, as many as the job expects replies. `tag` is
    /// handed back with the job, whatever becomes of it.
    ///
    /// Until the connection is ready, jobs wait and their deadlines run. A job that expects no
    /// reply is done at once.
    pub fn submit(
        &mut self,
        tag: T,
        job: J,
        encode: impl FnOnce(&J, &mut Vec<u8>),
        deadline: Duration,
        now: Duration,
    ) -> Result<Ticket, SubmitError> {
        if self.state == State::Closed {
            return Err(SubmitError::Closed);
        }
        self.now = now;
        if deadline <= now {
            return Err(SubmitError::DeadlineExceeded);
        }
        // A server that does not answer must not make this queue grow, so tombstones count.
        if self.queue.len() >= self.config.max_in_flight
            || self.queue.bytes() >= self.config.max_bytes
        {
            return Err(SubmitError::Overloaded);
        }
        let expected = job.expected();
        if expected == 0 {
            let ticket = self.queue.push_nothing();
            self.events.push_back(Event::Done { ticket, tag, job });
            return Ok(ticket);
        }
        if self.queue.len() == 0 {
            self.heard = now;
        }
        let replies = ExpectedReplies {
            count: expected,
            shareable: job.is_shareable(),
        };
        Ok(self.queue.push(tag, job, replies, encode, deadline))
    }

    /// Gives a job back without its answer; `None` if it came back already.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<(T, J)> {
        let removed = self.queue.remove(ticket)?;
        Some((removed.tag, removed.job))
    }

    /// Ends what is due: jobs by [`Event::TimedOut`], the handshake by
    /// [`Event::HandshakeFailed`].
    pub fn handle_deadlines(&mut self, now: Duration) {
        if matches!(self.state, State::Connecting | State::Handshaking)
            && now >= self.handshake_deadline
        {
            self.fail_handshake(HandshakeError::timed_out());
            return;
        }
        while let Some(removed) = self.queue.remove_due(now) {
            self.events.push_back(Event::TimedOut {
                ticket: removed.ticket,
                tag: removed.tag,
                job: removed.job,
                answered: removed.answered,
                sent: removed.sent,
            });
        }
    }

    /// When [`handle_deadlines`](Self::handle_deadlines) has something to do. At once if events
    /// wait, because a job that needs no reply is done as soon as it is submitted.
    pub fn next_deadline(&mut self) -> Option<Duration> {
        if !self.events.is_empty() {
            return Some(Duration::ZERO);
        }
        let job = self.queue.next_deadline();
        match self.state {
            State::Connecting | State::Handshaking => {
                Some(job.map_or(self.handshake_deadline, |job| {
                    job.min(self.handshake_deadline)
                }))
            }
            State::Ready => job,
            State::Closed => None,
        }
    }

    /// Bytes to send, if there are any that may be sent now. They count as sent: the driver sends
    /// them or ends the connection. Afterwards it should give the buffer back by
    /// [`recycle`](Self::recycle).
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        if !self.handshake_output.is_empty() {
            return Some(std::mem::take(&mut self.handshake_output));
        }
        match self.state {
            State::Ready => {
                let output = self.queue.take_output(self.window.limit())?;
                let held = self.queue.unsent() > 0;
                self.window.sent(self.queue.owed(), held, self.now);
                Some(output)
            }
            _ => None,
        }
    }

    /// Whether commands may be sent now. There may be some although nothing was submitted: a job
    /// went on, or the server has answered some commands that it owed.
    pub fn has_output(&self) -> bool {
        self.queue.unsent() > 0 && self.queue.owed() < self.window.limit()
    }

    /// How many commands wait to be sent, now or later.
    pub fn unsent(&self) -> usize {
        self.queue.unsent()
    }

    /// Takes a buffer from `poll_output` back, for the next commands.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.queue.recycle(buffer);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event<T, J>> {
        self.events.pop_front()
    }

    fn fail_handshake(&mut self, error: HandshakeError) {
        let kind = error.kind;
        self.events.push_back(Event::HandshakeFailed(error));
        self.close(LostReason::Handshake(kind));
    }

    fn close(&mut self, reason: LostReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.handshake_output = Vec::new();
        for removed in self.queue.drain() {
            self.events.push_back(Event::Lost {
                ticket: removed.ticket,
                tag: removed.tag,
                job: removed.job,
                answered: removed.answered,
                sent: removed.sent,
                reason,
            });
        }
    }

    /// Puts the inbox back without its first `used` bytes.
    fn keep(&mut self, mut inbox: Vec<u8>, used: usize) {
        const LARGEST_KEPT: usize = 1 << 20;
        if used == inbox.len() && inbox.capacity() > LARGEST_KEPT {
            inbox = Vec::new();
        } else {
            inbox.drain(..used);
        }
        self.inbox = inbox;
    }
}
