//! BoringSSL behind one policy, one identity and one set of facts, for TLS and DTLS alike.
//!
//! **What it does.** [`Identity`] is a certificate chain with its key. [`dtls::DtlsEndpoint`] is
//! one DTLS 1.2 or 1.3 association, sans-IO: datagrams and the time go in, datagrams and events
//! come out. [`client::TlsClient`] is one TLS connection that we open, sans-IO likewise.
//! [`server`] makes the contexts of TLS doors and says in one code why a handshake
//! failed. [`Facts`] is what was negotiated, read in one place for both.
//!
//! **What it does not.** It opens no socket, starts no thread, reads no clock of its own for a
//! handshake, decides no policy (versions, groups, profiles and admissible fingerprints are
//! arguments) and knows no SRTP: it exports keying material and nothing more.
//!
//! **Specifications.** RFC 8446 and RFC 5246 (TLS), RFC 9147 and RFC 6347 (DTLS), RFC 5764
//! (`use_srtp` and its exporter), RFC 8122 (fingerprints), RFC 5705 (exporters), RFC 5280 (paths).
//!
//! **What the caller must still do.** Hand DTLS bytes only from an address that answered an
//! authenticated check; call [`dtls::DtlsEndpoint::tick`] at its deadline for as long as the leg
//! lives; drain `poll_transmit` and `poll_event` after every call; put a time limit on a TCP
//! handshake.

#![deny(unsafe_code)]

mod alert;
pub mod client;
pub mod codes;
pub mod dtls;
mod error;
mod facts;
mod ffi;
mod fingerprint;
mod foreign;
mod identity;
mod reason;
pub mod server;
mod strength;
mod suites;
mod trust;
mod version;
mod witness;

pub use alert::alert_name;
pub use error::TlsError;
pub use facts::{Facts, PeerCertificate};
pub use fingerprint::{Fingerprint, FingerprintHash};
pub use identity::{Chain, Identity};
pub use trust::{Authority, PeerName};
pub use version::Version;
