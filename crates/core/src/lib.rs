//! The Python module `sealcast._core`: converts values, maps errors, releases the GIL.
//!
//! Everything that happens at the rate of packets, TLS records or media requests happens below this
//! crate, on threads that never take the GIL. What crosses here happens at the rate of legs, tracks
//! and frames: commands go in as calls, facts come out as JSON that `sealcast.wire` types.
//!
//! What it does **not** do: decide anything. A leg's policy, its admissible fingerprints and its
//! profiles arrive decided.
//!
//! Key material crosses nowhere by itself: a [`media::MediaIdentity`] and a [`dtls::SrtpKeys`] are
//! handles, and the SRTP keys of legs are derived and kept below. The one way out is
//! `SrtpKeys.reveal`, which Python's face makes audible. A program that uses [`srtp`] alone may hand
//! keys in.

mod chain;
mod dtls;
mod error;
mod front;
mod judge;
mod media;
mod srtp;
mod tls;

use pyo3::prelude::*;

/// Native part of sealcast; see `_core.pyi` for the types.
#[pymodule]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyDict;

    #[pymodule_export]
    use super::chain::{judge_chain, read_certificate};
    #[pymodule_export]
    use super::dtls::{DtlsEndpoint, SrtpKeys};
    #[pymodule_export]
    use super::error::CoreError;
    #[pymodule_export]
    use super::front::Front;
    #[pymodule_export]
    use super::judge::judge_peer;
    #[pymodule_export]
    use super::media::{FrameSink, FrameTap, MediaIdentity, Relay};
    #[pymodule_export]
    use super::srtp::{
        srtp_known_aead_open, srtp_known_aead_seal, srtp_known_keystream, srtp_known_session_keys,
        srtp_outcomes, srtp_protect_arena, srtp_protect_pairs, srtp_unprotect_arena,
        srtp_unprotect_pairs, KeyNearlySpent, KeySpent, SrtpReceiver, SrtpSender, SrtpStream,
        SrtpTotals,
    };
    #[pymodule_export]
    use super::tls::TlsClient;

    /// Every SRTP profile that the core knows: its name in the policy and its IANA number, if
    /// DTLS-SRTP has one for it.
    #[pyfunction]
    fn srtp_profiles() -> Vec<(&'static str, Option<u16>)> {
        super::srtp_profiles()
    }

    /// The table of SRTP profiles: name, number in DTLS-SRTP, name in SDES, and the lengths in bytes
    /// of key, salt and what protection adds to RTP and to RTCP.
    #[pyfunction]
    fn srtp_profile_table() -> Vec<super::ProfileRow> {
        super::srtp_profile_table()
    }

    /// Every code that the native side can emit.
    #[pyfunction]
    fn codes() -> Vec<&'static str> {
        super::codes()
    }

    /// Called in the child of a fork: what its parent made is not for it.
    #[pyfunction]
    fn forked() {
        sealcast_srtp::forked();
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Here, so that nothing of this module can be had without it.
        let hook = PyDict::new(module.py());
        hook.set_item("after_in_child", module.getattr("forked")?)?;
        let os = module.py().import("os")?;
        os.call_method("register_at_fork", (), Some(&hook))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("RELAY_LEGS", sealcast_relay::limits::LEGS)?;
        module.add("RELAY_TRACKS", sealcast_relay::limits::TRACKS)
    }
}

fn srtp_profiles() -> Vec<(&'static str, Option<u16>)> {
    sealcast_srtp::Profile::ALL
        .iter()
        .map(|profile| (profile.name(), profile.id()))
        .collect()
}

type ProfileRow = (
    &'static str,
    Option<u16>,
    Option<&'static str>,
    usize,
    usize,
    usize,
    usize,
);

fn srtp_profile_table() -> Vec<ProfileRow> {
    let rows = sealcast_srtp::Profile::ALL.iter().map(|profile| {
        (
            profile.name(),
            profile.id(),
            profile.sdes_name(),
            profile.key_len(),
            profile.salt_len(),
            profile.rtp_overhead(),
            profile.rtcp_overhead(),
        )
    });
    rows.collect()
}

fn codes() -> Vec<&'static str> {
    let mut codes: Vec<&'static str> = [
        sealcast_tls::codes::ALL,
        sealcast_leg::CODES,
        sealcast_relay::CODES,
        sealcast_front::CODES,
        error::CODES,
    ]
    .concat();
    codes.extend(sealcast_srtp::CODES);
    codes.sort_unstable();
    codes.dedup();
    codes
}
