//! What a sender and a receiver have in common: options, master keys, sources and counts.
//!
//! The two differ in what they remember of a source ([`Source`]) and in what they do to a packet,
//! which stands in their own files.

use std::sync::Arc;

use crate::error::SrtpError;
use crate::header::EXTENSION_PREFIX_LEN;
use crate::key::{KeyError, MasterKey};
use crate::keyring::KeyRing;
use crate::lifetime::{KeyEvent, PacketKind};
use crate::mki::Mki;
use crate::options::{HeaderProtection, KeyReuse, Options};
use crate::profile::Profile;
use crate::registry::{Claim, Fingerprint, Past};
use crate::ssrc_table::SsrcTable;
use crate::statistics::{StreamStatistics, Totals};
use crate::stream::{Counts, RocError, RtpTrack};

/// What one direction remembers of one SSRC. The type also says which direction it is.
pub(crate) trait Source: Sized {
    /// Whether its packets are made here: then nobody else may make any under the same key.
    const IS_SENT: bool;

    fn new(options: &Options) -> Self;
    fn rtp(&self) -> &RtpTrack;
    fn rtp_mut(&mut self) -> &mut RtpTrack;
    fn highest_rtcp_index(&self) -> Option<u32>;
    fn counts(&self) -> &Counts;
}

/// The packets of one direction: [`Sender`](crate::Sender) or [`Receiver`](crate::Receiver).
#[expect(
    private_bounds,
    reason = "there are two directions, and nobody adds one"
)]
pub struct Context<S: Source> {
    pub(crate) options: Options,
    pub(crate) keys: KeyRing,
    pub(crate) streams: SsrcTable<S>,
    pub(crate) totals: Totals,
}

#[expect(private_bounds, reason = "as above")]
impl<S: Source> Context<S> {
    /// A context whose packets carry no MKI. Rollover counters and SRTCP indices start at 0.
    pub fn new(key: MasterKey, options: Options) -> Result<Self, KeyError> {
        Self::with_mki(Mki::default(), key, options)
    }

    /// A context whose packets name their master key (RFC 3711 §8.1).
    pub fn with_mki(mki: Mki, key: MasterKey, options: Options) -> Result<Self, KeyError> {
        let streams = SsrcTable::new(options.max_ssrcs, options.ssrcs.clone().map(Arc::new));
        let claim = claim::<S>(&streams, &options);
        Ok(Self {
            keys: KeyRing::new(mki, key, &options, claim)?,
            streams,
            options,
            totals: Totals::default(),
        })
    }

    /// The profile of its keys.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.keys.profile()
    }

    /// How many bytes longer a protected packet is than the plain one. For RTP that is tag and MKI
    /// and, in a sender with Cryptex, an empty header extension at most; for RTCP it is tag, E flag
    /// with index, and MKI. The same for the whole life of the context.
    #[must_use]
    pub const fn overhead(&self, kind: PacketKind) -> usize {
        self.keys.mki_len()
            + match (kind, &self.options.header_protection) {
                (PacketKind::Rtp, HeaderProtection::Cryptex(_)) if S::IS_SENT => {
                    self.profile().rtp_overhead() + EXTENSION_PREFIX_LEN
                }
                (PacketKind::Rtp, _) => self.profile().rtp_overhead(),
                (PacketKind::Rtcp, _) => self.profile().rtcp_overhead(),
            }
    }

    /// [`overhead`](Self::overhead) of RTP.
    #[must_use]
    pub const fn rtp_overhead(&self) -> usize {
        self.overhead(PacketKind::Rtp)
    }

    /// [`overhead`](Self::overhead) of RTCP.
    #[must_use]
    pub const fn rtcp_overhead(&self) -> usize {
        self.overhead(PacketKind::Rtcp)
    }

    /// Adds a master key. A sender goes on with the one in use; a receiver opens packets that name
    /// the new one from now on, beside those of other keys.
    pub fn add_key(&mut self, mki: Mki, key: MasterKey) -> Result<(), KeyError> {
        let claim = claim::<S>(&self.streams, &self.options);
        self.keys.add(mki, key, &self.options, claim)
    }

    /// Forgets a key, which in a sender must not be the one in use. How many packets it took and
    /// which indices they had is not forgotten with it, for the 1,024 removed last: a sender is refused
    /// an older one that it protected with, a receiver counts anew under it.
    pub fn remove_key(&mut self, mki: &Mki) -> Result<(), KeyError> {
        if S::IS_SENT && self.keys.current_mki() == Some(mki) {
            return Err(KeyError::StillInUse);
        }
        self.keys.remove(mki)
    }

    /// The identifiers of its keys, in the order in which they were added.
    pub fn mkis(&self) -> impl Iterator<Item = &Mki> {
        self.keys.mkis()
    }

    /// What happened to its keys since the last call; drain it after protecting or opening.
    pub fn take_event(&mut self) -> Option<KeyEvent> {
        self.keys.take_event()
    }

    /// Sets the rollover counter that the first packet of an SSRC has: in a receiver for one who
    /// joins late and was told (RFC 3711 §3.3.1).
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), RocError> {
        let number = self
            .streams
            .find_or_insert(ssrc, || S::new(&self.options))?;
        self.streams.row(number).rtp_mut().start_at(roc)
    }

    /// What it has counted per SSRC, in the order in which the SSRCs came.
    pub fn streams(&self) -> impl Iterator<Item = StreamStatistics> + '_ {
        self.streams.iter().map(|(ssrc, source)| {
            let highest_rtcp_index = source.highest_rtcp_index();
            source
                .counts()
                .statistics(ssrc, source.rtp(), highest_rtcp_index)
        })
    }

    /// What it has counted over all SSRCs.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals.with_streams(self.streams())
    }

    /// Counts a packet that the caller refused by itself, for want of room.
    pub fn count_refused(&mut self, fate: SrtpError) {
        self.totals.count_refused(fate);
    }

    /// Counts the packet if it goes no further.
    #[inline(always)]
    pub(crate) fn counted(
        &mut self,
        outcome: Result<usize, SrtpError>,
    ) -> Result<usize, SrtpError> {
        if let Err(fate) = outcome {
            self.count_refused(fate);
        }
        outcome
    }
}

/// A sender's claim to a key; a receiver makes no keystream that another one has not to make too.
fn claim<S: Source>(
    streams: &SsrcTable<S>,
    options: &Options,
) -> impl FnOnce(Fingerprint, Past) -> Result<Option<Claim>, KeyError> {
    let (declared, reuse) = (streams.declared().cloned(), options.key_reuse);
    move |fingerprint, past| {
        if !S::IS_SENT {
            return Ok(None);
        }
        let past = match reuse {
            KeyReuse::Refused => past,
            KeyReuse::ForTestsAndTools => Past::Known,
        };
        Claim::new(fingerprint, declared.as_ref(), past).map(Some)
    }
}
