use std::collections::VecDeque;
use std::time::Duration;

use super::deadlines::Deadlines;
use super::event::Ticket;

/// The jobs of a connection in the order of the stream, and the commands that are still to be sent.
#[derive(Debug)]
pub(super) struct Queue<J> {
    /// Every job whose replies are still to come, and every tombstone.
    slots: VecDeque<Slot<J>>,
    /// The ticket of `slots[0]`.
    first: u64,
    /// Tickets before this one were handed to the driver.
    sent: u64,
    /// Jobs, not counting tombstones.
    live: usize,
    /// Encoded bytes of everything in `slots`.
    bytes: usize,
    /// Commands not yet taken by the driver.
    output: Vec<u8>,
    /// Bytes of `output` whose jobs were cancelled.
    withdrawn: usize,
    deadlines: Deadlines,
    /// The tickets of jobs that went on, and their places now.
    moved: Vec<(Ticket, u64)>,
}

/// A job's place in the stream.
#[derive(Debug)]
pub(super) struct Slot<J> {
    /// `None` is a tombstone.
    pub(super) job: Option<J>,
    /// What the job's owner knows it by.
    ticket: Ticket,
    deadline: Duration,
    /// 0 once withdrawn: no reply will come.
    pub(super) expected: usize,
    pub(super) answered: usize,
    bytes: usize,
}

/// A job that has all its replies.
#[derive(Debug)]
pub(super) struct Popped<J> {
    pub(super) ticket: Ticket,
    pub(super) job: J,
    deadline: Duration,
}

/// A job that leaves the queue without all its replies.
#[derive(Debug)]
pub(super) struct Removed<J> {
    pub(super) ticket: Ticket,
    pub(super) job: J,
    pub(super) answered: usize,
    pub(super) sent: bool,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Queue {
            slots: VecDeque::new(),
            first: 0,
            sent: 0,
            live: 0,
            bytes: 0,
            output: Vec::new(),
            withdrawn: 0,
            deadlines: Deadlines::default(),
            moved: Vec::new(),
        }
    }
}

impl<J> Queue<J> {
    /// Jobs, not counting tombstones.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Jobs and tombstones.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Encoded bytes of jobs and tombstones.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the server owes an answer.
    pub(super) fn is_owed(&self) -> bool {
        self.first < self.sent
    }

    /// Whether there are commands that the driver has not taken.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Appends a job that expects replies, and its commands.
    pub(super) fn push(
        &mut self,
        job: J,
        expected: usize,
        encode: impl FnOnce(&mut Vec<u8>, &J),
        deadline: Duration,
    ) -> Ticket {
        let ticket = Ticket(self.next_id());
        self.push_as(ticket, job, expected, encode, deadline);
        ticket
    }

    /// Appends a job that was here before and has more to send.
    pub(super) fn push_again(
        &mut self,
        popped: Popped<J>,
        expected: usize,
        encode_rest: impl FnOnce(&J, &mut Vec<u8>),
    ) {
        let Popped {
            ticket,
            job,
            deadline,
        } = popped;
        self.moved.push((ticket, self.next_id()));
        let encode = |out: &mut Vec<u8>, job: &J| encode_rest(job, out);
        self.push_as(ticket, job, expected, encode, deadline);
    }

    fn push_as(
        &mut self,
        ticket: Ticket,
        job: J,
        expected: usize,
        encode: impl FnOnce(&mut Vec<u8>, &J),
        deadline: Duration,
    ) {
        let id = self.next_id();
        let unfinished = Unfinished {
            start: self.output.len(),
            output: &mut self.output,
        };
        encode(unfinished.output, &job);
        let bytes = unfinished.keep();
        self.bytes += bytes;
        self.live += 1;
        self.slots.push_back(Slot {
            job: Some(job),
            ticket,
            deadline,
            expected,
            answered: 0,
            bytes,
        });
        self.deadlines.insert(deadline, id);
    }

    /// A ticket for a job that expects no reply.
    pub(super) fn push_nothing(&mut self) -> Ticket {
        let ticket = Ticket(self.next_id());
        self.slots.push_back(Slot {
            job: None,
            ticket,
            deadline: Duration::MAX,
            expected: 0,
            answered: 0,
            bytes: 0,
        });
        self.reap();
        ticket
    }

    /// Takes a job out. Its commands are not sent, or leave a tombstone.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Removed<J>> {
        let moved = self.moved.iter().find(|(known, _)| *known == ticket);
        self.remove_at(moved.map_or(ticket.0, |&(_, id)| id))
    }

    fn remove_at(&mut self, id: u64) -> Option<Removed<J>> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let sent = id < self.sent;
        let slot = self.slots.get_mut(index)?;
        let job = slot.job.take()?;
        let (ticket, answered) = (slot.ticket, slot.answered);
        self.live -= 1;
        if !sent {
            slot.expected = 0;
            self.withdrawn += slot.bytes;
            // At most half of the buffer is waste, at an amortised cost of one copy.
            if self.withdrawn > self.output.len() / 2 {
                self.drop_withdrawn();
            }
        }
        self.reap();
        self.forget(ticket);
        Some(Removed {
            ticket,
            job,
            answered,
            sent,
        })
    }

    fn forget(&mut self, ticket: Ticket) {
        self.moved.retain(|(known, _)| *known != ticket);
    }

    /// Takes out a job whose deadline has come.
    pub(super) fn remove_due(&mut self, now: Duration) -> Option<Removed<J>> {
        let id = self
            .deadlines
            .pop_due(now, is_live(&self.slots, self.first))?;
        self.remove_at(id)
    }

    pub(super) fn next_deadline(&mut self) -> Option<Duration> {
        self.deadlines.earliest(is_live(&self.slots, self.first))
    }

    /// All commands to send; they count as sent.
    pub(super) fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.withdrawn > 0 {
            self.drop_withdrawn();
        }
        self.sent = self.next_id();
        self.reap();
        (!self.output.is_empty()).then(|| std::mem::take(&mut self.output))
    }

    /// Takes a buffer back, for the next commands.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        const LARGEST_KEPT: usize = 1 << 20;
        if self.output.capacity() == 0 && buffer.capacity() <= LARGEST_KEPT {
            buffer.clear();
            self.output = buffer;
        }
    }

    /// Whom the next reply is for.
    #[inline]
    pub(super) fn front(&mut self) -> Option<&mut Slot<J>> {
        if self.is_owed() {
            self.slots.front_mut()
        } else {
            None
        }
    }

    /// Removes the front slot, which has all its replies; the job in it, if it is no tombstone.
    pub(super) fn pop(&mut self) -> Option<Popped<J>> {
        let Slot {
            job,
            ticket,
            deadline,
            bytes,
            ..
        } = self.slots.pop_front()?;
        self.first += 1;
        self.bytes -= bytes;
        self.reap();
        let job = job?;
        self.live -= 1;
        self.forget(ticket);
        Some(Popped {
            ticket,
            job,
            deadline,
        })
    }

    /// Takes out every job.
    pub(super) fn drain(&mut self) -> Vec<Removed<J>> {
        let queue = std::mem::take(self);
        self.first = queue.next_id();
        self.sent = self.first;
        (queue.first..)
            .zip(queue.slots)
            .filter_map(|(id, slot)| {
                Some(Removed {
                    ticket: slot.ticket,
                    job: slot.job?,
                    answered: slot.answered,
                    sent: id < queue.sent,
                })
            })
            .collect()
    }

    fn next_id(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Removes withdrawn slots from the front, so that the front one always waits for a reply. Those
    /// whose commands still lie in `output` stay until these are gone.
    fn reap(&mut self) {
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.expected == 0 && slot.bytes == 0)
        {
            self.slots.pop_front();
            self.first += 1;
        }
        self.sent = self.sent.max(self.first);
    }

    /// Takes the commands of withdrawn jobs out of the output.
    fn drop_withdrawn(&mut self) {
        let unsent = (self.sent - self.first) as usize;
        let mut from = 0;
        let mut to = 0;
        for slot in self.slots.range_mut(unsent..) {
            let length = slot.bytes;
            if slot.expected == 0 {
                self.bytes -= length;
                slot.bytes = 0;
            } else {
                self.output.copy_within(from..from + length, to);
                to += length;
            }
            from += length;
        }
        self.output.truncate(to);
        self.withdrawn = 0;
    }
}

fn is_live<J>(slots: &VecDeque<Slot<J>>, first: u64) -> impl Fn(u64) -> bool {
    move |id| {
        id.checked_sub(first)
            .and_then(|index| slots.get(index as usize))
            .is_some_and(|slot| slot.job.is_some())
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

#[cfg(test)]
impl<J> Queue<J> {
    /// Whether the commands of a job that has not gone on were handed to the driver.
    pub(super) fn is_sent(&self, ticket: Ticket) -> bool {
        ticket.0 < self.sent
    }

    /// Slots, bytes in flight and the capacity kept for output: what must not grow.
    pub(super) fn held(&self) -> (usize, usize, usize) {
        (self.slots.len(), self.bytes, self.output.capacity())
    }
}
