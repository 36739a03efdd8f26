//! Why a packet was not protected or not opened. Each reason is one code and one counter.

use crate::KeyError;

/// The fate of a packet that went no further. Nothing in the context changed.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, thiserror::Error)]
pub enum SrtpError {
    /// Too short, a wrong version, lengths that do not fit, or SRTCP with E = 0.
    #[error("the packet is not well-formed RTP or RTCP, or is unencrypted SRTCP")]
    Malformed,
    /// The index was received before.
    #[error("a packet with this index was already received")]
    Replayed,
    /// The index lies behind the replay window, so that a replay could not be told.
    #[error("the packet is older than the replay window")]
    TooOld,
    /// The tag does not fit the packet under this key.
    #[error("the authentication tag does not fit")]
    AuthenticationFailed,
    /// The context already holds as many SSRCs as it may.
    #[error("the context holds as many SSRCs as it may")]
    TooManySsrcs,
    /// The index would pass 2^48 (SRTP) or 2^31 (SRTCP): RFC 3711 §9.2 wants a new key.
    #[error("the master key has no indices left for this SSRC")]
    KeyExhausted,
    /// The sender used this index, or cannot rule it out: keystream would repeat.
    #[error("the sender may have used this index before")]
    IndexUsed,
    /// The buffer has no room for the tag.
    #[error("the buffer has no room for the authentication tag")]
    BufferTooSmall,
}

impl SrtpError {
    /// Every error of this crate, for tables that must be complete.
    pub const ALL: [SrtpError; 8] = [
        Self::Malformed,
        Self::Replayed,
        Self::TooOld,
        Self::AuthenticationFailed,
        Self::TooManySsrcs,
        Self::KeyExhausted,
        Self::IndexUsed,
        Self::BufferTooSmall,
    ];

    /// The code that counters, events and documents use.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "SRTP.MALFORMED",
            Self::Replayed => "SRTP.REPLAYED",
            Self::TooOld => "SRTP.REPLAY_OLD",
            Self::AuthenticationFailed => "SRTP.AUTH_FAILED",
            Self::TooManySsrcs => "SRTP.TOO_MANY_SSRCS",
            Self::KeyExhausted => "SRTP.KEY_EXHAUSTED",
            Self::IndexUsed => "SRTP.INDEX_USED",
            Self::BufferTooSmall => "SRTP.BUFFER_TOO_SMALL",
        }
    }
}

/// Every code that this crate can emit.
pub const CODES: [&str; SrtpError::ALL.len() + 1] = {
    let mut codes = [KeyError::CODE; SrtpError::ALL.len() + 1];
    let mut at = 0;
    while at < SrtpError::ALL.len() {
        codes[at] = SrtpError::ALL[at].code();
        at += 1;
    }
    codes
};
