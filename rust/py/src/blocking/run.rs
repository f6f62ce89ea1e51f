use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;

use fscore_core::error::RetryClass;
use fscore_core::retry::{Action, Budget, Failure, decide};

use super::clock::{jitter, sleep};
use super::link::{Broken, Ended};
use super::pool::{Counted, Pool};
use crate::errors::Fault;
use crate::job::{Answer, Job};

/// Why a call ends without an answer.
pub(super) enum Stopped {
    Fault(Fault),
    /// A signal handler raised, most likely `KeyboardInterrupt`.
    Signal(PyErr),
}

impl From<Stopped> for PyErr {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Fault(fault) => fault.into(),
            Stopped::Signal(error) => error,
        }
    }
}

/// Carries a job out by its deadline, retries included.
pub(super) fn run(
    pool: &Arc<Pool>,
    mut job: Job,
    deadline: Duration,
    idempotent: bool,
) -> Result<Answer, Stopped> {
    let _in_flight = Counted::new(&pool.in_flight);
    let mut retrying = None;
    let mut attempt = 1;
    loop {
        let failed = match try_once(pool, job, deadline) {
            Ok(answer) => return answer.map_err(Stopped::Fault),
            Err(Tried::Signal(error)) => return Err(Stopped::Signal(error)),
            Err(Tried::Failed(failed)) => failed,
        };
        let others = usize::from(retrying.is_some());
        let budget = Budget {
            in_flight: pool.in_flight.load(Ordering::Relaxed),
            retrying: pool.retrying.load(Ordering::Relaxed).saturating_sub(others),
        };
        let now = pool.clock.now();
        let action = decide(
            failed.failure,
            attempt,
            idempotent,
            now,
            deadline,
            budget,
            jitter(),
        );
        let pause = match action {
            Action::Fail(_) => return failed.give_up().map_err(Stopped::Fault),
            Action::RetryAfter(pause) => pause,
            Action::ReconnectAndRetry(pause) => {
                if matches!(failed.failure, Failure::Server(code) if code.retry == RetryClass::Elsewhere)
                {
                    pool.drop_idle();
                }
                pause
            }
        };
        let Some(again) = failed.job else {
            return Err(Stopped::Fault(failed.fault));
        };
        retrying.get_or_insert_with(|| Counted::new(&pool.retrying));
        sleep(&pool.clock, pause).map_err(Stopped::Signal)?;
        job = again.restarted();
        attempt += 1;
    }
}

/// A job that failed, for the retry decision.
struct Failed {
    job: Option<Job>,
    failure: Failure,
    fault: Fault,
    /// All its replies came, and one of them is the failure.
    answered: bool,
}

impl Failed {
    fn give_up(self: Box<Self>) -> Result<Answer, Fault> {
        match self.job {
            Some(job) if self.answered => job.into_answer(),
            Some(job) => job.cut_short(self.fault),
            None => Err(self.fault),
        }
    }
}

enum Tried {
    Failed(Box<Failed>),
    Signal(PyErr),
}

fn try_once(
    pool: &Arc<Pool>,
    job: Job,
    deadline: Duration,
) -> Result<Result<Answer, Fault>, Tried> {
    let mut link = match pool.lend(deadline) {
        Ok(link) => link,
        Err(Ended::Signal(error)) => return Err(Tried::Signal(error)),
        Err(Ended::Broken(broken)) => {
            let Broken { failure, fault, .. } = *broken;
            let job = Some(job);
            return Err(Tried::Failed(Box::new(Failed {
                job,
                failure,
                fault,
                answered: false,
            })));
        }
    };
    let ended = link.exchange(job, deadline, &pool.clock);
    pool.give_back(link);
    match ended {
        Ok(job) => match job.failure() {
            None => Ok(job.into_answer()),
            Some(failure) => {
                let fault = job.fault();
                let job = Some(job);
                Err(Tried::Failed(Box::new(Failed {
                    job,
                    failure,
                    fault,
                    answered: true,
                })))
            }
        },
        Err(Ended::Signal(error)) => Err(Tried::Signal(error)),
        Err(Ended::Broken(broken)) => {
            let Broken {
                job,
                failure,
                fault,
            } = *broken;
            Err(Tried::Failed(Box::new(Failed {
                job,
                failure,
                fault,
                answered: false,
            })))
        }
    }
}
