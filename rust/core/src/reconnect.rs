//! When a server is dialled again, after a dial failed or a connection ended.

use std::time::Duration;

use crate::retry::backoff;

/// A connection that ended within this time after its handshake, and answered nothing, was of no use.
const BRIEF: Duration = Duration::from_millis(500);
/// Two useless connections this far apart have nothing to do with each other.
const APART: Duration = Duration::from_secs(4);

/// How long to wait before one server is dialled again.
///
/// A connection that was of use is dialled again at once: most losses concern that connection alone
/// (`CLIENT KILL`, an idle timeout, a load balancer), and the caller's deadline may be shorter than
/// any pause. A server that cannot be reached is given time, and so is one that accepts connections
/// and ends them at once; the first useless connection counts as bad luck. Pauses are counted from
/// the failure or the loss, so a client that was idle meanwhile has waited already.
///
/// Times are durations since an origin of the caller's choice, and `jitter` is a random number in 0..1.
#[derive(Debug, Clone, Default)]
pub struct ReconnectBackoff {
    /// Dials that failed since a connection was last ready.
    failed: u32,
    /// Useless connections in a row.
    useless: u32,
    useless_at: Option<Duration>,
    not_before: Duration,
}

impl ReconnectBackoff {
    /// The time before which the server should not be dialled.
    pub fn not_before(&self) -> Duration {
        self.not_before
    }

    /// No connection could be made, or its handshake failed.
    pub fn failed(&mut self, now: Duration, jitter: f64) {
        self.failed = self.failed.saturating_add(1);
        self.wait(self.failed, now, jitter);
    }

    /// The handshake of a connection is over.
    pub fn ready(&mut self) {
        self.failed = 0;
        self.not_before = Duration::ZERO;
    }

    /// A connection ended that was ready since `ready_at`; `answered` says whether it had answered
    /// any request.
    pub fn lost(&mut self, ready_at: Duration, answered: bool, now: Duration, jitter: f64) {
        let last = self.useless_at;
        if last.is_some_and(|last| ready_at <= last) {
            // It existed beside the one that was lost last, so the same cause ended both.
            return;
        }
        if answered || now.saturating_sub(ready_at) >= BRIEF {
            self.useless = 0;
            return;
        }
        if last.is_some_and(|last| now.saturating_sub(last) >= APART) {
            self.useless = 0;
        }
        self.useless = self.useless.saturating_add(1);
        self.useless_at = Some(now);
        if self.useless > 1 {
            self.wait(self.useless - 1, now, jitter);
        }
    }

    fn wait(&mut self, attempt: u32, now: Duration, jitter: f64) {
        self.not_before = now.saturating_add(backoff(attempt, jitter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Milliseconds to wait at `now`, if no jitter is added.
    fn pause(backoff: &ReconnectBackoff, now: Duration) -> u128 {
        backoff.not_before().saturating_sub(now).as_millis()
    }

    #[test]
    fn the_first_dial_and_the_one_after_a_loss_are_made_at_once() {
        let mut backoff = ReconnectBackoff::default();
        assert_eq!(pause(&backoff, Duration::ZERO), 0);
        for (answered, lived) in [(true, MS), (false, SECOND), (true, SECOND)] {
            for loss in 1..10 {
                let now = SECOND * loss;
                backoff.ready();
                backoff.lost(now, answered, now + lived, 0.0);
                assert_eq!(pause(&backoff, now + lived), 0, "{answered} {lived:?}");
            }
        }
    }

    #[test]
    fn dials_that_fail_wait_longer_each_time_until_one_does_not() {
        let mut backoff = ReconnectBackoff::default();
        let pauses = [0; 8].map(|_| {
            backoff.failed(SECOND, 0.0);
            pause(&backoff, SECOND)
        });
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        backoff.failed(SECOND, 1.0);
        assert_eq!(pause(&backoff, SECOND), 2000);
        backoff.ready();
        assert_eq!(pause(&backoff, SECOND), 0);
        backoff.failed(SECOND, 0.0);
        assert_eq!(pause(&backoff, SECOND), 50);
    }

    #[test]
    fn a_server_that_ends_connections_at_once_is_given_time_from_the_second_on() {
        let mut backoff = ReconnectBackoff::default();
        let mut now = SECOND;
        let pauses = [0; 7].map(|_| {
            backoff.ready();
            backoff.lost(now, false, now + MS, 0.0);
            now += MS;
            let pause = pause(&backoff, now);
            now = now.max(backoff.not_before()) + MS;
            pause
        });
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1000]);
        // One that is of use ends the row.
        backoff.ready();
        backoff.lost(now, true, now + MS, 0.0);
        assert_eq!(pause(&backoff, now + MS), 0);
        backoff.ready();
        backoff.lost(now + 2 * MS, false, now + 3 * MS, 0.0);
        assert_eq!(pause(&backoff, now + 3 * MS), 0);
    }

    #[test]
    fn time_that_passed_since_the_loss_counts() {
        let mut backoff = ReconnectBackoff::default();
        backoff.failed(SECOND, 0.0);
        assert_eq!(pause(&backoff, SECOND + 20 * MS), 30);
        assert_eq!(pause(&backoff, 3 * SECOND), 0);
    }

    #[test]
    fn what_ended_many_connections_counts_once() {
        let mut backoff = ReconnectBackoff::default();
        for _ in 0..32 {
            backoff.lost(SECOND, false, SECOND + MS, 0.0);
        }
        assert_eq!(pause(&backoff, SECOND + MS), 0);
        backoff.lost(SECOND + 2 * MS, false, SECOND + 3 * MS, 0.0);
        assert_eq!(pause(&backoff, SECOND + 3 * MS), 50);
        // An old one, found dead only now, says nothing about the server of today.
        backoff.lost(Duration::ZERO, true, SECOND + 4 * MS, 0.0);
        backoff.lost(SECOND + 60 * MS, false, SECOND + 61 * MS, 0.0);
        assert_eq!(pause(&backoff, SECOND + 61 * MS), 100);
    }

    #[test]
    fn useless_connections_far_apart_are_not_in_a_row() {
        let mut backoff = ReconnectBackoff::default();
        for loss in 1..10 {
            let now = loss * APART;
            backoff.lost(now, false, now + MS, 0.0);
            assert_eq!(pause(&backoff, now + MS), 0);
        }
    }
}
