//! What becomes of the bytes that come in.

use super::event::{Event, ProtocolError};
use super::handshake::Progress;
use super::queue::Popped;
use super::{Connection, Replies, State};
use crate::resp::{Reply, Scanned, Token};

#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Slot,
    Handshake,
    Push,
}

impl<J: Replies> Connection<J> {
    pub(super) fn scan(&mut self, data: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        while self.state != State::Closed {
            if self.state == State::Ready && self.scanner.between_replies() {
                used += self.answer_whole(&data[used..]);
            }
            let Some(scanned) = self.scanner.next(&data[used..])? else {
                break;
            };
            used += scanned.consumed;
            if scanned.depth == 0 {
                self.target = self.target_of(&scanned.token)?;
            }
            match self.target {
                Target::Slot => {
                    used += self.answer(scanned, &data[used..])?;
                }
                Target::Handshake => self.greet(&scanned)?,
                Target::Push => self.pushed(&scanned)?,
            }
        }
        Ok(used)
    }

    fn target_of(&self, token: &Token<'_>) -> Result<Target, ProtocolError> {
        match self.state {
            _ if matches!(token, Token::Push(_)) => Ok(Target::Push),
            State::Ready if self.queue.is_owed() => Ok(Target::Slot),
            State::Handshaking => Ok(Target::Handshake),
            _ => Err(ProtocolError::UnexpectedReply {
                offset: self.scanner.offset(),
            }),
        }
    }

    /// Lets jobs read replies that are there whole; returns how many bytes that took.
    fn answer_whole(&mut self, data: &[u8]) -> usize {
        let mut used = 0;
        while let Some(slot) = self.queue.front() {
            let Some(job) = &mut slot.job else {
                break;
            };
            while slot.answered < slot.expected
                && let Some(length) = job.whole(slot.answered, &data[used..])
            {
                used += length;
                job.finish(slot.answered);
                slot.answered += 1;
            }
            if slot.answered < slot.expected {
                break;
            }
            self.finish_front();
        }
        if used > 0 {
            self.scanner.skip_replies(used);
        }
        used
    }

    /// Hands a token to the front job, and as many behind it as belong to the same reply, without
    /// asking for each again whose it is. Returns how many bytes of `rest` that took.
    fn answer(&mut self, first: Scanned<'_>, rest: &[u8]) -> Result<usize, ProtocolError> {
        let mut used = 0;
        let mut scanned = first;
        // `target_of` saw that a slot waits, and only a whole reply removes it.
        let Some(slot) = self.queue.front() else {
            return Ok(used);
        };
        loop {
            if let Some(job) = &mut slot.job {
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
        if let Some(job) = &mut slot.job {
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

    fn finish_front(&mut self) {
        let Some(mut popped) = self.queue.pop() else {
            return;
        };
        if popped.job.goes_on() {
            let expected = popped.job.expected();
            self.queue.push_again(popped, expected, J::encode_rest);
        } else {
            let Popped { ticket, job, .. } = popped;
            self.events.push_back(Event::Done { ticket, job });
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
        // Whoever relies on pushes (invalidation) has to notice that one is missing.
        let Ok(Reply::Push(items)) = self.push.finish() else {
            return Err(ProtocolError::PushTooLarge {
                limit: self.config.max_push,
            });
        };
        self.events.push_back(Event::Push(items));
        Ok(())
    }
}
