//! Jobs that know the shape of their replies: they read whole replies by themselves, and notice a
//! reply that cannot be theirs.

use super::*;
use crate::resp::ScanErrorKind;

/// Waits for integers.
#[derive(Debug, Default)]
struct Integers {
    expected: usize,
    received: Vec<i64>,
    read_whole: usize,
    out_of_step: bool,
}

impl Replies for Integers {
    fn expected(&self) -> usize {
        self.expected
    }

    fn token(&mut self, reply: usize, _depth: usize, token: Token<'_>) {
        assert_eq!(reply, self.received.len());
        match token {
            Token::Integer(value) => self.received.push(value),
            _ => self.out_of_step = true,
        }
    }

    fn finish(&mut self, reply: usize) {
        assert!(self.out_of_step || reply + 1 == self.received.len());
    }

    /// Reads one digit by itself; longer numbers come as tokens.
    fn whole(&mut self, reply: usize, buf: &[u8]) -> Option<usize> {
        assert_eq!(reply, self.received.len());
        let [b':', digit, b'\r', b'\n', ..] = *buf else {
            return None;
        };
        self.received.push(i64::from(digit - b'0'));
        self.read_whole += 1;
        Some(4)
    }

    fn is_out_of_step(&self) -> bool {
        self.out_of_step
    }
}

/// A ready connection on which jobs were sent, each with this many replies.
fn sent(jobs: &[usize]) -> Connection<(), Integers> {
    let config = Config {
        prefer_resp3: false,
        ..Config::default()
    };
    let mut connection = Connection::new(config, Duration::ZERO);
    connection.handle_connected(Duration::ZERO);
    connection.poll_output().unwrap();
    connection
        .handle_data(b"+OK\r\n+OK\r\n", Duration::ZERO)
        .unwrap();
    assert!(matches!(connection.poll_event(), Some(Event::Ready)));
    for &expected in jobs {
        let job = Integers {
            expected,
            ..Integers::default()
        };
        let encode = |job: &Integers, out: &mut Vec<u8>| {
            for _ in 0..job.expected {
                encode::command(out, &["INCR", "n"]);
            }
        };
        connection
            .submit((), job, encode, SECOND, Duration::ZERO)
            .unwrap();
    }
    connection.poll_output().unwrap();
    connection
}

#[test]
fn whole_replies_and_tokens_mix_however_the_stream_is_cut() {
    let stream = b":1\r\n:22\r\n:3\r\n>1\r\n+x\r\n:4\r\n:55\r\n:6\r\n:7\r\n";
    let (answers, rest) = stream.split_at(stream.len() - 4);
    for first in 0..answers.len() {
        for second in first..answers.len() {
            let mut connection = sent(&[2, 1, 3]);
            // The second one's replies are discarded.
            let ((), cancelled) = connection.cancel(Ticket(1)).unwrap();
            assert!(cancelled.received.is_empty());
            for piece in [
                &answers[..first],
                &answers[first..second],
                &answers[second..],
            ] {
                connection.handle_data(piece, Duration::ZERO).unwrap();
            }
            let mut received = Vec::new();
            while let Some(event) = connection.poll_event() {
                match event {
                    Event::Done { job, .. } => received.push(job.received),
                    Event::Push(items) => assert_eq!(items, [Reply::Simple(b"x".to_vec())]),
                    event => panic!("{event:?}"),
                }
            }
            assert_eq!(received, [vec![1, 22], vec![4, 55, 6]], "{first} {second}");
            // The rest answers no command, and the error says where it is.
            let offset = (10 + stream.len()) as u64;
            assert_eq!(
                connection.handle_data(rest, Duration::ZERO),
                Err(ProtocolError::UnexpectedReply { offset })
            );
        }
    }
}

#[test]
fn whole_replies_are_read_whole() {
    let mut connection = sent(&[2, 2]);
    connection
        .handle_data(b":1\r\n:2\r\n:3\r\n:4\r\n", Duration::ZERO)
        .unwrap();
    for received in [[1, 2], [3, 4]] {
        let Some(Event::Done { job, .. }) = connection.poll_event() else {
            panic!("not done")
        };
        assert_eq!((job.received, job.read_whole), (received.to_vec(), 2));
    }
}

#[test]
fn a_broken_reply_behind_whole_ones_is_placed_right() {
    let mut connection = sent(&[3]);
    let result = connection.handle_data(b":1\r\n:2\r\n?", Duration::ZERO);
    let Err(ProtocolError::Scan(error)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(error.kind, ScanErrorKind::UnknownType(b'?'));
    assert_eq!(error.offset, 10 + 8);
}

#[test]
fn a_reply_of_another_shape_ends_the_connection_before_it_shifts_the_others() {
    let stream = b":1\r\n+OK\r\n:2\r\n:3\r\n";
    for cut in 0..stream.len() {
        let mut connection = sent(&[1, 2, 1]);
        let result = connection
            .handle_data(&stream[..cut], Duration::ZERO)
            .and_then(|()| connection.handle_data(&stream[cut..], Duration::ZERO));
        assert!(cut > 8 || matches!(result, Err(ProtocolError::OutOfStep { .. })));
        assert_eq!(connection.state(), State::Closed);
        let mut told = Vec::new();
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Done { ticket, job, .. } => told.push((ticket.0, job.received, None)),
                Event::Lost {
                    ticket,
                    job,
                    answered,
                    sent: true,
                    reason: LostReason::Protocol(ProtocolError::OutOfStep { .. }),
                    ..
                } => told.push((ticket.0, job.received, Some(answered))),
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(
            told,
            [
                (0, vec![1], None),
                (1, vec![], Some(0)),
                (2, vec![], Some(0))
            ]
        );
    }
}
