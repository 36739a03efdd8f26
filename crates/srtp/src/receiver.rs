//! The receiving direction: protected packets become plain ones, each at most once.

use crate::context::{Context, Source};
use crate::cryptex;
use crate::elements;
use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader};
use crate::lifetime::PacketKind;
use crate::mki;
use crate::options::{HeaderProtection, Options, SrtcpEncryption};
use crate::replay::{Seen, Window};
use crate::stream::{Counts, RtpTrack};

/// The window of SRTCP, whose packets are few (RFC 3711 §3.3.2 asks for 64 at least).
const RTCP_WINDOW: u64 = 128;

/// Opens the RTP and RTCP packets of one direction.
pub type Receiver = Context<Received>;

/// What a receiver remembers of one SSRC.
pub struct Received {
    rtp: RtpTrack,
    rtcp: Window,
    counts: Counts,
}

impl Source for Received {
    const IS_SENT: bool = false;

    fn new(options: &Options) -> Self {
        Self {
            rtp: RtpTrack::new(options.replay_window.packets()),
            rtcp: Window::new(RTCP_WINDOW),
            counts: Counts::default(),
        }
    }

    fn rtp(&self) -> &RtpTrack {
        &self.rtp
    }

    fn rtp_mut(&mut self) -> &mut RtpTrack {
        &mut self.rtp
    }

    fn highest_rtcp_index(&self) -> Option<u32> {
        // SRTCP indices have 31 bits.
        self.rtcp.newest().map(|index| index as u32)
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Receiver {
    /// Opens the SRTP packet in place and returns the length of the plain one.
    ///
    /// After an error the buffer's contents are unspecified and the context is as it was, but for
    /// its counters. Nothing is allocated for a packet that opens, except once for a new SSRC.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let outcome = self.open_rtp(packet);
        self.counted(outcome)
    }

    /// Opens the SRTCP packet in place and returns the length of the plain compound packet.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let outcome = self.open_rtcp(packet);
        self.counted(outcome)
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
                    .ok_or(SrtpError::SourceExhausted)?;
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
        let number = known.unwrap_or_else(|| {
            self.streams
                .insert(header.ssrc, Received::new(&self.options))
        });
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
        let number =
            known.unwrap_or_else(|| self.streams.insert(ssrc, Received::new(&self.options)));
        let len = packet.len() - profile.rtcp_overhead();
        let stream = self.streams.row(number);
        stream.rtcp.record(index);
        stream.counts.count_rtcp(len);
        if let Some(reached) = key.rtcp_usage.count() {
            self.keys.report(PacketKind::Rtcp, reached);
        }
        Ok(len)
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
