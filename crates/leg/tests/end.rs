//! How legs end, how soon, and what they say.

mod link;

use link::{Call, World, AT_ONCE, CLIENT, MS, SECOND, SERVER};
use sealcast_leg::{LegEvent, Output, Stage};
use sealcast_srtp::{Lifetime, PacketKind};

#[test]
fn a_peer_that_vanishes_is_noticed_within_30_seconds() {
    for talked_for in [1, 7, 60] {
        let mut world = Call::new().connected();
        world.talk(1, 3);
        world.run(talked_for * SECOND);
        world.cut();
        let cut_at = world.elapsed();
        world.run(60 * SECOND);
        for node in &world.nodes {
            let (at, code, detail) = node.closed().expect("both ends notice");
            assert_eq!(code, "ICE.CONSENT_LOST", "{detail}");
            assert!(
                at - cut_at <= 30 * SECOND,
                "noticed after {:?}",
                at - cut_at
            );
            assert_eq!(
                node.failed_stage(),
                None,
                "media had flowed, so no stage failed"
            );
        }
    }
}

#[test]
fn a_peer_that_asks_but_never_answers_loses_consent_after_30_seconds() {
    let mut world = Call::new().connected();
    world.run(5 * SECOND);
    world.tap = Some(Box::new(|flight| {
        let is_answer = flight.to == SERVER && flight.bytes.starts_with(&[0x01, 0x01]);
        if is_answer {
            Vec::new()
        } else {
            vec![(AT_ONCE, flight)]
        }
    }));
    let silent_at = world.elapsed();
    world.run(60 * SECOND);
    let (at, code, _) = world.nodes[SERVER].closed().expect("consent is lost");
    assert_eq!(code, "ICE.CONSENT_LOST");
    assert!(
        at - silent_at <= 30 * SECOND,
        "noticed after {:?}",
        at - silent_at
    );
}

#[test]
fn a_leg_that_nobody_asks_ends_with_ice_timeout() {
    let mut world = Call::new().begin();
    world.cut();
    world.run(40 * SECOND);
    for node in &world.nodes {
        assert_eq!(node.failed_stage(), Some((Stage::Path, "ICE.TIMEOUT")));
        let (at, ..) = node.closed().expect("it ended");
        assert_eq!(at, 30 * SECOND);
    }
    let (_, _, detail) = world.nodes[SERVER].closed().expect("it ended");
    assert_eq!(detail, "no authenticated check arrived");
}

#[test]
fn a_handshake_that_gets_no_answer_ends_with_dtls_timeout() {
    let mut call = Call::new();
    call.server.handshake_timeout = 10 * SECOND;
    call.client.handshake_timeout = 10 * SECOND;
    let mut world = call.begin();
    world.tap = Some(Box::new(|flight| {
        let is_dtls = (20..64).contains(&flight.bytes[0]);
        if is_dtls {
            Vec::new()
        } else {
            vec![(AT_ONCE, flight)]
        }
    }));
    world.run(20 * SECOND);
    for node in &world.nodes {
        assert_eq!(
            node.failed_stage(),
            Some((Stage::Handshake, "DTLS.TIMEOUT"))
        );
        let (at, ..) = node.closed().expect("it ended");
        assert!((10 * SECOND..11 * SECOND).contains(&at), "{at:?}");
    }
}

#[test]
fn a_peer_that_vanishes_amid_the_handshake_ends_the_leg_with_dtls_timeout() {
    let mut call = Call::new();
    call.server.handshake_timeout = 10 * SECOND;
    let mut world = call.begin();
    let has_begun = |world: &World| {
        let server = &world.nodes[SERVER];
        server.stages().contains(&"handshake started".to_owned())
            && server.heard.iter().any(|flight| flight.bytes[0] == 22)
    };
    assert!(world.run_until(SECOND, has_begun));
    world.cut();
    world.run(20 * SECOND);
    let server = &world.nodes[SERVER];
    assert_eq!(
        server.failed_stage(),
        Some((Stage::Handshake, "DTLS.TIMEOUT")),
        "{}",
        world.story()
    );
}

#[test]
fn closing_tells_the_peer_at_once_and_ends_everything() {
    for closer in [SERVER, CLIENT] {
        let mut world = Call::new().connected();
        world.talk(1, 3);
        let (now, closed_at) = (world.now, world.elapsed());
        world.nodes[closer].leg.close(now, "STREAM.TAKEN_OVER");
        world.drain(closer);
        assert_eq!(
            world.nodes[closer].closed().map(|it| it.1),
            Some("STREAM.TAKEN_OVER")
        );
        world.run(SECOND);
        let (at, code, _) = world.nodes[1 - closer].closed().expect("it was told");
        assert_eq!(code, "DTLS.CLOSED");
        assert!(at - closed_at <= 20 * MS);
        for node in &mut world.nodes {
            assert_eq!(node.leg.deadline(), None);
            assert!(!node.leg.is_secured());
            assert_eq!(
                node.leg.protect_rtp(&mut [0; 64], 20),
                Err("SRTP.NOT_READY")
            );
            node.leg.tick(now + 100 * SECOND);
            assert!(node.leg.poll().is_none(), "an ended leg is silent");
        }
        let source = world.nodes[CLIENT].address;
        for first in [0, 22, 0x80] {
            assert_eq!(
                world.inject(SERVER, source, &[first, 0, 0, 0]),
                Some("LEG.ENDED")
            );
        }
    }
}

#[test]
fn a_leg_closed_before_it_began_says_only_that_it_closed() {
    let mut world = Call::new().begin();
    let now = world.now;
    let leg = &mut world.nodes[SERVER].leg;
    leg.close(now, "LEG.CLOSED");
    leg.close(now, "LEG.CLOSED");
    let outputs: Vec<Output> = std::iter::from_fn(|| leg.poll()).collect();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
}

#[test]
fn a_key_that_is_nearly_spent_is_told_of_and_a_spent_one_ends_the_leg() {
    let lifetimes = [((4, 8), (90, 90)), ((90, 90), (1, 3))];
    for (kind, (rtp, rtcp)) in [PacketKind::Rtp, PacketKind::Rtcp]
        .into_iter()
        .zip(lifetimes)
    {
        // The end that sends and the end that receives notice each for itself.
        for strict in [SERVER, CLIENT] {
            let mut call = Call::new();
            let config = [&mut call.server, &mut call.client];
            config
                .into_iter()
                .nth(strict)
                .expect("one of two")
                .key_lifetime = Lifetime::new(rtp, rtcp).expect("soft before hard");
            let mut world = call.connected();
            let send = |world: &mut World, numbers: std::ops::Range<u16>| {
                for number in numbers {
                    match kind {
                        PacketKind::Rtp => world.send_rtp(SERVER, number, b"media"),
                        PacketKind::Rtcp => world.send_rtcp(SERVER),
                    }
                }
                // Long enough for a check of consent.
                world.run(10 * SECOND);
            };
            let (soft, hard) = match kind {
                PacketKind::Rtp => (4, 8),
                PacketKind::Rtcp => (1, 3),
            };
            send(&mut world, 0..soft);
            let told: Vec<_> = world.nodes[strict]
                .events
                .iter()
                .filter_map(|(_, event)| match event {
                    LegEvent::KeyNearlySpent {
                        code,
                        kind,
                        remaining,
                    } => Some((*code, *kind, *remaining)),
                    _ => None,
                })
                .collect();
            let left = u64::from(hard - soft);
            assert_eq!(
                told,
                [("SRTP.KEY_NEARLY_SPENT", kind, left)],
                "end {strict} of {}",
                world.story()
            );
            assert_eq!(world.nodes[strict].closed(), None);

            send(&mut world, soft..hard);
            let (_, code, detail) = world.nodes[strict].closed().expect("it has no key left");
            assert_eq!(code, "SRTP.KEY_EXHAUSTED");
            let expected = format!("no {kind} packet is left of the key of one direction");
            assert_eq!(detail, expected);
            let (_, code, _) = world.nodes[1 - strict].closed().expect("it was told");
            assert_eq!(code, "DTLS.CLOSED");
        }
    }
}
