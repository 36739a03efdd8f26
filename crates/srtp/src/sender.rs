//! The sending direction: plain packets become protected ones, and no index is used twice.

use crate::context::{Context, Source};
use crate::cryptex;
use crate::elements;
use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader, SrtcpWord, MAX_PACKET_LEN, NO_RTP, RTCP_TYPES};
use crate::index::SRTCP_INDEX_END;
use crate::key::KeyError;
use crate::lifetime::PacketKind;
use crate::mki::Mki;
use crate::options::{HeaderProtection, Options, SrtcpEncryption};
use crate::replay::Seen;
use crate::stream::{Counts, RtpTrack};

/// Protects the RTP and RTCP packets of one direction.
///
/// It takes packets in any order within the replay window of the newest, but each sequence number
/// of an SSRC once, whatever master key it is protected with: a second packet would reuse
/// keystream, and with AES-GCM give away the authentication key. A retransmission is sent as RTX
/// (RFC 4588) with its own SSRC.
///
/// What is plainly of the other protocol is refused as malformed: RTCP without an RTCP packet type
/// (RFC 5761 §4), RTP whose first two bytes are those of a report, a description, a BYE or an APP
/// packet (RFC 3551 §6 reserves those payload types).
///
/// While a sender lives, no other one in this process can be made with one of its master keys and
/// salts, unless both declare their SSRCs ([`Options::ssrcs`]) and share none. Once it has protected
/// a packet the same holds after its end, for the newest 65,536 such keys of the process.
pub type Sender = Context<Sent>;

/// What a sender remembers of one SSRC.
pub struct Sent {
    rtp: RtpTrack,
    next_rtcp: u32,
    counts: Counts,
}

impl Source for Sent {
    const IS_SENT: bool = true;

    fn new(options: &Options) -> Self {
        Self {
            rtp: RtpTrack::new(options.replay_window.packets()),
            next_rtcp: 0,
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
        self.next_rtcp.checked_sub(1)
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Sender {
    /// Protects the RTP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`rtp_overhead`](Self::rtp_overhead). Nothing is
    /// allocated, except once for a new SSRC. After an error the buffer's contents are unspecified.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let outcome = self.seal_rtp(buffer, len);
        self.counted(outcome)
    }

    /// Protects the compound RTCP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`rtcp_overhead`](Self::rtcp_overhead).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let outcome = self.seal_rtcp(buffer, len);
        self.counted(outcome)
    }

    fn seal_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let plain = buffer.get(..len).ok_or(SrtpError::Malformed)?;
        let mut header = RtpHeader::parse(plain, 0)?;
        if NO_RTP.contains(&plain[1]) {
            return Err(SrtpError::Malformed);
        }
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
        if protected_len > MAX_PACKET_LEN {
            return Err(SrtpError::Malformed);
        }
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

        let number = self
            .streams
            .find_or_insert(header.ssrc, || Sent::new(&self.options))?;
        let stream = self.streams.row(number);
        let index = stream
            .rtp
            .index_of(header.sequence)
            .ok_or(SrtpError::SourceExhausted)?;
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
        let plain = buffer.get(..len).ok_or(SrtpError::Malformed)?;
        let ssrc = rtcp_ssrc(plain, 0)?;
        if !RTCP_TYPES.contains(&plain[1]) {
            return Err(SrtpError::Malformed);
        }
        let profile = self.keys.profile();
        let sealed_len = len + profile.rtcp_overhead();
        let protected_len = sealed_len + self.keys.mki_len();
        if protected_len > MAX_PACKET_LEN {
            return Err(SrtpError::Malformed);
        }
        if buffer.len() < protected_len {
            return Err(SrtpError::BufferTooSmall);
        }
        let key = self.keys.current()?;
        if key.rtcp_usage.is_spent() {
            return Err(SrtpError::KeyExhausted);
        }

        let number = self
            .streams
            .find_or_insert(ssrc, || Sent::new(&self.options))?;
        let stream = self.streams.row(number);
        let index = stream.next_rtcp;
        if index == SRTCP_INDEX_END {
            return Err(SrtpError::SourceExhausted);
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

    /// Protects with this key from the next packet on. Indices go on where they stand.
    pub fn use_key(&mut self, mki: &Mki) -> Result<(), KeyError> {
        self.keys.choose(mki)
    }
}
