//! From an accepted socket to a proved connection, or to a named refusal.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use sealcast_tls::codes::{TLS_NOT_TLS, TLS_PLAIN_HTTP};
use sealcast_tls::server::{CertificateId, HandshakeFailure};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{timeout_at, Instant};

use crate::codes::Code;
use crate::connections::{CloseRequest, ConnectionFacts};
use crate::counters::Gauge;
use crate::door::{Door, DoorKind};
use crate::events::Event;
use crate::handle::Shared;
use crate::limits::Limits;
use crate::stream::{Role, TlsStream, Traffic};
use crate::timing::{Arrival, Timing};

/// Why a connection that was proved has ended.
pub(crate) struct Ending {
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl Ending {
    pub(crate) fn new(code: impl ToString, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_string(),
            detail: detail.into(),
        }
    }
}

/// The end that somebody in the node asked for.
impl From<Arc<str>> for Ending {
    fn from(code: Arc<str>) -> Self {
        Self::new(code, "asked for by the node")
    }
}

/// One connection from its first byte to its last.
pub(crate) async fn receive(
    shared: &Arc<Shared>,
    door: &Arc<Door>,
    socket: TcpStream,
    arrival: Arrival,
) {
    tune(&socket, &shared.limits);
    let ssl = match door.ssl() {
        Ok(ssl) => ssl,
        Err(error) => {
            tracing::error!(door = %door.name, %error, "no memory for a TLS connection");
            return;
        }
    };
    let Ok(mut stream) = TlsStream::new(ssl, Role::Server, socket, &shared.limits) else {
        return;
    };
    match prove(shared, door, &mut stream, &arrival).await {
        Ok(timing) => {
            door.tally.handshakes.fetch_add(1, Ordering::Relaxed);
            if sealcast_tls::server::is_answer(stream.ssl()) {
                // The handshake was the answer (RFC 8737 §3).
                shared.count(door, Code::ChallengeAnswered.code());
                let _ = stream.shutdown().await;
                return;
            }
            serve(shared, door, stream, arrival.peer, timing).await;
        }
        Err(refusal) => {
            let plain_http = refusal.code == TLS_PLAIN_HTTP;
            // Whoever speaks SSH or RTMP understands no alert. A crowd has none to hear, and to
            // linger for each of it would keep connections' places from others.
            let silent =
                refusal.code == TLS_NOT_TLS || refusal.code == Code::TooManyHandshakes.code();
            tell(shared, door, &arrival, refusal);
            if plain_http {
                stream
                    .answer_in_clear(https_only(door.spec.kind).as_bytes())
                    .await;
            } else if silent {
                drop(stream);
            } else {
                stream.finish_failed().await;
            }
        }
    }
}

/// Neither setting is worth a connection if the system refuses it.
fn tune(socket: &TcpStream, limits: &Limits) {
    // Answers are written when they are complete: waiting for more would only add latency.
    let _ = socket.set_nodelay(true);
    let keep_alive = TcpKeepalive::new()
        .with_time(limits.keep_alive)
        .with_interval(limits.keep_alive / 3)
        .with_retries(3);
    let _ = SockRef::from(socket).set_tcp_keepalive(&keep_alive);
}

/// The handshake within its time, waiting for a turn included.
async fn prove(
    shared: &Shared,
    door: &Door,
    stream: &mut TlsStream,
    arrival: &Arrival,
) -> Result<Timing, HandshakeFailure> {
    let deadline = arrival.at + shared.limits.handshake;
    let _turn = door
        .turns
        .take(arrival.peer.ip(), deadline)
        .await
        .map_err(|detail| HandshakeFailure {
            code: Code::TooManyHandshakes.code(),
            detail,
        })?;
    let began = Instant::now();
    let _under_way = Gauge::hold(&door.tally.handshaking);
    match timeout_at(deadline, stream.handshake()).await {
        Ok(Ok(())) => Ok(arrival.finished(began)),
        Ok(Err(error)) => Err(explain(&error, stream)),
        Err(_) => Err(HandshakeFailure::timed_out(shared.limits.handshake)),
    }
}

fn explain(error: &boring::ssl::Error, stream: &TlsStream) -> HandshakeFailure {
    stream.clear_alert().unwrap_or_else(|| {
        sealcast_tls::server::classify(error, stream.ssl(), stream.first_bytes())
    })
}

fn tell(shared: &Shared, door: &Door, arrival: &Arrival, refusal: HandshakeFailure) {
    shared.count(door, refusal.code);
    if door.may_tell_failure(shared.limits.failure_events_per_second) {
        shared.events.tell_failure(Event::HandshakeFailed {
            door: Arc::clone(&door.name),
            peer: arrival.peer.to_string(),
            code: refusal.code,
            detail: refusal.detail,
            elapsed_ms: arrival.elapsed_ms(),
        });
    } else {
        shared.events.count_dropped();
    }
}

/// The one line for whoever speaks plain HTTP.
fn https_only(kind: DoorKind) -> String {
    let line = match kind {
        DoorKind::Https => "This port speaks HTTPS only: use https://\n",
        DoorKind::TlsIngest => "This port takes media over TLS only, and no HTTP: use tls://\n",
    };
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{line}",
        line.len()
    )
}

/// A proved connection, from its entry in the table to its leaving.
async fn serve(
    shared: &Arc<Shared>,
    door: &Arc<Door>,
    stream: TlsStream,
    peer: SocketAddr,
    timing: Timing,
) {
    let facts = Arc::new(sealcast_tls::server::facts(stream.ssl()));
    let connection = shared.connections.next_id();
    let announced = door.spec.kind == DoorKind::TlsIngest || facts.peer.is_some();
    let facts = ConnectionFacts {
        connection,
        door: Arc::clone(&door.name),
        kind: door.spec.kind,
        peer: peer.to_string(),
        facts,
        timing,
    };
    let (ours, theirs) = match door.spec.kind {
        DoorKind::Https => (None, None),
        DoorKind::TlsIngest => match ingest_pair(&shared.limits) {
            Ok((ours, theirs)) => (Some(ours), Some(theirs)),
            Err(error) => {
                shared.count(door, Code::IngestFailed.code());
                tracing::warn!(door = %door.name, %error, "{}", Code::IngestFailed);
                return;
            }
        },
    };
    let chain = sealcast_tls::server::chain_of(stream.ssl()).to_vec();
    let Some((visit, mut close)) = Visit::begin(
        shared,
        door,
        facts,
        chain.clone(),
        theirs,
        stream.traffic(),
        announced,
    ) else {
        return;
    };
    // Its handshake may have looked at the set before this one, which asked those in the table.
    if shared.revoked.first_of(&chain).is_some() {
        shared.connections.close(connection, Code::Revoked.code());
    }
    match ours {
        Some(pipe) => {
            let (ending, mut stream) = crate::ingest::pour(shared, stream, pipe, &mut close).await;
            visit.end(ending);
            let _ = stream.shutdown().await;
        }
        None => {
            let ending =
                crate::http::serve(shared, door, &visit.facts, peer.ip(), stream, &mut close).await;
            visit.end(ending);
        }
    }
}

fn ingest_pair(limits: &Limits) -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = crate::ingest::pair(limits)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}

/// A connection's stay in the table. However it ends, by itself, by the node, or by a fault in our
/// own code, the entry leaves the table and an announced connection's end is told.
struct Visit {
    shared: Arc<Shared>,
    door: Arc<Door>,
    facts: ConnectionFacts,
    traffic: Arc<Traffic>,
    announced: bool,
    ending: Option<Ending>,
}

impl Visit {
    /// `None` if the connection cannot be announced and so has to be refused.
    fn begin(
        shared: &Arc<Shared>,
        door: &Arc<Door>,
        facts: ConnectionFacts,
        chain: Vec<CertificateId>,
        ingest: Option<OwnedFd>,
        traffic: Arc<Traffic>,
        announced: bool,
    ) -> Option<(Self, CloseRequest)> {
        // First the table, then the event: whoever reads the event finds the entry.
        let close = shared.connections.enter(facts.clone(), chain, ingest);
        let mut visit = Self {
            shared: Arc::clone(shared),
            door: Arc::clone(door),
            facts,
            traffic,
            announced,
            ending: None,
        };
        if announced {
            let event = Event::ConnectionOpened {
                door: Arc::clone(&visit.facts.door),
                connection: visit.facts.connection,
                peer: visit.facts.peer.clone(),
                facts: visit.facts.facts.clone(),
                timing: visit.facts.timing,
            };
            if !shared.events.announce(event) {
                visit.announced = false;
                visit.end(Ending::new(Code::EventsFull, ""));
                return None;
            }
        }
        Some((visit, close))
    }

    fn end(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.connections.leave(self.facts.connection);
        let ending = self.ending.take().unwrap_or_else(|| {
            Ending::new(
                Code::ClosedByNode,
                "the front stopped before the connection ended",
            )
        });
        self.shared.count(&self.door, &ending.code);
        if self.announced {
            self.shared.events.tell_end(Event::ConnectionClosed {
                connection: self.facts.connection,
                code: ending.code,
                detail: ending.detail,
                bytes_in: self.traffic.received(),
                bytes_out: self.traffic.sent(),
            });
        }
    }
}
