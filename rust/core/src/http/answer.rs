//! The head of an answer.

/// An answer in the making. Its head says how long the body is, so the body is written first, and
/// room is left before it for the head.
#[derive(Debug, Default)]
pub struct Answer {
    bytes: Vec<u8>,
    /// The room before the body.
    room: usize,
}

/// The content of an answer's head.
#[derive(Debug, Clone, Copy)]
pub struct AnswerHead<'a> {
    /// The fields that every answer has, each with its line end.
    pub fields: &'a [u8],
    /// The id of the request.
    pub request_id: &'a [u8],
    /// Whether it is the connection's last answer.
    pub close: bool,
}

impl Answer {
    /// Begins an answer with this head, and returns the buffer to append its body to.
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

    /// The whole answer, a 200 in JSON. Its body must be there.
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
