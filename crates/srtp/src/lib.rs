//! SRTP and SRTCP contexts: packets in, packets out, in place.
//!
//! What it does: protects and opens RTP and RTCP packets for many SSRCs (RFC 3711), with AES-GCM
//! (RFC 7714) or AES-CM and HMAC-SHA1 (RFC 3711, RFC 6188); keeps rollover counters, replay
//! windows and the bound on SSRCs; holds several master keys and finds a packet's by its MKI;
//! derives session keys once or at a rate; encrypts header extension elements (RFC 6904) or the
//! whole header extension with the CSRCs (RFC 9335); reports keys that are nearly spent; splits
//! the material a DTLS handshake exports (RFC 5764 §4.2).
//!
//! What it does not: agree on keys, judge a profile, own a socket, a clock or a thread. It has no
//! `<From, To>` pairs (RFC 3711 §8.1.1): a key is changed by its MKI, and a context whose packets
//! carry none has one key for life. An SSRC's indices are used once in a context's life, whatever
//! the key: where RFC 3711 §3.4 lets an SRTCP index start over under a new key, the SSRC ends here.
//!
//! What the caller must still do: keep a [`Sender`] for the whole life of its master key (a second
//! one would start again at index 0 and repeat keystream; it is refused beside it and after it, as
//! far as this process remembers), call [`forked`] in the child of a fork,
//! start sequence numbers below 2^15 so that loss of the first packets cannot hide a rollover
//! (RFC 3711 §3.3.1), drain the key events, and never look at a buffer after an error: its
//! contents are unspecified.
//!
//! The order of every received packet is: bounds, key by MKI, index guess (read only), replay
//! check (read only), authentication, and only then memory. So a forged packet leaves no trace but
//! a count.

#![forbid(unsafe_code)]

mod aead;
mod context;
mod counter_mode;
mod cryptex;
mod derivation;
mod elements;
mod error;
mod header;
mod hmac;
mod index;
mod key;
mod keyring;
mod keystream;
pub mod known_answer;
mod lifetime;
mod malformed;
mod mki;
mod options;
mod process;
mod profile;
mod receiver;
mod registry;
mod replay;
mod sender;
mod session;
mod ssrc_table;
mod statistics;
mod stream;
mod transform;

pub use error::{SrtpError, CODES};
pub use key::{KeyError, MasterKey};
pub use lifetime::{KeyEvent, Lifetime, Limit, PacketKind};
pub use malformed::{why_not_opened, why_not_protected};
pub use mki::Mki;
pub use options::{
    Cryptex, ExtensionIds, HeaderProtection, KeyDerivationRate, KeyReuse, NullCipher, OptionError,
    Options, ReplayWindow, SrtcpEncryption,
};
pub use process::{forked, Process};
pub use profile::Profile;
pub use receiver::Receiver;
pub use replay::REPLAY_WINDOW;
pub use sender::Sender;
pub use ssrc_table::MAX_SSRCS;
pub use statistics::{StreamStatistics, Totals};
pub use stream::RocError;
