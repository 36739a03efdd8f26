//! The one handle through which the rest of the node speaks to the front. Every call is short and
//! none needs a runtime.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderValue;
use sealcast_tls::server::{CertificateId, Revoked};
use sealcast_tls::{Identity, TlsError};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::codes::{is_code, Code};
use crate::connections::{ConnectionFacts, Connections};
use crate::counters::CountersSnapshot;
use crate::door::{accept, ClientAuthSpec, Door, DoorSpec};
use crate::events::{Event, EventQueue};
use crate::handed::{Bodies, LastAnswer};
use crate::limits::Limits;
use crate::pool::AppPool;
use crate::proxy::Proxy;

/// What a front is started with.
pub struct FrontConfig {
    /// The application's private Unix socket. It need not exist yet.
    pub app_socket: PathBuf,
    /// The per-start secret, at least 32 hexadecimal digits, that marks requests as forwarded by
    /// this front.
    pub secret: String,
    /// Threads, named `front-0`, `front-1`, …
    pub threads: usize,
}

impl fmt::Debug for FrontConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontConfig")
            .field("app_socket", &self.app_socket)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Why the front did not do what it was asked for.
#[derive(Debug)]
pub struct FrontError {
    code: &'static str,
    detail: String,
}

impl FrontError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            code: code.code(),
            detail: if detail.is_empty() {
                code.sentence().to_owned()
            } else {
                format!("{} ({detail})", code.sentence())
            },
        }
    }

    /// The code, `AREA.REASON`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for FrontError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for FrontError {}

impl From<TlsError> for FrontError {
    fn from(error: TlsError) -> Self {
        Self {
            code: error.code(),
            detail: error.to_string(),
        }
    }
}

/// What every task of the front shares.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) events: EventQueue,
    pub(crate) connections: Connections,
    pub(crate) bodies: Bodies,
    pub(crate) proxy: Proxy,
    pub(crate) revoked: Arc<Revoked>,
    doors: Mutex<BTreeMap<String, Arc<Door>>>,
    stop: watch::Sender<bool>,
    alive: watch::Sender<()>,
}

/// "The front is stopping", as a task sees it.
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) async fn wait(&mut self) {
        // An error means that the sender has gone, and it goes with the front.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

impl Shared {
    pub(crate) fn stopping(&self) -> Stopping {
        Stopping(self.stop.subscribe())
    }

    /// Held by every connection: `stop` waits until none holds it.
    pub(crate) fn alive(&self) -> watch::Receiver<()> {
        self.alive.subscribe()
    }

    pub(crate) fn count(&self, door: &Door, code: &str) {
        door.tally.count(code, self.limits.codes_per_door);
    }

    fn doors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Door>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running front. Dropping it stops it.
pub struct FrontHandle {
    shared: Arc<Shared>,
    runtime: Mutex<Option<Runtime>>,
}

impl FrontHandle {
    /// Starts the threads. No door is open yet.
    ///
    /// # Errors
    /// `FRONT.BAD_SECRET`, `FRONT.START_FAILED`.
    pub fn start(config: FrontConfig) -> Result<Self, FrontError> {
        Self::start_with_limits(config, Limits::default())
    }

    /// As [`Self::start`], with other limits.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with_limits(config: FrontConfig, limits: Limits) -> Result<Self, FrontError> {
        if config.secret.len() < 32 || !config.secret.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(FrontError::new(Code::BadSecret, ""));
        }
        let secret =
            HeaderValue::from_str(&config.secret).expect("hexadecimal digits were just checked");
        let failed = |error: std::io::Error| FrontError::new(Code::StartFailed, error.to_string());
        let number = AtomicUsize::new(0);
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name_fn(move || format!("front-{}", number.fetch_add(1, Ordering::Relaxed)))
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let shared = Shared {
            events: EventQueue::new(limits.events).map_err(failed)?,
            connections: Connections::default(),
            bodies: Bodies::default(),
            proxy: Proxy::new(AppPool::new(config.app_socket, &limits), secret, &limits),
            revoked: Arc::default(),
            doors: Mutex::default(),
            stop: watch::Sender::new(false),
            alive: watch::Sender::new(()),
            limits,
        };
        Ok(Self {
            shared: Arc::new(shared),
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Opens a door and returns the addresses that it listens on. Either all of it opens or
    /// nothing.
    ///
    /// # Errors
    /// `FRONT.STOPPED`, `FRONT.DOOR_EXISTS`, `FRONT.BAD_DOOR`, `FRONT.NO_CLIENT_ROOTS`,
    /// `FRONT.BIND_FAILED`, and what `sealcast-tls` says of the certificate, its key and the
    /// authorities.
    pub fn open_door(
        &self,
        spec: DoorSpec,
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: Option<&[u8]>,
    ) -> Result<Vec<SocketAddr>, FrontError> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = runtime.as_ref() else {
            return Err(FrontError::new(Code::Stopped, ""));
        };
        let mut doors = self.shared.doors();
        if doors.contains_key(&spec.name) {
            return Err(FrontError::new(
                Code::DoorExists,
                format!("`{}`", spec.name),
            ));
        }
        let (revoked, challenges) = (&self.shared.revoked, Arc::default());
        let context = spec.context(chain_pem, key_pem, client_roots_pem, revoked, &challenges)?;
        let listeners = spec.listen(&self.shared.limits)?;

        let failed = |error: std::io::Error| FrontError::new(Code::BindFailed, error.to_string());
        let _within = runtime.enter();
        let listeners = listeners
            .into_iter()
            .map(|listener| {
                let address = listener.local_addr().map_err(failed)?;
                Ok((address, TcpListener::from_std(listener).map_err(failed)?))
            })
            .collect::<Result<Vec<_>, FrontError>>()?;

        let door = Arc::new(Door::new(spec, context, challenges, &self.shared.limits));
        doors.insert(door.spec.name.clone(), Arc::clone(&door));
        Ok(listeners
            .into_iter()
            .map(|(address, listener)| {
                runtime.spawn(accept(
                    Arc::clone(&self.shared),
                    Arc::clone(&door),
                    listener,
                ));
                address
            })
            .collect())
    }

    /// Gives a door another certificate, and other authorities if it requires certificates. Running
    /// connections stay; a pair that does not fit is refused and the old one stays.
    ///
    /// # Errors
    /// `FRONT.NO_SUCH_DOOR`, and as [`Self::open_door`] for what is given.
    pub fn swap(
        &self,
        door: &str,
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: Option<&[u8]>,
    ) -> Result<(), FrontError> {
        let found = self.shared.doors().get(door).cloned();
        let Some(door) = found else {
            return Err(FrontError::new(Code::NoSuchDoor, format!("`{door}`")));
        };
        let revoked = &self.shared.revoked;
        door.swap(door.spec.context(
            chain_pem,
            key_pem,
            client_roots_pem,
            revoked,
            &door.challenges,
        )?);
        Ok(())
    }

    /// While this stands, the door answers a TLS challenge of ACME for `server_name` with this
    /// chain and key (RFC 8737); with `None` it does no longer. Such connections carry nothing and
    /// are closed after their handshake, counted as `ACME.CHALLENGE_ANSWERED`.
    ///
    /// # Errors
    /// `FRONT.NO_SUCH_DOOR`; `FRONT.BAD_DOOR` for one that demands certificates, since who asks
    /// has none; what is wrong with the pair.
    pub fn set_challenge(
        &self,
        door: &str,
        server_name: &str,
        pair: Option<(&[u8], &[u8])>,
    ) -> Result<(), FrontError> {
        let found = self.shared.doors().get(door).cloned();
        let Some(door) = found else {
            return Err(FrontError::new(Code::NoSuchDoor, format!("`{door}`")));
        };
        if door.spec.client_auth == ClientAuthSpec::Required {
            let name = &door.spec.name;
            return Err(FrontError::new(
                Code::BadDoor,
                format!("door `{name}` demands client certificates and answers no challenges"),
            ));
        }
        match pair {
            Some((chain_pem, key_pem)) => {
                let identity = Identity::from_pem(chain_pem, key_pem)?;
                door.challenges.open(server_name, &identity)?;
            }
            None => {
                door.challenges.close(server_name);
            }
        }
        Ok(())
    }

    /// From now on these certificates are revoked, and no others. Handshakes that show one, or one
    /// of whose issuers is one, are refused with `TLS.CERTIFICATE_REVOKED`; connections that were
    /// opened with one end at once with `IDENTITY.REVOKED`. Returns how many those are.
    pub fn set_revoked(&self, revoked: HashSet<CertificateId>) -> usize {
        // First the set, then the table; a new connection looks the other way round (`handshake`).
        // So none is missed in between.
        self.shared.revoked.replace(revoked);
        self.shared
            .connections
            .close_where(Code::Revoked.code(), |chain| {
                self.shared.revoked.first_of(chain).is_some()
            })
    }

    /// A descriptor that is readable while events wait. It belongs to the front.
    #[must_use]
    pub fn event_fd(&self) -> RawFd {
        self.shared.events.descriptor()
    }

    /// Takes the events that wait.
    #[must_use]
    pub fn drain_events(&self) -> Vec<Event> {
        self.shared.events.drain()
    }

    /// The reader's end of an ingest connection, blocking; once only, and only while the connection
    /// is open.
    #[must_use]
    pub fn take_ingest(&self, connection: u64) -> Option<OwnedFd> {
        self.shared.connections.take_ingest(connection)
    }

    /// The reader's end of a request's body, blocking, by the ticket that came with its head in
    /// `x-sealcast-body`. Once only, only while the request is under way, and only if it has asked
    /// for nothing of the body yet. The application then answers with the ticket in the same
    /// header; with any other answer the body is not handed over and the end is closed.
    ///
    /// # Errors
    /// If the system makes no socket pair.
    pub fn take_body(&self, ticket: u64) -> std::io::Result<Option<OwnedFd>> {
        self.shared.bodies.take(ticket, &self.shared.limits)
    }

    /// What the client is told whose body was taken; ends the body if it is not over. `false` if
    /// its request was answered, or is over.
    pub fn answer_body(&self, ticket: u64, answer: LastAnswer) -> bool {
        self.shared.bodies.answer(ticket, answer)
    }

    /// What is known of an open connection.
    #[must_use]
    pub fn facts(&self, connection: u64) -> Option<ConnectionFacts> {
        self.shared.connections.facts(connection)
    }

    /// Ends a connection at once, with every request on it, if it is still open. Its
    /// `connection_closed` carries the code; what is not of the form `AREA.REASON` becomes
    /// `NODE.CLOSED_BY_NODE`.
    pub fn close_connection(&self, connection: u64, code: &str) {
        let code = if is_code(code) {
            code
        } else {
            Code::ClosedByNode.code()
        };
        self.shared.connections.close(connection, code);
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> CountersSnapshot {
        CountersSnapshot {
            doors: self
                .shared
                .doors()
                .iter()
                .map(|(name, door)| (name.clone(), door.tally.snapshot()))
                .collect(),
            events_dropped: self.shared.events.dropped(),
            app_connections: self.shared.proxy.pool.open(),
        }
    }

    /// Closes every door, lets running requests finish for a short while, and ends the threads.
    /// Blocks until it is done. Events can still be drained afterwards.
    pub fn stop(&self) {
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(runtime) = runtime else {
            return;
        };
        self.shared.stop.send_replace(true);
        let shared = Arc::clone(&self.shared);
        // On a thread of its own, so that it does not matter whether the caller is inside some
        // runtime.
        let stopper = std::thread::spawn(move || {
            let limit = shared.limits.stop;
            runtime.block_on(async {
                let _ = tokio::time::timeout(limit, shared.alive.closed()).await;
            });
            runtime.shutdown_timeout(limit);
        });
        let _ = stopper.join();
    }
}

impl Drop for FrontHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
