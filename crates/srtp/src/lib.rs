//! SRTP and SRTCP contexts: packets in, packets out, in place.
//!
//! What it does: protects and opens RTP and RTCP packets for many SSRCs under one master key per
//! direction (RFC 3711), with AES-GCM (RFC 7714) or AES-CM with HMAC-SHA1-80; keeps the rollover
//! counter, the replay window and the bound on SSRCs; splits the material a DTLS handshake
//! exports (RFC 5764 §4.2).
//!
//! What it does not: agree on keys, judge a profile, own a socket, a clock or a thread. It has no
//! MKI, no key derivation rate, no re-keying within a context (a new key is a new context) and
//! refuses unencrypted SRTCP (E = 0).
//!
//! What the caller must still do: use one [`Sender`] per master key for its whole life (a second
//! one would start again at index 0 and repeat keystream), start sequence numbers below 2^15 so
//! that loss of the first packets cannot hide a rollover (RFC 3711 §3.3.1), count the errors, and
//! never look at a buffer after an error: its contents are unspecified.
//!
//! The order of every received packet is: bounds, index guess (read only), replay check (read
//! only), authentication, and only then memory. So a forged packet leaves no trace.

#![forbid(unsafe_code)]

mod aead;
mod counter_mode;
mod error;
mod header;
mod index;
mod key;
mod profile;
mod receiver;
mod replay;
mod sender;
mod ssrc_table;
mod transform;

#[cfg(test)]
mod vectors;

pub use error::{SrtpError, CODES};
pub use key::{KeyError, MasterKey};
pub use profile::Profile;
pub use receiver::Receiver;
pub use replay::REPLAY_WINDOW;
pub use sender::Sender;
pub use ssrc_table::MAX_SSRCS;
