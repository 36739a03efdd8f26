//! The arena form of a batch: one writable buffer cut into slots. Packets are worked on where they
//! lie, lengths and outcomes are numbers, and nothing is allocated per packet.

use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use sealcast_srtp::{PacketKind, SrtpError};

use super::batch::{work, Job, Work};
use super::context::{Context, Direction};
use super::memory::{readable_array, writable, writable_array, Item, Memory};
use super::refusal::Refusal;

/// A slot, and how much of it is the packet.
struct Slot<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Work for Slot<'_> {
    #[inline]
    fn work<D: Direction>(
        &mut self,
        context: &mut D,
        kind: PacketKind,
        _: &mut Vec<u8>,
    ) -> Result<usize, SrtpError> {
        context.work(kind, self.bytes, self.len)
    }
}

/// The arguments of an arena call, as Python gave them.
pub(crate) struct Arena<'a, 'py> {
    pub(crate) memory: &'a Bound<'py, PyAny>,
    pub(crate) offsets: &'a Bound<'py, PyAny>,
    pub(crate) lengths: &'a Bound<'py, PyAny>,
    pub(crate) outcomes: &'a Bound<'py, PyAny>,
}

impl Arena<'_, '_> {
    /// Works on every slot where it lies; returns how many packets went through.
    ///
    /// Slot `i` is `offsets[i]..offsets[i + 1]`, its packet the first `lengths[i]` bytes, its
    /// context `contexts[which(i)]`.
    pub(crate) fn run<D: Direction>(
        &self,
        py: Python<'_>,
        contexts: &[&Context<D>],
        which: Option<&Bound<'_, PyAny>>,
        kind: PacketKind,
    ) -> PyResult<usize> {
        // Every view is taken before the first packet is touched and held to the end, so that
        // results have where to go. The numbers are copied in before the work and out after it:
        // whatever happens to their arrays meanwhile, and even if they overlap the arena, slots
        // stay disjoint and in bounds.
        let which =
            which.map(|which| readable_array(which, "which", |words| integers(words, "which")));
        let which = which.transpose()?;
        let offsets = readable_array(self.offsets, "offsets", |words| integers(words, "offsets"))?;
        writable_array(self.lengths, "lengths", |lengths| {
            let lens = integers(lengths, "lengths")?;
            writable_array(self.outcomes, "outcomes", |outcomes| {
                if outcomes.item() != Item::Octet || outcomes.len() < lens.len() {
                    return Err(PyBufferError::new_err(
                        "outcomes: one byte for each packet is needed",
                    ));
                }
                writable(self.memory, "arena", |memory| {
                    // SAFETY: the view is held. While the GIL is not, other threads must leave
                    // the arena alone, as with every call that works on a caller's buffer
                    // without it; the documentation asks for that.
                    let memory = unsafe { memory.bytes_mut() };
                    let mut jobs = cut(memory, &offsets, &lens, which.as_deref(), contexts.len())?;
                    work(py, &mut jobs, contexts, kind);
                    let fates: Vec<_> = jobs.into_iter().map(|job| job.outcome).collect();
                    store(lengths, outcomes, &fates);
                    Ok(fates.iter().filter(|outcome| outcome.is_ok()).count())
                })
            })
        })
    }
}

/// Cuts the arena into slots: in order, disjoint, each packet inside its own.
fn cut<'a>(
    mut memory: &'a mut [u8],
    offsets: &[u64],
    lens: &[u64],
    which: Option<&[u64]>,
    contexts: usize,
) -> PyResult<Vec<Job<Slot<'a>>>> {
    let (count, whole) = (lens.len(), memory.len());
    if offsets.len() != count + 1 {
        return Err(PyValueError::new_err(format!(
            "offsets: {} numbers for {count} packets; one more than packets is needed",
            offsets.len()
        )));
    }
    if which.is_some_and(|which| which.len() != count) {
        return Err(PyValueError::new_err(format!(
            "which: one number for each of {count} packets is needed"
        )));
    }
    let mut jobs = Vec::with_capacity(count);
    let mut at = 0;
    for (number, len) in lens.iter().enumerate() {
        let (start, end) = (offsets[number], offsets[number + 1]);
        if at > start || start > end || end > whole as u64 || *len > end - start {
            return Err(PyValueError::new_err(format!(
                "slot {number}: {} bytes do not fit between offsets {} and {} of an arena of {whole} \
                 bytes",
                len.cast_signed(),
                start.cast_signed(),
                end.cast_signed()
            )));
        }
        let context = which.map_or(0, |which| which[number]);
        if context >= contexts as u64 {
            return Err(PyValueError::new_err(format!(
                "which: packet {number} names context {} of {contexts}",
                context.cast_signed()
            )));
        }
        let (_, behind) = memory.split_at_mut(usize::try_from(start - at)?);
        let (slot, rest) = behind.split_at_mut(usize::try_from(end - start)?);
        let slot = Slot {
            bytes: slot,
            len: usize::try_from(*len)?,
        };
        jobs.push(Job::new(usize::try_from(context)?, slot));
        (memory, at) = (rest, end);
    }
    Ok(jobs)
}

const WORD_LEN: usize = size_of::<u64>();

/// A copy of an array of 64-bit integers. A negative one becomes larger than any arena.
fn integers(memory: Memory, what: &str) -> PyResult<Vec<u64>> {
    if memory.item() != Item::Word {
        return Err(PyBufferError::new_err(format!(
            "{what}: an array of 64-bit integers in native byte order is needed (array('q') or \
             numpy int64)"
        )));
    }
    // SAFETY: the caller holds the view, and the GIL keeps Python code from writing.
    let (words, _) = unsafe { memory.bytes() }.as_chunks::<WORD_LEN>();
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

/// Writes the new lengths, 0 for a packet that was refused, then the outcomes.
fn store(lengths: Memory, outcomes: Memory, fates: &[Result<usize, Refusal>]) {
    // SAFETY: the caller holds both views and the GIL; the first slice is gone before the second
    // is made.
    let (words, _) = unsafe { lengths.bytes_mut() }.as_chunks_mut::<WORD_LEN>();
    for (word, outcome) in words.iter_mut().zip(fates) {
        *word = (outcome.unwrap_or(0) as u64).to_ne_bytes();
    }
    // SAFETY: as above.
    let bytes = unsafe { outcomes.bytes_mut() };
    for (byte, outcome) in bytes.iter_mut().zip(fates) {
        *byte = outcome.err().map_or(0, Refusal::number);
    }
}
