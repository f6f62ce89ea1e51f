//! The replies to MULTI, to queued commands, and to EXEC, which nests the replies of one entity.

use super::part::{PartFailure, ReadPart};
use crate::resp::token::Token;

/// The position of the next reply in a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is not in a transaction.
    #[default]
    Plain,
    /// It is the reply to MULTI.
    Begin,
    /// It is the reply to a queued command; holds how many of these are still to come.
    Queued(usize),
    /// It is the reply to EXEC.
    Exec {
        /// Whether the reply to one of its commands has begun.
        started: bool,
        /// Whether the server refused to execute the transaction.
        refused: bool,
    },
}

impl ReadPart {
    pub(super) fn transaction_token(&mut self, depth: usize, token: Token<'_>) {
        match (self.cursor.stage, depth, token) {
            (Stage::Begin | Stage::Queued(_), 0, Token::Simple(_)) => {}
            // EXEC will only say that a command was refused, so the reason is kept now.
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
                "the reply to a transaction has the wrong shape".to_owned(),
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
