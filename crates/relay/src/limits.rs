//! Every limit of the relay, in one table. A number that bounds memory, work or time stands here
//! and nowhere else.
//!
//! It does not hold the limits of a leg (source addresses, handshake time: crate `leg`) or of a
//! packet's protection (replay window, streams per key: crate `srtp`).

use std::time::Duration;

/// Entries in a video track's history: 2048 packets are about five seconds at 4 Mbit/s.
pub const VIDEO_HISTORY: usize = 2048;
/// Entries in an audio track's history: about five seconds at one packet per 20 ms.
pub const AUDIO_HISTORY: usize = 256;
/// Longest RTP payload that enters a track. With the longest header this relay writes (12 + 24
/// bytes), the two bytes of RFC 4588 and the longest tag (16), a packet still fits into 1452 bytes:
/// an IPv6 datagram on Ethernet.
pub const PAYLOAD_MAX: usize = 1392;
/// Payload size that the packetizers aim for: what browsers use, so that tunnels do not fragment.
pub const PAYLOAD_TARGET: usize = 1160;
/// Room for one packet on its way out: header, extensions, payload, tag.
pub const PACKET_ROOM: usize = 1500;
/// Bytes that may wait for one socket's next system call: three hundred full packets.
pub const OUT_BATCH: usize = 300 * PACKET_ROOM;
/// What is left of it for reports, checks and handshakes when media has filled the rest.
pub const CONTROL_ROOM: usize = 40 * PACKET_ROOM;
/// Packets that one viewer gets in one turn of the loop before the next viewer has its turn.
pub const BATCH_PACKETS: usize = 64;
/// Key frames that a track remembers.
pub const KEY_FRAMES: usize = 16;
/// Ranges in which a source's sequence numbers map to the track's with one offset.
pub const SEQUENCE_RANGES: usize = 64;
/// A jump in a source's sequence numbers beyond this is a restart of its numbering and not a loss.
pub const SEQUENCE_JUMP: i64 = 3_000;

/// Tracks of one relay.
pub const TRACKS: usize = 1_024;
/// Legs of one relay.
pub const LEGS: usize = 4_096;
/// Source addresses in the demultiplexing table.
pub const ADDRESSES: usize = 16 * LEGS;
/// Media sections of one leg, each way.
pub const SECTIONS: usize = 16;
/// SSRCs that one media section may teach us after authentication.
pub const LEARNT_SSRCS: usize = 8;
/// Sources of one track at a time: the live one and those that wait for their key frame.
pub const SOURCES: usize = 4;
/// Taps of one track.
pub const TAPS: usize = 16;
/// Remote candidates of one client leg.
pub const REMOTE_CANDIDATES: usize = 16;
/// Sockets of one client leg's own: a family each, on loopback and beyond.
pub const OWN_SOCKETS: usize = 4;

/// Commands that may wait for the shard.
pub const COMMANDS: usize = 1_024;
/// Commands worked in one turn of the loop.
pub const COMMANDS_PER_TURN: usize = 64;
/// Legs and tracks that snapshots read in one turn of the loop: so a relay full of legs is read in
/// as many turns as it takes, and media goes on between them.
pub const SURVEY_ROWS_PER_TURN: usize = 64;
/// Snapshots of everything that may be on their way at a time.
pub const SURVEYS: usize = 4;
/// Events that may wait for the caller.
pub const EVENTS: usize = 16_384;
/// Frames that may wait between a sink and the shard.
pub const SINK_FRAMES: usize = 128;
/// Frames of one sink worked in one turn of the loop.
pub const SINK_FRAMES_PER_TURN: usize = 16;
/// Longest frame that a sink takes: it must leave room for its neighbours in the history.
pub const FRAME_BYTES: usize = PAYLOAD_TARGET * VIDEO_HISTORY / 2;
/// Frames that may wait between a tap and its reader.
pub const TAP_FRAMES: usize = 256;
/// How long a tap waits for a missing packet before it gives the frame up: one round of NACK and
/// RTX on a slow path.
pub const TAP_PATIENCE: Duration = Duration::from_millis(200);

/// DTLS datagrams that may wait to be worked, all legs together.
pub const DTLS_QUEUE: usize = 1_024;
/// DTLS datagrams of one leg that may wait: a handshake flight with a post-quantum share and a
/// chain.
pub const DTLS_QUEUE_PER_LEG: u16 = 24;
/// DTLS datagrams worked in one turn of the loop, at most; how much media waits for them.
pub const DTLS_PER_TURN: usize = 8;
/// Time per turn of the loop that DTLS may take from media: no datagram is begun after it.
pub const DTLS_TIME_PER_TURN: Duration = Duration::from_micros(500);
/// Receive batches worked per socket in one turn of the loop, so that a flood cannot starve the
/// senders.
pub const RECEIVE_BATCHES_PER_TURN: usize = 8;
/// Socket buffers that are asked for; a smaller grant is reported as a warning at start.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// A packet that does not end its frame waits this long for the others before viewers get it.
pub const HOLD: Duration = Duration::from_millis(1);
/// A run of this many packets of one frame does not wait for the others.
pub const HELD_PACKETS: u64 = 32;
/// After media came, the loop looks for more only after this time: packets that come one by one
/// are worked together.
pub const GATHER: Duration = Duration::from_micros(250);

/// Pacing: the burst that a viewer's fresh media may make: a frame of 4 Mbit/s in one piece.
pub const PACING_BURST: Duration = Duration::from_millis(10);
/// Pacing: speed of fresh media as a multiple of the track's recent bitrate.
pub const PACING_FRESH: f64 = 1.5;
/// Pacing: speed of a viewer who catches up from the cached group of pictures.
pub const PACING_CATCH_UP: f64 = 4.0;
/// Pacing: never slower than this, whatever the bitrate was (bits per second). A burst of it is 16
/// full packets.
pub const PACING_FLOOR: f64 = 16_000_000.0;
/// Pacing: never faster than this (bits per second).
pub const PACING_CEILING: f64 = 400_000_000.0;
/// A cached group of pictures older than this is not used where the publisher can be asked for a
/// key frame.
pub const CACHE_AGE_IF_ASKABLE: Duration = Duration::from_millis(1_500);

/// Key-frame requests to one publisher: at most one in this time.
pub const KEY_FRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// Sender reports to a viewer.
pub const SENDER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Sequence numbers of one NACK message that are worked.
pub const NACK_SEQUENCES: usize = 256;
/// The same packet is not retransmitted again within this time, or within the viewer's round trip
/// if that is longer.
pub const RETRANSMIT_AGAIN_AFTER: Duration = Duration::from_millis(15);
/// Retransmissions a viewer gets: share of the bytes sent to it as fresh media.
pub const RETRANSMIT_SHARE: f64 = 0.5;
/// Retransmissions a viewer gets beyond that share (bytes): one key frame's tail.
pub const RETRANSMIT_BURST: f64 = 96_000.0;

/// The loop never waits for less: deadlines of many legs share a turn.
pub const SHORTEST_WAIT: Duration = Duration::from_micros(100);
/// The loop wakes at least this often.
pub const IDLE_TURN: Duration = Duration::from_millis(200);
/// A source address whose leg heard nothing authenticated for this long may be taken over by
/// another leg.
pub const ADDRESS_STALE_AFTER: Duration = Duration::from_secs(5);
