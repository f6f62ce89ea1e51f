use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        expected: usize,
        more: usize,
        timeout_ms: u64,
    },
    Cancel(usize),
    Flush,
    /// The server's answers arrive, up to that many bytes.
    Arrive(usize),
    Push,
    Wait(u64),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_usize..4, 0_usize..3, 1_u64..200)
            .prop_map(|(expected, more, timeout_ms)| Step::Submit { expected, more, timeout_ms }),
        3 => (0_usize..20).prop_map(Step::Cancel),
        4 => Just(Step::Flush),
        8 => (0_usize..60).prop_map(Step::Arrive),
        1 => Just(Step::Push),
        3 => (0_u64..60).prop_map(Step::Wait),
        1 => prop::bool::weighted(0.1)
            .prop_map(|close| if close { Step::Close } else { Step::Flush }),
    ]
}

/// What became of the jobs, and what must have.
#[derive(Default)]
struct Oracle {
    open: HashMap<Ticket, String>,
    submitted: usize,
    tickets: Vec<Ticket>,
}

impl Oracle {
    /// Every event is about a job that has not come back, and every reply in it is its own.
    fn hear(&mut self, pair: &mut Pair) {
        for event in pair.events() {
            let (ticket, job, answered) = match event {
                Event::Done { ticket, job } => {
                    let answered = job.expected;
                    (ticket, job, answered)
                }
                Event::TimedOut {
                    ticket,
                    job,
                    answered,
                    ..
                }
                | Event::Lost {
                    ticket,
                    job,
                    answered,
                    ..
                } => (ticket, job, answered),
                Event::Push(items) => {
                    assert_eq!(items.len(), 2);
                    continue;
                }
                event => panic!("{event:?}"),
            };
            self.settle(ticket, &job);
            assert_eq!(job.whole, answered);
        }
    }

    fn settle(&mut self, ticket: Ticket, job: &Echo) {
        assert_eq!(self.open.remove(&ticket), Some(job.name.clone()));
        job.assert_own();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is cancelled, late or cut: every reply reaches its own job, every job comes back
    /// exactly once, and what was withdrawn before it was sent is never received.
    #[test]
    fn every_reply_reaches_its_own_job(steps in prop::collection::vec(step(), 0..200)) {
        let mut pair = Pair::ready();
        let mut oracle = Oracle::default();
        let mut wire: Vec<u8> = Vec::new();
        let mut withdrawn: Vec<String> = Vec::new();
        for step in steps {
            let mut between = false;
            match step {
                Step::Submit { expected, more, timeout_ms } => {
                    let name = format!("job-{}", oracle.submitted);
                    oracle.submitted += 1;
                    let timeout = Duration::from_millis(timeout_ms);
                    let echo = Echo { more, ..Echo::new(&name, expected) };
                    match pair.try_submit(echo, timeout) {
                        Ok(ticket) => {
                            oracle.tickets.push(ticket);
                            oracle.open.insert(ticket, name);
                        }
                        Err(error) => prop_assert_eq!(error, SubmitError::Closed),
                    }
                }
                Step::Cancel(back) => {
                    let index = oracle.tickets.len().checked_sub(back + 1);
                    if let Some(&ticket) = index.and_then(|index| oracle.tickets.get(index)) {
                        let sent = pair.connection.queue.is_sent(ticket);
                        let open = oracle.open.contains_key(&ticket);
                        let job = pair.connection.cancel(ticket);
                        if let Some(job) = job {
                            oracle.settle(ticket, &job);
                            if !sent {
                                withdrawn.push(format!("ECHO {} 0", job.name));
                            }
                        } else if open {
                            // Its event is waiting to be heard.
                            oracle.hear(&mut pair);
                            prop_assert!(!oracle.open.contains_key(&ticket));
                        }
                    }
                }
                Step::Flush => pair.flush(),
                Step::Arrive(count) => {
                    wire.extend(pair.server.take_output());
                    let count = count.min(wire.len());
                    let piece: Vec<u8> = wire.drain(..count).collect();
                    pair.connection.handle_data(&piece, pair.now).unwrap();
                    between = true;
                }
                Step::Push => {
                    let before = pair.server.take_output();
                    wire.extend(before);
                    wire.extend_from_slice(b">2\r\n+message\r\n:1\r\n");
                }
                Step::Wait(ms) => pair.wait(Duration::from_millis(ms)),
                Step::Close => pair.connection.handle_closed(pair.now),
            }
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
        prop_assert!(oracle.open.is_empty(), "{:?}", oracle.open);
        prop_assert_eq!(pair.connection.in_flight(), 0);
        let (slots, bytes, _) = pair.connection.queue.held();
        prop_assert_eq!((slots, bytes), (0, 0));
        for command in withdrawn {
            prop_assert!(!pair.server.commands.contains(&command), "{} was sent", command);
        }
    }

    /// However the stream is cut, the same comes out of it.
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
