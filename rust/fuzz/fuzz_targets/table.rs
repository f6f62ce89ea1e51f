//! Bytes of any kind as a pickled table: no panic, and what is read is written and read again.
#![no_main]

use fscore_core::json;
use fscore_core::table::Table;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = Table::from_bytes(body);
    // A head and a sum that are right, so that the body is looked at.
    let mut bytes = [b"fs.table\x01\x00".as_slice(), body].concat();
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    bytes.extend_from_slice(&sum.to_le_bytes());
    if let Ok(table) = Table::from_bytes(&bytes) {
        json::render_many(&table, true, &mut Vec::new());
        assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table));
    }
});
