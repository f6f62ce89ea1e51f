//! Encoding of commands.
//!
//! Everything appends to one buffer, so that a batch of commands leaves in one write. Nothing here
//! can fail, so a buffer never has part of a command.

/// Appends `*<n>\r\n`: a command of `n` arguments follows.
pub fn write_array_header(out: &mut Vec<u8>, n: usize) {
    out.push(b'*');
    write_length(out, n);
}

/// Appends one argument, `$<len>\r\n<bytes>\r\n`.
pub fn write_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    out.push(b'$');
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends an integer argument as decimal text.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    write_blob(out, itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the decimal text of `value` as a part of an argument.
pub fn write_decimal(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a whole command.
pub fn command<A: AsRef<[u8]>>(out: &mut Vec<u8>, arguments: &[A]) {
    write_array_header(out, arguments.len());
    for argument in arguments {
        write_blob(out, argument.as_ref());
    }
}

/// The commands in a buffer that these functions filled, one by one.
pub fn each_command(mut encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (arguments, mut end) = length_at(encoded, 0)?;
        for _ in 0..arguments {
            let (length, start) = length_at(encoded, end)?;
            end = start + length + 2;
        }
        let (command, rest) = encoded.split_at_checked(end)?;
        encoded = rest;
        Some(command)
    })
}

/// The arguments of a command that these functions encoded, its name first.
pub fn words(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut left, mut at) = length_at(command, 0).unwrap_or_default();
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let (length, start) = length_at(command, at)?;
        at = start + length + 2;
        command.get(start..start + length)
    })
}

/// The number after the type byte at `at`, and the start of the next line.
fn length_at(encoded: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = encoded.get(at + 1..)?;
    let digits = memchr::memchr(b'\r', line)?;
    let number = std::str::from_utf8(&line[..digits]).ok()?.parse().ok()?;
    Some((number, at + 1 + digits + 2))
}

#[expect(clippy::cast_possible_truncation, reason = "digits are below 10")]
fn write_length(out: &mut Vec<u8>, n: usize) {
    // Field names, ids and values are nearly always shorter than 100 bytes.
    if n < 10 {
        out.extend_from_slice(&[b'0' + n as u8, b'\r', b'\n']);
    } else if n < 100 {
        out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, b'\r', b'\n']);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_lengths_of_every_width() {
        for n in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 65_536] {
            let mut out = Vec::new();
            write_blob(&mut out, &vec![b'x'; n]);
            assert!(out.starts_with(format!("${n}\r\nx").replace("\r\nx", "\r\n").as_bytes()));
            assert_eq!(out.len(), n + 5 + n.to_string().len());
            assert!(out.ends_with(b"\r\n"));
        }
    }

    #[test]
    fn encodes_a_command() {
        let mut out = Vec::new();
        command(&mut out, &[b"HGET".as_slice(), b"user:{1}:v1", b"a\r\nb"]);
        write_integer(&mut out, i64::MIN);
        assert_eq!(
            out,
            b"*3\r\n$4\r\nHGET\r\n$11\r\nuser:{1}:v1\r\n$4\r\na\r\nb\r\n$20\r\n-9223372036854775808\r\n"
        );
    }

    #[test]
    fn commands_are_told_apart_again() {
        let commands: [&[&[u8]]; 4] = [
            &[b"HGET", b"k", b"*1\r\n$1\r\nx"],
            &[b"PING"],
            &[b"SET", b"", &[b'x'; 1000]],
            &[b"\r\n"],
        ];
        let mut out = Vec::new();
        for arguments in commands {
            command(&mut out, arguments);
        }
        let each: Vec<_> = each_command(&out).collect();
        assert_eq!(each.len(), commands.len());
        assert_eq!(each.concat(), out);
        for (found, arguments) in each.into_iter().zip(commands) {
            let mut alone = Vec::new();
            command(&mut alone, arguments);
            assert_eq!(found, alone);
        }
        assert_eq!(each_command(b"").count(), 0);
    }
}
