use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fscore_core::connection::{Config, ServerInfo};
use fscore_core::error::ErrorKind;
use fscore_core::reconnect::ReconnectBackoff;
use fscore_core::retry::Failure;

use super::clock::{Clock, SLICE, check_signals, jitter};
use super::endpoint::Endpoint;
use super::link::{Broken, Ended, Fitness, Link};
use super::run::Stopped;
use crate::errors::Fault;

/// The most dials at a time, so that a server that comes back is not greeted by everybody at once.
const MAX_DIALS: usize = 2;

/// Links to one server.
///
/// The one that was used last is lent first, so that no more stay busy than are needed. Dialling
/// happens on a thread of its own: a call with a short deadline must not cut it off each time, or a
/// slow server would never be reached.
pub(super) struct Pool {
    pub(super) endpoint: Endpoint,
    pub(super) clock: Clock,
    /// Calls under way, and retries among them.
    pub(super) in_flight: AtomicUsize,
    pub(super) retrying: AtomicUsize,
    config: Config,
    max_links: usize,
    state: Mutex<Links>,
    changed: Condvar,
}

#[derive(Default)]
struct Links {
    idle: Vec<Link>,
    /// Idle, lent and being dialled.
    open: usize,
    dialling: usize,
    waiting: usize,
    backoff: ReconnectBackoff,
    /// All dials that failed so far. A caller that waits sees from it that one failed meanwhile.
    failed: u64,
    fault: Option<Fault>,
    closed: bool,
    server: ServerInfo,
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, config: Config, max_links: usize) -> Self {
        Pool {
            endpoint,
            clock: Clock::new(),
            in_flight: AtomicUsize::new(0),
            retrying: AtomicUsize::new(0),
            config,
            max_links,
            state: Mutex::new(Links::default()),
            changed: Condvar::new(),
        }
    }

    /// Takes a link, an idle one or a new one, by the deadline.
    pub(super) fn lend(self: &Arc<Self>, deadline: Duration) -> Result<Link, Ended> {
        let mut links = self.lock();
        let failed_before = links.failed;
        loop {
            if links.closed {
                return Err(closed());
            }
            if let Some(link) = self.pick(&mut links) {
                return Ok(link);
            }
            if links.failed != failed_before {
                return Err(unreachable(&links));
            }
            let now = self.clock.now();
            if now >= deadline {
                return Err(late(self.max_links, &links));
            }
            let backing_off = now < links.backoff.not_before();
            if backing_off && links.dialling == 0 && hopeless(&links, deadline) {
                return Err(unreachable(&links));
            }
            if !backing_off
                && links.open < self.max_links
                && links.dialling < MAX_DIALS.min(links.waiting + 1)
            {
                self.dial(&mut links);
            }
            let mut until = deadline.min(now.saturating_add(SLICE));
            if backing_off {
                until = until.min(links.backoff.not_before());
            }
            links.waiting += 1;
            let waited = self.changed.wait_timeout(links, until.saturating_sub(now));
            let (reacquired, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
            links = reacquired;
            links.waiting -= 1;
            if timed_out.timed_out() {
                // A signal handler may call this pool, so the lock is released first.
                drop(links);
                check_signals().map_err(Ended::Signal)?;
                links = self.lock();
            }
        }
    }

    /// The link to lend: the one used last that owes nothing, or one that does if no more may be
    /// opened.
    fn pick(&self, links: &mut Links) -> Option<Link> {
        let now = self.clock.now();
        for index in (0..links.idle.len()).rev() {
            match links.idle[index].fitness(now) {
                Fitness::Ready => return Some(links.idle.remove(index)),
                Fitness::Owing => {}
                Fitness::Dead => {
                    let link = links.idle.remove(index);
                    links.open -= 1;
                    links.note_loss(&link, now);
                }
            }
        }
        let full = links.open >= self.max_links && links.dialling == 0;
        (full && !links.idle.is_empty()).then(|| links.idle.remove(0))
    }

    /// Takes a link back.
    pub(super) fn give_back(&self, link: Link) {
        let now = self.clock.now();
        let usable = link.is_reusable(now);
        let mut links = self.lock();
        if usable && !links.closed {
            links.idle.push(link);
        } else {
            links.open -= 1;
            links.note_loss(&link, now);
        }
        if links.waiting > 0 {
            self.changed.notify_one();
        }
    }

    /// Drops the idle links: the server behind them is no longer the right one.
    pub(super) fn drop_idle(&self) {
        let mut links = self.lock();
        let idle = std::mem::take(&mut links.idle);
        links.open -= idle.len();
    }

    /// Makes sure that there is a link.
    pub(super) fn ensure(self: &Arc<Self>, deadline: Duration) -> Result<(), Stopped> {
        match self.lend(deadline) {
            Ok(link) => {
                self.give_back(link);
                Ok(())
            }
            Err(Ended::Broken(broken)) => Err(Stopped::Fault(broken.fault)),
            Err(Ended::Signal(error)) => Err(Stopped::Signal(error)),
        }
    }

    pub(super) fn open(&self) -> usize {
        let links = self.lock();
        links.open - links.dialling
    }

    pub(super) fn server(&self) -> ServerInfo {
        self.lock().server.clone()
    }

    pub(super) fn close(&self) {
        let mut links = self.lock();
        links.closed = true;
        let idle = std::mem::take(&mut links.idle);
        links.open -= idle.len();
        self.changed.notify_all();
        drop(links);
    }

    fn dial(self: &Arc<Self>, links: &mut Links) {
        links.open += 1;
        links.dialling += 1;
        let pool = Arc::clone(self);
        let started = thread::Builder::new()
            .name("fscore-dial".to_owned())
            .spawn(move || {
                let dialled = Link::open(&pool.endpoint, pool.config.clone(), &pool.clock);
                pool.dialled(&mut pool.lock(), dialled);
            });
        if let Err(error) = started {
            let message = format!("no thread for connecting could be started: {error}");
            self.dialled(links, Err(Fault::new(ErrorKind::Unavailable, message)));
        }
    }

    fn dialled(&self, links: &mut Links, dialled: Result<Link, Fault>) {
        links.dialling -= 1;
        match dialled {
            Ok(link) if !links.closed => {
                links.backoff.ready();
                links.fault = None;
                links.server = link.server().clone();
                links.idle.push(link);
            }
            Ok(_) => links.open -= 1,
            Err(fault) => {
                links.open -= 1;
                links.failed += 1;
                links.backoff.failed(self.clock.now(), jitter());
                links.fault = Some(fault);
            }
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    /// Takes note of a link that is not usable any more.
    fn note_loss(&mut self, link: &Link, now: Duration) {
        if !link.was_lost() {
            return;
        }
        let answered = link.has_answered();
        self.backoff.lost(link.ready_at(), answered, now, jitter());
        if now < self.backoff.not_before() && self.fault.is_none() {
            let message = "the server ends connections as soon as they are made";
            self.fault = Some(Fault::new(ErrorKind::Unavailable, message));
        }
    }
}

/// A call, counted while it lasts.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    pub(super) fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether waiting for the next dial is of no use to a call with this deadline.
fn hopeless(links: &Links, deadline: Duration) -> bool {
    let lasting = links
        .fault
        .as_ref()
        .is_some_and(|fault| fault.kind != ErrorKind::Unavailable);
    lasting || links.backoff.not_before() >= deadline
}

fn unreachable(links: &Links) -> Ended {
    let fault = links
        .fault
        .clone()
        .unwrap_or_else(|| Fault::new(ErrorKind::Unavailable, "the server cannot be reached"));
    let failure = match fault.kind {
        ErrorKind::Unavailable => Failure::ConnectFailed,
        kind => Failure::Handshake(kind),
    };
    Ended::Broken(Box::new(Broken {
        job: None,
        failure,
        fault,
    }))
}

/// The error of a call whose deadline has passed.
fn late(max_links: usize, links: &Links) -> Ended {
    // The last dial's failure says more than that there was no connection in time.
    if links.fault.is_some() {
        return unreachable(links);
    }
    let message = if links.dialling > 0 {
        "the deadline passed before a connection was ready".to_owned()
    } else {
        format!(
            "the deadline passed while all {max_links} connections were busy; raise \
                 max_connections or the timeout"
        )
    };
    let fault = Fault::new(ErrorKind::DeadlineExceeded, message);
    Ended::Broken(Box::new(Broken {
        job: None,
        failure: Failure::DeadlineExceeded,
        fault,
    }))
}

fn closed() -> Ended {
    let fault = Fault::new(
        ErrorKind::Unavailable,
        "this client is closed; connect again",
    );
    // Not `ConnectFailed`: trying again would not help.
    let failure = Failure::Handshake(ErrorKind::ConfigError);
    Ended::Broken(Box::new(Broken {
        job: None,
        failure,
        fault,
    }))
}
