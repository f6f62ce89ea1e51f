//! Jobs that have more to send once their replies are there.

use super::*;

fn submit(pair: &mut Pair, more: usize) -> Ticket {
    let echo = Echo {
        more,
        ..Echo::new("a", 2)
    };
    pair.try_submit(echo, SECOND).unwrap()
}

#[test]
fn a_job_that_goes_on_is_done_once_and_keeps_its_ticket() {
    let mut pair = Pair::ready();
    let ticket = submit(&mut pair, 2);
    pair.submit("b", 1, SECOND);
    pair.exchange();
    let asked = ["ECHO a 0", "ECHO a 1"];
    assert_eq!(pair.server.commands[..2], asked);
    assert_eq!(pair.server.commands[2], "ECHO b 0");
    assert_eq!(pair.server.commands[3..5], asked);
    assert_eq!(pair.server.commands[5..], asked);
    let events = pair.events();
    let [
        Event::Done { job: first, .. },
        Event::Done {
            ticket: kept,
            tag: 0,
            job: last,
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&*first.name, &*last.name), ("b", "a"));
    assert_eq!(*kept, ticket);
    assert_eq!(pair.connection.in_flight(), 0);
    assert_eq!(pair.connection.next_deadline(), None);
}

/// A job that went on, whose second commands wait to be sent.
fn gone_on() -> (Pair, Ticket) {
    let mut pair = Pair::ready();
    // So that its ticket is not the id of its second slot.
    pair.submit("before", 1, SECOND);
    let ticket = submit(&mut pair, 1);
    pair.flush();
    let answer = pair.server.take_output();
    assert!(!pair.connection.has_output());
    pair.connection.handle_data(&answer, pair.now).unwrap();
    assert!(pair.connection.has_output(), "nobody else asks for it");
    assert_eq!(pair.done(), ["before"]);
    pair.server.commands.clear();
    (pair, ticket)
}

#[test]
fn it_can_be_cancelled() {
    let (mut pair, ticket) = gone_on();
    assert!(pair.connection.cancel(ticket).is_some());
    assert!(pair.connection.cancel(ticket).is_none(), "only once");
    pair.submit("after", 1, SECOND);
    pair.exchange();
    assert_eq!(pair.server.commands, ["ECHO after 0"]);
    assert_eq!(pair.done(), ["after"]);
}

#[test]
fn it_keeps_its_deadline() {
    let (mut pair, ticket) = gone_on();
    pair.flush();
    pair.wait(SECOND);
    let events = pair.events();
    assert!(
        matches!(events[..], [Event::TimedOut { ticket: late, sent: true, .. }] if late == ticket),
        "{events:?}"
    );
    pair.submit("after", 1, SECOND);
    pair.exchange();
    assert_eq!(pair.done(), ["after"]);
}

#[test]
fn it_is_lost_with_the_connection() {
    for sent in [false, true] {
        let (mut pair, ticket) = gone_on();
        if sent {
            pair.flush();
        }
        pair.connection.handle_closed(pair.now);
        let events = pair.events();
        let [
            Event::Lost {
                ticket: lost,
                sent: was_sent,
                answered: 0,
                ..
            },
        ] = events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((lost, was_sent), (ticket, sent));
    }
}

#[test]
fn one_that_was_cancelled_before_does_not_go_on() {
    let mut pair = Pair::ready();
    let ticket = submit(&mut pair, 1);
    pair.flush();
    assert!(pair.connection.cancel(ticket).is_some());
    pair.exchange();
    assert_eq!(pair.server.commands, ["ECHO a 0", "ECHO a 1"]);
    assert!(pair.events().is_empty());
}
