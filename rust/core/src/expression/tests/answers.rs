//! The answers of single expressions.

use super::*;

const COLUMNS: [(&str, &str, Option<&str>); 14] = [
    ("v:int", "Int64", Some("7")),
    ("v:zero", "Int64", Some("0")),
    ("v:big", "Int64", Some("9223372036854775807")),
    ("v:float", "Float64", Some("-2.5")),
    ("v:single", "Float32", Some("0.1")),
    ("v:yes", "Bool", Some("1")),
    ("v:text", "String", Some("Zürich")),
    ("v:time", "Timestamp[s]", Some("1710325273")),
    ("v:none", "Int64", None),
    ("v:ints", "List[Int64]", Some("[3,1,2]")),
    ("v:words", "List[String]", Some(r#"["a","","bc"]"#)),
    ("v:empty", "List[Float64]", Some("[]")),
    ("v:floats", "List[Float32]", Some("[0.5,1.5]")),
    ("v:vector", "Vector[1]", Some("\0\0\0@")),
];

/// The answer to a JSON tree in which `@name` stands for the feature of that name, `@now` for the
/// timestamp, `#name(…)` for an operation, as `#+(@int, 1)`.
fn answer(short: &str) -> Option<String> {
    compute(&expand(short), &COLUMNS).unwrap()
}

pub(super) fn expand(short: &str) -> String {
    let mut out = String::new();
    let mut rest = short;
    while let Some(found) = rest.find(['@', '#', ')']) {
        out.push_str(&rest[..found]);
        let sign = rest.as_bytes()[found];
        rest = &rest[found + 1..];
        match sign {
            b'@' => {
                let end = rest.find([',', ')', ' ']).unwrap_or(rest.len());
                match &rest[..end] {
                    "now" => out += "{'now':true}",
                    name => out = out + "{'feature':'v:" + name + "'}",
                }
                rest = &rest[end..];
            }
            b'#' => {
                let end = rest.find('(').unwrap();
                out = out + "{'op':'" + &rest[..end] + "','args':[";
                rest = &rest[end + 1..];
            }
            _ => out.push_str("]}"),
        }
    }
    out + rest
}

#[track_caller]
fn assert_answers(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let expected = (*expected != "null").then(|| (*expected).to_owned());
        assert_eq!(answer(expression), expected, "{expression}");
    }
}

#[test]
fn integers_stay_integers_until_a_float_joins_them() {
    assert_answers(&[
        ("#+(@int, 1)", "8"),
        ("#+(@int, 1, 0.5)", "8.5"),
        ("#*(@int, 2, 3)", "42"),
        ("#-(@int, 10)", "-3"),
        ("#/(@int, 2)", "3.5"),
        ("#/(@int, 7)", "1.0"),
        ("#//(@int, 2)", "3"),
        ("#//(@int, -2)", "-4"),
        ("#%(@int, -4)", "-1"),
        ("#//(1.0, 0.1)", "9.0"),
        ("#%(-5.5, 2)", "0.5"),
        ("#**(@int, 2)", "49.0"),
        ("#neg(@int)", "-7"),
        ("#abs(@float)", "2.5"),
        ("#least(@int, @float)", "-2.5"),
        ("#greatest(@int, 9)", "9"),
        ("#clip(@int, 0, 5)", "5"),
        ("#clip(@float, 0, 5)", "0.0"),
        ("#round(@float)", "-2.0"),
        ("#floor(@float)", "-3.0"),
        ("#ceil(@float)", "-2.0"),
        ("#floor(@int)", "7"),
        ("#to_int64(@float)", "-2"),
        ("#to_int64(@yes)", "1"),
        ("#to_float64(@yes)", "1.0"),
        ("#to_float64(@int)", "7.0"),
        ("#+(@single, 0.0)", "0.10000000149011612"),
    ]);
}

#[test]
fn what_has_no_answer_is_null() {
    assert_answers(&[
        ("#/(@int, @zero)", "null"),
        ("#/(@int, 0.0)", "null"),
        ("#//(@int, @zero)", "null"),
        ("#%(@int, 0)", "null"),
        ("#+(@big, 1)", "null"),
        ("#*(@big, 2)", "null"),
        ("#neg(#-(#neg(@big), 1))", "null"),
        ("#abs(#-(#neg(@big), 1))", "null"),
        ("#//(#-(#neg(@big), 1), -1)", "null"),
        ("#%(#-(#neg(@big), 1), -1)", "0"),
        ("#sqrt(@float)", "null"),
        ("#log(0)", "null"),
        ("#log(@float)", "null"),
        ("#log1p(-1)", "null"),
        ("#exp(1000)", "null"),
        ("#*(1e308, 10)", "null"),
        ("#**(@float, 0.5)", "null"),
        ("#to_int64(1e300)", "null"),
        ("#+(@none, 1)", "null"),
        ("#/(#list_sum(@empty), 0)", "null"),
        ("#sqrt(4)", "2.0"),
        ("#log(1)", "0.0"),
        ("#exp(0)", "1.0"),
    ]);
}

#[test]
fn comparisons_and_logic() {
    assert_answers(&[
        ("#==(@int, 7)", "true"),
        ("#==(@int, 7.0)", "true"),
        ("#!=(@int, 7)", "false"),
        ("#<(@int, 7.5)", "true"),
        ("#<=(@int, 7)", "true"),
        ("#>(@float, 0)", "false"),
        ("#>=(@big, @big)", "true"),
        ("#==(@text, 'Zürich')", "true"),
        ("#!=(@text, 'Bern')", "true"),
        ("#==(@yes, true)", "true"),
        ("#~(@yes)", "false"),
        ("#&(@yes, #>(@int, 5), #<(@int, 5))", "false"),
        ("#|(#<(@int, 5), @yes)", "true"),
        ("#is_in(@text, 'Bern', 'Zürich')", "true"),
        ("#is_in(@int, 1, 2, 3)", "false"),
        ("#is_in(@int, 1, 7.0)", "true"),
        ("#is_in(#*(0.0, @float), 0)", "true"),
        ("#is_in(@yes, false)", "false"),
        ("#bucket(@int, 0, 5, 10)", "2"),
        ("#bucket(@int, 7, 7.5)", "1"),
        ("#bucket(@float, 0)", "0"),
    ]);
}

#[test]
fn what_is_missing_decides_only_what_needs_it() {
    assert_answers(&[
        ("#is_null(@none)", "true"),
        ("#is_null(@int)", "false"),
        ("#is_null(#/(@int, 0))", "true"),
        ("#coalesce(@none, @int)", "7"),
        ("#coalesce(@none, 1.5)", "1.5"),
        ("#coalesce(@int, 1.5)", "7.0"),
        ("#coalesce(@none, null)", "null"),
        ("#where(@yes, @int, @none)", "7"),
        ("#where(@yes, null, @int)", "null"),
        ("#where(#>(@none, 1), 1, 2)", "null"),
        ("#where(#==(@zero, 0), 0.0, #/(@int, @zero))", "0.0"),
        ("#where(@yes, @text, 'nowhere')", "Zürich"),
        ("#|(#is_null(@none), #>(@none, 5))", "true"),
        ("#&(#>(@none, 5), false)", "false"),
        ("#&(#>(@none, 5), true)", "null"),
        ("#greatest(@none, 1)", "null"),
    ]);
}

#[test]
fn timestamps_and_the_time_between_them() {
    assert_answers(&[
        ("#-(@now, @time)", "1000"),
        ("#/(#-(@now, @time), 1000)", "1.0"),
        ("#+(@time, 1000)", "1710325274000"),
        ("#+(1000, @time)", "1710325274000"),
        ("#-(@now, 274000)", "1710325000000"),
        ("#>(@now, @time)", "true"),
        ("#>(@time, {'timestamp':1710325273000})", "false"),
        ("#greatest(@now, @time)", "1710325274000"),
        ("#hour_of_day(@now)", "10"),
        ("#day_of_week(@now)", "2"),
        ("#hour_of_day(#to_timestamp(-1))", "23"),
        ("#day_of_week(#to_timestamp(-1))", "2"),
        ("#to_int64(@time)", "1710325273000"),
        ("#+(#to_timestamp(@big), 1)", "null"),
    ]);
}

#[test]
fn lists_texts_and_vectors() {
    assert_answers(&[
        ("#length(@text)", "6"),
        ("#length(@ints)", "3"),
        ("#length(@words)", "3"),
        ("#length(@empty)", "0"),
        ("#length(@vector)", "1"),
        ("#element(@ints, 0)", "3"),
        ("#element(@ints, -1)", "2"),
        ("#element(@ints, 3)", "null"),
        ("#element(@ints, -4)", "null"),
        ("#element(@ints, -9223372036854775808)", "null"),
        ("#element(@words, 2)", "bc"),
        ("#element(@words, 1)", ""),
        ("#element(@words, 3)", "null"),
        ("#contains(@ints, 2)", "true"),
        ("#contains(@words, 'b')", "false"),
        ("#contains(@words, '')", "true"),
        ("#contains(@floats, #/(3, 2))", "true"),
        ("#contains(@empty, 1)", "false"),
        ("#list_sum(@ints)", "6"),
        ("#list_mean(@ints)", "2.0"),
        ("#list_min(@ints)", "1"),
        ("#list_max(@floats)", "1.5"),
        ("#list_sum(@empty)", "0.0"),
        ("#list_mean(@empty)", "null"),
        ("#list_max(@empty)", "null"),
        ("#dot(@vector, @vector)", "4.0"),
        ("#cosine(@vector, @vector)", "1.0"),
    ]);
}

/// A table's cells: two columns, row by row. The second has a default.
#[test]
fn columns_are_read_in_place_and_defaults_count() {
    let types = named(&[("v:a", "Int64"), ("v:b", "Int64")]);
    let sum = tree("{'op':'+','args':[{'column':0},{'column':1},{'request':'n'}]}");
    let request_types = named(&[("n", "Int64")]);
    let float = DataType::Scalar(Scalar::Float64);
    let computed = Computed::new(&sum, &types, &request_types, float, Some(b"-1")).unwrap();
    let statuses = [
        Status::Present,
        Status::NotFound,
        Status::Null,
        Status::Expired,
        Status::Unavailable,
        Status::Present,
        Status::NotFound,
        Status::Invalid,
    ];
    let statuses = statuses.map(|status| status as u8);
    let cells = [1, 50, 0, 50, 0, 2, 0, 0];
    let input = |from: usize, has_default| crate::expression::Input {
        cells: &cells[from..],
        statuses: &statuses[from..],
        stride: 2,
        arena: &[],
        has_default,
    };
    let n = column("Int64", &[Some("100")]).for_all_rows();
    let result = computed.evaluate(&Inputs {
        rows: 4,
        columns: &[input(0, false), input(1, true)],
        request: &[n.as_input()],
        now: RequestTime::One(NOW),
    });
    let values: Vec<f64> = result.cells.iter().copied().map(f64::from_bits).collect();
    assert_eq!(values[..2], [151.0, -1.0]);
    assert!(values[2].is_nan() && values[3].is_nan());
    let expected = [
        Status::Present,
        Status::Null,
        Status::Unavailable,
        Status::Invalid,
    ];
    assert_eq!(result.statuses, expected.map(|status| status as u8));
}

#[test]
fn strings_come_out_with_their_default() {
    let types = named(&[("v:a", "String")]);
    let tree = tree("{'op':'coalesce','args':[{'feature':'v:a'},null]}");
    let string = DataType::Scalar(Scalar::String);
    let computed = Computed::new(&tree, &types, &[], string, Some(b"none")).unwrap();
    let texts = column("String", &[Some("x"), None, Some("yz")]);
    let result = computed.evaluate(&Inputs {
        rows: 3,
        columns: &[texts.as_input()],
        request: &[],
        now: RequestTime::One(NOW),
    });
    let values: Vec<_> = result
        .cells
        .iter()
        .map(|&cell| value::view(string, cell, &result.arena))
        .collect();
    assert_eq!(values, ["x", "none", "yz"].map(Value::String));
    assert_eq!(result.statuses, [0, Status::Null as u8, 0]);
}

#[test]
fn a_float32_is_rounded_and_what_is_beyond_it_is_null() {
    let single = DataType::Scalar(Scalar::Float32);
    for (literal, expected) in [
        ("0.1", Some("0.1")),
        ("1e39", None),
        ("16777217", Some("16777216.0")),
    ] {
        let computed = Computed::new(&tree(literal), &[], &[], single, None).unwrap();
        let result = computed.evaluate(&Inputs {
            rows: 1,
            columns: &[],
            request: &[],
            now: RequestTime::One(NOW),
        });
        assert_eq!(shown(&result, single, 0).as_deref(), expected, "{literal}");
    }
}

#[test]
fn each_row_may_have_a_time_of_its_own() {
    let hour = DataType::Scalar(Scalar::Int64);
    let now = tree("{'op':'hour_of_day','args':[{'now':true}]}");
    let computed = Computed::new(&now, &[], &[], hour, None).unwrap();
    let times: Vec<i64> = (0..2_500).map(|row| row * 3_600_000).collect();
    let result = computed.evaluate(&Inputs {
        rows: times.len(),
        columns: &[],
        request: &[],
        now: RequestTime::Each(&times),
    });
    assert!(
        result
            .cells
            .iter()
            .enumerate()
            .all(|(row, &cell)| cell == row as u64 % 24)
    );
    assert_eq!(result.cells.len(), times.len());
}

#[test]
fn no_rows_are_no_values() {
    let computed = Computed::new(&tree("1"), &[], &[], DataType::Scalar(Scalar::Int64), None);
    let inputs = Inputs {
        rows: 0,
        columns: &[],
        request: &[],
        now: RequestTime::One(NOW),
    };
    assert_eq!(
        computed.unwrap().evaluate(&inputs),
        ComputedColumn::default()
    );
}
