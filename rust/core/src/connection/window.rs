use std::time::Duration;

/// How many commands a server may owe replies to: about what it answers in 10 ms.
///
/// Further commands wait here instead of at the server. Here they can still be shared, be
/// cancelled, or time out without having cost the server anything.
///
/// One probe at a time measures the server's rate. A probe begins when commands are sent, and ends
/// when the last of all commands owed at that time is answered; their number over the time it took
/// is the rate (Little's law). The round trip is part of that time, but the server does not work
/// during it, so commands may be sent ahead for 10 ms and a round trip. The shortest time that the
/// handshake or a probe took counts as the round trip.
#[derive(Debug)]
pub(super) struct Window {
    least: usize,
    most: usize,
    limit: usize,
    probe: Option<Probe>,
    /// The limit as the last probe alone would have it.
    last: usize,
    shortest: Duration,
    connected: Duration,
    /// Whether commands were held back when some were last sent.
    held: bool,
}

#[derive(Debug)]
struct Probe {
    began: Duration,
    commands: usize,
    unanswered: usize,
}

/// How much work may wait at the server.
const AHEAD: Duration = Duration::from_millis(10);
/// About 70 us of a fast server's work, in one packet or two.
const LEAST: usize = 64;
const MOST: usize = 65_536;
/// The limit until there is a measurement: 10 ms of a server that is neither fast nor slow. After a
/// reconnection many jobs may be waiting, and the server may have just come back.
const AT_FIRST: usize = 1024;
/// A time that is too short for the clock counts as this long.
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
    /// A window whose limit stays within these bounds, and begins at the upper one.
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

    /// The handshake was sent.
    pub(super) fn connected(&mut self, now: Duration) {
        self.connected = now;
    }

    /// The handshake was answered.
    pub(super) fn greeted(&mut self, now: Duration) {
        self.shortest = now.saturating_sub(self.connected).max(SHORTEST);
    }

    /// Commands were sent: how many are owed now, and whether others are held back.
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

    /// Commands were answered: how many, and how many are still owed.
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
        // The driver may have been busy and looked late, so the larger of two measurements counts.
        let mut limit = measured.max(self.last);
        if self.held && owed == 0 {
            // The server answered everything before the driver looked, so it may be faster.
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

    /// A distant server that takes `each` for a command, and a driver that always has more commands
    /// for it, and looks at its replies now and then.
    struct Loaded {
        window: Window,
        now: Duration,
        round_trip: Duration,
        each: Duration,
        /// When the reply to each owed command arrives here.
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

        /// Commands a second over this many looks, after as many to settle down.
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
                // Commands that are still on their way do not wait at the server.
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
    fn a_driver_that_looks_seldom_does_not_take_a_fast_server_for_a_slow_one() {
        for every in [5 * MS, 20 * MS, 100 * MS] {
            let mut server = Loaded::new(us(100), us(5));
            // A single command at a time, as between two waves.
            for _ in 0..10 {
                server.send(1);
                server.look(us(150));
            }
            assert!(server.window.limit() < 100);
            let rate = server.rate(100, every);
            // The window lets at least ten milliseconds of work pass between two looks.
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
