use crate::resp::{Limits, Reply, ReplyBuilder, Scanner};

/// A server that echoes, and whose handshake can be as difficult as that of real servers.
#[derive(Debug)]
pub(super) struct Server {
    /// Every command so far, its arguments joined by blanks.
    pub(super) commands: Vec<String>,
    pub(super) mood: Mood,
    scanner: Scanner,
    builder: ReplyBuilder,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many WRITEs there were, which is the answer to a READ.
    version: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Mood {
    /// The error that HELLO is answered with.
    pub(super) hello: Option<&'static str>,
    /// The password without which every command but HELLO is refused.
    pub(super) password: Option<&'static str>,
    pub(super) setinfo: Option<&'static str>,
    pub(super) select: Option<&'static str>,
    pub(super) authenticated: bool,
}

impl Default for Server {
    fn default() -> Self {
        Server::with(Mood::default())
    }
}

impl Server {
    pub(super) fn with(mood: Mood) -> Self {
        Server {
            commands: Vec::new(),
            mood,
            scanner: Scanner::new(Limits::default()),
            builder: ReplyBuilder::new(usize::MAX),
            input: Vec::new(),
            output: Vec::new(),
            version: 0,
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut used = 0;
        // Commands are arrays of bulk strings, which the scanner reads as well.
        while let Some(scanned) = self.scanner.next(&input[used..]).unwrap() {
            used += scanned.consumed;
            self.builder.token(scanned.token);
            if scanned.last {
                let Ok(Reply::Array(arguments)) = self.builder.finish() else {
                    panic!("no command")
                };
                let words: Vec<String> = arguments
                    .iter()
                    .map(|word| String::from_utf8(word.as_bytes().unwrap().to_vec()).unwrap())
                    .collect();
                self.answer(&words);
                self.commands.push(words.join(" "));
            }
        }
        self.input = input[used..].to_vec();
    }

    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    fn answer(&mut self, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mood = self.mood.clone();
        let locked = mood.password.is_some() && !mood.authenticated;
        match words[..] {
            ["HELLO", ..] if mood.hello.is_some() => self.error(mood.hello.unwrap()),
            ["HELLO", "3", ref rest @ ..] => match (mood.password, rest) {
                (Some(right), ["AUTH", _, given, ..]) if right == *given => self.greet(),
                (Some(_), ["AUTH", ..]) => self.error("WRONGPASS invalid username-password pair"),
                (Some(_), _) => self.error("NOAUTH HELLO must be called with AUTH"),
                (None, _) => self.greet(),
            },
            ["AUTH", .., given] => match mood.password {
                Some(right) if right == given => {
                    self.mood.authenticated = true;
                    self.ok();
                }
                Some(_) => self.error("WRONGPASS invalid username-password pair"),
                None => self.error("ERR AUTH <password> called without any password configured"),
            },
            _ if locked => self.error("NOAUTH Authentication required."),
            ["CLIENT", "SETINFO", ..] => self.ok_or(mood.setinfo),
            ["SELECT", ..] => self.ok_or(mood.select),
            ["CLIENT", ..] => self.ok(),
            ["ECHO", text] => self.text(text),
            ["READ", text] => self.text(&format!("{text}@{}", self.version)),
            ["WRITE", text] => {
                self.version += 1;
                self.text(&format!("{text}@{}", self.version));
            }
            _ => self.error("ERR unknown command"),
        }
    }

    fn greet(&mut self) {
        self.mood.authenticated = true;
        self.push(
            b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n\
              $5\r\nproto\r\n:3\r\n$2\r\nid\r\n:9\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n\
              $4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n",
        );
    }

    fn text(&mut self, text: &str) {
        self.push(format!("${}\r\n{text}\r\n", text.len()).as_bytes());
    }

    fn ok(&mut self) {
        self.push(b"+OK\r\n");
    }

    fn ok_or(&mut self, error: Option<&str>) {
        match error {
            Some(error) => self.error(error),
            None => self.ok(),
        }
    }

    fn error(&mut self, text: &str) {
        self.push(format!("-{text}\r\n").as_bytes());
    }
}
