//! The answers to read requests as JSON, straight from the cells.

use std::array;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::keys::{KeyColumn, KeyColumns};
use crate::table::{NO_TIME, Table};
use crate::text::write_json_string;
use crate::types::Status;
use crate::value::{Value, vector_elements};

/// Appends the answer for one entity, the table's first row:
/// `{"entity": {…}, "features": {…}, "version": 1}`, and `"statuses"` if some value is not
/// `PRESENT` or is a number that JSON does not have.
pub fn render_one(table: &Table, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"entity\":{");
    for (index, (name, column)) in table.keys().columns.iter().enumerate() {
        comma(out, index);
        write_json_string(out, name);
        out.push(b':');
        write_key(out, column, 0);
    }
    out.extend_from_slice(b"},\"features\":{");
    let features = table.features();
    let unsaid = !write_values(out, table.row(0), |out, column| {
        comma(out, column);
        out.extend_from_slice(&features[column].json_name);
        out.push(b':');
    });
    out.extend_from_slice(b"},\"version\":");
    write_integer(out, table.version());
    let all_present = (0..table.columns()).all(|column| table.status(0, column) == Status::Present);
    if unsaid || !all_present {
        out.extend_from_slice(b",\"statuses\":{");
        for (column, feature) in table.features().iter().enumerate() {
            comma(out, column);
            out.extend_from_slice(&feature.json_name);
            out.push(b':');
            write_status(out, table.status(0, column));
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// Appends the answer for many entities: `{"features": […], "entities": {…}, "values": [[…], …],
/// "version": 1}`, `"statuses"` in the same cases, and `"event_times"` if asked for.
pub fn render_many(table: &Table, event_times: bool, out: &mut Vec<u8>) {
    out.reserve(table.rows() * table.columns() * 12);
    out.extend_from_slice(b"{\"features\":[");
    for (column, feature) in table.features().iter().enumerate() {
        comma(out, column);
        out.extend_from_slice(&feature.json_name);
    }
    out.extend_from_slice(b"],\"entities\":");
    write_keys(out, table.keys());
    out.extend_from_slice(b",\"values\":");
    let mut unsaid = false;
    out.push(b'[');
    for row in 0..table.rows() {
        comma(out, row);
        out.push(b'[');
        unsaid |= !write_values(out, table.row(row), comma);
        out.push(b']');
    }
    out.push(b']');
    out.extend_from_slice(b",\"version\":");
    write_integer(out, table.version());
    if unsaid || !table.all_present() {
        out.extend_from_slice(b",\"statuses\":");
        write_rows(out, table, |out, row, column| {
            write_status(out, table.status(row, column));
        });
    }
    if event_times {
        out.extend_from_slice(b",\"event_times\":");
        write_rows(out, table, |out, row, column| {
            match table.event_time(row, column) {
                NO_TIME => out.extend_from_slice(b"null"),
                time => write_integer(out, time),
            }
        });
    }
    out.push(b'}');
}

/// Adds `"as_of"`, the time that the features are as of, to the answer at the end of `out`.
pub fn add_as_of(out: &mut Vec<u8>, as_of_ms: i64) {
    // The brace that closes the answer. A member is always before it.
    out.pop();
    out.extend_from_slice(b",\"as_of\":");
    write_integer(out, as_of_ms);
    out.push(b'}');
}

fn write_rows(out: &mut Vec<u8>, table: &Table, mut write: impl FnMut(&mut Vec<u8>, usize, usize)) {
    out.push(b'[');
    for row in 0..table.rows() {
        comma(out, row);
        out.push(b'[');
        for column in 0..table.columns() {
            comma(out, column);
            write(out, row, column);
        }
        out.push(b']');
    }
    out.push(b']');
}

fn write_keys(out: &mut Vec<u8>, keys: &KeyColumns) {
    out.push(b'{');
    for (index, (name, column)) in keys.columns.iter().enumerate() {
        comma(out, index);
        write_json_string(out, name);
        out.extend_from_slice(b":[");
        for row in 0..column.len() {
            comma(out, row);
            write_key(out, column, row);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn write_key(out: &mut Vec<u8>, column: &KeyColumn, row: usize) {
    match column {
        KeyColumn::Integer(ids) => write_integer(out, ids[row]),
        // Text keys are UTF-8: their column takes nothing else.
        KeyColumn::Text(ids) => write_json_string(out, &String::from_utf8_lossy(ids.at(row))),
    }
}

fn write_status(out: &mut Vec<u8>, status: Status) {
    out.push(b'"');
    out.extend_from_slice(status.name().as_bytes());
    out.push(b'"');
}

/// Appends values, and before each whatever `before` appends for its position. Returns whether JSON
/// has all of them: `null` stands for a number that is not finite.
fn write_values<'a>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = Option<Value<'a>>>,
    mut before: impl FnMut(&mut Vec<u8>, usize),
) -> bool {
    let mut said = true;
    let mut run = Run::default();
    for value in values {
        match value {
            Some(Value::Float64(double)) if double.is_finite() => {
                if run.waiting == run.doubles.len() {
                    run.write(out, &mut before);
                }
                run.doubles[run.waiting] = double;
                run.waiting += 1;
            }
            value => {
                run.write(out, &mut before);
                before(out, run.position);
                run.position += 1;
                said &= write_value(out, value);
            }
        }
    }
    run.write(out, &mut before);
    said
}

/// The most doubles that are made before they are copied. By then most digits of the first are
/// ready, and the buffers stay in the nearest cache.
const RUN: usize = 10;

/// Consecutive doubles. A processor that copies bytes that it has just written waits for them, so
/// the digits of all are made before any are copied.
#[derive(Default)]
struct Run {
    doubles: [f64; RUN],
    /// How many of them are not written yet.
    waiting: usize,
    /// The position of the first of those.
    position: usize,
}

impl Run {
    fn write(&mut self, out: &mut Vec<u8>, before: &mut impl FnMut(&mut Vec<u8>, usize)) {
        if self.waiting == 0 {
            return;
        }
        let doubles = &self.doubles[..self.waiting];
        let mut buffers: [zmij::Buffer; RUN] = array::from_fn(|_| zmij::Buffer::new());
        let mut texts = [""; RUN];
        for ((buffer, text), &double) in buffers.iter_mut().zip(&mut texts).zip(doubles) {
            *text = buffer.format_finite(double);
        }
        for text in &texts[..self.waiting] {
            before(out, self.position);
            self.position += 1;
            out.extend_from_slice(text.as_bytes());
        }
        self.waiting = 0;
    }
}

fn write_value(out: &mut Vec<u8>, value: Option<Value<'_>>) -> bool {
    match value {
        None => out.extend_from_slice(b"null"),
        Some(Value::Integer(value)) => write_integer(out, value),
        Some(Value::Float64(_)) => {
            // Finite ones are in a run.
            out.extend_from_slice(b"null");
            return false;
        }
        Some(Value::Float32(value)) => return write_float32(out, value),
        Some(Value::Bool(value)) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Some(Value::String(text)) => write_json_string(out, text),
        Some(Value::Bytes(bytes)) => {
            out.push(b'"');
            out.extend_from_slice(BASE64.encode(bytes).as_bytes());
            out.push(b'"');
        }
        Some(Value::List(elements)) => {
            out.push(b'[');
            let said = write_values(out, elements.map(Some), comma);
            out.push(b']');
            return said;
        }
        Some(Value::Vector(bytes)) => {
            return write_array(out, vector_elements(bytes), write_float32);
        }
    }
    true
}

fn write_float32(out: &mut Vec<u8>, value: f32) -> bool {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        return true;
    }
    out.extend_from_slice(b"null");
    false
}

fn write_array<T>(
    out: &mut Vec<u8>,
    elements: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> bool,
) -> bool {
    let mut said = true;
    out.push(b'[');
    for (index, element) in elements.enumerate() {
        comma(out, index);
        said &= write(out, element);
    }
    out.push(b']');
    said
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn values_are_in_their_places(
            given in prop::collection::vec(prop_oneof![
                4 => any::<f64>().prop_map(|double| Some(Value::Float64(double))),
                1 => any::<i64>().prop_map(|integer| Some(Value::Integer(integer))),
                1 => Just(Some(Value::Float64(f64::NAN))),
                1 => Just(None),
            ], 0..50)
        ) {
            let mut out = b"[".to_vec();
            let said = write_values(&mut out, given.iter().cloned(), comma);
            out.push(b']');
            let one_by_one: Vec<_> = given
                .iter()
                .map(|value| match value {
                    // `null` if JSON has no such number.
                    Some(Value::Float64(double)) => json!(double),
                    Some(Value::Integer(integer)) => json!(integer),
                    _ => json!(null),
                })
                .collect();
            let read: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, one_by_one);
            let unsaid = |value: &Option<Value<'_>>| {
                matches!(value, Some(Value::Float64(double)) if !double.is_finite())
            };
            prop_assert_eq!(said, !given.iter().any(unsaid));
        }
    }
}
