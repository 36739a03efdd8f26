//! The caller's end of a relay: commands in, events out, frames both ways. No call blocks on the
//! shard but
//! [`RelayHandle::restart_ice`], [`RelayHandle::snapshot`], [`RelayHandle::leg_snapshot`] and
//! [`RelayHandle::stop`], which say how long.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender, TrySendError};

use crate::command::Command;
use crate::error::RelayError;
use crate::event::Event;
use crate::limits;
use crate::outbox::Outbox;
use crate::ports::Ports;
use crate::restart::{restart_order, IceRestart};
use crate::shard::{Order, Shard};
use crate::sink::{sink, FrameSink};
use crate::snapshot::{LegSnapshot, Snapshot};
use crate::spec::{LegId, SourceId, TrackId};
use crate::tap::{tap, FrameTap};
use crate::wake::Wake;

/// How a relay is started.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The addresses to bind; port 0 lets the system choose.
    pub binds: Vec<SocketAddr>,
    /// Name of the thread, as the system shows it (15 bytes of it).
    pub thread_name: String,
}

impl RelayConfig {
    /// The usual configuration.
    pub fn new(binds: Vec<SocketAddr>) -> RelayConfig {
        RelayConfig {
            binds,
            thread_name: "sealcast-relay".to_owned(),
        }
    }
}

/// A running relay. Dropping it stops it.
#[derive(Debug)]
pub struct RelayHandle {
    orders: Sender<Order>,
    events: Receiver<Event>,
    shard_wake: Arc<Wake>,
    caller_wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    addresses: Vec<SocketAddr>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RelayHandle {
    /// Binds the sockets and starts the thread.
    ///
    /// # Errors
    /// [`RelayError::BindFailed`], [`RelayError::NoAddress`] or [`RelayError::StartFailed`].
    pub fn start(config: RelayConfig) -> Result<RelayHandle, RelayError> {
        let ports = Ports::bind(&config.binds)?;
        let addresses = ports.addresses().to_vec();
        let (orders, order_queue) = bounded(limits::COMMANDS);
        let (event_queue, events) = bounded(limits::EVENTS);
        let shard_wake = Arc::new(Wake::new().map_err(RelayError::StartFailed)?);
        let caller_wake = Arc::new(Wake::new().map_err(RelayError::StartFailed)?);
        let stop = Arc::new(AtomicBool::new(false));
        let outbox = Outbox::new(event_queue, Arc::clone(&caller_wake));
        let shard = Shard::new(
            ports,
            order_queue,
            Arc::clone(&shard_wake),
            Arc::clone(&stop),
            outbox,
        );
        let thread = std::thread::Builder::new()
            .name(config.thread_name)
            .spawn(move || shard.run())
            .map_err(RelayError::StartFailed)?;
        Ok(RelayHandle {
            orders,
            events,
            shard_wake,
            caller_wake,
            stop,
            addresses,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The addresses that candidates may name: every interface's for a wildcard bind.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Hands a command over; what becomes of it comes back as events.
    ///
    /// # Errors
    /// [`RelayError::Busy`] when too many wait, [`RelayError::Stopped`].
    pub fn command(&self, command: Command) -> Result<(), RelayError> {
        self.order(Order::Command(command))
    }

    /// Begins ICE anew with other credentials; media goes on over the old path until the new one is
    /// proved. Waits for the shard up to `timeout`.
    ///
    /// # Errors
    /// [`RelayError::UnknownLeg`], [`RelayError::UfragTaken`], [`RelayError::Leg`] for credentials
    /// that ICE does not admit; [`RelayError::Busy`], [`RelayError::Stopped`],
    /// [`RelayError::NoAnswer`]. After any of them the leg is as it was.
    pub fn restart_ice(&self, restart: IceRestart, timeout: Duration) -> Result<(), RelayError> {
        let (order, answer) = restart_order(restart);
        self.order(Order::RestartIce(order))?;
        answer.wait(timeout)
    }

    /// Readable while events wait.
    pub fn event_fd(&self) -> RawFd {
        self.caller_wake.as_raw_fd()
    }

    /// All events that wait, in order.
    pub fn drain_events(&self) -> Vec<Event> {
        self.caller_wake.lower();
        self.events.try_iter().collect()
    }

    /// A way in for frames of `track`, from the publisher that the caller knows as `source`.
    ///
    /// # Errors
    /// [`RelayError::Busy`], [`RelayError::Stopped`].
    pub fn frame_sink(&self, track: TrackId, source: SourceId) -> Result<FrameSink, RelayError> {
        let (sink, port) = sink(track, source, Arc::clone(&self.shard_wake));
        self.order(Order::Sink(port))?;
        Ok(sink)
    }

    /// A way out for frames of `track`.
    ///
    /// # Errors
    /// [`RelayError::Busy`], [`RelayError::Stopped`], or no descriptor is left.
    pub fn frame_tap(&self, track: TrackId) -> Result<FrameTap, RelayError> {
        let (tap, port) = tap(track)?;
        self.order(Order::Tap(port))?;
        Ok(tap)
    }

    /// All numbers; waits for the shard up to `timeout`. It reads them in several turns of its loop
    /// ([`limits::SURVEY_ROWS_PER_TURN`]), so many legs take long and delay no media.
    ///
    /// # Errors
    /// [`RelayError::NoAnswer`], [`RelayError::Busy`], [`RelayError::Stopped`].
    pub fn snapshot(&self, timeout: Duration) -> Result<Snapshot, RelayError> {
        let mut snapshot = self.ask(Order::Snapshot, timeout)?;
        snapshot.legs.sort_unstable_by_key(|leg| leg.id);
        snapshot.tracks.sort_unstable_by_key(|track| track.id);
        Ok(snapshot)
    }

    /// The numbers of one leg at this moment, `None` if there is no such leg (any more); waits for
    /// the shard up to `timeout`.
    ///
    /// # Errors
    /// [`RelayError::NoAnswer`], [`RelayError::Busy`], [`RelayError::Stopped`].
    pub fn leg_snapshot(
        &self,
        leg: LegId,
        timeout: Duration,
    ) -> Result<Option<LegSnapshot>, RelayError> {
        self.ask(|asker| Order::LegSnapshot(leg, asker), timeout)
    }

    /// Closes every leg, ends the thread and waits for it. Its last events can still be drained.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.shard_wake.raise();
        // A poisoned lock only means that another thread panicked while it stopped the relay.
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // The shard's own panic was reported by the panic hook; there is nothing to add here.
            let _ = thread.join();
        }
    }

    fn ask<T>(
        &self,
        order: impl FnOnce(Sender<T>) -> Order,
        timeout: Duration,
    ) -> Result<T, RelayError> {
        let (asker, answer) = bounded(1);
        self.order(order(asker))?;
        answer.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => RelayError::NoAnswer,
            RecvTimeoutError::Disconnected if self.stop.load(Ordering::Acquire) => {
                RelayError::Stopped
            }
            RecvTimeoutError::Disconnected => RelayError::Busy,
        })
    }

    fn order(&self, order: Order) -> Result<(), RelayError> {
        if self.stop.load(Ordering::Acquire) {
            return Err(RelayError::Stopped);
        }
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => RelayError::Busy,
            TrySendError::Disconnected(_) => RelayError::Stopped,
        })?;
        self.shard_wake.raise();
        Ok(())
    }
}

impl Drop for RelayHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
