//! What an attacker on or off the path can send, and that it changes nothing.

mod link;

use std::net::SocketAddr;

use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use link::{address, identity, Call, World, AT_ONCE, CLIENT, SECOND, SERVER};
use sealcast_leg::{IceCredentials, Stage};
use sealcast_srtp::Profile;
use sealcast_tls::{FingerprintHash, Version};

const STRANGER: &str = "203.0.113.66:6666";

/// The bytes of a STUN message with the integrity of this password.
fn signed(message: StunMessage<'_>, password: &str) -> Vec<u8> {
    let mut buffer = vec![0; 1500];
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let len = message
        .to_bytes(Some(password.as_bytes()), &mut buffer, hmac)
        .expect("it fits");
    buffer.truncate(len);
    buffer
}

/// A check that nominates, from a peer that calls itself controlling.
fn check(to: &IceCredentials, from: &IceCredentials, password: &str) -> Vec<u8> {
    let username = format!("{}:{}", to.ufrag, from.ufrag);
    signed(
        StunMessage::binding_request(&username, TransId::new(), true, u64::MAX, 1, true),
        password,
    )
}

fn is_dtls(bytes: &[u8]) -> bool {
    (20..64).contains(&bytes[0])
}

/// Both ends still talk, and nothing more was told since `events`.
fn assert_unmoved(world: &mut World, events: [usize; 2]) {
    let heard: Vec<usize> = world.nodes.iter().map(|node| node.rtp.len()).collect();
    let sequence = 20_000 + u16::try_from(heard[0]).expect("tests send little");
    world.talk(sequence, 5);
    for (node, name) in [(SERVER, "server"), (CLIENT, "client")] {
        let node = &world.nodes[node];
        assert!(node.closed().is_none(), "{name}: {}", world.story());
        assert_eq!(
            node.rtp.len() - heard[usize::from(name == "client")],
            5,
            "{name}"
        );
        let later: Vec<_> = node.events[events[usize::from(name == "client")]..]
            .iter()
            .collect();
        assert!(later.is_empty(), "{name}: {later:?}");
    }
}

/// A call that has talked already, and how many events each end has told.
fn talking() -> (World, IceCredentials, IceCredentials, [usize; 2]) {
    let call = Call::new();
    let server = call.server.local_credentials.clone();
    let client = call.client.local_credentials.clone();
    let mut world = call.connected();
    world.talk(1, 3);
    let events = [
        world.nodes[SERVER].events.len(),
        world.nodes[CLIENT].events.len(),
    ];
    (world, server, client, events)
}

#[test]
fn a_certificate_with_another_fingerprint_fails_the_identity_stage() {
    for version in [Version::V1_2, Version::V1_3] {
        for (deceived, other) in [(SERVER, CLIENT), (CLIENT, SERVER)] {
            let mut call = Call::new();
            let wrong = vec![identity().fingerprint(FingerprintHash::Sha256)];
            match deceived {
                SERVER => call.server.dtls.expected = wrong,
                _ => call.client.dtls.expected = wrong,
            }
            call.server.dtls.max_version = version;
            call.client.dtls.max_version = version;
            let mut world = call.begin();
            world.run(20 * SECOND);
            assert_eq!(
                world.nodes[deceived].failed_stage(),
                Some((Stage::Identity, "DTLS.FINGERPRINT_MISMATCH")),
                "{}",
                world.story()
            );
            assert!(!world.nodes[deceived].leg.is_secured());
            assert!(world.nodes[other].closed().is_some(), "{}", world.story());
            assert!(world.nodes[other].rtp.is_empty());
        }
    }
}

#[test]
fn ends_without_a_common_version_group_or_profile_say_so_and_quickly() {
    type Change = fn(&mut Call);
    let cases: [(Change, &str, Stage); 3] = [
        (
            |call| {
                call.server.dtls.min_version = Version::V1_3;
                call.client.dtls.max_version = Version::V1_2;
            },
            "DTLS.VERSION_REFUSED",
            Stage::Handshake,
        ),
        (
            |call| {
                call.server.dtls.min_version = Version::V1_3;
                call.client.dtls.min_version = Version::V1_3;
                call.server.dtls.groups = "X25519".to_owned();
                call.client.dtls.groups = "P-256".to_owned();
            },
            "DTLS.NO_COMMON_GROUP",
            Stage::Handshake,
        ),
        (
            |call| call.client.dtls.srtp_profiles = vec![Profile::Aes128CmSha1_80],
            "DTLS.NO_SRTP_PROFILE",
            Stage::Keys,
        ),
    ];
    for (change, code, stage) in cases {
        let mut call = Call::new();
        change(&mut call);
        let mut world = call.begin();
        world.run(5 * SECOND);
        let server = &world.nodes[SERVER];
        assert_eq!(
            server.failed_stage(),
            Some((stage, code)),
            "{}",
            world.story()
        );
        assert!(world.nodes[CLIENT].closed().is_some(), "{}", world.story());
    }
}

#[test]
fn a_spoofed_source_with_a_valid_looking_but_unauthenticated_check_gets_nothing() {
    let (mut world, server, client, events) = talking();
    let guess = IceCredentials::generate();
    let forged = check(&server, &client, &guess.pwd);
    assert_eq!(
        world.inject(SERVER, address(STRANGER), &forged),
        Some("ICE.BAD_INTEGRITY")
    );
    let foreign = check(&guess, &client, &server.pwd);
    assert_eq!(
        world.inject(SERVER, address(STRANGER), &foreign),
        Some("ICE.UNKNOWN_UFRAG")
    );
    let foreign = check(&server, &guess, &server.pwd);
    assert_eq!(
        world.inject(SERVER, address(STRANGER), &foreign),
        Some("ICE.UNKNOWN_UFRAG")
    );
    world.run(10 * SECOND);
    assert!(
        !world.lost_to.contains(&address(STRANGER)),
        "nothing was sent there"
    );
    assert_unmoved(&mut world, events);
}

#[test]
fn a_genuine_check_replayed_from_another_address_moves_no_media_and_admits_no_dtls() {
    let (mut world, ..) = talking();
    let heard = world.nodes[SERVER].heard.clone();
    let path = world.nodes[SERVER].leg.path();
    for flight in heard
        .iter()
        .filter(|flight| flight.bytes.starts_with(&[0, 1]))
    {
        assert_eq!(world.inject(SERVER, address(STRANGER), &flight.bytes), None);
    }
    world.run(60 * SECOND);
    assert_eq!(world.nodes[SERVER].leg.path(), path);
    let hello = heard
        .iter()
        .find(|flight| is_dtls(&flight.bytes))
        .expect("there was a handshake");
    for _ in 0..20 {
        world.inject(SERVER, address(STRANGER), &hello.bytes);
    }
    assert!(world.nodes[SERVER].drops_of("DTLS.UNVALIDATED_SOURCE") >= 12);
    let events = [
        world.nodes[SERVER].events.len(),
        world.nodes[CLIENT].events.len(),
    ];
    assert_unmoved(&mut world, events);
    // What went there are answers to its checks and a bounded number of ours, never media.
    assert!(
        world
            .lost_to
            .iter()
            .filter(|to| **to == address(STRANGER))
            .count()
            < 40
    );
}

#[test]
fn a_peer_cannot_aim_our_media_at_a_third_party() {
    let (mut world, server, client, events) = talking();
    let victim = address(STRANGER);
    let path = world.nodes[SERVER].leg.path();
    // The peer is authenticated, spoofs the victim's address and nominates.
    assert_eq!(
        world.inject(SERVER, victim, &check(&server, &client, &server.pwd)),
        None
    );
    world.run(60 * SECOND);
    assert_eq!(
        world.nodes[SERVER].leg.path(),
        path,
        "the victim never answered"
    );
    let events = [events[0] + 1, events[1]]; // The source that it validated.
    assert_unmoved(&mut world, events);
}

#[test]
fn an_answer_from_another_address_than_was_asked_counts_for_nothing() {
    let mut world = Call::new().begin();
    // Whatever the client answers arrives from a stranger, and from the client itself too late.
    world.tap = Some(Box::new(|mut flight| {
        if flight.to == SERVER && flight.bytes.starts_with(&[0x01, 0x01]) {
            flight.source = address(STRANGER);
        }
        vec![(AT_ONCE, flight)]
    }));
    world.run(3 * SECOND);
    assert!(world.nodes[SERVER].drops_of("ICE.UNEXPECTED_RESPONSE") > 0);
    assert_eq!(world.nodes[SERVER].leg.path(), None);
    assert_eq!(world.nodes[SERVER].stages(), ["path started"]);
}

#[test]
fn a_client_hello_from_an_unvalidated_address_is_dropped() {
    // From nowhere, before any check.
    let mut world = Call::new().begin();
    let hello = {
        let (other, ..) = talking();
        let heard = &other.nodes[SERVER].heard;
        heard
            .iter()
            .find(|flight| is_dtls(&flight.bytes))
            .expect("a handshake")
            .bytes
            .clone()
    };
    for source in [address(STRANGER), world.nodes[CLIENT].address] {
        assert_eq!(
            world.inject(SERVER, source, &hello),
            Some("DTLS.UNVALIDATED_SOURCE")
        );
    }
    // And in a race with the genuine one.
    world.tap = Some(Box::new(move |flight| {
        let mut flights = vec![(AT_ONCE, flight.clone())];
        if flight.to == SERVER && is_dtls(&flight.bytes) {
            let source = address(STRANGER);
            flights.insert(
                0,
                (
                    AT_ONCE,
                    link::Flight {
                        source,
                        bytes: hello.clone(),
                        ..flight
                    },
                ),
            );
        }
        flights
    }));
    assert!(
        world.run_until(2 * SECOND, World::is_connected),
        "{}",
        world.story()
    );
    world.tap = None;
    let events = [
        world.nodes[SERVER].events.len(),
        world.nodes[CLIENT].events.len(),
    ];
    world.talk(1, 3);
    assert_eq!(
        events[0] + 1,
        world.nodes[SERVER].events.len(),
        "media done"
    );
}

#[test]
fn a_replay_of_everything_that_was_ever_sent_changes_nothing() {
    let (mut world, _, _, events) = talking();
    for node in [SERVER, CLIENT] {
        for flight in world.nodes[node].heard.clone() {
            let packets = world.nodes[node].rtp.len();
            world.inject(node, flight.source, &flight.bytes);
            assert_eq!(
                world.nodes[node].rtp.len(),
                packets,
                "no packet is handed over twice"
            );
        }
        assert_eq!(world.nodes[node].drops_of("SRTP.REPLAYED"), 3);
    }
    assert_unmoved(&mut world, events);
}

/// A call in which the `number`th DTLS datagram to `victim` has a copy in front of it with one bit
/// of the byte `place` flipped.
fn call_with_a_corrupted_copy(version: Version, victim: usize, number: u32, place: usize) -> World {
    let mut call = Call::new();
    call.server.dtls.max_version = version;
    call.client.dtls.max_version = version;
    let mut world = call.begin();
    let mut seen = 0;
    world.tap = Some(Box::new(move |flight| {
        let mut flights = vec![(AT_ONCE, flight.clone())];
        if flight.to == victim && is_dtls(&flight.bytes) {
            if seen == number && place < flight.bytes.len() {
                let mut forged = flight.clone();
                forged.bytes[place] ^= 0x10;
                flights.insert(0, (AT_ONCE, forged));
            }
            seen += 1;
        }
        flights
    }));
    world
}

#[test]
fn a_corrupted_first_flight_in_front_of_the_good_one_does_not_end_the_leg() {
    let mut slowest = AT_ONCE;
    for version in [Version::V1_2, Version::V1_3] {
        for victim in [SERVER, CLIENT] {
            for number in 0..2 {
                for place in (0..1100).step_by(41) {
                    let mut world = call_with_a_corrupted_copy(version, victim, number, place);
                    assert!(
                        world.run_until(29 * SECOND, World::is_connected),
                        "{version}, byte {place} of datagram {number} to {victim}: {}",
                        world.story()
                    );
                    slowest = slowest.max(world.elapsed());
                    world.talk(1, 2);
                    assert!(world.nodes.iter().all(|node| node.rtp.len() == 2));
                }
            }
        }
    }
    // Half of the handshake's time, when the damage shows as a standstill, and a round more.
    assert!(slowest < 17 * SECOND, "{slowest:?}");
}

#[test]
fn a_flood_of_random_datagrams_before_and_during_a_call_changes_nothing() {
    let mut dice = fastrand::Rng::with_seed(7);
    let mut flood = |world: &mut World, sources: &[SocketAddr]| {
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..dice.usize(0..200)).map(|_| dice.u8(..)).collect();
            if dice.bool() {
                // Half of them look like what the leg expects.
                let starts: [&[u8]; 5] = [
                    &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
                    &[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
                    &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0],
                    &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9],
                    &[0x80, 201, 0, 1, 0, 0, 0, 9],
                ];
                let start = starts[dice.usize(..starts.len())];
                bytes.splice(0..0, start.iter().copied());
                if start[0] < 2 {
                    bytes.resize(bytes.len().next_multiple_of(4).max(20), 0);
                    let len = u16::try_from(bytes.len() - 20).expect("short");
                    bytes[2..4].copy_from_slice(&len.to_be_bytes());
                }
            }
            let source = sources[dice.usize(..sources.len())];
            world.inject(SERVER, source, &bytes);
            let packets = world
                .nodes
                .iter()
                .map(|node| node.rtp.len() + node.rtcp.len());
            assert_eq!(
                packets.sum::<usize>() % 3,
                0,
                "no forged packet is handed over"
            );
        }
    };
    let mut world = Call::new().begin();
    let client = world.nodes[CLIENT].address;
    flood(&mut world, &[address(STRANGER), client]);
    assert_eq!(world.nodes[SERVER].stages(), ["path started"]);
    assert!(world.nodes[SERVER].sources().is_empty());
    assert!(
        world.run_until(2 * SECOND, World::is_connected),
        "{}",
        world.story()
    );
    world.talk(1, 3);
    let events = [
        world.nodes[SERVER].events.len(),
        world.nodes[CLIENT].events.len(),
    ];
    flood(&mut world, &[address(STRANGER), client]);
    assert_unmoved(&mut world, events);
    for code in [
        "ICE.MALFORMED",
        "DTLS.UNVALIDATED_SOURCE",
        "SRTP.AUTH_FAILED",
    ] {
        assert!(
            world.nodes[SERVER].drops_of(code) > 0,
            "{code}: {}",
            world.story()
        );
    }
}

#[test]
fn random_dtls_from_the_validated_address_during_the_handshake_does_not_end_it() {
    let mut dice = fastrand::Rng::with_seed(9);
    let mut world = Call::new().begin();
    world.tap = Some(Box::new(move |flight| {
        let mut flights = vec![(AT_ONCE, flight.clone())];
        if is_dtls(&flight.bytes) {
            for _ in 0..20 {
                let mut forged = flight.clone();
                forged.bytes = (0..dice.usize(1..300)).map(|_| dice.u8(..)).collect();
                forged.bytes[0] = dice.u8(20..64);
                flights.insert(0, (AT_ONCE, forged));
            }
        }
        flights
    }));
    assert!(
        world.run_until(10 * SECOND, World::is_connected),
        "{}",
        world.story()
    );
}

#[test]
fn a_leg_knows_at_most_sixteen_addresses_and_keeps_serving_them() {
    let (mut world, server, client, _) = talking();
    let mut refused = 0;
    for port in 1..=40 {
        let source = SocketAddr::new(address(STRANGER).ip(), port);
        let check = check(&server, &client, &server.pwd);
        refused += u32::from(world.inject(SERVER, source, &check) == Some("ICE.TOO_MANY_SOURCES"));
    }
    assert_eq!(refused, 40 - 15);
    assert_eq!(world.nodes[SERVER].sources().len(), 16);
    let events = [
        world.nodes[SERVER].events.len(),
        world.nodes[CLIENT].events.len(),
    ];
    world.run(10 * SECOND);
    assert_unmoved(&mut world, events);
}

#[test]
fn a_check_to_an_address_that_is_no_candidate_is_dropped() {
    let (mut world, server, client, _) = talking();
    let mut bytes = check(&server, &client, &server.pwd);
    let node = &mut world.nodes[SERVER];
    let outcome = node
        .leg
        .receive(world.now, address("127.0.0.1:1"), node.address, &mut bytes);
    assert_eq!(
        outcome,
        sealcast_leg::Received::Dropped("ICE.UNKNOWN_LOCAL_ADDRESS")
    );
}
