//! The jobs that both drivers send over a connection, and their answers.

use std::sync::Arc;

use pyo3::prelude::*;

use fscore_core::connection::{LostReason, RawJob, Replies};
use fscore_core::error::{ErrorKind, classify};
use fscore_core::read::{PartFailure, Read, ReadPart};
use fscore_core::resp::{Reply, ReplyTooLarge, Token};
use fscore_core::retry::Failure;
use fscore_core::script::Scripted;
use fscore_core::table::Table;
use fscore_core::write::WritePart;

use crate::errors::Fault;
use crate::{reply, table, write};

/// A request on its way.
pub(crate) enum Job {
    /// Commands of any kind.
    Raw(RawWork),
    /// A read of one node.
    Read(Box<ReadWork>),
    /// Rows written to one node.
    Write(Box<Scripted<WritePart>>),
}

pub(crate) struct RawWork {
    commands: Vec<u8>,
    count: usize,
    /// One command, whose error reply raises; a pipeline has its errors among its results.
    single: bool,
    limit: usize,
    job: RawJob,
}

pub(crate) struct ReadWork {
    read: Read,
    part: Scripted<ReadPart>,
    /// Whether an incomplete answer will do.
    partial: bool,
}

/// The answer, before it is a Python object: made while the interpreter may be detached.
pub(crate) enum Answer {
    Replies {
        replies: Vec<Result<Reply, ReplyTooLarge>>,
        single: bool,
    },
    Table(Table),
    Written(Box<WritePart>),
}

impl Job {
    pub(crate) fn command(commands: Vec<u8>, limit: usize) -> Self {
        Job::Raw(RawWork::new(commands, 1, true, limit))
    }

    pub(crate) fn pipeline(commands: Vec<u8>, count: usize, limit: usize) -> Self {
        Job::Raw(RawWork::new(commands, count, false, limit))
    }

    pub(crate) fn read(read: Read, part: ReadPart, partial: bool) -> Self {
        Job::Read(Box::new(ReadWork {
            read,
            part: Scripted::new(part),
            partial,
        }))
    }

    pub(crate) fn write(part: WritePart) -> Self {
        Job::Write(Box::new(Scripted::new(part)))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Job::Raw(work) => out.extend_from_slice(&work.commands),
            Job::Read(work) => work.part.encode(out),
            Job::Write(part) => part.encode(out),
        }
    }

    /// The same job, to be sent again from the beginning.
    pub(crate) fn restarted(self) -> Self {
        match self {
            Job::Raw(work) => Job::Raw(RawWork::new(
                work.commands,
                work.count,
                work.single,
                work.limit,
            )),
            Job::Read(mut work) => {
                work.part = Scripted::new(work.part.into_calls().restarted());
                Job::Read(work)
            }
            Job::Write(part) => Job::write(WritePart::new(Arc::clone(part.calls().batch()))),
        }
    }

    /// Why a job has failed although all its replies came, for the retry decision.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let server = |text: &[u8]| Failure::Server(classify(text));
        match self {
            Job::Raw(work) => work.error().map(server),
            Job::Read(work) => match work.failure()? {
                PartFailure::Server(text) => Some(server(text.as_bytes())),
                PartFailure::Protocol(_) => Some(Failure::Protocol),
            },
            Job::Write(part) => rejection(part).map(|text| server(text.as_bytes())),
        }
    }

    /// The error that the caller of such a job gets.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Job::Raw(work) => Fault::server(work.error().unwrap_or_default()),
            Job::Read(work) => match work.failure() {
                Some(PartFailure::Protocol(message)) => {
                    Fault::new(ErrorKind::ProtocolError, message.as_str())
                }
                Some(PartFailure::Server(text)) => Fault::server(text.as_bytes()),
                None => Fault::server(b""),
            },
            Job::Write(part) => Fault::server(rejection(part).unwrap_or_default().as_bytes()),
        }
    }

    /// The answer of a job whose replies all came.
    pub(crate) fn into_answer(self) -> Result<Answer, Fault> {
        match self {
            Job::Raw(ref work) if work.error().is_some() => Err(self.fault()),
            Job::Raw(work) => {
                let single = work.single;
                Ok(Answer::Replies {
                    replies: work.job.into_replies(),
                    single,
                })
            }
            Job::Read(ref read) if read.failure().is_some() => {
                let fault = self.fault();
                self.cut_short(fault)
            }
            Job::Read(work) => Ok(work.join()),
            Job::Write(ref part) if rejection(part).is_some() => Err(self.fault()),
            Job::Write(part) => Ok(Answer::Written(Box::new(part.into_calls()))),
        }
    }

    /// The result of a job that ended before all its replies came.
    pub(crate) fn cut_short(self, fault: Fault) -> Result<Answer, Fault> {
        match self {
            Job::Read(work) => work.incomplete(fault),
            Job::Raw(_) | Job::Write(_) => Err(fault),
        }
    }
}

/// The server's error if it refused a write, in whole or in part. If a script could not be loaded,
/// it is the reason for that, which says more than that the script is unknown.
fn rejection(part: &Scripted<WritePart>) -> Option<&str> {
    part.not_loaded().or_else(|| part.calls().refusal())
}

impl RawWork {
    fn new(commands: Vec<u8>, count: usize, single: bool, limit: usize) -> Self {
        let job = RawJob::new(count, limit);
        RawWork {
            commands,
            count,
            single,
            limit,
            job,
        }
    }

    /// The error that a single command was answered with.
    fn error(&self) -> Option<&[u8]> {
        match self.job.replies().first() {
            Some(Ok(Reply::Error(text))) if self.single => Some(text),
            _ => None,
        }
    }
}

impl ReadWork {
    /// Why it failed although its replies came. If a script could not be loaded, it is the reason
    /// for that, which says more than that the script is unknown.
    fn failure(&self) -> Option<PartFailure> {
        let not_loaded = self.part.not_loaded();
        let not_loaded = not_loaded.map(|text| PartFailure::Server(text.to_owned()));
        not_loaded.or_else(|| self.part.calls().failure().cloned())
    }

    fn join(self) -> Answer {
        Answer::Table(self.read.join(vec![self.part.into_calls()]))
    }

    /// A partial answer will do if something was answered, and the fault may pass: a wrong
    /// configuration must not look like a slow server.
    fn incomplete(self, fault: Fault) -> Result<Answer, Fault> {
        let passing = matches!(
            fault.kind,
            ErrorKind::DeadlineExceeded | ErrorKind::Unavailable
        );
        if !self.partial || !passing || self.part.calls().answered() == 0 {
            return Err(fault);
        }
        let table = self.read.join(vec![self.part.into_calls()]);
        Ok(Answer::Table(table))
    }
}

/// Calls a method of `Replies` on the kind of job that there is.
macro_rules! replies {
    ($job:ident.$method:ident($($argument:expr),*)) => {
        match $job {
            Job::Raw(work) => work.job.$method($($argument),*),
            Job::Read(work) => work.part.$method($($argument),*),
            Job::Write(part) => part.$method($($argument),*),
        }
    };
}

/// One type for all jobs of a connection, which keeps them in one queue. A trait object would do
/// the same with a call through a pointer for each token.
impl Replies for Job {
    fn expected(&self) -> usize {
        replies!(self.expected())
    }

    #[inline]
    fn token(&mut self, reply: usize, depth: usize, token: Token<'_>) {
        replies!(self.token(reply, depth, token));
    }

    fn finish(&mut self, reply: usize) {
        replies!(self.finish(reply));
    }

    #[inline]
    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        replies!(self.whole(reply, buf))
    }

    fn is_out_of_step(&self) -> bool {
        replies!(self.is_out_of_step())
    }

    fn goes_on(&mut self) -> bool {
        replies!(self.goes_on())
    }

    fn encode_rest(&self, out: &mut Vec<u8>) {
        replies!(self.encode_rest(out));
    }

    fn is_shareable(&self) -> bool {
        replies!(self.is_shareable())
    }
}

impl Answer {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Answer::Table(table) => table::to_python(py, table),
            Answer::Written(part) => write::to_python(py, &part),
            Answer::Replies {
                mut replies,
                single: true,
            } => reply_to_python(py, replies.pop().unwrap_or(Ok(Reply::Null))),
            Answer::Replies {
                replies,
                single: false,
            } => {
                let values: Vec<Py<PyAny>> = replies
                    .into_iter()
                    .map(|reply| reply_to_python(py, reply))
                    .collect::<PyResult<_>>()?;
                Ok(values.into_pyobject(py)?.into_any().unbind())
            }
        }
    }
}

fn reply_to_python(py: Python<'_>, reply: Result<Reply, ReplyTooLarge>) -> PyResult<Py<PyAny>> {
    match reply {
        Ok(reply) => reply::to_python(py, reply),
        Err(error) => Err(Fault::new(ErrorKind::ProtocolError, error.to_string()).into()),
    }
}

/// Added to an error if the request had been sent.
pub(crate) const UNCERTAIN: &str = "; whether the request was carried out is not known";

/// The error that the caller gets if the connection ended before the answer came.
pub(crate) fn lost(reason: LostReason, sent: bool) -> Fault {
    let uncertain = if sent {
        UNCERTAIN
    } else {
        "; the request was not sent"
    };
    match reason {
        LostReason::Closed => Fault::new(
            ErrorKind::Unavailable,
            format!("the connection to the server ended{uncertain}"),
        ),
        LostReason::Handshake(kind) => Fault::new(
            kind,
            format!("the connection could not be set up{uncertain}"),
        ),
        LostReason::Protocol(error) => {
            Fault::new(ErrorKind::ProtocolError, format!("{error}{uncertain}"))
        }
    }
}

/// The error that the caller gets if its deadline passed.
pub(crate) fn timed_out(sent: bool) -> Fault {
    let text = if sent {
        "the deadline passed before the server had answered"
    } else {
        "the deadline passed before the request could be sent"
    };
    Fault::new(ErrorKind::DeadlineExceeded, text)
}
