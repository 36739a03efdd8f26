//! The sending direction: plain packets become protected ones, and no index is used twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cryptex;
use crate::elements;
use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader, SrtcpWord, EXTENSION_PREFIX_LEN};
use crate::index::SRTCP_INDEX_END;
use crate::key::{KeyError, MasterKey};
use crate::keyring::KeyRing;
use crate::lifetime::{KeyEvent, PacketKind};
use crate::mki::Mki;
use crate::options::{HeaderProtection, KeyReuse, Options, SrtcpEncryption};
use crate::profile::Profile;
use crate::registry::{Claim, Fingerprint, Past};
use crate::replay::Seen;
use crate::ssrc_table::SsrcTable;
use crate::statistics::{StreamStatistics, Totals};
use crate::stream::{Counts, RocError, RtpTrack};

/// Protects the RTP and RTCP packets of one direction.
///
/// It takes packets in any order within the replay window of the newest, but each sequence number
/// of an SSRC once, whatever master key it is protected with: a second packet would reuse
/// keystream, and with AES-GCM give away the authentication key. A retransmission is sent as RTX
/// (RFC 4588) with its own SSRC.
///
/// While a sender lives, no other one in this process can be made with one of its master keys and
/// salts, unless both declare their SSRCs ([`Options::ssrcs`]) and share none. Once it has protected
/// a packet the same holds after its end, for the newest 65,536 such keys of the process.
pub struct Sender {
    options: Options,
    declared: Option<Arc<BTreeSet<u32>>>,
    keys: KeyRing,
    streams: SsrcTable<Stream>,
    totals: Totals,
}

/// What a sender remembers of one SSRC.
struct Stream {
    rtp: RtpTrack,
    next_rtcp: u32,
    counts: Counts,
}

impl Stream {
    fn new(options: &Options) -> Self {
        Self {
            rtp: RtpTrack::new(options.replay_window.packets()),
            next_rtcp: 0,
            counts: Counts::default(),
        }
    }
}

impl Sender {
    /// A context whose packets carry no MKI. Rollover counters and SRTCP indices start at 0.
    pub fn new(key: MasterKey, options: Options) -> Result<Self, KeyError> {
        Self::with_mki(Mki::default(), key, options)
    }

    /// A context whose packets name their master key (RFC 3711 §8.1).
    pub fn with_mki(mki: Mki, key: MasterKey, options: Options) -> Result<Self, KeyError> {
        let declared = options.ssrcs.clone().map(Arc::new);
        let claim = claim_for(declared.clone(), options.key_reuse);
        Ok(Self {
            keys: KeyRing::new(mki, key, &options, claim)?,
            streams: SsrcTable::new(options.max_ssrcs, declared.clone()),
            declared,
            options,
            totals: Totals::default(),
        })
    }

    /// The profile of its keys.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.keys.profile()
    }

    /// The most bytes that protection adds to an RTP packet: tag, MKI and, with Cryptex, an empty
    /// header extension.
    #[must_use]
    pub const fn rtp_overhead(&self) -> usize {
        let growth = match self.options.header_protection {
            HeaderProtection::Cryptex(_) => EXTENSION_PREFIX_LEN,
            HeaderProtection::Clear | HeaderProtection::Elements(_) => 0,
        };
        self.profile().rtp_overhead() + self.keys.mki_len() + growth
    }

    /// The bytes that protection adds to an RTCP packet: tag, E flag with index, and MKI.
    #[must_use]
    pub const fn rtcp_overhead(&self) -> usize {
        self.profile().rtcp_overhead() + self.keys.mki_len()
    }

    /// Protects the RTP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`rtp_overhead`](Self::rtp_overhead). Nothing is
    /// allocated, except once for a new SSRC. After an error the buffer's contents are unspecified.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let outcome = self.seal_rtp(buffer, len);
        if let Err(fate) = outcome {
            self.totals.count_refused(fate);
        }
        outcome
    }

    /// Protects the compound RTCP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`rtcp_overhead`](Self::rtcp_overhead).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let outcome = self.seal_rtcp(buffer, len);
        if let Err(fate) = outcome {
            self.totals.count_refused(fate);
        }
        outcome
    }

    fn seal_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let plain = buffer.get(..len).ok_or(SrtpError::Malformed)?;
        let mut header = RtpHeader::parse(plain, 0)?;
        // A receiver would take this tag for a promise that we do not keep.
        if cryptex::is_tag(header.extension) {
            return Err(SrtpError::HeaderNotProtected);
        }
        let growth = match &self.options.header_protection {
            HeaderProtection::Clear => 0,
            HeaderProtection::Elements(_) => {
                elements::check(plain, &header)?;
                0
            }
            HeaderProtection::Cryptex(_) => cryptex::growth(&header),
        };
        let profile = self.keys.profile();
        let sealed_len = len + growth + profile.rtp_tag_len();
        let protected_len = sealed_len + self.keys.mki_len();
        if buffer.len() < protected_len {
            return Err(SrtpError::BufferTooSmall);
        }
        if growth > 0 || matches!(self.options.header_protection, HeaderProtection::Cryptex(_)) {
            cryptex::mark(&mut buffer[..len + growth], &mut header)?;
        }
        let key = self.keys.current()?;
        if key.rtp_usage.is_spent() {
            return Err(SrtpError::KeyExhausted);
        }

        let number = match self.streams.find(header.ssrc) {
            Some(number) => number,
            None => {
                self.streams.admits(header.ssrc)?;
                self.streams.insert(header.ssrc, Stream::new(&self.options))
            }
        };
        let stream = self.streams.row(number);
        let index = stream
            .rtp
            .index_of(header.sequence)
            .ok_or(SrtpError::KeyExhausted)?;
        if stream.rtp.check(index) != Seen::No {
            stream.counts.count_refused(SrtpError::IndexUsed);
            return Err(SrtpError::IndexUsed);
        }
        // Recorded before it is used: whatever happens next, the index is spent.
        stream.rtp.record(index);

        let options = &self.options;
        key.rtp.with(index, |session| {
            if let (Some(cipher), HeaderProtection::Elements(ids)) =
                (&mut session.elements, &options.header_protection)
            {
                cipher.apply(buffer, &header, index, ids)?;
            }
            session
                .transform
                .seal_rtp(&mut buffer[..sealed_len], &header, index)
        })?;
        if protected_len > sealed_len {
            key.mki
                .put_into(&mut buffer[..protected_len], profile.behind_rtp_mki());
        }
        stream.counts.count_rtp(len);
        if let Some(reached) = key.rtp_usage.count() {
            self.keys.report(PacketKind::Rtp, reached);
        }
        Ok(protected_len)
    }

    fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buffer.get(..len).ok_or(SrtpError::Malformed)?, 0)?;
        let profile = self.keys.profile();
        let sealed_len = len + profile.rtcp_overhead();
        let protected_len = sealed_len + self.keys.mki_len();
        if buffer.len() < protected_len {
            return Err(SrtpError::BufferTooSmall);
        }
        let key = self.keys.current()?;
        if key.rtcp_usage.is_spent() {
            return Err(SrtpError::KeyExhausted);
        }

        let number = match self.streams.find(ssrc) {
            Some(number) => number,
            None => {
                self.streams.admits(ssrc)?;
                self.streams.insert(ssrc, Stream::new(&self.options))
            }
        };
        let stream = self.streams.row(number);
        let index = stream.next_rtcp;
        if index == SRTCP_INDEX_END {
            return Err(SrtpError::KeyExhausted);
        }
        // Counted before it is used: whatever happens next, the index is spent.
        stream.next_rtcp += 1;

        let is_encrypted =
            profile.encrypts() && self.options.srtcp_encryption == SrtcpEncryption::Required;
        let word = SrtcpWord::new(index, is_encrypted);
        key.rtcp.with(u64::from(index), |session| {
            session
                .transform
                .seal_rtcp(&mut buffer[..sealed_len], ssrc, word)
        })?;
        if protected_len > sealed_len {
            key.mki
                .put_into(&mut buffer[..protected_len], profile.behind_rtcp_mki());
        }
        stream.counts.count_rtcp(len);
        if let Some(reached) = key.rtcp_usage.count() {
            self.keys.report(PacketKind::Rtcp, reached);
        }
        Ok(protected_len)
    }

    /// Adds a master key; packets go on being protected with the one in use.
    pub fn add_key(&mut self, mki: Mki, key: MasterKey) -> Result<(), KeyError> {
        let claim = claim_for(self.declared.clone(), self.options.key_reuse);
        self.keys.add(mki, key, &self.options, claim)
    }

    /// Protects with this key from the next packet on. Indices go on where they stand.
    pub fn use_key(&mut self, mki: &Mki) -> Result<(), KeyError> {
        self.keys.choose(mki)
    }

    /// Forgets a key that is not in use, but not how many packets it has protected.
    pub fn remove_key(&mut self, mki: &Mki) -> Result<(), KeyError> {
        if self.keys.current_mki() == Some(mki) {
            return Err(KeyError::StillInUse);
        }
        self.keys.remove(mki)
    }

    /// The identifiers of its keys, in the order in which they were added.
    pub fn mkis(&self) -> impl Iterator<Item = &Mki> {
        self.keys.mkis()
    }

    /// What happened to its keys since the last call; drain it after protecting.
    pub fn take_event(&mut self) -> Option<KeyEvent> {
        self.keys.take_event()
    }

    /// Sets the rollover counter that the first packet of an SSRC will have.
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), RocError> {
        let number = match self.streams.find(ssrc) {
            Some(number) => number,
            None => {
                self.streams.admits(ssrc)?;
                self.streams.insert(ssrc, Stream::new(&self.options))
            }
        };
        self.streams.row(number).rtp.start_at(roc)
    }

    /// What it has counted per SSRC, in the order in which the SSRCs came.
    pub fn streams(&self) -> impl Iterator<Item = StreamStatistics> + '_ {
        self.streams.iter().map(|(ssrc, stream)| {
            let highest_rtcp_index = stream.next_rtcp.checked_sub(1);
            stream
                .counts
                .statistics(ssrc, &stream.rtp, highest_rtcp_index)
        })
    }

    /// What it has counted over all SSRCs.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals.with_streams(self.streams())
    }
}

fn claim_for(
    declared: Option<Arc<BTreeSet<u32>>>,
    reuse: KeyReuse,
) -> impl FnOnce(Fingerprint, Past) -> Result<Option<Claim>, KeyError> {
    move |fingerprint, past| {
        let past = match reuse {
            KeyReuse::Refused => past,
            KeyReuse::ForTestsAndTools => Past::Known,
        };
        Claim::new(fingerprint, declared.as_ref(), past).map(Some)
    }
}
