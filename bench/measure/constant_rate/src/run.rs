//! The run: when requests are due, which connection sends them, and what is counted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::connection::Connection;

/// How long the run waits for answers after everything was sent.
const DRAIN: Duration = Duration::from_secs(10);
const MOST_US: u64 = 60_000_000;
const TIMER: Token = Token(usize::MAX);
const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p999", 0.999),
    ("p9999", 0.9999),
    ("p99999", 0.99999),
    ("max", 1.0),
];

/// The figures that are printed.
#[derive(Serialize)]
struct Report {
    /// Requests that were due in the time that counts.
    due: u64,
    /// Those that were answered with 200.
    answered: u64,
    /// Those that were answered otherwise.
    not_ok: u64,
    /// Those that were not answered 10 s after the last was due; their latencies so far count.
    unanswered: u64,
    /// Answers a second, from the first that was due to the last that came.
    rate: f64,
    /// Milliseconds from when a request was due to the end of its response.
    latency_ms: serde_json::Map<String, serde_json::Value>,
    /// Milliseconds by which requests were sent late although a connection was idle.
    lateness_ms: serde_json::Map<String, serde_json::Value>,
}

struct Run<'a> {
    arguments: &'a Arguments,
    connections: Vec<Connection>,
    /// When the request under way on each connection was due.
    due: Vec<Option<Instant>>,
    /// Since when each connection is idle.
    free_since: Vec<Instant>,
    /// Idle connections; the one that has been idle longest is the next.
    idle: VecDeque<usize>,
    start: Instant,
    interval: Duration,
    /// How many requests were sent, and how many will be due in all, including the warm-up.
    sent: u32,
    total: u32,
    /// The requests that come before those that count.
    warmup: u32,
    answered: u64,
    not_ok: u64,
    last: Instant,
    latencies: Histogram<u32>,
    lateness: Histogram<u32>,
}

/// Sends everything and waits for the answers; returns the text to print.
pub fn run(arguments: &Arguments) -> io::Result<String> {
    let mut poll = Poll::new()?;
    let connections = (0..arguments.connections)
        .map(|token| Connection::open(arguments.address, poll.registry(), Token(token)))
        .collect::<io::Result<Vec<_>>>()?;
    let timer = timerfd_create(
        TimerfdClockId::Monotonic,
        TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
    )?;
    poll.registry()
        .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
    let interval = Duration::from_secs_f64(1.0 / arguments.rate);
    let every = Timespec {
        tv_sec: interval.as_secs() as i64,
        tv_nsec: i64::from(interval.subsec_nanos()),
    };
    let now = Instant::now();
    let mut run = Run {
        arguments,
        due: vec![None; connections.len()],
        free_since: vec![now; connections.len()],
        idle: (0..connections.len()).collect(),
        connections,
        start: now,
        interval,
        sent: 0,
        total: ((arguments.warmup + arguments.seconds) * arguments.rate) as u32,
        warmup: (arguments.warmup * arguments.rate) as u32,
        answered: 0,
        not_ok: 0,
        last: now,
        latencies: histogram(),
        lateness: histogram(),
    };
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::empty(),
        &Itimerspec {
            it_interval: every,
            it_value: every,
        },
    )?;
    let mut events = Events::with_capacity(1024);
    let end = run.due_at(run.total) + DRAIN;
    while !run.done() && Instant::now() < end {
        match poll.poll(&mut events, Some(Duration::from_millis(100))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                TIMER => {
                    // The count does not matter, but the timer rings again only after it was read.
                    match rustix::io::read(&timer, &mut [0; 8]) {
                        Ok(_) | Err(Errno::AGAIN) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Token(which) => run.receive(which)?,
            }
        }
        run.send()?;
    }
    Ok(run.report())
}

impl Run<'_> {
    /// When the request of this number is due.
    fn due_at(&self, number: u32) -> Instant {
        self.start + self.interval * number
    }

    fn done(&self) -> bool {
        self.sent == self.total && self.idle.len() == self.connections.len()
    }

    /// Sends the requests that are due on idle connections.
    fn send(&mut self) -> io::Result<()> {
        let mut now = Instant::now();
        while self.sent < self.total {
            let due = self.due_at(self.sent);
            if due > now {
                // A request that has become due meanwhile does not wait for the next ring.
                now = Instant::now();
                if due > now {
                    break;
                }
            }
            let Some(which) = self.idle.pop_front() else {
                break;
            };
            let requests = &self.arguments.requests;
            self.connections[which].send(&requests[self.sent as usize % requests.len()])?;
            self.due[which] = Some(due);
            if self.sent >= self.warmup {
                // While no connection was free, this program was not the one that was late.
                let since = due.max(self.free_since[which]);
                record(&mut self.lateness, now.saturating_duration_since(since));
            }
            self.sent += 1;
        }
        Ok(())
    }

    fn receive(&mut self, which: usize) -> io::Result<()> {
        let Some(status) = self.connections[which].receive()? else {
            return Ok(());
        };
        let now = Instant::now();
        let Some(due) = self.due[which].take() else {
            return Err(io::Error::other("it answered what was not asked"));
        };
        if due >= self.due_at(self.warmup) {
            record(&mut self.latencies, now - due);
            if status == 200 {
                self.answered += 1;
            } else {
                self.not_ok += 1;
            }
            self.last = now;
        }
        self.free_since[which] = now;
        self.idle.push_back(which);
        Ok(())
    }

    fn report(mut self) -> String {
        let now = Instant::now();
        let first = self.due_at(self.warmup);
        let due = u64::from(self.total - self.warmup);
        let unanswered = due - self.answered - self.not_ok;
        for &due in self.due.iter().flatten().filter(|&&due| due >= first) {
            record(&mut self.latencies, now - due);
        }
        for number in self.sent.max(self.warmup)..self.total {
            let due = self.due_at(number);
            record(&mut self.latencies, now - due);
        }
        let seconds = self.last.saturating_duration_since(first).as_secs_f64();
        let report = Report {
            due,
            answered: self.answered,
            not_ok: self.not_ok,
            unanswered,
            rate: self.answered as f64 / seconds.max(self.arguments.seconds),
            latency_ms: percentiles(&self.latencies),
            lateness_ms: percentiles(&self.lateness),
        };
        serde_json::to_string(&report).expect("numbers and names are JSON")
    }
}

fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, MOST_US, 3).expect("the bounds are a histogram's")
}

fn record(histogram: &mut Histogram<u32>, time: Duration) {
    histogram.saturating_record(time.as_micros() as u64);
}

fn percentiles(histogram: &Histogram<u32>) -> serde_json::Map<String, serde_json::Value> {
    PERCENTILES
        .iter()
        .map(|&(name, quantile)| {
            let us = histogram.value_at_quantile(quantile);
            (name.to_owned(), (us as f64 / 1000.0).into())
        })
        .collect()
}
