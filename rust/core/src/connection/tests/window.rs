//! Commands wait here while the server owes as many replies as it may.

use super::*;

/// A connection on which this many commands may be owed.
fn bounded(limit: usize) -> Pair {
    let mut pair = Pair::ready();
    pair.connection.window = Window::between(limit, limit);
    pair
}

/// Hands over this many replies, to jobs whose names have one letter.
fn answer(pair: &mut Pair, wire: &mut Vec<u8>, replies: usize) {
    wire.extend(pair.server.take_output());
    let piece: Vec<u8> = wire.drain(..9 * replies).collect();
    pair.connection.handle_data(&piece, pair.now).unwrap();
}

#[test]
fn the_rest_leaves_as_replies_come_in() {
    let mut pair = bounded(3);
    let mut wire = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        pair.submit(name, 1, SECOND);
    }
    pair.flush();
    assert_eq!(pair.server.commands, ["ECHO a 0", "ECHO b 0", "ECHO c 0"]);
    assert_eq!(pair.connection.unsent(), 2);
    assert!(!pair.connection.has_output());
    answer(&mut pair, &mut wire, 1);
    assert!(pair.connection.has_output());
    pair.flush();
    assert_eq!(pair.server.commands[3..], ["ECHO d 0"]);
    assert!(!pair.connection.has_output());
    answer(&mut pair, &mut wire, 3);
    pair.exchange();
    assert_eq!(pair.done(), ["a", "b", "c", "d", "e"]);
    assert_eq!(pair.connection.silent_for(pair.now), None);
}

#[test]
fn a_job_leaves_whole() {
    let mut pair = bounded(3);
    let mut wire = Vec::new();
    pair.submit("a", 2, SECOND);
    pair.submit("b", 50, SECOND);
    pair.submit("c", 1, SECOND);
    pair.flush();
    assert_eq!(pair.server.commands.len(), 52);
    // Replies of a job that has not got all of them count too.
    answer(&mut pair, &mut wire, 12);
    pair.flush();
    assert_eq!(pair.server.commands.len(), 52);
    pair.exchange();
    wire.extend(pair.server.take_output());
    pair.connection.handle_data(&wire, pair.now).unwrap();
    pair.exchange();
    assert_eq!(pair.done(), ["a", "b", "c"]);
}

#[test]
fn what_expires_or_is_cancelled_meanwhile_is_never_sent() {
    let mut pair = bounded(2);
    let mut wire = Vec::new();
    pair.submit("a", 2, 2 * SECOND);
    pair.flush();
    pair.submit("b", 1, SECOND);
    pair.submit("c", 1, 2 * SECOND);
    let cancelled = pair.submit("d", 1, 2 * SECOND);
    pair.flush();
    assert_eq!(pair.connection.next_deadline(), Some(pair.now + SECOND));
    pair.wait(SECOND);
    let events = pair.events();
    assert!(
        matches!(&events[..], [Event::TimedOut { job, sent: false, .. }] if job.name == "b"),
        "{events:?}"
    );
    assert_eq!(pair.connection.silent_for(pair.now), Some(SECOND));
    assert!(pair.connection.cancel(cancelled).is_some());
    answer(&mut pair, &mut wire, 2);
    pair.exchange();
    assert_eq!(pair.server.commands, ["ECHO a 0", "ECHO a 1", "ECHO c 0"]);
    assert_eq!(pair.done(), ["a", "c"]);
    let (slots, bytes, _) = pair.connection.queue.held();
    assert_eq!((slots, bytes), (0, 0));
}

#[test]
fn a_tombstone_is_owed_until_it_is_answered() {
    let mut pair = bounded(1);
    let mut wire = Vec::new();
    let ticket = pair.submit("a", 1, SECOND);
    pair.flush();
    assert!(pair.connection.cancel(ticket).is_some());
    pair.submit("b", 1, SECOND);
    pair.flush();
    assert!(!pair.connection.has_output());
    answer(&mut pair, &mut wire, 1);
    pair.exchange();
    assert_eq!(pair.done(), ["b"]);
}

#[test]
fn what_waits_is_shared_however_long_it_waits() {
    let mut pair = bounded(1);
    let mut wire = Vec::new();
    let read = |pair: &mut Pair, name: &str| {
        pair.try_submit(Echo::read(name, 1), SECOND).unwrap();
        pair.flush();
    };
    for name in ["a", "b", "c", "a", "b", "c"] {
        read(&mut pair, name);
    }
    // The first one has left, so its commands are sent once more.
    assert_eq!(pair.server.commands, ["READ a 0"]);
    assert_eq!(pair.connection.unsent(), 3);
    // After the last of these the commands that have left are removed from the output.
    for sent in ["b", "c", "a", "b"] {
        wire.extend(pair.server.take_output());
        pair.connection.handle_data(&wire, pair.now).unwrap();
        wire.clear();
        pair.flush();
        let asked = format!("READ {sent} 0");
        assert_eq!(*pair.server.commands.last().unwrap(), asked);
        // Equal to one that has just left, and to some that still wait.
        read(&mut pair, sent);
        read(&mut pair, "c");
        read(&mut pair, "z");
    }
    pair.exchange();
    let asked = &pair.server.commands;
    let times = |name: &str| asked.iter().filter(|text| text.contains(name)).count();
    assert_eq!([times("a"), times("b"), times("c")], [3, 3, 2]);
    assert_eq!(times("z"), 1);
    assert_eq!(pair.done().len(), 18);
}

#[test]
fn each_is_told_whether_it_had_left() {
    let mut pair = bounded(1);
    for name in ["a", "b", "a", "b"] {
        pair.try_submit(Echo::read(name, 1), SECOND).unwrap();
    }
    pair.flush();
    pair.connection.handle_closed(pair.now);
    let told: Vec<(String, bool)> = pair
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Lost { job, sent, .. } => (job.name, sent),
            event => panic!("{event:?}"),
        })
        .collect();
    let expected = [("a", true), ("b", false), ("a", true), ("b", false)];
    let expected = expected.map(|(name, sent)| (name.to_owned(), sent));
    assert_eq!(told, expected);
    assert!(!pair.connection.has_output());
}

#[test]
fn it_follows_what_the_server_answers() {
    let mut pair = Pair::ready();
    let mut wire = Vec::new();
    // How many commands are owed at first, and at most in the end, of a thousand jobs whose replies
    // come one by one.
    let mut wave = |takes: Duration| {
        for _ in 0..1000 {
            pair.submit("x", 1, 1000 * SECOND);
        }
        pair.flush();
        let first = pair.connection.queue.owed();
        let mut last = 0;
        for reply in 0..1000 {
            pair.now += takes;
            answer(&mut pair, &mut wire, 1);
            pair.flush();
            if reply > 700 {
                last = last.max(pair.connection.queue.owed());
            }
        }
        assert_eq!(pair.done().len(), 1000);
        (first, last)
    };
    let (first, _) = wave(Duration::from_micros(50));
    assert_eq!(first, 1000, "nothing is known yet");
    for _ in 0..2 {
        let (first, last) = wave(Duration::from_micros(50));
        assert_eq!((first, last), (200, 200));
    }
    let (first, last) = wave(SECOND / 10);
    assert_eq!((first, last), (200, 64));
}
