//! The command line: `--address HOST:PORT --requests FILE --rate N --connections N --seconds N`.

use std::net::SocketAddr;

/// The requests to send, the address, and the rate.
pub struct Arguments {
    pub address: SocketAddr,
    /// The requests, sent one after the other, over and over.
    pub requests: Vec<Box<[u8]>>,
    /// Requests a second.
    pub rate: f64,
    pub connections: usize,
    /// For how long requests are sent whose latencies count.
    pub seconds: f64,
    /// For how long requests are sent before that, to warm up.
    pub warmup: f64,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut address = None;
        let mut file = None;
        let (mut rate, mut connections, mut seconds, mut warmup) = (1000.0, 128, 10.0, 1.0);
        while let Some(option) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            let wrong = || format!("{option} cannot be {value:?}");
            let positive = |least: f64| {
                let number: Option<f64> = value.parse().ok();
                number.filter(|&n| n >= least && n <= 1e6).ok_or_else(wrong)
            };
            match option.as_str() {
                "--address" => address = Some(value.parse().map_err(|_| wrong())?),
                "--requests" => file = Some(value),
                "--rate" => rate = positive(1.0)?,
                "--connections" => {
                    let number = value.parse().ok().filter(|n| (1..=10_000).contains(n));
                    connections = number.ok_or_else(wrong)?;
                }
                "--seconds" => seconds = positive(0.1)?,
                "--warmup" => warmup = positive(0.0)?,
                _ => return Err(format!("there is no option {option}")),
            }
        }
        let address = address.ok_or("--address is missing")?;
        let file = file.ok_or("--requests is missing")?;
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let requests = text
            .lines()
            .map(|line| {
                request(line, address).ok_or_else(|| format!("{file}: wrong line {line:?}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if requests.is_empty() {
            return Err(format!("{file} has no requests"));
        }
        Ok(Self {
            address,
            requests,
            rate,
            connections,
            seconds,
            warmup,
        })
    }
}

/// The request of a line `method<TAB>target<TAB>body`, as wrk.lua has them.
fn request(line: &str, address: SocketAddr) -> Option<Box<[u8]>> {
    let mut parts = line.splitn(3, '\t');
    let (method, target, body) = (parts.next()?, parts.next()?, parts.next()?);
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
    if !body.is_empty() {
        let length = body.len();
        text += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    text += "\r\n";
    text += body;
    Some(text.into_bytes().into_boxed_slice())
}
