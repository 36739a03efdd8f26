//! Connections to the application over its private Unix socket, used again while they are fresh.
//!
//! A *lease* is the right to one connection. There are at most `app_connections` leases, tunnels
//! included; whoever comes later waits a little and is then told that the application is busy. A
//! lease that ends with its connection intact leaves it in the pool; the pool keeps the newest ones
//! only.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::app_stream::AppStream;
use crate::codes::Code;
use crate::limits::Limits;
use crate::upload::Upload;

struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

/// The connections to one application.
pub(crate) struct AppPool {
    socket: PathBuf,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    open: AtomicUsize,
    idle_limit: usize,
    idle_time: Duration,
    wait: Duration,
}

/// The right to one connection to the application.
pub(crate) struct Lease {
    sender: Option<SendRequest<Upload>>,
    place: Option<OwnedSemaphorePermit>,
    pool: Arc<AppPool>,
    /// Whether the connection served another request before: then it may have died unseen.
    pub(crate) reused: bool,
}

impl AppPool {
    pub(crate) fn new(socket: PathBuf, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            socket,
            places: Arc::new(Semaphore::new(limits.app_connections)),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            idle_limit: limits.app_idle_connections,
            idle_time: limits.app_idle,
            wait: limits.app_wait,
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
    pub(crate) async fn lease(self: &Arc<Self>, fresh: bool) -> Result<Lease, (Code, String)> {
        let place = match timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => place,
            _ => {
                return Err((
                    Code::AppBusy,
                    format!("none became free within {:?}", self.wait),
                ))
            }
        };
        let pooled = if fresh { None } else { self.take_idle() };
        let reused = pooled.is_some();
        let sender = match pooled {
            Some(sender) => sender,
            None => self
                .connect()
                .await
                .map_err(|error| (Code::AppUnavailable, error.to_string()))?,
        };
        Ok(Lease {
            sender: Some(sender),
            place: Some(place),
            pool: Arc::clone(self),
            reused,
        })
    }

    /// The newest idle connection that still looks alive.
    fn take_idle(&self) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle();
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() > self.idle_time {
                // What lies below is older still.
                idle.clear();
                return None;
            }
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn put_idle(&self, sender: SendRequest<Upload>) {
        let mut idle = self.idle();
        if idle.len() >= self.idle_limit {
            idle.remove(0);
        }
        idle.push(Idle {
            sender,
            since: Instant::now(),
        });
    }

    async fn connect(self: &Arc<Self>) -> io::Result<SendRequest<Upload>> {
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
            .handshake(TokioIo::new(AppStream::new(stream)))
            .await
            .map_err(io::Error::other)?;
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            pool.open.fetch_add(1, Ordering::Relaxed);
            // Its error, if any, reaches whoever has a request on it.
            let _ = connection.with_upgrades().await;
            pool.open.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(sender)
    }
}

impl Lease {
    /// The connection's sending side.
    pub(crate) fn sender(&mut self) -> &mut SendRequest<Upload> {
        self.sender
            .as_mut()
            .expect("taken only when the lease is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut sender) = self.sender.take() else {
            return;
        };
        if sender.is_closed() {
            return;
        }
        if sender.is_ready() {
            self.pool.put_idle(sender);
            return;
        }
        // The last bytes of the exchange are still being read, or it was given up and the
        // connection will close.
        let (pool, place) = (Arc::clone(&self.pool), self.place.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if sender.ready().await.is_ok() {
                    pool.put_idle(sender);
                }
                drop(place);
            });
        }
    }
}
