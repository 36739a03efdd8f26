//! Frames from a sink to a tap through two relays: ICE, DTLS, SRTP, packetizing and back, over
//! 127.0.0.1.

mod two_relays;

use std::time::Duration;

use sealcast_relay::clock::monotonic_ns;
use sealcast_relay::snapshot::LegSnapshot;
use sealcast_relay::spec::{Kind, LegSide};
use sealcast_relay::Event;
use two_relays::*;

fn watch_and_compare(terms: &Terms, frames: usize) {
    let (server, client) = (relay("server"), relay("client"));
    let (video, audio) = (
        client.frame_tap(VIDEO).expect("a tap"),
        client.frame_tap(AUDIO).expect("a tap"),
    );
    connect(&server, &client, 7, LegSide::Server, terms);
    let mut seen = Vec::new();
    let sealed = wait_event(&server, &mut seen, |event| {
        matches!(event, Event::LegSealed { .. })
    });
    let Event::LegSealed { seal, .. } = sealed else {
        unreachable!("it was matched")
    };
    assert_eq!(
        (seal.protocol.as_str(), seal.version.as_str()),
        ("DTLS", terms.version)
    );
    assert_eq!(seal.srtp_profile, terms.profile);
    assert!(seal.peer_fingerprint.starts_with("sha-256 "));
    wait_sealed(&[&client], 7);

    let mut camera = Camera::new(&server, 100, 6_000);
    let microphone = server.frame_sink(AUDIO, 100).expect("a sink");
    let mut sent = Vec::new();
    for number in 0..frames as u64 {
        sent.push(camera.shoot().1);
        for part in 0..2 {
            let packet = [0xf8, number as u8, part, 1, 2, 3];
            microphone
                .push(
                    &packet,
                    (number * 2 + u64::from(part)) * 960,
                    monotonic_ns(),
                    true,
                )
                .expect("room");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let got = wait_frames(&video, frames);
    for (number, (sent, got)) in sent.iter().zip(&got).enumerate() {
        assert!(
            sent == &got.data,
            "frame {number} differs: {} and {} bytes",
            sent.len(),
            got.data.len()
        );
        assert_eq!(got.key, number % 30 == 0);
    }
    let steps: Vec<u64> = got
        .windows(2)
        .map(|pair| pair[1].timestamp - pair[0].timestamp)
        .collect();
    assert!(steps.iter().all(|step| *step == 3_000), "{steps:?}");
    let heard = wait_frames(&audio, frames * 2 - 4);
    assert!(heard
        .windows(2)
        .all(|pair| pair[1].timestamp - pair[0].timestamp == 960));
    no_drops(&server);
    no_drops(&client);
}

#[test]
fn a_viewer_gets_every_frame_byte_for_byte_over_dtls_1_3_and_gcm() {
    watch_and_compare(&Terms::default(), 90);
}

#[test]
fn a_viewer_gets_every_frame_over_dtls_1_2_and_counter_mode() {
    let terms = Terms {
        version: "1.2",
        profile: "AES128_CM_SHA1_80",
        ..Terms::default()
    };
    watch_and_compare(&terms, 40);
}

#[test]
fn stages_come_in_order_with_their_times() {
    let (server, client) = (relay("server"), relay("client"));
    connect(&server, &client, 3, LegSide::Server, &Terms::default());
    let mut camera = Camera::new(&server, 100, 500);
    let mut seen = Vec::new();
    wait_sealed(&[&client], 3);
    camera.shoot();
    wait_event(&server, &mut seen, |event| {
        matches!(
            event,
            Event::LegStage {
                stage: "media",
                outcome: "done",
                ..
            }
        )
    });
    let stages: Vec<_> = seen
        .iter()
        .filter_map(|event| match event {
            Event::LegStage {
                stage,
                outcome,
                elapsed_ms,
                ..
            } => Some((*stage, *outcome, *elapsed_ms)),
            _ => None,
        })
        .collect();
    let names: Vec<_> = stages
        .iter()
        .map(|(stage, outcome, _)| format!("{stage} {outcome}"))
        .collect();
    let expected: Vec<_> = ["path", "handshake", "identity", "keys", "media"]
        .iter()
        .flat_map(|stage| [format!("{stage} started"), format!("{stage} done")])
        .collect();
    assert_eq!(names, expected);
    assert!(stages.is_sorted_by(|a, b| a.2 <= b.2));
    assert!(seen
        .iter()
        .any(|event| matches!(event, Event::LegPath { leg: 3, .. })));
}

#[test]
fn a_viewer_who_comes_late_starts_with_the_cached_key_frame() {
    let (server, client) = (relay("server"), relay("client"));
    let mut camera = Camera::new(&server, 100, 4_000);
    for _ in 0..45 {
        camera.shoot();
        std::thread::sleep(Duration::from_millis(3));
    }
    let video = client.frame_tap(VIDEO).expect("a tap");
    connect(&server, &client, 1, LegSide::Server, &Terms::default());
    wait_sealed(&[&client], 1);
    // The camera rests: what comes was there before the viewer, and waits for nothing new.
    let frames = wait_frames(&video, 15);
    assert_eq!(answer(&server).tracks[0].key_frames, 2);
    assert!(frames[0].key);
    let text = String::from_utf8_lossy(&frames[0].data).into_owned();
    assert!(
        text.contains("frame 00000030"),
        "the newest key frame is the thirtieth"
    );
}

#[test]
fn a_publisher_is_relayed_to_a_viewer() {
    let (publisher, server, viewer) = (relay("publisher"), relay("server"), relay("viewer"));
    let video = viewer.frame_tap(VIDEO).expect("a tap");
    connect(&publisher, &server, 1, LegSide::Client, &Terms::default());
    connect(&server, &viewer, 2, LegSide::Server, &Terms::default());
    wait_sealed(&[&publisher, &server], 1);
    wait_sealed(&[&viewer], 2);
    let mut camera = Camera::new(&publisher, 100, 5_000);
    let mut sent = Vec::new();
    for _ in 0..90 {
        sent.push(camera.shoot().1);
        std::thread::sleep(Duration::from_millis(8));
    }
    let got = wait_frames(&video, 90);
    assert!(sent.iter().zip(&got).all(|(sent, got)| *sent == got.data));
    let mut seen = Vec::new();
    wait_event(&server, &mut seen, |event| {
        matches!(
            event,
            Event::TrackLive {
                track: VIDEO,
                source: 1
            }
        )
    });
    wait_event(&server, &mut seen, |event| {
        matches!(
            event,
            Event::TrackKeyFrame {
                track: VIDEO,
                source: 1
            }
        )
    });
    no_drops(&server);
    no_drops(&viewer);

    publisher
        .command(sealcast_relay::Command::CloseLeg {
            leg: 1,
            code: "STREAM.ENDED".into(),
        })
        .expect("room");
    let closed = wait_event(&publisher, &mut Vec::new(), |event| {
        matches!(event, Event::LegClosed { .. })
    });
    assert!(matches!(closed, Event::LegClosed { code, .. } if code == "STREAM.ENDED"));
    wait_event(
        &server,
        &mut seen,
        |event| matches!(event, Event::LegClosed { leg: 1, code, .. } if code == "DTLS.CLOSED"),
    );
    wait_event(&server, &mut seen, |event| {
        matches!(
            event,
            Event::TrackEnded {
                track: VIDEO,
                source: 1
            }
        )
    });
    assert_eq!(answer(&server).legs.len(), 1, "the viewer stays");
}

#[test]
fn a_certificate_that_does_not_match_ends_the_leg_with_its_code_and_no_media() {
    let (server, client) = (relay("server"), relay("client"));
    let terms = Terms {
        wrong_fingerprint: true,
        ..Terms::default()
    };
    connect(&server, &client, 5, LegSide::Server, &terms);
    let mut seen = Vec::new();
    let failed = wait_event(&server, &mut seen, |event| {
        matches!(
            event,
            Event::LegStage {
                outcome: "failed",
                ..
            }
        )
    });
    let Event::LegStage { stage, code, .. } = failed else {
        unreachable!("it was matched")
    };
    assert_eq!(
        (stage, code.as_deref()),
        ("identity", Some("DTLS.FINGERPRINT_MISMATCH"))
    );
    wait_event(&server, &mut seen, |event| {
        matches!(event, Event::LegClosed { leg: 5, .. })
    });
    assert!(!seen
        .iter()
        .any(|event| matches!(event, Event::LegSealed { .. })));
}

#[test]
fn stopping_closes_every_leg_and_says_so() {
    let (server, client) = (relay("server"), relay("client"));
    connect(&server, &client, 5, LegSide::Server, &Terms::default());
    wait_sealed(&[&client], 5);
    server.stop();
    assert!(server.drain_events().iter().any(
        |event| matches!(event, Event::LegClosed { leg: 5, code, .. } if code == "RELAY.STOPPED")
    ));
    let mut seen = Vec::new();
    wait_event(
        &client,
        &mut seen,
        |event| matches!(event, Event::LegClosed { leg: 5, code, .. } if code == "DTLS.CLOSED"),
    );
    assert_eq!(
        server
            .snapshot(Duration::from_secs(1))
            .expect_err("it has stopped")
            .code(),
        "RELAY.STOPPED"
    );
}

#[test]
fn ipv6_and_wildcard_sockets_carry_media_too() {
    for bind in ["[::1]:0", "0.0.0.0:0"] {
        let (server, client) = (relay_at("server", bind), relay_at("client", bind));
        let video = client.frame_tap(VIDEO).expect("a tap");
        connect(&server, &client, 1, LegSide::Server, &Terms::default());
        wait_sealed(&[&server, &client], 1);
        let mut camera = Camera::new(&server, 100, 3_000);
        for _ in 0..20 {
            camera.shoot();
            std::thread::sleep(Duration::from_millis(5));
        }
        wait_frames(&video, 20);
    }
}

#[test]
fn an_address_that_is_in_use_is_refused_with_a_sentence() {
    let first = relay("first");
    let config = sealcast_relay::RelayConfig::new(first.local_addresses());
    let refused = sealcast_relay::RelayHandle::start(config).expect_err("it is taken");
    assert_eq!(refused.code(), "RELAY.BIND_FAILED");
    assert!(
        refused.to_string().starts_with("cannot bind 127.0.0.1:"),
        "{refused}"
    );
}

#[test]
fn the_end_of_a_leg_brings_its_last_numbers() {
    let (server, client) = (relay("server"), relay("client"));
    let video = client.frame_tap(VIDEO).expect("a tap");
    connect(&server, &client, 7, LegSide::Server, &Terms::default());
    wait_sealed(&[&server, &client], 7);
    let mut camera = Camera::new(&server, 100, 3_000);
    for _ in 0..10 {
        camera.shoot();
    }
    wait_frames(&video, 10);
    let before = server
        .leg_snapshot(7, Duration::from_secs(2))
        .expect("an answer")
        .expect("the leg lives");
    client
        .command(sealcast_relay::Command::CloseLeg {
            leg: 7,
            code: "LEG.DELETED".into(),
        })
        .expect("room");
    for relay in [&server, &client] {
        let closed = wait_event(relay, &mut Vec::new(), |event| {
            matches!(event, Event::LegClosed { leg: 7, .. })
        });
        let Event::LegClosed {
            last: Some(last), ..
        } = closed
        else {
            panic!("it has no last numbers: {closed:?}")
        };
        if std::ptr::eq(relay, &server) {
            let pictures = |leg: &LegSnapshot| {
                let section = leg.send.iter().find(|section| section.kind == Kind::Video);
                section.expect("it is sent").packets
            };
            assert_eq!(pictures(&last), pictures(&before));
            // The peer's farewell was received after the snapshot.
            assert!(last.datagrams_in > before.datagrams_in);
            assert_eq!(last.remote, before.remote);
        }
        assert!(last.bytes_in > 0 && last.bytes_out > 0);
        let gone = relay.leg_snapshot(7, Duration::from_secs(2));
        assert!(gone.expect("an answer").is_none());
    }
}
