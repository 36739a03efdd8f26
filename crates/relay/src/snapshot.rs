//! Numbers of the relay, for the ledger, metrics and tests: plain data, never a key. Taking them
//! copies counters and formats nothing: it happens on the thread that forwards media.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;

use crate::drops::Drops;
use crate::entry::{Entry, Outgoing};
use crate::incoming::Incomings;
use crate::spec::{Kind, LegId, LegSide, SourceId, TrackId};
use crate::track::Track;
use crate::udp::UdpSocket;

/// Everything. A leg's or track's numbers are of one moment; its rows may be some turns apart.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// The legs, in the order of their ids.
    pub legs: Vec<LegSnapshot>,
    /// The tracks, in the order of their ids.
    pub tracks: Vec<TrackSnapshot>,
    /// The sockets.
    pub sockets: Vec<SocketSnapshot>,
    /// What was dropped before it reached a leg.
    pub drops: Drops,
    /// Turns of the loop.
    pub turns: u64,
    /// DTLS datagrams worked.
    pub handshake_datagrams: u64,
    /// The most of them worked in one turn, while media waited.
    pub most_handshake_datagrams: u64,
    /// CPU time of the shard's thread in microseconds.
    pub cpu_us: u64,
    /// Events that found the queue full.
    pub events_lost: u64,
}

/// One leg.
#[derive(Clone, Debug, Serialize)]
pub struct LegSnapshot {
    /// Its id.
    pub id: LegId,
    /// Which end we are.
    pub side: LegSide,
    /// Since it was added.
    pub age_ms: u64,
    /// Whether keys are agreed on and the peer is proved.
    pub secured: bool,
    /// Our end of its path.
    pub local: Option<SocketAddr>,
    /// The peer's end of its path.
    pub remote: Option<SocketAddr>,
    /// Round-trip time by ICE.
    pub rtt_ms: Option<f64>,
    /// Datagrams that belonged to it.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Bytes of these.
    pub bytes_in: u64,
    /// Bytes of these.
    pub bytes_out: u64,
    /// What was dropped.
    pub drops: Drops,
    /// Media sections in which the peer sends.
    pub receive: Vec<ReceiveSnapshot>,
    /// Media sections in which we send.
    pub send: Vec<SendSnapshot>,
}

/// One received media section.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiveSnapshot {
    /// The track it feeds.
    pub track: TrackId,
    /// Identification of the section.
    pub mid: String,
    /// Picture or sound.
    pub kind: Kind,
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
    /// Lost on the way, recovered ones included.
    pub lost: i64,
    /// Recovered by retransmission.
    pub recovered: u64,
    /// Sequence numbers asked for again.
    pub nacked: u64,
    /// Key frames asked for.
    pub key_frame_requests: u64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// Loss in the last report interval, 0 to 1.
    pub fraction_lost: f64,
}

/// One sent media section.
#[derive(Clone, Debug, Serialize)]
pub struct SendSnapshot {
    /// The track that is sent.
    pub track: TrackId,
    /// Identification of the section.
    pub mid: String,
    /// Picture or sound.
    pub kind: Kind,
    /// SSRC written.
    pub ssrc: u32,
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
    /// Retransmissions.
    pub retransmitted: u64,
    /// Whether it waits for a key frame.
    pub waiting: bool,
    /// Lost so far, as the viewer says.
    pub lost: i32,
    /// Loss in the viewer's last report interval, 0 to 1.
    pub fraction_lost: f64,
    /// Jitter as the viewer says.
    pub jitter_ms: f64,
}

/// One track.
#[derive(Clone, Debug, Serialize)]
pub struct TrackSnapshot {
    /// Its id.
    pub id: TrackId,
    /// Picture or sound.
    pub kind: Kind,
    /// Payload format by its SDP name.
    pub codec: &'static str,
    /// Who feeds it.
    pub live: Option<SourceId>,
    /// Packets that entered.
    pub packets: u64,
    /// Payload bytes that entered.
    pub bytes: u64,
    /// Key frames that entered.
    pub key_frames: u64,
    /// Since the newest key frame.
    pub key_frame_age_ms: Option<u64>,
    /// Recent bitrate.
    pub bits_per_second: f64,
    /// What was dropped on the way in, and frames that its taps did not take.
    pub drops: Drops,
}

/// One socket.
#[derive(Clone, Debug, Serialize)]
pub struct SocketSnapshot {
    /// Where it is bound.
    pub address: SocketAddr,
    /// Receive buffer that the system granted.
    pub receive_buffer: usize,
    /// Send buffer that the system granted.
    pub send_buffer: usize,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// System calls for these.
    pub receive_calls: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// System calls for these.
    pub send_calls: u64,
    /// Datagrams that left in segmented messages.
    pub segmented: u64,
    /// Times that the send buffer was full.
    pub would_block: u64,
    /// Datagrams that the system refused to send.
    pub failed: u64,
    /// Datagrams dropped for being too long.
    pub truncated: u64,
}

impl LegSnapshot {
    pub(crate) fn of(entry: &Entry, now: Instant) -> LegSnapshot {
        let age = now.saturating_duration_since(entry.started);
        LegSnapshot {
            id: entry.id,
            side: entry.side,
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            secured: entry.leg.is_secured(),
            local: entry.path.map(|(path, _)| path.local),
            remote: entry.path.map(|(path, _)| path.remote),
            rtt_ms: entry.leg.rtt().map(|rtt| rtt.as_secs_f64() * 1_000.0),
            datagrams_in: entry.received.datagrams,
            datagrams_out: entry.sent.datagrams,
            bytes_in: entry.received.bytes,
            bytes_out: entry.sent.bytes,
            drops: entry.drops.clone(),
            receive: entry
                .incoming
                .iter()
                .flat_map(ReceiveSnapshot::all)
                .collect(),
            send: entry.outgoing.iter().map(SendSnapshot::of).collect(),
        }
    }
}

impl ReceiveSnapshot {
    fn all(incomings: &Incomings) -> Vec<ReceiveSnapshot> {
        let of = |(index, section): (usize, &crate::incoming::Section)| {
            let counts = incomings.statistics(index);
            ReceiveSnapshot {
                track: section.spec.track,
                mid: section.spec.mid.clone(),
                kind: section.spec.kind,
                packets: counts.packets,
                octets: counts.octets,
                lost: counts.lost,
                recovered: counts.recovered,
                nacked: counts.nacked,
                key_frame_requests: counts.key_frame_requests,
                jitter_ms: milliseconds(counts.jitter, section.spec.clock_rate),
                fraction_lost: f64::from(counts.fraction_lost) / 256.0,
            }
        };
        incomings.sections.iter().enumerate().map(of).collect()
    }
}

impl SendSnapshot {
    fn of(outgoing: &Outgoing) -> SendSnapshot {
        let spec = &outgoing.spec;
        let slot = outgoing.slot.as_ref();
        let report = slot.map(|slot| slot.report).unwrap_or_default();
        SendSnapshot {
            track: spec.track,
            mid: spec.mid.clone(),
            kind: spec.kind,
            ssrc: spec.ssrc,
            packets: slot.map_or(0, |slot| slot.sent.packets),
            octets: slot.map_or(0, |slot| slot.sent.octets),
            retransmitted: slot.map_or(0, |slot| slot.resent.packets),
            waiting: slot.is_none_or(|slot| slot.is_waiting()),
            lost: report.cumulative_lost,
            fraction_lost: f64::from(report.fraction_lost) / 256.0,
            jitter_ms: milliseconds(report.jitter, spec.clock_rate),
        }
    }
}

impl TrackSnapshot {
    pub(crate) fn of(track: &Track, now: Instant) -> TrackSnapshot {
        let (packets, bytes, key_frames) = track.totals();
        let age = track.key_frame_age(now);
        TrackSnapshot {
            id: track.id(),
            kind: track.kind(),
            codec: track.codec().name(),
            live: track.live(),
            packets,
            bytes,
            key_frames,
            key_frame_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            bits_per_second: track.bitrate(),
            drops: track.drops.clone(),
        }
    }
}

impl SocketSnapshot {
    pub(crate) fn of(socket: &UdpSocket) -> SocketSnapshot {
        let counters = socket.counters();
        SocketSnapshot {
            address: socket.local_address(),
            receive_buffer: socket.receive_buffer(),
            send_buffer: socket.send_buffer(),
            datagrams_in: counters.received,
            receive_calls: counters.receive_calls,
            datagrams_out: counters.sent,
            send_calls: counters.send_calls,
            segmented: counters.segmented,
            would_block: counters.would_block,
            failed: counters.failed,
            truncated: counters.truncated,
        }
    }
}

fn milliseconds(units: u32, clock_rate: u32) -> f64 {
    f64::from(units) * 1_000.0 / f64::from(clock_rate.max(1))
}
