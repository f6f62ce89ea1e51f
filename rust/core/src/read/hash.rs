//! Decodes rows of hashes token by token, and settles their values by the rows' event times.

use super::cursor::Cursor;
use super::part::{PartFailure, ReadPart, preview};
use crate::plan::{FieldOrder, FieldTarget, Source, Strategy};
use crate::resp::token::Token;
use crate::table::NO_TIME;
use crate::types::Status;
use crate::value;

impl ReadPart {
    /// Takes the head of the reply, whose shape must fit the command.
    pub(super) fn begin_hash(&mut self, token: Token<'_>) {
        let group = &self.plan.groups[self.cursor.group];
        let Source::Hash(hash) = &group.source else {
            return;
        };
        let asked = group.views.len() + group.columns.len();
        let fits = match (token, hash.strategy) {
            (Token::Array(length), Strategy::Hmget) => length == asked,
            (Token::Array(length), Strategy::Hgetall) => length % 2 == 0,
            (Token::Map(_), Strategy::Hgetall) => true,
            _ => false,
        };
        if fits {
            self.cursor.open = true;
            let width = group.columns.len();
            let start = self.cursor.row * width;
            self.answers[self.cursor.group].statuses[start..start + width]
                .fill(Status::NotFound as u8);
        } else {
            let name = hash.strategy.name();
            self.misshapen(&format!("the reply to {name} has the wrong shape"));
        }
    }

    #[inline]
    pub(super) fn field(&mut self, token: Token<'_>) {
        let Cursor { group, element, .. } = self.cursor;
        self.cursor.element += 1;
        let group = &self.plan.groups[group];
        let Source::Hash(hash) = &group.source else {
            return;
        };
        let target = match hash.strategy {
            Strategy::Hmget => match element.checked_sub(group.views.len()) {
                None => FieldTarget::EventTime(element),
                Some(column) => FieldTarget::Column(column),
            },
            Strategy::Hgetall => {
                let Some(target) = self.cursor.target.take() else {
                    self.cursor.target = Some(match token {
                        Token::Blob(name) | Token::Simple(name) => {
                            FieldOrder::target(&mut self.order, element / 2, name, &hash.targets)
                        }
                        _ => FieldTarget::Nowhere,
                    });
                    return;
                };
                target
            }
        };
        match token {
            Token::Blob(text) | Token::Simple(text) => match target {
                FieldTarget::Column(column) => self.value(column, text),
                FieldTarget::EventTime(view) => self.event_time(view, text),
                FieldTarget::Nowhere => {}
            },
            Token::Null => {}
            _ => self.fail(PartFailure::Protocol(
                "a hash field's value is not a string".to_owned(),
            )),
        }
    }

    #[inline]
    fn value(&mut self, column: usize, text: &[u8]) {
        let Cursor { group, row, .. } = self.cursor;
        let columns = &self.plan.groups[group].columns;
        let at = row * columns.len() + column;
        let data_type = columns[column].data_type;
        match value::decode(data_type, text, &mut self.arena) {
            Ok(cell) => {
                let answers = &mut self.answers[group];
                answers.cells[at] = cell;
                answers.statuses[at] = Status::Present as u8;
            }
            Err(invalid) => {
                self.answers[group].statuses[at] = Status::Invalid as u8;
                self.invalid += 1;
                self.problem(row, Some(column), || {
                    format!("{} {}: {data_type}", preview(text), invalid.0)
                });
            }
        }
    }

    fn event_time(&mut self, view: usize, text: &[u8]) {
        let Cursor { group, row, .. } = self.cursor;
        let views = self.plan.groups[group].views.len();
        match value::integer(text) {
            Ok(ms) => self.answers[group].event_times[row * views + view] = ms,
            Err(invalid) => {
                self.cursor.bad_times.push(view);
                self.problem(row, None, || {
                    format!("the event time {} {}", preview(text), invalid.0)
                });
            }
        }
    }

    /// Settles the statuses of a row now that its event times are known.
    pub(super) fn settle(&mut self, index: usize, row: usize) {
        let group = &self.plan.groups[index];
        let answers = &mut self.answers[index];
        let width = group.columns.len();
        let times = &answers.event_times[row * group.views.len()..][..group.views.len()];
        let cells = &mut answers.cells[row * width..][..width];
        let statuses = &mut answers.statuses[row * width..][..width];
        let as_of_ms = self.asked.as_of_ms;
        let fresh =
            |&time: &i64| time == NO_TIME || time.saturating_add(group.least_ttl_ms) > as_of_ms;
        if Status::all_present(statuses)
            && self.cursor.bad_times.is_empty()
            && times.iter().all(fresh)
        {
            return;
        }
        for ((column, cell), status) in group.columns.iter().zip(cells).zip(statuses) {
            let time = times[column.view];
            let expires = time.saturating_add(column.ttl_ms);
            if self.cursor.bad_times.contains(&column.view) {
                // Its age is not known, so it must not be served as fresh.
                if *status != Status::Invalid as u8 {
                    self.invalid += 1;
                }
                *status = Status::Invalid as u8;
                *cell = value::absent(column.data_type);
            } else if time != NO_TIME && column.ttl_ms > 0 && expires <= as_of_ms {
                if *status == Status::Invalid as u8 {
                    self.invalid -= 1;
                }
                *status = Status::Expired as u8;
                *cell = column.default.unwrap_or(value::absent(column.data_type));
            } else if *status == Status::NotFound as u8 || *status == Status::Null as u8 {
                if time != NO_TIME {
                    *status = Status::Null as u8;
                }
                if let Some(default) = column.default {
                    *cell = default;
                }
            }
        }
    }
}
