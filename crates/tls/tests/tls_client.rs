//! The TLS client against the doors' own contexts, in memory: who is admitted with which facts, who
//! is refused with which code on either side, and that no bytes of a stranger do more than that.

mod authority;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use authority::{Authority, Issued, Order, Usage};
use boring::hash::MessageDigest;
use boring::sign::Signer;
use boring::ssl::{ErrorCode, Ssl, SslContext, SslStream};
use sealcast_tls::client::{ClientConfig, ClientIdentity, ClientState, Failure, TlsClient};
use sealcast_tls::server::{self, ClientAuth, HandshakeFailure, ServerPolicy};
use sealcast_tls::{Chain, Facts, PeerName, Version};

const GROUPS: &str = "X25519MLKEM768:X25519:P-256:P-384";
const DOOR: &str = "media.venue.example";

/// A door in memory.
#[derive(Default)]
struct Line {
    arrived: VecDeque<u8>,
    departing: Vec<u8>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.arrived.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.departing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Door {
    stream: SslStream<Line>,
    outcome: Option<Result<Facts, HandshakeFailure>>,
}

impl Door {
    fn new(context: &SslContext) -> Door {
        let ssl = Ssl::new(context).expect("a connection");
        Door {
            stream: SslStream::new(ssl, Line::default()).expect("a stream"),
            outcome: None,
        }
    }

    /// Takes bytes, gives bytes.
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.stream.get_mut().arrived.extend(bytes);
        if self.outcome.is_none() {
            match self.stream.accept() {
                Ok(()) => self.outcome = Some(Ok(server::facts(self.stream.ssl()))),
                Err(error) if error.code() == ErrorCode::WANT_READ => {}
                Err(error) => {
                    let failure = server::classify(&error, self.stream.ssl(), b"\x16\x03");
                    self.outcome = Some(Err(failure));
                }
            }
        }
        std::mem::take(&mut self.stream.get_mut().departing)
    }

    fn read(&mut self) -> Vec<u8> {
        let mut plain = vec![0; 65_536];
        let len = self.stream.ssl_read(&mut plain).unwrap_or(0);
        plain.truncate(len);
        plain
    }

    fn write(&mut self, plain: &[u8]) -> Vec<u8> {
        self.stream.write_all(plain).expect("an open connection");
        std::mem::take(&mut self.stream.get_mut().departing)
    }
}

struct Venue {
    authority: Authority,
    door: Issued,
}

impl Venue {
    fn new() -> Venue {
        let authority = Authority::new("Venue CA");
        let door = authority.issue(&Order {
            dns: Some(DOOR),
            uri: Some("spiffe://venue.example/node/one"),
            ..Order::new("node", Usage::Server)
        });
        Venue { authority, door }
    }

    fn encoder(&self) -> Issued {
        self.authority
            .issue(&Order::new("encoder 1", Usage::Client))
    }

    fn context(&self, client_auth: ClientAuth, max_version: Version) -> SslContext {
        let policy = ServerPolicy {
            min_version: Version::V1_2,
            max_version,
            groups: GROUPS.to_owned(),
            alpn: Vec::new(),
            client_auth,
        };
        server::context(&policy, &self.door.identity(), &Arc::default()).expect("a valid policy")
    }

    fn demanding(&self, max_version: Version) -> SslContext {
        let roots_pem = self.authority.roots_pem();
        self.context(ClientAuth::Required { roots_pem }, max_version)
    }

    fn open(&self) -> SslContext {
        self.context(ClientAuth::None, Version::V1_3)
    }

    fn config(&self, identity: ClientIdentity) -> ClientConfig {
        self.expecting(PeerName::Dns(DOOR.to_owned()), identity)
    }

    fn expecting(&self, name: PeerName, identity: ClientIdentity) -> ClientConfig {
        let server = sealcast_tls::Authority::from_pem(&self.authority.roots_pem(), Some(name));
        ClientConfig {
            min_version: Version::V1_2,
            max_version: Version::V1_3,
            groups: GROUPS.to_owned(),
            alpn: Vec::new(),
            server: Arc::new(server.expect("a bundle")),
            sni: None,
            identity,
        }
    }
}

fn held(issued: &Issued) -> ClientIdentity {
    ClientIdentity::Held(Arc::new(issued.identity()))
}

fn outside(issued: &Issued) -> ClientIdentity {
    let chain = Chain::from_pem(&issued.chain_pem()).expect("a chain");
    ClientIdentity::Outside(Arc::new(chain))
}

fn client(config: &ClientConfig) -> TlsClient {
    TlsClient::new(config).expect("a valid configuration")
}

/// Carries bytes both ways, in pieces, until nobody has any; signs with `key` when asked.
fn carry(client: &mut TlsClient, door: &mut Door, piece: usize, key: Option<&Issued>) {
    loop {
        if let (Some(wanted), Some(key)) = (client.signature_wanted().cloned(), key) {
            assert_eq!(wanted.scheme, "ecdsa_secp256r1_sha256");
            let mut signer = Signer::new(MessageDigest::sha256(), &key.key).expect("a signer");
            signer.update(&wanted.message).expect("a message");
            client.sign(&signer.sign_to_vec().expect("a signature"));
        }
        let (mut to_client, mut moved) = (Vec::new(), false);
        for bytes in client.take().chunks(piece) {
            to_client.extend(door.receive(bytes));
            moved = true;
        }
        for bytes in to_client.chunks(piece) {
            client.receive(bytes);
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

fn failure(client: &TlsClient) -> Failure {
    match client.state() {
        ClientState::Failed(failure) => failure.clone(),
        other => panic!("{other:?} is no failure"),
    }
}

#[test]
fn both_ends_are_proved_in_both_versions_whoever_holds_the_key() {
    let venue = Venue::new();
    let encoder = venue.encoder();
    for (version, name) in [(Version::V1_3, "1.3"), (Version::V1_2, "1.2")] {
        for identity in [held(&encoder), outside(&encoder)] {
            for piece in [1, 7, 65_536] {
                let mut client = client(&venue.config(identity.clone()));
                let mut door = Door::new(&venue.demanding(version));
                carry(&mut client, &mut door, piece, Some(&encoder));
                assert_eq!(client.state(), &ClientState::Open);
                let facts = client.facts().expect("facts").clone();
                assert_eq!(facts.version, name);
                assert_eq!(facts.peer.expect("a peer").san_dns, [DOOR]);
                assert_eq!(facts.sni.as_deref(), Some(DOOR));
                assert!(facts.forward_secrecy && facts.own_sha256.is_some());
                assert_eq!(facts.post_quantum, version == Version::V1_3);
                let seen = door.outcome.as_ref().expect("an outcome");
                let seen = seen.as_ref().expect("a handshake");
                assert_eq!(seen.peer.as_ref().expect("us").subject, "CN=encoder 1");
                assert_eq!(
                    seen.peer.as_ref().expect("us").sha256,
                    facts.own_sha256.expect("ours")
                );
            }
        }
    }
}

#[test]
fn bytes_go_both_ways_and_the_end_is_told() {
    let venue = Venue::new();
    let (mut client, mut door) = (
        client(&venue.config(ClientIdentity::Nobody)),
        Door::new(&venue.open()),
    );
    assert!(client.write(b"too early").is_err());
    carry(&mut client, &mut door, 65_536, None);
    let large: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    client.write(&large).expect("an open connection");
    door.receive(&client.take());
    let mut arrived = Vec::new();
    while arrived.len() < large.len() {
        arrived.extend(door.read());
    }
    assert_eq!(arrived, large);
    client.receive(&door.write(&large));
    assert_eq!(client.read(10), large[..10]);
    assert_eq!(client.read(usize::MAX), large[10..]);
    client.close();
    assert!(client.write(b"too late").is_err());
    door.receive(&client.take());
    assert!(door.read().is_empty());
    let _ = door.stream.shutdown();
    client.receive(&std::mem::take(&mut door.stream.get_mut().departing));
    assert!(client.read(1).is_empty());
    assert_eq!(client.state(), &ClientState::Closed);
}

#[test]
fn an_end_without_a_close_notify_is_told_apart() {
    let venue = Venue::new();
    let mut client = client(&venue.config(ClientIdentity::Nobody));
    let mut door = Door::new(&venue.open());
    carry(&mut client, &mut door, 65_536, None);
    client.receive_end();
    assert!(client.read(1).is_empty());
    assert_eq!(failure(&client).code, "TLS.SERVER_TRUNCATED");
}

#[test]
fn a_server_that_is_not_the_one_is_told_so_by_code_and_alert() {
    let venue = Venue::new();
    let stranger = Authority::new("Another CA");
    let order = |usage| Order {
        dns: Some(DOOR),
        ..Order::new("node", usage)
    };
    let day = |from_day, to_day| Order {
        from_day,
        to_day,
        ..order(Usage::Server)
    };
    let other_name = Order {
        dns: Some("other.example"),
        ..Order::new("node", Usage::Server)
    };
    let uri = |name: &str| PeerName::Uri(format!("spiffe://venue.example/node/{name}"));
    let dns = || PeerName::Dns(DOOR.to_owned());
    let address = || PeerName::Address([127, 0, 0, 1].into());
    let cases = [
        (
            stranger.issue(&order(Usage::Server)),
            dns(),
            "TLS.SERVER_UNKNOWN_CA",
            "unknown_ca",
        ),
        (
            venue.authority.issue(&order(Usage::Client)),
            dns(),
            "TLS.SERVER_WRONG_USAGE",
            "unsupported_certificate",
        ),
        (
            venue.authority.issue(&other_name),
            dns(),
            "TLS.SERVER_NAME_MISMATCH",
            "bad_certificate",
        ),
        (
            venue.door.clone(),
            uri("two"),
            "TLS.SERVER_NAME_MISMATCH",
            "bad_certificate",
        ),
        (
            venue.door.clone(),
            address(),
            "TLS.SERVER_NAME_MISMATCH",
            "bad_certificate",
        ),
        (
            venue.authority.issue(&day(-9, -2)),
            dns(),
            "TLS.SERVER_EXPIRED",
            "certificate_expired",
        ),
        (
            venue.authority.issue(&day(2, 9)),
            dns(),
            "TLS.SERVER_NOT_YET_VALID",
            "certificate_expired",
        ),
    ];
    for (shown, name, code, alert) in cases {
        let mut client = client(&venue.expecting(name, ClientIdentity::Nobody));
        // A door refuses to be made with a certificate that is not valid today.
        let mut context =
            boring::ssl::SslContext::builder(boring::ssl::SslMethod::tls()).expect("a context");
        context
            .set_certificate(&shown.certificate)
            .expect("a certificate");
        context.set_private_key(&shown.key).expect("a key");
        let mut door = Door::new(&context.build());
        carry(&mut client, &mut door, 65_536, None);
        let failure = failure(&client);
        assert_eq!(failure.code, code, "{failure:?}");
        assert_eq!(failure.alert_sent, Some(alert), "{failure:?}");
        assert!(
            matches!(door.outcome, Some(Err(_))),
            "the door learns it too"
        );
        assert!(client.facts().is_none());
        assert!(client.write(b"secret").is_err());
    }
    let mut admitted = client(&venue.expecting(uri("one"), ClientIdentity::Nobody));
    carry(&mut admitted, &mut Door::new(&venue.open()), 65_536, None);
    assert_eq!(admitted.state(), &ClientState::Open);
}

#[test]
fn a_door_that_does_not_take_our_certificate_tells_why() {
    let venue = Venue::new();
    let stranger = Authority::new("Another CA");
    let expired = venue.authority.issue(&Order {
        from_day: -9,
        to_day: -2,
        ..Order::new("encoder 1", Usage::Client)
    });
    assert_eq!(
        Chain::from_pem(&expired.chain_pem())
            .expect_err("expired")
            .code(),
        "TLS.CERTIFICATE_EXPIRED"
    );
    let cases = [
        (
            ClientIdentity::Nobody,
            Version::V1_3,
            "TLS.CERTIFICATE_REQUIRED",
            "certificate_required",
        ),
        (
            ClientIdentity::Nobody,
            Version::V1_2,
            "TLS.SERVER_ALERT",
            "handshake_failure",
        ),
        (
            held(&stranger.issue(&Order::new("encoder 1", Usage::Client))),
            Version::V1_3,
            "TLS.REFUSED_AS_UNKNOWN",
            "unknown_ca",
        ),
        (
            held(&stranger.issue(&Order::new("encoder 1", Usage::Client))),
            Version::V1_2,
            "TLS.REFUSED_AS_UNKNOWN",
            "unknown_ca",
        ),
        (
            held(&venue.authority.issue(&Order::new("node", Usage::Server))),
            Version::V1_3,
            "TLS.REFUSED_CERTIFICATE",
            "unsupported_certificate",
        ),
    ];
    for (identity, version, code, alert) in cases {
        let mut client = client(&venue.config(identity));
        let mut door = Door::new(&venue.demanding(version));
        carry(&mut client, &mut door, 65_536, None);
        // In 1.3 our side was open before the door judged; reading brings its word.
        assert!(client.read(1).is_empty());
        let failure = failure(&client);
        assert_eq!(
            (failure.code, failure.alert_received),
            (code, Some(alert)),
            "{failure:?}"
        );
    }
}

#[test]
fn every_alert_about_our_certificate_has_its_code() {
    let venue = Venue::new();
    for (number, code) in [
        (44, "TLS.REFUSED_AS_REVOKED"),
        (45, "TLS.REFUSED_AS_EXPIRED"),
        (48, "TLS.REFUSED_AS_UNKNOWN"),
        (42, "TLS.REFUSED_CERTIFICATE"),
        (49, "TLS.REFUSED_CERTIFICATE"),
        (116, "TLS.CERTIFICATE_REQUIRED"),
        (70, "TLS.SERVER_VERSION_REFUSED"),
        (40, "TLS.SERVER_ALERT"),
        (80, "TLS.SERVER_ALERT"),
    ] {
        let mut client = client(&venue.config(ClientIdentity::Nobody));
        client.receive(&[21, 3, 3, 0, 2, 2, number]);
        let failure = failure(&client);
        assert_eq!(failure.code, code);
        let name = failure.alert_received.expect("an alert");
        assert!(failure.detail.contains(name), "{failure:?}");
    }
}

#[test]
fn who_cannot_sign_tells_the_door_and_the_caller() {
    let venue = Venue::new();
    let mut client = client(&venue.config(outside(&venue.encoder())));
    let mut door = Door::new(&venue.demanding(Version::V1_3));
    carry(&mut client, &mut door, 65_536, None);
    assert!(client.signature_wanted().is_some());
    client.decline_to_sign("the token is gone");
    client.sign(b"too late");
    let failure = failure(&client);
    assert_eq!(failure.code, "TLS.SIGNER_FAILED");
    assert_eq!(failure.detail, "the token is gone");
    assert_eq!(failure.alert_sent, Some("internal_error"));
    carry(&mut client, &mut door, 65_536, None);
    let Some(Err(seen)) = &door.outcome else {
        panic!("the door admitted it")
    };
    assert!(seen.detail.contains("internal_error"), "{seen:?}");
}

#[test]
fn a_signature_of_another_key_or_of_any_bytes_admits_nobody() {
    let venue = Venue::new();
    let (encoder, other) = (venue.encoder(), venue.encoder());
    let mut wrong = client(&venue.config(outside(&encoder)));
    let mut door = Door::new(&venue.demanding(Version::V1_3));
    carry(&mut wrong, &mut door, 65_536, Some(&other));
    assert!(matches!(door.outcome, Some(Err(_))));
    assert!(wrong.read(1).is_empty());
    assert_eq!(failure(&wrong).alert_received, Some("decrypt_error"));
    for signature in [&b""[..], &[0; 70], &[0; 20_000]] {
        let mut client = client(&venue.config(outside(&encoder)));
        let mut door = Door::new(&venue.demanding(Version::V1_3));
        carry(&mut client, &mut door, 65_536, None);
        client.sign(signature);
        carry(&mut client, &mut door, 65_536, None);
        assert!(client.read(1).is_empty());
        assert!(
            matches!(client.state(), ClientState::Failed(_)),
            "{signature:02x?}"
        );
        assert!(!matches!(door.outcome, Some(Ok(_))));
    }
}

#[test]
fn other_protocols_are_named() {
    let venue = Venue::new();
    let cases: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS.SERVER_PLAIN_HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "TLS.SERVER_NOT_TLS"),
        (&[0; 64], "TLS.SERVER_NOT_TLS"),
        (b"", "TLS.SERVER_CLOSED"),
    ];
    for (answer, code) in cases {
        let mut client = client(&venue.config(ClientIdentity::Nobody));
        client.receive(answer);
        client.receive_end();
        assert_eq!(failure(&client).code, *code, "{answer:02x?}");
    }
}

#[test]
fn a_version_that_is_not_admitted_is_refused_on_our_side() {
    let venue = Venue::new();
    let mut config = venue.config(ClientIdentity::Nobody);
    config.min_version = Version::V1_3;
    let mut client = client(&config);
    let mut door = Door::new(&venue.context(ClientAuth::None, Version::V1_2));
    carry(&mut client, &mut door, 65_536, None);
    assert_eq!(failure(&client).code, "TLS.SERVER_VERSION_REFUSED");
}

#[test]
fn the_policy_is_checked_before_anything_is_sent() {
    let venue = Venue::new();
    let config = || venue.config(ClientIdentity::Nobody);
    let mut reversed = config();
    (reversed.min_version, reversed.max_version) = (Version::V1_3, Version::V1_2);
    let (mut groups, mut nameless, mut asked) = (config(), config(), config());
    groups.groups = "NO-SUCH-GROUP".to_owned();
    nameless.alpn = vec![String::new()];
    asked.sni = Some("zero\0octet".to_owned());
    for config in [reversed, groups, nameless, asked] {
        let error = TlsClient::new(&config).expect_err("a wrong policy");
        assert_eq!(error.code(), "TLS.BAD_POLICY");
    }
}

#[test]
fn giving_up_ends_the_handshake_and_nothing_comes_after() {
    let venue = Venue::new();
    let mut client = client(&venue.config(ClientIdentity::Nobody));
    client.close();
    client.close();
    client.receive(b"anything");
    client.receive_end();
    assert_eq!(failure(&client).code, "TLS.NOT_OPEN");
    assert!(client.read(1).is_empty());
}

/// Where the low octets of the records' versions stand, which nobody looks at (RFC 8446 §5.1).
fn ignored_octets(flight: &[u8]) -> Vec<usize> {
    let (mut ignored, mut start) = (Vec::new(), 0);
    while start + 5 <= flight.len() {
        ignored.push(start + 2);
        start += 5 + usize::from(u16::from_be_bytes([flight[start + 3], flight[start + 4]]));
    }
    ignored
}

/// Every flight of a server, cut off at every octet and with every octet changed: one code, no
/// panic, and never an open connection.
#[test]
fn a_servers_flight_that_is_cut_or_changed_anywhere_fails_by_one_code() {
    let venue = Venue::new();
    for version in [Version::V1_3, Version::V1_2] {
        let context = venue.context(ClientAuth::None, version);
        let flight_len = {
            let mut client = client(&venue.config(ClientIdentity::Nobody));
            Door::new(&context).receive(&client.take()).len()
        };
        for at in 0..flight_len {
            for is_cut in [true, false] {
                let mut client = client(&venue.config(ClientIdentity::Nobody));
                let mut flight = Door::new(&context).receive(&client.take());
                // A signature's encoding may be an octet shorter than the last one was.
                let at = at.min(flight.len() - 1);
                match is_cut {
                    true => flight.truncate(at),
                    false if ignored_octets(&flight).contains(&at) => continue,
                    false => flight[at] ^= 0x55,
                }
                client.receive(&flight);
                client.receive_end();
                let _ = client.read(usize::MAX);
                let failure = failure(&client);
                assert!(failure.code.starts_with("TLS."), "{at}: {failure:?}");
                assert!(client.facts().is_none(), "{at}");
            }
        }
    }
}
