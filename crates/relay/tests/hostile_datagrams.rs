//! What strangers send, and what it must not do to anybody else's leg.

mod two_relays;

use std::net::UdpSocket;
use std::time::Duration;

use sealcast_relay::spec::LegSide;
use sealcast_relay::{Command, Event, RelayHandle};
use two_relays::*;

/// A relay with one watching viewer, and a stranger's socket.
fn scene() -> (RelayHandle, RelayHandle, UdpSocket) {
    let (server, client) = (relay("server"), relay("client"));
    connect(&server, &client, 1, LegSide::Server, &Terms::default());
    wait_sealed(&[&server, &client], 1);
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    stranger
        .connect(server.local_addresses()[0])
        .expect("an address");
    (server, client, stranger)
}

fn stun_request(ufrag: &str) -> Vec<u8> {
    let username = format!("{ufrag}:them");
    let mut attributes = vec![0, 6];
    attributes.extend((username.len() as u16).to_be_bytes());
    attributes.extend(username.bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    let mut request = vec![0, 1];
    request.extend((attributes.len() as u16).to_be_bytes());
    request.extend([0x21, 0x12, 0xa4, 0x42]);
    request.extend([9; 12]);
    request.extend(attributes);
    request
}

#[test]
fn a_flood_of_random_datagrams_is_counted_by_kind_and_costs_no_viewer_a_frame() {
    let (server, client, stranger) = scene();
    let video = client.frame_tap(VIDEO).expect("a tap");
    let mut camera = Camera::new(&server, 100, 3_000);
    let mut sent = Vec::new();
    let mut noise = 0x9e37_79b9_u32;
    for _ in 0..60 {
        sent.push(camera.shoot().1);
        for _ in 0..150 {
            let datagram: Vec<u8> = (0..1 + noise % 200)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (noise >> 24) as u8
                })
                .collect();
            stranger.send(&datagram).expect("the kernel takes it");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let got = wait_frames(&video, 60);
    assert!(sent.iter().zip(&got).all(|(sent, got)| *sent == got.data));
    let snapshot = answer(&server);
    for code in [
        "ICE.MALFORMED",
        "RELAY.UNKNOWN_SOURCE",
        "PACKET.UNKNOWN_KIND",
    ] {
        assert!(
            snapshot.drops.get(code) > 100,
            "{code}: {:?}",
            snapshot.drops
        );
    }
    assert!(
        snapshot.legs[0].drops.is_empty(),
        "{:?}",
        snapshot.legs[0].drops
    );
}

#[test]
fn a_client_hello_and_media_from_an_address_that_no_leg_proved_reach_no_leg() {
    let (server, _client, stranger) = scene();
    let client_hello = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0];
    let media = [0x80, 102, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4];
    let report = [0x80, 200, 0, 1, 0, 0, 0, 1];
    for datagram in [&client_hello[..], &media[..], &report[..]] {
        stranger.send(datagram).expect("the kernel takes it");
    }
    let snapshot = wait_numbers(&server, |numbers| {
        numbers.drops.get("RELAY.UNKNOWN_SOURCE") == 3
    });
    assert!(snapshot.legs[0].drops.is_empty());
}

#[test]
fn a_check_for_a_leg_that_does_not_exist_is_counted_and_not_answered() {
    let (server, _client, stranger) = scene();
    stranger
        .set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    stranger
        .send(&stun_request("nobody"))
        .expect("the kernel takes it");
    // Numbers are told after everything of the turn was sent.
    wait_numbers(&server, |numbers| {
        numbers.drops.get("ICE.UNKNOWN_UFRAG") == 1
    });
    assert!(
        stranger.recv(&mut [0; 1500]).is_err(),
        "a stranger gets no answer"
    );
}

#[test]
fn a_specification_that_is_not_well_formed_ends_as_a_closed_leg_with_a_sentence() {
    let server = relay("server");
    let identity = sealcast_tls::Identity::ephemeral().expect("randomness is there");
    let text = r#"{"id":4,"side":"server",
        "ice":{"local_ufrag":"abcdef","local_pwd":"0123456789012345678901","remote_ufrag":"ghijkl","remote_pwd":"0123456789012345678901"},
        "dtls":{"role":"passive","min_version":"1.2","max_version":"1.3","groups":"X25519","srtp_profiles":["AEAD_AES_128_GCM"],
                "fingerprints":[{"algorithm":"sha-256","value":"AA:BB"}],"handshake_timeout_ms":1000}}"#;
    let spec: sealcast_relay::LegSpec =
        serde_json::from_str(text).expect("its form is that of the contract");
    let identity = std::sync::Arc::new(identity);
    server
        .command(Command::AddLeg {
            spec: Box::new(spec),
            identity,
        })
        .expect("room");
    let closed = wait_event(&server, &mut Vec::new(), |event| {
        matches!(event, Event::LegClosed { leg: 4, .. })
    });
    let Event::LegClosed { code, detail, .. } = closed else {
        unreachable!("it was matched")
    };
    assert_eq!(code, "RELAY.BAD_SPEC");
    assert!(detail.contains("dtls.fingerprints"), "{detail}");
}

#[test]
fn an_unknown_field_of_a_specification_is_refused_by_name() {
    let text = r#"{"id":4,"side":"server","ice":{},"surprise":1}"#;
    let refused = serde_json::from_str::<sealcast_relay::LegSpec>(text).expect_err("ice is empty");
    assert!(refused.to_string().contains("local_ufrag"), "{refused}");
    let text = r#"{"track":1,"mid":"0","kind":"video","codec":"H264","payload_type":102,"clock_rate":90000,"surprise":1}"#;
    let refused =
        serde_json::from_str::<sealcast_relay::spec::ReceiveSpec>(text).expect_err("a surprise");
    assert!(refused.to_string().contains("surprise"), "{refused}");
}

#[test]
fn a_peer_that_vanishes_in_mid_handshake_ends_with_a_code_and_nobody_else_notices() {
    let (server, client, _stranger) = scene();
    // The second viewer's relay is stopped as soon as its leg was added: checks may pass, the
    // handshake will not.
    let ghost = relay("ghost");
    connect(&server, &ghost, 2, LegSide::Server, &Terms::default());
    drop(ghost);
    let video = client.frame_tap(VIDEO).expect("a tap");
    let mut camera = Camera::new(&server, 100, 2_000);
    for _ in 0..30 {
        camera.shoot();
        std::thread::sleep(Duration::from_millis(10));
    }
    wait_frames(&video, 30);
    let snapshot = answer(&server);
    assert!(snapshot.legs.iter().any(|leg| leg.id == 1 && leg.secured));
    assert!(snapshot.legs.iter().all(|leg| leg.id == 1 || !leg.secured));
}
