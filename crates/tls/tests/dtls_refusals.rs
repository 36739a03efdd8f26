//! What an endpoint refuses, with which code, and that a refusal stays with its own endpoint.

mod authority;
mod lossy_link;
mod toy_peer;

use std::time::Duration;

use boring::error::ErrorStack;
use boring::ssl::{SslContextBuilder, SslVersion};
use lossy_link::{config, configs, foreign_fingerprint, only, Dice, End, Pair, CALM};
use sealcast_tls::dtls::{DtlsEndpoint, DtlsEvent, Role};
use sealcast_tls::{FingerprintHash, Identity, Version};
use toy_peer::ToyPeer;

const VERSIONS: [Version; 2] = [Version::V1_2, Version::V1_3];

#[test]
fn a_certificate_with_another_fingerprint_is_refused_by_either_end() {
    for version in VERSIONS {
        for strict_end in [End::Client, End::Server] {
            let (mut client, mut server) = configs();
            only(&mut client, version);
            only(&mut server, version);
            let promised = foreign_fingerprint();
            let presented = match strict_end {
                End::Client => server.identity.fingerprint(FingerprintHash::Sha256),
                End::Server => client.identity.fingerprint(FingerprintHash::Sha256),
            };
            match strict_end {
                End::Client => client.expected = vec![promised.clone()].into(),
                End::Server => server.expected = vec![promised.clone()].into(),
            }
            let mut pair = Pair::new(client, server, CALM, 1);
            pair.settle(Duration::from_secs(5));
            let (code, detail) = pair.failure(strict_end);
            assert_eq!(
                code, "DTLS.FINGERPRINT_MISMATCH",
                "{version} {strict_end:?}"
            );
            assert!(detail.contains(&promised.to_string()), "{detail}");
            assert!(detail.contains(&presented.to_string()), "{detail}");
            assert!(pair.end(strict_end).export_srtp(56).is_err());

            let other = match strict_end {
                End::Client => End::Server,
                End::Server => End::Client,
            };
            // In 1.3 a client may be established when the server refuses it.
            let (code, detail) = pair.failure(other);
            assert_eq!(code, "DTLS.PEER_ALERT", "{version} {strict_end:?}");
            assert!(detail.contains("bad_certificate"), "{detail}");
            assert!(pair.end(other).export_srtp(56).is_err());
        }
    }
}

#[test]
fn one_changed_octet_of_a_fingerprint_is_a_mismatch() {
    for position in [0, 15, 31] {
        let (client, mut server) = configs();
        let mut promised = client.identity.fingerprint(FingerprintHash::Sha256);
        promised.digest[position] ^= 1;
        server.expected = vec![promised].into();
        let mut pair = Pair::new(client, server, CALM, 1);
        pair.settle(Duration::from_secs(5));
        assert_eq!(pair.failure(End::Server).0, "DTLS.FINGERPRINT_MISMATCH");
    }
}

#[test]
fn a_digest_of_the_wrong_length_is_a_mismatch_and_no_panic() {
    for len in [0, 31, 33, 48] {
        let (client, mut server) = configs();
        let mut promised = client.identity.fingerprint(FingerprintHash::Sha256);
        promised.digest.resize(len, 0);
        server.expected = vec![promised].into();
        let mut pair = Pair::new(client, server, CALM, 1);
        pair.settle(Duration::from_secs(5));
        assert_eq!(pair.failure(End::Server).0, "DTLS.FINGERPRINT_MISMATCH");
    }
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    for version in VERSIONS {
        let (client, mut server) = configs();
        drop(client);
        only(&mut server, version);
        let mut toy = ToyPeer::client(|_| {});
        let outcome = toy.meet(server);
        assert_eq!(outcome.code(), "DTLS.NO_PEER_CERTIFICATE", "{version}");
    }
}

#[test]
fn a_dtls_1_0_client_is_refused_by_its_version() {
    let (_, server) = configs();
    let mut toy = ToyPeer::client(|context: &mut SslContextBuilder| {
        let version = |v| Some(v);
        context
            .set_min_proto_version(version(SslVersion::DTLS1))
            .expect("DTLS 1.0 exists in the engine");
        context
            .set_max_proto_version(version(SslVersion::DTLS1))
            .expect("DTLS 1.0 exists in the engine");
    });
    let outcome = toy.meet(server);
    assert_eq!(outcome.code(), "DTLS.VERSION_REFUSED");
    assert!(outcome.detail().contains("DTLS 1.0"), "{outcome:?}");
}

#[test]
fn a_1_2_peer_is_refused_by_a_1_3_policy_and_told_so() {
    let (mut client, mut server) = configs();
    only(&mut client, Version::V1_2);
    only(&mut server, Version::V1_3);
    let mut pair = Pair::new(client, server, CALM, 1);
    pair.run();
    let (code, detail) = pair.failure(End::Server);
    assert_eq!(code, "DTLS.VERSION_REFUSED");
    assert!(detail.contains("at most DTLS 1.2"), "{detail}");
    let (code, detail) = pair.failure(End::Client);
    assert_eq!(code, "DTLS.VERSION_REFUSED");
    assert!(detail.contains("protocol_version"), "{detail}");
}

#[test]
fn a_handshake_without_a_common_srtp_profile_fails_at_both_ends() {
    for version in VERSIONS {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        client.srtp_profiles = "SRTP_AES128_CM_SHA1_80".to_owned();
        server.srtp_profiles = "SRTP_AEAD_AES_128_GCM".to_owned();
        let mut pair = Pair::new(client, server, CALM, 1);
        pair.settle(Duration::from_secs(5));
        for end in [End::Client, End::Server] {
            let (code, _) = pair.failure(end);
            assert!(
                matches!(code, "DTLS.NO_SRTP_PROFILE" | "DTLS.PEER_ALERT"),
                "{version} {end:?}: {code}"
            );
            assert!(pair.end(end).export_srtp(56).is_err());
            let is_established = |(from, event): &(End, DtlsEvent)| {
                *from == end && matches!(event, DtlsEvent::Established(_))
            };
            assert!(!pair.events.iter().any(is_established), "{version} {end:?}");
        }
        // Whoever completes first says why.
        assert!([End::Client, End::Server]
            .iter()
            .any(|end| pair.failure(*end).0 == "DTLS.NO_SRTP_PROFILE"));
    }
}

#[test]
fn a_peer_that_never_heard_of_srtp_is_refused() {
    for version in VERSIONS {
        let (_, mut server) = configs();
        only(&mut server, version);
        let (certificate, key) = authority::self_signed("a peer without SRTP");
        let chain = certificate.to_pem().expect("PEM");
        let key_pem = key.private_key_to_pem_pkcs8().expect("PEM");
        let presented = Identity::from_pem(&chain, &key_pem).expect("a fitting pair");
        server.expected = vec![presented.fingerprint(FingerprintHash::Sha256)].into();
        let mut toy = ToyPeer::client(|context: &mut SslContextBuilder| {
            context
                .set_certificate(&certificate)
                .expect("a certificate");
            context.set_private_key(&key).expect("a key");
        });
        let outcome = toy.meet(server);
        assert_eq!(outcome.code(), "DTLS.NO_SRTP_PROFILE", "{version}");
    }
}

#[test]
fn no_common_group_has_its_own_code() {
    for version in VERSIONS {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        client.groups = "X25519:P-256".to_owned();
        server.groups = "P-384:P-521".to_owned();
        let mut pair = Pair::new(client, server, CALM, 1);
        pair.run();
        let (code, detail) = pair.failure(End::Server);
        let expected = match version {
            // In 1.2 a suite without a usable group is no suite.
            Version::V1_2 => ["DTLS.NO_COMMON_GROUP", "DTLS.NO_COMMON_CIPHER"].as_slice(),
            Version::V1_3 => ["DTLS.NO_COMMON_GROUP"].as_slice(),
        };
        assert!(expected.contains(&code), "{version}: {code} {detail}");
        let (code, detail) = pair.failure(End::Client);
        assert_eq!(code, "DTLS.PEER_ALERT", "{version}: {detail}");
        assert!(detail.contains("handshake_failure"), "{detail}");
    }
}

#[test]
fn a_client_with_cbc_suites_only_shares_no_cipher() {
    let (_, mut server) = configs();
    only(&mut server, Version::V1_2);
    let mut toy = ToyPeer::client(|context: &mut SslContextBuilder| {
        context
            .set_max_proto_version(Some(SslVersion::DTLS1_2))
            .expect("1.2 exists");
        context
            .set_cipher_list("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:AES128-SHA")
            .expect("suites of the engine");
    });
    assert_eq!(toy.meet(server).code(), "DTLS.NO_COMMON_CIPHER");
}

/// Random bytes; a third of the time with the header of a 1.2 record in some epoch, a third with
/// the first byte of a 1.3 one.
fn noise_like_a_record(dice: &mut Dice) -> Vec<u8> {
    let len = dice.below(300) as usize;
    let mut noise = dice.bytes(len);
    match dice.below(3) {
        0 if len > 13 => {
            let kind = 20 + dice.below(7) as u8;
            noise[..5].copy_from_slice(&[kind, 0xfe, 0xfd, 0, dice.below(5) as u8]);
            noise[5..10].fill(0);
            noise[11..13].copy_from_slice(&(len as u16 - 13).to_be_bytes());
        }
        1 if len > 0 => noise[0] = 0x20 + dice.below(32) as u8,
        _ => {}
    }
    noise
}

#[test]
fn alerts_and_records_in_clear_do_nothing_to_an_established_end() {
    for version in VERSIONS {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        let mut pair = Pair::new(client, server, CALM, 1);
        pair.run();
        pair.settle(Duration::from_secs(3));
        let mut dice = Dice::new(7);
        for end in [End::Client, End::Server] {
            for (level, number) in [(2, 40), (2, 42), (1, 0), (2, 80)] {
                for sequence in [0, 9, 200] {
                    let alert = [
                        21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, 0, 2, level, number,
                    ];
                    let now = pair.now;
                    pair.end(end).receive(now, &alert);
                }
            }
            for _ in 0..2000 {
                let noise = noise_like_a_record(&mut dice);
                let now = pair.now;
                pair.end(end).receive(now, &noise);
            }
            assert!(pair.end(end).is_established(), "{version} {end:?}");
            assert_eq!(pair.end(end).poll_event(), None);
        }
        pair.assert_same_keys();
    }
}

/// The engine's error queue belongs to the thread, not to the endpoint.
#[test]
fn the_failure_of_one_endpoint_leaves_no_error_behind_for_the_next() {
    for round in 0..20 {
        let (client, mut server) = configs();
        server.expected = vec![foreign_fingerprint()].into();
        let mut failing = Pair::new(client, server, CALM, round);
        let (client, server) = configs();
        let mut healthy = Pair::new(client, server, CALM, round);
        // Interleaved on one thread, one call each.
        for _ in 0..200 {
            let went_on = [failing.step(), healthy.step()];
            assert!(ErrorStack::get().errors().is_empty());
            if went_on == [false, false] {
                break;
            }
        }
        assert_eq!(failing.failure(End::Server).0, "DTLS.FINGERPRINT_MISMATCH");
        healthy.assert_same_keys();
    }
}

/// A stale error on the queue, left by somebody else, is not taken for the endpoint's own.
#[test]
fn a_foreign_error_on_the_queue_does_not_fail_a_handshake() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 1);
    for _ in 0..30 {
        let stale = boring::x509::X509::from_der(b"no certificate").expect_err("garbage");
        stale.put();
        pair.step();
    }
    pair.assert_same_keys();
}

#[test]
fn a_flipped_bit_ends_a_handshake_with_a_code_and_a_fresh_endpoint_succeeds() {
    let mut seen = 0;
    for position in [60, 200, 700] {
        let (client, server) = configs();
        let mut broken = DtlsEndpoint::new(server.clone(), std::time::Instant::now())
            .expect("a valid configuration");
        let mut pair = Pair::new(client, server, CALM, 1);
        let mut hello = Vec::new();
        while let Some(datagram) = pair.client.poll_transmit() {
            hello.push(datagram);
        }
        let now = pair.now;
        for datagram in &hello {
            let mut spoilt = datagram.clone();
            if let Some(octet) = spoilt.get_mut(position) {
                *octet ^= 0x80;
            }
            broken.receive(now, &spoilt);
        }
        if let Some(DtlsEvent::Failed { code, .. }) = broken.poll_event() {
            assert!(sealcast_tls::codes::ALL.contains(&code));
            seen += 1;
        }
        for datagram in &hello {
            pair.server.receive(now, datagram);
        }
        pair.run();
        pair.assert_same_keys();
    }
    assert!(seen > 0, "at least one of the flips is noticed at once");
}

#[test]
fn two_clients_or_two_servers_end_without_a_panic() {
    for role in [Role::Client, Role::Server] {
        let (a, b) = configs();
        let ends = [
            config(role, &a.identity, &b.identity),
            config(role, &b.identity, &a.identity),
        ];
        let [a, b] = ends;
        let mut pair = Pair::new(a, b, CALM, 1);
        pair.run();
        for end in [End::Client, End::Server] {
            let (code, detail) = pair.failure(end);
            assert!(
                matches!(code, "DTLS.TIMEOUT" | "DTLS.FAILED" | "DTLS.PEER_ALERT"),
                "{role:?} {code} {detail}"
            );
        }
    }
}
