//! Bodies of any kind as read requests: no panic, an offset within the body, and nothing is accepted
//! that another parser does not take for JSON.
#![no_main]

use fscore_core::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| match json::parse_read_request(body, 100) {
    Ok(request) => {
        assert!(request.keys.rows() <= 100);
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert!(parsed.is_object());
        assert_eq!(request.service.as_deref(), parsed["service"].as_str());
        for (name, column) in &request.keys.columns {
            let values = parsed["entities"][name].as_array();
            assert_eq!(values.map(Vec::len), Some(column.len()));
        }
    }
    Err(problem) => assert!(problem.offset <= body.len() && !problem.detail.is_empty()),
});
