//! What the receiving end of a publisher's leg owes the publisher: reports, NACKs, key-frame
//! requests, transport-wide feedback.
//!
//! Does: interarrival statistics and receiver reports (RFC 3550 §6.4, A.3, A.8), sender-report
//! bookkeeping, NACKs with bounded retries (RFC 4585 §6.2.1), PLIs merged and repeated until the
//! key frame comes (§6.3.1), transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//! Does not: read packets, decrypt, reorder or keep payloads, know a clock or a socket.
//! The caller must: register a stream only after a packet of it was authenticated, call
//! [`Reception::on_key_frame`] when one arrives, feed retransmissions both as packets of their own
//! stream ([`Reception::on_rtp`]) and as recovered originals ([`Reception::on_recovered`]), and
//! after each batch drain [`Reception::poll`] until it returns 0, again at
//! [`Reception::deadline`].
//!
//! Memory is bounded: [`MAX_STREAMS`] streams, a fixed window and a fixed list of missing packets
//! each, one fixed ring of arrival times.

mod arrivals;
mod key_frame_request;
mod missing;
mod owed;
mod statistics;

use std::time::{Duration, Instant};

use crate::rtp::{unwrap_sequence, ExtendedSequence};

use arrivals::TransportArrivals;
use key_frame_request::KeyFrameRequest;
use missing::Missing;
use statistics::Interarrival;

pub use crate::rtp::split_retransmission;

/// Streams of one leg: as many as an SRTP context of crate `srtp` admits.
pub const MAX_STREAMS: usize = 64;
/// Longest compound packet written.
pub const MAX_COMPOUND: usize = 1200;
/// The first report comes early, so that the publisher knows its round-trip time.
const FIRST_REPORT: Duration = Duration::from_millis(300);
/// Transport-wide feedback: libwebrtc's own range is 50 to 250 ms.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);
/// Round-trip time assumed before one was measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);
/// What a leg is told once.
#[derive(Clone, Debug)]
pub struct ReceptionConfig {
    /// SSRC that signs our RTCP.
    pub local_ssrc: u32,
    /// Canonical name of this end (RFC 7022).
    pub cname: String,
    /// Whether the peer takes reduced-size RTCP (`a=rtcp-rsize`, RFC 5506). If not, each compound
    /// opens with a receiver report and a CNAME (RFC 3550 §6.1).
    pub reduced_size: bool,
}

/// What is asked for one stream.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct StreamConfig {
    /// RTP clock rate in Hz; 0 is read as 90000.
    pub clock_rate: u32,
    /// Ask for lost packets again. Off for a retransmission stream.
    pub nack: bool,
    /// Key frames may be asked for.
    pub key_frames: bool,
}

/// The leg has [`MAX_STREAMS`] streams already.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct TooManyStreams;

impl TooManyStreams {
    /// The code under which the packet is dropped.
    pub const fn code(self) -> &'static str {
        "RTP.TOO_MANY_STREAMS"
    }
}

/// How a packet stands to those before it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum ArrivalKind {
    /// The next one, or the first.
    InOrder,
    /// One beyond the next: packets between are missing.
    Gap,
    /// One that was missing.
    Late,
    /// Seen before, or too old to tell: to be dropped.
    Duplicate,
}

/// The place of a packet in its stream.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Unwrapped sequence number; see [`ExtendedSequence`] for where it starts.
    pub extended_seq: u64,
    /// How it stands to those before it.
    pub kind: ArrivalKind,
}

/// The pair of clocks in a publisher's last sender report.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct ClockMapping {
    /// The publisher's wall clock, 32.32 fixed point seconds since 1900.
    pub ntp: u64,
    /// The same instant in the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// When the report arrived.
    pub received_at: Instant,
    /// The stream's clock rate.
    pub clock_rate: u32,
}

impl ClockMapping {
    /// The publisher's wall clock at `rtp_timestamp`, which may lie before the report.
    pub fn ntp_at(&self, rtp_timestamp: u32) -> u64 {
        let units = i128::from(rtp_timestamp.wrapping_sub(self.rtp_timestamp) as i32);
        let step = (units << 32) / i128::from(self.clock_rate);
        self.ntp.wrapping_add_signed(step as i64) // at most 2^31 s in 32.32, fits
    }
}

/// Counts of one stream, for a snapshot.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct StreamStatistics {
    /// Packets received, duplicates included.
    pub packets: u64,
    /// Payload bytes received.
    pub octets: u64,
    /// Packets expected and not received in the original stream; recovered ones still count.
    pub lost: i64,
    /// Packets seen twice or too old to tell.
    pub duplicates: u64,
    /// Packets that came out of order.
    pub late: u64,
    /// Lost packets that a retransmission brought.
    pub recovered: u64,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Sequence numbers asked for again, repetitions included.
    pub nacked: u64,
    /// Lost packets given up.
    pub abandoned: u64,
    /// PLIs sent.
    pub key_frame_requests: u64,
    /// Loss in the last finished report interval, in 1/256.
    pub fraction_lost: u8,
}

/// The receiving end of one publisher's leg.
#[derive(Debug)]
pub struct Reception {
    config: ReceptionConfig,
    streams: Vec<Stream>,
    /// Index of the stream that had a packet last: media comes in runs.
    recent: usize,
    arrivals: TransportArrivals,
    feedback_at: Option<Instant>,
    feedback_count: u8,
    report_at: Instant,
    rtt: Duration,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    config: StreamConfig,
    sequence: ExtendedSequence,
    interarrival: Interarrival,
    missing: Missing,
    mapping: Option<ClockMapping>,
    key_frame: KeyFrameRequest,
    report_due: bool,
    counts: StreamStatistics,
}

impl Reception {
    /// A leg without streams.
    pub fn new(config: ReceptionConfig, now: Instant) -> Reception {
        Reception {
            config,
            streams: Vec::new(),
            recent: 0,
            arrivals: TransportArrivals::new(now),
            feedback_at: None,
            feedback_count: 0,
            report_at: now + FIRST_REPORT,
            rtt: UNKNOWN_RTT,
        }
    }

    /// Begins to keep state for a stream; a second call for the same SSRC changes its settings.
    /// Only for an SSRC from an authenticated packet or from the agreed session description.
    ///
    /// # Errors
    /// [`TooManyStreams`]: drop the packet and count the code.
    pub fn register(&mut self, ssrc: u32, config: StreamConfig) -> Result<(), TooManyStreams> {
        let clock_rate = if config.clock_rate == 0 {
            90_000
        } else {
            config.clock_rate
        };
        let config = StreamConfig {
            clock_rate,
            ..config
        };
        if let Some(stream) = self.stream_mut(ssrc) {
            stream.config = config;
            return Ok(());
        }
        if self.streams.len() >= MAX_STREAMS {
            return Err(TooManyStreams);
        }
        self.streams.push(Stream {
            ssrc,
            config,
            sequence: ExtendedSequence::default(),
            interarrival: Interarrival::default(),
            missing: Missing::default(),
            mapping: None,
            key_frame: KeyFrameRequest::default(),
            report_due: false,
            counts: StreamStatistics::default(),
        });
        Ok(())
    }

    /// Forgets a stream, for instance after its BYE.
    pub fn forget(&mut self, ssrc: u32) {
        self.streams.retain(|stream| stream.ssrc != ssrc);
        self.recent = 0;
    }

    /// Whether the stream was registered.
    pub fn is_registered(&self, ssrc: u32) -> bool {
        self.stream(ssrc).is_some()
    }

    /// The leg's round-trip time, as ICE or a report block measured it: it spaces repeated NACKs.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Notes an authenticated packet. `transport_seq` is the value of its transport-wide sequence
    /// number extension where feedback was negotiated. `None` if the stream is not registered
    /// (the transport-wide number is noted all the same: the congestion control of the peer
    /// counts every packet).
    pub fn on_rtp(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        transport_seq: Option<u16>,
        payload_len: usize,
    ) -> Option<Arrival> {
        if let Some(transport_seq) = transport_seq {
            self.arrivals.note(now, transport_seq);
            self.feedback_at.get_or_insert(now + FEEDBACK_INTERVAL);
        }
        let rtt = self.rtt;
        let stream = self.stream_mut(ssrc)?;
        stream.report_due = true;
        stream.counts.packets += 1;
        stream.counts.octets += payload_len as u64;

        let before = stream.sequence.highest();
        let extended_seq = stream.sequence.unwrap(sequence);
        stream
            .interarrival
            .note(now, extended_seq, timestamp, stream.config.clock_rate);
        let kind = match before {
            None => ArrivalKind::InOrder,
            Some(highest) if extended_seq == highest + 1 => ArrivalKind::InOrder,
            Some(highest) if extended_seq > highest => ArrivalKind::Gap,
            Some(_) if stream.missing.was_received(extended_seq) => ArrivalKind::Duplicate,
            Some(_) => ArrivalKind::Late,
        };
        match kind {
            ArrivalKind::Duplicate => stream.counts.duplicates += 1,
            ArrivalKind::Late => stream.counts.late += 1,
            ArrivalKind::InOrder | ArrivalKind::Gap => {}
        }
        let ask = stream.config.nack.then_some(rtt);
        let abandoned = stream.missing.on_received(now, extended_seq, ask);
        stream.give_up(now, abandoned);
        Some(Arrival { extended_seq, kind })
    }

    /// Notes that a retransmission brought the original packet `sequence` of `media_ssrc`
    /// (RFC 4588 §4). `None` if that stream has no packet yet.
    pub fn on_recovered(&mut self, media_ssrc: u32, sequence: u16) -> Option<Arrival> {
        let stream = self.stream_mut(media_ssrc)?;
        // Unwrapped around the highest but not remembered: a retransmission is never news.
        let highest = stream.sequence.highest()?;
        let extended_seq = unwrap_sequence(highest, sequence);
        let kind = if extended_seq > highest || stream.missing.was_received(extended_seq) {
            stream.counts.duplicates += 1;
            ArrivalKind::Duplicate
        } else {
            stream.counts.recovered += 1;
            stream.missing.on_recovered(extended_seq);
            ArrivalKind::Late
        };
        Some(Arrival { extended_seq, kind })
    }

    /// Notes a sender report about a registered stream; others are ignored.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: u32, ntp: u64, rtp_timestamp: u32) {
        if let Some(stream) = self.stream_mut(ssrc) {
            let clock_rate = stream.config.clock_rate;
            stream.mapping = Some(ClockMapping {
                ntp,
                rtp_timestamp,
                received_at: now,
                clock_rate,
            });
        }
    }

    /// Notes that a key frame of the stream has arrived: requests for it are answered.
    pub fn on_key_frame(&mut self, ssrc: u32) {
        if let Some(stream) = self.stream_mut(ssrc) {
            stream.key_frame.answered();
        }
    }

    /// Asks for a key frame: at once, or as soon as the last request is 500 ms old. Repeated until
    /// [`Reception::on_key_frame`], five times at most. Ignored where PLI was not agreed on.
    pub fn request_key_frame(&mut self, now: Instant, ssrc: u32) {
        if let Some(stream) = self.stream_mut(ssrc) {
            if stream.config.key_frames {
                stream.key_frame.ask(now);
            }
        }
    }

    /// The clocks in the stream's last sender report.
    pub fn clock_mapping(&self, ssrc: u32) -> Option<ClockMapping> {
        self.stream(ssrc)?.mapping
    }

    /// The stream's counts.
    pub fn statistics(&self, ssrc: u32) -> Option<StreamStatistics> {
        let stream = self.stream(ssrc)?;
        Some(StreamStatistics {
            lost: stream.interarrival.lost(stream.sequence.highest()),
            jitter: stream.interarrival.jitter(),
            fraction_lost: stream.interarrival.last_fraction_lost(),
            ..stream.counts
        })
    }

    /// When [`Reception::poll`] has something to write at the latest.
    pub fn deadline(&self) -> Instant {
        let mut deadline = self.report_at;
        if let Some(feedback_at) = self.feedback_at {
            deadline = deadline.min(feedback_at);
        }
        for stream in &self.streams {
            let dues = [stream.missing.due(), stream.key_frame.due];
            deadline = dues.into_iter().flatten().fold(deadline, Ord::min);
        }
        deadline
    }

    fn stream(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc)
    }

    fn stream_mut(&mut self, ssrc: u32) -> Option<&mut Stream> {
        if self
            .streams
            .get(self.recent)
            .is_none_or(|stream| stream.ssrc != ssrc)
        {
            self.recent = self.streams.iter().position(|stream| stream.ssrc == ssrc)?;
        }
        self.streams.get_mut(self.recent)
    }
}
