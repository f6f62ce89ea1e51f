//! One kept-alive connection with at most one request on its way.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

const HEADERS: usize = 32;
const BUFFER: usize = 256 * 1024;

pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
    /// The length of the response, once its head is there.
    whole: Option<usize>,
    status: u16,
}

impl Connection {
    /// Connects, and asks to be told when bytes arrive.
    pub fn open(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            filled: 0,
            whole: None,
            status: 0,
        })
    }

    /// Sends a request; what is sent here is small enough to go at once.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.filled = 0;
        self.whole = None;
        self.stream.write_all(request)
    }

    /// Reads what has arrived; returns the response's status once it is complete.
    pub fn receive(&mut self) -> io::Result<Option<u16>> {
        loop {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.whole.is_none() {
                self.look()?;
            }
            match self.whole {
                Some(length) if self.filled == length => return Ok(Some(self.status)),
                Some(length) if self.filled > length => {
                    return Err(wrong("more than one response"));
                }
                _ if self.filled == BUFFER => return Err(wrong("a response too large")),
                _ => {}
            }
        }
    }

    /// Looks for the end of the head, and in it for the length of the body.
    fn look(&mut self) -> io::Result<()> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.buffer[..self.filled]);
        let httparse::Status::Complete(head) = parsed.map_err(|_| wrong("invalid HTTP"))? else {
            return Ok(());
        };
        self.status = response.code.unwrap_or(0);
        let length = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .and_then(|header| {
                std::str::from_utf8(header.value)
                    .ok()?
                    .parse::<usize>()
                    .ok()
            })
            .ok_or_else(|| wrong("a response that does not state its length"))?;
        self.whole = Some(head + length);
        Ok(())
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("it sent {what}"))
}
