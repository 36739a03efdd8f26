//! How many packets one master key protects: a warning first, then the end.
//!
//! RFC 3711 §9.2 allows 2^48 SRTP packets or 2^31 SRTCP packets, whichever comes first, and says
//! of keys that several SSRCs share that the stream which is used up first decides. We count the
//! packets of all SSRCs under the master key together: never later than the RFC, and the one
//! number per key that RFC 4568 §6.1 (`lifetime` of an `a=crypto` line) means.

use std::fmt;

use crate::mki::Mki;
use crate::options::OptionError;

/// How many packets one master key protects, counted over all SSRCs.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Lifetime {
    /// Of SRTP, at most 2^48.
    pub rtp: Limit,
    /// Of SRTCP, at most 2^31.
    pub rtcp: Limit,
}

impl Lifetime {
    /// The most SRTP packets under one key (RFC 3711 §9.2).
    pub const MOST_RTP: u64 = 1 << 48;

    /// The most SRTCP packets under one key (RFC 3711 §9.2).
    pub const MOST_RTCP: u64 = 1 << 31;

    /// Limits of SRTP and of SRTCP, each a warning and an end, in packets.
    pub fn new(rtp: (u64, u64), rtcp: (u64, u64)) -> Result<Self, OptionError> {
        Ok(Self {
            rtp: Limit::new(rtp, Self::MOST_RTP)?,
            rtcp: Limit::new(rtcp, Self::MOST_RTCP)?,
        })
    }
}

impl Default for Lifetime {
    /// The end where RFC 3711 §9.2 puts it, the warning when a sixteenth is left.
    fn default() -> Self {
        let last_sixteenth = |hard: u64| Limit {
            soft: hard / 16 * 15,
            hard,
        };
        Self {
            rtp: last_sixteenth(Self::MOST_RTP),
            rtcp: last_sixteenth(Self::MOST_RTCP),
        }
    }
}

/// A warning and an end, in packets.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Limit {
    soft: u64,
    hard: u64,
}

impl Limit {
    fn new((soft, hard): (u64, u64), most: u64) -> Result<Self, OptionError> {
        if 0 < soft && soft <= hard && hard <= most {
            Ok(Self { soft, hard })
        } else {
            Err(OptionError::Lifetime { soft, hard, most })
        }
    }

    /// After how many packets the context reports the key as nearly spent.
    #[must_use]
    pub const fn soft(self) -> u64 {
        self.soft
    }

    /// After how many packets the key protects and opens no more.
    #[must_use]
    pub const fn hard(self) -> u64 {
        self.hard
    }
}

/// Which of a key's two counters an event speaks of.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum PacketKind {
    /// SRTP.
    Rtp,
    /// SRTCP.
    Rtcp,
}

impl fmt::Display for PacketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtp => "SRTP",
            Self::Rtcp => "SRTCP",
        })
    }
}

/// What happened to a master key. Each event comes once per key and kind of packet.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum KeyEvent {
    /// The soft limit was reached: agree on another key now.
    NearlySpent {
        /// Which key.
        mki: Mki,
        /// Which counter reached its limit.
        kind: PacketKind,
        /// How many packets are left.
        remaining: u64,
    },
    /// The hard limit was reached: every further packet of this kind is
    /// [`KeyExhausted`](crate::SrtpError::KeyExhausted).
    Spent {
        /// Which key.
        mki: Mki,
        /// Which counter reached its limit.
        kind: PacketKind,
    },
}

impl KeyEvent {
    pub(crate) const NEARLY_SPENT: &'static str = "SRTP.KEY_NEARLY_SPENT";

    /// The code that events and documents use.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NearlySpent { .. } => Self::NEARLY_SPENT,
            Self::Spent { .. } => crate::SrtpError::KeyExhausted.code(),
        }
    }
}

/// Which limit a packet reached.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Reached {
    Soft { remaining: u64 },
    Hard,
}

/// The packets of one kind that one master key has protected or opened.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Usage {
    used: u64,
    limit: Limit,
}

impl Usage {
    pub(crate) const fn new(limit: Limit) -> Self {
        Self { used: 0, limit }
    }

    /// Whether the key has taken a packet.
    pub(crate) const fn has_begun(&self) -> bool {
        self.used > 0
    }

    /// Whether the key may take one more packet.
    #[inline]
    pub(crate) const fn is_spent(&self) -> bool {
        self.used >= self.limit.hard
    }

    /// Counts a packet that the key has taken.
    #[inline]
    pub(crate) fn count(&mut self) -> Option<Reached> {
        self.used += 1;
        if self.used < self.limit.soft {
            return None;
        }
        self.reached()
    }

    #[cold]
    fn reached(&self) -> Option<Reached> {
        if self.used == self.limit.hard {
            Some(Reached::Hard)
        } else if self.used == self.limit.soft {
            let remaining = self.limit.hard - self.used;
            Some(Reached::Soft { remaining })
        } else {
            None
        }
    }
}
