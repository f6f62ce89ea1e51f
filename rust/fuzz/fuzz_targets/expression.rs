//! Expressions of any kind: what parses and compiles evaluates without a panic, alike for a column
//! of one value and for one value for all rows.
#![no_main]

use fscore_core::expression::{Computed, Expression, Input, Inputs, RequestTime, Tree};
use fscore_core::types::DataType;
use libfuzzer_sys::fuzz_target;

const TYPES: [(&str, &str); 7] = [
    ("i", "Int64"),
    ("f", "Float64"),
    ("b", "Bool"),
    ("t", "Timestamp"),
    ("s", "String"),
    ("l", "List[Int64]"),
    ("v", "Vector[2]"),
];

fuzz_target!(|input: (u64, u8, &[u8])| {
    let (cell, status, json) = input;
    let Ok(tree) = Tree::from_json(json) else {
        return;
    };
    let columns: Vec<(String, DataType)> = TYPES
        .iter()
        .map(|(name, spelling)| ((*name).to_owned(), spelling.parse().unwrap()))
        .collect();
    let Ok(expression) = Expression::compile(&tree, &columns, &columns) else {
        return;
    };
    assert!(Tree::from_json(json).unwrap() == tree && !tree.to_string().is_empty());
    let own = expression.data_type();
    let computed = Computed::new(&tree, &columns, &columns, own, None).unwrap();
    let arena = cell.to_le_bytes();
    let cells = [cell, cell, cell & 1, cell, 8 << 32, 8 << 32, 8 << 32];
    let statuses = [status % 6; 7];
    let inputs = |stride: usize| -> Vec<Input<'_>> {
        (0..7)
            .map(|index| Input {
                cells: &cells[index..=index],
                statuses: &statuses[index..=index],
                stride,
                arena: &arena,
                has_default: false,
            })
            .collect()
    };
    let [each, all] = [1, 0].map(|stride| {
        let inputs = inputs(stride);
        computed.evaluate(&Inputs {
            rows: 1,
            columns: &inputs,
            request: &inputs,
            now: RequestTime::One(cell as i64),
        })
    });
    assert_eq!(each, all);
    assert!(each.statuses[0] < 6);
});
