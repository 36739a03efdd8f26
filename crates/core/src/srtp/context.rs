//! One SRTP context behind one lock: what every method of the two classes does.
//!
//! Thread rule: calls on one context from several threads take turns. Whoever waits has let go of
//! the GIL, and no call ever holds two contexts, so that no order of calls can deadlock. Which
//! packet comes first is then up to the threads; a context never sees half a packet.
//!
//! Process rule: a fork would leave the same sender in two processes, and both would use the same
//! packet indices. So a sender works in the process that made it; [`forked`] tells the child.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyBytes;
use sealcast_srtp::{Receiver, Sender, SrtpError};

use super::memory::{contents, copy, readable, writable};
use super::refusal::Refusal;

/// Which of the two protocols a packet belongs to; the caller knows (RFC 5761 §4).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Kind {
    Rtp,
    Rtcp,
}

/// How many forks lie between this process and the first one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// This process is the child of a fork: what its parent sends with is not for it.
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// What the two directions have in common: a packet becomes another one in place.
pub(crate) trait Direction: Send + 'static {
    /// Whether two processes may go on with copies of one context.
    const SURVIVES_FORK: bool;

    /// Bytes by which a packet of this kind may grow.
    fn growth(&self, kind: Kind) -> usize;

    /// Works on `buffer[..len]` in place; returns the new length.
    fn work(&mut self, kind: Kind, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError>;
}

impl Direction for Sender {
    const SURVIVES_FORK: bool = false;

    fn growth(&self, kind: Kind) -> usize {
        match kind {
            Kind::Rtp => self.rtp_overhead(),
            Kind::Rtcp => self.rtcp_overhead(),
        }
    }

    #[inline]
    fn work(&mut self, kind: Kind, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        match kind {
            Kind::Rtp => self.protect_rtp(buffer, len),
            Kind::Rtcp => self.protect_rtcp(buffer, len),
        }
    }
}

impl Direction for Receiver {
    const SURVIVES_FORK: bool = true;

    fn growth(&self, _: Kind) -> usize {
        0
    }

    #[inline]
    fn work(&mut self, kind: Kind, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        match kind {
            Kind::Rtp => self.unprotect_rtp(&mut buffer[..len]),
            Kind::Rtcp => self.unprotect_rtcp(&mut buffer[..len]),
        }
    }
}

/// No packet of a network is longer, and no scratch space that is kept.
const LONGEST_DATAGRAM: usize = 1 << 16;

/// A context that Python objects share, until it is closed.
pub(crate) struct Context<D> {
    state: Mutex<State<D>>,
    made_after: u32,
}

/// What the lock guards.
pub(crate) struct State<D> {
    /// Gone once it is closed; its keys are wiped then.
    open: Option<D>,
    /// Where a packet is opened before its plain length is known; as long as the longest so far.
    scratch: Vec<u8>,
}

impl<D: Direction> State<D> {
    pub(crate) fn open(&mut self) -> Result<&mut D, Refusal> {
        self.open.as_mut().ok_or(Refusal::Closed)
    }

    /// Bytes by which a packet of this kind may grow; none once the context is closed.
    pub(crate) fn growth(&self, kind: Kind) -> usize {
        self.open.as_ref().map_or(0, |context| context.growth(kind))
    }
}

impl<D: Direction> Context<D> {
    pub(crate) fn new(context: D) -> Self {
        Self {
            state: Mutex::new(State {
                open: Some(context),
                scratch: Vec::new(),
            }),
            made_after: FORKS.load(Ordering::Relaxed),
        }
    }

    /// Asked before the lock: in a child it may be held by a thread that was not forked with it.
    fn belongs_here(&self) -> Result<(), Refusal> {
        if D::SURVIVES_FORK || self.made_after == FORKS.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(Refusal::Forked)
        }
    }

    /// Waits for its turn without the GIL.
    #[inline]
    pub(crate) fn lock(&self, py: Python<'_>) -> Result<MutexGuard<'_, State<D>>, Refusal> {
        self.belongs_here()?;
        // A panic under the lock would be a fault of ours; an index it spent stays spent (it is
        // recorded first), so that going on is safe.
        let locked = self.state.lock_py_attached(py);
        Ok(locked.unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for its turn on a thread that does not hold the GIL.
    pub(crate) fn lock_detached(&self) -> Result<MutexGuard<'_, State<D>>, Refusal> {
        self.belongs_here()?;
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Drops the native context and its keys.
    pub(crate) fn close(&self, py: Python<'_>) {
        // In a child of a fork there is nothing to close that would be its own.
        if let Ok(mut state) = self.lock(py) {
            state.open = None;
            state.scratch = Vec::new();
        }
    }

    /// Asks something of the open context.
    pub(crate) fn ask<R>(&self, py: Python<'_>, question: impl FnOnce(&mut D) -> R) -> PyResult<R> {
        let answer = self
            .lock(py)
            .and_then(|mut state| state.open().map(question));
        answer.map_err(|refusal| refusal.raised(py))
    }

    /// Works on a copy; returns the result as a new `bytes`.
    #[inline]
    pub(crate) fn one<'py>(
        &self,
        packet: &Bound<'py, PyAny>,
        kind: Kind,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = packet.py();
        let result = readable(packet, "the packet", |packet| {
            let mut state = match self.lock(py) {
                Ok(state) => state,
                Err(refusal) => return Ok(Err(refusal)),
            };
            // SAFETY: the view is held by `readable`; the GIL is held until the slice is gone, so
            // no Python code writes.
            let packet = unsafe { packet.bytes() };
            state.one(py, packet, kind)
        })?;
        result.map_err(|refusal| refusal.raised(py))
    }

    /// Works in the caller's `target`; returns how many bytes of it are the result.
    pub(crate) fn within(
        &self,
        packet: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        kind: Kind,
    ) -> PyResult<usize> {
        let py = packet.py();
        let result = readable(packet, "the packet", |packet| {
            writable(target, "the target", |target| {
                let mut state = match self.lock(py) {
                    Ok(state) => state,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let context = match state.open() {
                    Ok(context) => context,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let len = packet.len();
                if target.len() < len + context.growth(kind) {
                    return Ok(Err(SrtpError::BufferTooSmall.into()));
                }
                // SAFETY: both views are held, the target has room, the GIL keeps other Python
                // code away, and the one slice is made after the move.
                let buffer = unsafe {
                    packet.move_to(target);
                    target.bytes_mut()
                };
                Ok(context.work(kind, buffer, len).map_err(Refusal::from))
            })
        })?;
        result.map_err(|refusal| refusal.raised(py))
    }
}

impl<D: Direction> State<D> {
    #[inline]
    fn one<'py>(
        &mut self,
        py: Python<'py>,
        packet: &[u8],
        kind: Kind,
    ) -> PyResult<Result<Bound<'py, PyBytes>, Refusal>> {
        let Some(context) = self.open.as_mut() else {
            return Ok(Err(Refusal::Closed));
        };
        let growth = context.growth(kind);
        if growth > 0 {
            // The final length is known: the result is made where it stays.
            let mut bytes = copy(py, packet, growth)?;
            // SAFETY: it is new, and nobody else has it.
            let buffer = unsafe { contents(&mut bytes) };
            let room = buffer.len();
            return Ok(match context.work(kind, buffer, packet.len()) {
                Ok(len) if len == room => Ok(bytes),
                // Growth is an upper bound.
                Ok(len) => Ok(PyBytes::new(py, &bytes.as_bytes()[..len])),
                Err(error) => Err(error.into()),
            });
        }
        if self.scratch.len() < packet.len() {
            self.scratch.resize(packet.len(), 0);
        }
        let buffer = &mut self.scratch[..packet.len()];
        buffer.copy_from_slice(packet);
        let result = match context.work(kind, buffer, packet.len()) {
            Ok(len) => Ok(PyBytes::new(py, &buffer[..len])),
            Err(error) => Err(error.into()),
        };
        if self.scratch.len() > LONGEST_DATAGRAM {
            self.scratch = Vec::new();
        }
        Ok(result)
    }
}
