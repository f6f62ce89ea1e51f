//! Which trees compile, and the errors of those that do not.

use super::answers::expand;
use super::*;
use crate::expression::{MAX_DEPTH, MAX_NODES, Operation};

fn error(json: &str) -> String {
    let types = named(&[
        ("v:int", "Int64"),
        ("v:float", "Float64"),
        ("v:text", "String"),
        ("v:time", "Timestamp"),
        ("v:ints", "List[Int64]"),
        ("v:vector", "Vector[4]"),
        ("v:other", "Vector[5]"),
    ]);
    let request = named(&[("amount", "Float64")]);
    let json = expand(json).replace('\'', "\"");
    match Tree::from_json(json.as_bytes()) {
        Ok(tree) => Expression::compile(&tree, &types, &request)
            .unwrap_err()
            .to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_name_the_part_and_what_it_takes() {
    for (expression, message) in [
        (
            "#/(#-(@now, @text), 1000)",
            "request.now - v:text: - takes two numbers, two timestamps, or a timestamp and an Int64 \
             of milliseconds, not Timestamp and String",
        ),
        (
            "#+(@int, #neg(@text))",
            "-v:text: neg takes a number, not String",
        ),
        (
            "#+(@time, 1.5)",
            "v:time + 1.5: + takes numbers, or a timestamp and an Int64 of milliseconds, not \
             Timestamp and Float64",
        ),
        (
            "@gone",
            "v:gone: is not a feature here; there are v:int, v:float, v:text, v:time, v:ints, \
          v:vector, v:other",
        ),
        (
            "{'request':'price'}",
            "request[\"price\"]: is not a request input here; there are amount",
        ),
        ("{'column':9}", "column 9: there are 7 columns"),
        (
            "@ints",
            "v:ints: is a List[Int64], and an on-request feature is one value",
        ),
        ("null", "None: is None, which has no type"),
        (
            "#where(@int, 1, 2)",
            "where(v:int, 1, 2): where takes a boolean and two values of one type, not Int64 and \
             Int64 and Int64",
        ),
        (
            "#dot(@vector, @other)",
            "dot(v:vector, v:other): dot takes two vectors of one length, not Vector[4] and \
             Vector[5]",
        ),
        (
            "#bucket(@int, 2, 1)",
            "bucket(v:int, 2, 1): the boundaries of a bucket ascend, each once",
        ),
        (
            "#is_in(@int, @float)",
            "is_in(v:int, v:float): is_in takes a value, and literals of its type; the value is \
             Int64",
        ),
        (
            "#is_in(@text, 1)",
            "is_in(v:text, 1): is_in takes a value, and literals of its type; the value is String",
        ),
        (
            "{'op':'sin','args':[1]}",
            "the expression, at byte 11: \"sin\" is not an operation that this \
          version knows",
        ),
        (
            "#-(1, 2, 3)",
            "the expression, at byte 27: - takes two numbers, two timestamps, or a \
          timestamp and an Int64 of milliseconds, not 3 arguments",
        ),
        (
            "9223372036854775808",
            "the expression, at byte 19: an integer is beyond 64 bits; write it \
          with a point",
        ),
    ] {
        assert_eq!(error(expression), message, "{expression}");
    }
}

#[test]
fn operands_of_other_types_are_refused() {
    for expression in [
        "#+(@time, @time)",
        "#-(1, @time)",
        "#*(@time, 2)",
        "#%(@time, 1000)",
        "#+(@text, 'x')",
        "#==(@text, 1)",
        "#==(@time, 1)",
        "#<(@text, 'x')",
        "#<(true, false)",
        "#==(@int, null)",
        "#==(@ints, @ints)",
        "#&(1, 2)",
        "#~(1)",
        "#|(true, null)",
        "#least(@int, null)",
        "#least(@text)",
        "#greatest(@int, @time)",
        "#clip(@int, @text, 1)",
        "#coalesce(null)",
        "#coalesce(@int, @text)",
        "#is_null(null)",
        "#where(true, null, null)",
        "#where(true, 1, @text)",
        "#to_int64(@text)",
        "#to_timestamp(@float)",
        "#hour_of_day(@int)",
        "#length(@int)",
        "#element(@ints, 0.5)",
        "#element(@text, 0)",
        "#contains(@ints, 0.5)",
        "#contains(@ints, 'x')",
        "#contains(@ints, null)",
        "#list_sum(@int)",
        "#list_mean(@text)",
        "#dot(@ints, @ints)",
        "#bucket(@text, 'a')",
        "#bucket(@int, @int)",
        "#bucket(true, false)",
        "#is_in(null, 1)",
        "#is_in(@int, null)",
        "#is_in(@ints, 1)",
        "#+(@int, null)",
        "#round(true)",
        "#exp(@time)",
    ] {
        assert!(!error(expression).is_empty(), "{expression}");
    }
}

#[test]
fn other_json_is_refused() {
    for json in [
        "",
        "[]",
        "{}",
        "[1]",
        "nul",
        "1 2",
        "NaN",
        "Infinity",
        "1e999",
        "{'op':'+'}",
        "{'args':[1,2]}",
        "{'op':1,'args':[1]}",
        "{'op':'+','args':1}",
        "{'now':false}",
        "{'now':true,'feature':'a'}",
        "{'feature':1}",
        "{'column':-1}",
        "{'column':1.0}",
        "{'column':4294967296}",
        "{'timestamp':1.5}",
        "{'op':'+','args':[1,2],'x':1}",
        "{'feature':'a','op':'+'}",
        "{'op':'abs','args':[]}",
        "{'feature':'a','feature':'b'}",
    ] {
        let json = json.replace('\'', "\"");
        assert!(Tree::from_json(json.as_bytes()).is_err(), "{json}");
    }
    assert!(Tree::from_json(b"\"\xff\"").is_err());
}

#[test]
fn members_come_in_any_order() {
    let one = tree("{'op':'-','args':[1,{'request':'a'}]}");
    assert_eq!(one, tree("{'args':[1,{'request':'a'}],'op':'-'}"));
}

#[test]
fn trees_have_bounds() {
    let deep = |depth: usize| {
        let open = "{\"op\":\"neg\",\"args\":[".repeat(depth);
        format!("{open}1{}", "]}".repeat(depth))
    };
    let wide = |nodes: usize| {
        let args = vec!["1"; nodes - 1].join(",");
        format!("{{\"op\":\"+\",\"args\":[{args}]}}")
    };
    for (json, fits) in [
        (deep(MAX_DEPTH - 1), true),
        (deep(MAX_DEPTH), false),
        (deep(100_000), false),
        (wide(MAX_NODES), true),
        (wide(MAX_NODES + 1), false),
    ] {
        let tree = Tree::from_json(json.as_bytes());
        assert_eq!(tree.is_ok(), fits, "{}", &json[..40]);
        if let Ok(tree) = tree {
            assert!(Expression::compile(&tree, &[], &[]).is_ok());
        }
    }
    let mut tree = Tree::Int64(1);
    for _ in 0..MAX_DEPTH {
        tree = Tree::Call(Operation::Negate, vec![tree]);
    }
    assert!(Expression::compile(&tree, &[], &[]).is_err());
    let arguments = vec![Tree::Int64(1); MAX_NODES];
    let tree = Tree::Call(Operation::IsIn, arguments);
    assert!(Expression::compile(&tree, &[], &[]).is_err());
}

#[test]
fn a_feature_holds_its_own_type_and_wider_ones() {
    for (expression, declared, fits) in [
        ("1", "Int64", true),
        ("1", "Float64", true),
        ("1", "Float32", true),
        ("1.0", "Float32", true),
        ("1.0", "Int64", false),
        ("true", "Bool", true),
        ("true", "Int64", false),
        ("'x'", "String", true),
        ("'x'", "Bytes", false),
        ("{'now':true}", "Timestamp[s]", true),
        ("{'now':true}", "Int64", false),
        ("1", "Timestamp", false),
        ("1", "List[Int64]", false),
    ] {
        let declared = declared.parse().unwrap();
        let computed = Computed::new(&tree(expression), &[], &[], declared, None);
        assert_eq!(computed.is_ok(), fits, "{expression} as {declared}");
    }
    let error = Computed::new(
        &tree("{'now':true}"),
        &[],
        &[],
        DataType::Scalar(Scalar::Int64),
        None,
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "request.now: is Timestamp, which a feature declared Int64 does not hold"
    );
    let error = Computed::new(
        &tree("1"),
        &[],
        &[],
        DataType::Scalar(Scalar::Int64),
        Some(b"x"),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "1: the default is not an integer"
    );
}

#[test]
fn trees_read_as_people_write_them() {
    for (json, text) in [
        (
            "#/(#-(@now, @signup), 86400000)",
            "(request.now - v:signup) / 86400000",
        ),
        ("#neg(#+(1, 2.0, @a))", "-(1 + 2.0 + v:a)"),
        ("#~(#is_in(@a, 'x', true))", "~is_in(v:a, \"x\", True)"),
        (
            "#where({'request':'ok'}, null, {'timestamp':5})",
            "where(request[\"ok\"], None, timestamp(5))",
        ),
        ("#**(#neg(1), {'column':2})", "-1 ** column 2"),
    ] {
        assert_eq!(tree(&expand(json)).to_string(), text);
    }
}

#[test]
fn operations_have_one_name_each() {
    for &operation in Operation::ALL {
        assert_eq!(Operation::named(operation.name()), Some(operation));
    }
}
