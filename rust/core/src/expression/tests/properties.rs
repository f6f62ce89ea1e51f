//! Columns and rows agree: random trees over random columns, against [`naive`].

use proptest::prelude::*;

use super::naive::{self, Answer, Row, Types, Value as Naive};
use super::trees::trees;
use super::*;
use crate::expression::Input;

/// The types of the columns, and whether they have a default.
pub(super) const COLUMNS: [(&str, &str, bool); 11] = [
    ("v:int", "Int64", false),
    ("v:count", "Int64", true),
    ("v:float", "Float64", false),
    ("v:single", "Float32", true),
    ("v:flag", "Bool", false),
    ("v:time", "Timestamp", false),
    ("v:text", "String", true),
    ("v:ints", "List[Int64]", false),
    ("v:floats", "List[Float64]", false),
    ("v:texts", "List[String]", false),
    ("v:vector", "Vector[6]", false),
];
const REQUEST: [(&str, &str); 4] = [
    ("amount", "Float64"),
    ("place", "String"),
    ("query", "Vector[6]"),
    ("since", "Timestamp"),
];

pub(super) fn integer() -> BoxedStrategy<i64> {
    prop_oneof![
        -3_i64..4,
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN),
        Just(NOW),
    ]
    .boxed()
}

pub(super) fn number() -> BoxedStrategy<f64> {
    prop_oneof![
        (-8_i32..9).prop_map(|value| f64::from(value) / 2.0),
        any::<f64>(),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MAX),
        Just(0.1),
    ]
    .boxed()
}

pub(super) fn word() -> BoxedStrategy<String> {
    proptest::sample::select(&["", "a", "ü", "abc"][..])
        .prop_map(str::to_owned)
        .boxed()
}

/// A value or its absence, for a column of that type.
fn answer(spelling: &str) -> BoxedStrategy<Answer> {
    let single = |value: f64| Naive::Float(f64::from(value as f32));
    let value = match spelling {
        "Int64" => integer().prop_map(Naive::Integer).boxed(),
        "Float64" => number().prop_map(Naive::Float).boxed(),
        "Float32" => number().prop_map(single).boxed(),
        "Bool" => any::<bool>().prop_map(Naive::Bool).boxed(),
        "Timestamp" => integer().prop_map(Naive::Timestamp).boxed(),
        "String" => word().prop_map(Naive::Text).boxed(),
        "List[Int64]" => list(integer().prop_map(Naive::Integer).boxed()),
        "List[Float64]" => list(number().prop_map(Naive::Float).boxed()),
        "List[String]" => list(word().prop_map(Naive::Text).boxed()),
        // Small whole numbers: the sum of their products is the same in any order.
        _ => proptest::collection::vec((-9_i8..10).prop_map(f32::from), 6)
            .prop_map(Naive::Vector)
            .boxed(),
    };
    prop_oneof![
        5 => value.prop_map(Ok),
        1 => proptest::sample::select(&Status::ALL[1..]).prop_map(Err),
    ]
    .boxed()
}

fn list(elements: BoxedStrategy<Naive>) -> BoxedStrategy<Naive> {
    proptest::collection::vec(elements, 0..4)
        .prop_map(Naive::List)
        .boxed()
}

/// Rows, and whether the request brings one value for all of them.
fn rows() -> impl Strategy<Value = (Vec<Row>, bool)> {
    let columns = COLUMNS.map(|(_, spelling, _)| answer(spelling)).to_vec();
    let request = REQUEST.map(|(_, spelling)| answer(spelling)).to_vec();
    let row = (columns, request, integer()).prop_map(|(columns, request, now)| Row {
        columns,
        request,
        now,
    });
    (proptest::collection::vec(row, 1..20), any::<bool>()).prop_map(|(mut rows, constant)| {
        if constant {
            let request = rows[0].request.clone();
            for row in &mut rows {
                row.request.clone_from(&request);
            }
        }
        (rows, constant)
    })
}

/// Values as a table or a column has them.
#[derive(Default)]
struct Memory {
    cells: Vec<u64>,
    statuses: Vec<u8>,
    arena: Vec<u8>,
}

impl Memory {
    fn push(&mut self, answer: &Answer, spelling: &str, default: Option<&Naive>) {
        let data_type: DataType = spelling.parse().unwrap();
        self.statuses
            .push(answer.as_ref().err().map_or(0, |status| *status as u8));
        let value = answer.as_ref().ok().or(default);
        let cell = value.map(|value| self.cell(value));
        self.cells.push(cell.unwrap_or(value::absent(data_type)));
    }

    fn cell(&mut self, value: &Naive) -> u64 {
        let start = self.arena.len();
        match value {
            Naive::Integer(value) | Naive::Timestamp(value) => return *value as u64,
            Naive::Float(value) => return value.to_bits(),
            Naive::Bool(value) => return u64::from(*value),
            Naive::Text(text) => self.arena.extend_from_slice(text.as_bytes()),
            Naive::Vector(elements) => {
                let bytes = elements.iter().flat_map(|element| element.to_le_bytes());
                self.arena.extend(bytes);
            }
            Naive::List(elements) => {
                for element in elements {
                    if let Naive::Text(text) = element {
                        let length = text.len() as u32;
                        self.arena.extend_from_slice(&length.to_le_bytes());
                        self.arena.extend_from_slice(text.as_bytes());
                    } else {
                        let cell = self.cell(element);
                        self.arena.extend_from_slice(&cell.to_le_bytes());
                    }
                }
            }
        }
        value::ArenaSpan {
            offset: start as u32,
            length: (self.arena.len() - start) as u32,
        }
        .cell()
    }

    fn input(&self, from: usize, stride: usize, has_default: bool) -> Input<'_> {
        Input {
            cells: &self.cells[from..],
            statuses: &self.statuses[from..],
            stride,
            arena: &self.arena,
            has_default,
        }
    }
}

/// The default of a missing value.
fn default_of(spelling: &str) -> Naive {
    match spelling {
        "Int64" => Naive::Integer(5),
        "String" => Naive::Text("b".to_owned()),
        _ => Naive::Float(0.5),
    }
}

fn found(column: &ComputedColumn, data_type: DataType, row: usize) -> Answer {
    if column.statuses[row] != 0 {
        return Err(Status::from_code(column.statuses[row]));
    }
    Ok(
        match value::view(data_type, column.cells[row], &column.arena) {
            Value::Integer(value) if data_type == DataType::Scalar(Scalar::Int64) => {
                Naive::Integer(value)
            }
            Value::Integer(value) => Naive::Timestamp(value),
            Value::Float64(value) => Naive::Float(value),
            Value::Bool(value) => Naive::Bool(value),
            Value::String(text) => Naive::Text(text.to_owned()),
            other => unreachable!("{other:?}"),
        },
    )
}

fn alike(found: &Answer, expected: &Answer) -> bool {
    match (found, expected) {
        (Ok(Naive::Float(found)), Ok(Naive::Float(expected))) => {
            found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
        }
        _ => found == expected,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn columns_agree_with_rows(tree in trees(), (mut rows, constant) in rows()) {
        let columns = named(&COLUMNS.map(|(name, spelling, _)| (name, spelling)));
        let request = named(&REQUEST);
        let data_type = Expression::compile(&tree, &columns, &request).unwrap().data_type();
        let computed = Computed::new(&tree, &columns, &request, data_type, None).unwrap();

        let mut table = Memory::default();
        let mut brought = REQUEST.map(|_| Memory::default());
        for row in &mut rows {
            for (answer, (_, spelling, has_default)) in row.columns.iter_mut().zip(COLUMNS) {
                let default = default_of(spelling);
                table.push(answer, spelling, has_default.then_some(&default));
                let missing = matches!(answer, Err(status) if (*status as u8) < Status::Invalid as u8);
                if has_default && missing {
                    *answer = Ok(default);
                }
            }
            for ((answer, (_, spelling)), memory) in row.request.iter().zip(REQUEST).zip(&mut brought) {
                memory.push(answer, spelling, None);
            }
        }
        let inputs: Vec<_> = COLUMNS
            .iter()
            .enumerate()
            .map(|(index, (_, _, has_default))| table.input(index, COLUMNS.len(), *has_default))
            .collect();
        let stride = usize::from(!constant);
        let brought: Vec<_> = brought.iter().map(|memory| memory.input(0, stride, false)).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.now).collect();
        let result = computed.evaluate(&Inputs {
            rows: rows.len(),
            columns: &inputs,
            request: &brought,
            now: RequestTime::Each(&times),
        });
        let types = Types { columns: &columns, request: &request };
        for (index, row) in rows.iter().enumerate() {
            let expected = naive::evaluate(&tree, row, types);
            let found = found(&result, data_type, index);
            prop_assert!(
                alike(&found, &expected),
                "row {} of {}: {:?}, not {:?}", index, tree, found, expected
            );
        }
    }

    #[test]
    fn arbitrary_json_never_panics(json in "[\\[\\]{}\",:a-z0-9.+*eE-]{0,60}") {
        let _: Result<_, _> = Tree::from_json(json.as_bytes());
    }
}
