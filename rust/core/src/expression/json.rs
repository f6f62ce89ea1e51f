//! The JSON of a tree.
//!
//! A literal is itself. The other leaves are `{"feature": "user_profile:age"}`, `{"column": 3}`,
//! `{"request": "amount"}`, `{"now": true}` and `{"timestamp": 1710325274000}`. An operation is
//! `{"op": "+", "args": […]}`. A number with a point or an exponent is a `Float64`, any other an
//! `Int64`.

use jiter::{Jiter, JiterError, Peek};

use super::ExpressionError;
use super::tree::{MAX_DEPTH, MAX_NODES, Operation, Tree};
use crate::value;

type TreeResult<T> = Result<T, ExpressionError>;

impl Tree {
    /// Reads a tree's JSON; `docs/concepts/on-request-features.md` describes it.
    pub fn from_json(json: &[u8]) -> Result<Self, ExpressionError> {
        parse(json)
    }
}

fn parse(json: &[u8]) -> TreeResult<Tree> {
    let mut parser = TreeParser {
        json: Jiter::new(json),
        nodes: 0,
    };
    let peek = parser.json.peek().map_err(|error| parser.broken(&error))?;
    let tree = parser.tree(peek, 0)?;
    parser
        .json
        .finish()
        .map_err(|error| parser.broken(&error))?;
    Ok(tree)
}

struct TreeParser<'a> {
    json: Jiter<'a>,
    nodes: usize,
}

impl TreeParser<'_> {
    fn tree(&mut self, peek: Peek, depth: usize) -> TreeResult<Tree> {
        self.nodes += 1;
        if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(ExpressionError::too_large());
        }
        match peek {
            Peek::Null => self
                .json
                .known_null()
                .map(|()| Tree::Null)
                .map_err(|error| self.broken(&error)),
            Peek::True | Peek::False => self
                .json
                .known_bool(peek)
                .map(Tree::Bool)
                .map_err(|error| self.broken(&error)),
            Peek::String => self.string().map(Tree::String),
            Peek::Object => self.object(depth),
            peek if peek.is_num() => self.number(peek),
            _ => Err(self.wrong("a part of it is a literal, or an object")),
        }
    }

    fn object(&mut self, depth: usize) -> TreeResult<Tree> {
        const MEMBERS: &str = "an object is {\"op\": …, \"args\": […]}, {\"feature\": …}, \
             {\"column\": …}, {\"request\": …}, {\"timestamp\": …} or {\"now\": true}";
        let mut operation = None;
        let mut arguments = None;
        let mut leaf = None;
        let mut members = 0;
        let mut next = self.json.known_object().map(|name| name.map(str::to_owned));
        while let Some(name) = next.map_err(|error| self.broken(&error))? {
            members += 1;
            let peek = self.json.peek().map_err(|error| self.broken(&error))?;
            match (name.as_str(), peek) {
                ("op", Peek::String) => {
                    let name = self.string()?;
                    let found = Operation::named(&name);
                    operation = Some(found.ok_or_else(|| {
                        self.wrong(&format!(
                            "{name:?} is not an operation that this version knows"
                        ))
                    })?);
                }
                ("args", Peek::Array) => arguments = Some(self.arguments(depth + 1)?),
                ("feature", Peek::String) => leaf = Some(Tree::Feature(self.string()?)),
                ("request", Peek::String) => leaf = Some(Tree::Request(self.string()?)),
                ("now", Peek::True) => {
                    let now = self.json.known_bool(peek);
                    now.map_err(|error| self.broken(&error))?;
                    leaf = Some(Tree::Now);
                }
                ("column", peek) if peek.is_num() => {
                    let index = match self.number(peek)? {
                        Tree::Int64(index) => u32::try_from(index).ok(),
                        _ => None,
                    };
                    let index =
                        index.ok_or_else(|| self.wrong("\"column\" is the index of a column"))?;
                    leaf = Some(Tree::Column(index as usize));
                }
                ("timestamp", peek) if peek.is_num() => match self.number(peek)? {
                    Tree::Int64(ms) => leaf = Some(Tree::Timestamp(ms)),
                    _ => return Err(self.wrong("\"timestamp\" is an integer of milliseconds")),
                },
                _ => return Err(self.wrong(MEMBERS)),
            }
            next = self.json.next_key().map(|name| name.map(str::to_owned));
        }
        match (operation, arguments, leaf, members) {
            (Some(operation), Some(arguments), None, 2) => self.call(operation, arguments),
            (None, None, Some(leaf), 1) => Ok(leaf),
            _ => Err(self.wrong(MEMBERS)),
        }
    }

    fn call(&self, operation: Operation, arguments: Vec<Tree>) -> TreeResult<Tree> {
        let (least, most) = operation.arity();
        if (least..=most).contains(&arguments.len()) {
            return Ok(Tree::Call(operation, arguments));
        }
        Err(self.wrong(&format!(
            "{} takes {}, not {} arguments",
            operation.name(),
            operation.takes(),
            arguments.len()
        )))
    }

    fn arguments(&mut self, depth: usize) -> TreeResult<Vec<Tree>> {
        let mut arguments = Vec::new();
        let mut next = self.json.known_array();
        while let Some(peek) = next.map_err(|error| self.broken(&error))? {
            arguments.push(self.tree(peek, depth)?);
            next = self.json.array_step();
        }
        Ok(arguments)
    }

    fn string(&mut self) -> TreeResult<String> {
        match self.json.known_str() {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn number(&mut self, peek: Peek) -> TreeResult<Tree> {
        let text = match self.json.known_number_bytes(peek) {
            Ok(text) => text.to_owned(),
            Err(error) => return Err(self.broken(&error)),
        };
        if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return match fast_float2::parse::<f64, _>(&text) {
                Ok(value) if value.is_finite() => Ok(Tree::Float64(value)),
                _ => Err(self.wrong("a number is beyond a Float64")),
            };
        }
        match value::integer(&text) {
            Ok(value) => Ok(Tree::Int64(value)),
            Err(_) => Err(self.wrong("an integer is beyond 64 bits; write it with a point")),
        }
    }

    fn broken(&self, error: &JiterError) -> ExpressionError {
        let reason = format!("it is not JSON: {}", error.error_type);
        ExpressionError::new(&self.place(), &reason)
    }

    fn wrong(&self, reason: &str) -> ExpressionError {
        ExpressionError::new(&self.place(), reason)
    }

    fn place(&self) -> String {
        format!("the expression, at byte {}", self.json.current_index())
    }
}
