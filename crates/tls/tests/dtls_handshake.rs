//! Two endpoints agree: versions, roles, profiles, facts, keys, close.

mod lossy_link;

use std::time::{Duration, Instant};

use lossy_link::{configs, only, End, Pair, CALM};
use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent};
use sealcast_tls::{FingerprintHash, Version};

#[test]
fn two_ends_with_default_versions_agree_on_1_3_and_a_post_quantum_group() {
    let (client, server) = configs();
    let (client_print, server_print) = (
        client.identity.fingerprint(FingerprintHash::Sha256),
        server.identity.fingerprint(FingerprintHash::Sha256),
    );
    let mut pair = Pair::new(client, server, CALM, 1);
    pair.run();
    let prints = [
        (End::Client, &client_print, &server_print),
        (End::Server, &server_print, &client_print),
    ];
    for (end, own_print, peer_print) in prints {
        let facts = pair.facts(end).clone();
        assert_eq!(facts.protocol, "DTLS");
        assert_eq!(facts.version, "1.3");
        assert_eq!(facts.cipher, "TLS_AES_128_GCM_SHA256");
        assert_eq!(facts.group.as_deref(), Some("X25519MLKEM768"));
        assert_eq!(
            facts.own_signature.as_deref(),
            Some("ecdsa_secp256r1_sha256")
        );
        assert_eq!(
            facts.peer_signature.as_deref(),
            Some("ecdsa_secp256r1_sha256")
        );
        assert_eq!(facts.srtp_profile_id, Some(7));
        assert!(facts.forward_secrecy && facts.post_quantum);
        assert!(!facts.resumed && !facts.early_data && !facts.hello_retry && !facts.ech);
        let peer = facts.peer.expect("mutual certificates");
        assert_eq!(peer.sha256, peer_print.value());
        assert_eq!(facts.own_sha256, Some(own_print.value()));
        assert_eq!(peer.subject, "CN=sealcast media leg");
        assert!(pair.end(end).is_established());
    }
    pair.assert_same_keys();
    assert!(pair.elapsed() < Duration::from_millis(50));
}

#[test]
fn every_version_that_two_ends_share_is_agreed_on() {
    let ranges = [
        (Version::V1_2, Version::V1_2),
        (Version::V1_2, Version::V1_3),
        (Version::V1_3, Version::V1_3),
    ];
    for (client_min, client_max) in ranges {
        for (server_min, server_max) in ranges {
            let (mut client, mut server) = configs();
            (client.min_version, client.max_version) = (client_min, client_max);
            (server.min_version, server.max_version) = (server_min, server_max);
            let mut pair = Pair::new(client, server, CALM, 2);
            pair.run();
            let common = client_max.min(server_max);
            if common >= client_min && common >= server_min {
                for end in [End::Client, End::Server] {
                    let facts = pair.facts(end);
                    assert_eq!(facts.version, common.name());
                    assert!(facts.forward_secrecy);
                    assert_eq!(facts.post_quantum, common == Version::V1_3);
                }
                pair.assert_same_keys();
            } else {
                for end in [End::Client, End::Server] {
                    let (code, detail) = pair.failure(end);
                    assert_eq!(code, "DTLS.VERSION_REFUSED", "{end:?}: {detail}");
                }
            }
        }
    }
}

#[test]
fn the_server_chooses_the_srtp_profile_in_its_own_order() {
    let (mut client, mut server) = configs();
    client.srtp_profiles =
        "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM".to_owned();
    server.srtp_profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80".to_owned();
    let mut pair = Pair::new(client, server, CALM, 3);
    pair.run();
    assert_eq!(pair.facts(End::Client).srtp_profile_id, Some(7));
    assert_eq!(pair.facts(End::Server).srtp_profile_id, Some(7));
}

#[test]
fn keys_are_refused_until_the_handshake_completed() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 4);
    let early = pair.client.export_srtp(56).expect_err("no keys before");
    assert_eq!(early.code(), "DTLS.NOT_ESTABLISHED");
    pair.run();
    pair.assert_same_keys();
}

#[test]
fn any_one_of_several_admissible_fingerprints_is_enough() {
    let (mut client, mut server) = configs();
    let by_sha512 = server.identity.fingerprint(FingerprintHash::Sha512);
    client.expected = vec![lossy_link::foreign_fingerprint(), by_sha512].into();
    server.expected = vec![client.identity.fingerprint(FingerprintHash::Sha384)].into();
    let mut pair = Pair::new(client, server, CALM, 5);
    pair.run();
    pair.assert_same_keys();
}

#[test]
fn a_hello_retry_is_reported_as_a_fact() {
    let (mut client, mut server) = configs();
    // The client's key shares are for its first groups only; the server wants another.
    client.groups = "X25519MLKEM768:X25519:P-256:P-384".to_owned();
    server.groups = "P-384".to_owned();
    only(&mut client, Version::V1_3);
    only(&mut server, Version::V1_3);
    // P-256 certificates are fine in 1.3 whatever the groups are.
    let mut pair = Pair::new(client, server, CALM, 6);
    pair.run();
    let facts = pair.facts(End::Client);
    assert!(facts.hello_retry);
    assert_eq!(facts.group.as_deref(), Some("P-384"));
    assert!(!facts.post_quantum);
    pair.assert_same_keys();
}

#[test]
fn a_close_is_noticed_by_the_peer_in_both_versions_and_directions() {
    for version in [Version::V1_2, Version::V1_3] {
        for closer in [End::Client, End::Server] {
            let (mut client, mut server) = configs();
            only(&mut client, version);
            only(&mut server, version);
            let mut pair = Pair::new(client, server, CALM, 7);
            pair.run();
            pair.settle(Duration::from_secs(2));
            pair.events.clear();
            let now = pair.now;
            pair.end(closer).close(now);
            pair.settle(Duration::from_secs(2));
            let noticed: Vec<_> = pair.events.iter().collect();
            assert_eq!(noticed.len(), 1, "{version} {closer:?}: {noticed:?}");
            assert_ne!(noticed[0].0, closer);
            assert_eq!(noticed[0].1, DtlsEvent::Closed);
            assert!(!pair.client.is_established() && !pair.server.is_established());
            assert_eq!(pair.client.deadline(), None);
            assert_eq!(pair.server.deadline(), None);
            assert_eq!(
                pair.client.export_srtp(56).expect_err("closed").code(),
                "DTLS.NOT_ESTABLISHED"
            );
        }
    }
}

#[test]
fn no_timer_runs_once_both_flights_are_acknowledged() {
    for version in [Version::V1_2, Version::V1_3] {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        let mut pair = Pair::new(client, server, CALM, 8);
        pair.run();
        pair.settle(Duration::from_secs(300));
        assert_eq!(pair.client.deadline(), None, "{version}");
        assert_eq!(pair.server.deadline(), None, "{version}");
        assert!(pair.client.is_established() && pair.server.is_established());
        assert_eq!(pair.client.counters().timeouts, 0);
    }
}

/// What may be asked for at least; IPv4's 576 without its headers; what browsers use.
const SIZES: [u16; 3] = [256, 548, 1200];

#[test]
fn the_first_client_hello_honours_the_agreed_size_and_is_as_full_as_it_may_be() {
    for mtu in SIZES {
        let (mut client, _) = configs();
        client.mtu = mtu;
        let mut endpoint = DtlsEndpoint::new(client, Instant::now()).expect("a client");
        let sizes: Vec<usize> = std::iter::from_fn(|| endpoint.poll_transmit())
            .map(|datagram| datagram.len())
            .collect();
        // The key share of X25519MLKEM768 alone has 1,216 bytes.
        assert!(sizes.iter().sum::<usize>() > 1216, "{mtu}: {sizes:?}");
        let (last, others) = sizes.split_last().expect("a flight");
        assert!(*last <= usize::from(mtu), "{mtu}: {sizes:?}");
        assert!(!others.is_empty(), "{mtu}: {sizes:?}");
        for size in others {
            let room = usize::from(mtu) - size;
            assert!(room <= 32, "{mtu}: {sizes:?}");
        }
    }
}

#[test]
fn no_datagram_exceeds_the_agreed_size_in_any_flight_nor_when_it_is_repeated() {
    for mtu in SIZES {
        for (min, max) in [
            (Version::V1_2, Version::V1_2),
            (Version::V1_2, Version::V1_3),
            (Version::V1_3, Version::V1_3),
        ] {
            let (mut client, mut server) = configs();
            for end in [&mut client, &mut server] {
                (end.min_version, end.max_version, end.mtu) = (min, max, mtu);
            }
            let mut pair = Pair::new(client, server, CALM, 9);
            // Every flight is sent at least twice: the first of each is lost.
            pair.lose_everything();
            while !pair.server.is_established() && pair.step() {
                if pair.server.counters().timeouts == 0 && pair.server.counters().sent > 0 {
                    pair.lose_everything();
                }
            }
            pair.run();
            pair.assert_same_keys();
            assert!(pair.client.counters().timeouts > 0);
            assert!(pair.server.counters().timeouts > 0);
            assert!(pair.largest_datagram <= usize::from(mtu), "{max} {mtu}");
        }
    }
}

#[test]
fn no_datagram_of_a_hello_retry_exceeds_the_agreed_size() {
    for mtu in SIZES {
        let (mut client, mut server) = configs();
        // A client sends its shares of the first post-quantum and the first classical group, so
        // only another one has to be asked for.
        server.groups = "P-384".to_owned();
        (client.mtu, server.mtu) = (mtu, mtu);
        only(&mut client, Version::V1_3);
        only(&mut server, Version::V1_3);
        let mut pair = Pair::new(client, server, CALM, 11);
        pair.run();
        let facts = pair.facts(End::Client);
        assert!(facts.hello_retry, "{mtu}");
        pair.assert_same_keys();
        assert!(pair.largest_datagram <= usize::from(mtu), "{mtu}");
    }
}

#[test]
fn impossible_configurations_are_refused_with_a_sentence() {
    type Spoil = fn(&mut DtlsConfig);
    let refusals: [(Spoil, &str); 6] = [
        (|c| c.expected = Vec::new().into(), "fingerprint"),
        (|c| c.mtu = 100, "mtu"),
        (|c| c.min_version = Version::V1_3, "min_version"),
        (|c| c.groups = "P-1024".to_owned(), "P-1024"),
        (|c| c.srtp_profiles = String::new(), "SRTP"),
        (|c| c.srtp_profiles = "ROT13".to_owned(), "ROT13"),
    ];
    for (spoil, word) in refusals {
        let (mut client, _) = configs();
        client.max_version = Version::V1_2;
        spoil(&mut client);
        let error = DtlsEndpoint::new(client, Instant::now())
            .err()
            .expect("a refusal");
        assert_eq!(error.code(), "TLS.BAD_POLICY");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn an_endpoint_may_move_to_another_thread() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 10);
    pair.step();
    let pair = std::thread::spawn(move || {
        pair.run();
        pair
    });
    pair.join().expect("no panic there").assert_same_keys();
}
