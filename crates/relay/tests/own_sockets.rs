//! Legs that ask from sockets of their own: several of one relay, to one server.

mod two_relays;

use std::time::Duration;

use sealcast_relay::spec::LegSide;
use sealcast_relay::{Command, Event};
use two_relays::*;

fn own_socket() -> Terms {
    Terms {
        own_socket: true,
        ..Terms::default()
    }
}

#[test]
fn two_legs_of_one_relay_ask_one_server_and_one_takes_over_from_the_other() {
    let (origin, edge) = (relay("origin"), relay("edge"));
    let video = edge.frame_tap(VIDEO).expect("a tap");
    let mut camera = Camera::new(&origin, 100, 2_000);
    connect(&origin, &edge, 7, LegSide::Server, &own_socket());
    wait_sealed(&[&origin, &edge], 7);
    camera.shoot();
    wait_frames(&video, 1);

    connect(&origin, &edge, 8, LegSide::Server, &own_socket());
    let mut seen = Vec::new();
    for _ in 0..90 {
        camera.shoot();
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_event(&edge, &mut seen, |event| {
        matches!(
            event,
            Event::TrackLive {
                track: VIDEO,
                source: 8
            }
        )
    });
    let close = |leg| {
        let code = "LEG.DELETED".to_owned();
        edge.command(Command::CloseLeg { leg, code }).expect("room");
    };
    close(7);
    let before = wait_frames(&video, 1).len();
    assert!(before > 0);
    for _ in 0..30 {
        camera.shoot();
    }
    let frames = wait_frames(&video, 30);
    assert!(frames.iter().skip(1).all(|frame| !frame.discontinuity));

    let numbers = answer(&edge);
    assert_eq!(
        numbers.sockets.len(),
        1,
        "a leg's own socket is no door of the relay"
    );
    for leg in &answer(&origin).legs {
        assert!(leg.drops.is_empty(), "leg {}: {:?}", leg.id, leg.drops);
    }
    close(8);
    wait_event(&edge, &mut seen, |event| {
        matches!(
            event,
            Event::TrackEnded {
                track: VIDEO,
                source: 8
            }
        )
    });
}

#[test]
fn on_one_socket_the_second_leg_to_a_server_does_not_come_about() {
    let (origin, edge) = (relay("origin"), relay("edge"));
    connect(&origin, &edge, 7, LegSide::Server, &Terms::default());
    wait_sealed(&[&origin, &edge], 7);
    connect(&origin, &edge, 8, LegSide::Server, &Terms::default());
    let dropped = wait_numbers(&edge, |numbers| {
        let second = numbers.legs.iter().find(|leg| leg.id == 8);
        second.is_some_and(|leg| !leg.drops.is_empty())
    });
    assert_eq!(dropped.legs.len(), 2);
}
