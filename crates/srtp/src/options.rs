//! What a context is told besides its keys. Every value here is valid by construction, and the
//! default is the strict one.

use std::collections::BTreeSet;

use crate::lifetime::Lifetime;

/// A value that an option cannot have.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum OptionError {
    /// RFC 3711 §3.3.2 asks for 64 at least; above 2^15 a packet index cannot be guessed.
    #[error("a replay window is a multiple of 64 packets from 64 to 32768, got {got}")]
    ReplayWindow {
        /// What was given, in packets.
        got: usize,
    },
    /// RFC 3711 §4.3.1.
    #[error("a key derivation rate is 0 or a power of two up to 2^24, got {got}")]
    KeyDerivationRate {
        /// What was given.
        got: u32,
    },
    /// The soft limit warns before the hard limit ends the key.
    #[error("a key lifetime has 0 < soft <= hard <= {most}, got {soft} and {hard}")]
    Lifetime {
        /// The warning, in packets.
        soft: u64,
        /// The end, in packets.
        hard: u64,
        /// What RFC 3711 §9.2 allows, in packets.
        most: u64,
    },
    /// RFC 3711 §8.1 and RFC 4568 §6.1.
    #[error("a master key identifier has at most {most} bytes, got {got}")]
    MkiLength {
        /// The most, in bytes.
        most: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// RFC 8285 §4: elements are numbered from 1 to 255, and only 1 to 14 fit a one-byte header.
    #[error("a header extension element has a number from 1 to 255, got 0")]
    ExtensionId,
    /// A context for no SSRC does nothing, and one without a bound is no bound.
    #[error("max_ssrcs is from 1 to {most}, got {got}", most = Options::MOST_SSRCS)]
    MaxSsrcs {
        /// What was given.
        got: usize,
    },
    /// A context for no SSRC does nothing.
    #[error("ssrcs names one SSRC at least; leave it out to serve any")]
    NoSsrc,
    /// All that are declared are to be served.
    #[error("ssrcs declares {declared} SSRCs and max_ssrcs is {most}: it must be as many")]
    TooManyDeclared {
        /// How many were declared.
        declared: usize,
        /// The bound.
        most: usize,
    },
}

impl OptionError {
    /// The code of every one of them.
    pub(crate) const CODE: &'static str = "SRTP.BAD_OPTION";

    /// The code that events and documents use.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Self::CODE
    }
}

/// What a [`Sender`](crate::Sender) or a [`Receiver`](crate::Receiver) is told besides its keys.
///
/// Both ends must agree on [`key_derivation_rate`](Self::key_derivation_rate) and on
/// [`header_protection`](Self::header_protection); the rest is each end's own.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Options {
    /// How far behind the newest a packet may be. A sender uses it too: what it cannot rule out
    /// to have sent, it refuses.
    pub replay_window: ReplayWindow,
    /// How many SSRCs the context holds at most: 1 to [`MOST_SSRCS`](Self::MOST_SSRCS), and no
    /// fewer than are declared (see [`sources`](Self::sources)).
    pub max_ssrcs: usize,
    /// The only SSRCs that the context serves; `None` serves any, up to `max_ssrcs`.
    ///
    /// Two living senders may share a master key only if both declare their SSRCs and no SSRC is
    /// in both sets (RFC 3711 §9.1).
    pub ssrcs: Option<BTreeSet<u32>>,
    /// After how many packets new session keys are derived (RFC 3711 §4.3.1).
    pub key_derivation_rate: KeyDerivationRate,
    /// Whether SRTCP may be sent and taken with E = 0 (RFC 3711 §3.4).
    pub srtcp_encryption: SrtcpEncryption,
    /// What of the RTP header is encrypted.
    pub header_protection: HeaderProtection,
    /// How many packets one master key protects.
    pub lifetime: Lifetime,
    /// Whether a profile that encrypts nothing is taken.
    pub null_cipher: NullCipher,
    /// Whether a sender takes a key that a sender before it has protected packets with.
    pub key_reuse: KeyReuse,
}

impl Options {
    /// What [`max_ssrcs`](Self::max_ssrcs) may be at most.
    pub const MOST_SSRCS: usize = 1 << 16;

    /// Refuses a bound or a declared set that a context could not serve.
    pub fn sources(&self) -> Result<(), OptionError> {
        let most = self.max_ssrcs;
        if !(1..=Self::MOST_SSRCS).contains(&most) {
            return Err(OptionError::MaxSsrcs { got: most });
        }
        match self.ssrcs.as_ref().map(BTreeSet::len) {
            Some(0) => Err(OptionError::NoSsrc),
            Some(declared) if declared > most => {
                Err(OptionError::TooManyDeclared { declared, most })
            }
            _ => Ok(()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replay_window: ReplayWindow::default(),
            max_ssrcs: crate::MAX_SSRCS,
            ssrcs: None,
            key_derivation_rate: KeyDerivationRate::NEVER,
            srtcp_encryption: SrtcpEncryption::Required,
            header_protection: HeaderProtection::Clear,
            lifetime: Lifetime::default(),
            null_cipher: NullCipher::Refused,
            key_reuse: KeyReuse::Refused,
        }
    }
}

/// Whether a sender may take a key that another one of this process has protected with. It starts
/// at index 0 again, so its packets lay those of the other one open.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum KeyReuse {
    /// The key is refused.
    Refused,
    /// It is taken: published vectors and measurements use one key many times.
    ForTestsAndTools,
}

/// How many packets back from the newest one may still arrive (RFC 3711 §3.3.2).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct ReplayWindow(u64);

impl ReplayWindow {
    /// A window of this many packets: a multiple of 64, from 64 to 32,768.
    pub fn new(packets: usize) -> Result<Self, OptionError> {
        match u64::try_from(packets) {
            Ok(wide) if (64..=32_768).contains(&wide) && wide % 64 == 0 => Ok(Self(wide)),
            _ => Err(OptionError::ReplayWindow { got: packets }),
        }
    }

    /// Its size, in packets.
    #[must_use]
    pub const fn packets(self) -> u64 {
        self.0
    }
}

impl Default for ReplayWindow {
    /// 1,024 packets: at 4 Mbit/s of video about three seconds.
    fn default() -> Self {
        Self(crate::REPLAY_WINDOW)
    }
}

/// After how many packets of an SSRC new session keys are derived: never, or a power of two.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct KeyDerivationRate(Option<u8>);

impl KeyDerivationRate {
    /// Session keys are derived once: what everybody does, and all that most stacks can.
    pub const NEVER: Self = Self(None);

    /// 0 for never, or a power of two up to 2^24 (RFC 3711 §4.3.1).
    pub fn new(rate: u32) -> Result<Self, OptionError> {
        match rate {
            0 => Ok(Self::NEVER),
            _ if rate.is_power_of_two() && rate <= 1 << 24 => {
                // At most 24, so it fits.
                Ok(Self(Some(rate.trailing_zeros() as u8)))
            }
            _ => Err(OptionError::KeyDerivationRate { got: rate }),
        }
    }

    /// The rate as RFC 3711 writes it: 0 for never.
    #[must_use]
    pub const fn packets(self) -> u32 {
        match self.0 {
            None => 0,
            Some(power) => 1 << power,
        }
    }

    /// `index DIV rate`, the quantity r of RFC 3711 §4.3.1; 0 for never.
    pub(crate) const fn period(self, index: u64) -> u64 {
        match self.0 {
            None => 0,
            Some(power) => index >> power,
        }
    }

    pub(crate) const fn is_never(self) -> bool {
        self.0.is_none()
    }
}

/// Whether the bodies of SRTCP packets are encrypted. Authentication is never optional.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum SrtcpEncryption {
    /// A sender sets E = 1, a receiver refuses E = 0.
    #[default]
    Required,
    /// A sender sets E = 0 (SDES: `UNENCRYPTED_SRTCP`), a receiver takes both.
    Off,
}

/// What of the RTP header is encrypted. The two mechanisms exclude each other (RFC 9335 §4).
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub enum HeaderProtection {
    /// Nothing, as in RFC 3711.
    #[default]
    Clear,
    /// The data of these header extension elements (RFC 6904).
    Elements(ExtensionIds),
    /// Every element and the CSRCs (RFC 9335). A sender protects each packet that has any.
    Cryptex(Cryptex),
}

/// What a receiver does with a packet whose header carries elements or CSRCs in the clear.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Cryptex {
    /// Takes it: the peer may have agreed to less.
    Accepted,
    /// Refuses it (RFC 9335 §5.2).
    Required,
}

/// A set of header extension elements, by their numbers (RFC 8285 §4).
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct ExtensionIds([u64; 4]);

impl ExtensionIds {
    /// The set of these numbers, each from 1 to 255.
    pub fn new(ids: impl IntoIterator<Item = u8>) -> Result<Self, OptionError> {
        let mut set = [0; 4];
        for id in ids {
            if id == 0 {
                return Err(OptionError::ExtensionId);
            }
            set[usize::from(id / 64)] |= 1 << (id % 64);
        }
        Ok(Self(set))
    }

    /// Whether this element is in the set.
    #[must_use]
    pub const fn contains(&self, id: u8) -> bool {
        self.0[(id / 64) as usize] & 1 << (id % 64) != 0
    }
}

/// Whether a profile that encrypts nothing is taken.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum NullCipher {
    /// No: such a key is refused.
    #[default]
    Refused,
    /// Yes. Packets are authenticated and readable by anyone.
    ForTestsAndTools,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_window_is_a_multiple_of_64_from_64_to_32768() {
        for packets in [64, 128, 192, 1024, 32_768] {
            let window = ReplayWindow::new(packets).expect("it is one of them");
            assert_eq!(window.packets(), packets as u64);
        }
        for packets in [0, 1, 63, 65, 1000, 32_832, usize::MAX] {
            let refused = ReplayWindow::new(packets).expect_err("it is none of them");
            assert_eq!(refused.code(), "SRTP.BAD_OPTION");
        }
    }

    #[test]
    fn a_key_derivation_rate_is_0_or_a_power_of_two_up_to_2_to_the_24() {
        for power in 0..=24 {
            let rate = KeyDerivationRate::new(1 << power).expect("a power of two");
            assert_eq!(rate.packets(), 1 << power);
            assert_eq!(rate.period((1 << power) - 1), 0);
            assert_eq!(rate.period(1 << power), 1);
        }
        assert_eq!(KeyDerivationRate::new(0), Ok(KeyDerivationRate::NEVER));
        for rate in [3, 1000, 1 << 25, u32::MAX] {
            assert!(KeyDerivationRate::new(rate).is_err());
        }
    }

    #[test]
    fn a_context_is_for_one_ssrc_at_least_and_for_all_that_are_declared() {
        let with = |max_ssrcs, ssrcs: Option<std::ops::Range<u32>>| Options {
            max_ssrcs,
            ssrcs: ssrcs.map(Iterator::collect),
            ..Options::default()
        };
        for good in [
            with(1, None),
            with(65_536, Some(0..65_536)),
            with(1, Some(7..8)),
        ] {
            assert_eq!(good.sources(), Ok(()));
        }
        let declared = OptionError::TooManyDeclared {
            declared: 3,
            most: 2,
        };
        for (bad, error) in [
            (with(0, None), OptionError::MaxSsrcs { got: 0 }),
            (with(65_537, None), OptionError::MaxSsrcs { got: 65_537 }),
            (with(64, Some(0..0)), OptionError::NoSsrc),
            (with(2, Some(0..3)), declared),
        ] {
            assert_eq!(bad.sources(), Err(error));
        }
    }

    #[test]
    fn a_set_of_extension_ids_holds_what_was_put_in() {
        let set = ExtensionIds::new([1, 14, 64, 255]).expect("from 1 to 255");
        let held: Vec<u8> = (0..=255).filter(|id| set.contains(*id)).collect();
        assert_eq!(held, [1, 14, 64, 255]);
        assert_eq!(ExtensionIds::new([0]), Err(OptionError::ExtensionId));
    }
}
