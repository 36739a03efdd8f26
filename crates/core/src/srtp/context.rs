//! One SRTP context behind one lock: what every method of the two classes does.
//!
//! Thread rule: calls on one context from several threads take turns. Whoever waits has let go of
//! the GIL, and no call ever holds two contexts, so that no order of calls can deadlock. Which
//! packet comes first is then up to the threads; a context never sees half a packet.
//!
//! Process rule: a context works in the process that made it. A fork leaves copies of it in two
//! processes: two senders would use the same packet indices, two receivers would take the same
//! packet twice, and a lock that a thread of the parent holds is never let go of in the child.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyBytes;
use sealcast_srtp::{
    why_not_opened, why_not_protected, PacketKind, Process, Receiver, Sender, SrtpError,
};

use super::memory::{readable, writable, Blank, Room};
use super::refusal::{raisable, Refusal};

/// What the two directions have in common: a packet becomes another one in place.
pub(crate) trait Direction: Send + 'static {
    /// Bytes that are added to a packet of this kind, at most, or taken from it. The same for the
    /// whole life of a context.
    fn overhead(&self, kind: PacketKind) -> usize;

    /// Works on `buffer[..len]` in place; returns the new length.
    fn work(&mut self, kind: PacketKind, buffer: &mut [u8], len: usize)
        -> Result<usize, SrtpError>;

    /// Why a packet was refused as malformed.
    fn why_malformed(kind: PacketKind, packet: &[u8], overhead: usize) -> String;

    /// Counts a packet that was refused before the context saw it.
    fn count_refused(&mut self, fate: SrtpError);

    /// Length of the result for a packet of `len` bytes, at most.
    fn result_len(len: usize, overhead: usize) -> usize;

    /// Puts the result for `packet` into `result`, which is as long as `result_len` says, and
    /// returns its length. `scratch` may be used, and left longer than it was.
    fn make(
        &mut self,
        kind: PacketKind,
        packet: &[u8],
        result: Room<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, SrtpError>;

    /// The result for `packet` as a new `bytes`.
    fn one<'py>(
        &mut self,
        py: Python<'py>,
        kind: PacketKind,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) -> PyResult<Result<Bound<'py, PyBytes>, SrtpError>>;
}

impl Direction for Sender {
    fn overhead(&self, kind: PacketKind) -> usize {
        self.overhead(kind)
    }

    fn why_malformed(kind: PacketKind, packet: &[u8], overhead: usize) -> String {
        why_not_protected(kind, packet, overhead)
    }

    fn count_refused(&mut self, fate: SrtpError) {
        self.count_refused(fate);
    }

    #[inline]
    fn work(
        &mut self,
        kind: PacketKind,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, SrtpError> {
        match kind {
            PacketKind::Rtp => self.protect_rtp(buffer, len),
            PacketKind::Rtcp => self.protect_rtcp(buffer, len),
        }
    }

    fn result_len(len: usize, overhead: usize) -> usize {
        len + overhead
    }

    #[inline]
    fn make(
        &mut self,
        kind: PacketKind,
        packet: &[u8],
        result: Room<'_>,
        _: &mut Vec<u8>,
    ) -> Result<usize, SrtpError> {
        let buffer = result.fill(packet).ok_or(SrtpError::BufferTooSmall)?;
        self.work(kind, buffer, packet.len())
    }

    #[inline]
    fn one<'py>(
        &mut self,
        py: Python<'py>,
        kind: PacketKind,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) -> PyResult<Result<Bound<'py, PyBytes>, SrtpError>> {
        let mut blank = Blank::new(py, Self::result_len(packet.len(), self.overhead(kind)))?;
        match self.make(kind, packet, blank.room(), scratch) {
            Ok(len) => blank.finished(len).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl Direction for Receiver {
    fn overhead(&self, kind: PacketKind) -> usize {
        self.overhead(kind)
    }

    fn why_malformed(kind: PacketKind, packet: &[u8], overhead: usize) -> String {
        why_not_opened(kind, packet, overhead)
    }

    fn count_refused(&mut self, fate: SrtpError) {
        self.count_refused(fate);
    }

    #[inline]
    fn work(
        &mut self,
        kind: PacketKind,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, SrtpError> {
        match kind {
            PacketKind::Rtp => self.unprotect_rtp(&mut buffer[..len]),
            PacketKind::Rtcp => self.unprotect_rtcp(&mut buffer[..len]),
        }
    }

    fn result_len(len: usize, overhead: usize) -> usize {
        // A packet that is shorter than that is refused.
        len.saturating_sub(overhead)
    }

    #[inline]
    fn make(
        &mut self,
        kind: PacketKind,
        packet: &[u8],
        result: Room<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, SrtpError> {
        let plain = opened(self, kind, packet, scratch)?;
        result.fill(plain).ok_or(SrtpError::BufferTooSmall)?;
        Ok(plain.len())
    }

    #[inline]
    fn one<'py>(
        &mut self,
        py: Python<'py>,
        kind: PacketKind,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) -> PyResult<Result<Bound<'py, PyBytes>, SrtpError>> {
        Ok(opened(self, kind, packet, scratch).map(|plain| PyBytes::new(py, plain)))
    }
}

/// Opens a copy of `packet` in the scratch space: the plain packet is shorter than the protected
/// one that it is opened in, and a `bytes` cannot be cut.
#[inline]
fn opened<'a>(
    receiver: &mut Receiver,
    kind: PacketKind,
    packet: &[u8],
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], SrtpError> {
    if scratch.len() < packet.len() {
        scratch.resize(packet.len(), 0);
    }
    let buffer = &mut scratch[..packet.len()];
    buffer.copy_from_slice(packet);
    let len = receiver.work(kind, buffer, packet.len())?;
    Ok(&buffer[..len])
}

/// No packet of a network is longer, and no scratch space that is kept.
const LONGEST_DATAGRAM: usize = 1 << 16;

/// A context that Python objects share, until it is closed.
pub(crate) struct Context<D> {
    state: Mutex<State<D>>,
    made_in: Process,
    rtp_overhead: usize,
    rtcp_overhead: usize,
}

/// A context whose turn it is.
pub(crate) type Turn<'a, D> = MutexGuard<'a, State<D>>;

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
}

impl<D: Direction> Context<D> {
    pub(crate) fn new(context: D) -> Self {
        Self {
            rtp_overhead: context.overhead(PacketKind::Rtp),
            rtcp_overhead: context.overhead(PacketKind::Rtcp),
            state: Mutex::new(State {
                open: Some(context),
                scratch: Vec::new(),
            }),
            made_in: Process::current(),
        }
    }

    /// As [`Direction::overhead`]; nobody's turn is waited for.
    pub(crate) const fn overhead(&self, kind: PacketKind) -> usize {
        match kind {
            PacketKind::Rtp => self.rtp_overhead,
            PacketKind::Rtcp => self.rtcp_overhead,
        }
    }

    /// A `bytes` for what becomes of a packet of `len` bytes. Nobody's turn is waited for.
    #[inline]
    pub(crate) fn blank<'py>(
        &self,
        py: Python<'py>,
        kind: PacketKind,
        len: usize,
    ) -> PyResult<Blank<'py>> {
        Blank::new(py, D::result_len(len, self.overhead(kind)))
    }

    /// Asked before the lock: in a child it may be held by a thread that was not forked with it.
    fn belongs_here(&self) -> Result<(), Refusal> {
        if self.made_in.is_current() {
            Ok(())
        } else {
            Err(Refusal::Forked)
        }
    }

    /// Waits for its turn without the GIL.
    #[inline]
    pub(crate) fn lock(&self, py: Python<'_>) -> Result<Turn<'_, D>, Refusal> {
        self.belongs_here()?;
        // A panic under the lock would be a fault of ours; an index it spent stays spent (it is
        // recorded first), so that going on is safe.
        let locked = self.state.lock_py_attached(py);
        Ok(locked.unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for its turn on a thread that does not hold the GIL.
    pub(crate) fn lock_detached(&self) -> Result<Turn<'_, D>, Refusal> {
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

    /// The exception for a packet that went no further, to raise or to list. Of a malformed one,
    /// which is as it was, it names the field.
    #[cold]
    pub(crate) fn exception<'py>(
        &self,
        py: Python<'py>,
        kind: PacketKind,
        refusal: Refusal,
        packet: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        if refusal == Refusal::Packet(SrtpError::Malformed) {
            let why = D::why_malformed(kind, packet, self.overhead(kind));
            refusal.exception(py, Some(&why))
        } else {
            refusal.exception(py, None)
        }
    }

    /// Works on a copy; returns the result as a new `bytes`.
    #[inline]
    pub(crate) fn one<'py>(
        &self,
        packet: &Bound<'py, PyAny>,
        kind: PacketKind,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = packet.py();
        readable(packet, "the packet", |packet| {
            let mut state = self.lock(py).map_err(|refusal| refusal.raised(py))?;
            // SAFETY: the view is held by `readable`; the GIL is held until the slice is gone, so
            // no Python code writes.
            let packet = unsafe { packet.bytes() };
            let result = state.one(py, kind, packet)?;
            drop(state);
            result.map_err(|refusal| raisable(self.exception(py, kind, refusal, packet)))
        })
    }

    /// Works in the caller's `target`; returns how many bytes of it are the result.
    pub(crate) fn within(
        &self,
        packet: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        kind: PacketKind,
    ) -> PyResult<usize> {
        let py = packet.py();
        readable(packet, "the packet", |packet| {
            writable(target, "the target", |target| {
                let mut state = self.lock(py).map_err(|refusal| refusal.raised(py))?;
                let context = state.open().map_err(|refusal| refusal.raised(py))?;
                let len = packet.len();
                // A plain packet is shorter than the protected one, which has to fit all the same.
                let least = len.max(D::result_len(len, self.overhead(kind)));
                if target.len() < least {
                    context.count_refused(SrtpError::BufferTooSmall);
                    let said = format!(
                        "The target has {} bytes and the packet needs {least}",
                        target.len()
                    );
                    let refusal = Refusal::from(SrtpError::BufferTooSmall);
                    return Err(raisable(refusal.exception(py, Some(&said))));
                }
                // SAFETY: both views are held, the target has room, the GIL keeps other Python
                // code away, and the one slice is made after the move.
                let buffer = unsafe {
                    packet.move_to(target);
                    target.bytes_mut()
                };
                let result = context.work(kind, buffer, len);
                drop(state);
                result.map_err(|error| {
                    raisable(self.exception(py, kind, error.into(), &buffer[..len]))
                })
            })
        })
    }
}

impl<D: Direction> State<D> {
    /// As [`Direction::one`], in scratch space that is kept for the next packet.
    #[inline]
    fn one<'py>(
        &mut self,
        py: Python<'py>,
        kind: PacketKind,
        packet: &[u8],
    ) -> PyResult<Result<Bound<'py, PyBytes>, Refusal>> {
        let Some(context) = self.open.as_mut() else {
            return Ok(Err(Refusal::Closed));
        };
        let result = context.one(py, kind, packet, &mut self.scratch)?;
        if self.scratch.len() > LONGEST_DATAGRAM {
            self.scratch = Vec::new();
        }
        Ok(result.map_err(Refusal::from))
    }
}
