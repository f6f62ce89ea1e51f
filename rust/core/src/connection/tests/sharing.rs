//! Equal reads, which are sent once.

use super::*;

fn read(pair: &mut Pair, name: &str) -> Ticket {
    pair.try_submit(Echo::read(name, 2), SECOND).unwrap()
}

fn write(pair: &mut Pair) -> Ticket {
    pair.try_submit(Echo::write("w"), SECOND).unwrap()
}

/// The versions that each completed read has seen.
fn versions(pair: &mut Pair) -> Vec<Vec<usize>> {
    pair.events()
        .into_iter()
        .map(|event| match event {
            Event::Done { job, .. } => job.versions(),
            event => panic!("{event:?}"),
        })
        .collect()
}

const A: [&str; 2] = ["READ a 0", "READ a 1"];

#[test]
fn equal_reads_are_sent_once_and_all_are_answered() {
    for (reads_whole, others_read_whole) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let mut pair = Pair::ready();
        for index in 0..5 {
            let reads_whole = if index == 0 {
                reads_whole
            } else {
                others_read_whole
            };
            let echo = Echo {
                reads_whole,
                ..Echo::read("a", 2)
            };
            pair.try_submit(echo, SECOND).unwrap();
        }
        assert_eq!(pair.connection.unsent(), 2);
        pair.exchange();
        assert_eq!(pair.server.commands, A);
        assert_eq!(pair.done(), ["a"; 5]);
        assert_eq!(pair.connection.next_deadline(), None);
        assert_eq!(pair.connection.in_flight(), 0);
        let (slots, bytes, _) = pair.connection.queue.held();
        assert_eq!((slots, bytes), (0, 0));
    }
}

#[test]
fn however_the_replies_are_cut() {
    let mut pair = Pair::ready();
    for name in ["a", "b", "a", "b", "a"] {
        let reads_whole = pair.connection.in_flight().is_multiple_of(2);
        let echo = Echo {
            reads_whole,
            ..Echo::read(name, 2)
        };
        pair.try_submit(echo, SECOND).unwrap();
    }
    pair.flush();
    let answer = pair.server.take_output();
    for byte in answer {
        pair.connection.handle_data(&[byte], pair.now).unwrap();
    }
    assert_eq!(pair.done(), ["a", "a", "a", "b", "b"]);
}

#[test]
fn other_reads_do_not_end_it_and_are_not_mixed_up() {
    let mut pair = Pair::ready();
    for _ in 0..3 {
        for index in 0..300 {
            read(&mut pair, &index.to_string());
        }
    }
    // Its commands are the beginning of another's.
    pair.try_submit(Echo::read("7", 1), SECOND).unwrap();
    pair.exchange();
    assert_eq!(pair.server.commands.len(), 601);
    assert_eq!(pair.done().len(), 901);
}

#[test]
fn what_has_left_is_not_shared() {
    let mut pair = Pair::ready();
    read(&mut pair, "a");
    pair.flush();
    let answer = pair.server.take_output();
    // Somebody may have written by now, and know that the write is done.
    pair.server.receive(b"*2\r\n$5\r\nWRITE\r\n$1\r\nw\r\n");
    pair.server.take_output();
    read(&mut pair, "a");
    pair.connection.handle_data(&answer, pair.now).unwrap();
    pair.exchange();
    assert_eq!(versions(&mut pair), [[0, 0], [1, 1]]);
}

#[test]
fn a_write_between_two_equal_reads_is_seen_by_the_second() {
    let mut pair = Pair::ready();
    read(&mut pair, "a");
    write(&mut pair);
    read(&mut pair, "a");
    read(&mut pair, "a");
    pair.exchange();
    assert_eq!(
        versions(&mut pair),
        [vec![0, 0], vec![1], vec![1, 1], vec![1, 1]]
    );
    assert_eq!(
        pair.server.commands,
        ["READ a 0", "READ a 1", "WRITE w 0", "READ a 0", "READ a 1"]
    );
}

#[test]
fn equal_writes_are_all_sent() {
    let mut pair = Pair::ready();
    write(&mut pair);
    write(&mut pair);
    pair.exchange();
    assert_eq!(pair.server.commands, ["WRITE w 0"; 2]);
}

#[test]
fn any_of_them_may_be_cancelled_before_it_leaves() {
    for left in 0..3 {
        let mut pair = Pair::ready();
        let tickets: Vec<Ticket> = (0..3).map(|_| read(&mut pair, "a")).collect();
        for (index, ticket) in tickets.into_iter().enumerate() {
            assert!(index == left || pair.connection.cancel(ticket).is_some());
            assert!(index == left || pair.connection.cancel(ticket).is_none());
        }
        // It shares with a slot whose own job may be gone.
        read(&mut pair, "a");
        pair.exchange();
        assert_eq!(pair.server.commands, A);
        assert_eq!(pair.done(), ["a"; 2]);
    }
}

#[test]
fn nothing_is_sent_when_all_are_cancelled() {
    let mut pair = Pair::ready();
    let tickets: Vec<Ticket> = (0..3).map(|_| read(&mut pair, "a")).collect();
    read(&mut pair, "b");
    for ticket in tickets {
        assert!(pair.connection.cancel(ticket).is_some());
    }
    pair.exchange();
    assert_eq!(pair.server.commands, ["READ b 0", "READ b 1"]);
    // The next job does not share commands that were withdrawn.
    let ticket = read(&mut pair, "a");
    assert!(pair.connection.cancel(ticket).is_some());
    read(&mut pair, "c");
    read(&mut pair, "a");
    pair.exchange();
    assert_eq!(pair.server.commands.len(), 6);
    assert_eq!(pair.done(), ["b", "c", "a"]);
}

#[test]
fn any_of_them_may_be_cancelled_amid_the_replies() {
    for left in 0..3 {
        let mut pair = Pair::ready();
        let tickets: Vec<Ticket> = (0..3).map(|_| read(&mut pair, "a")).collect();
        pair.submit("behind", 1, SECOND);
        pair.flush();
        let answer = pair.server.take_output();
        // One whole reply, and the header of the second.
        pair.connection
            .handle_data(&answer[..14], pair.now)
            .unwrap();
        for (index, ticket) in tickets.into_iter().enumerate() {
            let job = (index != left).then(|| pair.connection.cancel(ticket));
            assert!(job.is_none_or(|job| job.unwrap().1.replies == ["a 0@0"]));
        }
        pair.connection
            .handle_data(&answer[14..], pair.now)
            .unwrap();
        assert_eq!(pair.done(), ["a", "behind"]);
    }
}

#[test]
fn each_has_a_deadline_of_its_own() {
    for sent in [false, true] {
        for late in 0..3 {
            let mut pair = Pair::ready();
            let tickets: Vec<Ticket> = (0..3)
                .map(|index| {
                    let timeout = if index == late { SECOND / 10 } else { SECOND };
                    pair.try_submit(Echo::read("a", 2), timeout).unwrap()
                })
                .collect();
            let mut answer = Vec::new();
            if sent {
                pair.flush();
                answer = pair.server.take_output();
                let first = answer.drain(..14).collect::<Vec<_>>();
                pair.connection.handle_data(&first, pair.now).unwrap();
            }
            pair.wait(SECOND / 2);
            let events = pair.events();
            let [
                Event::TimedOut {
                    ticket,
                    answered,
                    sent: was_sent,
                    ..
                },
            ] = events[..]
            else {
                panic!("{events:?}")
            };
            assert_eq!(
                (ticket, answered, was_sent),
                (tickets[late], usize::from(sent), sent)
            );
            pair.connection.handle_data(&answer, pair.now).unwrap();
            pair.exchange();
            assert_eq!(pair.done(), ["a", "a"]);
            assert_eq!(pair.server.commands, A);
        }
    }
}

#[test]
fn each_is_lost_with_the_connection() {
    for sent in [false, true] {
        let mut pair = Pair::ready();
        let tickets: Vec<Ticket> = (0..3).map(|_| read(&mut pair, "a")).collect();
        if sent {
            pair.flush();
            let answer = pair.server.take_output();
            pair.connection
                .handle_data(&answer[..14], pair.now)
                .unwrap();
        }
        pair.connection.handle_closed(pair.now);
        let lost: Vec<_> = pair
            .events()
            .into_iter()
            .map(|event| match event {
                Event::Lost {
                    ticket,
                    job,
                    answered,
                    sent,
                    ..
                } => (ticket, job.replies.len(), answered, sent),
                event => panic!("{event:?}"),
            })
            .collect();
        let answered = usize::from(sent);
        let expected: Vec<_> = tickets
            .into_iter()
            .map(|ticket| (ticket, answered, answered, sent))
            .collect();
        assert_eq!(lost, expected);
    }
}

#[test]
fn those_that_go_on_go_on_each_for_itself() {
    let mut pair = Pair::ready();
    for more in [1, 0, 2, 1] {
        let echo = Echo {
            more,
            ..Echo::read("a", 2)
        };
        pair.try_submit(echo, SECOND).unwrap();
    }
    pair.exchange();
    // Four, then three, then one: those that go on share again.
    assert_eq!(pair.server.commands, A.repeat(3));
    assert_eq!(pair.done(), ["a"; 4]);
}

#[test]
fn bytes_that_are_not_a_reply_lose_all_of_them() {
    for reads_whole in [false, true] {
        let mut pair = Pair::ready();
        for _ in 0..3 {
            let echo = Echo {
                reads_whole,
                ..Echo::read("a", 2)
            };
            pair.try_submit(echo, SECOND).unwrap();
        }
        pair.flush();
        let result = pair.connection.handle_data(b"$5\r\na 0@0\r\n?", pair.now);
        assert!(matches!(result, Err(ProtocolError::Scan(_))));
        for event in pair.events() {
            assert!(
                matches!(
                    event,
                    Event::Lost {
                        answered: 1,
                        sent: true,
                        ..
                    }
                ),
                "{event:?}"
            );
        }
        assert_eq!(pair.connection.in_flight(), 0);
    }
}
