//! Many packets in one call: the GIL is let go once, and a bad packet costs the others nothing.
//!
//! Two forms. A **list** of any bytes-like objects gives a list of `bytes` and exceptions (listed,
//! not raised). An **arena** is one writable buffer cut into slots; packets are worked on where
//! they lie, lengths and outcomes are numbers, and nothing is allocated per packet.

use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::context::{Context, Direction, Kind};
use super::memory::{contents, copy, readable, writable, Memory};
use super::refusal::Refusal;

/// One packet of a batch: its slot, how much of it is the packet, and what became of it.
struct Job<'a> {
    context: usize,
    slot: &'a mut [u8],
    len: usize,
    outcome: Result<(), Refusal>,
}

/// Works on every job, holding one context at a time for as long as jobs for it follow.
fn work<D: Direction>(jobs: &mut [Job<'_>], contexts: &[&Context<D>], kind: Kind) {
    for run in jobs.chunk_by_mut(|one, next| one.context == next.context) {
        let Some(first) = run.first() else { continue };
        let mut state = contexts[first.context].lock_detached();
        for job in run {
            let result = state
                .as_mut()
                .map_err(|refusal| *refusal)
                .and_then(|state| state.open())
                .and_then(|context| Ok(context.work(kind, job.slot, job.len)?));
            match result {
                Ok(len) => job.len = len,
                Err(refusal) => {
                    job.len = 0;
                    job.outcome = Err(refusal);
                }
            }
        }
    }
}

/// Packets on their way in, copied under the GIL.
pub(crate) struct Batch<'py> {
    copies: Vec<Copied<'py>>,
    kind: Kind,
}

/// A copy that nobody else can see yet, with room to grow.
struct Copied<'py> {
    context: usize,
    bytes: Bound<'py, PyBytes>,
    len: usize,
}

impl<'py> Batch<'py> {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            copies: Vec::new(),
            kind,
        }
    }

    /// Adds a copy of `packet` for the context with this number.
    pub(crate) fn add<D: Direction>(
        &mut self,
        number: usize,
        context: &Context<D>,
        packet: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = packet.py();
        let (bytes, len) = readable(packet, "a packet", |packet| {
            let growth = context.lock(py).map_or(0, |state| state.growth(self.kind));
            // SAFETY: the view is held and the GIL keeps Python code from writing.
            let packet = unsafe { packet.bytes() };
            Ok((copy(py, packet, growth)?, packet.len()))
        })?;
        self.copies.push(Copied {
            context: number,
            bytes,
            len,
        });
        Ok(())
    }

    /// Works on all of them without the GIL and lists the results in order.
    pub(crate) fn run<D: Direction>(
        mut self,
        py: Python<'py>,
        contexts: &[&Context<D>],
    ) -> PyResult<Bound<'py, PyList>> {
        let kind = self.kind;
        let mut jobs = Vec::with_capacity(self.copies.len());
        for copied in &mut self.copies {
            jobs.push(Job {
                context: copied.context,
                // SAFETY: made by `copy` and given to nobody.
                slot: unsafe { contents(&mut copied.bytes) },
                len: copied.len,
                outcome: Ok(()),
            });
        }
        py.detach(|| work(&mut jobs, contexts, kind));
        let fates: Vec<_> = jobs.into_iter().map(|job| (job.len, job.outcome)).collect();
        let list = PyList::empty(py);
        for (copied, (len, outcome)) in self.copies.into_iter().zip(fates) {
            match outcome {
                Ok(()) if len == copied.bytes.len()? => list.append(copied.bytes)?,
                Ok(()) => list.append(PyBytes::new(py, &copied.bytes.as_bytes()[..len]))?,
                Err(refusal) => list.append(refusal.listed(py)?)?,
            }
        }
        Ok(list)
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
        kind: Kind,
    ) -> PyResult<usize> {
        // Every view is taken before the first packet is touched and held to the end, so that
        // results have where to go. The numbers are copied in before the work and out after it:
        // whatever happens to their arrays meanwhile, and even if they overlap the arena, slots
        // stay disjoint and in bounds.
        let which = which.map(|which| readable(which, "which", |words| integers(words, "which")));
        let which = which.transpose()?;
        let offsets = readable(self.offsets, "offsets", |words| integers(words, "offsets"))?;
        writable(self.lengths, "lengths", |lengths| {
            let lens = integers(lengths, "lengths")?;
            writable(self.outcomes, "outcomes", |outcomes| {
                if outcomes.item_len() != 1 || outcomes.len() < lens.len() {
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
                    py.detach(|| work(&mut jobs, contexts, kind));
                    let fates: Vec<_> =
                        jobs.into_iter().map(|job| (job.len, job.outcome)).collect();
                    store(lengths, outcomes, &fates);
                    Ok(fates.iter().filter(|(_, outcome)| outcome.is_ok()).count())
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
) -> PyResult<Vec<Job<'a>>> {
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
                "slot {number}: {len} bytes do not fit between offsets {start} and {end} of an \
                 arena of {whole} bytes"
            )));
        }
        let context = which.map_or(0, |which| which[number]);
        if context >= contexts as u64 {
            return Err(PyValueError::new_err(format!(
                "which: packet {number} names context {context} of {contexts}"
            )));
        }
        let (_, behind) = memory.split_at_mut(usize::try_from(start - at)?);
        let (slot, rest) = behind.split_at_mut(usize::try_from(end - start)?);
        jobs.push(Job {
            context: usize::try_from(context)?,
            slot,
            len: usize::try_from(*len)?,
            outcome: Ok(()),
        });
        (memory, at) = (rest, end);
    }
    Ok(jobs)
}

const WORD_LEN: usize = size_of::<u64>();

/// A copy of an array of 64-bit integers. A negative one becomes larger than any arena.
fn integers(memory: Memory, what: &str) -> PyResult<Vec<u64>> {
    if memory.item_len() != WORD_LEN {
        return Err(PyBufferError::new_err(format!(
            "{what}: an array of 64-bit integers is needed (array('q') or numpy int64)"
        )));
    }
    // SAFETY: the caller holds the view, and the GIL keeps Python code from writing.
    let (words, _) = unsafe { memory.bytes() }.as_chunks::<WORD_LEN>();
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

/// Writes the new lengths, then the outcomes.
fn store(lengths: Memory, outcomes: Memory, fates: &[(usize, Result<(), Refusal>)]) {
    // SAFETY: the caller holds both views and the GIL; the first slice is gone before the second
    // is made.
    let (words, _) = unsafe { lengths.bytes_mut() }.as_chunks_mut::<WORD_LEN>();
    for (word, (len, _)) in words.iter_mut().zip(fates) {
        *word = (*len as u64).to_ne_bytes();
    }
    // SAFETY: as above.
    let bytes = unsafe { outcomes.bytes_mut() };
    for (byte, (_, outcome)) in bytes.iter_mut().zip(fates) {
        *byte = outcome.err().map_or(0, Refusal::number);
    }
}
