//! A media leg of a server and datagrams from anywhere: nothing is delivered before keys, nothing
//! is sent to an address that did not speak first, and every drop has a code.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sealcast_leg::{DtlsParameters, IceCredentials, Leg, LegConfig, Output, Received, Side, CODES};
use sealcast_srtp::{Lifetime, Profile};
use sealcast_tls::dtls::Role;
use sealcast_tls::{FingerprintHash, Identity, Version};

use crate::input::push_counted;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "leg_datagrams",
    run,
    seeds,
};

/// What a leg may say in answer to one datagram: a check, an answer, a flight.
const MOST_ANSWERS: usize = 128;

static IDENTITY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Arc::new(Identity::ephemeral().expect("the engine makes a certificate")));

pub(super) fn here() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 5000).into()
}

fn remote(number: u8) -> SocketAddr {
    (Ipv4Addr::new(198, 51, 100, number), 6000).into()
}

fn credentials(name: &str) -> IceCredentials {
    IceCredentials {
        ufrag: name.to_owned(),
        pwd: format!("{name}/thirty/two/characters/long"),
    }
}

pub(super) fn leg(side: Side, now: Instant) -> Leg {
    let (local, remote_name, address) = match side {
        Side::Server => ("server", "client", here()),
        Side::Client => ("client", "server", remote(1)),
    };
    let config = LegConfig {
        side,
        local_credentials: credentials(local),
        remote_credentials: credentials(remote_name),
        local_addresses: vec![address],
        remote_candidates: vec![here()],
        dtls: DtlsParameters {
            role: match side {
                Side::Server => Role::Server,
                Side::Client => Role::Client,
            },
            identity: Arc::clone(&IDENTITY),
            expected: vec![IDENTITY.fingerprint(FingerprintHash::Sha256)],
            min_version: Version::V1_2,
            max_version: Version::V1_3,
            groups: "X25519:P-256".to_owned(),
            srtp_profiles: vec![Profile::AeadAes128Gcm],
        },
        key_lifetime: Lifetime::default(),
        handshake_timeout: LegConfig::DEFAULT_TIMEOUT,
        path_timeout: LegConfig::DEFAULT_TIMEOUT,
    };
    Leg::new(config, now).expect("the configuration is admissible")
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut now = Instant::now();
    let mut leg = leg(Side::Server, now);
    let mut spoke = HashSet::new();
    while !input.is_empty() {
        let source = remote(input.byte());
        spoke.insert(source);
        let mut datagram = input.counted_piece().to_vec();
        match leg.receive(now, here(), source, &mut datagram) {
            Received::Rtp(_) | Received::Rtcp(_) => panic!("media before keys"),
            Received::Dropped(code) => assert!(CODES.contains(&code), "{code} is in no table"),
            Received::Handled => {}
        }
        sent_only_to(&spoke, &mut leg);
        now += Duration::from_millis(u64::from(input.byte()) * 8);
        leg.tick(now);
        sent_only_to(&spoke, &mut leg);
    }
}

fn sent_only_to(spoke: &HashSet<SocketAddr>, leg: &mut Leg) {
    let mut answers = 0;
    while let Some(output) = leg.poll() {
        if let Output::Transmit { local, remote, .. } = output {
            assert_eq!(local, here());
            assert!(spoke.contains(&remote), "{remote} never spoke to us");
            answers += 1;
        }
    }
    assert!(
        answers <= MOST_ANSWERS,
        "{answers} datagrams in answer to one"
    );
}

/// What a real client says, as far as a recording of it goes.
fn seeds() -> Vec<Vec<u8>> {
    let mut now = Instant::now();
    let (mut server, mut client) = (leg(Side::Server, now), leg(Side::Client, now));
    let mut seed = Vec::new();
    for _ in 0..12 {
        for datagram in sent(&mut client) {
            seed.push(1);
            push_counted(&mut seed, &datagram);
            seed.push(2);
            let mut datagram = datagram;
            server.receive(now, here(), remote(1), &mut datagram);
        }
        for mut datagram in sent(&mut server) {
            client.receive(now, remote(1), here(), &mut datagram);
        }
        now += Duration::from_millis(20);
        client.tick(now);
        server.tick(now);
    }
    assert!(server.is_secured(), "the recorded session came to its end");
    vec![seed]
}

fn sent(leg: &mut Leg) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    while let Some(output) = leg.poll() {
        if let Output::Transmit { datagram, .. } = output {
            datagrams.push(datagram);
        }
    }
    datagrams
}
