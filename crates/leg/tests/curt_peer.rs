//! A peer that answers less than it should, as ffmpeg's WHIP muxer does: every check with a bare
//! response, one check before its handshake, none once it is secured. And that nobody else gains
//! by what is admitted for its sake.

mod link;

use std::net::SocketAddr;

use is::stun::{StunMessage, StunMessageBuilder, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use link::{address, Call, Flight, World, AT_ONCE, CLIENT, MS, SECOND, SERVER};
use sealcast_leg::{IceCredentials, Received};
use sealcast_srtp::Profile;
use sealcast_tls::dtls::Role;
use sealcast_tls::Version;

const STRANGER: &str = "203.0.113.66:6666";

fn signed(message: StunMessage<'_>, password: &str) -> Vec<u8> {
    let mut bytes = vec![0; 200];
    let len = message
        .to_bytes(Some(password.as_bytes()), &mut bytes, |key, parts| {
            DefaultSha1HmacProvider.sha1_hmac(key, parts)
        })
        .expect("it fits");
    bytes.truncate(len);
    bytes
}

/// What ffmpeg writes: header, MESSAGE-INTEGRITY, FINGERPRINT.
fn bare(transaction: TransId, password: &str) -> Vec<u8> {
    let message = StunMessageBuilder::new().binding().success();
    let bytes = signed(message.build(transaction), password);
    assert_eq!(bytes.len(), 52);
    bytes
}

fn transaction_of(bytes: &[u8]) -> TransId {
    StunMessage::parse(bytes)
        .expect("what legs send is well-formed")
        .trans_id()
}

fn is_answer_to_server(flight: &Flight) -> bool {
    flight.to == SERVER && flight.bytes.starts_with(&[0x01, 0x01])
}

fn is_media(bytes: &[u8]) -> bool {
    bytes[0] >> 6 == 2
}

/// A call whose client is like ffmpeg 9: DTLS 1.2 and AES128_CM_SHA1_80 only, bare answers, and of
/// those only the ones that `is_given` lets through, by their number.
fn curt_call(server_role: Role, is_given: impl Fn(u32) -> bool + 'static) -> World {
    let mut call = Call::new();
    call.server.dtls.role = server_role;
    call.client.dtls.role = match server_role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    call.server.dtls.srtp_profiles = vec![Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];
    call.client.dtls.srtp_profiles = vec![Profile::Aes128CmSha1_80];
    call.client.dtls.max_version = Version::V1_2;
    let password = call.client.local_credentials.pwd.clone();
    let mut answers = 0;
    let mut world = call.begin();
    world.tap = Some(Box::new(move |mut flight| {
        if is_answer_to_server(&flight) {
            answers += 1;
            if !is_given(answers) {
                return Vec::new();
            }
            flight.bytes = bare(transaction_of(&flight.bytes), &password);
        }
        vec![(AT_ONCE, flight)]
    }));
    world
}

/// The client sends a packet every 20 ms for so many seconds; the server sends none, but feedback.
fn publish(world: &mut World, seconds: u16) {
    for number in 0..seconds {
        for part in 0..50 {
            world.send_rtp(CLIENT, (number % 1000) * 50 + part, b"media");
            world.run(20 * MS);
        }
        if world.nodes[SERVER].closed().is_some() {
            return;
        }
        world.send_rtcp(SERVER);
    }
}

#[test]
fn bare_answers_prove_a_path_in_both_dtls_roles() {
    for role in [Role::Server, Role::Client] {
        let mut world = curt_call(role, |_| true);
        let connected = world.run_until(5 * SECOND, World::is_connected);
        assert!(connected, "{role:?}: {}", world.story());
        let client = world.nodes[CLIENT].address;
        let server = &world.nodes[SERVER];
        let path = server.leg.path().expect("it is connected");
        assert_eq!((path.local, path.remote), (server.address, client));
        assert_eq!(server.leg.rtt(), Some(20 * MS), "{role:?}");
        let seal = server.seal().expect("it is connected");
        assert_eq!(seal.dtls.version, "1.2");
        assert_eq!(seal.srtp_profile, Profile::Aes128CmSha1_80);
        world.run(60 * SECOND);
        world.talk(1, 5);
        for node in &world.nodes {
            assert!(node.drops.is_empty(), "{role:?}: {}", world.story());
            assert_eq!(node.rtp.len(), 5, "{role:?}");
        }
    }
}

#[test]
fn a_path_that_answered_once_carries_a_handshake_during_which_no_check_is_answered() {
    for role in [Role::Server, Role::Client] {
        let mut world = curt_call(role, |number| number == 1);
        let mut curt = world.tap.take().expect("a curt call has a tap");
        // Its first DTLS datagrams are lost, so that the handshake takes seconds.
        let mut dtls = 0;
        world.tap = Some(Box::new(move |flight| {
            if flight.to == SERVER && (20..64).contains(&flight.bytes[0]) {
                dtls += 1;
                if dtls <= 6 {
                    return Vec::new();
                }
            }
            curt(flight)
        }));
        let connected = world.run_until(20 * SECOND, World::is_connected);
        assert!(connected, "{role:?}: {}", world.story());
        assert!(world.elapsed() > 2 * SECOND, "{:?}", world.elapsed());
        assert_eq!(world.nodes[SERVER].drops_of("DTLS.UNVALIDATED_SOURCE"), 0);
        publish(&mut world, 2);
        assert_eq!(world.nodes[SERVER].rtp.len(), 100, "{role:?}");
    }
}

#[test]
fn a_publisher_that_answers_no_check_stays_while_its_media_comes_and_no_longer() {
    let mut world = curt_call(Role::Client, |number| number == 1);
    assert!(world.run_until(5 * SECOND, World::is_connected));
    let path = world.nodes[SERVER].leg.path();
    publish(&mut world, 300);
    assert!(world.nodes[SERVER].closed().is_none(), "{}", world.story());
    assert_eq!(world.nodes[SERVER].leg.path(), path);
    assert!(world.nodes[CLIENT].rtcp.len() >= 299, "it gets feedback");
    let last_packet_at = world.elapsed();
    world.run(60 * SECOND);
    let (at, code, detail) = world.nodes[SERVER].closed().expect("silence is noticed");
    assert_eq!(code, "ICE.CONSENT_LOST");
    assert!(at - last_packet_at <= 30 * SECOND, "{at:?}");
    assert!(detail.ends_with(" s nor sent media for 30 s"), "{detail}");
}

#[test]
fn a_publisher_that_answers_nothing_and_asks_nothing_stays_while_its_media_comes() {
    // As the muxer before it sent checks of its own: then the agent gives up on the pair after 25 s.
    let call = Call::new();
    let password = call.server.local_credentials.pwd.clone();
    let mut world = call.connected();
    let (server, client) = (world.nodes[SERVER].address, world.nodes[CLIENT].address);
    world.tap = Some(Box::new(move |flight| {
        if is_answer_to_server(&flight) {
            return Vec::new();
        }
        if flight.to == SERVER && flight.bytes.starts_with(&[0, 1]) {
            // The client is a real leg and wants its answers; here the link gives them.
            let answer = StunMessage::binding_reply(transaction_of(&flight.bytes), client);
            let answer = Flight {
                to: CLIENT,
                source: server,
                target: client,
                bytes: signed(answer, &password),
            };
            return vec![(AT_ONCE, answer)];
        }
        vec![(AT_ONCE, flight)]
    }));
    publish(&mut world, 120);
    assert!(world.nodes[SERVER].closed().is_none(), "{}", world.story());
    // And it can still say goodbye.
    let now = world.now;
    world.nodes[CLIENT].leg.close(now, "LEG.CLOSED");
    world.drain(CLIENT);
    world.run(SECOND);
    let (_, code, _) = world.nodes[SERVER].closed().expect("it was told");
    assert_eq!(code, "DTLS.CLOSED");
}

#[test]
fn a_leg_that_sends_media_needs_answers_whatever_it_hears() {
    let mut world = curt_call(Role::Client, |number| number == 1);
    assert!(world.run_until(5 * SECOND, World::is_connected));
    let answered_at = world.elapsed();
    world.send_rtp(SERVER, 1, b"media");
    publish(&mut world, 60);
    let (at, code, detail) = world.nodes[SERVER].closed().expect("consent is lost");
    assert_eq!(code, "ICE.CONSENT_LOST");
    assert!(at - answered_at <= 30 * SECOND, "{at:?}");
    assert_eq!(detail, "the peer has not answered a check for 30 s");
}

#[test]
fn media_from_another_address_than_the_paths_is_no_consent() {
    let mut world = curt_call(Role::Client, |number| number == 1);
    assert!(world.run_until(5 * SECOND, World::is_connected));
    // The peer is genuine; its packets say that they come from a stranger.
    world.tap = Some(Box::new(|mut flight| {
        if is_answer_to_server(&flight) {
            return Vec::new();
        }
        if flight.to == SERVER && is_media(&flight.bytes) {
            flight.source = address(STRANGER);
        }
        vec![(AT_ONCE, flight)]
    }));
    let moved_at = world.elapsed();
    publish(&mut world, 60);
    let (at, code, _) = world.nodes[SERVER].closed().expect("consent is lost");
    assert_eq!(code, "ICE.CONSENT_LOST");
    assert!(at - moved_at <= 30 * SECOND, "{at:?}");
}

#[test]
fn forged_media_is_no_consent() {
    let mut world = curt_call(Role::Client, |number| number == 1);
    assert!(world.run_until(5 * SECOND, World::is_connected));
    world.send_rtp(CLIENT, 1, b"media");
    world.run(SECOND);
    let genuine = world.nodes[SERVER].heard.clone();
    let genuine = genuine
        .iter()
        .rfind(|flight| is_media(&flight.bytes))
        .expect("a packet was just sent");
    world.cut();
    let cut_at = world.elapsed();
    for _ in 0..600 {
        // A replay, and a packet that was changed.
        let replay = world.inject(SERVER, genuine.source, &genuine.bytes);
        let mut forged = genuine.bytes.clone();
        forged[3] ^= 2;
        let forgery = world.inject(SERVER, genuine.source, &forged);
        if world.nodes[SERVER].closed().is_some() {
            break;
        }
        assert_eq!(replay, Some("SRTP.REPLAYED"));
        assert_eq!(forgery, Some("SRTP.AUTH_FAILED"));
        world.run(100 * MS);
    }
    let (at, code, _) = world.nodes[SERVER].closed().expect("consent is lost");
    assert_eq!(code, "ICE.CONSENT_LOST");
    assert!(at - cut_at <= 30 * SECOND, "{at:?}");
}

/// A call in which the server asked and heard no answer, its last check, and the credentials of
/// the client.
fn asked() -> (World, TransId, IceCredentials) {
    let call = Call::new();
    let client = call.client.local_credentials.clone();
    let mut world = call.begin();
    world.tap = Some(Box::new(|flight| {
        if is_answer_to_server(&flight) {
            return Vec::new();
        }
        vec![(AT_ONCE, flight)]
    }));
    world.run(SECOND);
    let heard = &world.nodes[CLIENT].heard;
    let check = heard
        .iter()
        .rfind(|flight| flight.bytes.starts_with(&[0, 1]))
        .expect("the server asks in return");
    let transaction = transaction_of(&check.bytes);
    (world, transaction, client)
}

#[test]
fn a_bare_answer_counts_only_with_the_right_integrity_transaction_and_addresses() {
    let (mut world, transaction, credentials) = asked();
    let client = world.nodes[CLIENT].address;
    let answer = bare(transaction, &credentials.pwd);

    let guess = bare(transaction, &IceCredentials::generate().pwd);
    let refused = world.inject(SERVER, client, &guess);
    assert_eq!(refused, Some("ICE.BAD_INTEGRITY"));

    let unasked = bare(TransId::new(), &credentials.pwd);
    let refused = world.inject(SERVER, client, &unasked);
    assert_eq!(refused, Some("ICE.UNEXPECTED_RESPONSE"));

    let other_port = SocketAddr::new(client.ip(), client.port() + 1);
    for source in [address(STRANGER), other_port] {
        let refused = world.inject(SERVER, source, &answer);
        assert_eq!(refused, Some("ICE.UNEXPECTED_RESPONSE"), "from {source}");
    }

    let (now, elsewhere) = (world.now, address("127.0.0.1:1"));
    let mut bytes = answer.clone();
    let leg = &mut world.nodes[SERVER].leg;
    let refused = leg.receive(now, elsewhere, client, &mut bytes);
    let expected = Received::Dropped("ICE.UNEXPECTED_RESPONSE");
    assert_eq!(refused, expected, "to another address of ours");

    let mut no_fingerprint = answer.clone();
    no_fingerprint[51] ^= 1;
    let refused = world.inject(SERVER, client, &no_fingerprint);
    assert_eq!(refused, Some("ICE.MALFORMED"));

    assert_eq!(world.nodes[SERVER].stages(), ["path started"]);
    assert_eq!(world.nodes[SERVER].leg.path(), None);
    assert_eq!(world.nodes[SERVER].leg.rtt(), None);

    // None of it used up the check: the genuine answer still counts, and counts once.
    assert_eq!(world.inject(SERVER, client, &answer), None);
    assert!(world.nodes[SERVER].stages().len() > 1, "{}", world.story());
    let refused = world.inject(SERVER, client, &answer);
    assert_eq!(refused, Some("ICE.UNEXPECTED_RESPONSE"));
}

#[test]
fn a_bare_answer_does_not_aim_our_media_at_a_third_party() {
    let call = Call::new();
    let (server, client) = (
        call.server.local_credentials.clone(),
        call.client.local_credentials.clone(),
    );
    let mut world = call.connected();
    let path = world.nodes[SERVER].leg.path();
    let at_client = world.nodes[CLIENT].address;
    // The peer nominates a victim, and answers in its name what it can: it never sees the checks
    // that go there, so their identifiers are guesses; from its own address they are not asked for.
    let username = format!("{}:{}", server.ufrag, client.ufrag);
    let nomination =
        StunMessage::binding_request(&username, TransId::new(), true, u64::MAX, 1, true);
    let nomination = signed(nomination, &server.pwd);
    let victim = address(STRANGER);
    assert_eq!(world.inject(SERVER, victim, &nomination), None);
    for _ in 0..1000 {
        let guess = bare(TransId::new(), &client.pwd);
        let refused = world.inject(SERVER, victim, &guess);
        assert_eq!(refused, Some("ICE.UNEXPECTED_RESPONSE"));
        let refused = world.inject(SERVER, at_client, &guess);
        assert_eq!(refused, Some("ICE.UNEXPECTED_RESPONSE"));
    }
    world.run(60 * SECOND);
    assert_eq!(world.nodes[SERVER].leg.path(), path);
}
