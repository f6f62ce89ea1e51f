//! Events of a series on their way into commands.

/// An event that is kept back.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldEvent {
    /// The index of its entity's key.
    pub(super) entity: u32,
    pub(super) time_ms: i64,
    pub(super) row: u32,
    pub(super) key: ByteRange,
    pub(super) member: ByteRange,
    /// The values that tiles add up, encoded as arguments.
    pub(super) summands: ByteRange,
}

/// The start and end of bytes in a buffer.
pub(super) type ByteRange = (usize, usize);

/// Events of one entity, and the bytes that they refer to.
pub(super) struct Events<'a> {
    pub(super) events: &'a [HeldEvent],
    pub(super) bytes: &'a [u8],
}

impl Events<'_> {
    pub(super) fn key(&self) -> &[u8] {
        self.slice(self.events[0].key)
    }

    pub(super) fn member(&self, event: &HeldEvent) -> &[u8] {
        self.slice(event.member)
    }

    pub(super) fn summands(&self, event: &HeldEvent) -> &[u8] {
        self.slice(event.summands)
    }

    pub(super) fn first_row(&self) -> u32 {
        self.events[0].row
    }

    /// The time of the newest event.
    pub(super) fn newest_ms(&self) -> i64 {
        self.events[self.events.len() - 1].time_ms
    }

    fn slice(&self, (start, end): ByteRange) -> &[u8] {
        &self.bytes[start..end]
    }
}
