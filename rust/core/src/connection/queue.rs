use std::collections::VecDeque;
use std::time::Duration;

use super::deadlines::Deadlines;
use super::event::Ticket;
use super::output::OutputBuffer;

/// The jobs of a connection in the order of their replies, and the commands that are still to be
/// sent.
///
/// The id of a slot is how many slots came before it.
#[derive(Debug)]
pub(super) struct Queue<T, J> {
    /// Every job whose replies are still to come, and every tombstone.
    slots: VecDeque<Slot<T, J>>,
    /// The id of `slots[0]`.
    first: u64,
    /// The commands of slots before this id were handed to the driver.
    sent: u64,
    /// Jobs, not counting tombstones.
    live: usize,
    /// Encoded bytes of everything in `slots`.
    bytes: usize,
    /// The commands of `slots` that the driver has not taken.
    output: OutputBuffer,
    /// How many commands `output` has, without withdrawn ones.
    unsent: usize,
    /// How many commands the driver has taken, of slots that are still there.
    taken: usize,
    deadlines: Deadlines,
    /// The tickets of jobs that went on, and the ids of their slots now. Every other ticket is the id
    /// of its job's slot.
    moved: Vec<(Ticket, u64)>,
}

/// A job that waits for its replies, or the tombstone that it left.
#[derive(Debug)]
pub(super) struct Slot<T, J> {
    /// The job, and the tag that it was submitted with. `None` is a tombstone.
    pub(super) held: Option<(T, J)>,
    /// The ticket that the driver has for the job.
    ticket: Ticket,
    deadline: Duration,
    /// How many replies will come for this slot. None will if it was withdrawn, or if its job gets
    /// those of another slot.
    pub(super) expected: usize,
    pub(super) answered: usize,
    /// How many bytes its commands have; 0 once they are removed from the output unsent.
    bytes: usize,
    sharing: Role,
}

impl<T, J> Slot<T, J> {
    /// Whether the jobs of other slots get its replies too.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.sharing, Role::Leads(_))
    }
}

/// The replies that a slot gets.
#[derive(Debug, Default)]
enum Role {
    /// Its own, which no other slot gets.
    #[default]
    Alone,
    /// Its own, which the slots of these followers get too.
    Leads(Box<Followers>),
    /// Those of the slot with this id, which is before it.
    Follows(u64),
}

#[derive(Debug)]
struct Followers {
    ids: Vec<u64>,
    /// Jobs that wait for the replies, the leader's own among them.
    live: usize,
}

/// A job that has all its replies.
#[derive(Debug)]
pub(super) struct Popped<T, J> {
    pub(super) ticket: Ticket,
    pub(super) tag: T,
    pub(super) job: J,
    deadline: Duration,
}

/// The replies that a job will get to its commands.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpectedReplies {
    pub(super) count: usize,
    /// Whether the replies to another job's equal commands will do, and this job's for others.
    pub(super) shareable: bool,
}

/// A job that leaves the queue without all its replies.
#[derive(Debug)]
pub(super) struct Removed<T, J> {
    pub(super) ticket: Ticket,
    pub(super) tag: T,
    pub(super) job: J,
    pub(super) answered: usize,
    pub(super) sent: bool,
}

impl<T, J> Default for Queue<T, J> {
    fn default() -> Self {
        Queue {
            slots: VecDeque::new(),
            first: 0,
            sent: 0,
            live: 0,
            bytes: 0,
            output: OutputBuffer::default(),
            unsent: 0,
            taken: 0,
            deadlines: Deadlines::default(),
            moved: Vec::new(),
        }
    }
}

impl<T, J> Queue<T, J> {
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

    /// Commands that the driver has not taken.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Commands that the driver has taken, and the server has not answered.
    #[inline]
    pub(super) fn owed(&self) -> usize {
        self.taken - self.slots.front().map_or(0, |slot| slot.answered)
    }

    /// Appends a job that expects replies, and its commands unless it can share another job's
    /// replies.
    pub(super) fn push(
        &mut self,
        tag: T,
        job: J,
        replies: ExpectedReplies,
        encode: impl FnOnce(&J, &mut Vec<u8>),
        deadline: Duration,
    ) -> Ticket {
        let ticket = Ticket(self.next_id());
        self.push_as(ticket, tag, job, replies, encode, deadline);
        ticket
    }

    /// Appends a job that was here before and has more to send.
    pub(super) fn push_again(
        &mut self,
        popped: Popped<T, J>,
        replies: ExpectedReplies,
        encode_rest: impl FnOnce(&J, &mut Vec<u8>),
    ) {
        let Popped {
            ticket,
            tag,
            job,
            deadline,
        } = popped;
        self.moved.push((ticket, self.next_id()));
        self.push_as(ticket, tag, job, replies, encode_rest, deadline);
    }

    fn push_as(
        &mut self,
        ticket: Ticket,
        tag: T,
        job: J,
        replies: ExpectedReplies,
        encode: impl FnOnce(&J, &mut Vec<u8>),
        deadline: Duration,
    ) {
        let id = self.next_id();
        let mut bytes = self.output.append(|out| encode(&job, out));
        let mut expected = replies.count;
        let mut sharing = Role::Alone;
        if !replies.shareable {
            self.output.end_sharing();
        } else if let Some(leader) = self.leader(id, bytes, expected) {
            self.follow(leader, id);
            (bytes, expected, sharing) = (0, 0, Role::Follows(leader));
        }
        self.bytes += bytes;
        self.unsent += expected;
        self.live += 1;
        self.slots.push_back(Slot {
            held: Some((tag, job)),
            ticket,
            deadline,
            expected,
            answered: 0,
            bytes,
            sharing,
        });
        self.deadlines
            .insert(deadline, id, is_live(&self.slots, self.first));
    }

    /// The slot whose replies the job of the slot `id` can share. The commands of that job are the
    /// last in the output.
    fn leader(&mut self, id: u64, bytes: usize, expected: usize) -> Option<u64> {
        let Queue {
            slots,
            first,
            sent,
            output,
            ..
        } = self;
        output.same(id, bytes, |known| {
            known >= *sent && slots[(known - *first) as usize].expected == expected
        })
    }

    fn follow(&mut self, leader: u64, id: u64) {
        let leader = &mut self.slots[(leader - self.first) as usize];
        if let Role::Leads(followers) = &mut leader.sharing {
            followers.ids.push(id);
            followers.live += 1;
        } else {
            leader.sharing = Role::Leads(Box::new(Followers {
                ids: vec![id],
                live: 2,
            }));
        }
    }

    /// A ticket for a job that expects no reply.
    pub(super) fn push_nothing(&mut self) -> Ticket {
        let ticket = Ticket(self.next_id());
        self.slots.push_back(Slot {
            held: None,
            ticket,
            deadline: Duration::MAX,
            expected: 0,
            answered: 0,
            bytes: 0,
            sharing: Role::Alone,
        });
        self.reap();
        ticket
    }

    /// Takes a job out. If its commands have left, a tombstone stays. Otherwise they are withdrawn,
    /// unless other jobs wait for the same replies.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Removed<T, J>> {
        let moved = self.moved.iter().find(|(known, _)| *known == ticket);
        self.remove_at(moved.map_or(ticket.0, |&(_, id)| id))
    }

    fn remove_at(&mut self, id: u64) -> Option<Removed<T, J>> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let slot = self.slots.get_mut(index)?;
        let (tag, job) = slot.held.take()?;
        let ticket = slot.ticket;
        let asked_by = match slot.sharing {
            Role::Follows(leader) => leader,
            _ => id,
        };
        self.live -= 1;
        let sent = asked_by < self.sent;
        // The slot that asks for a job's replies is there for as long as the job.
        let slot = &mut self.slots[(asked_by - self.first) as usize];
        let answered = slot.answered;
        let wanted = match &mut slot.sharing {
            Role::Leads(followers) => {
                followers.live -= 1;
                followers.live > 0
            }
            _ => false,
        };
        if !sent && !wanted {
            self.unsent -= slot.expected;
            slot.expected = 0;
            if self.output.withdraw(slot.bytes) {
                self.drop_withdrawn();
            }
        }
        self.reap();
        self.forget(ticket);
        Some(Removed {
            ticket,
            tag,
            job,
            answered,
            sent,
        })
    }

    fn forget(&mut self, ticket: Ticket) {
        self.moved.retain(|(known, _)| *known != ticket);
    }

    /// Takes out a job whose deadline has come.
    pub(super) fn remove_due(&mut self, now: Duration) -> Option<Removed<T, J>> {
        let id = self
            .deadlines
            .pop_due(now, is_live(&self.slots, self.first))?;
        self.remove_at(id)
    }

    pub(super) fn next_deadline(&mut self) -> Option<Duration> {
        self.deadlines.earliest(is_live(&self.slots, self.first))
    }

    /// The commands to send, of one job after the other while fewer than `limit` are owed. They
    /// count as sent.
    pub(super) fn take_output(&mut self, limit: usize) -> Option<Vec<u8>> {
        if self.unsent == 0 {
            return None;
        }
        let last = self.slots.back().map_or(0, |slot| slot.expected);
        if self.owed() + self.unsent - last >= limit {
            return self.take_some(limit);
        }
        if self.output.has_withdrawn() {
            self.drop_withdrawn();
        }
        self.taken += std::mem::take(&mut self.unsent);
        self.sent = self.next_id();
        self.reap();
        Some(self.output.take())
    }

    fn take_some(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut commands = Vec::new();
        let mut owed = self.owed();
        let unsent = (self.sent - self.first) as usize;
        for slot in self.slots.range_mut(unsent..) {
            if slot.expected > 0 {
                if owed >= limit {
                    break;
                }
                owed += slot.expected;
                self.taken += slot.expected;
                self.unsent -= slot.expected;
                commands.extend_from_slice(self.output.take_part(slot.bytes));
            } else if slot.bytes > 0 {
                self.output.skip_withdrawn(slot.bytes);
                self.bytes -= slot.bytes;
                slot.bytes = 0;
            }
            self.sent += 1;
        }
        self.output.forget_taken();
        self.reap();
        (!commands.is_empty()).then_some(commands)
    }

    /// Takes a buffer back, for the next commands.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        self.output.recycle(buffer);
    }

    /// The slot that the next reply is for.
    #[inline]
    pub(super) fn front(&mut self) -> Option<&mut Slot<T, J>> {
        if self.is_owed() {
            self.slots.front_mut()
        } else {
            None
        }
    }

    /// Calls `each` for every job that gets the front slot's replies, with the index of the next
    /// one.
    pub(super) fn front_jobs(&mut self, mut each: impl FnMut(&mut J, usize)) {
        let Some(front) = self.slots.front_mut() else {
            return;
        };
        let answered = front.answered;
        if let Some((_, job)) = &mut front.held {
            each(job, answered);
        }
        let Role::Leads(followers) = std::mem::take(&mut front.sharing) else {
            return;
        };
        for id in &followers.ids {
            if let Some((_, job)) = &mut self.slots[(id - self.first) as usize].held {
                each(job, answered);
            }
        }
        self.slots[0].sharing = Role::Leads(followers);
    }

    /// Removes the front slot, which has all its replies. Returns its job, unless it is a
    /// tombstone.
    pub(super) fn pop(&mut self) -> Option<Popped<T, J>> {
        let Slot {
            held,
            ticket,
            deadline,
            expected,
            bytes,
            ..
        } = self.slots.pop_front()?;
        self.first += 1;
        self.bytes -= bytes;
        self.taken -= expected;
        self.reap();
        let (tag, job) = held?;
        self.live -= 1;
        self.forget(ticket);
        Some(Popped {
            ticket,
            tag,
            job,
            deadline,
        })
    }

    /// Removes the front slot, which has all its replies. Returns every job that got them.
    pub(super) fn pop_shared(&mut self) -> Vec<Popped<T, J>> {
        let mut slots = std::mem::take(&mut self.slots);
        let mut popped = Vec::new();
        if let Some(front) = slots.front_mut() {
            popped.extend(self.take_job(front));
            if let Role::Leads(followers) = std::mem::take(&mut front.sharing) {
                popped.reserve(followers.ids.len());
                for id in &followers.ids {
                    popped.extend(self.take_job(&mut slots[(id - self.first) as usize]));
                }
            }
        }
        self.slots = slots;
        self.pop();
        popped
    }

    fn take_job(&mut self, slot: &mut Slot<T, J>) -> Option<Popped<T, J>> {
        let (tag, job) = slot.held.take()?;
        self.live -= 1;
        self.forget(slot.ticket);
        Some(Popped {
            ticket: slot.ticket,
            tag,
            job,
            deadline: slot.deadline,
        })
    }

    /// Takes out every job.
    pub(super) fn drain(&mut self) -> Vec<Removed<T, J>> {
        let mut queue = std::mem::take(self);
        self.first = queue.next_id();
        self.sent = self.first;
        (queue.first..self.first)
            .filter_map(|id| queue.remove_at(id))
            .collect()
    }

    fn next_id(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Removes withdrawn slots from the front, so that the front one always waits for a reply.
    /// Slots whose commands are still in `output` stay until these are removed.
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
        let parts = self.slots.range_mut(unsent..).map(|slot| {
            let (length, kept) = (slot.bytes, slot.expected > 0);
            if !kept {
                self.bytes -= length;
                slot.bytes = 0;
            }
            (length, kept)
        });
        self.output.retain(parts);
    }
}

fn is_live<T, J>(slots: &VecDeque<Slot<T, J>>, first: u64) -> impl Fn(u64) -> bool {
    move |id| {
        id.checked_sub(first)
            .and_then(|index| slots.get(index as usize))
            .is_some_and(|slot| slot.held.is_some())
    }
}

#[cfg(test)]
impl<T, J> Queue<T, J> {
    /// Whether the commands of a job that has not gone on were handed to the driver.
    pub(super) fn is_sent(&self, ticket: Ticket) -> bool {
        ticket.0 < self.sent
    }

    /// Slots, bytes in flight, and the capacity kept for output, none of which may grow.
    pub(super) fn held(&self) -> (usize, usize, usize) {
        (self.slots.len(), self.bytes, self.output.capacity())
    }
}
