//! `SrtpSender` and `SrtpReceiver`: SRTP and SRTCP contexts as Python objects.
//!
//! Does: every call in four forms (a new `bytes`, the caller's buffer, a list, an arena), for RTP and
//! for RTCP; makes typed exceptions of refusals; lets threads take turns (see [`context`]).
//!
//! Does not: know more of SRTP than `sealcast-srtp` tells it.
//!
//! What the caller must still do: leave an arena alone while a batch works on it.

mod arena;
mod batch;
mod context;
mod facts;
mod key;
mod known_answer;
mod list;
mod memory;
mod options;
mod refusal;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use pyo3::PyClass;
use sealcast_srtp::{KeyError, MasterKey, Options, PacketKind, Receiver, Sender};

use arena::Arena;
use context::Context;
use list::Batch;
use refusal::{refused, refused_by_name};

pub(crate) use options::{Asked, Pair, Wanted, Whole};

pub use facts::{KeyNearlySpent, KeySpent, SrtpStream, SrtpTotals};
pub use known_answer::{
    srtp_known_aead_open, srtp_known_aead_seal, srtp_known_keystream, srtp_known_session_keys,
};

/// Protects what one side sends under one master key.
#[pyclass(module = "sealcast.srtp", frozen)]
pub struct SrtpSender {
    context: Context<Sender>,
}

/// Opens what one side receives under one master key.
#[pyclass(module = "sealcast.srtp", frozen)]
pub struct SrtpReceiver {
    context: Context<Receiver>,
}

impl SrtpSender {
    /// A sender whose key never was in Python.
    pub fn from_master_key(key: MasterKey, options: Options) -> Result<Self, KeyError> {
        Ok(Self {
            context: Context::new(Sender::new(key, options)?),
        })
    }
}

impl SrtpReceiver {
    /// A receiver whose key never was in Python.
    pub fn from_master_key(key: MasterKey, options: Options) -> Result<Self, KeyError> {
        Ok(Self {
            context: Context::new(Receiver::new(key, options)?),
        })
    }
}

/// The typed exception for a key that [`SrtpSender::from_master_key`] or its twin did not take.
pub fn key_refused(py: Python<'_>, error: &KeyError) -> PyErr {
    match error {
        // The table's sentence says all that there is to say.
        KeyError::InUseElsewhere | KeyError::NullCipher { .. } => refused_by_name(py, error.code()),
        _ => refused(py, error.code(), error),
    }
}

/// Writes the constructor and the methods of both directions from one text: they differ in names,
/// in what they say of Cryptex, and in what each has for itself. `_core.pyi` documents them for one
/// direction at a time.
macro_rules! methods {
    ($class:ident, $way:ident,
     $one:ident, $one_rtcp:ident, $into:ident, $into_rtcp:ident,
     $many:ident, $many_rtcp:ident, $arena:ident, $arena_rtcp:ident,
     cryptex: $cryptex:ty = $off:ident, options: ($($option:ident),*), $signature:literal,
     { $($own:tt)* }) => {
        #[pymethods]
        impl $class {
            #[new]
            #[pyo3(
                signature = (
                    profile, master_key, master_salt, *, mki = None,
                    replay_window = Whole::from(1024), max_ssrcs = None, ssrcs = None,
                    key_derivation_rate = Whole::from(0), rtp_lifetime = None,
                    rtcp_lifetime = None, encrypted_extensions = None, cryptex = $off,
                    unencrypted_srtcp = false, null_cipher = false $(, $option = false)*
                ),
                text_signature = $signature
            )]
            #[expect(
                clippy::too_many_arguments,
                reason = "keywords of a Python constructor"
            )]
            fn new(
                profile: &Bound<'_, PyAny>,
                master_key: &Bound<'_, PyAny>,
                master_salt: &Bound<'_, PyAny>,
                mki: Option<&Bound<'_, PyAny>>,
                replay_window: Whole,
                max_ssrcs: Option<Whole>,
                ssrcs: Option<&Bound<'_, PyAny>>,
                key_derivation_rate: Whole,
                rtp_lifetime: Option<Pair>,
                rtcp_lifetime: Option<Pair>,
                encrypted_extensions: Option<&Bound<'_, PyAny>>,
                cryptex: $cryptex,
                unencrypted_srtcp: bool,
                null_cipher: bool,
                $($option: bool),*
            ) -> PyResult<Self> {
                let py = profile.py();
                let wanted = Wanted {
                    replay_window,
                    max_ssrcs,
                    ssrcs,
                    key_derivation_rate,
                    rtp_lifetime,
                    rtcp_lifetime,
                    encrypted_extensions,
                    cryptex: cryptex.asked(py)?,
                    unencrypted_srtcp,
                    null_cipher,
                    // A receiver makes no keystream that another one has not to make too.
                    key_reuse: false $(|| $option)*,
                };
                let profile = key::wanted_profile(profile)?;
                let options = wanted.options(py)?;
                let mki = key::mki(mki)?;
                let key = key::master_key(profile, master_key, master_salt)?;
                let context = $way::with_mki(mki, key, options);
                Ok(Self {
                    context: Context::new(context.map_err(|error| key_refused(py, &error))?),
                })
            }

            $($own)*

            /// One packet in, one new `bytes` out.
            fn $one<'py>(&self, packet: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
                self.context.one(packet, PacketKind::Rtp)
            }

            /// One compound RTCP packet in, one new `bytes` out.
            fn $one_rtcp<'py>(&self, packet: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
                self.context.one(packet, PacketKind::Rtcp)
            }

            /// One packet into the start of `target`; returns the length of the result.
            fn $into(
                &self,
                packet: &Bound<'_, PyAny>,
                target: &Bound<'_, PyAny>,
            ) -> PyResult<usize> {
                self.context.within(packet, target, PacketKind::Rtp)
            }

            /// One compound RTCP packet into the start of `target`; returns the length of the result.
            fn $into_rtcp(
                &self,
                packet: &Bound<'_, PyAny>,
                target: &Bound<'_, PyAny>,
            ) -> PyResult<usize> {
                self.context.within(packet, target, PacketKind::Rtcp)
            }

            /// Packets in order; a list of `bytes` and of exceptions, which are not raised.
            fn $many<'py>(&self, packets: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
                list(&self.context, packets, PacketKind::Rtp)
            }

            /// Compound RTCP packets in order; a list of `bytes` and of exceptions.
            fn $many_rtcp<'py>(&self, packets: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
                list(&self.context, packets, PacketKind::Rtcp)
            }

            /// The packets of an arena, where they lie; returns how many went through.
            fn $arena(
                &self,
                py: Python<'_>,
                arena: &Bound<'_, PyAny>,
                offsets: &Bound<'_, PyAny>,
                lengths: &Bound<'_, PyAny>,
                outcomes: &Bound<'_, PyAny>,
            ) -> PyResult<usize> {
                let arena = Arena { memory: arena, offsets, lengths, outcomes };
                arena.run(py, &[&self.context], None, PacketKind::Rtp)
            }

            /// The compound RTCP packets of an arena, where they lie; returns how many went through.
            fn $arena_rtcp(
                &self,
                py: Python<'_>,
                arena: &Bound<'_, PyAny>,
                offsets: &Bound<'_, PyAny>,
                lengths: &Bound<'_, PyAny>,
                outcomes: &Bound<'_, PyAny>,
            ) -> PyResult<usize> {
                let arena = Arena { memory: arena, offsets, lengths, outcomes };
                arena.run(py, &[&self.context], None, PacketKind::Rtcp)
            }

            /// Holds another master key; its identifier is as long as the first one's.
            fn add_key(
                &self,
                mki: &Bound<'_, PyAny>,
                master_key: &Bound<'_, PyAny>,
                master_salt: &Bound<'_, PyAny>,
            ) -> PyResult<()> {
                let py = mki.py();
                let mki = key::mki(Some(mki))?;
                let profile = self.context.ask(py, |context| context.profile())?;
                let key = key::master_key(profile, master_key, master_salt)?;
                self.context
                    .ask(py, |context| context.add_key(mki, key))?
                    .map_err(|error| key_refused(py, &error))
            }

            /// Forgets and wipes a master key.
            fn remove_key(&self, mki: &Bound<'_, PyAny>) -> PyResult<()> {
                let py = mki.py();
                let mki = key::mki(Some(mki))?;
                self.context
                    .ask(py, |context| context.remove_key(&mki))?
                    .map_err(|error| key_refused(py, &error))
            }

            /// The identifiers of the keys that it holds.
            #[getter]
            fn mkis<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
                self.context.ask(py, |context| {
                    let mkis = context.mkis();
                    mkis.map(|mki| PyBytes::new(py, mki.as_bytes())).collect()
                })
            }

            /// Starts a source at this rollover counter, before its first packet (RFC 3711 §3.3.1).
            fn set_roc(&self, py: Python<'_>, ssrc: Whole, roc: Whole) -> PyResult<()> {
                let (ssrc, roc) = (ssrc.fit(py, "ssrc")?, roc.fit(py, "roc")?);
                self.context
                    .ask(py, |context| context.set_roc(ssrc, roc))?
                    .map_err(|error| refused_by_name(py, error.code()))
            }

            /// What it knows of each source.
            fn statistics(&self, py: Python<'_>) -> PyResult<Vec<SrtpStream>> {
                self.context
                    .ask(py, |context| context.streams().map(SrtpStream::from).collect())
            }

            /// What it has counted over all sources, known or not.
            fn totals(&self, py: Python<'_>) -> PyResult<SrtpTotals> {
                self.context.ask(py, |context| context.totals().into())
            }

            /// What happened to its keys since the last call.
            fn events<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
                let events: Vec<_> = self.context.ask(py, |context| {
                    std::iter::from_fn(|| context.take_event()).collect()
                })?;
                events.iter().map(|event| facts::event(py, event)).collect()
            }

            /// The profile of its keys.
            #[getter]
            fn profile<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let profile = self.context.ask(py, |context| context.profile())?;
                py.import("sealcast.srtp")?.getattr("SrtpProfile")?.call1((profile.name(),))
            }

            /// Wipes the keys now; every later call raises `ContextClosed`.
            fn close(&self, py: Python<'_>) {
                self.context.close(py);
            }

            fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
                slf
            }

            fn __exit__(
                &self,
                py: Python<'_>,
                _kind: &Bound<'_, PyAny>,
                _error: &Bound<'_, PyAny>,
                _traceback: &Bound<'_, PyAny>,
            ) {
                self.context.close(py);
            }
        }
    };
}

methods!(
    SrtpSender,
    Sender,
    protect,
    protect_rtcp,
    protect_into,
    protect_into_rtcp,
    protect_many,
    protect_many_rtcp,
    protect_arena,
    protect_arena_rtcp,
    cryptex: bool = false,
    options: (key_reuse_for_tests),
    "(profile, master_key, master_salt, *, mki=None, replay_window=1024, max_ssrcs=None, \
        ssrcs=None, key_derivation_rate=0, rtp_lifetime=None, rtcp_lifetime=None, \
        encrypted_extensions=None, cryptex=False, unencrypted_srtcp=False, null_cipher=False, \
        key_reuse_for_tests=False)",
    {
        /// Protects with the key that has this identifier from now on.
        fn use_key(&self, mki: &Bound<'_, PyAny>) -> PyResult<()> {
            let py = mki.py();
            let mki = key::mki(Some(mki))?;
            self.context
                .ask(py, |sender| sender.use_key(&mki))?
                .map_err(|error| key_refused(py, &error))
        }

        /// The most bytes that protection adds to an RTP packet.
        #[getter]
        fn rtp_overhead(&self, py: Python<'_>) -> PyResult<usize> {
            self.context.ask(py, |sender| sender.rtp_overhead())
        }

        /// The bytes that protection adds to an RTCP packet.
        #[getter]
        fn rtcp_overhead(&self, py: Python<'_>) -> PyResult<usize> {
            self.context.ask(py, |sender| sender.rtcp_overhead())
        }
    }
);
methods!(
    SrtpReceiver,
    Receiver,
    unprotect,
    unprotect_rtcp,
    unprotect_into,
    unprotect_into_rtcp,
    unprotect_many,
    unprotect_many_rtcp,
    unprotect_arena,
    unprotect_arena_rtcp,
    cryptex: Option<&str> = None,
    options: (),
    "(profile, master_key, master_salt, *, mki=None, replay_window=1024, max_ssrcs=None, \
        ssrcs=None, key_derivation_rate=0, rtp_lifetime=None, rtcp_lifetime=None, \
        encrypted_extensions=None, cryptex=None, unencrypted_srtcp=False, null_cipher=False)",
    {}
);

/// A class whose objects hold a context.
trait Holder: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync {
    type Way: context::Direction;

    fn context(&self) -> &Context<Self::Way>;
}

impl Holder for SrtpSender {
    type Way = Sender;

    fn context(&self) -> &Context<Sender> {
        &self.context
    }
}

impl Holder for SrtpReceiver {
    type Way = Receiver;

    fn context(&self) -> &Context<Receiver> {
        &self.context
    }
}

fn list<'py, D: context::Direction>(
    context: &Context<D>,
    packets: &Bound<'py, PyAny>,
    kind: PacketKind,
) -> PyResult<Bound<'py, PyList>> {
    let mut batch = Batch::of(packets, kind);
    for packet in packets.try_iter()? {
        batch.add(0, context, packet?)?;
    }
    batch.run(packets.py(), &[context])
}

/// Packets of many contexts in one call.
fn pairs<'py, H: Holder>(
    pairs: &Bound<'py, PyAny>,
    kind: PacketKind,
) -> PyResult<Bound<'py, PyList>> {
    let mut batch = Batch::of(pairs, kind);
    let mut holders: Vec<Bound<'py, H>> = Vec::new();
    for pair in pairs.try_iter()? {
        let (holder, packet) = pair?.extract::<(Bound<'py, H>, Bound<'py, PyAny>)>()?;
        // Packets of one context usually follow one another.
        let last = holders.last();
        if last.is_none_or(|last| last.as_ptr() != holder.as_ptr()) {
            holders.push(holder.clone());
        }
        batch.add(holders.len() - 1, holder.get().context(), packet)?;
    }
    let contexts: Vec<_> = holders.iter().map(|one| one.get().context()).collect();
    batch.run(pairs.py(), &contexts)
}

const fn kind(rtcp: bool) -> PacketKind {
    if rtcp {
        PacketKind::Rtcp
    } else {
        PacketKind::Rtp
    }
}

/// Writes the two functions that take packets of many contexts of one class.
macro_rules! of_many {
    ($class:ident, $pairs:ident, $arena:ident) => {
        /// Pairs of context and packet, in order; a list of `bytes` and of exceptions.
        #[pyfunction]
        pub fn $pairs<'py>(pairs: &Bound<'py, PyAny>, rtcp: bool) -> PyResult<Bound<'py, PyList>> {
            self::pairs::<$class>(pairs, kind(rtcp))
        }

        /// The packets of an arena, slot `i` with `contexts[which[i]]`.
        #[pyfunction]
        pub fn $arena(
            contexts: Vec<Bound<'_, $class>>,
            which: &Bound<'_, PyAny>,
            arena: &Bound<'_, PyAny>,
            offsets: &Bound<'_, PyAny>,
            lengths: &Bound<'_, PyAny>,
            outcomes: &Bound<'_, PyAny>,
            rtcp: bool,
        ) -> PyResult<usize> {
            let contexts: Vec<_> = contexts.iter().map(|one| one.get().context()).collect();
            let arena = Arena {
                memory: arena,
                offsets,
                lengths,
                outcomes,
            };
            arena.run(which.py(), &contexts, Some(which), kind(rtcp))
        }
    };
}

of_many!(SrtpSender, srtp_protect_pairs, srtp_protect_arena);
of_many!(SrtpReceiver, srtp_unprotect_pairs, srtp_unprotect_arena);

/// The code of every outcome that a batch writes, by number; 0 is success and has none.
#[pyfunction]
pub fn srtp_outcomes() -> Vec<&'static str> {
    refusal::outcomes()
}
