//! The receiving direction: protected packets become plain ones, each at most once.

use std::sync::Arc;

use crate::cryptex;
use crate::elements;
use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader};
use crate::key::{KeyError, MasterKey};
use crate::keyring::KeyRing;
use crate::lifetime::{KeyEvent, PacketKind};
use crate::mki::{self, Mki};
use crate::options::{HeaderProtection, Options, SrtcpEncryption};
use crate::profile::Profile;
use crate::replay::{Seen, Window};
use crate::ssrc_table::SsrcTable;
use crate::statistics::{StreamStatistics, Totals};
use crate::stream::{Counts, RocError, RtpTrack};

/// The window of SRTCP, whose packets are few (RFC 3711 §3.3.2 asks for 64 at least).
const RTCP_WINDOW: u64 = 128;

/// Opens the RTP and RTCP packets of one direction.
pub struct Receiver {
    options: Options,
    keys: KeyRing,
    streams: SsrcTable<Stream>,
    totals: Totals,
}

/// What a receiver remembers of one SSRC.
struct Stream {
    rtp: RtpTrack,
    rtcp: Window,
    counts: Counts,
}

impl Stream {
    fn new(options: &Options) -> Self {
        Self {
            rtp: RtpTrack::new(options.replay_window.packets()),
            rtcp: Window::new(RTCP_WINDOW),
            counts: Counts::default(),
        }
    }
}

impl Receiver {
    /// A context for packets without an MKI. Rollover counters start at 0.
    pub fn new(key: MasterKey, options: Options) -> Result<Self, KeyError> {
        Self::with_mki(Mki::default(), key, options)
    }

    /// A context for packets that name their master key (RFC 3711 §8.1).
    pub fn with_mki(mki: Mki, key: MasterKey, options: Options) -> Result<Self, KeyError> {
        let declared = options.ssrcs.clone().map(Arc::new);
        Ok(Self {
            keys: KeyRing::new(mki, key, &options, |_, _| Ok(None))?,
            streams: SsrcTable::new(options.max_ssrcs, declared),
            options,
            totals: Totals::default(),
        })
    }

    /// The profile of its keys.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.keys.profile()
    }

    /// The bytes by which a plain RTP packet is shorter than the protected one: tag and MKI.
    #[must_use]
    pub const fn rtp_overhead(&self) -> usize {
        self.profile().rtp_overhead() + self.keys.mki_len()
    }

    /// The bytes by which a plain RTCP packet is shorter: tag, E flag with index, and MKI.
    #[must_use]
    pub const fn rtcp_overhead(&self) -> usize {
        self.profile().rtcp_overhead() + self.keys.mki_len()
    }

    /// Opens the SRTP packet in place and returns the length of the plain one.
    ///
    /// After an error the buffer's contents are unspecified and the context is as it was, but for
    /// its counters. Nothing is allocated for a packet that opens, except once for a new SSRC.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let outcome = self.open_rtp(packet);
        if let Err(fate) = outcome {
            self.totals.count_refused(fate);
        }
        outcome
    }

    /// Opens the SRTCP packet in place and returns the length of the plain compound packet.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let outcome = self.open_rtcp(packet);
        if let Err(fate) = outcome {
            self.totals.count_refused(fate);
        }
        outcome
    }

    fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (profile, mki_len) = (self.keys.profile(), self.keys.mki_len());
        let mut header = RtpHeader::parse(packet, profile.rtp_tag_len() + mki_len)?;
        match &self.options.header_protection {
            HeaderProtection::Cryptex(policy) => cryptex::recognise(&mut header, *policy)?,
            // Its payload would come out as noise.
            _ if cryptex::is_tag(header.extension) => return Err(SrtpError::HeaderNotProtected),
            HeaderProtection::Elements(_) => elements::check(packet, &header)?,
            HeaderProtection::Clear => {}
        }
        let behind = profile.behind_rtp_mki();
        let key = self
            .keys
            .named(mki::find(packet, mki_len, behind).ok_or(SrtpError::Malformed)?)?;
        if key.rtp_usage.is_spent() {
            return Err(SrtpError::KeyExhausted);
        }

        let known = self.streams.find(header.ssrc);
        let index = match known {
            Some(number) => {
                let stream = self.streams.row(number);
                let index = stream
                    .rtp
                    .index_of(header.sequence)
                    .ok_or(SrtpError::KeyExhausted)?;
                refuse_seen(stream.rtp.check(index), &mut stream.counts)?;
                index
            }
            None => {
                self.streams.admits(header.ssrc)?;
                u64::from(header.sequence)
            }
        };

        let packet = if mki_len > 0 {
            mki::take_out(packet, mki_len, behind)
        } else {
            packet
        };
        let options = &self.options;
        let opened = key.rtp.with(index, |session| {
            session.transform.open_rtp(packet, &header, index)?;
            if let (Some(cipher), HeaderProtection::Elements(ids)) =
                (&mut session.elements, &options.header_protection)
            {
                cipher.apply(packet, &header, index, ids)?;
            }
            Ok(())
        });
        if let Err(fate) = opened {
            if let Some(number) = known {
                self.streams.row(number).counts.count_refused(fate);
            }
            return Err(fate);
        }

        // The packet is genuine: from here on it may change the context.
        if header.is_cryptex {
            cryptex::unmark(packet, &header);
        }
        let number =
            known.unwrap_or_else(|| self.streams.insert(header.ssrc, Stream::new(&self.options)));
        let len = packet.len() - profile.rtp_tag_len();
        let stream = self.streams.row(number);
        stream.rtp.record(index);
        stream.counts.count_rtp(len);
        if let Some(reached) = key.rtp_usage.count() {
            self.keys.report(PacketKind::Rtp, reached);
        }
        Ok(len)
    }

    fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (profile, mki_len) = (self.keys.profile(), self.keys.mki_len());
        let ssrc = rtcp_ssrc(packet, profile.rtcp_overhead() + mki_len)?;
        let behind = profile.behind_rtcp_mki();
        let key = self
            .keys
            .named(mki::find(packet, mki_len, behind).ok_or(SrtpError::Malformed)?)?;
        if key.rtcp_usage.is_spent() {
            return Err(SrtpError::KeyExhausted);
        }
        let packet = if mki_len > 0 {
            mki::take_out(packet, mki_len, behind)
        } else {
            packet
        };
        let word = profile.srtcp_word(packet)?;
        let may_be_clear =
            !profile.encrypts() || self.options.srtcp_encryption == SrtcpEncryption::Off;
        if !word.is_encrypted() && !may_be_clear {
            return Err(SrtpError::UnencryptedSrtcp);
        }
        let index = u64::from(word.index());

        let known = self.streams.find(ssrc);
        match known {
            Some(number) => {
                let stream = self.streams.row(number);
                refuse_seen(stream.rtcp.check(index), &mut stream.counts)?;
            }
            None => self.streams.admits(ssrc)?,
        }
        let opened = key.rtcp.with(index, |session| {
            session.transform.open_rtcp(packet, ssrc, word)
        });
        if let Err(fate) = opened {
            if let Some(number) = known {
                self.streams.row(number).counts.count_refused(fate);
            }
            return Err(fate);
        }

        // The packet is genuine: from here on it may change the context.
        let number = known.unwrap_or_else(|| self.streams.insert(ssrc, Stream::new(&self.options)));
        let len = packet.len() - profile.rtcp_overhead();
        let stream = self.streams.row(number);
        stream.rtcp.record(index);
        stream.counts.count_rtcp(len);
        if let Some(reached) = key.rtcp_usage.count() {
            self.keys.report(PacketKind::Rtcp, reached);
        }
        Ok(len)
    }

    /// Adds a master key. Packets that name it open from now on, beside those of other keys.
    pub fn add_key(&mut self, mki: Mki, key: MasterKey) -> Result<(), KeyError> {
        self.keys.add(mki, key, &self.options, |_, _| Ok(None))
    }

    /// Forgets a key. Which indices were received is not forgotten with it.
    pub fn remove_key(&mut self, mki: &Mki) -> Result<(), KeyError> {
        self.keys.remove(mki)
    }

    /// The identifiers of its keys, in the order in which they were added.
    pub fn mkis(&self) -> impl Iterator<Item = &Mki> {
        self.keys.mkis()
    }

    /// What happened to its keys since the last call; drain it after opening.
    pub fn take_event(&mut self) -> Option<KeyEvent> {
        self.keys.take_event()
    }

    /// Sets the rollover counter at which an SSRC is: for one who joins late and was told
    /// (RFC 3711 §3.3.1).
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
            // SRTCP indices have 31 bits.
            let highest_rtcp_index = stream.rtcp.newest().map(|index| index as u32);
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

fn refuse_seen(seen: Seen, counts: &mut Counts) -> Result<(), SrtpError> {
    let fate = match seen {
        Seen::No => return Ok(()),
        Seen::Yes => SrtpError::Replayed,
        Seen::TooOld => SrtpError::TooOld,
    };
    counts.count_refused(fate);
    Err(fate)
}
