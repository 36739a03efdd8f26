//! Fuzz targets: each takes any bytes and holds one part of the data plane to its promises.
//!
//! What it does: [`TARGETS`] is the one table of targets. `make fuzz` hands each to a
//! coverage-guided engine for a stated time; the test `replay` runs every target over its seeds
//! and over every input that once broke it (`crashers/TARGET/`), so that neither needs the engine.
//!
//! What it does not: look for what only a memory checker sees. The pure parts forbid `unsafe`; what
//! is left of it stands in `crates/relay/src/udp` and `crates/tls/src/ffi.rs`.
//!
//! A target asserts more than that nothing panics: what a parser reads it must be able to write
//! again, what a session delivers was sent, and what was refused changed nothing.

mod input;
mod targets;
mod vectors;

pub use input::Input;

/// One fuzz target.
pub struct Target {
    /// Its name on the command line and of its folders.
    pub name: &'static str,
    /// Holds the promises for these bytes, or panics.
    pub run: fn(&[u8]),
    /// Inputs worth starting from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target there is.
pub const TARGETS: &[Target] = &[
    targets::srtp_packets::TARGET,
    targets::srtp_session::TARGET,
    targets::rtp_header::TARGET,
    targets::rtcp::TARGET,
    targets::payloads::TARGET,
    targets::reception::TARGET,
    targets::fingerprint::TARGET,
    targets::dtls_datagrams::TARGET,
    targets::dtls_session::TARGET,
    targets::leg_datagrams::TARGET,
    targets::ice_candidates::TARGET,
    targets::tls_opening::TARGET,
    targets::pem::TARGET,
    targets::tls_client::TARGET,
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
