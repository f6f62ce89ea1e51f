//! Reads rows straight from the bytes, without tokens. Nearly every reply can be read so.
//!
//! Anything out of the ordinary (an error, a value that is not of its type, an unexpected type, the
//! end of the buffer) is left to the scanner, which reads the row again from its start. Reading 10
//! doubles of 10 entities takes 40 % less time this way.

use super::part::ReadPart;
use crate::plan::{FieldOrder, FieldTarget, Source, Strategy};
use crate::resp::scan::short_blob;
use crate::types::Status;
use crate::value;

/// Decodes the row at the cursor of `part` from the start of `buf`; returns the reply's length. If
/// it returns `None`, the row may be half filled.
pub(super) fn decode(part: &mut ReadPart, buf: &[u8]) -> Option<usize> {
    let ReadPart {
        plan,
        answers,
        arena,
        cursor,
        order,
        ..
    } = part;
    let group = plan.groups.get(cursor.group)?;
    let Source::Hash(hash) = &group.source else {
        return None;
    };
    let answers = &mut answers[cursor.group];
    let (width, views) = (group.columns.len(), group.views.len());
    let cells = &mut answers.cells[cursor.row * width..][..width];
    let statuses = &mut answers.statuses[cursor.row * width..][..width];
    let times = &mut answers.event_times[cursor.row * views..][..views];

    let (kind, count, mut at) = header(buf)?;
    let fields = match (hash.strategy, kind) {
        (Strategy::Hmget, b'*') if count == views + width => count,
        (Strategy::Hgetall, b'*') if count % 2 == 0 => count / 2,
        (Strategy::Hgetall, b'%') => count,
        _ => return None,
    };
    statuses.fill(Status::NotFound as u8);
    for position in 0..fields {
        let target = match hash.strategy {
            Strategy::Hmget => match position.checked_sub(views) {
                None => FieldTarget::EventTime(position),
                Some(column) => FieldTarget::Column(column),
            },
            Strategy::Hgetall => {
                if let Some((target, length)) = order.expected(position, &buf[at..]) {
                    at += length;
                    target
                } else {
                    let (start, end) = short_blob(&buf[at..])?;
                    let name = &buf[at + start..at + end];
                    at += end + 2;
                    FieldOrder::target(order, position, name, &hash.targets)
                }
            }
        };
        let rest = &buf[at..];
        let Some((start, end)) = short_blob(rest) else {
            at += null(rest)?;
            continue;
        };
        let text = &rest[start..end];
        at += end + 2;
        match target {
            FieldTarget::Column(column) => {
                cells[column] = value::decode(group.columns[column].data_type, text, arena).ok()?;
                statuses[column] = Status::Present as u8;
            }
            FieldTarget::EventTime(view) => times[view] = value::integer(text).ok()?,
            FieldTarget::Nowhere => {}
        }
    }
    Some(at)
}

/// Type byte, count and length of the aggregate header that `buf` starts with.
fn header(buf: &[u8]) -> Option<(u8, usize, usize)> {
    let (&kind, digits) = buf.split_first()?;
    let mut count = 0;
    for (index, &byte) in digits.iter().take(6).enumerate() {
        match byte {
            b'0'..=b'9' => count = count * 10 + usize::from(byte - b'0'),
            b'\r' if index > 0 && digits.get(index + 1) == Some(&b'\n') => {
                return Some((kind, count, index + 3));
            }
            _ => return None,
        }
    }
    None
}

/// The length of the null that `buf` starts with.
fn null(buf: &[u8]) -> Option<usize> {
    if buf.starts_with(b"$-1\r\n") {
        Some(5)
    } else if buf.starts_with(b"_\r\n") {
        Some(3)
    } else {
        None
    }
}
