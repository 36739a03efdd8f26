//! Two DTLS endpoints over a fake network under a fake clock.
//!
//! Loss, reordering and duplication come from a seeded generator, so a failing run can be
//! repeated by its seed as far as BoringSSL's own randomness allows.

#![allow(dead_code, reason = "each test file uses its own part of this module")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent, Role};
use sealcast_tls::{Facts, Fingerprint, FingerprintHash, Identity, Version};

pub const ALL_GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384";
pub const GCM: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM";

/// xorshift64*: enough for deciding which datagram is lost.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// What the network does to datagrams, in percent of them.
#[derive(Copy, Clone, Debug, Default)]
pub struct Weather {
    pub loss: u64,
    pub reordering: u64,
    pub duplication: u64,
    /// Datagrams of random bytes sent beside each real one.
    pub garbage: u64,
}

pub const CALM: Weather = Weather {
    loss: 0,
    reordering: 0,
    duplication: 0,
    garbage: 0,
};

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Client,
    Server,
}

impl End {
    fn other(self) -> End {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

pub struct Pair {
    pub client: DtlsEndpoint,
    pub server: DtlsEndpoint,
    pub now: Instant,
    pub started: Instant,
    pub events: Vec<(End, DtlsEvent)>,
    pub largest_datagram: usize,
    weather: Weather,
    dice: Dice,
    in_flight: BTreeMap<(Instant, u64), (End, Vec<u8>)>,
    serial: u64,
}

/// Configurations of two ends that expect each other.
pub fn configs() -> (DtlsConfig, DtlsConfig) {
    let client_identity = Arc::new(Identity::ephemeral().expect("an ephemeral identity"));
    let server_identity = Arc::new(Identity::ephemeral().expect("an ephemeral identity"));
    let client = config(Role::Client, &client_identity, &server_identity);
    let server = config(Role::Server, &server_identity, &client_identity);
    (client, server)
}

pub fn config(role: Role, own: &Arc<Identity>, peer: &Arc<Identity>) -> DtlsConfig {
    DtlsConfig {
        role,
        identity: Arc::clone(own),
        expected: vec![peer.fingerprint(FingerprintHash::Sha256)].into(),
        min_version: Version::V1_2,
        max_version: Version::V1_3,
        groups: ALL_GROUPS.to_owned(),
        srtp_profiles: GCM.to_owned(),
        mtu: 1200,
        handshake_timeout: Duration::from_secs(30),
        initial_timeout: Duration::from_millis(100),
    }
}

pub fn only(config: &mut DtlsConfig, version: Version) {
    config.min_version = version;
    config.max_version = version;
}

/// A fingerprint that nobody has.
pub fn foreign_fingerprint() -> Fingerprint {
    Identity::ephemeral()
        .expect("an ephemeral identity")
        .fingerprint(FingerprintHash::Sha256)
}

impl Pair {
    pub fn new(client: DtlsConfig, server: DtlsConfig, weather: Weather, seed: u64) -> Pair {
        let now = Instant::now();
        Pair {
            client: DtlsEndpoint::new(client, now).expect("a valid client configuration"),
            server: DtlsEndpoint::new(server, now).expect("a valid server configuration"),
            now,
            started: now,
            events: Vec::new(),
            largest_datagram: 0,
            weather,
            dice: Dice::new(seed),
            in_flight: BTreeMap::new(),
            serial: 0,
        }
    }

    pub fn end(&mut self, end: End) -> &mut DtlsEndpoint {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }

    /// Takes everything out of both endpoints: datagrams into the network, events into the list.
    pub fn drain(&mut self) {
        for end in [End::Client, End::Server] {
            while let Some(datagram) = self.end(end).poll_transmit() {
                self.largest_datagram = self.largest_datagram.max(datagram.len());
                self.launch(end.other(), datagram);
            }
            while let Some(event) = self.end(end).poll_event() {
                self.events.push((end, event));
            }
        }
    }

    fn launch(&mut self, to: End, datagram: Vec<u8>) {
        if self.dice.percent(self.weather.garbage) {
            let len = self.dice.below(1400) as usize;
            let noise = self.dice.bytes(len);
            self.put(to, noise, 1);
        }
        if self.dice.percent(self.weather.loss) {
            return;
        }
        let late = self.dice.percent(self.weather.reordering);
        let delay_ms = if late { 5 + self.dice.below(60) } else { 5 };
        if self.dice.percent(self.weather.duplication) {
            let again_ms = delay_ms + self.dice.below(40);
            self.put(to, datagram.clone(), again_ms);
        }
        self.put(to, datagram, delay_ms);
    }

    pub fn put(&mut self, to: End, datagram: Vec<u8>, delay_ms: u64) {
        self.serial += 1;
        let at = self.now + Duration::from_millis(delay_ms);
        self.in_flight.insert((at, self.serial), (to, datagram));
    }

    /// Loses what is in the air.
    pub fn lose_everything(&mut self) {
        self.drain();
        self.in_flight.clear();
    }

    /// Advances to the next thing that happens; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        self.drain();
        let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
        let due = [self.client.deadline(), self.server.deadline(), arrival];
        let Some(next) = due.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(entry) = self.in_flight.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, datagram) = entry.remove();
            let now = self.now;
            self.end(to).receive(now, &datagram);
        }
        for end in [End::Client, End::Server] {
            let now = self.now;
            if self.end(end).deadline().is_some_and(|due| due <= now) {
                self.end(end).tick(now);
            }
        }
        self.drain();
        true
    }

    /// Steps until both ends have reported an outcome, or nothing is left to happen.
    pub fn run(&mut self) {
        // A handshake takes tens of steps; a loop that never ends is a defect of a timer.
        for _ in 0..20_000 {
            let both = [End::Client, End::Server]
                .iter()
                .all(|end| self.events.iter().any(|(from, _)| from == end));
            if both || !self.step() {
                return;
            }
        }
        panic!(
            "the handshake neither completes nor fails: {:?}",
            self.events
        );
    }

    /// Steps until nothing is in the air and no timer runs, or for `limit` of fake time.
    pub fn settle(&mut self, limit: Duration) {
        let end = self.now + limit;
        for _ in 0..20_000 {
            if self.now >= end || !self.step() {
                return;
            }
        }
        panic!("a timer spins");
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.started
    }

    pub fn facts(&self, end: End) -> &Facts {
        self.events
            .iter()
            .find_map(|(from, event)| match event {
                DtlsEvent::Established(facts) if *from == end => Some(facts),
                _ => None,
            })
            .unwrap_or_else(|| panic!("{end:?} is not established: {:?}", self.events))
    }

    pub fn failure(&self, end: End) -> (&'static str, &str) {
        self.events
            .iter()
            .find_map(|(from, event)| match event {
                DtlsEvent::Failed { code, detail } if *from == end => {
                    Some((*code, detail.as_str()))
                }
                _ => None,
            })
            .unwrap_or_else(|| panic!("{end:?} has not failed: {:?}", self.events))
    }

    pub fn assert_same_keys(&self) {
        let client = self.client.export_srtp(56).expect("client keys");
        let server = self.server.export_srtp(56).expect("server keys");
        assert_eq!(*client, *server, "both ends export the same material");
        assert!(client.iter().any(|octet| *octet != 0));
    }
}
