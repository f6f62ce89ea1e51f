use super::sharing::{PendingCommands, Sharing};

/// Encoded commands that the driver has not taken.
#[derive(Debug, Default)]
pub(super) struct OutputBuffer {
    buffer: Vec<u8>,
    /// How many bytes at its beginning were taken.
    taken: usize,
    /// How many of the others belong to jobs that were withdrawn.
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

    /// Looks for a job among the `open` ones whose commands are equal to those of the job `id`,
    /// which are the last `bytes` bytes. If there is one, these bytes are removed again.
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

    /// Commands that are appended from now on share nothing with those before.
    pub(super) fn end_sharing(&mut self) {
        self.sharing.end();
    }

    /// Counts bytes that will not be sent. Says whether it is time to remove all such bytes: so at
    /// most half of the buffer is waste, at an amortised cost of one copy.
    pub(super) fn withdraw(&mut self, bytes: usize) -> bool {
        self.withdrawn += bytes;
        self.withdrawn > (self.buffer.len() - self.taken) / 2
    }

    pub(super) fn has_withdrawn(&self) -> bool {
        self.withdrawn > 0
    }

    /// Removes withdrawn bytes. `parts` are all parts in order: the length of each, and whether it
    /// is kept.
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

    /// Takes everything. Nothing of it may be withdrawn.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.sharing.end();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.drain(..std::mem::take(&mut self.taken));
        buffer
    }

    /// Takes the next `length` bytes.
    pub(super) fn take_part(&mut self, length: usize) -> &[u8] {
        let start = self.taken;
        self.taken += length;
        &self.buffer[start..self.taken]
    }

    /// Skips the next `length` bytes, which were withdrawn.
    pub(super) fn skip_withdrawn(&mut self, length: usize) {
        self.taken += length;
        self.withdrawn -= length;
    }

    /// Removes the parts that were taken, at an amortised cost of one copy.
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
