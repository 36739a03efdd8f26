//! Datagrams on their way in: to their leg by the demultiplexing tables, opened there, and on into
//! a track, or as RTCP to whom it concerns.

use std::time::Instant;

use sealcast_leg::{classify, Kind as DatagramKind, Received};

use super::Core;
use crate::codes as code;
use crate::deliver::retransmit;
use crate::demux::{route_stun, StunRoute};
use crate::handshakes::Waiting;
use crate::incoming::ForTrack;
use crate::ports::Ports;
use crate::routes::{Index, Peer};
use crate::rtcp::{self, RtcpItem};
use crate::slot::ViewerReport;
use crate::spec::LegId;
use crate::track::{Incoming, Outcome};
use crate::udp::Datagram;

impl Core {
    /// Sorts one datagram by its first byte (RFC 7983, RFC 9443) and gives it to its leg.
    pub(super) fn datagram(
        &mut self,
        now: Instant,
        port: usize,
        datagram: Datagram<'_>,
        ports: &mut Ports,
    ) {
        let Datagram {
            local,
            remote,
            bytes,
        } = datagram;
        let peer = Peer {
            socket: port,
            remote,
        };
        let kind = classify(bytes);
        let found = match kind {
            DatagramKind::Stun => match route_stun(bytes) {
                StunRoute::Request { local_ufrag } => {
                    self.routes.by_ufrag(local_ufrag).ok_or(code::UNKNOWN_UFRAG)
                }
                StunRoute::ByAddress => self
                    .routes
                    .by_source(peer)
                    .or_else(|| ports.owner(port))
                    .or_else(|| self.routes.by_probe(remote))
                    .ok_or(code::UNKNOWN_SOURCE),
                StunRoute::Malformed => Err(code::BAD_STUN),
            },
            DatagramKind::Dtls | DatagramKind::Rtp | DatagramKind::Rtcp => {
                self.routes.by_source(peer).ok_or(code::UNKNOWN_SOURCE)
            }
            _ => Err(code::UNKNOWN_KIND),
        };
        let index = match found {
            Ok(index) => index,
            Err(code) => return self.drops.count(code),
        };
        let Some(entry) = self.legs.get_mut(index) else {
            return self.drops.count(code::UNKNOWN_SOURCE);
        };
        entry.received.count(bytes.len());
        if kind == DatagramKind::Dtls {
            let waiting = Waiting {
                leg: index,
                id: entry.id,
                port,
                local,
                remote,
                datagram: bytes.to_vec(),
            };
            if !self.handshakes.push(waiting, &mut entry.dtls_waiting) {
                entry.drops.count(code::DTLS_QUEUE_FULL);
            }
            return;
        }
        match entry.leg.receive(now, local, remote, bytes) {
            Received::Rtp(packet) => {
                entry.heard = now;
                let packet: &[u8] = packet;
                let sorted = match &mut entry.incoming {
                    Some(incoming) => incoming.rtp(now, packet),
                    None => Err(code::UNKNOWN_SSRC),
                };
                let (id, is_first) = (entry.id, !entry.has_flowed);
                entry.has_flowed = true;
                match sorted {
                    Ok(packet) => self.enter_track(index, id, packet, now),
                    Err(code) => entry.drops.count(code),
                }
                if is_first {
                    self.drain(index, Some(port), now, ports);
                } else {
                    // What its publisher is owed may be due sooner now.
                    self.schedule(index, ports);
                }
            }
            Received::Rtcp(compound) => {
                entry.heard = now;
                let compound: &[u8] = compound;
                self.rtcp(index, compound, now, ports);
            }
            Received::Handled => {
                entry.heard = now;
                self.drain(index, Some(port), now, ports);
            }
            Received::Dropped(code) => {
                entry.drops.count(code);
                // A refused check may still be answered, with an error (RFC 8445 §7.3).
                if kind == DatagramKind::Stun {
                    self.drain(index, Some(port), now, ports);
                }
            }
        }
    }

    fn enter_track(&mut self, index: Index, source: LegId, packet: ForTrack<'_>, now: Instant) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        let Some(incoming) = &entry.incoming else {
            return;
        };
        let id = incoming.sections[packet.section].spec.track;
        let incoming = Incoming {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
            key_start: packet.key_start,
            entered: now,
            node_ns: self.clock.ns(now),
            captured_ns: None,
        };
        let outcome = self.tracks.enter(&mut self.outbox, id, source, incoming);
        self.media_received += 1;
        if let Outcome::Dropped(code) = outcome {
            entry.drops.count(code);
        }
    }

    fn rtcp(&mut self, index: Index, compound: &[u8], now: Instant, ports: &mut Ports) {
        let node_ns = self.clock.ns(now);
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        for item in rtcp::parse(compound) {
            match item {
                RtcpItem::SenderReport {
                    ssrc,
                    ntp,
                    rtp_timestamp,
                    ..
                } => {
                    let Some(incoming) = &mut entry.incoming else {
                        continue;
                    };
                    let Some((section, offset)) =
                        incoming.sender_report(now, node_ns, ssrc, ntp, rtp_timestamp)
                    else {
                        continue;
                    };
                    if let Some(track) = self.tracks.get_mut(incoming.sections[section].spec.track)
                    {
                        track.report(entry.id, rtp_timestamp, ntp, offset);
                    }
                }
                RtcpItem::ReportBlock {
                    about_ssrc,
                    fraction_lost,
                    cumulative_lost,
                    jitter,
                    ..
                } => {
                    let slots = entry
                        .outgoing
                        .iter_mut()
                        .filter_map(|outgoing| outgoing.slot.as_mut());
                    for slot in slots.filter(|slot| slot.spec().ssrc == about_ssrc) {
                        slot.report = ViewerReport {
                            fraction_lost,
                            cumulative_lost,
                            jitter,
                        };
                    }
                }
                RtcpItem::Nack { media_ssrc, lost } => {
                    retransmit(entry, &self.tracks, ports, media_ssrc, lost, now)
                }
                RtcpItem::Pli { media_ssrc } | RtcpItem::Fir { media_ssrc, .. } => {
                    let wanted = entry
                        .outgoing
                        .iter()
                        .find(|outgoing| outgoing.spec.ssrc == media_ssrc && outgoing.spec.pli);
                    if let Some(track) =
                        wanted.and_then(|outgoing| self.tracks.get_mut(outgoing.spec.track))
                    {
                        track.request_key_frame();
                    }
                }
                // A source that leaves shows by its silence or by the end of its leg; congestion
                // control for viewers does not use these yet.
                RtcpItem::Bye { .. } | RtcpItem::Remb { .. } | RtcpItem::TransportFeedback(_) => {}
                RtcpItem::Malformed => entry.drops.count(rtcp::MALFORMED),
            }
        }
    }
}
