//! How often the hot path asks for memory: from the bytes of a request to those of its answer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use fscore_core::cluster::SlotMap;
use fscore_core::connection::{Config, Connection, Event, Replies};
use fscore_core::http::{
    Answer, AnswerHead, ApiKey, ApiKeys, Head, Named, ReadQuery, Scope, Selections, Trace,
    api_key_hash,
};
use fscore_core::json;
use fscore_core::keys::KeyType;
use fscore_core::plan::{EntitySpec, FeatureSpec, PlanSpec, ReadPlan, ViewSpec};
use fscore_core::read::{Read, ReadOptions};
use fscore_core::resp::Token;
use fscore_core::script::Calls as _;

const FEATURES: usize = 10;

/// A change that raises this has to say why; one that lowers it lowers this number too.
const ALLOCATIONS: u64 = 25;

const GET: &[u8] = b"GET /v1/features?user_id=4711&service=ranking HTTP/1.1\r\n\
    Host: 127.0.0.1:8080\r\nAccept: */*\r\nX-Request-ID: 1\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n\
    Authorization: Bearer fsk_0123456789abcdefghijABCDEFGHIJ0123456789-_a\r\n\r\n";

/// A key that may read what is asked for, behind another.
fn api_keys() -> ApiKeys {
    let key = |secret: &[u8]| ApiKey {
        name: "ranking".to_owned(),
        sha256: api_key_hash(secret).unwrap(),
        expires_ms: Some(i64::MAX),
        scope: Some(Scope {
            services: Vec::new(),
            views: vec!["profile".to_owned()],
        }),
    };
    ApiKeys::new(vec![
        key(b"fsk_other56789abcdefghijABCDEFGHIJ0123456789-_a"),
        key(b"fsk_0123456789abcdefghijABCDEFGHIJ0123456789-_a"),
    ])
}

fn plan() -> Arc<ReadPlan> {
    let spec = PlanSpec {
        entities: vec![EntitySpec {
            name: "user".to_owned(),
            join_keys: vec![("user_id".to_owned(), KeyType::Integer)],
            fields_total: FEATURES + 1,
            wide_values: false,
        }],
        views: vec![ViewSpec {
            entity: 0,
            name: "profile".to_owned(),
            ..ViewSpec::default()
        }],
        features: (0..FEATURES)
            .map(|number| FeatureSpec {
                name: format!("f{number}"),
                field: format!("f{number}"),
                data_type: "Float64".to_owned(),
                ..FeatureSpec::default()
            })
            .collect(),
        ..PlanSpec::default()
    };
    Arc::new(ReadPlan::new(&spec).unwrap())
}

/// The server's answer to HGETALL.
fn reply() -> Vec<u8> {
    let mut reply = format!("%{}\r\n", FEATURES + 1).into_bytes();
    for number in 0..FEATURES {
        reply.extend_from_slice(format!("$2\r\nf{number}\r\n$4\r\n{number}.25\r\n").as_bytes());
    }
    reply.extend_from_slice(b"$8\r\n_profile\r\n$13\r\n1717243200000\r\n");
    reply
}

/// Reads a request, sends its commands into `sent`, takes the reply and gives the answer's length.
fn answer(
    api_keys: &ApiKeys,
    selections: &Selections<(Arc<ReadPlan>, [String; 1])>,
    reply: &[u8],
    sent: &mut Vec<u8>,
    answer: &mut Answer,
) -> usize {
    let head = Head::scan(GET).unwrap();
    assert!(!Trace::parse(head.traceparent.unwrap()).unwrap().sampled);
    let index = api_keys.authenticate(&head.credentials, 0).unwrap();
    let query = ReadQuery::parse(head.query).unwrap();
    let (plan, views) = selections.find(Named::from(&query)).unwrap();
    let key = api_keys.key(index);
    assert_eq!(key.may_read(query.service.as_deref(), views), Ok(()));
    let keys = query.key_columns(plan.join_keys()).unwrap();
    let inputs = query.input_columns(plan.request()).unwrap();
    let asked = ReadOptions::plain(1, 1_717_243_200_000);
    let (read, mut parts) = Read::new(plan, keys, inputs, asked, &SlotMap::Standalone).unwrap();
    let (_, mut part) = parts.pop().unwrap();
    sent.clear();
    part.encode(sent);
    assert_eq!(part.whole(0, reply), Some(reply.len()));
    part.finish(0);
    let table = read.join(vec![part]);
    let fields = AnswerHead {
        fields: b"date: today\r\n",
        request_id: head.request_id.unwrap(),
        close: false,
    };
    json::render_one(&table, answer.body(&fields));
    answer.finish(&fields).len()
}

#[test]
fn a_request_of_one_entity_asks_for_memory_a_known_number_of_times() {
    let plan = plan();
    let api_keys = api_keys();
    let mut selections = Selections::new(FEATURES);
    let join_keys = ["user_id".to_owned()];
    let named = Named::new(Some("ranking"), None, &join_keys);
    selections.insert(named, (plan, ["profile".to_owned()]), FEATURES);
    let reply = reply();
    let (mut sent, mut room) = (Vec::new(), Answer::default());
    // After the first request, the buffers that are kept have their size.
    let length = answer(&api_keys, &selections, &reply, &mut sent, &mut room);
    let counted = allocation_counter::measure(|| {
        black_box(answer(&api_keys, &selections, &reply, &mut sent, &mut room));
    });
    assert!(length > 200, "{length}");
    assert_eq!(counted.count_total, ALLOCATIONS, "{counted:?}");
    assert_eq!(counted.count_current, 0, "{counted:?}");
}

/// Waits for one reply of any shape.
#[derive(Default)]
struct Get(u64);

impl Replies for Get {
    fn expected(&self) -> usize {
        1
    }

    fn token(&mut self, _reply: usize, _depth: usize, _token: Token<'_>) {
        self.0 += 1;
    }

    fn finish(&mut self, _reply: usize) {}

    fn is_shareable(&self) -> bool {
        true
    }
}

/// Sends two jobs and takes their replies, which arrive together.
fn exchange(connection: &mut Connection<[u64; 8], Get>, now: Duration) {
    let deadline = now + Duration::from_secs(1);
    for (number, command) in [
        "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
        "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let encode = |_: &Get, out: &mut Vec<u8>| out.extend_from_slice(command.as_bytes());
        let tag = [number as u64; 8];
        connection
            .submit(tag, Get::default(), encode, deadline, now)
            .unwrap();
    }
    let output = connection.poll_output().unwrap();
    connection.recycle(output);
    connection.handle_data(b"$2\r\n29\r\n$-1\r\n", now).unwrap();
    for number in 0..2 {
        let Some(Event::Done { tag, job, .. }) = connection.poll_event() else {
            panic!("not done")
        };
        assert_eq!((tag, job.0), ([number; 8], 1));
    }
}

#[test]
fn a_connection_asks_for_no_memory_for_its_jobs() {
    let config = Config {
        prefer_resp3: false,
        ..Config::default()
    };
    let mut now = Duration::ZERO;
    let mut connection = Connection::new(config, now);
    connection.handle_connected(now);
    connection.poll_output().unwrap();
    connection.handle_data(b"+OK\r\n+OK\r\n", now).unwrap();
    assert!(matches!(connection.poll_event(), Some(Event::Ready)));
    // After the first exchange, the buffers that are kept have their size.
    exchange(&mut connection, now);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            now += Duration::from_millis(1);
            exchange(&mut connection, now);
        }
    });
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
