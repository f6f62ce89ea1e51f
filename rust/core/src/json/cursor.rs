//! A strict reader of JSON. Its errors name the offset of the text that was not expected.

use jiter::{Jiter, JiterError, Peek};

use super::problem::{BodyProblem, BodyResult, invalid, malformed};
use crate::value;

/// How deep a body may nest.
const MAX_DEPTH: usize = 32;

/// How many members an object may have.
const MAX_MEMBERS: usize = 256;

/// A position in a text.
pub(super) struct JsonCursor<'a> {
    json: Jiter<'a>,
    /// The offset of the text in the body that it is a part of.
    base: usize,
}

impl<'a> JsonCursor<'a> {
    /// Starts at the beginning of `text`, which begins `base` bytes into its body.
    pub(super) fn new(text: &'a [u8], base: usize) -> Self {
        Self {
            json: Jiter::new(text),
            base,
        }
    }

    /// The position, in bytes of the body.
    pub(super) fn offset(&self) -> usize {
        self.base + self.json.current_index()
    }

    /// The text from `start`, an offset in the body, to the position.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.json.slice_to_current(start - self.base)
    }

    /// Checks that nothing but white space follows.
    pub(super) fn finish(&mut self) -> BodyResult<()> {
        self.json
            .finish()
            .map_err(|error| broken(self.base, &error))
    }

    pub(super) fn string(&mut self, peek: Peek, wanted: &str) -> BodyResult<String> {
        if peek != Peek::String {
            return Err(self.unexpected(peek, wanted));
        }
        self.text(str::to_owned)
    }

    /// Gives `take` the string that is known to be next, and returns its result.
    pub(super) fn text<T>(&mut self, take: impl FnOnce(&str) -> T) -> BodyResult<T> {
        let taken = self.json.known_str().map(take);
        taken.map_err(|error| broken(self.base, &error))
    }

    pub(super) fn boolean(&mut self, peek: Peek, wanted: &str) -> BodyResult<bool> {
        if !matches!(peek, Peek::True | Peek::False) {
            return Err(self.unexpected(peek, wanted));
        }
        self.json
            .known_bool(peek)
            .map_err(|error| broken(self.base, &error))
    }

    /// The number that is known to be next; `None` if it has a fraction or an exponent. That is a
    /// number of another type, and not malformed.
    pub(super) fn integer(&mut self, peek: Peek) -> BodyResult<Option<i64>> {
        let offset = self.offset();
        let number = self.number(peek)?;
        if number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return Ok(None);
        }
        let integer = value::integer(number);
        integer
            .map(Some)
            .map_err(|_| malformed("an integer is beyond 64 bits", offset))
    }

    /// The number that is known to be next; infinite if it is beyond the range.
    pub(super) fn float(&mut self, peek: Peek) -> BodyResult<f64> {
        let offset = self.offset();
        let number = self.number(peek)?;
        let whole = !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        if whole && value::integer(number).is_err() {
            return Err(malformed("an integer is beyond 64 bits", offset));
        }
        value::float64(number).map_err(|reason| malformed(reason.0, offset))
    }

    /// The text of the number that is known to be next.
    fn number(&mut self, peek: Peek) -> BodyResult<&[u8]> {
        let base = self.base;
        let number = self.json.known_number_bytes(peek);
        number.map_err(|error| broken(base, &error))
    }

    /// The error of a value of the wrong type: malformed if it is not JSON, else invalid.
    pub(super) fn unexpected(&mut self, peek: Peek, wanted: &str) -> BodyProblem {
        let offset = self.offset();
        match self.skip(peek, 1) {
            Ok(()) => invalid(wanted, offset),
            Err(problem) => problem,
        }
    }

    /// Steps over a value, and checks all of it.
    pub(super) fn skip(&mut self, peek: Peek, depth: usize) -> BodyResult<()> {
        if depth >= MAX_DEPTH {
            let detail = format!("nested more than {MAX_DEPTH} deep");
            return Err(malformed(detail, self.offset()));
        }
        match peek {
            Peek::Array => {
                let mut next = self.first_element()?;
                while let Some(peek) = next {
                    self.skip(peek, depth + 1)?;
                    next = self.next_element()?;
                }
                Ok(())
            }
            Peek::Object => {
                let mut seen = Vec::new();
                let mut name = self.first_name()?;
                while let Some(member) = name {
                    self.once(&mut seen, &member)?;
                    let peek = self.peek()?;
                    self.skip(peek, depth + 1)?;
                    name = self.next_name()?;
                }
                Ok(())
            }
            Peek::NaN | Peek::Infinity => {
                Err(malformed("NaN and Infinity are not JSON", self.offset()))
            }
            scalar => self
                .json
                .known_skip(scalar)
                .map_err(|error| broken(self.base, &error)),
        }
    }

    pub(super) fn once(&self, seen: &mut Vec<String>, name: &str) -> BodyResult<()> {
        if seen.iter().any(|known| known == name) {
            return Err(malformed(
                format!("the name {name:?} is twice in one object"),
                self.offset(),
            ));
        }
        if seen.len() == MAX_MEMBERS {
            let detail = format!("an object has more than {MAX_MEMBERS} members");
            return Err(malformed(detail, self.offset()));
        }
        seen.push(name.to_owned());
        Ok(())
    }

    pub(super) fn peek(&mut self) -> BodyResult<Peek> {
        self.json.peek().map_err(|error| broken(self.base, &error))
    }

    pub(super) fn first_name(&mut self) -> BodyResult<Option<String>> {
        let name = self.json.known_object().map(|name| name.map(str::to_owned));
        name.map_err(|error| broken(self.base, &error))
    }

    pub(super) fn next_name(&mut self) -> BodyResult<Option<String>> {
        let name = self.json.next_key().map(|name| name.map(str::to_owned));
        name.map_err(|error| broken(self.base, &error))
    }

    pub(super) fn first_element(&mut self) -> BodyResult<Option<Peek>> {
        self.json
            .known_array()
            .map_err(|error| broken(self.base, &error))
    }

    pub(super) fn next_element(&mut self) -> BodyResult<Option<Peek>> {
        self.json
            .array_step()
            .map_err(|error| broken(self.base, &error))
    }
}

fn broken(base: usize, error: &JiterError) -> BodyProblem {
    malformed(error.error_type.to_string(), base + error.index)
}
