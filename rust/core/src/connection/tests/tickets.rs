use super::*;
use crate::resp::ScanErrorKind;

#[test]
fn replies_come_back_in_order_however_they_are_cut() {
    let mut pair = Pair::ready();
    for name in ["a", "b", "c"] {
        pair.submit(name, 3, SECOND);
    }
    pair.flush();
    let answer = pair.server.take_output();
    for byte in answer {
        pair.connection.handle_data(&[byte], pair.now).unwrap();
    }
    assert_eq!(pair.done(), ["a", "b", "c"]);
    assert_eq!(pair.connection.in_flight(), 0);
    assert_eq!(pair.connection.next_deadline(), None);
}

#[test]
fn a_job_without_replies_is_done_at_once() {
    let mut pair = Pair::ready();
    pair.submit("a", 0, SECOND);
    assert_eq!(pair.connection.next_deadline(), Some(Duration::ZERO));
    assert_eq!(pair.done(), ["a"]);
    pair.submit("b", 1, SECOND);
    pair.submit("c", 0, SECOND);
    assert_eq!(pair.done(), ["c"]);
    pair.exchange();
    assert_eq!(pair.done(), ["b"]);
}

#[test]
fn what_was_not_sent_never_is() {
    let mut pair = Pair::ready();
    pair.submit("late", 2, SECOND / 10);
    pair.submit("kept", 1, SECOND);
    let cancelled = pair.submit("cancelled", 1, SECOND);
    pair.submit("kept too", 1, SECOND);
    pair.wait(SECOND / 2);
    let events = pair.events();
    assert!(
        matches!(
            events[..],
            [Event::TimedOut {
                sent: false,
                answered: 0,
                ..
            }]
        ),
        "{events:?}"
    );
    assert_eq!(
        pair.connection.cancel(cancelled).map(|(_, job)| job.name),
        Some("cancelled".to_owned())
    );
    assert!(pair.connection.cancel(cancelled).is_none(), "only once");
    pair.exchange();
    assert_eq!(pair.server.commands, ["ECHO kept 0", "ECHO kept too 0"]);
    assert_eq!(pair.done(), ["kept", "kept too"]);
}

#[test]
fn what_was_sent_leaves_a_tombstone() {
    let mut pair = Pair::ready();
    let cancelled = pair.submit("cancelled", 2, SECOND);
    pair.submit("late", 3, SECOND / 10);
    pair.submit("kept", 1, SECOND);
    pair.flush();
    assert!(pair.connection.cancel(cancelled).is_some());
    let answer = pair.server.take_output();
    // Both replies of the cancelled job, one and a half of the late one.
    let cut = answer
        .windows(8)
        .position(|bytes| bytes == b"\nlate 1\r")
        .unwrap();
    pair.connection
        .handle_data(&answer[..cut + 3], pair.now)
        .unwrap();
    pair.wait(SECOND / 2);
    let events = pair.events();
    let [
        Event::TimedOut {
            sent: true,
            answered: 1,
            ref job,
            ..
        },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(job.replies, ["late 0"]);
    assert_eq!(
        pair.connection.silent_for(pair.now),
        Some(SECOND / 2),
        "an answer is owed"
    );
    pair.connection
        .handle_data(&answer[cut + 3..], pair.now)
        .unwrap();
    assert_eq!(pair.done(), ["kept"]);
    assert_eq!(pair.connection.silent_for(pair.now), None);
}

#[test]
fn deadlines_out_of_order() {
    let mut pair = Pair::ready();
    for (name, tenths) in [("e", 50), ("a", 10), ("c", 30), ("b", 20), ("d", 40)] {
        pair.submit(name, 1, SECOND / 10 * tenths);
    }
    pair.flush();
    let mut names = Vec::new();
    while let Some(deadline) = pair.connection.next_deadline() {
        let before = deadline.saturating_sub(Duration::from_nanos(1));
        pair.connection.handle_deadlines(before);
        assert!(pair.connection.poll_event().is_none(), "not too early");
        pair.wait(deadline.saturating_sub(pair.now));
        match pair.events().remove(0) {
            Event::TimedOut { job, .. } => names.push(job.name),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn no_time_is_left() {
    let mut pair = Pair::ready();
    assert_eq!(
        pair.try_submit(Echo::new("a", 1), Duration::ZERO),
        Err(SubmitError::DeadlineExceeded)
    );
    assert!(pair.connection.poll_output().is_none());
}

#[test]
fn tickets_are_bounded_tombstones_included() {
    let config = Config {
        max_in_flight: 3,
        ..Config::default()
    };
    let mut pair = Pair::ready_with(config);
    let tickets: Vec<Ticket> = (0..3).map(|_| pair.submit("a", 1, SECOND)).collect();
    assert_eq!(
        pair.try_submit(Echo::new("b", 1), SECOND),
        Err(SubmitError::Overloaded)
    );
    pair.flush();
    assert!(pair.connection.cancel(tickets[0]).is_some());
    assert_eq!(
        pair.try_submit(Echo::new("b", 1), SECOND),
        Err(SubmitError::Overloaded)
    );
    pair.exchange();
    pair.submit("b", 1, SECOND);
}

#[test]
fn bytes_are_bounded_but_a_large_job_passes() {
    let config = Config {
        max_bytes: 100,
        ..Config::default()
    };
    let mut pair = Pair::ready_with(config);
    let large = "x".repeat(1000);
    let ticket = pair.submit(&large, 1, SECOND);
    assert_eq!(
        pair.try_submit(Echo::new("b", 1), SECOND),
        Err(SubmitError::Overloaded)
    );
    assert!(pair.connection.cancel(ticket).is_some());
    pair.submit(&large, 1, SECOND);
    pair.exchange();
    assert_eq!(pair.done(), [large]);
    pair.submit("b", 1, SECOND);
}

#[test]
fn cancelled_jobs_that_were_not_sent_leave_nothing() {
    let mut pair = Pair::ready();
    for _ in 0..100 {
        let tickets: Vec<Ticket> = (0..100).map(|_| pair.submit("job", 1, SECOND)).collect();
        for ticket in tickets {
            assert!(pair.connection.cancel(ticket).is_some());
        }
    }
    assert!(pair.connection.poll_output().is_none());
    let (slots, bytes, capacity) = pair.connection.queue.held();
    assert_eq!((slots, bytes), (0, 0));
    assert!(capacity < 64 << 10);
    pair.submit("after", 1, SECOND);
    pair.exchange();
    assert_eq!(pair.done(), ["after"]);
}

#[test]
fn pushes_reach_no_job() {
    let mut pair = Pair::ready();
    pair.submit("a", 2, SECOND);
    pair.flush();
    let answer = pair.server.take_output();
    let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    // Before the first reply, between the two, and when no reply is owed.
    let first = answer.len() / 2;
    let stream = [&push[..], &answer[..first], push, &answer[first..], push].concat();
    for byte in stream {
        pair.connection.handle_data(&[byte], pair.now).unwrap();
    }
    let mut events = pair.events();
    let done = events.remove(2);
    assert!(matches!(done, Event::Done { .. }), "{done:?}");
    let invalidate = vec![
        Reply::Blob(b"invalidate".to_vec()),
        Reply::Array(vec![Reply::Blob(b"k".to_vec())]),
    ];
    assert_eq!(events.len(), 3);
    for event in events {
        assert!(matches!(event, Event::Push(items) if items == invalidate));
    }
}

#[test]
fn a_push_over_the_limit_ends_the_connection() {
    let config = Config {
        max_push: 1000,
        ..Config::default()
    };
    let mut pair = Pair::ready_with(config);
    let push = format!(">1\r\n$2000\r\n{}\r\n", "x".repeat(2000));
    let result = pair.connection.handle_data(push.as_bytes(), pair.now);
    assert_eq!(result, Err(ProtocolError::PushTooLarge { limit: 1000 }));
    assert_eq!(pair.connection.state(), State::Closed);
}

#[test]
fn garbage_loses_everything_and_tells_what_is_certain() {
    let mut pair = Pair::ready();
    pair.submit("a", 2, SECOND);
    pair.submit("b", 1, SECOND);
    pair.flush();
    pair.submit("c", 1, SECOND);
    let answer = b"$3\r\na 0\r\n?what";
    let Err(ProtocolError::Scan(error)) = pair.connection.handle_data(answer, pair.now) else {
        panic!("garbage passed")
    };
    assert_eq!(error.kind, ScanErrorKind::UnknownType(b'?'));
    assert_eq!(pair.connection.state(), State::Closed);
    let told: Vec<_> = pair
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Lost {
                job,
                answered,
                sent,
                reason: LostReason::Protocol(_),
                ..
            } => (job.name, answered, sent),
            event => panic!("{event:?}"),
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(name, answered, sent)| (name.as_str(), *answered, *sent))
        .collect();
    assert_eq!(told, [("a", 1, true), ("b", 0, true), ("c", 0, false)]);
    assert_eq!(
        pair.try_submit(Echo::new("d", 1), SECOND),
        Err(SubmitError::Closed)
    );
    assert_eq!(
        pair.connection.handle_data(b"+OK\r\n", pair.now),
        Ok(()),
        "bytes after the end"
    );
    pair.connection.handle_closed(pair.now);
    assert!(pair.connection.poll_event().is_none(), "each is lost once");
}

#[test]
fn a_reply_to_nothing_ends_the_connection() {
    let mut pair = Pair::ready();
    // Submitted but not sent, so the reply cannot be to this job.
    pair.submit("a", 1, SECOND);
    let result = pair.connection.handle_data(b"$3\r\na 0\r\n", pair.now);
    assert!(matches!(result, Err(ProtocolError::UnexpectedReply { .. })));
    let events = pair.events();
    assert!(
        matches!(
            events[..],
            [Event::Lost {
                sent: false,
                answered: 0,
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn the_end_loses_every_job_once() {
    let mut pair = Pair::ready();
    pair.submit("a", 1, SECOND);
    pair.flush();
    let cancelled = pair.submit("b", 1, SECOND);
    pair.submit("c", 1, SECOND);
    assert!(pair.connection.cancel(cancelled).is_some());
    pair.connection.handle_closed(pair.now);
    pair.connection.handle_closed(pair.now);
    let sent: Vec<bool> = pair
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Lost {
                sent,
                reason: LostReason::Closed,
                ..
            } => sent,
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(sent, [true, false]);
    assert!(pair.connection.poll_output().is_none());
    assert_eq!(pair.connection.in_flight(), 0);
}

#[test]
fn an_encoder_that_panics_leaves_no_fragment() {
    let mut pair = Pair::ready();
    pair.submit("a", 1, SECOND);
    let deadline = pair.now + SECOND;
    let encode = |_: &Echo, out: &mut Vec<u8>| {
        out.extend_from_slice(b"*2\r\n$4\r\nECHO\r\n");
        panic!("half-way");
    };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let echo = Echo::new("b", 1);
        let _ = pair.connection.submit(0, echo, encode, deadline, pair.now);
    }));
    assert!(panicked.is_err());
    pair.submit("c", 1, SECOND);
    pair.exchange();
    assert_eq!(pair.done(), ["a", "c"]);
}

#[test]
fn a_large_reply_is_copied_once_and_its_buffer_let_go() {
    let mut pair = Pair::ready();
    let name = "x".repeat(4 << 20);
    pair.submit(&name, 1, SECOND);
    pair.flush();
    let answer = pair.server.take_output();
    for piece in answer.chunks(64 << 10) {
        pair.connection.handle_data(piece, pair.now).unwrap();
    }
    assert_eq!(pair.done().len(), 1);
    assert_eq!(pair.connection.inbox.capacity(), 0);
}

#[test]
fn raw_jobs_build_bounded_trees() {
    let mut connection: Connection<(), RawJob> = Connection::new(
        Config {
            prefer_resp3: false,
            ..Config::default()
        },
        Duration::ZERO,
    );
    connection.handle_connected(Duration::ZERO);
    connection.poll_output().unwrap();
    connection
        .handle_data(b"+OK\r\n+OK\r\n", Duration::ZERO)
        .unwrap();
    assert!(matches!(connection.poll_event(), Some(Event::Ready)));
    let encode = |_: &RawJob, out: &mut Vec<u8>| {
        encode::command(out, &["LRANGE", "a", "0", "-1"]);
        encode::command(out, &["LRANGE", "b", "0", "-1"]);
        encode::command(out, &["GET", "c"]);
    };
    connection
        .submit((), RawJob::new(3, 1000), encode, SECOND, Duration::ZERO)
        .unwrap();
    connection.poll_output().unwrap();
    let mut answer = b"*2\r\n$1\r\na\r\n*0\r\n".to_vec();
    answer.extend_from_slice(b"*1000\r\n");
    answer.extend_from_slice(&b"*0\r\n".repeat(1000));
    answer.extend_from_slice(b"-ERR c\r\n");
    connection.handle_data(&answer, Duration::ZERO).unwrap();
    let Some(Event::Done { job, .. }) = connection.poll_event() else {
        panic!("not done")
    };
    let replies = job.into_replies();
    assert_eq!(
        replies[0],
        Ok(Reply::Array(vec![
            Reply::Blob(b"a".to_vec()),
            Reply::Array(Vec::new())
        ]))
    );
    assert!(replies[1].is_err(), "too large, and the stream goes on");
    assert_eq!(replies[2], Ok(Reply::Error(b"ERR c".to_vec())));
}
