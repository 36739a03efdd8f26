//! Connections to the application over its private Unix socket, used again while they are fresh.
//!
//! A *lease* is one connection in use, and holds a place (see `places`). There are at most
//! `app_connections` leases, tunnels included; whoever finds no place waits a little and is then
//! told that the application is busy. A lease that ends with its connection intact leaves it in the
//! pool; the pool keeps the newest ones only.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::app_stream::AppStream;
use crate::codes::Code;
use crate::limits::Limits;
use crate::places::{Guest, Place, Places};
use crate::upload::Upload;

/// One connection.
struct Connection {
    sender: SendRequest<Upload>,
    task: AbortHandle,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// An open connection, counted.
struct Open(Arc<AppPool>);

impl Open {
    fn count(pool: &Arc<AppPool>) -> Self {
        pool.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(pool))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections to one application.
pub(crate) struct AppPool {
    socket: PathBuf,
    places: Places,
    idle: Mutex<Vec<Idle>>,
    open: AtomicUsize,
    idle_limit: usize,
    idle_time: Duration,
    wait: Duration,
    read: usize,
    finish: Duration,
}

/// The right to one connection to the application.
pub(crate) struct Lease {
    connection: Option<Connection>,
    place: Option<Place>,
    pool: Arc<AppPool>,
    /// Whether the connection served another request before: then it may have died unseen.
    pub(crate) reused: bool,
    /// The exchange has a body that will not come: the connection ends with it.
    pub(crate) without_body: bool,
}

impl AppPool {
    pub(crate) fn new(socket: PathBuf, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            socket,
            places: Places::new(limits),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            idle_limit: limits.app_idle_connections,
            idle_time: limits.app_idle,
            wait: limits.app_wait,
            read: limits.app_read,
            finish: limits.app_finish,
        })
    }

    /// Connections that are open now, idle ones included.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases a connection; a fresh one if `fresh`, else a pooled one if there is one.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        guest: &Guest,
        fresh: bool,
    ) -> Result<Lease, (Code, String)> {
        let place = self.places.take(guest).await;
        let place = place.map_err(|full| (Code::AppBusy, full))?;
        let pooled = if fresh { None } else { self.take_idle() };
        let reused = pooled.is_some();
        let connection = match pooled {
            Some(connection) => connection,
            None => self
                .connect()
                .await
                .map_err(|error| (Code::AppUnavailable, error.to_string()))?,
        };
        Ok(Lease {
            connection: Some(connection),
            place: Some(place),
            pool: Arc::clone(self),
            reused,
            without_body: false,
        })
    }

    /// The newest idle connection that still looks alive.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(Idle { connection, since }) = idle.pop() {
            if since.elapsed() > self.idle_time {
                // What lies below is older still.
                idle.clear();
                return None;
            }
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn put_idle(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() >= self.idle_limit {
            idle.remove(0);
        }
        idle.push(Idle {
            connection,
            since: Instant::now(),
        });
    }

    async fn connect(self: &Arc<Self>) -> io::Result<Connection> {
        let deadline = Instant::now() + self.wait;
        let stream = loop {
            match UnixStream::connect(&self.socket).await {
                Ok(stream) => break stream,
                // A Unix socket whose accept queue is full does not keep us waiting: it says so at
                // once.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(error),
            }
        };
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(self.read)
            .handshake(TokioIo::new(AppStream::new(stream)))
            .await
            .map_err(io::Error::other)?;
        let open = Open::count(self);
        let task = tokio::spawn(async move {
            let _open = open;
            // Its error, if any, reaches whoever has a request on it.
            let _ = connection.with_upgrades().await;
        });
        Ok(Connection {
            sender,
            task: task.abort_handle(),
        })
    }
}

impl Lease {
    /// The connection's sending side.
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Upload> {
        let connection = self.connection.as_mut();
        &mut connection
            .expect("taken only when the lease is dropped")
            .sender
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if connection.sender.is_closed() {
            return;
        }
        if self.without_body {
            connection.task.abort();
            return;
        }
        if connection.sender.is_ready() {
            self.pool.put_idle(connection);
            return;
        }
        // The last bytes of the exchange are still on their way, or it was given up. Then the
        // connection mostly ends by itself, but not while the application takes none of an upload.
        let (pool, place) = (Arc::clone(&self.pool), self.place.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                match timeout(pool.finish, connection.sender.ready()).await {
                    Ok(Ok(())) => pool.put_idle(connection),
                    Ok(Err(_)) => {}
                    Err(_) => connection.task.abort(),
                }
                drop(place);
            });
        }
    }
}
