//! HTTP/1.1 and HTTP/2 on a proved connection. ALPN has decided which; a client without ALPN speaks
//! HTTP/1.1.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::copy_bidirectional;
use tokio::sync::{watch, Notify};
use tokio::time::sleep_until;

use crate::answer::Answer;
use crate::codes::Code;
use crate::connections::{CloseRequest, ConnectionFacts};
use crate::door::{ClientAuthSpec, Door};
use crate::handle::Shared;
use crate::handshake::Ending;
use crate::limits::Limits;
use crate::places::Guest;
use crate::proxy::{problem, Tunnel};
use crate::stream::TlsStream;
use crate::streams::{StreamEnd, Streams};

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
    /// As whom it asks for places at the application.
    pub(crate) guest: Guest,
    id: u64,
    activity: Arc<Activity>,
    /// Why the connection ends, once it does.
    closing: watch::Sender<Option<Arc<str>>>,
    tunnel: Mutex<Option<Tunnel>>,
}

impl Caller {
    fn new(shared: &Arc<Shared>, door: &Arc<Door>, facts: &ConnectionFacts, peer: IpAddr) -> Self {
        let address = peer.to_string();
        let proved = door.spec.client_auth == ClientAuthSpec::Required;
        Self {
            shared: Arc::clone(shared),
            door: Arc::clone(door),
            connection: HeaderValue::from(facts.connection),
            address: HeaderValue::from_str(&address)
                .expect("an address is digits, letters and punctuation"),
            guest: Guest::new(peer, proved, &shared.limits),
            id: facts.connection,
            activity: Arc::new(Activity::new()),
            closing: watch::Sender::new(None),
            tunnel: Mutex::default(),
        }
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        self.door.tally.requests.fetch_add(1, Ordering::Relaxed);
        if self.closing.borrow().is_some() {
            return self.refuse(Code::ClosedByNode, "no more requests on it");
        }
        let underway = Underway::begin(&self.activity);
        let unanswered = Unanswered(&self.activity);
        let mut response = self.shared.proxy.forward(self, underway, request).await;
        unanswered.answered();
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

    /// What to do when the client does not take the answer that is being made.
    pub(crate) fn answer_stalled(&self) -> impl FnOnce() + Send + 'static {
        let stream = StreamEnd::here();
        let (shared, door) = (Arc::clone(&self.shared), Arc::clone(&self.door));
        let connection = self.id;
        move || {
            if stream.is_some_and(|stream| stream.end()) {
                shared.count(&door, Code::AnswerStalled.code());
            } else {
                // Counted when it ends.
                shared
                    .connections
                    .close(connection, Code::AnswerStalled.code());
            }
        }
    }

    /// A body of this connection is poured, until what is returned is dropped.
    pub(crate) fn pours(&self) -> Poured {
        self.activity.pouring.fetch_add(1, Ordering::Relaxed);
        Poured(Arc::clone(&self.activity))
    }

    /// Ends when the node has asked the connection to end, and says why.
    pub(crate) async fn closing(&self) -> Arc<str> {
        let mut closing = self.closing.subscribe();
        loop {
            if let Some(code) = &*closing.borrow_and_update() {
                return Arc::clone(code);
            }
            // The sender is ours and lives as long as this call.
            let _ = closing.changed().await;
        }
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
    /// Bodies that the application took and whose answers may not have left yet.
    pouring: AtomicUsize,
    last_ms: AtomicU64,
    answered: AtomicUsize,
    abandoned: AtomicUsize,
    abandon: Notify,
}

impl Activity {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            underway: AtomicUsize::new(0),
            pouring: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            abandon: Notify::new(),
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

    /// Ends when `allowed` requests more were abandoned than answered.
    async fn flood(&self, allowed: usize) {
        while self.abandoned.load(Ordering::Relaxed)
            <= allowed + self.answered.load(Ordering::Relaxed)
        {
            self.abandon.notified().await;
        }
    }
}

/// A request that counts as abandoned unless its answer begins.
struct Unanswered<'a>(&'a Activity);

impl Unanswered<'_> {
    fn answered(self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.abandoned.fetch_add(1, Ordering::Relaxed);
        self.0.abandon.notify_one();
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

/// The mark of a body that the application took, until its answer has had time to leave.
pub(crate) struct Poured(Arc<Activity>);

impl Drop for Poured {
    fn drop(&mut self) {
        self.0.pouring.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves requests until either side ends the connection.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    door: &Arc<Door>,
    facts: &ConnectionFacts,
    peer: IpAddr,
    stream: TlsStream,
    close: &mut CloseRequest,
) -> Ending {
    let is_h2 = stream.ssl().selected_alpn_protocol() == Some(b"h2");
    let caller = Arc::new(Caller::new(shared, door, facts, peer));
    let service = {
        let caller = Arc::clone(&caller);
        service_fn(move |request| {
            let caller = Arc::clone(&caller);
            async move { Ok::<_, Infallible>(caller.answer(request).await) }
        })
    };
    let limits = &shared.limits;
    let io = TokioIo::new(stream);
    if is_h2 {
        let connection = http2_builder(limits).serve_connection(io, service);
        return drive(connection, &caller, close, |connection| {
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
    let ending = drive(connection, &caller, close, |connection| {
        connection.graceful_shutdown()
    })
    .await;
    match caller.take_tunnel() {
        Some(tunnel) => dig(tunnel, shared, close).await,
        None => ending,
    }
}

/// HTTP/2 with every limit that it has.
fn http2_builder(limits: &Limits) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .max_local_error_reset_streams(limits.h2_error_resets)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(limits.h2_send_buffer)
        .keep_alive_interval(limits.h2_ping)
        .keep_alive_timeout(limits.h2_ping);
    builder
}

/// Polls a connection to its end; asks it to end when the front stops or nobody uses it.
async fn drive<C>(
    connection: C,
    caller: &Caller,
    close: &mut CloseRequest,
    ask: impl Fn(std::pin::Pin<&mut C>),
) -> Ending
where
    C: Future<Output = hyper::Result<()>>,
{
    let (shared, activity) = (&caller.shared, &caller.activity);
    let mut connection = pin!(connection);
    let mut last_words = None;
    let mut stop = shared.stopping();
    let mut asked: Option<Ending> = None;
    loop {
        tokio::select! {
            biased;
            code = close.wait(), if last_words.is_none() => {
                // Dropped here and now, with every request on it; but who sends a body that the
                // application took is told why it ends.
                if activity.pouring.load(Ordering::Relaxed) == 0 {
                    return code.into();
                }
                ask(connection.as_mut());
                caller.closing.send_replace(Some(Arc::clone(&code)));
                last_words = Some(tokio::time::Instant::now() + shared.limits.last_words);
                asked = Some(code.into());
            }
            () = sleep_until(last_words.unwrap_or_else(tokio::time::Instant::now)),
                if last_words.is_some() =>
            {
                return asked.expect("set with the time");
            }
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
            () = activity.flood(shared.limits.h2_abandoned) => {
                return Ending::new(Code::Http2Flood, "requests were abandoned");
            }
            () = activity.rest(shared.limits.h2_idle), if asked.is_none() => {
                ask(connection.as_mut());
                asked = Some(Ending::new(Code::Idle, "no request"));
            }
        }
    }
}

fn explain(error: &hyper::Error) -> Ending {
    let code = if is_flood(error) {
        Code::Http2Flood
    } else if error.is_parse_too_large() {
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

/// Whether HTTP/2 itself gave the client up for its resets or endless frames (RFC 9113 §10.5).
fn is_flood(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<h2::Error>())
        .is_some_and(|cause| {
            cause.is_library() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
        })
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
