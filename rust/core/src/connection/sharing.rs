use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Finds equal commands among those of reads that have not left.
#[derive(Debug, Default)]
pub(super) struct Sharing<S = FixedState> {
    /// The first job's. They are hashed only when there is a second job, because a driver that has
    /// one job at a time shares nothing.
    first: Option<PendingCommands>,
    /// Those of all others, each with their hash.
    others: HashTable<(u64, PendingCommands)>,
    hasher: S,
}

/// The range of a job's commands in the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingCommands {
    /// The id of the job's slot.
    pub(super) id: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl PendingCommands {
    fn bytes(self, output: &[u8]) -> &[u8] {
        &output[self.start..self.end]
    }
}

impl<S: BuildHasher> Sharing<S> {
    /// The id of an `open` job whose commands are equal to `new`. If there is none, `new` is kept
    /// for later jobs to find. The commands of open jobs are in `output`.
    pub(super) fn same_or_keep(
        &mut self,
        new: PendingCommands,
        output: &[u8],
        open: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        if self.first.is_none() && self.others.is_empty() {
            self.first = Some(new);
            return None;
        }
        if let Some(first) = self.first.take()
            && open(first.id)
        {
            self.insert(self.hasher.hash_one(first.bytes(output)), first);
        }
        let hashed = self.hasher.hash_one(new.bytes(output));
        let Some((_, known)) = self.others.find_mut(hashed, |&(other, _)| other == hashed) else {
            self.insert(hashed, new);
            return None;
        };
        if open(known.id) && known.bytes(output) == new.bytes(output) {
            return Some(known.id);
        }
        // Only one job is kept for each hash, so commands that were chosen to collide cost no more
        // than others.
        *known = new;
        None
    }

    /// Forgets everything: later jobs share nothing with earlier ones.
    pub(super) fn end(&mut self) {
        const LARGEST_KEPT: usize = 4096;
        self.first = None;
        if self.others.capacity() > LARGEST_KEPT {
            self.others = HashTable::new();
        } else {
            self.others.clear();
        }
    }

    /// The first `by` bytes of the output were removed, and the rest has moved there.
    pub(super) fn shift(&mut self, by: usize) {
        let moved = |commands: &mut PendingCommands| {
            let stays = commands.start >= by;
            if stays {
                (commands.start, commands.end) = (commands.start - by, commands.end - by);
            }
            stays
        };
        self.first = self.first.take_if(|commands| moved(commands));
        self.others.retain(|(_, commands)| moved(commands));
    }

    fn insert(&mut self, hashed: u64, commands: PendingCommands) {
        self.others
            .insert_unique(hashed, (hashed, commands), |&(hashed, _)| hashed);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    /// A hasher that gives everything the same hash.
    #[derive(Debug, Default)]
    struct Colliding;

    impl Hasher for Colliding {
        fn write(&mut self, _bytes: &[u8]) {}

        fn finish(&self) -> u64 {
            7
        }
    }

    impl BuildHasher for Colliding {
        type Hasher = Self;

        fn build_hasher(&self) -> Self {
            Self
        }
    }

    #[test]
    fn colliding_commands_are_told_apart() {
        let output = b"aabbaabbaa";
        let mut sharing: Sharing<Colliding> = Sharing::default();
        let commands = |id: u64| PendingCommands {
            id,
            start: id as usize * 2,
            end: id as usize * 2 + 2,
        };
        let mut same = |id| sharing.same_or_keep(commands(id), output, |_| true);
        // The last of those that collide is kept.
        assert_eq!([same(0), same(1), same(2), same(3)], [None; 4]);
        assert_eq!(same(1), Some(3));
        assert_eq!(same(4), None);
        assert_eq!(same(0), Some(4));
    }
}
