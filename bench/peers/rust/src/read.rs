//! Reads: HGETALL or HMGET of a hash each, or one MGET of packed rows.

use std::fmt;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, Value, cmd};

use crate::service::Service;

#[derive(Clone, Copy)]
pub enum How {
    Hgetall,
    Hmget,
    Packed,
}

/// A value for each id and feature, row by row; `None` if it is not stored.
type Cells = Vec<Option<f64>>;

#[derive(Debug)]
pub enum ReadError {
    Redis(RedisError),
    /// The stored value is not a number, or not a row of this view.
    Stored(String),
}

impl How {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "hgetall" => Some(Self::Hgetall),
            "hmget" => Some(Self::Hmget),
            "packed" => Some(Self::Packed),
            _ => None,
        }
    }

    pub async fn read(
        self,
        mut connection: MultiplexedConnection,
        service: &Service,
        ids: &[i64],
    ) -> Result<Cells, ReadError> {
        let mut cells = vec![None; ids.len() * service.features.len()];
        if matches!(self, Self::Packed) {
            let mut command = cmd("MGET");
            for id in ids {
                command.arg(service.row_key(*id));
            }
            let replies = connection.req_packed_command(&command).await?;
            self.fill(service, array(&replies)?, &mut cells)?;
        } else if let [id] = ids {
            let command = self.command(service, *id);
            let reply = connection.req_packed_command(&command).await?;
            self.fill(service, &[reply], &mut cells)?;
        } else {
            let mut pipeline = Pipeline::with_capacity(ids.len());
            for id in ids {
                pipeline.add_command(self.command(service, *id));
            }
            let replies = connection.req_packed_commands(&pipeline, 0, ids.len());
            self.fill(service, &replies.await?, &mut cells)?;
        }
        Ok(cells)
    }

    fn command(self, service: &Service, id: i64) -> Cmd {
        let mut command = cmd(if matches!(self, Self::Hmget) {
            "HMGET"
        } else {
            "HGETALL"
        });
        command.arg(service.hash_key(id));
        if matches!(self, Self::Hmget) {
            command.arg(&service.features);
        }
        command
    }

    fn fill(
        self,
        service: &Service,
        replies: &[Value],
        cells: &mut Cells,
    ) -> Result<(), ReadError> {
        let rows = cells.chunks_mut(service.features.len());
        for (reply, row) in replies.iter().zip(rows) {
            match self {
                Self::Hgetall => from_fields(service, array(reply)?, row)?,
                Self::Hmget => {
                    for (value, cell) in array(reply)?.iter().zip(row) {
                        *cell = number(value)?;
                    }
                }
                Self::Packed => from_row(service, reply, row)?,
            }
        }
        Ok(())
    }
}

/// Names and values in turn. The fields come as they were written, nearly always in declared order.
fn from_fields(
    service: &Service,
    pairs: &[Value],
    row: &mut [Option<f64>],
) -> Result<(), ReadError> {
    let mut next = 0;
    for pair in pairs.chunks_exact(2) {
        let Value::BulkString(name) = &pair[0] else {
            return Err(ReadError::Stored("a field without a name".to_owned()));
        };
        let is_wanted = |feature: &String| feature.as_bytes() == name.as_slice();
        let position = if service.features.get(next).is_some_and(is_wanted) {
            Some(next)
        } else {
            service.features.iter().position(is_wanted)
        };
        if let Some(position) = position {
            row[position] = number(&pair[1])?;
            next = position + 1;
        }
    }
    Ok(())
}

fn from_row(service: &Service, reply: &Value, row: &mut [Option<f64>]) -> Result<(), ReadError> {
    let Value::BulkString(bytes) = reply else {
        return Ok(());
    };
    let (mut bits, mut statuses) = (vec![0; row.len()], vec![0; row.len()]);
    let decoded = service
        .decoder
        .decode(bytes, &mut bits, &mut statuses, &mut Vec::new());
    decoded.map_err(|error| ReadError::Stored(error.to_string()))?;
    for ((cell, bits), status) in row.iter_mut().zip(bits).zip(statuses) {
        *cell = (status == 0).then_some(f64::from_bits(bits));
    }
    Ok(())
}

fn array(reply: &Value) -> Result<&[Value], ReadError> {
    match reply {
        Value::Array(values) => Ok(values),
        other => Err(ReadError::Stored(format!(
            "{other:?}, but rows were expected"
        ))),
    }
}

fn number(value: &Value) -> Result<Option<f64>, ReadError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(text) => match fast_float2::parse(text) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ReadError::Stored(
                String::from_utf8_lossy(text).into_owned(),
            )),
        },
        other => Err(ReadError::Stored(format!(
            "{other:?}, but a number was expected"
        ))),
    }
}

impl From<RedisError> for ReadError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(error) => write!(f, "{error}"),
            Self::Stored(what) => write!(f, "not what a row should be: {what}"),
        }
    }
}
