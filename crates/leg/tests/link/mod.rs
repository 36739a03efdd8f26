//! A network of two legs: a fake clock, and a link that loses, delays, reorders and duplicates.
//!
//! Nothing waits: the clock jumps to whatever is due next. The link's dice have a seed, so a run
//! repeats up to the randomness that DTLS and ICE draw themselves.

#![allow(dead_code)] // Each test file uses its part of the kit.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_leg::{
    DtlsParameters, IceCredentials, Leg, LegConfig, LegEvent, Output, Path, Received, SealFacts,
    Side, Stage,
};
use sealcast_srtp::{Lifetime, Profile};
use sealcast_tls::dtls::Role;
use sealcast_tls::{FingerprintHash, Identity, Version};

pub const SERVER: usize = 0;
pub const CLIENT: usize = 1;

/// No later than the weather makes it.
pub const AT_ONCE: Duration = Duration::ZERO;
pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// Ticks that may fall into one instant. A leg works off a deadline in one or two; one that stays
/// due would hold the clock still, and the test with it.
const MOST_TICKS_AT_ONCE: u32 = 1000;

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address in a test")
}

/// What the weather is like on the link, each way.
#[derive(Copy, Clone)]
pub struct Weather {
    pub loss: f64,
    pub duplication: f64,
    pub delay: Duration,
    /// Each datagram takes up to this much longer, so that some overtake others.
    pub jitter: Duration,
}

impl Weather {
    pub const FAIR: Weather = Weather {
        loss: 0.0,
        duplication: 0.0,
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
    };

    pub const FOUL: Weather = Weather {
        loss: 0.3,
        duplication: 0.1,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
    };
}

/// A datagram on its way.
#[derive(Clone)]
pub struct Flight {
    pub to: usize,
    pub source: SocketAddr,
    pub target: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Sees each datagram as it leaves, and says what flies in its place, and how much later.
pub type Tap = Box<dyn FnMut(Flight) -> Vec<(Duration, Flight)>>;

/// One leg with everything that came out of it.
pub struct Node {
    pub leg: Leg,
    pub address: SocketAddr,
    /// What the other end sees datagrams of this node come from.
    pub appears_as: SocketAddr,
    /// Where else datagrams reach it.
    pub also_at: Vec<SocketAddr>,
    pub events: Vec<(Duration, LegEvent)>,
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    pub drops: BTreeMap<&'static str, u32>,
    /// Every datagram it was sent, for replays.
    pub heard: Vec<Flight>,
}

impl Node {
    pub fn stages(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|(_, event)| told(event))
            .collect()
    }

    pub fn seal(&self) -> Option<&SealFacts> {
        self.events.iter().find_map(|(_, event)| match event {
            LegEvent::Sealed(seal) => Some(&**seal),
            _ => None,
        })
    }

    /// When and why it ended.
    pub fn closed(&self) -> Option<(Duration, &'static str, &str)> {
        self.events.iter().find_map(|(at, event)| match event {
            LegEvent::Closed { code, detail } => Some((*at, *code, detail.as_str())),
            _ => None,
        })
    }

    pub fn failed_stage(&self) -> Option<(Stage, &'static str)> {
        self.events.iter().find_map(|(_, event)| match event {
            LegEvent::StageFailed { stage, code, .. } => Some((*stage, *code)),
            _ => None,
        })
    }

    pub fn drops_of(&self, code: &str) -> u32 {
        self.drops.get(code).copied().unwrap_or(0)
    }

    pub fn sources(&self) -> Vec<SocketAddr> {
        let mut sources = Vec::new();
        for (_, event) in &self.events {
            match event {
                LegEvent::SourceValidated { remote } => sources.push(*remote),
                LegEvent::SourceForgotten { remote } => sources.retain(|known| known != remote),
                _ => {}
            }
        }
        sources
    }
}

fn told(event: &LegEvent) -> Option<String> {
    match event {
        LegEvent::StageStarted(stage) => Some(format!("{} started", stage.name())),
        LegEvent::StageDone(stage) => Some(format!("{} done", stage.name())),
        LegEvent::StageFailed { stage, code, .. } => {
            Some(format!("{} failed {code}", stage.name()))
        }
        _ => None,
    }
}

/// Two legs and the link between them.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub weather: Weather,
    pub nodes: [Node; 2],
    pub tap: Option<Tap>,
    is_cut: bool,
    /// Where datagrams went that reached nobody.
    pub lost_to: Vec<SocketAddr>,
    in_flight: Vec<(Instant, u64, Flight)>,
    sent: u64,
    dice: fastrand::Rng,
}

/// The two configurations of a call, to be changed before it begins.
pub struct Call {
    pub server: LegConfig,
    pub client: LegConfig,
    pub weather: Weather,
    pub seed: u64,
}

pub fn identity() -> Arc<Identity> {
    Arc::new(Identity::ephemeral().expect("a fresh identity"))
}

impl Call {
    /// A server that is `setup:passive` and a client that knows its address.
    pub fn new() -> Call {
        let (server, client) = (identity(), identity());
        let expected = |identity: &Identity| vec![identity.fingerprint(FingerprintHash::Sha256)];
        let (at_server, at_client) = (IceCredentials::generate(), IceCredentials::generate());
        let config = |side, role, own: &Arc<Identity>, other: &Identity, local: &str| LegConfig {
            side,
            local_credentials: at_server.clone(),
            remote_credentials: at_client.clone(),
            local_addresses: vec![address(local)],
            remote_candidates: Vec::new(),
            dtls: DtlsParameters {
                role,
                identity: Arc::clone(own),
                expected: expected(other),
                min_version: Version::V1_2,
                max_version: Version::V1_3,
                groups: "X25519MLKEM768:X25519:P-256".to_owned(),
                srtp_profiles: vec![Profile::AeadAes128Gcm, Profile::AeadAes256Gcm],
            },
            key_lifetime: Lifetime::default(),
            handshake_timeout: 30 * SECOND,
            path_timeout: 30 * SECOND,
        };
        let server_config = config(
            Side::Server,
            Role::Server,
            &server,
            &client,
            "192.0.2.1:8443",
        );
        let mut client_config = config(
            Side::Client,
            Role::Client,
            &client,
            &server,
            "198.51.100.7:40000",
        );
        std::mem::swap(
            &mut client_config.local_credentials,
            &mut client_config.remote_credentials,
        );
        client_config.remote_candidates = server_config.local_addresses.clone();
        Call {
            server: server_config,
            client: client_config,
            weather: Weather::FAIR,
            seed: 1,
        }
    }

    pub fn begin(self) -> World {
        let now = Instant::now();
        let node = |config: LegConfig| {
            let address = config.local_addresses[0];
            Node {
                leg: Leg::new(config, now).expect("the configuration of a test works"),
                address,
                appears_as: address,
                also_at: Vec::new(),
                events: Vec::new(),
                rtp: Vec::new(),
                rtcp: Vec::new(),
                drops: BTreeMap::new(),
                heard: Vec::new(),
            }
        };
        let mut world = World {
            start: now,
            now,
            weather: self.weather,
            nodes: [node(self.server), node(self.client)],
            tap: None,
            is_cut: false,
            lost_to: Vec::new(),
            in_flight: Vec::new(),
            sent: 0,
            dice: fastrand::Rng::with_seed(self.seed),
        };
        world.drain(SERVER);
        world.drain(CLIENT);
        world
    }

    /// Begins and runs until both ends are secured and have a path.
    pub fn connected(self) -> World {
        let mut world = self.begin();
        assert!(
            world.run_until(30 * SECOND, World::is_connected),
            "{}",
            world.story()
        );
        world
    }
}

impl World {
    pub fn is_connected(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.leg.is_secured() && node.leg.path().is_some())
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// For the message of a failed assertion.
    pub fn story(&self) -> String {
        let mut story = format!("after {:?}:\n", self.elapsed());
        for (node, name) in self.nodes.iter().zip(["server", "client"]) {
            story += &format!("  {name}: drops {:?}\n", node.drops);
            for (at, event) in &node.events {
                story += &format!(
                    "    {at:?} {}\n",
                    told(event).unwrap_or(format!("{event:?}"))
                );
            }
        }
        story
    }

    /// Runs for this long.
    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until the condition holds, at most for this long; says whether it does.
    pub fn run_until(&mut self, time: Duration, condition: impl Fn(&World) -> bool) -> bool {
        let end = self.now + time;
        let mut ticks_at_once = 0;
        while !condition(self) {
            let arrival = self
                .in_flight
                .iter()
                .map(|(at, number, _)| (*at, *number))
                .min();
            let timer = self
                .nodes
                .iter_mut()
                .filter_map(|node| node.leg.deadline())
                .min();
            let next = arrival.map(|(at, _)| at).into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                break;
            };
            if next > self.now {
                self.now = next;
                ticks_at_once = 0;
            }
            if let Some((at, number)) = arrival.filter(|(at, _)| *at <= self.now) {
                let place = self
                    .in_flight
                    .iter()
                    .position(|(a, n, _)| (*a, *n) == (at, number));
                let (_, _, flight) = self
                    .in_flight
                    .swap_remove(place.expect("it was just there"));
                self.deliver(flight);
            } else {
                ticks_at_once += 1;
                assert!(
                    ticks_at_once <= MOST_TICKS_AT_ONCE,
                    "the clock stands still: a leg was ticked {MOST_TICKS_AT_ONCE} times and its \
                     deadline is still due; {}",
                    self.story()
                );
                for node in [SERVER, CLIENT] {
                    if self.nodes[node]
                        .leg
                        .deadline()
                        .is_some_and(|at| at <= self.now)
                    {
                        self.nodes[node].leg.tick(self.now);
                        self.drain(node);
                    }
                }
            }
        }
        condition(self)
    }

    /// Hands a datagram to a leg at once, and returns the drop code if it was dropped.
    pub fn inject(&mut self, to: usize, source: SocketAddr, bytes: &[u8]) -> Option<&'static str> {
        let target = self.nodes[to].address;
        self.hand_over(Flight {
            to,
            source,
            target,
            bytes: bytes.to_vec(),
        })
    }

    fn deliver(&mut self, flight: Flight) {
        self.nodes[flight.to].heard.push(flight.clone());
        self.hand_over(flight);
    }

    fn hand_over(&mut self, flight: Flight) -> Option<&'static str> {
        let node = &mut self.nodes[flight.to];
        let mut bytes = flight.bytes;
        let dropped = match node
            .leg
            .receive(self.now, flight.target, flight.source, &mut bytes)
        {
            Received::Rtp(plain) => {
                node.rtp.push(plain.to_vec());
                None
            }
            Received::Rtcp(plain) => {
                node.rtcp.push(plain.to_vec());
                None
            }
            Received::Handled => None,
            Received::Dropped(code) => {
                *node.drops.entry(code).or_default() += 1;
                Some(code)
            }
        };
        self.drain(flight.to);
        dropped
    }

    /// From now on nothing arrives, not even what is under way.
    pub fn cut(&mut self) {
        self.is_cut = true;
        self.in_flight.clear();
    }

    /// Works off what a leg put out.
    pub fn drain(&mut self, node: usize) {
        let mut transmits = VecDeque::new();
        while let Some(output) = self.nodes[node].leg.poll() {
            match output {
                Output::Transmit {
                    local,
                    remote,
                    datagram,
                } => {
                    assert_eq!(
                        local, self.nodes[node].address,
                        "it sends from its own address"
                    );
                    transmits.push_back((remote, datagram));
                }
                Output::Event(event) => {
                    let at = self.elapsed();
                    self.nodes[node].events.push((at, event));
                }
            }
        }
        for (remote, datagram) in transmits {
            self.send(node, remote, datagram);
        }
    }

    fn send(&mut self, from: usize, remote: SocketAddr, bytes: Vec<u8>) {
        let to = 1 - from;
        let receiver = &self.nodes[to];
        if self.is_cut || (remote != receiver.appears_as && !receiver.also_at.contains(&remote)) {
            self.lost_to.push(remote);
            return; // Nobody is there (any more).
        }
        let flight = Flight {
            to,
            source: self.nodes[from].appears_as,
            target: self.nodes[to].address,
            bytes,
        };
        let flights = match &mut self.tap {
            Some(tap) => tap(flight),
            None => vec![(Duration::ZERO, flight)],
        };
        for (later, flight) in flights {
            let copies = 1 + usize::from(self.dice.f64() < self.weather.duplication);
            for _ in 0..copies {
                if self.dice.f64() >= self.weather.loss {
                    let jitter = self.weather.jitter.mul_f64(self.dice.f64());
                    let at = self.now + self.weather.delay + later + jitter;
                    self.sent += 1;
                    self.in_flight.push((at, self.sent, flight.clone()));
                }
            }
        }
    }

    /// Protects an RTP packet and sends it where the leg says.
    pub fn send_rtp(&mut self, from: usize, sequence: u16, payload: &[u8]) {
        let mut packet = vec![0x80, 96];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 1, 0, 0, 0, 9]);
        packet.extend(payload);
        let len = packet.len();
        packet.resize(len + 16, 0);
        let leg = &mut self.nodes[from].leg;
        let len = leg
            .protect_rtp(&mut packet, len)
            .expect("the leg is secured");
        packet.truncate(len);
        let Path { remote, .. } = leg.path().expect("the leg has a path");
        self.drain(from);
        self.send(from, remote, packet);
    }

    /// Protects an RTCP receiver report and sends it where the leg says.
    pub fn send_rtcp(&mut self, from: usize) {
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
        packet.resize(8 + 20, 0);
        let leg = &mut self.nodes[from].leg;
        let len = leg
            .protect_rtcp(&mut packet, 8)
            .expect("the leg is secured");
        packet.truncate(len);
        let Path { remote, .. } = leg.path().expect("the leg has a path");
        self.send(from, remote, packet);
    }

    /// Sends `count` packets each way, one every 20 ms, and lets the last arrive.
    pub fn talk(&mut self, first_sequence: u16, count: u16) {
        for number in 0..count {
            let sequence = first_sequence.wrapping_add(number);
            self.send_rtp(SERVER, sequence, b"from the server");
            self.send_rtp(CLIENT, sequence, b"from the client");
            self.run(20 * MS);
        }
        self.run(200 * MS);
    }
}
