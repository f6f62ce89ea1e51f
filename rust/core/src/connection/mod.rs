//! One connection to one server, without sockets and clocks.

mod config;
mod deadlines;
mod event;
mod handshake;
mod raw;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::resp::{Reply, ReplyBuilder, Scanned, Scanner, Token};
use deadlines::Deadlines;
use handshake::{Handshake, Progress};

pub use config::Config;
pub use event::{Event, HandshakeError, LostReason, ProtocolError, SubmitError, Ticket};
pub use handshake::ServerInfo;
pub use raw::RawJob;

/// What waits for the replies to its commands.
///
/// Tokens arrive as they are scanned, while the rest of the reply may still be under way, so a job
/// decodes in place and keeps nothing but its result.
pub trait Replies {
    /// How many replies belong to this job; the same at every call.
    fn expected(&self) -> usize;
    /// One token of the reply with this index, `0..expected`.
    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>);
    /// The reply with this index is whole.
    fn finish(&mut self, reply: usize);
    /// Reads the reply with this index from the start of `buf`, if it is there whole and the job
    /// knows its shape so well that it needs no scanner; returns its length. `None` has changed
    /// nothing, and the reply comes as tokens.
    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        let _ = (reply, buf);
        None
    }
    /// Whether a reply was of no shape that its command's have. Then it is most likely another
    /// command's, and so are those behind it.
    fn is_out_of_step(&self) -> bool {
        false
    }
}

/// Where a connection stands.
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
/// `next_deadline` again. Several submissions may share one `poll_output`: that is how the writes of
/// one turn of a loop leave in one send. Once [`state`](Self::state) is [`State::Closed`] the driver
/// closes the socket; what was still to be heard is in the events.
///
/// Times are durations since an origin of the driver's choice, and never go back.
///
/// What holds:
///
/// - Every submitted job comes back exactly once: by [`Event::Done`], [`Event::TimedOut`] or
///   [`Event::Lost`], or from `cancel`.
/// - Replies are matched in order. A job that timed out or was cancelled after its commands left
///   stays behind as a tombstone, whose replies are read and discarded; one whose commands had not
///   left is never sent.
/// - A message that the server pushed never reaches a job.
/// - Memory is bounded by [`Config`]; beyond, `submit` refuses.
/// - After bytes that are not RESP, or a reply that nobody waits for or that is of another shape than
///   its command's, nothing is known any more: the connection closes and every job is lost, each
///   told whether it had been sent and how many of its replies were whole.
#[derive(Debug)]
pub struct Connection<J> {
    config: Config,
    state: State,
    scanner: Scanner,
    /// Received but not scanned: the beginning of an element whose end is still to come.
    inbox: Vec<u8>,
    /// Where the tokens of the reply under way go.
    target: Target,
    handshake: Handshake,
    handshake_output: Vec<u8>,
    push: ReplyBuilder,
    /// Commands not yet taken by the driver.
    output: Vec<u8>,
    /// Bytes of `output` whose jobs were cancelled.
    withdrawn: usize,
    /// Every job whose replies are still to come, and every tombstone, in the order of the stream.
    slots: VecDeque<Slot<J>>,
    /// The ticket of `slots[0]`.
    first: u64,
    /// Tickets before this one were handed to the driver.
    sent: u64,
    /// Jobs, not counting tombstones.
    live: usize,
    /// Encoded bytes of everything in `slots`.
    bytes: usize,
    deadlines: Deadlines,
    handshake_deadline: Duration,
    /// When the server was last heard, or began to owe an answer.
    heard: Duration,
    events: VecDeque<Event<J>>,
}

#[derive(Debug)]
struct Slot<J> {
    /// `None` is a tombstone.
    job: Option<J>,
    /// 0 once withdrawn: no reply will come.
    expected: usize,
    answered: usize,
    bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Slot,
    Handshake,
    Push,
}

impl<J: Replies> Connection<J> {
    /// A connection that is being made.
    pub fn new(config: Config, now: Duration) -> Self {
        Connection {
            state: State::Connecting,
            scanner: Scanner::new(config.limits),
            inbox: Vec::new(),
            target: Target::Slot,
            handshake: Handshake::default(),
            handshake_output: Vec::new(),
            push: ReplyBuilder::new(config.max_push),
            output: Vec::new(),
            withdrawn: 0,
            slots: VecDeque::new(),
            first: 0,
            sent: 0,
            live: 0,
            bytes: 0,
            deadlines: Deadlines::default(),
            handshake_deadline: now.saturating_add(config.connect_timeout),
            heard: now,
            events: VecDeque::new(),
            config,
        }
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Jobs that were submitted and have not come back.
    pub fn in_flight(&self) -> usize {
        self.live
    }

    /// Who the server said it is. Complete once ready; with RESP2 only the protocol is known.
    pub fn server(&self) -> &ServerInfo {
        &self.handshake.server
    }

    /// For how long the server has owed an answer without sending a byte.
    pub fn silent_for(&self, now: Duration) -> Option<Duration> {
        (self.first < self.sent).then(|| now.saturating_sub(self.heard))
    }

    /// The socket is connected: the handshake is ready to leave.
    pub fn handle_connected(&mut self, now: Duration) {
        if self.state == State::Connecting {
            self.state = State::Handshaking;
            self.heard = now;
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
        self.heard = now;
        let result = if self.inbox.is_empty() {
            self.scan(data)
                .map(|used| self.inbox.extend_from_slice(&data[used..]))
        } else {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(data);
            self.scan(&inbox).map(|used| self.keep(inbox, used))
        };
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

    /// Queues a job: `encode` appends its commands, as many as the job expects replies.
    ///
    /// Before the connection is ready jobs wait; their deadlines run. A job that expects no reply is
    /// done at once.
    pub fn submit(
        &mut self,
        job: J,
        encode: impl FnOnce(&mut Vec<u8>, &J),
        deadline: Duration,
        now: Duration,
    ) -> Result<Ticket, SubmitError> {
        if self.state == State::Closed {
            return Err(SubmitError::Closed);
        }
        if deadline <= now {
            return Err(SubmitError::DeadlineExceeded);
        }
        // Tombstones count: a server that does not answer must not make this queue grow.
        if self.slots.len() >= self.config.max_in_flight || self.bytes >= self.config.max_bytes {
            return Err(SubmitError::Overloaded);
        }
        let id = self.first + self.slots.len() as u64;
        let ticket = Ticket(id);
        let expected = job.expected();
        if expected == 0 {
            self.slots.push_back(Slot {
                job: None,
                expected: 0,
                answered: 0,
                bytes: 0,
            });
            self.events.push_back(Event::Done { ticket, job });
            self.reap();
            return Ok(ticket);
        }
        let unfinished = Unfinished {
            start: self.output.len(),
            output: &mut self.output,
        };
        encode(unfinished.output, &job);
        let bytes = unfinished.keep();
        if self.slots.is_empty() {
            self.heard = now;
        }
        self.bytes += bytes;
        self.live += 1;
        self.slots.push_back(Slot {
            job: Some(job),
            expected,
            answered: 0,
            bytes,
        });
        self.deadlines.insert(deadline, id);
        Ok(ticket)
    }

    /// Gives a job back without its answer; `None` if it came back already.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<J> {
        let index = usize::try_from(ticket.0.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        let job = slot.job.take()?;
        self.live -= 1;
        if ticket.0 >= self.sent {
            slot.expected = 0;
            self.withdrawn += slot.bytes;
            // At most half of the buffer is waste, at an amortised cost of one copy.
            if self.withdrawn > self.output.len() / 2 {
                self.drop_withdrawn();
            }
        }
        self.reap();
        Some(job)
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
        while let Some(id) = self
            .deadlines
            .pop_due(now, is_live(&self.slots, self.first))
        {
            let ticket = Ticket(id);
            let answered = self.slots[(id - self.first) as usize].answered;
            let sent = id < self.sent;
            if let Some(job) = self.cancel(ticket) {
                self.events.push_back(Event::TimedOut {
                    ticket,
                    job,
                    answered,
                    sent,
                });
            }
        }
    }

    /// When [`handle_deadlines`](Self::handle_deadlines) has something to do. At once if events wait:
    /// a job that needs no reply is done as soon as it is submitted.
    pub fn next_deadline(&mut self) -> Option<Duration> {
        if !self.events.is_empty() {
            return Some(Duration::ZERO);
        }
        let job = self.deadlines.earliest(is_live(&self.slots, self.first));
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

    /// Bytes to send, if there are any. They count as sent: the driver sends them or ends the
    /// connection. Its buffer is best given back by [`recycle`](Self::recycle).
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        if !self.handshake_output.is_empty() {
            return Some(std::mem::take(&mut self.handshake_output));
        }
        if self.state != State::Ready || self.output.is_empty() {
            return None;
        }
        if self.withdrawn > 0 {
            self.drop_withdrawn();
        }
        self.sent = self.first + self.slots.len() as u64;
        self.reap();
        if self.output.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.output))
    }

    /// Takes a buffer from `poll_output` back, for the next commands.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        const LARGEST_KEPT: usize = 1 << 20;
        if self.output.capacity() == 0 && buffer.capacity() <= LARGEST_KEPT {
            buffer.clear();
            self.output = buffer;
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event<J>> {
        self.events.pop_front()
    }

    fn scan(&mut self, data: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        while self.state != State::Closed {
            if self.state == State::Ready && self.scanner.between_replies() {
                used += self.answer_whole(&data[used..]);
            }
            let Some(scanned) = self.scanner.next(&data[used..])? else {
                break;
            };
            used += scanned.consumed;
            if scanned.depth == 0 {
                self.target = self.target_of(&scanned.token)?;
            }
            match self.target {
                Target::Slot => {
                    used += self.answer(scanned, &data[used..])?;
                }
                Target::Handshake => self.greet(&scanned)?,
                Target::Push => self.pushed(&scanned)?,
            }
        }
        Ok(used)
    }

    fn target_of(&self, token: &Token<'_>) -> Result<Target, ProtocolError> {
        match self.state {
            _ if matches!(token, Token::Push(_)) => Ok(Target::Push),
            State::Ready if self.first < self.sent => Ok(Target::Slot),
            State::Handshaking => Ok(Target::Handshake),
            _ => Err(ProtocolError::UnexpectedReply {
                offset: self.scanner.offset(),
            }),
        }
    }

    /// Lets jobs read replies that are there whole; returns how many bytes that took.
    fn answer_whole(&mut self, data: &[u8]) -> usize {
        let mut used = 0;
        while self.first < self.sent {
            let Some(slot) = self.slots.front_mut() else {
                break;
            };
            let Some(job) = &mut slot.job else {
                break;
            };
            while slot.answered < slot.expected
                && let Some(length) = job.whole(slot.answered, &data[used..])
            {
                used += length;
                job.finish(slot.answered);
                slot.answered += 1;
            }
            if slot.answered < slot.expected {
                break;
            }
            self.finish_front();
        }
        if used > 0 {
            self.scanner.skip_replies(used);
        }
        used
    }

    /// Hands a token to the front job, and as many behind it as belong to the same reply, without
    /// asking for each again whose it is. Returns how many bytes of `rest` that took.
    fn answer(&mut self, first: Scanned<'_>, rest: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        let mut scanned = first;
        // `target_of` saw that a slot waits, and only a whole reply removes it.
        let Some(slot) = self.slots.front_mut() else {
            return Ok(used);
        };
        loop {
            if let Some(job) = &mut slot.job {
                job.token(slot.answered, scanned.depth, scanned.token);
            }
            if scanned.last {
                break;
            }
            let Some(next) = self.scanner.next(&rest[used..])? else {
                return Ok(used);
            };
            used += next.consumed;
            scanned = next;
        }
        if let Some(job) = &mut slot.job {
            job.finish(slot.answered);
            if job.is_out_of_step() {
                let offset = self.scanner.offset();
                return Err(ProtocolError::OutOfStep { offset });
            }
        }
        slot.answered += 1;
        if slot.answered == slot.expected {
            self.finish_front();
        }
        Ok(used)
    }

    fn finish_front(&mut self) {
        let ticket = Ticket(self.first);
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        self.first += 1;
        self.bytes -= slot.bytes;
        if let Some(job) = slot.job {
            self.live -= 1;
            self.events.push_back(Event::Done { ticket, job });
        }
        self.reap();
    }

    /// Removes withdrawn slots from the front, so that the front one always waits for a reply. Those
    /// whose commands still lie in `output` stay until these are gone.
    fn reap(&mut self) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.expected == 0 && slot.bytes == 0)
        {
            self.slots.pop_front();
            self.first += 1;
        }
        self.sent = self.sent.max(self.first);
    }

    /// Takes the commands of withdrawn jobs out of the output.
    fn drop_withdrawn(&mut self) {
        let unsent = (self.sent - self.first) as usize;
        let mut from = 0;
        let mut to = 0;
        for slot in self.slots.range_mut(unsent..) {
            let length = slot.bytes;
            if slot.expected == 0 {
                self.bytes -= length;
                slot.bytes = 0;
            } else {
                self.output.copy_within(from..from + length, to);
                to += length;
            }
            from += length;
        }
        self.output.truncate(to);
        self.withdrawn = 0;
    }

    fn greet(&mut self, scanned: &Scanned<'_>) -> Result<(), ProtocolError> {
        let offset = self.scanner.offset();
        match self
            .handshake
            .token(scanned, &self.config, &mut self.handshake_output)
        {
            Progress::Waiting => Ok(()),
            Progress::Ready => {
                self.state = State::Ready;
                self.events.push_back(Event::Ready);
                Ok(())
            }
            Progress::Failed(error) => {
                self.fail_handshake(error);
                Ok(())
            }
            Progress::Unexpected => Err(ProtocolError::UnexpectedReply { offset }),
        }
    }

    fn pushed(&mut self, scanned: &Scanned<'_>) -> Result<(), ProtocolError> {
        self.push.token(scanned.token);
        if !scanned.last {
            return Ok(());
        }
        // Whoever relies on pushes (invalidation) has to notice that one is missing.
        let Ok(Reply::Push(items)) = self.push.finish() else {
            return Err(ProtocolError::PushTooLarge {
                limit: self.config.max_push,
            });
        };
        self.events.push_back(Event::Push(items));
        Ok(())
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
        self.output = Vec::new();
        self.withdrawn = 0;
        self.bytes = 0;
        self.live = 0;
        self.deadlines = Deadlines::default();
        for slot in std::mem::take(&mut self.slots) {
            let ticket = Ticket(self.first);
            self.first += 1;
            if let Some(job) = slot.job {
                let sent = ticket.0 < self.sent;
                let answered = slot.answered;
                self.events.push_back(Event::Lost {
                    ticket,
                    job,
                    answered,
                    sent,
                    reason,
                });
            }
        }
        self.sent = self.first;
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

fn is_live<J>(slots: &VecDeque<Slot<J>>, first: u64) -> impl Fn(u64) -> bool {
    move |id| {
        id.checked_sub(first)
            .and_then(|index| slots.get(index as usize))
            .is_some_and(|slot| slot.job.is_some())
    }
}

/// Takes a half-encoded command out of the output if its encoder panics: a fragment would shift
/// every reply after it to the wrong caller.
struct Unfinished<'a> {
    start: usize,
    output: &'a mut Vec<u8>,
}

impl Unfinished<'_> {
    fn keep(self) -> usize {
        let length = self.output.len() - self.start;
        std::mem::forget(self);
        length
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.output.truncate(self.start);
    }
}
