//! What goes wrong on the way, and what viewers see of it: loss, a publisher's turn, a new path.

mod two_relays;

use std::sync::atomic::Ordering;
use std::time::Duration;

use sealcast_leg::IceCredentials;
use sealcast_relay::spec::LegSide;
use sealcast_relay::{Command, Event, IceRestart, RelayError};
use two_relays::lossy::LossyLink;
use two_relays::*;

const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn packets_lost_on_the_way_to_a_viewer_are_asked_for_again_and_sent_by_rtx() {
    let (server, client) = (relay("server"), relay("client"));
    let video = client.frame_tap(VIDEO).expect("a tap");
    let door = server.local_addresses()[0];
    let link = LossyLink::new(door, |count| count % 13 == 0, |_| false);
    let terms = Terms {
        via: Some(link.address),
        ..Terms::default()
    };
    connect(&server, &client, 1, LegSide::Server, &terms);
    wait_sealed(&[&server, &client], 1);
    let mut camera = Camera::new(&server, 100, 6_000);
    let mut sent = Vec::new();
    for _ in 0..120 {
        sent.push(camera.shoot().1);
        std::thread::sleep(Duration::from_millis(15));
    }
    let got = wait_frames(&video, 118);
    assert!(
        sent.iter().zip(&got).all(|(sent, got)| *sent == got.data),
        "a frame differs"
    );
    let lost = link.lost.load(Ordering::Relaxed);
    assert!(lost > 30, "the link lost only {lost}");
    let leg = &answer(&server).legs[0];
    assert!(leg.send[1].retransmitted > 30, "{leg:?}");
    let leg = &answer(&client).legs[0];
    assert!(leg.receive[0].recovered > 30, "{leg:?}");
}

#[test]
fn packets_lost_on_the_way_from_a_publisher_reach_the_viewers_late_but_whole() {
    let (publisher, server, viewer) = (relay("publisher"), relay("server"), relay("viewer"));
    let video = viewer.frame_tap(VIDEO).expect("a tap");
    let door = server.local_addresses()[0];
    let link = LossyLink::new(door, |_| false, |count| count % 11 == 0);
    let terms = Terms {
        via: Some(link.address),
        ..Terms::default()
    };
    connect(&publisher, &server, 1, LegSide::Client, &terms);
    connect(&server, &viewer, 2, LegSide::Server, &Terms::default());
    wait_sealed(&[&publisher, &server], 1);
    wait_sealed(&[&viewer], 2);
    let mut camera = Camera::new(&publisher, 100, 6_000);
    let mut sent = Vec::new();
    for _ in 0..120 {
        sent.push(camera.shoot().1);
        std::thread::sleep(Duration::from_millis(15));
    }
    let got = wait_frames(&video, 118);
    assert!(
        sent.iter().zip(&got).all(|(sent, got)| *sent == got.data),
        "a frame differs"
    );
    assert!(link.lost.load(Ordering::Relaxed) > 30);
    let recovered = answer(&server).legs[0].receive[0].recovered;
    assert!(recovered > 30, "only {recovered} were recovered");
}

#[test]
fn another_publisher_of_the_same_stream_goes_live_at_its_key_frame_and_viewers_stay() {
    let (first, second, server, viewer) = (
        relay("first"),
        relay("second"),
        relay("server"),
        relay("viewer"),
    );
    let video = viewer.frame_tap(VIDEO).expect("a tap");
    connect(&first, &server, 1, LegSide::Client, &Terms::default());
    connect(&server, &viewer, 9, LegSide::Server, &Terms::default());
    wait_sealed(&[&first, &server], 1);
    wait_sealed(&[&viewer], 9);
    let (mut one, mut two) = (
        Camera::new(&first, 100, 2_000),
        Camera::new(&second, 100, 2_000),
    );
    for _ in 0..40 {
        one.shoot();
        std::thread::sleep(Duration::from_millis(10));
    }
    connect(&second, &server, 2, LegSide::Client, &Terms::default());
    wait_sealed(&[&second], 2);
    for _ in 0..80 {
        one.shoot();
        two.shoot();
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut seen = Vec::new();
    let live = |source| move |event: &Event| matches!(event, Event::TrackLive { track: VIDEO, source: s } if *s == source);
    wait_event(&server, &mut seen, live(2));
    server
        .command(Command::CloseLeg {
            leg: 1,
            code: "STREAM.TAKEN_OVER".into(),
        })
        .expect("room");
    wait_event(
        &server,
        &mut seen,
        |event| matches!(event, Event::LegClosed { leg: 1, code, .. } if code == "STREAM.TAKEN_OVER"),
    );
    assert!(
        !seen
            .iter()
            .any(|event| matches!(event, Event::TrackEnded { .. })),
        "the track lives on"
    );
    let frames = wait_frames(&video, 100);
    assert!(
        frames.iter().skip(1).all(|frame| !frame.discontinuity),
        "a viewer saw a gap"
    );
    assert!(frames
        .windows(2)
        .all(|pair| pair[0].timestamp < pair[1].timestamp));
    assert_eq!(answer(&viewer).legs[0].receive[0].lost, 0);
}

#[test]
fn a_restart_that_cannot_be_is_refused_and_leaves_the_leg_as_it_was() {
    let (server, client) = (relay("server"), relay("client"));
    let video = client.frame_tap(VIDEO).expect("a tap");
    connect(&server, &client, 1, LegSide::Server, &Terms::default());
    wait_sealed(&[&server, &client], 1);
    let asked = |leg, local: &IceCredentials| {
        let restart = IceRestart {
            leg,
            local: local.clone(),
            remote: IceCredentials::generate(),
        };
        server.restart_ice(restart, ANSWERED_WITHIN)
    };
    let unknown = asked(2, &IceCredentials::generate());
    assert!(matches!(unknown, Err(RelayError::UnknownLeg(2))));
    let mut short = IceCredentials::generate();
    short.pwd.truncate(8);
    let bad = asked(1, &short).expect_err("8 characters are too few");
    assert_eq!(bad.code(), "ICE.BAD_CREDENTIALS");
    Camera::new(&server, 100, 2_000).shoot();
    wait_frames(&video, 1);
    server
        .command(Command::CloseLeg {
            leg: 1,
            code: "LEG.DELETED".to_owned(),
        })
        .expect("room");
    let ended = asked(1, &IceCredentials::generate());
    assert!(matches!(ended, Err(RelayError::UnknownLeg(1))));
}

#[test]
fn media_moves_to_a_new_path_through_an_ice_restart_without_a_gap() {
    let (server, client) = (relay("server"), relay("client"));
    let video = client.frame_tap(VIDEO).expect("a tap");
    connect(&server, &client, 1, LegSide::Server, &Terms::default());
    wait_sealed(&[&client], 1);
    let link = LossyLink::new(server.local_addresses()[0], |_| false, |_| false);
    let mut camera = Camera::new(&server, 100, 2_000);
    let (ours, theirs) = (IceCredentials::generate(), IceCredentials::generate());
    for number in 0..150 {
        camera.shoot();
        std::thread::sleep(Duration::from_millis(10));
        if number == 50 {
            for (relay, local, remote) in [(&server, &ours, &theirs), (&client, &theirs, &ours)] {
                let restart = IceRestart {
                    leg: 1,
                    local: local.clone(),
                    remote: remote.clone(),
                };
                relay
                    .restart_ice(restart, ANSWERED_WITHIN)
                    .expect("the leg is there");
            }
            let address = link.address;
            client
                .command(Command::AddRemoteCandidate { leg: 1, address })
                .expect("room");
        }
    }
    let frames = wait_frames(&video, 150);
    assert!(frames.iter().skip(1).all(|frame| !frame.discontinuity));
    // The client sees another remote address, and the server too: that of the link.
    let mut seen = Vec::new();
    let remote = link.address.to_string();
    wait_event(
        &client,
        &mut seen,
        |event| matches!(event, Event::LegPath { remote: r, .. } if *r == remote),
    );
    let mut seen = Vec::new();
    let first = wait_event(&server, &mut seen, |event| {
        matches!(event, Event::LegPath { .. })
    });
    let is_other = |event: &&Event| match (event, &first) {
        (Event::LegPath { remote, .. }, Event::LegPath { remote: before, .. }) => remote != before,
        _ => false,
    };
    assert!(seen.iter().any(|event| is_other(&event)), "{seen:#?}");
}
