use std::time::Duration;

/// How many commands a server may owe replies to: about what it answers in 10 ms.
///
/// What is beyond waits here instead of there, where it can still be shared, cancelled, or time out
/// without having cost the server anything.
///
/// One probe at a time measures it. Of the commands that are owed when some are sent, the last is
/// answered after a while; so many in that time is the rate (Little's law). The way there and back
/// is part of that time, and no work of the server's: so long can be sent ahead beside the 10 ms. The
/// shortest time that anything took, the greeting or a probe, tells how long that is.
#[derive(Debug)]
pub(super) struct Window {
    least: usize,
    most: usize,
    limit: usize,
    probe: Option<Probe>,
    /// What the probe before the last would have made the limit.
    last: usize,
    shortest: Duration,
    connected: Duration,
    /// Whether something is held back.
    held: bool,
}

#[derive(Debug)]
struct Probe {
    began: Duration,
    commands: usize,
    unanswered: usize,
}

/// How much of the server's work may wait there.
const AHEAD: Duration = Duration::from_millis(10);
/// About 70 us of a fast server's work, in one packet or two.
const LEAST: usize = 64;
const MOST: usize = 65_536;
/// Until there is a measurement: 10 ms of a server that is neither fast nor slow. After a
/// reconnection many jobs may be waiting, and the server have just come back.
const AT_FIRST: usize = 1024;
/// Clocks tick.
const SHORTEST: Duration = Duration::from_micros(1);

impl Default for Window {
    fn default() -> Self {
        Window {
            limit: AT_FIRST,
            ..Window::between(LEAST, MOST)
        }
    }
}

impl Window {
    /// One that is never smaller or larger, and as large as may be at first.
    pub(super) fn between(least: usize, most: usize) -> Self {
        Window {
            least,
            most,
            limit: most,
            probe: None,
            last: 0,
            shortest: Duration::MAX,
            connected: Duration::ZERO,
            held: false,
        }
    }

    /// While fewer commands are owed, another job may be sent.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The greeting is sent.
    pub(super) fn connected(&mut self, now: Duration) {
        self.connected = now;
    }

    /// It is answered.
    pub(super) fn greeted(&mut self, now: Duration) {
        self.shortest = now.saturating_sub(self.connected).max(SHORTEST);
    }

    /// Commands were sent: so many are owed now, and whether others are held back.
    pub(super) fn sent(&mut self, owed: usize, held: bool, now: Duration) {
        self.held = held;
        if self.probe.is_none() {
            self.probe = Some(Probe {
                began: now,
                commands: owed,
                unanswered: owed,
            });
        }
    }

    /// So many commands were answered, and so many are still owed.
    pub(super) fn answered(&mut self, count: usize, owed: usize, now: Duration) {
        let Some(probe) = &mut self.probe else {
            return;
        };
        probe.unanswered = probe.unanswered.saturating_sub(count);
        if probe.unanswered > 0 {
            return;
        }
        let elapsed = now.saturating_sub(probe.began).max(SHORTEST);
        self.shortest = self.shortest.min(elapsed);
        let times = (self.shortest + AHEAD).as_secs_f64() / elapsed.as_secs_f64();
        let measured = (probe.commands as f64 * times) as usize;
        self.probe = None;
        // The larger of two, since whoever sends may have been busy elsewhere and late to look.
        let mut limit = measured.max(self.last);
        if self.held && owed == 0 {
            // It has answered all it was given, some time before anybody looked.
            limit = limit.max(2 * self.limit);
        }
        self.last = measured;
        self.limit = limit.clamp(self.least, self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A server that takes `each` for a command, far away; somebody always has more for it, and looks
    /// at its replies now and then.
    struct Loaded {
        window: Window,
        now: Duration,
        round_trip: Duration,
        each: Duration,
        /// When each owed command is answered, here.
        owed: VecDeque<Duration>,
    }

    const MS: Duration = Duration::from_millis(1);

    impl Loaded {
        fn new(round_trip: Duration, each: Duration) -> Self {
            let mut window = Window::default();
            window.connected(Duration::ZERO);
            window.greeted(round_trip);
            Loaded {
                window,
                now: Duration::ZERO,
                round_trip,
                each,
                owed: VecDeque::new(),
            }
        }

        fn send(&mut self, most: usize) {
            let count = most.min(self.window.limit().saturating_sub(self.owed.len()));
            for _ in 0..count {
                let arrival = self.now + self.round_trip;
                let free = self.owed.back().copied().unwrap_or_default();
                self.owed.push_back(arrival.max(free) + self.each);
            }
            if count > 0 {
                let held = count < most;
                self.window.sent(self.owed.len(), held, self.now);
            }
        }

        fn look(&mut self, after: Duration) -> usize {
            self.now += after;
            let now = self.now;
            let count = self.owed.iter().take_while(|&&at| at <= now).count();
            self.owed.drain(..count);
            if count > 0 {
                self.window.answered(count, self.owed.len(), now);
            }
            count
        }

        /// Commands a second over so many looks, after as many to settle down.
        fn rate(&mut self, looks: usize, every: Duration) -> f64 {
            let mut answered = 0;
            for look in 0..2 * looks {
                self.send(usize::MAX);
                let count = self.look(every);
                answered += if look < looks { 0 } else { count };
            }
            answered as f64 / (every * looks as u32).as_secs_f64()
        }
    }

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn it_holds_ten_milliseconds_of_the_servers_work_however_far_it_is() {
        for round_trip in [us(50), MS, 20 * MS, 100 * MS] {
            for each in [us(5), us(20), us(100)] {
                let mut server = Loaded::new(round_trip, each);
                let rate = server.rate(20_000, us(200));
                let most = 1.0 / each.as_secs_f64();
                assert!(rate > 0.9 * most, "{round_trip:?} {each:?} {rate}");
                // What is on its way is no work yet.
                let waits = server.window.limit() as f64 * each.as_secs_f64();
                let ahead = waits - round_trip.as_secs_f64();
                assert!(
                    (0.005..0.020).contains(&ahead),
                    "{round_trip:?} {each:?} {ahead}"
                );
            }
        }
    }

    #[test]
    fn a_slow_server_gets_the_least() {
        let mut server = Loaded::new(us(100), 2 * MS);
        assert_eq!(server.window.limit(), AT_FIRST);
        server.rate(10_000, MS);
        assert_eq!(server.window.limit(), LEAST);
    }

    #[test]
    fn a_server_that_slows_down_gets_less_and_one_that_recovers_more() {
        let mut server = Loaded::new(us(100), us(5));
        server.rate(1000, us(200));
        let fast = server.window.limit();
        assert!(fast > 1500, "{fast}");
        server.each = us(100);
        server.rate(2000, us(200));
        assert!(server.window.limit() < 200);
        server.each = us(5);
        server.rate(1000, us(200));
        assert!(server.window.limit() > 1500);
    }

    #[test]
    fn who_looks_seldom_does_not_take_a_fast_server_for_a_slow_one() {
        for every in [5 * MS, 20 * MS, 100 * MS] {
            let mut server = Loaded::new(us(100), us(5));
            // A single command at a time, as between two waves.
            for _ in 0..10 {
                server.send(1);
                server.look(us(150));
            }
            assert!(server.window.limit() < 100);
            let rate = server.rate(100, every);
            // It is held up by the window for ten milliseconds of each look at least.
            let most = 200_000.0_f64.min(0.9 * 2_000.0 / every.as_secs_f64());
            assert!(rate > 0.9 * most, "{every:?} {rate}");
        }
    }

    #[test]
    fn one_look_that_is_late_changes_little() {
        let mut server = Loaded::new(us(100), us(5));
        server.rate(1000, us(200));
        let settled = server.window.limit();
        server.look(12 * MS);
        assert!(server.owed.is_empty());
        server.send(100);
        server.look(500 * MS);
        assert!(server.window.limit() > settled / 4);
    }

    #[test]
    fn without_a_measurement_and_without_a_clock_it_is_within_its_bounds() {
        let mut window = Window::default();
        window.answered(1, 0, MS);
        assert_eq!(window.limit(), AT_FIRST);
        window.sent(1000, false, MS);
        window.answered(400, 600, MS);
        assert_eq!(window.limit(), AT_FIRST);
        window.answered(600, 0, MS);
        assert_eq!(window.limit(), MOST);
    }
}
