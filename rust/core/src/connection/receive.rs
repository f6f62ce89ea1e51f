//! Scans what the server sends, and hands each reply to the job that waits for it.

use super::event::{Event, ProtocolError};
use super::handshake::Progress;
use super::queue::{ExpectedReplies, Popped};
use super::{Connection, Replies, State};
use crate::resp::{Reply, ScanError, Scanned, Scanner, Token};

/// The recipient of a reply's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Recipient {
    /// The jobs of the front slot.
    Job,
    Handshake,
    /// It is a message that the server pushed.
    Push,
}

impl<T, J: Replies> Connection<T, J> {
    pub(super) fn scan(&mut self, data: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        while self.state != State::Closed {
            if self.state == State::Ready && self.scanner.between_replies() {
                let mut whole = 0;
                let result = self.answer_whole(&data[used..], &mut whole);
                if whole > 0 {
                    self.scanner.skip_replies(whole);
                    used += whole;
                }
                result?;
            }
            let Some(scanned) = self.scanner.next(&data[used..])? else {
                break;
            };
            used += scanned.consumed;
            if scanned.depth == 0 {
                self.recipient = self.recipient_of(&scanned.token)?;
            }
            match self.recipient {
                Recipient::Job => {
                    used += self.answer(scanned, &data[used..])?;
                }
                Recipient::Handshake => self.greet(&scanned)?,
                Recipient::Push => self.pushed(&scanned)?,
            }
        }
        Ok(used)
    }

    fn recipient_of(&self, token: &Token<'_>) -> Result<Recipient, ProtocolError> {
        match self.state {
            _ if matches!(token, Token::Push(_)) => Ok(Recipient::Push),
            State::Ready if self.queue.is_owed() => Ok(Recipient::Job),
            State::Handshaking => Ok(Recipient::Handshake),
            _ => Err(ProtocolError::UnexpectedReply {
                offset: self.scanner.offset(),
            }),
        }
    }

    /// Lets jobs read whole replies by themselves; adds the bytes that they took to `used`.
    fn answer_whole(&mut self, data: &[u8], used: &mut usize) -> Result<(), ProtocolError> {
        while let Some(slot) = self.queue.front() {
            if slot.is_shared() {
                let Some(length) = self.answer_whole_to_all(&data[*used..], *used)? else {
                    break;
                };
                *used += length;
                continue;
            }
            let Some((_, job)) = &mut slot.held else {
                break;
            };
            while slot.answered < slot.expected
                && let Some(length) = job.whole(slot.answered, &data[*used..])
            {
                *used += length;
                job.finish(slot.answered);
                slot.answered += 1;
            }
            if slot.answered < slot.expected {
                break;
            }
            self.finish_front();
        }
        Ok(())
    }

    /// Lets every job that shares the front slot's replies read the next one, if the first of these
    /// jobs can read it whole. In that case returns its length.
    fn answer_whole_to_all(
        &mut self,
        data: &[u8],
        before: usize,
    ) -> Result<Option<usize>, ProtocolError> {
        let mut first = true;
        let mut length = None;
        let mut result = Ok(());
        let limits = self.config.limits;
        let offset = self.scanner.offset() + before as u64;
        self.queue.front_jobs(|job, reply| {
            if first {
                first = false;
                length = job.whole(reply, data);
            } else if let Some(length) = length
                && job.whole(reply, data).is_none()
            {
                // Another job may have another plan, which does not read this reply whole.
                let mut scanner = Scanner::new(limits);
                if let Err(error) = feed(&mut scanner, job, reply, &data[..length]) {
                    result = Err(error.into());
                }
            }
            if length.is_some() {
                job.finish(reply);
                if job.is_out_of_step() {
                    result = Err(ProtocolError::OutOfStep { offset });
                }
            }
        });
        result?;
        if length.is_some() {
            self.count_reply();
        }
        Ok(length)
    }

    /// Hands a token to the front job, and those behind it up to the end of the reply, so that the
    /// job is looked up only once. Returns how many bytes of `rest` that took.
    fn answer(&mut self, first: Scanned<'_>, rest: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        let mut scanned = first;
        // `recipient_of` saw that a slot waits, and only a whole reply removes it.
        let Some(slot) = self.queue.front() else {
            return Ok(used);
        };
        if slot.is_shared() {
            return self.answer_to_all(first, rest);
        }
        loop {
            if let Some((_, job)) = &mut slot.held {
                job.token(slot.answered, scanned.depth, scanned.token);
            }
            if scanned.last {
                break;
            }
            let Some(next) = self.scanner.next(&rest[used..])? else {
                return Ok(used);
            };
            used += next.consumed;
            scanned = next;
        }
        if let Some((_, job)) = &mut slot.held {
            job.finish(slot.answered);
            if job.is_out_of_step() {
                let offset = self.scanner.offset();
                return Err(ProtocolError::OutOfStep { offset });
            }
        }
        slot.answered += 1;
        if slot.answered == slot.expected {
            self.finish_front();
        }
        Ok(used)
    }

    /// Does the same if several jobs share the replies of the front slot.
    fn answer_to_all(&mut self, first: Scanned<'_>, rest: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        let mut scanned = first;
        loop {
            let Scanned { depth, token, .. } = scanned;
            self.queue
                .front_jobs(|job, reply| job.token(reply, depth, token));
            if scanned.last {
                break;
            }
            let Some(next) = self.scanner.next(&rest[used..])? else {
                return Ok(used);
            };
            used += next.consumed;
            scanned = next;
        }
        let mut out_of_step = false;
        self.queue.front_jobs(|job, reply| {
            job.finish(reply);
            out_of_step |= job.is_out_of_step();
        });
        if out_of_step {
            let offset = self.scanner.offset();
            return Err(ProtocolError::OutOfStep { offset });
        }
        self.count_reply();
        Ok(used)
    }

    /// Counts one more reply of the front slot, whose replies are shared.
    fn count_reply(&mut self) {
        if let Some(slot) = self.queue.front() {
            slot.answered += 1;
            if slot.answered == slot.expected {
                for popped in self.queue.pop_shared() {
                    self.finish(popped);
                }
            }
        }
    }

    fn finish_front(&mut self) {
        if let Some(popped) = self.queue.pop() {
            self.finish(popped);
        }
    }

    #[inline]
    fn finish(&mut self, mut popped: Popped<T, J>) {
        if popped.job.goes_on() {
            let replies = ExpectedReplies {
                count: popped.job.expected(),
                shareable: popped.job.is_shareable(),
            };
            self.queue.push_again(popped, replies, J::encode_rest);
        } else {
            let Popped {
                ticket, tag, job, ..
            } = popped;
            self.events.push_back(Event::Done { ticket, tag, job });
        }
    }

    fn greet(&mut self, scanned: &Scanned<'_>) -> Result<(), ProtocolError> {
        let offset = self.scanner.offset();
        match self
            .handshake
            .token(scanned, &self.config, &mut self.handshake_output)
        {
            Progress::Waiting => Ok(()),
            Progress::Ready => {
                self.state = State::Ready;
                self.window.greeted(self.now);
                self.events.push_back(Event::Ready);
                Ok(())
            }
            Progress::Failed(error) => {
                self.fail_handshake(error);
                Ok(())
            }
            Progress::Unexpected => Err(ProtocolError::UnexpectedReply { offset }),
        }
    }

    fn pushed(&mut self, scanned: &Scanned<'_>) -> Result<(), ProtocolError> {
        self.push.token(scanned.token);
        if !scanned.last {
            return Ok(());
        }
        // A cache that relies on pushes (invalidation) has to notice that one is missing.
        let Ok(Reply::Push(items)) = self.push.finish() else {
            return Err(ProtocolError::PushTooLarge {
                limit: self.config.max_push,
            });
        };
        self.events.push_back(Event::Push(items));
        Ok(())
    }
}

/// Scans a reply for one job alone.
fn feed<J: Replies>(
    scanner: &mut Scanner,
    job: &mut J,
    reply: usize,
    data: &[u8],
) -> Result<(), ScanError> {
    let mut used = 0;
    while let Some(scanned) = scanner.next(&data[used..])? {
        used += scanned.consumed;
        job.token(reply, scanned.depth, scanned.token);
        if scanned.last {
            break;
        }
    }
    Ok(())
}
