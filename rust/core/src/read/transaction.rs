//! Replies to MULTI, to what is queued, and to EXEC, in which the replies of one entity come nested.

use super::part::{PartFailure, ReadPart};
use crate::resp::token::Token;

/// Where in a transaction the next reply belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// In none.
    #[default]
    Plain,
    /// To MULTI.
    Begin,
    /// To a command that is queued; so many are left.
    Queued(usize),
    /// To EXEC.
    Exec {
        /// The reply to a command is under way.
        started: bool,
        /// The transaction was not carried out.
        refused: bool,
    },
}

impl ReadPart {
    pub(super) fn transaction_token(&mut self, depth: usize, token: Token<'_>) {
        match (self.cursor.stage, depth, token) {
            (Stage::Begin | Stage::Queued(_), 0, Token::Simple(_)) => {}
            // EXEC will say no more than that something was refused before.
            (Stage::Begin | Stage::Queued(_), 0, Token::Error(text)) => self.refused(text),
            (Stage::Exec { .. }, 0, Token::Array(length)) if length == self.unit_commands() => {}
            (Stage::Exec { started, .. }, 0, Token::Error(text)) => {
                self.refused(text);
                self.cursor.stage = Stage::Exec {
                    started,
                    refused: true,
                };
            }
            (Stage::Exec { started, refused }, 1.., token) => {
                if depth == 1 {
                    if started {
                        self.finish_command();
                    }
                    let started = true;
                    self.cursor.stage = Stage::Exec { started, refused };
                }
                self.command_token(depth - 1, token);
            }
            _ => self.fail(PartFailure::Protocol(
                "a transaction answered with another shape than its own".to_owned(),
            )),
        }
    }

    pub(super) fn finish_stage(&mut self) {
        match self.cursor.stage {
            Stage::Plain => {}
            Stage::Begin => self.cursor.stage = Stage::Queued(self.unit_commands()),
            Stage::Queued(left @ 2..) => self.cursor.stage = Stage::Queued(left - 1),
            Stage::Queued(_) => {
                self.cursor.stage = Stage::Exec {
                    started: false,
                    refused: false,
                };
            }
            Stage::Exec { refused: true, .. } => self.next_unit(),
            // After the last command comes the next unit.
            Stage::Exec { .. } => self.finish_command(),
        }
    }

    fn refused(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        self.fail(PartFailure::Server(text));
    }

    fn unit_commands(&self) -> usize {
        let section = self.section();
        section.map_or(0, |section| section.commands(&self.groups))
    }
}
