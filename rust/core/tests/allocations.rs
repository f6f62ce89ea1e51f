//! How often the hot path asks for memory: from the bytes of a request to those of its answer.

use std::hint::black_box;
use std::sync::Arc;

use fscore_core::cluster::SlotMap;
use fscore_core::connection::Replies as _;
use fscore_core::http::{
    Answer, AnswerHead, ApiKey, ApiKeys, Head, Named, ReadQuery, Scope, Selections, Trace,
    api_key_hash,
};
use fscore_core::json;
use fscore_core::keys::KeyType;
use fscore_core::plan::{EntitySpec, FeatureSpec, PlanSpec, ReadPlan, ViewSpec};
use fscore_core::read::{Read, ReadOptions};
use fscore_core::script::Calls as _;

const FEATURES: usize = 10;

/// A change that raises this is asked why; one that lowers it lowers it here.
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

/// What a server answers to HGETALL.
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
    // What is kept from one request to the next has its size after the first.
    let length = answer(&api_keys, &selections, &reply, &mut sent, &mut room);
    let counted = allocation_counter::measure(|| {
        black_box(answer(&api_keys, &selections, &reply, &mut sent, &mut room));
    });
    assert!(length > 200, "{length}");
    assert_eq!(counted.count_total, ALLOCATIONS, "{counted:?}");
    assert_eq!(counted.count_current, 0, "{counted:?}");
}
