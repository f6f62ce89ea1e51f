use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Deadlines of tickets, the earliest first.
///
/// Callers mostly use one timeout, so most deadlines come in order and are kept in a queue; the few
/// that come out of order go to a heap. Finishing a ticket needs no search here: its entry is
/// dropped once it is the earliest, or once it is last in the queue when another is inserted.
/// Otherwise one far deadline would send all that come after it to the heap.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: VecDeque<(Duration, u64)>,
    out_of_order: BinaryHeap<Reverse<(Duration, u64)>>,
    /// When to sweep the heap next: an entry behind a far deadline would never come up.
    sweep_at: usize,
}

const SMALLEST_SWEEP: usize = 1024;

impl Deadlines {
    pub(super) fn insert(&mut self, deadline: Duration, id: u64, live: impl Fn(u64) -> bool) {
        self.drop_gone(&live);
        while self.in_order.back().is_some_and(|&(_, id)| !live(id)) {
            self.in_order.pop_back();
        }
        if self
            .in_order
            .back()
            .is_none_or(|&(last, _)| last <= deadline)
        {
            self.in_order.push_back((deadline, id));
        } else {
            self.out_of_order.push(Reverse((deadline, id)));
        }
    }

    pub(super) fn earliest(&mut self, live: impl Fn(u64) -> bool) -> Option<Duration> {
        self.drop_gone(live);
        let queued = self.in_order.front().map(|&(deadline, _)| deadline);
        let heaped = self
            .out_of_order
            .peek()
            .map(|Reverse((deadline, _))| *deadline);
        match (queued, heaped) {
            (Some(queued), Some(heaped)) => Some(queued.min(heaped)),
            (queued, heaped) => queued.or(heaped),
        }
    }

    pub(super) fn pop_due(&mut self, now: Duration, live: impl Fn(u64) -> bool) -> Option<u64> {
        self.drop_gone(live);
        if let Some(&(deadline, id)) = self.in_order.front()
            && deadline <= now
        {
            self.in_order.pop_front();
            return Some(id);
        }
        if let Some(&Reverse((deadline, id))) = self.out_of_order.peek()
            && deadline <= now
        {
            self.out_of_order.pop();
            return Some(id);
        }
        None
    }

    fn drop_gone(&mut self, live: impl Fn(u64) -> bool) {
        while self.in_order.front().is_some_and(|&(_, id)| !live(id)) {
            self.in_order.pop_front();
        }
        while self
            .out_of_order
            .peek()
            .is_some_and(|Reverse((_, id))| !live(*id))
        {
            self.out_of_order.pop();
        }
        let held = self.in_order.len() + self.out_of_order.len();
        if held > self.sweep_at.max(SMALLEST_SWEEP) {
            self.in_order.retain(|&(_, id)| live(id));
            self.out_of_order.retain(|Reverse((_, id))| live(*id));
            // Doubling makes the sweeps cost a constant per entry, however many stay.
            self.sweep_at = 2 * (self.in_order.len() + self.out_of_order.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_tickets_leave_nothing_behind() {
        let mut deadlines = Deadlines::default();
        for id in 0..10_000 {
            // One in a hundred has far longer than the others; each is over when three have begun.
            let timeout = if id % 100 == 0 { 60_000 } else { 50 };
            let deadline = Duration::from_millis(id + timeout);
            deadlines.insert(deadline, id, |other| other + 3 > id);
            let held = deadlines.in_order.len() + deadlines.out_of_order.len();
            assert!(held <= 6, "{held} at {id}");
        }
    }
}
