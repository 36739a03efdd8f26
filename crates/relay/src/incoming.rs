//! What one leg receives: which packet belongs to which media section, and its way into the track.
//!
//! Every packet that comes here was authenticated by the leg. An SSRC that was not announced is
//! learnt from the MID extension, else from the payload type (RFC 9143 §9.2), at most
//! [`limits::LEARNT_SSRCS`] per section. Only the negotiated payload types enter a track;
//! retransmissions are unwrapped (RFC 4588) and enter as what they repeat.

use std::time::Instant;

use crate::clock::ntp_ns;
use crate::codes as code;
use crate::limits;
use crate::payload;
use crate::reception::{
    ArrivalKind, Reception, ReceptionConfig, StreamConfig, StreamStatistics, TooManyStreams,
};
use crate::rtp::{split_retransmission, RtpHeader};
use crate::spec::{LegSpec, ReceiveSpec};

/// One SSRC that is known to belong to a section.
#[derive(Copy, Clone, Debug)]
struct Known {
    ssrc: u32,
    section: usize,
    is_rtx: bool,
}

/// One media section in which the peer sends.
#[derive(Debug)]
pub(crate) struct Section {
    pub spec: ReceiveSpec,
    /// The SSRC whose media came last.
    pub media_ssrc: Option<u32>,
    learnt: usize,
}

/// All sections of a leg in which the peer sends.
#[derive(Debug)]
pub(crate) struct Incomings {
    pub sections: Vec<Section>,
    known: Vec<Known>,
    pub reception: Reception,
    /// Publisher's NTP nanoseconds to node nanoseconds, fixed by its first sender report.
    ntp_offset_ns: Option<i128>,
}

/// A packet ready for its track.
#[derive(Debug)]
pub(crate) struct ForTrack<'a> {
    pub section: usize,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: &'a [u8],
    pub key_start: bool,
}

impl Incomings {
    pub fn new(spec: &LegSpec, now: Instant) -> Incomings {
        let first_send = spec.send.first();
        // A leg that only receives still signs its reports with an SSRC of its own; 1 is what other
        // servers use, and no stream of this leg can have it by chance and matter: nothing is sent
        // with it but reports.
        let local_ssrc = first_send.map_or(1, |send| send.ssrc);
        let cname = first_send.map_or_else(|| "sealcast".to_owned(), |send| send.cname.clone());
        let reception = Reception::new(
            ReceptionConfig {
                local_ssrc,
                cname,
                reduced_size: false,
            },
            now,
        );
        let section = |receive: &ReceiveSpec| Section {
            spec: receive.clone(),
            media_ssrc: None,
            learnt: 0,
        };
        Incomings {
            sections: spec.receive.iter().map(section).collect(),
            known: Vec::with_capacity(spec.receive.len() * 2),
            reception,
            ntp_offset_ns: None,
        }
    }

    /// Takes an authenticated RTP packet.
    ///
    /// # Errors
    /// The code under which it is dropped.
    pub fn rtp<'a>(
        &mut self,
        now: Instant,
        packet: &'a [u8],
    ) -> Result<ForTrack<'a>, &'static str> {
        let header = RtpHeader::parse(packet).map_err(|error| error.code())?;
        let payload = &packet[header.payload.clone()];
        let known = self.find(&header);
        let transport = known
            .ok()
            .and_then(|known| self.transport_number(&header, known.section));
        // Also for a stream that nobody knows: the publisher's congestion control numbers every
        // packet.
        let arrival = self.reception.on_rtp(
            now,
            header.ssrc,
            header.sequence,
            header.timestamp,
            transport,
            payload.len(),
        );
        let known = known?;
        if arrival.is_none_or(|arrival| arrival.kind == ArrivalKind::Duplicate) {
            return Err(code::DUPLICATE);
        }
        let section = &mut self.sections[known.section];
        if !known.is_rtx {
            if header.payload_type != section.spec.payload_type {
                return Err(code::UNKNOWN_PAYLOAD);
            }
            section.media_ssrc = Some(header.ssrc);
            let key_start = payload::is_key(section.spec.codec, payload);
            if key_start {
                self.reception.on_key_frame(header.ssrc);
            }
            return Ok(ForTrack {
                section: known.section,
                sequence: header.sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                payload,
                key_start,
            });
        }
        if Some(header.payload_type) != section.spec.rtx_payload_type {
            return Err(code::UNKNOWN_PAYLOAD);
        }
        // Probes on the retransmission stream have no payload at all.
        let (sequence, payload) = split_retransmission(payload).ok_or(code::PADDING)?;
        let media_ssrc = section.media_ssrc.ok_or(code::UNKNOWN_SSRC)?;
        let recovered = self.reception.on_recovered(media_ssrc, sequence);
        if recovered.is_none_or(|arrival| arrival.kind == ArrivalKind::Duplicate) {
            return Err(code::DUPLICATE);
        }
        let key_start = payload::is_key(section.spec.codec, payload);
        if key_start {
            self.reception.on_key_frame(media_ssrc);
        }
        Ok(ForTrack {
            section: known.section,
            sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            key_start,
        })
    }

    /// A sender report of one of the publisher's streams. Returns the section and the offset from
    /// its NTP clock to the node's, which is the same for all its streams, so that lip sync
    /// survives.
    pub fn sender_report(
        &mut self,
        now: Instant,
        node_ns: u64,
        ssrc: u32,
        ntp: u64,
        rtp_timestamp: u32,
    ) -> Option<(usize, i128)> {
        self.reception
            .on_sender_report(now, ssrc, ntp, rtp_timestamp);
        let known = self
            .known
            .iter()
            .find(|known| known.ssrc == ssrc && !known.is_rtx)?;
        // RFC 3550 §6.4.1: a sender without a wall clock writes zero.
        if ntp == 0 {
            return None;
        }
        let offset = *self
            .ntp_offset_ns
            .get_or_insert_with(|| i128::from(node_ns) - ntp_ns(ntp));
        Some((known.section, offset))
    }

    /// Asks the publisher of this track for a key frame; false if its stream is not known yet.
    pub fn request_key_frame(&mut self, now: Instant, track: u64) -> bool {
        let sections = self
            .sections
            .iter()
            .filter(|section| section.spec.track == track);
        let mut asked = false;
        for ssrc in sections.filter_map(|section| section.media_ssrc) {
            self.reception.request_key_frame(now, ssrc);
            asked = true;
        }
        asked
    }

    /// Counts of a section's media stream.
    pub fn statistics(&self, section: usize) -> StreamStatistics {
        let ssrc = self.sections[section].media_ssrc;
        ssrc.and_then(|ssrc| self.reception.statistics(ssrc))
            .unwrap_or_default()
    }

    fn transport_number(&self, header: &RtpHeader<'_>, section: usize) -> Option<u16> {
        let spec = &self.sections[section].spec;
        let id = spec.extensions.twcc.filter(|_| spec.twcc)?;
        let value = header.extension(id)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*value))
    }

    /// The section of a packet, learning its SSRC if that is new.
    fn find(&mut self, header: &RtpHeader<'_>) -> Result<Known, &'static str> {
        match self.known.iter().find(|known| known.ssrc == header.ssrc) {
            Some(known) => Ok(*known),
            None => self.learn(header),
        }
    }

    #[cold]
    fn learn(&mut self, header: &RtpHeader<'_>) -> Result<Known, &'static str> {
        let takes = |section: &Section| {
            let spec = &section.spec;
            header.payload_type == spec.payload_type
                || Some(header.payload_type) == spec.rtx_payload_type
        };
        let names = |section: &Section| {
            let id = section.spec.extensions.mid?;
            Some(header.extension(id)? == section.spec.mid.as_bytes())
        };
        let announced = self
            .sections
            .iter()
            .position(|section| section.spec.ssrcs.contains(&header.ssrc));
        let named = || {
            self.sections
                .iter()
                .position(|section| names(section) == Some(true))
        };
        let index = match announced.or_else(named) {
            Some(index) => index,
            // A MID that names no section is not overruled by a payload type that happens to fit
            // one.
            None if self.sections.iter().any(|section| names(section).is_some()) => {
                return Err(code::UNKNOWN_SSRC)
            }
            None => self
                .sections
                .iter()
                .position(takes)
                .ok_or(code::UNKNOWN_SSRC)?,
        };
        let section = &mut self.sections[index];
        if !takes(section) {
            return Err(code::UNKNOWN_PAYLOAD);
        }
        if section.learnt >= limits::LEARNT_SSRCS {
            return Err(code::UNKNOWN_SSRC);
        }
        let is_rtx = Some(header.payload_type) == section.spec.rtx_payload_type;
        let known = Known {
            ssrc: header.ssrc,
            section: index,
            is_rtx,
        };
        let config = stream_config(&section.spec, is_rtx);
        self.reception
            .register(header.ssrc, config)
            .map_err(TooManyStreams::code)?;
        section.learnt += 1;
        self.known.push(known);
        Ok(known)
    }
}

fn stream_config(spec: &ReceiveSpec, is_rtx: bool) -> StreamConfig {
    StreamConfig {
        clock_rate: spec.clock_rate,
        nack: spec.nack && !is_rtx,
        key_frames: spec.pli && !is_rtx,
    }
}
