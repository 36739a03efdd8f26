//! A file per target.

pub(crate) mod dtls_datagrams;
mod dtls_ends;
pub(crate) mod dtls_session;
pub(crate) mod fingerprint;
pub(crate) mod ice_candidates;
pub(crate) mod leg_datagrams;
pub(crate) mod payloads;
pub(crate) mod pem;
pub(crate) mod reception;
pub(crate) mod rtcp;
pub(crate) mod rtp_header;
pub(crate) mod srtp_packets;
pub(crate) mod srtp_session;
pub(crate) mod tls_client;
pub(crate) mod tls_opening;
