//! The head of an answer.

/// Where an answer is put together: its body first, with room before it for the head, which says how
/// long the body is.
#[derive(Debug, Default)]
pub struct Answer {
    bytes: Vec<u8>,
    /// How much room is left before the body.
    room: usize,
}

/// What the head of an answer says.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead<'a> {
    /// The fields that every answer has, each with its line end.
    pub fields: &'a [u8],
    /// Whose it is.
    pub request_id: &'a [u8],
    /// Whether it is the last of its connection.
    pub close: bool,
}

impl Answer {
    /// Begins an answer of which this is the head, and gives what its body is appended to.
    pub fn body(&mut self, head: &AnswerHead<'_>) -> &mut Vec<u8> {
        const WORDS: usize = 192;
        const LARGEST_KEPT: usize = 1 << 20;
        if self.bytes.capacity() > LARGEST_KEPT {
            self.bytes = Vec::new();
        }
        self.room = WORDS + head.fields.len() + head.request_id.len();
        self.bytes.clear();
        self.bytes.resize(self.room, 0);
        &mut self.bytes
    }

    /// The whole answer, a 200 in JSON, once its body is there.
    pub fn finish(&mut self, head: &AnswerHead<'_>) -> &[u8] {
        let mut digits = itoa::Buffer::new();
        let length = digits.format(self.bytes.len() - self.room).as_bytes();
        let close: &[u8] = if head.close {
            b"connection: close\r\n"
        } else {
            b""
        };
        let parts = [
            b"HTTP/1.1 200 OK\r\n",
            head.fields,
            b"content-type: application/json\r\ncontent-length: ",
            length,
            b"\r\nx-request-id: ",
            head.request_id,
            b"\r\n",
            close,
            b"\r\n",
        ];
        let mut at = self.room;
        for part in parts.iter().rev() {
            at -= part.len();
            self.bytes[at..at + part.len()].copy_from_slice(part);
        }
        &self.bytes[at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_before_the_body_and_says_its_length() {
        let mut answer = Answer::default();
        let long = "x".repeat(128);
        for (body, fields, request_id, close) in [
            ("{}", "", "", false),
            ("{\"a\":1}", "date: today\r\n", "id-1", false),
            (
                &*"9".repeat(100_000),
                "date: today\r\nserver: s\r\n",
                &*long,
                true,
            ),
        ] {
            let head = AnswerHead {
                fields: fields.as_bytes(),
                request_id: request_id.as_bytes(),
                close,
            };
            answer.body(&head).extend_from_slice(body.as_bytes());
            let last = if close { "connection: close\r\n" } else { "" };
            let whole = format!(
                "HTTP/1.1 200 OK\r\n{fields}content-type: application/json\r\ncontent-length: {}\r\n\
                 x-request-id: {request_id}\r\n{last}\r\n{body}",
                body.len()
            );
            assert_eq!(answer.finish(&head), whole.as_bytes());
        }
    }
}
