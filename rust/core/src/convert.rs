//! Conversions between number types that could lose something. Each says why it does not, or what
//! it does in that case.

/// The index of a row, a column or a part.
///
/// There are fewer than 2^32: that many rows would take hundreds of gigabytes.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2^32")]
pub fn index_u32(index: usize) -> u32 {
    debug_assert!(u32::try_from(index).is_ok(), "{index}");
    index as u32
}

/// An offset into an arena, a row or a buffer of text, or the length of a piece of it.
///
/// These hold less than 4 GiB: the code that fills them refuses more.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "there is less than 4 GiB")]
pub fn offset_u32(offset: usize) -> u32 {
    debug_assert!(u32::try_from(offset).is_ok(), "{offset}");
    offset as u32
}

/// The number of things in memory. There are fewer than 2^63.
#[inline]
pub fn count_i64(count: usize) -> i64 {
    (count as u64).cast_signed()
}

/// The number of things in memory: exact below 2^53, and the nearest `Float64` beyond.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "it gives the nearest")]
pub fn count_f64(count: usize) -> f64 {
    count as f64
}

/// The `Float64` that is nearest to an integer.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "it gives the nearest")]
pub fn nearest_f64(integer: i64) -> f64 {
    integer as f64
}

/// The `Float32` that is nearest to a `Float64`; infinite if it is beyond the range.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it gives the nearest")]
pub fn nearest_f32(wide: f64) -> f32 {
    wide as f32
}
