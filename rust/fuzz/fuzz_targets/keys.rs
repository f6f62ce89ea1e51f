//! Ids of any bytes: escaping can be undone, lets no special byte through, and keeps ids apart.
#![no_main]

use fscore_core::{key, slot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|ids: (Vec<u8>, &[u8])| {
    let (one, other) = (&ids.0[..], ids.1);
    let escaped = escape(one);
    assert_eq!(key::unescape(&escaped).as_deref(), Some(one));
    assert!(
        escaped
            .iter()
            .all(|byte| (0x21..=0x7e).contains(byte) && !b"{}:,".contains(byte))
    );
    assert_eq!(one == other, escaped == escape(other));
    // Only the text that an id is written as is read as that id.
    if let Some(id) = key::unescape(one) {
        assert_eq!(escape(&id), one);
    }
    if !escaped.is_empty() {
        let whole = [b"p:user:{", &escaped[..], b"}:v1"].concat();
        assert_eq!(slot::hash_tag(&whole), escaped);
        assert_eq!(slot::of(&whole), slot::crc16(&escaped) % 16_384);
    }
    let _ = slot::of(one);
});

fn escape(id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key::escape_into(&mut out, id);
    out
}
