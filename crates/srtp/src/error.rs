//! Why a packet was not protected or not opened. Each reason is one code and one counter.

use crate::key::KeyError;
use crate::options::OptionError;
use crate::stream::RocError;

/// The fate of a packet that went no further. Nothing in the context changed but its counters.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, thiserror::Error)]
pub enum SrtpError {
    /// Too short, a wrong version, or lengths that do not fit.
    #[error("the packet is not well-formed RTP or RTCP")]
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
    /// The context was made for a set of SSRCs, and this one is not in it.
    #[error("the SSRC is not one that the context was made for")]
    SsrcNotDeclared,
    /// The master key protected as many packets as it may (RFC 3711 §9.2).
    #[error("the master key has protected as many packets as it may")]
    KeyExhausted,
    /// The SSRC has no index left: it would pass 2^48 (SRTP) or 2^31 (SRTCP) (RFC 3711 §9.2). A new
    /// key does not begin it again, another SSRC does.
    #[error("the SSRC has used its last index")]
    SourceExhausted,
    /// The sender used this index, or cannot rule it out: keystream would repeat.
    #[error("the sender may have used this index before")]
    IndexUsed,
    /// The buffer has no room for the tag and what else protection adds.
    #[error("the buffer has no room for what protection adds")]
    BufferTooSmall,
    /// The packet names a master key that the context does not hold (RFC 3711 §8.1).
    #[error("no master key has the identifier that the packet carries")]
    UnknownMki,
    /// An SRTCP packet with E = 0, and the context takes none.
    #[error("the SRTCP packet is not encrypted")]
    UnencryptedSrtcp,
    /// The header cannot be encrypted as agreed, or arrived protected in another way than agreed
    /// (RFC 6904, RFC 9335).
    #[error("the header extension or the CSRCs are not protected as agreed")]
    HeaderNotProtected,
    /// The engine refused to derive or to seal; BoringSSL does this only when it is out of memory.
    #[error("the cipher could not be run")]
    Engine,
}

impl SrtpError {
    /// Every error of this crate, for tables that must be complete.
    pub const ALL: [SrtpError; 14] = [
        Self::Malformed,
        Self::Replayed,
        Self::TooOld,
        Self::AuthenticationFailed,
        Self::TooManySsrcs,
        Self::SsrcNotDeclared,
        Self::KeyExhausted,
        Self::SourceExhausted,
        Self::IndexUsed,
        Self::BufferTooSmall,
        Self::UnknownMki,
        Self::UnencryptedSrtcp,
        Self::HeaderNotProtected,
        Self::Engine,
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
            Self::SsrcNotDeclared => "SRTP.SSRC_NOT_DECLARED",
            Self::KeyExhausted => "SRTP.KEY_EXHAUSTED",
            Self::SourceExhausted => "SRTP.SSRC_EXHAUSTED",
            Self::IndexUsed => "SRTP.INDEX_USED",
            Self::BufferTooSmall => "SRTP.BUFFER_TOO_SMALL",
            Self::UnknownMki => "SRTP.UNKNOWN_MKI",
            Self::UnencryptedSrtcp => "SRTP.UNENCRYPTED_RTCP",
            Self::HeaderNotProtected => "SRTP.HEADER_NOT_PROTECTED",
            Self::Engine => "SRTP.ENGINE_FAILED",
        }
    }
}

/// Every code that this crate can emit.
pub const CODES: [&str; SrtpError::ALL.len() + 7] = {
    let mut codes = [OptionError::CODE; SrtpError::ALL.len() + 7];
    let mut at = 0;
    while at < SrtpError::ALL.len() {
        codes[at] = SrtpError::ALL[at].code();
        at += 1;
    }
    codes[at] = RocError::CODE;
    codes[at + 1] = KeyError::BAD_KEY;
    codes[at + 2] = KeyError::KEY_IN_USE;
    codes[at + 3] = KeyError::KEY_USED_BEFORE;
    codes[at + 4] = KeyError::NULL_CIPHER;
    codes[at + 5] = crate::lifetime::KeyEvent::NEARLY_SPENT;
    codes
};
