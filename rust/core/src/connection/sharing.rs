use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Reads whose commands have not left, by these commands.
#[derive(Debug, Default)]
pub(super) struct Sharing<S = FixedState> {
    /// The only one so far. It is not hashed before there is a second: a driver that has one job at
    /// a time has nothing to share.
    first: Option<PendingCommands>,
    /// All others, and what they hash to.
    others: HashTable<(u64, PendingCommands)>,
    hasher: S,
}

/// Whose commands lie where in the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingCommands {
    pub(super) id: u64,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl PendingCommands {
    fn of(self, output: &[u8]) -> &[u8] {
        &output[self.start..self.end]
    }
}

impl<S: BuildHasher> Sharing<S> {
    /// Who says the same as `new`, of those that are `open`; otherwise `new` is known from now on.
    /// What is open has its commands in `output`.
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
            self.insert(self.hasher.hash_one(first.of(output)), first);
        }
        let hashed = self.hasher.hash_one(new.of(output));
        let Some((_, known)) = self.others.find_mut(hashed, |&(other, _)| other == hashed) else {
            self.insert(hashed, new);
            return None;
        };
        if open(known.id) && known.of(output) == new.of(output) {
            return Some(known.id);
        }
        // One for each hash: commands that were chosen to collide gain nothing by it.
        *known = new;
        None
    }

    /// What was said so far is no longer shared.
    pub(super) fn end(&mut self) {
        const LARGEST_KEPT: usize = 4096;
        self.first = None;
        if self.others.capacity() > LARGEST_KEPT {
            self.others = HashTable::new();
        } else {
            self.others.clear();
        }
    }

    /// The first so many bytes of the output are gone, and what is behind them has moved there.
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

    /// Everything hashes to the same.
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
    fn what_collides_is_told_apart() {
        let output = b"aabbaabbaa";
        let mut sharing: Sharing<Colliding> = Sharing::default();
        let commands = |id: u64| PendingCommands {
            id,
            start: id as usize * 2,
            end: id as usize * 2 + 2,
        };
        let mut same = |id| sharing.same_or_keep(commands(id), output, |_| true);
        // The last of those that collide is known.
        assert_eq!([same(0), same(1), same(2), same(3)], [None; 4]);
        assert_eq!(same(1), Some(3));
        assert_eq!(same(4), None);
        assert_eq!(same(0), Some(4));
    }
}
