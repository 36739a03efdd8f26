//! The list form of a batch: any bytes-like objects in; `bytes` and exceptions, listed and not
//! raised, out.
//!
//! The results' objects are made first, while the GIL is held; packets are then worked on straight
//! into them. A `bytes` never changes, so it is read where it lies and only kept alive; what lies in
//! any other object is copied before the next one is asked for.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyListMethods};
use sealcast_srtp::{PacketKind, SrtpError};

use super::batch::{work, Job, Work};
use super::context::{Context, Direction};
use super::memory::{readable, Blank, Room};

/// Packets on their way in, and where the result of each goes.
pub(crate) struct Batch<'py> {
    packets: Vec<Taken<'py>>,
    results: Vec<Blank<'py>>,
    kind: PacketKind,
}

/// A packet and the number of its context.
struct Taken<'py> {
    context: usize,
    source: Source<'py>,
}

/// Where a packet waits for its turn.
enum Source<'py> {
    Bytes(Bound<'py, PyBytes>),
    /// At the start of its result, and so long.
    Result(usize),
}

impl<'py> Batch<'py> {
    /// An empty one, for the packets of this list or of whatever else it is.
    pub(crate) fn of(packets: &Bound<'py, PyAny>, kind: PacketKind) -> Self {
        // Only a list is asked: any other length may be made up.
        let len = packets.cast::<PyList>().map_or(0, PyListMethods::len);
        Self {
            packets: Vec::with_capacity(len),
            results: Vec::with_capacity(len),
            kind,
        }
    }

    /// Takes `packet` for the context with this number.
    #[inline]
    pub(crate) fn add<D: Direction>(
        &mut self,
        number: usize,
        context: &Context<D>,
        packet: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let (source, result) = match packet.cast_into::<PyBytes>() {
            Ok(bytes) => {
                let len = bytes.as_bytes().len();
                let result = context.blank(bytes.py(), self.kind, len)?;
                (Source::Bytes(bytes), result)
            }
            Err(other) => copied(context, self.kind, &other.into_inner())?,
        };
        self.results.push(result);
        self.packets.push(Taken {
            context: number,
            source,
        });
        Ok(())
    }

    /// Works on all of them and lists the results in order.
    pub(crate) fn run<D: Direction>(
        mut self,
        py: Python<'py>,
        contexts: &[&Context<D>],
    ) -> PyResult<Bound<'py, PyList>> {
        let places = self.packets.iter().zip(&mut self.results);
        let jobs = places.map(|(taken, result)| {
            let packet = match &taken.source {
                Source::Bytes(bytes) => Packet::Elsewhere(bytes.as_bytes(), Some(result.room())),
                Source::Result(len) => Packet::InPlace(result.written(), *len),
            };
            Job::new(taken.context, packet)
        });
        let mut jobs: Vec<_> = jobs.collect();
        work(py, &mut jobs, contexts, self.kind);
        let outcomes: Vec<_> = jobs.into_iter().map(|job| job.outcome).collect();
        let results = self.packets.iter().zip(self.results).zip(outcomes);
        let results = results.map(|((taken, mut result), outcome)| match outcome {
            Ok(len) => Ok(result.finished(len)?.into_any()),
            Err(refusal) => {
                let packet = match &taken.source {
                    Source::Bytes(bytes) => bytes.as_bytes(),
                    Source::Result(len) => &result.written()[..*len],
                };
                contexts[taken.context].exception(py, self.kind, refusal, packet)
            }
        });
        PyList::new(py, results.collect::<PyResult<Vec<_>>>()?)
    }
}

/// Takes what any object holds at this moment: a sender's packet into its result, which has room
/// for it, a receiver's, which is longer than its result, into an object of its own.
fn copied<'py, D: Direction>(
    context: &Context<D>,
    kind: PacketKind,
    packet: &Bound<'py, PyAny>,
) -> PyResult<(Source<'py>, Blank<'py>)> {
    let py = packet.py();
    readable(packet, "a packet", |packet| {
        // SAFETY: the view is held and the GIL keeps Python code from writing.
        let packet = unsafe { packet.bytes() };
        let mut result = context.blank(py, kind, packet.len())?;
        let source = match result.room().fill(packet) {
            Some(_) => Source::Result(packet.len()),
            None => Source::Bytes(PyBytes::new(py, packet)),
        };
        Ok((source, result))
    })
}

/// A packet whose turn comes.
enum Packet<'a> {
    /// It lies here, and its result goes there; used once.
    Elsewhere(&'a [u8], Option<Room<'a>>),
    /// It is the first so many bytes of where its result stays.
    InPlace(&'a mut [u8], usize),
}

impl Work for Packet<'_> {
    #[inline]
    fn work<D: Direction>(
        &mut self,
        context: &mut D,
        kind: PacketKind,
        scratch: &mut Vec<u8>,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Elsewhere(packet, result) => {
                let result = result.take().ok_or(SrtpError::BufferTooSmall)?;
                context.make(kind, packet, result, scratch)
            }
            Self::InPlace(buffer, len) => context.work(kind, buffer, *len),
        }
    }
}
