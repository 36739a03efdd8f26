//! What one leg sends: from the tracks' histories through its slots into the batch of its socket.
//!
//! Work is done viewer after viewer, so that a run of packets for one viewer lies in one piece.
//! Sound goes first and is never paced. A slot's cursor moves only when there is room for the
//! packet, so a congested socket delays media and loses none. Nothing here allocates.

use std::time::{Duration, Instant};

use sealcast_leg::{Leg, Path};

use crate::clock::NodeClock;
use crate::codes as code;
use crate::drops::Drops;
use crate::entry::{Entry, Flow, Outgoing};
use crate::limits;
use crate::ports::Ports;
use crate::rtcp::{CompoundWriter, LostSequences, SenderReportFields};
use crate::slot::{Retransmission, Slot, Step, StreamStart};
use crate::spec::Kind;
use crate::track::Track;
use crate::tracks::Tracks;

/// Room for SRTCP's index and tag behind a compound (RFC 3711 §3.4, RFC 7714 §9): 4 + 16 bytes.
const RTCP_OVERHEAD: usize = 24;
/// A sender report, a CNAME of 255 bytes and their protection.
const REPORT_ROOM: usize = 28 + 272 + RTCP_OVERHEAD;

/// What a leg needs to send one packet.
struct Way<'a> {
    leg: &'a mut Leg,
    ports: &'a mut Ports,
    path: Path,
    port: usize,
    transport: &'a mut u16,
    drops: &'a mut Drops,
    sent: &'a mut Flow,
}

impl<'a> Way<'a> {
    /// The way of a leg that has a path, and the sections it sends.
    fn of(entry: &'a mut Entry, ports: &'a mut Ports) -> Option<(Way<'a>, &'a mut [Outgoing])> {
        let (path, port) = entry.path?;
        let way = Way {
            leg: &mut entry.leg,
            ports,
            path,
            port,
            transport: &mut entry.transport,
            drops: &mut entry.drops,
            sent: &mut entry.sent,
        };
        Some((way, &mut entry.outgoing))
    }

    /// Writes, protects and queues one RTP packet. False if there is no room: try again later.
    /// `write` gets room for the packet and returns its plain length, 0 for none.
    fn rtp(&mut self, write: impl FnOnce(&mut [u8], &mut u16) -> usize) -> bool {
        let Some(room) = self.ports.reserve_media(self.port, limits::PACKET_ROOM) else {
            return false;
        };
        let len = write(room, self.transport);
        if len == 0 {
            return true;
        }
        let protected = self.leg.protect_rtp(room, len);
        self.commit(protected);
        true
    }

    fn commit(&mut self, protected: Result<usize, &'static str>) {
        match protected {
            Ok(len) => {
                self.ports.commit(self.port, self.path, len);
                self.sent.count(len);
            }
            Err(code) => self.drops.count(code),
        }
    }
}

/// Random starting points for a stream (RFC 3550 §5.1).
fn stream_start() -> StreamStart {
    let mut random = [0; 8];
    // Without a random source the streams would start at zero, which only makes known plaintext
    // easier to guess: the packets are authenticated and encrypted all the same.
    let _ = getrandom::fill(&mut random);
    let [a, b, c, d, e, f, g, h] = random;
    StreamStart {
        sequence: u16::from_be_bytes([a, b]),
        timestamp: u32::from_be_bytes([c, d, e, f]),
        rtx_sequence: u16::from_be_bytes([g, h]),
    }
}

/// Sends what is due to this leg. Returns when it wants to be called again although nothing new
/// came.
pub(crate) fn deliver(
    entry: &mut Entry,
    tracks: &mut Tracks,
    ports: &mut Ports,
    clock: &NodeClock,
    now: Instant,
) -> Option<Instant> {
    if entry.outgoing.is_empty() || !entry.can_send(ports) {
        return None;
    }
    let (mut way, outgoing) = Way::of(entry, ports)?;
    let mut again = None;
    for Outgoing { spec, slot } in outgoing {
        let Some(track) = tracks.get_mut(spec.track) else {
            continue;
        };
        let slot = slot.get_or_insert_with(|| begin_slot(spec, track, now));
        let next = send_media(&mut way, slot, track, now);
        send_report(&mut way, slot, track, clock, now);
        again = [again, next].into_iter().flatten().min();
    }
    again
}

#[cold]
fn begin_slot(spec: &crate::spec::SendSpec, track: &mut Track, now: Instant) -> Slot {
    let slot = Slot::new(spec.clone(), stream_start(), track, now);
    if slot.is_waiting() && spec.kind == Kind::Video {
        track.request_key_frame();
    }
    slot
}

fn send_media(
    way: &mut Way<'_>,
    slot: &mut Slot,
    track: &mut Track,
    now: Instant,
) -> Option<Instant> {
    if !slot.has_news(track) {
        return None;
    }
    let is_paced = slot.spec().kind == Kind::Video;
    if is_paced {
        slot.pacer
            .refill(now, track.bitrate(), slot.is_catching_up());
    }
    for _ in 0..limits::BATCH_PACKETS {
        if is_paced && !slot.pacer.allows() {
            return Some(now + slot.pacer.pause());
        }
        // No room: the port is congested, and wakes us when it is writable.
        way.ports.reserve_media(way.port, limits::PACKET_ROOM)?;
        match slot.step(track) {
            Step::Send(arrival) => {
                let Some((packet, payload)) = track.history().get(arrival) else {
                    continue;
                };
                let is_first = slot.sent.packets == 0;
                way.rtp(|room, transport| {
                    let len = slot.write_header(room, packet, payload.len(), transport);
                    append(room, len, payload)
                });
                slot.pacer.spend(payload.len());
                if is_first {
                    slot.report_due = Some(now);
                }
            }
            Step::Lagged => way.drops.count(code::VIEWER_LAGGED),
            Step::NeedsKeyFrame => {
                track.request_key_frame();
                return None;
            }
            Step::Idle => return None,
        }
    }
    // Others have their turn first.
    Some(now)
}

fn append(room: &mut [u8], header_len: usize, payload: &[u8]) -> usize {
    match room.get_mut(header_len..header_len + payload.len()) {
        Some(place) if header_len > 0 => {
            place.copy_from_slice(payload);
            header_len + payload.len()
        }
        _ => 0,
    }
}

/// A sender report with the canonical name (RFC 3550 §6.4.1, §6.5.1), from the node clock: all
/// tracks of a stream share it, so a viewer plays them in step.
///
/// It goes when media goes, and not by a timer of its own: who has sent nothing since the last one
/// owes none (§6.4), and it costs no turn of the loop and no system call.
fn send_report(way: &mut Way<'_>, slot: &mut Slot, track: &Track, clock: &NodeClock, now: Instant) {
    if slot.report_due.is_none_or(|due| now < due) {
        return;
    }
    let node_ns = clock.ns(now);
    slot.report_due = Some(now + limits::SENDER_REPORT_INTERVAL);
    let Some(timestamp) = track.timestamp_at(node_ns) else {
        return;
    };
    let Some(room) = way.ports.reserve(way.port, REPORT_ROOM) else {
        way.drops.count(code::SEND_WOULD_BLOCK);
        return;
    };
    let mut writer = CompoundWriter::new(&mut room[..REPORT_ROOM - RTCP_OVERHEAD]);
    let fields = SenderReportFields {
        ssrc: slot.spec().ssrc,
        ntp: clock.ntp(node_ns),
        rtp_timestamp: slot.rtp_timestamp(timestamp),
        packets: slot.sent.packets as u32, // both wrap, RFC 3550 §6.4.1
        octets: slot.sent.octets as u32,
    };
    if writer.sender_report(&fields, &[]) && writer.cname(slot.spec().ssrc, &slot.spec().cname) {
        let len = writer.len();
        let protected = way.leg.protect_rtcp(room, len);
        way.commit(protected);
    }
}

/// Answers a NACK (RFC 4585 §6.2.1) with retransmissions (RFC 4588), where they were agreed on.
pub(crate) fn retransmit(
    entry: &mut Entry,
    tracks: &Tracks,
    ports: &mut Ports,
    media_ssrc: u32,
    lost: LostSequences<'_>,
    now: Instant,
) {
    let round_trip: Option<Duration> = entry.leg.rtt();
    let Some((mut way, outgoing)) = Way::of(entry, ports) else {
        return;
    };
    let slot = outgoing
        .iter_mut()
        .filter_map(|outgoing| outgoing.slot.as_mut())
        .find(|slot| slot.spec().ssrc == media_ssrc);
    let Some(slot) = slot else {
        return;
    };
    let Some(track) = tracks.get(slot.spec().track) else {
        return;
    };
    let is_agreed = slot.spec().nack && slot.spec().rtx_ssrc.is_some();
    for asked in lost.take(limits::NACK_SEQUENCES) {
        let found = slot
            .asked_for(asked)
            .filter(|_| is_agreed)
            .and_then(|number| track.history().find(number));
        let Some((packet, payload)) = found else {
            way.drops.count(code::NACK_UNANSWERED);
            continue;
        };
        match slot.may_retransmit(packet.sequence, payload.len(), round_trip, now) {
            Retransmission::OnItsWay => continue,
            Retransmission::Limited => {
                way.drops.count(code::NACK_LIMITED);
                continue;
            }
            Retransmission::Due => {}
        }
        let has_room = way.rtp(|room, transport| {
            let len = slot.write_rtx_header(room, packet, asked, payload.len(), transport);
            append(room, len, payload)
        });
        if !has_room {
            way.drops.count(code::SEND_WOULD_BLOCK);
            return;
        }
    }
}

/// Sends the compound that `write` puts together, if it is not empty.
pub(crate) fn send_compound(
    entry: &mut Entry,
    ports: &mut Ports,
    room_len: usize,
    write: impl FnOnce(&mut Entry, &mut [u8]) -> usize,
) {
    let Some((path, port)) = entry.path else {
        return;
    };
    let Some(room) = ports.reserve(port, room_len + RTCP_OVERHEAD) else {
        entry.drops.count(code::SEND_WOULD_BLOCK);
        return;
    };
    let len = write(entry, &mut room[..room_len]);
    if len == 0 {
        return;
    }
    match entry.leg.protect_rtcp(room, len) {
        Ok(protected) => {
            ports.commit(port, path, protected);
            entry.sent.count(protected);
        }
        Err(code) => entry.drops.count(code),
    }
}
