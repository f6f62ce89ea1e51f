use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum DriverCall {
    Submit {
        verb: Verb,
        expected: usize,
        more: usize,
        timeout_ms: u64,
        reads_whole: bool,
    },
    Cancel(usize),
    Flush,
    /// The server's answers arrive, up to that many bytes.
    Arrive(usize),
    Push,
    Wait(u64),
    Close,
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Echo,
    /// A read of one of a few keys, so that many reads are equal.
    Read(u8),
    Write,
}

fn submit() -> impl Strategy<Value = DriverCall> {
    let verb = prop_oneof![
        2 => Just(Verb::Echo),
        8 => (0_u8..3).prop_map(Verb::Read),
        1 => Just(Verb::Write),
    ];
    let more = prop_oneof![3 => Just(0_usize), 1 => 1_usize..3];
    (verb, 0_usize..4, more, 1_u64..200, any::<bool>()).prop_map(
        |(verb, expected, more, timeout_ms, reads_whole)| DriverCall::Submit {
            verb,
            expected,
            more,
            timeout_ms,
            reads_whole,
        },
    )
}

fn call() -> impl Strategy<Value = DriverCall> {
    prop_oneof![
        12 => submit(),
        3 => (0_usize..20).prop_map(DriverCall::Cancel),
        4 => Just(DriverCall::Flush),
        8 => (0_usize..60).prop_map(DriverCall::Arrive),
        1 => Just(DriverCall::Push),
        3 => (0_u64..60).prop_map(DriverCall::Wait),
        1 => prop::bool::weighted(0.1)
            .prop_map(|close| if close { DriverCall::Close } else { DriverCall::Flush }),
    ]
}

/// Knows which jobs have not come back, and checks each that does.
#[derive(Default)]
struct Oracle {
    open: HashMap<Ticket, Submitted>,
    submitted: usize,
    tickets: Vec<Ticket>,
}

struct Submitted {
    /// Which of all jobs; its tag.
    index: usize,
    name: String,
    goes_on: bool,
}

impl Oracle {
    fn submit(&mut self, pair: &mut Pair, mut echo: Echo, verb: Verb, timeout: Duration) {
        let index = self.submitted;
        self.submitted += 1;
        echo.name = format!("job-{index}");
        match verb {
            Verb::Echo => {}
            Verb::Read(key) => (echo.verb, echo.name) = ("READ", format!("key-{key}")),
            Verb::Write => (echo.verb, echo.more) = ("WRITE", 0),
        }
        let submitted = Submitted {
            index,
            name: echo.name.clone(),
            goes_on: echo.more > 0,
        };
        match pair.try_submit(echo, timeout) {
            Ok(ticket) => {
                self.tickets.push(ticket);
                self.open.insert(ticket, submitted);
            }
            Err(error) => assert_eq!(error, SubmitError::Closed),
        }
    }

    /// Every event is about a job that has not come back, and every reply in it is its own.
    fn hear(&mut self, pair: &mut Pair) {
        for event in pair.events() {
            match event {
                Event::Done { ticket, tag, job } => {
                    assert_eq!(job.whole, job.expected);
                    self.settle(pair, ticket, tag, &job, None);
                }
                Event::TimedOut {
                    ticket,
                    tag,
                    job,
                    answered,
                    sent,
                }
                | Event::Lost {
                    ticket,
                    tag,
                    job,
                    answered,
                    sent,
                    ..
                } => {
                    assert_eq!(job.whole, answered);
                    assert!(sent || answered == 0);
                    self.settle(pair, ticket, tag, &job, Some(sent));
                }
                Event::Push(items) => assert_eq!(items.len(), 2),
                event => panic!("{event:?}"),
            }
        }
    }

    fn settle(&mut self, pair: &Pair, ticket: Ticket, tag: usize, job: &Echo, sent: Option<bool>) {
        let submitted = self.open.remove(&ticket).unwrap();
        assert_eq!(submitted.index, tag);
        assert_eq!(submitted.name, job.name);
        job.assert_own();
        let commands = &pair.server.commands;
        if job.verb == "READ" {
            // As if it had been sent in the order of submission: after all earlier writes that were
            // sent at all, and before all later ones.
            let before = (0..submitted.index)
                .map(|index| {
                    let written = format!("WRITE job-{index} ");
                    let by_it = commands.iter().filter(|text| text.starts_with(&written));
                    by_it.count()
                })
                .sum();
            for version in job.versions() {
                assert!(version == before || submitted.goes_on && version > before);
            }
        } else if let Some(sent) = sent
            && !submitted.goes_on
            && job.expected > 0
        {
            let first = format!("{} {} 0", job.verb, job.name);
            assert_eq!(sent, commands.contains(&first), "{first}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Jobs are cancelled, late or cut off, and some have equal commands. Yet every reply reaches
    /// its own job, every job comes back exactly once and reads what it would have read by itself,
    /// and commands that were withdrawn in time are never sent. The window is kept.
    #[test]
    fn every_reply_reaches_its_own_job(
        window in (1_usize..6, 0_usize..6),
        calls in prop::collection::vec(call(), 0..200),
    ) {
        let mut pair = Pair::ready();
        let most = window.0 + window.1;
        pair.connection.window = Window::between(window.0, most);
        let mut oracle = Oracle::default();
        let mut wire: Vec<u8> = Vec::new();
        let mut withdrawn: Vec<String> = Vec::new();
        for call in calls {
            let mut between = false;
            match call {
                DriverCall::Submit { verb, expected, more, timeout_ms, reads_whole } => {
                    let timeout = Duration::from_millis(timeout_ms);
                    let echo = Echo { more, reads_whole, ..Echo::new("", expected) };
                    oracle.submit(&mut pair, echo, verb, timeout);
                }
                DriverCall::Cancel(back) => {
                    let index = oracle.tickets.len().checked_sub(back + 1);
                    if let Some(&ticket) = index.and_then(|index| oracle.tickets.get(index)) {
                        let sent = pair.connection.queue.is_sent(ticket);
                        let open = oracle.open.contains_key(&ticket);
                        if let Some((tag, job)) = pair.connection.cancel(ticket) {
                            oracle.settle(&pair, ticket, tag, &job, None);
                            if !sent && job.verb != "READ" {
                                withdrawn.push(format!("{} {} 0", job.verb, job.name));
                            }
                        } else if open {
                            // Its event is waiting to be heard.
                            oracle.hear(&mut pair);
                            prop_assert!(!oracle.open.contains_key(&ticket));
                        }
                    }
                }
                DriverCall::Flush => pair.flush(),
                DriverCall::Arrive(count) => {
                    wire.extend(pair.server.take_output());
                    let count = count.min(wire.len());
                    let piece: Vec<u8> = wire.drain(..count).collect();
                    pair.connection.handle_data(&piece, pair.now).unwrap();
                    between = true;
                }
                DriverCall::Push => {
                    let before = pair.server.take_output();
                    wire.extend(before);
                    wire.extend_from_slice(b">2\r\n+message\r\n:1\r\n");
                }
                DriverCall::Wait(ms) => pair.wait(Duration::from_millis(ms)),
                DriverCall::Close => pair.connection.handle_closed(pair.now),
            }
            let owed = pair.connection.queue.owed();
            // The last job that leaves expects up to three replies.
            prop_assert!(owed < most + 3);
            prop_assert_eq!(owed > 0, pair.connection.silent_for(pair.now).is_some());
            if between || oracle.submitted % 3 == 0 {
                oracle.hear(&mut pair);
                prop_assert_eq!(pair.connection.in_flight(), oracle.open.len());
            }
        }
        // At the end everything is answered, and nothing is left over.
        pair.flush();
        wire.extend(pair.server.take_output());
        pair.connection.handle_data(&wire, pair.now).unwrap();
        pair.exchange();
        oracle.hear(&mut pair);
        prop_assert!(oracle.open.is_empty(), "{:?}", oracle.open.keys());
        prop_assert_eq!(pair.connection.in_flight(), 0);
        prop_assert_eq!((pair.connection.unsent(), pair.connection.queue.owed()), (0, 0));
        let (slots, bytes, _) = pair.connection.queue.held();
        prop_assert_eq!((slots, bytes), (0, 0));
        for command in withdrawn {
            prop_assert!(!pair.server.commands.contains(&command), "{} was sent", command);
        }
    }

    /// However the stream is cut, the result is the same.
    #[test]
    fn splits_change_nothing(
        jobs in prop::collection::vec(0_usize..5, 1..30),
        pieces in prop::collection::vec(1_usize..40, 1..200),
    ) {
        let mut pair = Pair::ready();
        let names: Vec<String> = (0..jobs.len()).map(|index| format!("job-{index}")).collect();
        for (name, expected) in names.iter().zip(&jobs) {
            pair.submit(name, *expected, SECOND);
        }
        pair.flush();
        let answer = pair.server.take_output();
        let mut rest = &answer[..];
        for piece in pieces.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            pair.connection.handle_data(now, pair.now).unwrap();
            rest = later;
        }
        let mut done = pair.done();
        done.sort();
        let mut names = names;
        names.sort();
        prop_assert_eq!(done, names);
    }
}
