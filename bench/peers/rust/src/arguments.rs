//! The command line: `--redis URL --port N --read hgetall|hmget|packed --service … [--service …]`.

use crate::read::How;
use crate::service::Service;

pub struct Arguments {
    pub redis: String,
    pub port: u16,
    pub how: How,
    pub services: Vec<(String, Service)>,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            redis: "redis://127.0.0.1:6379".to_owned(),
            port: 8080,
            how: How::Hgetall,
            services: Vec::new(),
        };
        while let Some(option) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--redis" => arguments.redis = value,
                "--port" => arguments.port = value.parse().map_err(|_| wrong(&option, &value))?,
                "--read" => arguments.how = How::named(&value).ok_or(wrong(&option, &value))?,
                "--service" => {
                    let service = service(&value).ok_or_else(|| {
                        let form = "NAME=ENTITY:JOIN_KEY:VIEW:FEATURES:FINGERPRINT";
                        format!("--service {value} is not {form}")
                    })?;
                    arguments.services.push(service);
                }
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(arguments)
    }
}

fn service(text: &str) -> Option<(String, Service)> {
    let (name, rest) = text.split_once('=')?;
    let parts: Vec<&str> = rest.split(':').collect();
    let [entity, join_key, view, width, fingerprint] = parts[..] else {
        return None;
    };
    let (width, fingerprint) = (width.parse().ok()?, fingerprint.parse().ok()?);
    let service = Service::new(entity, join_key, view, width, fingerprint)?;
    Some((name.to_owned(), service))
}

fn wrong(option: &str, value: &str) -> String {
    format!("{option} cannot be {value:?}")
}
