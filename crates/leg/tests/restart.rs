//! A peer that moves: ICE restarts, and NATs that forget.

mod link;

use link::{address, Call, World, CLIENT, MS, SECOND, SERVER};
use sealcast_leg::{IceCredentials, LegEvent};

const NEW_ADDRESS: &str = "203.0.113.9:50505";

/// Both ends restart, as after a PATCH and its answer; the server first.
fn restart(world: &mut World) {
    let (server, client) = (IceCredentials::generate(), IceCredentials::generate());
    let now = world.now;
    let leg = &mut world.nodes[SERVER].leg;
    leg.restart_ice(now, &server, &client)
        .expect("generated credentials are admissible");
    world.drain(SERVER);
    let candidate = world.nodes[SERVER].address;
    let leg = &mut world.nodes[CLIENT].leg;
    leg.restart_ice(now, &client, &server)
        .expect("generated credentials are admissible");
    leg.add_remote_candidate(candidate);
    world.drain(CLIENT);
}

fn move_client(world: &mut World) {
    let client = &mut world.nodes[CLIENT];
    client.also_at = vec![client.appears_as];
    client.appears_as = address(NEW_ADDRESS);
}

fn server_sends_to(world: &World) -> std::net::SocketAddr {
    world.nodes[SERVER]
        .leg
        .path()
        .expect("it has a path")
        .remote
}

#[test]
fn an_ice_restart_moves_media_to_a_new_address_without_losing_a_packet() {
    let mut world = Call::new().connected();
    world.talk(1, 10);
    move_client(&mut world);
    restart(&mut world);
    assert_eq!(world.nodes[SERVER].leg.local_ufrags().count(), 2);
    world.talk(11, 50);
    assert_eq!(server_sends_to(&world), address(NEW_ADDRESS));
    for node in &world.nodes {
        assert_eq!(node.rtp.len(), 60, "{}", world.story());
        assert_eq!(node.stages().len(), 10, "no stage is told twice");
    }
    // When nothing of the old path is under way any more, it is forgotten.
    world.run(10 * SECOND);
    assert_eq!(world.nodes[SERVER].sources(), [address(NEW_ADDRESS)]);
    assert_eq!(world.nodes[SERVER].leg.local_ufrags().count(), 1);
}

#[test]
fn the_old_path_carries_media_for_as_long_as_the_new_one_is_not_found() {
    let mut world = Call::new().connected();
    world.talk(1, 3);
    let path = world.nodes[SERVER].leg.path();
    // The server restarts, but the client never hears of it.
    let (server, client) = (IceCredentials::generate(), IceCredentials::generate());
    let now = world.now;
    world.nodes[SERVER]
        .leg
        .restart_ice(now, &server, &client)
        .expect("admissible");
    world.drain(SERVER);
    world.run(90 * SECOND);
    world.talk(4, 3);
    assert_eq!(world.nodes[SERVER].leg.path(), path);
    assert!(world
        .nodes
        .iter()
        .all(|node| node.rtp.len() == 6 && node.drops.is_empty()));
    assert!(
        world.nodes.iter().all(|node| node.closed().is_none()),
        "{}",
        world.story()
    );
}

#[test]
fn a_restart_works_with_30_percent_loss() {
    for seed in 0..10 {
        let mut call = Call::new();
        (call.weather, call.seed) = (link::Weather::FOUL, seed);
        let mut world = call.connected();
        move_client(&mut world);
        restart(&mut world);
        let moved = |world: &World| server_sends_to(world) == address(NEW_ADDRESS);
        assert!(
            world.run_until(20 * SECOND, moved),
            "seed {seed}: {}",
            world.story()
        );
        assert!(world.nodes.iter().all(|node| node.closed().is_none()));
    }
}

#[test]
fn restarts_in_quick_succession_keep_the_path_that_works() {
    let mut world = Call::new().connected();
    for _ in 0..5 {
        restart(&mut world);
        world.run(MS);
    }
    assert!(world.nodes[SERVER].leg.local_ufrags().count() <= 2);
    world.talk(1, 20);
    world.run(20 * SECOND);
    world.talk(21, 5);
    assert!(
        world.nodes.iter().all(|node| node.rtp.len() == 25),
        "{}",
        world.story()
    );
}

#[test]
fn requests_for_the_old_credentials_are_refused_once_the_new_have_taken_over() {
    let mut world = Call::new().connected();
    let is_request = |bytes: &[u8]| bytes.starts_with(&[0, 1]);
    let heard = world.nodes[SERVER].heard.clone();
    let old = heard
        .iter()
        .find(|flight| is_request(&flight.bytes))
        .expect("it was asked")
        .clone();
    restart(&mut world);
    assert_eq!(world.inject(SERVER, old.source, &old.bytes), None);
    world.run(20 * SECOND);
    assert_eq!(
        world.inject(SERVER, old.source, &old.bytes),
        Some("ICE.UNKNOWN_UFRAG")
    );
}

#[test]
fn a_client_whose_nat_forgot_is_followed_without_a_restart() {
    let mut world = Call::new().connected();
    world.run(20 * SECOND);
    world.nodes[CLIENT].appears_as = address(NEW_ADDRESS);
    let moved = |world: &World| server_sends_to(world) == address(NEW_ADDRESS);
    assert!(world.run_until(12 * SECOND, moved), "{}", world.story());
    world.run(60 * SECOND);
    assert!(
        world.nodes.iter().all(|node| node.closed().is_none()),
        "{}",
        world.story()
    );
    assert!(moved(&world));
    let changes = world.nodes[SERVER].events.iter();
    let changes = changes.filter(|(_, event)| matches!(event, LegEvent::PathChanged(_)));
    assert_eq!(changes.count(), 2, "{}", world.story());
}
