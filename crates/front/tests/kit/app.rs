//! The application behind the front: hyper on a Unix socket, and a raw one that misbehaves.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderValue, CONNECTION, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{copy, split};
use tokio::runtime::Runtime;

type Body = BoxBody<Bytes, Infallible>;

/// An application that answers as its paths say. It ends when dropped.
pub struct App {
    runtime: Option<Runtime>,
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl App {
    pub fn start(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _within = runtime.enter();
            tokio::net::UnixListener::bind(socket).expect("a socket")
        };
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .with_upgrades();
                tokio::spawn(connection);
            }
        });
        Self {
            runtime: Some(runtime),
        }
    }
}

/// Eight megabytes in which every four bytes say where they stand.
pub fn large() -> Vec<u8> {
    (0..2 << 20).flat_map(u32::to_be_bytes).collect()
}

/// The first 200 kB of it.
pub fn small() -> Vec<u8> {
    (0..50_000).flat_map(u32::to_be_bytes).collect()
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        // Everything that arrived, as JSON.
        "/echo" => {
            let method = request.method().to_string();
            let target = request.uri().to_string();
            let headers: Vec<(String, String)> = request
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect();
            let body = request
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
            let echo = serde_json::json!({
                "method": method, "target": target, "headers": headers,
                "length": body.len(), "sum": sum,
            });
            Response::new(full(echo.to_string()))
        }
        "/hop" => Response::builder()
            .header("connection", "x-internal")
            .header("x-internal", "1")
            .header("strict-transport-security", "max-age=1")
            .body(full("hop"))
            .expect("an answer"),
        "/large" => Response::new(full(large())),
        "/small" => Response::new(full(small())),
        // One chunk at once, the next when half a second has passed.
        "/stream" => {
            let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
            tokio::spawn(async move {
                let _ = sender.send(Bytes::from_static(b"first"));
                tokio::time::sleep(Duration::from_millis(500)).await;
                let _ = sender.send(Bytes::from_static(b"second"));
            });
            Response::new(Chunks(receiver).boxed())
        }
        // Answers at once and does not read the body.
        "/refuse" => Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .body(full("no"))
            .expect("an answer"),
        "/hang" => std::future::pending().await,
        // Takes the whole body, and never answers.
        "/swallow" => {
            let _ = request.into_body().collect().await;
            std::future::pending().await
        }
        "/ws" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    let (mut from, mut to) = split(TokioIo::new(upgraded));
                    let _ = copy(&mut from, &mut to).await;
                }
            });
            let mut response = Response::new(full(""));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert("sec-websocket-accept", HeaderValue::from_static("x"));
            response
        }
        _ => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(full("nothing here"))
            .expect("an answer"),
    })
}

/// A receiver as a stream of frames.
struct Chunks(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A raw application: each connection is handled by `serve` on a thread, with its number from 0.
pub fn raw(socket: &Path, serve: impl Fn(usize, UnixStream) + Send + Sync + 'static) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || serve(number, stream.expect("a connection")));
        }
    });
}

/// Reads a head, and asks for the body that comes with it; `None` if the connection ended.
pub fn read_request(stream: &mut UnixStream) -> Option<String> {
    let head = read_head(stream)?;
    if head.contains("expect: 100-continue\r\n") {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    Some(head)
}

/// Reads up to the end of a head; `None` if the connection ended.
pub fn read_head(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

pub fn reply(stream: &mut UnixStream, body: &str) {
    let len = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{body}"
    );
}
