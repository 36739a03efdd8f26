//! One media leg, sans-IO: ICE finds and proves a path, DTLS proves the peer and makes keys, SRTP
//! carries the media. Datagrams and the time go in, datagrams and events come out.
//!
//! **What it does.** Sorts datagrams by their first byte; runs a full ICE agent, controlled on a
//! server, controlling on a client; admits DTLS only from addresses that answered a check of ours;
//! starts the handshake afresh when a damaged datagram broke it; compares the peer's certificate
//! with the fingerprints it was given (in the `tls` crate, before any key leaves it); opens and
//! protects media in place; notices a silent peer within 30 s; moves to a new path on an ICE
//! restart without dropping the old one; says at which [`Stage`] it is.
//!
//! **What it does not.** It owns no socket, thread or clock, never probes an address that a server
//! leg was merely told about, decides no policy (versions, groups, profiles and fingerprints are
//! arguments), and looks into no RTP or RTCP packet beyond what protection needs.
//!
//! **Specifications.** RFC 8445 and RFC 8838 (ICE), RFC 7675 (consent), RFC 7983 and RFC 9443
//! (first byte), RFC 5761 (RTP and RTCP on one port), RFC 5763 and RFC 5764 (DTLS-SRTP), RFC 8842.
//! Two deviations for ffmpeg's sake, each with its reason beside it: RFC 8489 §6.3.3 (answers without
//! a mapped address, `bare_response.rs`) and RFC 7675 §5.1 (consent of a peer that only sends,
//! `ice.rs`).
//!
//! **What the caller must still do.** Tell the true local address of every datagram (IP_PKTINFO,
//! v4-mapped addresses normalised): a check to an address that is not one of
//! [`LegConfig::local_addresses`] is dropped. Route STUN requests by [`Leg::local_ufrags`] and all
//! else by the addresses of [`LegEvent::SourceValidated`]. After every call drain [`Leg::poll`] to
//! the end, then ask [`Leg::deadline`] again. Send media only while [`Leg::path`] gives a path.
//!
//! Randomness: ICE credentials are arguments, because signalling needs them first. The tie breaker
//! and the transaction identifiers are drawn here from BoringSSL's generator, as BoringSSL draws
//! its own for DTLS; so tests control time and loss and assert outcomes, not bytes.

#![forbid(unsafe_code)]

mod bare_response;
mod codes;
mod config;
mod demux;
mod event;
mod handshake;
mod ice;
mod leg;
mod stage;

pub use codes::ALL as CODES;
pub use config::{DtlsParameters, IceCredentials, LegConfig, LegError, Side};
pub use demux::{classify, Kind};
pub use event::{LegEvent, Output, Path, Received, SealFacts};
pub use leg::Leg;
pub use stage::Stage;
