//! A door: its description, its listening sockets, its context that can be changed while it is
//! open, its accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use boring::ssl::{Ssl, SslContext};
use sealcast_tls::server::{
    context_with_challenges, Challenges, ClientAuth, Revoked, ServerPolicy,
};
use sealcast_tls::{Identity, Version};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::codes::Code;
use crate::counters::{Gauge, Tally};
use crate::handle::{FrontError, Shared};
use crate::limits::Limits;
use crate::timing::Arrival;
use crate::turns::Turns;

/// What a door is for.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorKind {
    /// HTTP/1.1 and HTTP/2 over TLS, forwarded to the application.
    Https,
    /// Bytes over TLS, handed to the application through a socket pair.
    TlsIngest,
}

/// Whether a door asks for a client certificate.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthSpec {
    /// It never asks, so no browser shows a chooser.
    None,
    /// It asks; who shows none is served, and one that is shown must hold.
    Optional,
    /// Nobody gets past the handshake without one that the door's authorities signed.
    Required,
}

/// The description of a door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorSpec {
    /// Its name in events, counters and commands.
    pub name: String,
    /// What it is for.
    pub kind: DoorKind,
    /// Addresses with ports; port 0 lets the system choose.
    pub bind: Vec<String>,
    /// `1.2` or `1.3`.
    pub min_version: String,
    /// `1.2` or `1.3`.
    pub max_version: String,
    /// Key exchange groups in order, joined by `:`.
    pub groups: String,
    /// Whether it asks for a client certificate.
    pub client_auth: ClientAuthSpec,
    /// Whether its HTTPS answers carry Strict-Transport-Security.
    #[serde(default)]
    pub hsts: bool,
}

impl DoorSpec {
    fn bad(&self, what: impl Into<String>) -> FrontError {
        FrontError::new(
            Code::BadDoor,
            format!("door `{}`: {}", self.name, what.into()),
        )
    }

    fn version(&self, text: &str) -> Result<Version, FrontError> {
        text.parse().map_err(|error| self.bad(format!("{error}")))
    }

    /// The TLS context of this door for one certificate and one set of client authorities.
    pub(crate) fn context(
        &self,
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: Option<&[u8]>,
        revoked: &Arc<Revoked>,
        challenges: &Arc<Challenges>,
    ) -> Result<SslContext, FrontError> {
        let client_auth = match (self.client_auth, client_roots_pem) {
            (ClientAuthSpec::None, None) => ClientAuth::None,
            (ClientAuthSpec::None, Some(_)) => {
                return Err(self.bad(
                    "it asks for no client certificate but was given authorities to judge them by",
                ));
            }
            (ClientAuthSpec::Optional, Some(roots_pem)) => ClientAuth::Optional {
                roots_pem: roots_pem.to_vec(),
            },
            (ClientAuthSpec::Required, Some(roots_pem)) => ClientAuth::Required {
                roots_pem: roots_pem.to_vec(),
            },
            (ClientAuthSpec::Optional | ClientAuthSpec::Required, None) => {
                return Err(FrontError::new(
                    Code::NoClientRoots,
                    format!("door `{}`", self.name),
                ));
            }
        };
        let policy = ServerPolicy {
            min_version: self.version(&self.min_version)?,
            max_version: self.version(&self.max_version)?,
            groups: self.groups.clone(),
            alpn: match self.kind {
                DoorKind::Https => vec!["h2", "http/1.1"],
                DoorKind::TlsIngest => Vec::new(),
            },
            client_auth,
        };
        let identity = Identity::from_pem(chain_pem, key_pem)?;
        Ok(context_with_challenges(
            &policy, &identity, revoked, challenges,
        )?)
    }

    /// Binds every address, or none.
    pub(crate) fn listen(&self, limits: &Limits) -> Result<Vec<std::net::TcpListener>, FrontError> {
        if self.name.is_empty() || self.name.len() > 64 {
            return Err(self.bad("its name must have 1 to 64 characters"));
        }
        if self.bind.is_empty() {
            return Err(self.bad("it binds no address"));
        }
        self.bind
            .iter()
            .map(|text| {
                let address: SocketAddr = text
                    .parse()
                    .map_err(|_| self.bad(format!("`{text}` is not an address with a port")))?;
                listen(address, limits.backlog).map_err(|error| {
                    FrontError::new(
                        Code::BindFailed,
                        format!("door `{}`, {address}: {error}", self.name),
                    )
                })
            })
            .collect()
    }
}

fn listen(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A node that restarts takes its port back although old connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can stand side by side in one door.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// An open door.
pub(crate) struct Door {
    pub(crate) name: Arc<str>,
    pub(crate) spec: DoorSpec,
    pub(crate) tally: Tally,
    pub(crate) turns: Turns,
    /// Shared by every context that the door ever has.
    pub(crate) challenges: Arc<Challenges>,
    connections: Arc<Semaphore>,
    context: RwLock<SslContext>,
    told: Mutex<ToldFailures>,
}

/// Failures that were told in the second that began at `since`.
struct ToldFailures {
    since: Instant,
    count: u32,
}

impl Door {
    pub(crate) fn new(
        spec: DoorSpec,
        context: SslContext,
        challenges: Arc<Challenges>,
        limits: &Limits,
    ) -> Self {
        Self {
            name: spec.name.as_str().into(),
            spec,
            tally: Tally::default(),
            turns: Turns::new(limits),
            challenges,
            connections: Arc::new(Semaphore::new(limits.connections_per_door)),
            context: RwLock::new(context),
            told: Mutex::new(ToldFailures {
                since: Instant::now(),
                count: 0,
            }),
        }
    }

    /// From now on new connections get this context. Those that run keep theirs.
    pub(crate) fn swap(&self, context: SslContext) {
        *self.context.write().unwrap_or_else(PoisonError::into_inner) = context;
    }

    /// A fresh server side of the door's current context.
    pub(crate) fn ssl(&self) -> Result<Ssl, boring::error::ErrorStack> {
        Ssl::new(&self.context.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether one more failure may be told in this second.
    pub(crate) fn may_tell_failure(&self, limit: u32) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(told.since) >= Duration::from_secs(1) {
            *told = ToldFailures {
                since: now,
                count: 0,
            };
        }
        told.count += 1;
        told.count <= limit
    }
}

/// Takes connections from one listening socket until the front stops.
pub(crate) async fn accept(shared: Arc<Shared>, door: Arc<Door>, listener: TcpListener) {
    let mut stop = shared.stopping();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.wait() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let arrival = Arrival::now(peer);
                door.tally.accepted.fetch_add(1, Ordering::Relaxed);
                let Ok(place) = Arc::clone(&door.connections).try_acquire_owned() else {
                    shared.count(&door, Code::TooManyConnections.code());
                    continue;
                };
                let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
                let alive = shared.alive();
                tokio::spawn(async move {
                    let _open = Gauge::hold(&door.tally.open);
                    crate::handshake::receive(&shared, &door, socket, arrival).await;
                    drop((place, alive));
                });
            }
            // The peer went away while it waited in the queue.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                shared.count(&door, Code::AcceptFailed.code());
                tracing::warn!(door = %door.name, %error, "{}", Code::AcceptFailed);
                // Descriptors come back when connections end, not by asking at once again.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
