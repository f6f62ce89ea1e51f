//! Bodies of any kind as read requests: no panic, an offset within the body, and nothing is accepted
//! that another parser does not take for JSON.
#![no_main]

use fscore_core::json::{self, RequestInputs};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const TYPES: [&str; 10] = [
    "Int64",
    "Float64",
    "Float32",
    "Bool",
    "String",
    "Bytes",
    "Timestamp[s]",
    "List[Timestamp]",
    "List[String]",
    "Vector[2]",
];

/// Every input as every type: rows as asked for, or a problem within the body.
fn read_inputs(inputs: &RequestInputs, parsed: &Value, rows: usize, length: usize) {
    for data_type in TYPES {
        let typed = |name: &String| (name.clone(), data_type.parse().unwrap());
        let wanted: Vec<_> = parsed.as_object().unwrap().keys().map(typed).collect();
        match inputs.columns(&wanted, rows) {
            Ok(columns) => {
                assert_eq!(columns.len(), wanted.len());
                assert!(
                    columns
                        .iter()
                        .all(|column| column.rows().is_none_or(|own| own == rows))
                );
            }
            Err(problem) => assert!(problem.offset <= length && !problem.detail.is_empty()),
        }
    }
}

fuzz_target!(|body: &[u8]| match json::parse_read_request(body, 100) {
    Ok(request) => {
        assert!(request.keys.rows() <= 100);
        let parsed: Value = serde_json::from_slice(body).unwrap();
        assert!(parsed.is_object());
        assert_eq!(request.service.as_deref(), parsed["service"].as_str());
        for (name, column) in &request.keys.columns {
            let values = parsed["entities"][name].as_array();
            assert_eq!(values.map(Vec::len), Some(column.len()));
        }
        if let Some(inputs) = &request.inputs {
            read_inputs(inputs, &parsed["request"], request.keys.rows(), body.len());
        }
    }
    Err(problem) => assert!(problem.offset <= body.len() && !problem.detail.is_empty()),
});
