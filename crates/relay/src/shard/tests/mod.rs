//! A shard driven by hand, on the test's own thread and with the test's own clock, and its peers:
//! whole legs on real sockets of 127.0.0.1, driven by hand too. So a test decides what a turn
//! finds, and can count what it does.

mod allocation;
mod congestion;
mod instructions;
mod join_storm;
mod restarts;
mod surveys;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use sealcast_leg::{DtlsParameters, IceCredentials, Leg, LegConfig, Output, Received, Side};
use sealcast_srtp::{Lifetime, Profile};
use sealcast_tls::dtls::Role;
use sealcast_tls::{FingerprintHash, Identity, Version};

use super::Shard;
use crate::command::Command;
use crate::entry::Entry;
use crate::limits;
use crate::outbox::Outbox;
use crate::ports::Ports;
use crate::rtcp::CompoundWriter;
use crate::rtp::{write_packet_header, HeaderFields, RtpHeader};
use crate::spec::{
    Codec, DtlsSetup, DtlsSpec, ExtensionIds, FingerprintSpec, IceSpec, Kind, LegId, LegSide,
    LegSpec, ReceiveSpec, SendSpec, TrackId,
};
use crate::wake::Wake;

const VIDEO: TrackId = 1;
const AUDIO: TrackId = 2;
const VIDEO_TYPE: u8 = 102;
const RTX_TYPE: u8 = 103;
const AUDIO_TYPE: u8 = 111;
const MID: u8 = 1;
const TWCC: u8 = 3;
/// Packets of the frames that [`Publisher`] sends.
const FRAME_PACKETS: usize = 14;
/// Bytes of each packet's payload.
const PAYLOAD: usize = 1_100;
/// Between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);

/// The shard under test and its time.
struct Stand {
    shard: Shard,
    now: Instant,
    next_leg: LegId,
}

impl Stand {
    fn new() -> Stand {
        let bind = "127.0.0.1:0".parse().expect("an address");
        let wake = || Arc::new(Wake::new().expect("a descriptor is left"));
        // The test's orders go to the core directly, and nobody reads its events.
        let (_, orders) = bounded(1);
        let (events, _) = bounded(1);
        let mut stand = Stand {
            shard: Shard::new(
                Ports::bind(&[bind]).expect("loopback can be bound"),
                orders,
                wake(),
                Arc::new(AtomicBool::new(false)),
                Outbox::new(events, wake()),
            ),
            now: Instant::now(),
            next_leg: 1,
        };
        for (id, kind, codec, clock_rate) in [
            (VIDEO, Kind::Video, Codec::H264, 90_000),
            (AUDIO, Kind::Audio, Codec::Opus, 48_000),
        ] {
            stand.command(Command::AddTrack {
                id,
                kind,
                codec,
                clock_rate,
            });
        }
        stand
    }

    fn address(&self) -> SocketAddr {
        self.shard.ports.addresses()[0]
    }

    fn command(&mut self, command: Command) {
        let Shard { core, ports, .. } = &mut self.shard;
        core.command(command, self.now, ports);
    }

    fn work(&mut self) {
        self.shard.work(self.now);
    }

    /// Adds a leg and makes its peer; neither has sent anything yet.
    fn peer(&mut self, receive: Vec<ReceiveSpec>, send: Vec<SendSpec>) -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
        socket
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = socket.local_addr().expect("it is bound");
        let (ours, theirs) = (IceCredentials::generate(), IceCredentials::generate());
        let identity = || Arc::new(Identity::ephemeral().expect("randomness is there"));
        let (our_identity, their_identity) = (identity(), identity());
        let theirs_proved = their_identity.fingerprint(FingerprintHash::Sha256);
        let groups = "X25519:P-256";
        let id = self.next_leg;
        self.next_leg += 1;
        let config = LegConfig {
            side: Side::Client,
            local_credentials: theirs.clone(),
            remote_credentials: ours.clone(),
            local_addresses: vec![address],
            remote_candidates: vec![self.address()],
            dtls: DtlsParameters {
                role: Role::Client,
                identity: their_identity,
                expected: vec![our_identity.fingerprint(FingerprintHash::Sha256)],
                min_version: Version::V1_2,
                max_version: Version::V1_3,
                groups: groups.to_owned(),
                srtp_profiles: vec![Profile::AeadAes128Gcm],
            },
            key_lifetime: Lifetime::default(),
            handshake_timeout: LegConfig::DEFAULT_TIMEOUT,
            path_timeout: LegConfig::DEFAULT_TIMEOUT,
        };
        let spec = LegSpec {
            id,
            side: LegSide::Server,
            ice: IceSpec {
                local_ufrag: ours.ufrag,
                local_pwd: ours.pwd,
                remote_ufrag: theirs.ufrag,
                remote_pwd: theirs.pwd,
                remote_candidates: Vec::new(),
            },
            dtls: DtlsSpec {
                role: DtlsSetup::Passive,
                min_version: "1.2".to_owned(),
                max_version: "1.3".to_owned(),
                groups: groups.to_owned(),
                srtp_profiles: vec![Profile::AeadAes128Gcm.name().to_owned()],
                fingerprints: vec![FingerprintSpec {
                    algorithm: "sha-256".to_owned(),
                    value: theirs_proved.value(),
                }],
                handshake_timeout_ms: 30_000,
            },
            receive,
            send,
            own_binds: Vec::new(),
        };
        self.command(Command::AddLeg {
            spec: Box::new(spec),
            identity: our_identity,
        });
        Peer {
            id,
            leg: Leg::new(config, self.now).expect("the configuration is well formed"),
            socket,
            media: VecDeque::new(),
            buffer: Box::new([0; 2048]),
        }
    }

    /// A peer that takes both tracks.
    fn viewer(&mut self) -> Peer {
        let (track, ssrc) = (VIDEO, 0x1000_0000);
        let sections = vec![
            send_section(track, Kind::Video, ssrc),
            send_section(AUDIO, Kind::Audio, ssrc + 2),
        ];
        self.peer(Vec::new(), sections)
    }

    /// A peer that sends pictures.
    fn publisher(&mut self) -> Publisher {
        let section = ReceiveSpec {
            track: VIDEO,
            mid: "0".to_owned(),
            kind: Kind::Video,
            codec: Codec::H264,
            payload_type: VIDEO_TYPE,
            rtx_payload_type: Some(RTX_TYPE),
            clock_rate: 90_000,
            ssrcs: Vec::new(),
            extensions: extensions(),
            nack: true,
            pli: true,
            twcc: true,
        };
        Publisher {
            peer: self.peer(vec![section], Vec::new()),
            sequence: 65_000, // it wraps soon
            timestamp: 0,
            transport: 0,
            rtx_sequence: 9,
        }
    }

    /// Turns until all of them are sealed at both ends. Their clock is real: nobody may wait for a
    /// timer long.
    fn settle<'a>(&mut self, peers: impl Iterator<Item = &'a mut Peer>) {
        let mut peers: Vec<&mut Peer> = peers.collect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !peers.iter().all(|peer| self.is_settled(peer)) {
            assert!(Instant::now() < deadline, "not all peers are sealed");
            self.now = self.now.max(Instant::now());
            for peer in &mut peers {
                peer.work(self.now);
            }
            self.work();
        }
        // What is left of both handshakes.
        for _ in 0..20 {
            for peer in &mut peers {
                peer.work(self.now);
            }
            self.work();
        }
    }

    /// A turn takes only so much time for handshakes, so the shard may be behind its peer.
    fn is_settled(&self, peer: &Peer) -> bool {
        let is_ready = |leg: &Leg| leg.is_secured() && leg.path().is_some();
        is_ready(&peer.leg) && self.entry(peer.id).is_some_and(|ours| is_ready(&ours.leg))
    }

    fn entry(&self, leg: LegId) -> Option<&Entry> {
        let legs = &self.shard.core.legs;
        legs.index_of(leg).and_then(|index| legs.get(index))
    }

    fn drops(&self, leg: LegId, code: &str) -> u64 {
        self.entry(leg).map_or(0, |entry| entry.drops.get(code))
    }
}

fn extensions() -> ExtensionIds {
    ExtensionIds {
        mid: Some(MID),
        twcc: Some(TWCC),
        ..ExtensionIds::default()
    }
}

fn send_section(track: TrackId, kind: Kind, ssrc: u32) -> SendSpec {
    let is_video = kind == Kind::Video;
    SendSpec {
        track,
        mid: track.to_string(),
        kind,
        codec: if is_video { Codec::H264 } else { Codec::Opus },
        payload_type: if is_video { VIDEO_TYPE } else { AUDIO_TYPE },
        rtx_payload_type: is_video.then_some(RTX_TYPE),
        clock_rate: if is_video { 90_000 } else { 48_000 },
        ssrc,
        rtx_ssrc: is_video.then_some(ssrc + 1),
        cname: "stand".to_owned(),
        extensions: extensions(),
        nack: is_video,
        pli: is_video,
    }
}

/// One media packet, as it came and was opened.
#[derive(Clone, Debug)]
struct Media {
    payload_type: u8,
    sequence: u16,
}

/// The other end of a leg.
struct Peer {
    id: LegId,
    leg: Leg,
    socket: UdpSocket,
    /// Media packets that came, in order.
    media: VecDeque<Media>,
    buffer: Box<[u8; 2048]>,
}

impl Peer {
    /// Takes what came, sends what the leg wants sent, and keeps its timers.
    fn work(&mut self, now: Instant) {
        self.take(now);
        if self.leg.deadline().is_some_and(|deadline| deadline <= now) {
            self.leg.tick(now);
        }
        self.send_own(now);
    }

    /// Takes what came. Returns the datagrams that were not media.
    fn take(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let local = self.socket.local_addr().expect("it is bound");
        let mut others = Vec::new();
        while let Ok((len, remote)) = self.socket.recv_from(&mut self.buffer[..]) {
            let whole = self.buffer[..len].to_vec();
            match self
                .leg
                .receive(now, local, remote, &mut self.buffer[..len])
            {
                Received::Rtp(packet) => {
                    let header = RtpHeader::parse(packet).expect("the shard writes RTP");
                    self.media.push_back(Media {
                        payload_type: header.payload_type,
                        sequence: header.sequence,
                    });
                }
                Received::Rtcp(_) => {}
                Received::Handled | Received::Dropped(_) => others.push(whole),
            }
        }
        others
    }

    fn send_own(&mut self, _now: Instant) {
        while let Some(output) = self.leg.poll() {
            if let Output::Transmit {
                remote, datagram, ..
            } = output
            {
                self.send_raw(remote, &datagram);
            }
        }
    }

    fn send_raw(&self, remote: SocketAddr, datagram: &[u8]) {
        self.socket
            .send_to(datagram, remote)
            .expect("loopback takes every datagram");
    }

    fn send_rtp(&mut self, len: usize) {
        let path = self.leg.path().expect("the peer is settled");
        let len = self
            .leg
            .protect_rtp(&mut self.buffer[..], len)
            .expect("the peer is sealed");
        self.send_raw(path.remote, &self.buffer[..len]);
    }

    fn send_rtcp(&mut self, write: impl FnOnce(&mut CompoundWriter<'_>)) {
        let path = self.leg.path().expect("the peer is settled");
        let mut writer = CompoundWriter::new(&mut self.buffer[..1_200]);
        assert!(writer.receiver_report(7, &[]));
        write(&mut writer);
        let len = writer.len();
        let len = self
            .leg
            .protect_rtcp(&mut self.buffer[..], len)
            .expect("the peer is sealed");
        self.send_raw(path.remote, &self.buffer[..len]);
    }

    /// The pictures' packets that came since the last call: their sequence numbers.
    fn taken_pictures(&mut self) -> Vec<u16> {
        self.taken(VIDEO_TYPE)
    }

    fn taken(&mut self, payload_type: u8) -> Vec<u16> {
        let is_wanted = |media: &Media| media.payload_type == payload_type;
        let taken = self.media.iter().filter(|media| is_wanted(media));
        let taken = taken.map(|media| media.sequence).collect();
        self.media.retain(|media| !is_wanted(media));
        taken
    }
}

/// A peer that sends frames of equal length.
struct Publisher {
    peer: Peer,
    sequence: u16,
    timestamp: u32,
    transport: u16,
    rtx_sequence: u16,
}

impl Publisher {
    const SSRC: u32 = 0x2000_0000;

    /// Sends one frame of [`FRAME_PACKETS`]; those for which `loses` is true are numbered and not
    /// sent. Returns the number of the first packet.
    fn frame(&mut self, is_key: bool, loses: impl Fn(usize) -> bool) -> u16 {
        let first = self.sequence;
        self.timestamp = self.timestamp.wrapping_add(3_000);
        for at in 0..FRAME_PACKETS {
            let sequence = first.wrapping_add(at as u16);
            let is_start = is_key && at == 0;
            let len = self.write(VIDEO_TYPE, Self::SSRC, sequence, sequence, is_start);
            if !loses(at) {
                self.peer.send_rtp(len);
            }
        }
        self.sequence = first.wrapping_add(FRAME_PACKETS as u16);
        first
    }

    /// Sends a packet of the last frame again (RFC 4588).
    fn resend(&mut self, sequence: u16) {
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        let len = self.write(RTX_TYPE, Self::SSRC + 1, self.rtx_sequence, sequence, false);
        self.peer.send_rtp(len);
    }

    /// Writes a packet into the peer's buffer.
    fn write(
        &mut self,
        payload_type: u8,
        ssrc: u32,
        sequence: u16,
        original: u16,
        is_start: bool,
    ) -> usize {
        let last = self.sequence.wrapping_add(FRAME_PACKETS as u16 - 1);
        let fields = HeaderFields {
            marker: original == last,
            payload_type,
            sequence,
            timestamp: self.timestamp,
            ssrc,
        };
        self.transport = self.transport.wrapping_add(1);
        let number = self.transport.to_be_bytes();
        let out = &mut self.peer.buffer[..];
        let mut at = write_packet_header(out, &fields, &[(MID, b"0"), (TWCC, &number)]);
        if payload_type == RTX_TYPE {
            out[at..at + 2].copy_from_slice(&original.to_be_bytes());
            at += 2;
        }
        out[at..at + PAYLOAD].fill(0x5a);
        // A whole NAL unit: a key frame's slice or another's.
        out[at] = if is_start { 0x65 } else { 0x41 };
        at + PAYLOAD
    }
}

/// Whether these numbers follow one another.
fn is_contiguous(numbers: &[u16]) -> bool {
    numbers
        .windows(2)
        .all(|pair| pair[1] == pair[0].wrapping_add(1))
}

/// Time for a frame to pass every pacer.
fn paced() -> Duration {
    limits::PACING_BURST * 2
}
