use super::sharing::{PendingCommands, Sharing};

/// Commands that the driver has not taken.
#[derive(Debug, Default)]
pub(super) struct OutputBuffer {
    buffer: Vec<u8>,
    /// Bytes at its beginning that were taken.
    taken: usize,
    /// Bytes behind these whose jobs were cancelled.
    withdrawn: usize,
    sharing: Sharing,
}

impl OutputBuffer {
    /// Appends commands; returns their length.
    pub(super) fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let unfinished = Unfinished {
            start: self.buffer.len(),
            output: &mut self.buffer,
        };
        encode(unfinished.output);
        unfinished.keep()
    }

    /// Which of those that are `open` has the same commands as `id`, whose commands are the last so
    /// many bytes; they are taken away again then.
    pub(super) fn same(
        &mut self,
        id: u64,
        bytes: usize,
        open: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        let end = self.buffer.len();
        let start = end - bytes;
        let commands = PendingCommands { id, start, end };
        let same = self.sharing.same_or_keep(commands, &self.buffer, open);
        if same.is_some() {
            self.buffer.truncate(start);
        }
        same
    }

    /// What was appended so far is shared no longer.
    pub(super) fn end_sharing(&mut self) {
        self.sharing.end();
    }

    /// So many bytes are not to be sent; whether they had better be dropped by now. At most half of
    /// the buffer is waste, at an amortised cost of one copy.
    pub(super) fn withdraw(&mut self, bytes: usize) -> bool {
        self.withdrawn += bytes;
        self.withdrawn > (self.buffer.len() - self.taken) / 2
    }

    pub(super) fn has_withdrawn(&self) -> bool {
        self.withdrawn > 0
    }

    /// Keeps those parts that are said to be kept; of all parts in order, each with its length.
    pub(super) fn retain(&mut self, parts: impl Iterator<Item = (usize, bool)>) {
        let mut from = self.taken;
        let mut to = 0;
        for (length, kept) in parts {
            if kept {
                self.buffer.copy_within(from..from + length, to);
                to += length;
            }
            from += length;
        }
        self.buffer.truncate(to);
        self.taken = 0;
        self.withdrawn = 0;
        self.sharing.end();
    }

    /// Everything, of which nothing is withdrawn.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.sharing.end();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.drain(..std::mem::take(&mut self.taken));
        buffer
    }

    /// The next bytes.
    pub(super) fn take_part(&mut self, length: usize) -> &[u8] {
        let start = self.taken;
        self.taken += length;
        &self.buffer[start..self.taken]
    }

    /// Steps over the next bytes, which were withdrawn.
    pub(super) fn skip_withdrawn(&mut self, length: usize) {
        self.taken += length;
        self.withdrawn -= length;
    }

    /// Forgets the parts that were taken, at an amortised cost of one copy.
    pub(super) fn forget_taken(&mut self) {
        if self.taken > self.buffer.len() / 2 {
            self.buffer.drain(..self.taken);
            self.sharing.shift(self.taken);
            self.taken = 0;
        }
    }

    /// Takes a buffer back, for the next commands.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        const LARGEST_KEPT: usize = 1 << 20;
        if self.buffer.capacity() == 0 && buffer.capacity() <= LARGEST_KEPT {
            buffer.clear();
            self.buffer = buffer;
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// Takes a half-encoded command out of the output if its encoder panics: a fragment would shift
/// every reply after it to the wrong caller.
struct Unfinished<'a> {
    start: usize,
    output: &'a mut Vec<u8>,
}

impl Unfinished<'_> {
    fn keep(self) -> usize {
        let length = self.output.len() - self.start;
        std::mem::forget(self);
        length
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.output.truncate(self.start);
    }
}
