//! HTTP/1.1 and HTTP/2 on a proved connection. ALPN has decided which; a client without ALPN speaks
//! HTTP/1.1.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::copy_bidirectional;

use crate::codes::Code;
use crate::connections::{CloseRequest, ConnectionFacts};
use crate::door::Door;
use crate::handle::Shared;
use crate::handshake::Ending;
use crate::proxy::{problem, Answer, Tunnel};
use crate::stream::TlsStream;

/// RFC 6797; a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What every request of one connection shares.
pub(crate) struct Caller {
    pub(crate) shared: Arc<Shared>,
    pub(crate) door: Arc<Door>,
    /// The connection's id.
    pub(crate) connection: HeaderValue,
    /// The peer's address, without its port.
    pub(crate) address: HeaderValue,
    activity: Arc<Activity>,
    tunnel: Mutex<Option<Tunnel>>,
}

impl Caller {
    fn new(shared: &Arc<Shared>, door: &Arc<Door>, facts: &ConnectionFacts) -> Self {
        let address = facts
            .peer
            .rsplit_once(':')
            .map_or("", |(address, _)| address);
        Self {
            shared: Arc::clone(shared),
            door: Arc::clone(door),
            connection: HeaderValue::from(facts.connection),
            address: HeaderValue::from_str(address.trim_matches(['[', ']']))
                .expect("an address is digits, letters and punctuation"),
            activity: Arc::new(Activity::new()),
            tunnel: Mutex::default(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        self.door.tally.requests.fetch_add(1, Ordering::Relaxed);
        let underway = Underway::begin(&self.activity);
        let mut response = self.shared.proxy.forward(self, underway, request).await;
        if self.door.spec.hsts {
            response
                .headers_mut()
                .insert(STRICT_TRANSPORT_SECURITY, HSTS);
        }
        response
    }

    /// Our own answer, counted.
    pub(crate) fn refuse(&self, code: Code, detail: &str) -> Response<Answer> {
        self.shared.count(&self.door, code.code());
        tracing::debug!(door = %self.door.name, connection = ?self.connection, detail, "{code}");
        problem(code, detail)
    }

    /// After this answer the connection is a tunnel.
    pub(crate) fn leave_http(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }

    fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Requests under way on one connection, and when the last one ended.
struct Activity {
    begun: Instant,
    underway: AtomicUsize,
    last_ms: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            underway: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
        }
    }

    fn idle(&self) -> Duration {
        if self.underway.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }

    /// Ends when nothing has been under way for `limit`.
    async fn rest(&self, limit: Duration) {
        loop {
            let idle = self.idle();
            if idle >= limit {
                return;
            }
            tokio::time::sleep(limit - idle).await;
        }
    }
}

/// The mark of a request under way, until the last byte of its answer.
pub(crate) struct Underway(Arc<Activity>);

impl Underway {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.underway.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now, Ordering::Relaxed);
        self.0.underway.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves requests until either side ends the connection.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    door: &Arc<Door>,
    facts: &ConnectionFacts,
    stream: TlsStream,
    close: &mut CloseRequest,
) -> Ending {
    let h2 = stream.ssl().selected_alpn_protocol() == Some(b"h2");
    let caller = Arc::new(Caller::new(shared, door, facts));
    let service = {
        let caller = Arc::clone(&caller);
        service_fn(move |request| {
            let caller = Arc::clone(&caller);
            async move { Ok::<_, Infallible>(caller.answer(request).await) }
        })
    };
    let limits = &shared.limits;
    let io = TokioIo::new(stream);
    if h2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(limits.h2_ping)
            .keep_alive_timeout(limits.h2_ping)
            .serve_connection(io, service);
        return drive(connection, shared, &caller.activity, close, |connection| {
            connection.graceful_shutdown()
        })
        .await;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_header_size(limits.header_bytes)
        .serve_connection(io, service)
        .with_upgrades();
    let ending = drive(connection, shared, &caller.activity, close, |connection| {
        connection.graceful_shutdown()
    })
    .await;
    match caller.take_tunnel() {
        Some(tunnel) => dig(tunnel, shared, close).await,
        None => ending,
    }
}

/// Polls a connection to its end; asks it to end when the front stops or nobody uses it.
async fn drive<C>(
    connection: C,
    shared: &Shared,
    activity: &Activity,
    close: &mut CloseRequest,
    ask: impl Fn(std::pin::Pin<&mut C>),
) -> Ending
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stop = shared.stopping();
    let mut asked: Option<Ending> = None;
    loop {
        tokio::select! {
            biased;
            // Dropped here and now, with every request on it.
            code = close.wait() => return code.into(),
            () = stop.wait(), if asked.is_none() => {
                ask(connection.as_mut());
                asked = Some(Ending::new(Code::ClosedByNode, "the node is stopping"));
            }
            outcome = connection.as_mut() => {
                return asked.unwrap_or_else(|| match outcome {
                    Ok(()) => Ending::new(Code::PeerClosed, "closed"),
                    Err(error) => explain(&error),
                });
            }
            () = activity.rest(shared.limits.h2_idle), if asked.is_none() => {
                ask(connection.as_mut());
                asked = Some(Ending::new(Code::Idle, "no request"));
            }
        }
    }
}

fn explain(error: &hyper::Error) -> Ending {
    let code = if error.is_parse_too_large() {
        Code::HeaderTooLarge
    } else if error.is_parse() {
        Code::BadHttp
    } else if error.is_timeout() {
        Code::Idle
    } else {
        Code::PeerClosed
    };
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Ending::new(code, format!("{error}{cause}"))
}

/// Carries bytes both ways until either side ends.
async fn dig(tunnel: Tunnel, shared: &Shared, close: &mut CloseRequest) -> Ending {
    let mut stop = shared.stopping();
    let carry = async {
        let client = tunnel.client.await.map_err(io::Error::other)?;
        let app = tunnel.app.await.map_err(io::Error::other)?;
        copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(app)).await
    };
    let ending = tokio::select! {
        biased;
        code = close.wait() => code.into(),
        () = stop.wait() => Ending::new(Code::ClosedByNode, "the node is stopping"),
        outcome = carry => match outcome {
            Ok(_) => Ending::new(Code::PeerClosed, "the tunnel was closed"),
            Err(error) => Ending::new(Code::PeerClosed, format!("the tunnel broke: {error}")),
        },
    };
    drop(tunnel.lease);
    ending
}
