//! Decides whether, when and where to send a failed command again. The decision is a pure function.

use std::time::Duration;

use crate::error::{ErrorKind, RetryClass, ServerCode};

/// The most times a command is sent, the first included.
pub const MAX_ATTEMPTS: u32 = 3;
/// A pause has full jitter, over a range that doubles from here…
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// …up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Reconnecting waits between this…
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// …and this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// How a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server answered with an error.
    Server(&'static ServerCode),
    /// The connection ended. `sent` says whether any byte of the command had left.
    Lost {
        /// If none had, the server has executed nothing of it.
        sent: bool,
    },
    /// No connection could be made.
    ConnectFailed,
    /// The server refused the handshake.
    Handshake(ErrorKind),
    /// The command was not sent, because a bound of this client was reached.
    Overloaded,
    /// The deadline passed.
    DeadlineExceeded,
    /// The peer does not speak RESP. The command may have been executed.
    Protocol,
}

/// What to do with a failed command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Pause, then send it again on this connection.
    RetryAfter(Duration),
    /// Pause, then send it again on a connection that is chosen or opened then.
    ReconnectAndRetry(Duration),
    /// Fail with this error.
    Fail(ErrorKind),
}

/// Bounds the retries in flight: a fifth of all commands in flight, and at least three.
///
/// Without it a server in trouble would get up to three times its load when it can bear it least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Commands in flight, retries included.
    pub in_flight: usize,
    /// Retries among them.
    pub retrying: usize,
}

impl Budget {
    /// Whether one more retry fits.
    pub fn allows(self) -> bool {
        self.retrying < (self.in_flight / 5).max(3)
    }
}

/// Decides what to do with a command that failed for the `attempt`-th time, counted from 1.
///
/// `jitter` is a random number in 0..1. If a pause would end at or past the deadline, the command
/// fails at once with its own error, rather than later with the deadline's.
pub fn decide(
    failure: Failure,
    attempt: u32,
    idempotent: bool,
    now: Duration,
    deadline: Duration,
    budget: Budget,
    jitter: f64,
) -> Action {
    let kind = kind_of(failure);
    let Some(retry_on) = retry_on(failure) else {
        return Action::Fail(kind);
    };
    if !(idempotent || changed_nothing(failure)) {
        return Action::Fail(kind);
    }
    if !is_awaited(failure) && (attempt >= MAX_ATTEMPTS || !budget.allows()) {
        return Action::Fail(kind);
    }
    let pause = pause(attempt, jitter);
    if now.saturating_add(pause) >= deadline {
        return Action::Fail(kind);
    }
    match retry_on {
        RetryOn::SameConnection => Action::RetryAfter(pause),
        RetryOn::NewConnection => Action::ReconnectAndRetry(pause),
    }
}

/// The wait before the `attempt`-th try to reconnect, counted from 1. Half of it is fixed, so that
/// no client hammers the server. Half is jitter, so that clients do not all come back together.
pub fn backoff(attempt: u32, jitter: f64) -> Duration {
    let ceiling = doubled(FIRST_BACKOFF * 2, attempt, LONGEST_BACKOFF);
    ceiling / 2 + (ceiling / 2).mul_f64(jitter.clamp(0.0, 1.0))
}

/// The caller's error if the command is not sent again.
pub fn kind_of(failure: Failure) -> ErrorKind {
    match failure {
        Failure::Server(code) => code.kind,
        Failure::Handshake(kind) => kind,
        Failure::Lost { .. } | Failure::ConnectFailed => ErrorKind::Unavailable,
        Failure::Overloaded => ErrorKind::Overloaded,
        Failure::DeadlineExceeded => ErrorKind::DeadlineExceeded,
        Failure::Protocol => ErrorKind::ProtocolError,
    }
}

enum RetryOn {
    SameConnection,
    NewConnection,
}

/// The connection on which the command may be sent again; `None` if on no connection.
fn retry_on(failure: Failure) -> Option<RetryOn> {
    match failure {
        Failure::Server(code) => match code.retry {
            RetryClass::Later => Some(RetryOn::SameConnection),
            RetryClass::Elsewhere => Some(RetryOn::NewConnection),
            // The cluster client and the caller of a script handle these before they ask here.
            RetryClass::Never | RetryClass::Moved | RetryClass::Ask | RetryClass::LoadScript => {
                None
            }
        },
        Failure::Lost { .. }
        | Failure::ConnectFailed
        | Failure::Handshake(ErrorKind::Unavailable) => Some(RetryOn::NewConnection),
        Failure::Handshake(_)
        | Failure::Overloaded
        | Failure::DeadlineExceeded
        | Failure::Protocol => None,
    }
}

/// Whether the server is on its way back, so that only the deadline ends the retries. They cost it
/// little: dials have a back-off of their own, and a server that is loading only refuses.
fn is_awaited(failure: Failure) -> bool {
    match failure {
        Failure::ConnectFailed | Failure::Handshake(ErrorKind::Unavailable) => true,
        Failure::Server(code) => code.code == "LOADING",
        _ => false,
    }
}

fn changed_nothing(failure: Failure) -> bool {
    match failure {
        Failure::Server(code) => code.unchanged,
        Failure::Lost { sent } => !sent,
        Failure::ConnectFailed | Failure::Handshake(_) | Failure::Overloaded => true,
        Failure::DeadlineExceeded | Failure::Protocol => false,
    }
}

/// Full jitter, but at least the first pause: an immediate retry would meet the same trouble.
fn pause(attempt: u32, jitter: f64) -> Duration {
    let ceiling = doubled(FIRST_PAUSE * 2, attempt, LONGEST_PAUSE);
    FIRST_PAUSE
        + ceiling
            .saturating_sub(FIRST_PAUSE)
            .mul_f64(jitter.clamp(0.0, 1.0))
}

fn doubled(first: Duration, attempt: u32, longest: Duration) -> Duration {
    let factor = 1_u32 << attempt.saturating_sub(1).min(16);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{
        AuthenticationFailed, ConfigError, DeadlineExceeded, Overloaded, ProtocolError,
        Unavailable, WriteRejected,
    };
    use crate::error::classify;

    const FAR: Duration = Duration::from_secs(60);
    const IDLE: Budget = Budget {
        in_flight: 1,
        retrying: 0,
    };

    fn server(text: &str) -> Failure {
        Failure::Server(classify(text.as_bytes()))
    }

    fn first_try(failure: Failure, idempotent: bool) -> Action {
        decide(failure, 1, idempotent, Duration::ZERO, FAR, IDLE, 0.0)
    }

    #[test]
    fn the_table() {
        let pause = Duration::from_millis(10);
        let here = Action::RetryAfter(pause);
        let anew = Action::ReconnectAndRetry(pause);
        let fail = Action::Fail;
        // failure, what an idempotent command gets, what any other gets
        let table = [
            (server("LOADING"), anew, anew),
            (server("BUSY"), here, here),
            (server("CLUSTERDOWN"), anew, anew),
            (server("READONLY"), anew, anew),
            (server("MASTERDOWN"), anew, anew),
            (server("TRYAGAIN"), here, here),
            (server("OOM"), here, here),
            (server("MISCONF"), here, here),
            (server("NOREPLICAS"), here, here),
            (server("NOGOODSLAVE"), here, fail(WriteRejected)),
            (server("EXECABORT"), here, here),
            (server("MOVED 1 a:1"), fail(Unavailable), fail(Unavailable)),
            (server("ASK 1 a:1"), fail(Unavailable), fail(Unavailable)),
            (server("NOSCRIPT"), fail(Unavailable), fail(Unavailable)),
            (server("NOPERM"), fail(ConfigError), fail(ConfigError)),
            (server("WRONGTYPE"), fail(ConfigError), fail(ConfigError)),
            (server("CROSSSLOT"), fail(ConfigError), fail(ConfigError)),
            (
                server("ERR syntax error"),
                fail(ConfigError),
                fail(ConfigError),
            ),
            (
                server("NOAUTH"),
                fail(AuthenticationFailed),
                fail(AuthenticationFailed),
            ),
            (
                server("WRONGPASS"),
                fail(AuthenticationFailed),
                fail(AuthenticationFailed),
            ),
            (server("ERR max number of clients reached"), anew, anew),
            (Failure::Lost { sent: true }, anew, fail(Unavailable)),
            (Failure::Lost { sent: false }, anew, anew),
            (Failure::ConnectFailed, anew, anew),
            (Failure::Handshake(Unavailable), anew, anew),
            (
                Failure::Handshake(AuthenticationFailed),
                fail(AuthenticationFailed),
                fail(AuthenticationFailed),
            ),
            (Failure::Overloaded, fail(Overloaded), fail(Overloaded)),
            (
                Failure::DeadlineExceeded,
                fail(DeadlineExceeded),
                fail(DeadlineExceeded),
            ),
            (Failure::Protocol, fail(ProtocolError), fail(ProtocolError)),
        ];
        for (failure, idempotent, any) in table {
            assert_eq!(first_try(failure, true), idempotent, "{failure:?}");
            assert_eq!(first_try(failure, false), any, "{failure:?}");
        }
    }

    #[test]
    fn attempts_are_counted() {
        let lost = Failure::Lost { sent: true };
        for attempt in 1..MAX_ATTEMPTS {
            let action = decide(lost, attempt, true, Duration::ZERO, FAR, IDLE, 0.5);
            assert!(matches!(action, Action::ReconnectAndRetry(_)), "{attempt}");
        }
        let action = decide(lost, MAX_ATTEMPTS, true, Duration::ZERO, FAR, IDLE, 0.5);
        assert_eq!(action, Action::Fail(ErrorKind::Unavailable));
    }

    #[test]
    fn a_server_on_its_way_back_is_awaited_until_the_deadline() {
        let spent = Budget {
            in_flight: 10,
            retrying: 9,
        };
        for failure in [
            Failure::ConnectFailed,
            Failure::Handshake(ErrorKind::Unavailable),
            server("LOADING"),
        ] {
            let now = Duration::from_secs(1);
            let action = decide(failure, 50, false, now, FAR, spent, 0.5);
            assert!(
                matches!(action, Action::ReconnectAndRetry(_)),
                "{failure:?}"
            );
            let action = decide(failure, 50, false, now, now, spent, 0.5);
            assert_eq!(action, Action::Fail(ErrorKind::Unavailable), "{failure:?}");
        }
    }

    #[test]
    fn no_pause_ends_past_the_deadline() {
        let now = Duration::from_secs(5);
        for jitter in [0.0, 0.3, 0.999] {
            for left in [0, 1, 9, 10, 11, 15, 20, 40, 1000] {
                let deadline = now + Duration::from_millis(left);
                match decide(server("BUSY"), 1, true, now, deadline, IDLE, jitter) {
                    Action::RetryAfter(pause) => assert!(now + pause < deadline),
                    action => assert_eq!(action, Action::Fail(ErrorKind::Unavailable)),
                }
            }
        }
        let past = decide(server("BUSY"), 1, true, now, Duration::ZERO, IDLE, 0.0);
        assert_eq!(past, Action::Fail(ErrorKind::Unavailable));
    }

    #[test]
    fn the_budget_is_a_fifth_and_three_at_least() {
        for (in_flight, retrying, allowed) in [
            (0, 0, true),
            (1, 2, true),
            (1, 3, false),
            (15, 3, false),
            (20, 3, true),
            (100, 19, true),
            (100, 20, false),
        ] {
            assert_eq!(
                Budget {
                    in_flight,
                    retrying
                }
                .allows(),
                allowed,
                "{in_flight} {retrying}"
            );
        }
        let spent = Budget {
            in_flight: 10,
            retrying: 3,
        };
        let action = decide(server("BUSY"), 1, true, Duration::ZERO, FAR, spent, 0.0);
        assert_eq!(action, Action::Fail(ErrorKind::Unavailable));
    }

    #[test]
    fn pauses_and_back_off_stay_in_their_ranges() {
        for attempt in 0..100 {
            for jitter in [0.0, 0.5, 1.0] {
                let pause = pause(attempt, jitter);
                assert!(
                    (FIRST_PAUSE..=LONGEST_PAUSE).contains(&pause),
                    "{attempt} {pause:?}"
                );
                let wait = backoff(attempt, jitter);
                assert!(
                    (FIRST_BACKOFF..=LONGEST_BACKOFF).contains(&wait),
                    "{attempt} {wait:?}"
                );
            }
        }
        assert_eq!(backoff(1, 0.0), FIRST_BACKOFF);
        assert_eq!(backoff(30, 1.0), LONGEST_BACKOFF);
    }
}
