use std::io;
use std::time::Duration;

use pyo3::prelude::*;

use fscore_core::connection::{
    Config, Connection, Event, LostReason, ServerInfo, State, SubmitError, Ticket,
};
use fscore_core::error::ErrorKind;
use fscore_core::retry::Failure;

use super::clock::{Clock, SLICE, check_signals};
use super::endpoint::Endpoint;
use super::stream::{Pending, Stream};
use crate::errors::Fault;
use crate::job::{self, Job};

/// Enough for the whole reply of most reads in one system call.
const BUFFER: usize = 64 << 10;
/// A server that has owed an answer for this long is given no more requests on that connection.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// One connection: the protocol, its stream, and the buffer between them.
pub(super) struct Link {
    stream: Stream,
    protocol: Connection<(), Job>,
    buffer: Box<[u8]>,
    ready_at: Duration,
    /// Whether this side ended it, because a call was late or interrupted during its request.
    given_up: bool,
}

/// Whether a link may be lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fitness {
    Ready,
    /// The answer to a call that gave up is still to come, and the next answer would come after it.
    Owing,
    Dead,
}

/// A call that did not end with all its replies.
pub(super) struct Broken {
    pub(super) job: Option<Job>,
    pub(super) failure: Failure,
    pub(super) fault: Fault,
}

/// The end of an exchange without an answer.
pub(super) enum Ended {
    Broken(Box<Broken>),
    /// A signal handler raised.
    Signal(PyErr),
}

impl Link {
    /// Connects and greets. Signals are not looked at: this runs on a thread of its own.
    pub(super) fn open(endpoint: &Endpoint, config: Config, clock: &Clock) -> Result<Self, Fault> {
        let deadline = clock.now().saturating_add(config.connect_timeout);
        let stream = endpoint.dial(config.connect_timeout)?;
        let protocol = Connection::new(config, clock.now());
        let mut link = Link {
            stream,
            protocol,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            ready_at: clock.now(),
            given_up: false,
        };
        link.protocol.handle_connected(clock.now());
        loop {
            link.flush(clock, deadline, || Ok(()))
                .map_err(|error| link.unready(endpoint, error))?;
            while let Some(event) = link.protocol.poll_event() {
                match event {
                    Event::Ready => {
                        link.ready_at = clock.now();
                        return Ok(link);
                    }
                    Event::HandshakeFailed(error) => {
                        let message = format!("{endpoint}: {}", error.message);
                        return Err(Fault::new(error.kind, message));
                    }
                    _ => {}
                }
            }
            link.receive(clock, deadline, || Ok(()))
                .map_err(|error| link.unready(endpoint, error))?;
        }
    }

    fn unready(&self, endpoint: &Endpoint, error: Unsent) -> Fault {
        let Unsent::Io(error) = error else {
            return Fault::new(
                ErrorKind::Unavailable,
                format!("{endpoint} did not answer in time"),
            );
        };
        let (kind, advice) = if self.stream.is_tls() && error.kind() == io::ErrorKind::InvalidData {
            (
                ErrorKind::ConfigError,
                "; check the TLS settings of both sides",
            )
        } else {
            (ErrorKind::Unavailable, "")
        };
        Fault::new(
            kind,
            format!("{endpoint}: the handshake failed: {error}{advice}"),
        )
    }

    pub(super) fn server(&self) -> &ServerInfo {
        self.protocol.server()
    }

    /// When its handshake was over.
    pub(super) fn ready_at(&self) -> Duration {
        self.ready_at
    }

    /// Whether the server has answered any call.
    pub(super) fn has_answered(&self) -> bool {
        self.protocol.has_answered()
    }

    /// Whether the link became unusable without this side's doing.
    pub(super) fn was_lost(&self) -> bool {
        !self.given_up
    }

    /// Whether the next call can use it. This is cheap to tell, and right unless the server closes
    /// it at this very time.
    pub(super) fn fitness(&self, now: Duration) -> Fitness {
        if !self.is_reusable(now) {
            return Fitness::Dead;
        }
        let owes = self.protocol.silent_for(now).is_some();
        match self.stream.pending() {
            Pending::Nothing if owes => Fitness::Owing,
            Pending::Nothing => Fitness::Ready,
            // The reply to a call that gave up, or a record of TLS's own.
            Pending::Bytes if owes || self.stream.is_tls() => Fitness::Ready,
            Pending::Bytes | Pending::End => Fitness::Dead,
        }
    }

    /// Whether it is worth keeping after a call.
    pub(super) fn is_reusable(&self, now: Duration) -> bool {
        self.protocol.state() == State::Ready
            && self
                .protocol
                .silent_for(now)
                .is_none_or(|silence| silence <= LONGEST_SILENCE)
    }

    /// Sends a job and waits for it to come back.
    pub(super) fn exchange(
        &mut self,
        job: Job,
        deadline: Duration,
        clock: &Clock,
    ) -> Result<Job, Ended> {
        let submitted = self
            .protocol
            .submit((), job, Job::encode, deadline, clock.now());
        let ticket = submitted.map_err(refused)?;
        loop {
            while let Some(event) = self.protocol.poll_event() {
                // A call that gave up was cancelled, which leaves no event, so these are this
                // call's.
                if let Some(result) = outcome(event) {
                    return result;
                }
            }
            // A job may have more to send after its replies.
            let exchanged = self
                .flush(clock, deadline, check_signals)
                .and_then(|()| self.receive(clock, deadline, check_signals));
            if let Err(error) = exchanged {
                self.give_up(clock, ticket, error)?;
            }
        }
    }

    /// Sends all output. A command that was sent in part cannot be taken back, so every failure
    /// ends the connection.
    fn flush(
        &mut self,
        clock: &Clock,
        deadline: Duration,
        interrupted: impl Fn() -> PyResult<()>,
    ) -> Result<(), Unsent> {
        while let Some(output) = self.protocol.poll_output() {
            let mut left = &output[..];
            while !left.is_empty() {
                let timeout = deadline.saturating_sub(clock.now()).min(SLICE);
                match self.stream.write(left, timeout) {
                    Ok(0) => return Err(Unsent::Io(io::ErrorKind::WriteZero.into())),
                    Ok(written) => left = &left[written..],
                    Err(error) if passing(&error) => {
                        interrupted().map_err(Unsent::Signal)?;
                        if clock.now() >= deadline {
                            return Err(Unsent::Late);
                        }
                    }
                    Err(error) => return Err(Unsent::Io(error)),
                }
            }
            self.protocol.recycle(output);
        }
        loop {
            match self.stream.flush() {
                Ok(()) => return Ok(()),
                Err(error) if passing(&error) && clock.now() < deadline => {
                    interrupted().map_err(Unsent::Signal)?;
                }
                Err(error) if passing(&error) => return Err(Unsent::Late),
                Err(error) => return Err(Unsent::Io(error)),
            }
        }
    }

    /// Reads once and hands the bytes to the protocol, whose events say what came of them.
    fn receive(
        &mut self,
        clock: &Clock,
        deadline: Duration,
        interrupted: impl Fn() -> PyResult<()>,
    ) -> Result<(), Unsent> {
        let timeout = deadline.saturating_sub(clock.now()).min(SLICE);
        match self.stream.read(&mut self.buffer, timeout) {
            Ok(0) => self.protocol.handle_closed(clock.now()),
            Ok(length) => {
                // An error is in the events too, with what became of the job.
                let _ = self
                    .protocol
                    .handle_data(&self.buffer[..length], clock.now());
            }
            Err(error) if passing(&error) => {
                interrupted().map_err(Unsent::Signal)?;
                self.protocol.handle_deadlines(clock.now());
            }
            Err(error) if self.protocol.state() == State::Ready => {
                drop(error);
                self.protocol.handle_closed(clock.now());
            }
            Err(error) => return Err(Unsent::Io(error)),
        }
        Ok(())
    }

    /// Ends the connection after a failure to send or receive, or a signal.
    fn give_up(&mut self, clock: &Clock, ticket: Ticket, error: Unsent) -> Result<(), Ended> {
        match error {
            Unsent::Signal(error) => {
                self.given_up = true;
                self.protocol.cancel(ticket);
                self.protocol.handle_closed(clock.now());
                Err(Ended::Signal(error))
            }
            Unsent::Late => {
                self.given_up = true;
                let job = self.protocol.cancel(ticket).map(|((), job)| job);
                self.protocol.handle_closed(clock.now());
                let fault = job::timed_out(true);
                let failure = Failure::DeadlineExceeded;
                Err(Ended::Broken(Box::new(Broken {
                    job,
                    failure,
                    fault,
                })))
            }
            Unsent::Io(_) => {
                self.protocol.handle_closed(clock.now());
                Ok(())
            }
        }
    }
}

/// Why output could not be sent, or nothing could be read.
enum Unsent {
    Io(io::Error),
    Late,
    Signal(PyErr),
}

fn passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

fn refused(error: SubmitError) -> Ended {
    let (kind, failure) = match error {
        SubmitError::Closed => (ErrorKind::Unavailable, Failure::Lost { sent: false }),
        SubmitError::Overloaded => (ErrorKind::Overloaded, Failure::Overloaded),
        SubmitError::DeadlineExceeded => (ErrorKind::DeadlineExceeded, Failure::DeadlineExceeded),
    };
    let fault = Fault::new(kind, error.to_string());
    Ended::Broken(Box::new(Broken {
        job: None,
        failure,
        fault,
    }))
}

fn outcome(event: Event<(), Job>) -> Option<Result<Job, Ended>> {
    let (job, failure, fault) = match event {
        Event::Done { job, .. } => return Some(Ok(job)),
        Event::TimedOut { job, sent, .. } => (job, Failure::DeadlineExceeded, job::timed_out(sent)),
        Event::Lost {
            job, sent, reason, ..
        } => {
            let failure = match reason {
                LostReason::Protocol(_) => Failure::Protocol,
                LostReason::Closed => Failure::Lost { sent },
                LostReason::Handshake(kind) => Failure::Handshake(kind),
            };
            (job, failure, job::lost(reason, sent))
        }
        Event::Ready | Event::HandshakeFailed(_) | Event::Push(_) => return None,
    };
    Some(Err(Ended::Broken(Box::new(Broken {
        job: Some(job),
        failure,
        fault,
    }))))
}
