//! Bytes of any kind, whole and in pieces: no panic, and the pieces change nothing.
#![no_main]

use fscore_core::resp::{Limits, Reply, ReplyBuilder, ScanError, Scanner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (pieces, bytes) = input;
    let whole = scan(bytes, &[]);
    let cut = scan(bytes, &pieces);
    // By text, because NaN is not equal to itself.
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
});

fn scan(bytes: &[u8], pieces: &[u8]) -> (Vec<Reply>, Result<u64, ScanError>) {
    let mut scanner = Scanner::new(Limits::default());
    let mut builder = ReplyBuilder::new(1 << 20);
    let mut replies = Vec::new();
    let mut used = 0;
    let mut fed = 0_usize;
    let ends = pieces.iter().map(|&piece| usize::from(piece));
    for piece in ends.chain([usize::MAX]) {
        fed = fed.saturating_add(piece).min(bytes.len());
        loop {
            match scanner.next(&bytes[used..fed]) {
                Ok(Some(element)) => {
                    assert!(element.consumed > 0);
                    used += element.consumed;
                    builder.token(element.token);
                    if element.last {
                        replies.extend(builder.finish());
                    }
                }
                Ok(None) => break,
                Err(error) => return (replies, Err(error)),
            }
        }
    }
    (replies, Ok(scanner.offset()))
}
