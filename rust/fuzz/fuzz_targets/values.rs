//! Stored text of any kind as every type: no panic, and what is read is written and read again.
#![no_main]

use fscore_core::types::{DataType, Scalar, TimeUnit};
use fscore_core::value::{self, Value};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

const SCALARS: [Scalar; 8] = [
    Scalar::Int64,
    Scalar::Float32,
    Scalar::Float64,
    Scalar::Bool,
    Scalar::String,
    Scalar::Bytes,
    Scalar::Timestamp(TimeUnit::Milliseconds),
    Scalar::Timestamp(TimeUnit::Seconds),
];

fuzz_target!(|text: &[u8]| {
    for scalar in SCALARS {
        let data_type = DataType::Scalar(scalar);
        let mut arena = b"before".to_vec();
        if let Ok(cell) = value::decode(data_type, text, &mut arena) {
            let read = value::view(data_type, cell, &arena);
            let shown = format!("{read:?}");
            let mut written = Vec::new();
            value::encode(&mut written, read, scalar);
            let mut again = Vec::new();
            let cell = value::decode(data_type, &written, &mut again).unwrap();
            let reread = value::view(data_type, cell, &again);
            assert_eq!(shown, format!("{reread:?}"));
        }
        let data_type = DataType::List(scalar);
        let mut arena = b"before".to_vec();
        if let Ok(cell) = value::decode(data_type, text, &mut arena)
            && let Value::List(elements) = value::view(data_type, cell, &arena)
        {
            // A list is JSON, whatever it is a list of; 1e999 is JSON too, and infinite.
            assert!(serde_json::from_slice::<IgnoredAny>(text).is_ok());
            for element in elements {
                let _ = format!("{element:?}");
            }
        }
    }
    for dimension in [1, 2, 16] {
        let mut arena = Vec::new();
        let read = value::decode(DataType::Vector(dimension), text, &mut arena);
        assert_eq!(read.is_ok(), text.len() == 4 * dimension as usize);
    }
});
