//! The bare Rust server: what a rewrite of the whole in Rust would reach, features left out.
//!
//! hyper and redis-rs on one thread, one multiplexed connection to Redis, answers appended to a
//! buffer. It knows its services beforehand and its values are floats: no registry, no types, no
//! statuses, no deadlines. Packed rows are decoded by fscore's own core.

mod arguments;
mod read;
mod service;

use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::arguments::Arguments;
use crate::read::How;
use crate::service::Service;

type Answer = Response<Full<Bytes>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::parse(std::env::args().skip(1)).unwrap_or_else(|problem| {
        eprintln!("{problem}");
        std::process::exit(2);
    });
    if let Err(error) = serve(arguments).await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let client = redis::Client::open(arguments.redis)?;
    // Nobody but fscore has a deadline; the client's default is half a second.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    let server = Rc::new(Server {
        connection: connection.await?,
        services: arguments.services,
        how: arguments.how,
    });
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let server = Rc::clone(&server);
                tokio::task::spawn_local(async move {
                    let answer = service_fn(|request| server.answer(request));
                    // A client that goes away does not matter here.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        })
        .await
}

struct Server {
    connection: MultiplexedConnection,
    services: Vec<(String, Service)>,
    how: How,
}

#[derive(Deserialize)]
struct Body {
    service: String,
    entities: std::collections::HashMap<String, Vec<i64>>,
}

/// Why there is no answer.
struct Problem(StatusCode, String);

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let answered = match *request.method() {
            Method::GET => self.one(request.uri().query().unwrap_or_default()).await,
            Method::POST => self.many(request).await,
            _ => Err(Problem(StatusCode::METHOD_NOT_ALLOWED, String::new())),
        };
        let (status, kind, body) = match answered {
            Ok(body) => (StatusCode::OK, "application/json", body),
            Err(Problem(status, detail)) => {
                let body = serde_json::json!({"status": status.as_u16(), "detail": detail});
                (status, "application/problem+json", body.to_string().into())
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(response)
    }

    async fn one(&self, query: &str) -> Result<Vec<u8>, Problem> {
        let parameters = || query.split('&').filter_map(|pair| pair.split_once('='));
        let value = |wanted: &str| {
            parameters()
                .find(|(name, _)| *name == wanted)
                .map_or("", |(_, value)| value)
        };
        let service = self.service(value("service"))?;
        let id = value(&service.join_key).parse().map_err(|_| {
            let detail = format!("{} must be an integer", service.join_key);
            Problem(StatusCode::UNPROCESSABLE_ENTITY, detail)
        })?;
        let cells = self.read(service, &[id]).await?;
        Ok(service.render_one(id, &cells))
    }

    async fn many(&self, request: Request<Incoming>) -> Result<Vec<u8>, Problem> {
        let unprocessable = |detail| Problem(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let whole = request.into_body().collect().await;
        let bytes = whole.map_err(|e| unprocessable(e.to_string()))?.to_bytes();
        let body: Body =
            serde_json::from_slice(&bytes).map_err(|e| unprocessable(e.to_string()))?;
        let service = self.service(&body.service)?;
        let ids = body.entities.get(&service.join_key);
        let ids = ids.ok_or_else(|| unprocessable(format!("no {}", service.join_key)))?;
        let cells = self.read(service, ids).await?;
        Ok(service.render_many(ids, &cells))
    }

    fn service(&self, wanted: &str) -> Result<&Service, Problem> {
        let found = self.services.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, service)| service)
            .ok_or_else(|| Problem(StatusCode::NOT_FOUND, "no such service".to_owned()))
    }

    async fn read(&self, service: &Service, ids: &[i64]) -> Result<Vec<Option<f64>>, Problem> {
        // A handle to the one connection, which joins what all requests send.
        let connection = self.connection.clone();
        let cells = self.how.read(connection, service, ids).await;
        cells.map_err(|error| Problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }
}
