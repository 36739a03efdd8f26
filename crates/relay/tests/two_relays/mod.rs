//! Relays on loopback that talk to each other with real ICE, DTLS and SRTP: what the end-to-end
//! tests stand on.

#![allow(dead_code)] // each test file uses its part

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_leg::IceCredentials;
use sealcast_relay::clock::monotonic_ns;
use sealcast_relay::spec::*;
use sealcast_relay::{
    Command, Event, FrameSink, FrameTap, RelayConfig, RelayHandle, Snapshot, TapFrame,
};
use sealcast_tls::{FingerprintHash, Identity};

pub mod lossy;

pub const VIDEO: TrackId = 1;
pub const AUDIO: TrackId = 2;

/// A relay on a port of 127.0.0.1 that the system chose.
pub fn relay(name: &str) -> RelayHandle {
    relay_at(name, "127.0.0.1:0")
}

/// A relay bound there.
pub fn relay_at(name: &str, bind: &str) -> RelayHandle {
    let mut config = RelayConfig::new(vec![bind.parse().expect("an address")]);
    config.thread_name = name.to_owned();
    let relay = RelayHandle::start(config).expect("the address can be bound");
    for (id, kind, codec, clock_rate) in [
        (VIDEO, Kind::Video, Codec::H264, 90_000),
        (AUDIO, Kind::Audio, Codec::Opus, 48_000),
    ] {
        relay
            .command(Command::AddTrack {
                id,
                kind,
                codec,
                clock_rate,
            })
            .expect("the queue is empty");
    }
    relay
}

/// How a leg between two relays is to be.
#[derive(Clone)]
pub struct Terms {
    pub version: &'static str,
    pub profile: &'static str,
    pub rtx: bool,
    /// The fingerprint that the sending end expects, if not the true one.
    pub wrong_fingerprint: bool,
    /// Where the asking end knocks, if not at the other's door.
    pub via: Option<SocketAddr>,
    /// Whether the asking end knocks from a socket of its own.
    pub own_socket: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            version: "1.3",
            profile: "AEAD_AES_128_GCM",
            rtx: true,
            wrong_fingerprint: false,
            via: None,
            own_socket: false,
        }
    }
}

/// Adds a leg of the same id to both relays: media flows from `from` to `to`; `to` asks (client
/// side) or is asked.
pub fn connect(
    from: &RelayHandle,
    to: &RelayHandle,
    id: LegId,
    sender_side: LegSide,
    terms: &Terms,
) {
    let (sender_ice, receiver_ice) = (IceCredentials::generate(), IceCredentials::generate());
    let identity = || Arc::new(Identity::ephemeral().expect("randomness is there"));
    let (sender_identity, receiver_identity) = (identity(), identity());
    let receiver_side = match sender_side {
        LegSide::Server => LegSide::Client,
        LegSide::Client => LegSide::Server,
    };
    let ice = |own: &IceCredentials, peer: &IceCredentials, target: &RelayHandle| IceSpec {
        local_ufrag: own.ufrag.clone(),
        local_pwd: own.pwd.clone(),
        remote_ufrag: peer.ufrag.clone(),
        remote_pwd: peer.pwd.clone(),
        remote_candidates: terms
            .via
            .map_or_else(|| target.local_addresses(), |via| vec![via]),
    };
    let dtls = |role: DtlsSetup, peer: &Identity, is_wrong: bool| {
        let fingerprint = peer.fingerprint(FingerprintHash::Sha256);
        let mut value = fingerprint.value();
        if is_wrong {
            value.replace_range(0..2, if value.starts_with("00") { "11" } else { "00" });
        }
        DtlsSpec {
            role,
            min_version: terms.version.to_owned(),
            max_version: terms.version.to_owned(),
            groups: "X25519MLKEM768:X25519:P-256:P-384".to_owned(),
            srtp_profiles: vec![terms.profile.to_owned()],
            fingerprints: vec![FingerprintSpec {
                algorithm: "sha-256".to_owned(),
                value,
            }],
            handshake_timeout_ms: 10_000,
        }
    };
    let setup = |side: LegSide| {
        if side == LegSide::Client {
            DtlsSetup::Active
        } else {
            DtlsSetup::Passive
        }
    };
    let rtx = |payload_type: u8| terms.rtx.then_some(payload_type);
    let extensions = ExtensionIds {
        mid: Some(1),
        twcc: Some(3),
        ..ExtensionIds::default()
    };
    let send =
        |track, mid: &str, kind, codec, payload_type, clock_rate, ssrc: u32, has_rtx: bool| {
            SendSpec {
                track,
                mid: mid.to_owned(),
                kind,
                codec,
                payload_type,
                rtx_payload_type: rtx(payload_type + 1).filter(|_| has_rtx),
                clock_rate,
                ssrc,
                rtx_ssrc: terms.rtx.then_some(ssrc + 1).filter(|_| has_rtx),
                cname: "from".to_owned(),
                extensions,
                nack: has_rtx,
                pli: has_rtx,
            }
        };
    let receive = |spec: &SendSpec| ReceiveSpec {
        track: spec.track,
        mid: spec.mid.clone(),
        kind: spec.kind,
        codec: spec.codec,
        payload_type: spec.payload_type,
        rtx_payload_type: spec.rtx_payload_type,
        clock_rate: spec.clock_rate,
        ssrcs: Vec::new(),
        extensions,
        nack: spec.nack,
        pli: spec.pli,
        twcc: true,
    };
    let own_binds = |side: LegSide| match side {
        LegSide::Client if terms.own_socket => vec!["127.0.0.1:0".parse().expect("an address")],
        LegSide::Client | LegSide::Server => Vec::new(),
    };
    let sections = vec![
        send(
            VIDEO,
            "0",
            Kind::Video,
            Codec::H264,
            102,
            90_000,
            0x0a00_0000 + id as u32 * 16,
            true,
        ),
        send(
            AUDIO,
            "1",
            Kind::Audio,
            Codec::Opus,
            111,
            48_000,
            0x0b00_0000 + id as u32 * 16,
            false,
        ),
    ];
    let receiver = LegSpec {
        id,
        side: receiver_side,
        ice: ice(&receiver_ice, &sender_ice, from),
        dtls: dtls(setup(receiver_side), &sender_identity, false),
        receive: sections.iter().map(receive).collect(),
        send: Vec::new(),
        own_binds: own_binds(receiver_side),
    };
    let sender = LegSpec {
        id,
        side: sender_side,
        ice: ice(&sender_ice, &receiver_ice, to),
        dtls: dtls(
            setup(sender_side),
            &receiver_identity,
            terms.wrong_fingerprint,
        ),
        receive: Vec::new(),
        send: sections,
        own_binds: own_binds(sender_side),
    };
    // The end that is asked is there first, as in WHIP and WHEP.
    let mut legs = [
        (from, sender, sender_identity),
        (to, receiver, receiver_identity),
    ];
    legs.sort_by_key(|(_, spec, _)| spec.side == LegSide::Client);
    for (relay, spec, identity) in legs {
        relay
            .command(Command::AddLeg {
                spec: Box::new(spec),
                identity,
            })
            .expect("the queue is empty");
    }
}

/// Collects a relay's events until one satisfies `wanted`.
pub fn wait_event(
    relay: &RelayHandle,
    seen: &mut Vec<Event>,
    wanted: impl Fn(&Event) -> bool,
) -> Event {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        seen.extend(relay.drain_events());
        if let Some(event) = seen.iter().find(|event| wanted(event)) {
            return event.clone();
        }
        assert!(
            Instant::now() < deadline,
            "the event did not come; seen: {seen:#?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Both ends of leg `id` are sealed.
pub fn wait_sealed(relays: &[&RelayHandle], id: LegId) {
    for relay in relays {
        wait_event(
            relay,
            &mut Vec::new(),
            |event| matches!(event, Event::LegSealed { leg, .. } if *leg == id),
        );
    }
}

/// Makes H264 access units of a given size, each recognisable.
pub struct Camera {
    sink: FrameSink,
    frame: u64,
    pub key_every: u64,
    pub frame_bytes: usize,
    start_ns: u64,
}

impl Camera {
    pub fn new(relay: &RelayHandle, source: SourceId, frame_bytes: usize) -> Camera {
        let sink = relay.frame_sink(VIDEO, source).expect("the queue is empty");
        Camera {
            sink,
            frame: 0,
            key_every: 30,
            frame_bytes,
            start_ns: monotonic_ns(),
        }
    }

    /// The next frame's bytes.
    pub fn access_unit(&self) -> Vec<u8> {
        let is_key = self.frame.is_multiple_of(self.key_every);
        let mut unit = Vec::new();
        if is_key {
            unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80]);
            unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80]);
        }
        unit.extend([0, 0, 0, 1, if is_key { 0x65 } else { 0x41 }, 0x88]);
        unit.extend(format!("frame {:08} ", self.frame).bytes());
        let size = if is_key {
            self.frame_bytes * 6
        } else {
            self.frame_bytes
        };
        // Never zero, so that no start code arises.
        unit.extend((0..size).map(|at| (at as u64 * 31 + self.frame) as u8 | 1));
        unit
    }

    /// Pushes the next frame. Its number and bytes.
    pub fn shoot(&mut self) -> (u64, Vec<u8>) {
        let unit = self.access_unit();
        let is_key = self.frame.is_multiple_of(self.key_every);
        let node_ns = self.start_ns + self.frame * 33_333_333;
        self.sink
            .push(&unit, self.frame * 3_000, node_ns, is_key)
            .expect("the shard keeps up");
        self.frame += 1;
        (self.frame - 1, unit)
    }
}

/// Waits for `count` frames of a tap.
pub fn wait_frames(tap: &FrameTap, count: usize) -> Vec<TapFrame> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.extend(tap.read());
        assert!(
            Instant::now() < deadline,
            "only {} of {count} frames came",
            frames.len()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    frames
}

/// All numbers of a relay.
pub fn answer(relay: &RelayHandle) -> Snapshot {
    relay
        .snapshot(Duration::from_secs(2))
        .expect("the shard answers")
}

/// Waits until something is true of a relay's numbers.
pub fn wait_numbers(relay: &RelayHandle, is_reached: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let snapshot = answer(relay);
        if is_reached(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "the numbers stay: {snapshot:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that no leg and no track of a relay dropped anything.
pub fn no_drops(relay: &RelayHandle) {
    let snapshot = answer(relay);
    for leg in &snapshot.legs {
        assert!(leg.drops.is_empty(), "leg {}: {:?}", leg.id, leg.drops);
    }
    for track in &snapshot.tracks {
        assert!(
            track.drops.is_empty(),
            "track {}: {:?}",
            track.id,
            track.drops
        );
    }
}
