//! Two legs find each other, prove each other and talk, in fair and in foul weather.

mod link;

use link::{Call, Weather, AT_ONCE, CLIENT, MS, SECOND, SERVER};
use sealcast_srtp::Profile;
use sealcast_tls::dtls::Role;
use sealcast_tls::Version;

const ALL_STAGES: [&str; 10] = [
    "path started",
    "path done",
    "handshake started",
    "handshake done",
    "identity started",
    "identity done",
    "keys started",
    "keys done",
    "media started",
    "media done",
];

#[test]
fn media_flows_both_ways_and_every_stage_is_told_in_order() {
    let mut world = Call::new().connected();
    world.talk(100, 10);
    world.send_rtcp(SERVER);
    world.send_rtcp(CLIENT);
    world.run(100 * MS);
    for node in &world.nodes {
        assert_eq!(node.stages(), ALL_STAGES);
        assert_eq!(node.rtp.len(), 10);
        assert_eq!(node.rtcp.len(), 1);
        assert!(node.drops.is_empty(), "{}", world.story());
        assert!(node.closed().is_none());
    }
    assert_eq!(world.nodes[SERVER].rtp[0][12..], *b"from the client");
    assert_eq!(world.nodes[CLIENT].rtp[0][12..], *b"from the server");
}

#[test]
fn a_connection_takes_few_round_trips() {
    let world = Call::new().connected();
    // 20 ms each: check, check in return, and a 1.3 handshake.
    assert!(world.elapsed() <= 120 * MS, "{}", world.story());
    assert_eq!(world.nodes[SERVER].leg.rtt(), Some(20 * MS));
}

#[test]
fn the_seals_of_both_ends_agree() {
    let world = Call::new().connected();
    let server = world.nodes[SERVER]
        .seal()
        .expect("a connected leg is sealed");
    let client = world.nodes[CLIENT]
        .seal()
        .expect("a connected leg is sealed");
    assert_eq!(server.dtls.version, "1.3");
    assert_eq!(server.dtls.group.as_deref(), Some("X25519MLKEM768"));
    assert!(server.dtls.post_quantum && server.dtls.forward_secrecy);
    assert_eq!(server.srtp_profile, Profile::AeadAes128Gcm);
    assert_eq!(client.srtp_profile, server.srtp_profile);
    assert_eq!(client.dtls.cipher, server.dtls.cipher);
    assert!(server.peer_fingerprint.starts_with("sha-256 "));
    assert_eq!(server.peer_fingerprint, client.local_fingerprint);
    assert_eq!(client.peer_fingerprint, server.local_fingerprint);
}

#[test]
fn every_version_role_and_profile_connects_and_talks() {
    for version in [Version::V1_2, Version::V1_3] {
        for server_role in [Role::Server, Role::Client] {
            for profile in Profile::of_dtls() {
                let mut call = Call::new();
                call.server.dtls.role = server_role;
                call.client.dtls.role = match server_role {
                    Role::Server => Role::Client,
                    Role::Client => Role::Server,
                };
                for config in [&mut call.server, &mut call.client] {
                    (config.dtls.min_version, config.dtls.max_version) = (version, version);
                    config.dtls.srtp_profiles = vec![profile];
                }
                let mut world = call.connected();
                world.talk(1, 5);
                for node in &world.nodes {
                    assert_eq!(
                        node.rtp.len(),
                        5,
                        "{version} {server_role:?} {}",
                        profile.name()
                    );
                    let seal = node.seal().expect("a connected leg is sealed");
                    assert_eq!(seal.dtls.version, version.name());
                    assert_eq!(seal.srtp_profile, profile);
                }
            }
        }
    }
}

#[test]
fn a_call_connects_and_talks_with_30_percent_loss_reordering_and_duplication() {
    let (mut slowest, mut duplicates) = (AT_ONCE, 0);
    for seed in 0..30 {
        let mut call = Call::new();
        (call.weather, call.seed) = (Weather::FOUL, seed);
        let mut world = call.connected();
        slowest = slowest.max(world.elapsed());
        world.talk(65_500, 100); // The sequence number rolls over on the way.
        for node in &world.nodes {
            assert!(
                (45..=95).contains(&node.rtp.len()),
                "seed {seed}: {}",
                node.rtp.len()
            );
            assert!(node.closed().is_none(), "seed {seed}: {}", world.story());
            assert_eq!(node.drops_of("SRTP.AUTH_FAILED"), 0, "seed {seed}");
            duplicates += node.drops_of("SRTP.REPLAYED");
            let mut unique = node.rtp.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(
                unique.len(),
                node.rtp.len(),
                "no packet is handed over twice"
            );
        }
    }
    assert!(duplicates > 100, "{duplicates} of about 300 were refused");
    assert!(
        slowest < 20 * SECOND,
        "the slowest of 30 calls took {slowest:?}"
    );
}

#[test]
fn dtls_1_2_connects_with_30_percent_loss_too() {
    for seed in 0..10 {
        let mut call = Call::new();
        (call.weather, call.seed) = (Weather::FOUL, seed);
        call.server.dtls.max_version = Version::V1_2;
        let mut world = call.connected();
        world.talk(1, 20);
        assert!(
            world.nodes.iter().all(|node| node.rtp.len() > 5),
            "seed {seed}"
        );
    }
}

#[test]
fn a_client_hello_that_overtakes_the_answer_to_our_check_is_held_and_not_lost() {
    let mut world = Call::new().begin();
    // STUN responses to the server come late: its own check is not answered when DTLS arrives.
    world.tap = Some(Box::new(|flight| {
        let is_response_to_server = flight.to == SERVER && flight.bytes.starts_with(&[0x01, 0x01]);
        let later = if is_response_to_server {
            15 * MS
        } else {
            AT_ONCE
        };
        vec![(later, flight)]
    }));
    assert!(
        world.run_until(SECOND, link::World::is_connected),
        "{}",
        world.story()
    );
    assert_eq!(world.nodes[SERVER].drops_of("DTLS.UNVALIDATED_SOURCE"), 0);
    assert!(world.elapsed() < 150 * MS, "{}", world.story());
}

#[test]
fn media_that_is_faster_than_the_last_handshake_flight_is_dropped_with_a_code() {
    let mut world = Call::new().begin();
    let bytes = [&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[7; 40]].concat();
    let source = world.nodes[CLIENT].address;
    assert_eq!(world.inject(SERVER, source, &bytes), Some("SRTP.NOT_READY"));
    assert!(world.run_until(SECOND, link::World::is_connected));
}
