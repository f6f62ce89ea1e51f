//! Tests of expressions: what compiles, what it answers, and that columns and rows agree.

mod answers;
mod compiling;
mod naive;
mod properties;
mod trees;

use super::{
    Computed, ComputedColumn, Expression, ExpressionError, InputColumn, Inputs, RequestTime, Tree,
};
use crate::types::{DataType, Scalar, Status};
use crate::value::{self, Value};

/// A tree from its JSON, in which `'` stands for `"`.
fn tree(json: &str) -> Tree {
    Tree::from_json(json.replace('\'', "\"").as_bytes()).unwrap()
}

fn named(types: &[(&str, &str)]) -> Vec<(String, DataType)> {
    let parse = |(name, spelling): &(&str, &str)| ((*name).to_owned(), spelling.parse().unwrap());
    types.iter().map(parse).collect()
}

/// A column from stored texts.
fn column(spelling: &str, texts: &[Option<&str>]) -> InputColumn {
    let mut column = InputColumn::with_capacity(spelling.parse().unwrap(), texts.len());
    for text in texts {
        match text {
            Some(text) => column
                .push(|data_type, arena| value::decode(data_type, text.as_bytes(), arena))
                .unwrap(),
            None => column.push_null(),
        }
    }
    column
}

/// The values of an expression as its own type, over columns of one value each.
fn compute(
    json: &str,
    columns: &[(&str, &str, Option<&str>)],
) -> Result<Option<String>, ExpressionError> {
    let types: Vec<_> = columns
        .iter()
        .map(|(name, spelling, _)| (*name, *spelling))
        .collect();
    let types = named(&types);
    let tree = tree(json);
    let data_type = Expression::compile(&tree, &types, &[])?.data_type();
    let computed = Computed::new(&tree, &types, &[], data_type, None)?;
    let columns: Vec<_> = columns
        .iter()
        .map(|(_, spelling, text)| column(spelling, &[*text]))
        .collect();
    let inputs: Vec<_> = columns.iter().map(InputColumn::as_input).collect();
    let result = computed.evaluate(&Inputs {
        rows: 1,
        columns: &inputs,
        request: &[],
        now: RequestTime::One(NOW),
    });
    Ok(shown(&result, data_type, 0))
}

/// 2024-03-13T10:21:14Z, a Wednesday.
const NOW: i64 = 1_710_325_274_000;

/// A row's value as text; `None` if there is none.
fn shown(column: &ComputedColumn, data_type: DataType, row: usize) -> Option<String> {
    if column.statuses[row] != Status::Present as u8 {
        return None;
    }
    let mut text = Vec::new();
    let value = value::view(data_type, column.cells[row], &column.arena);
    let DataType::Scalar(scalar) = data_type else {
        unreachable!()
    };
    match (scalar, &value) {
        (Scalar::Bool, Value::Bool(value)) => text.extend_from_slice(value.to_string().as_bytes()),
        _ => value::encode(&mut text, value, scalar),
    }
    Some(String::from_utf8(text).unwrap())
}
