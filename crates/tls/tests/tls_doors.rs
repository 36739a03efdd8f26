//! TLS doors: who is admitted with which facts, who is refused with which code.

mod authority;
mod door;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authority::{Authority, Issued, Order, Usage};
use boring::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use door::{meet, meet_within, policy};
use sealcast_tls::server::{self, ClientAuth, HandshakeFailure, ServerPolicy};
use sealcast_tls::{Facts, FingerprintHash, Version};

/// A venue: its authority and a door's identity.
struct Venue {
    authority: Authority,
    door: Issued,
}

impl Venue {
    fn new() -> Venue {
        let authority = Authority::new("Venue CA");
        let door = authority.issue(&Order::new("media.venue.example", Usage::Server));
        Venue { authority, door }
    }

    fn encoder(&self) -> Issued {
        self.authority.issue(&Order {
            uri: Some("spiffe://venue.example/encoder/1"),
            dns: Some("encoder-1.venue.example"),
            ..Order::new("encoder 1", Usage::Client)
        })
    }

    fn demanding(&self) -> ServerPolicy {
        policy(ClientAuth::Required {
            roots_pem: self.authority.roots_pem(),
        })
    }

    fn context(&self, policy: &ServerPolicy) -> SslContext {
        server::context(policy, &self.door.identity(), &Arc::default()).expect("a valid policy")
    }
}

type Shape = Box<dyn FnOnce(&mut SslContextBuilder) + Send>;

fn nothing() -> Shape {
    Box::new(|_| {})
}

fn presenting(issued: Issued) -> Shape {
    Box::new(move |context| {
        context
            .set_certificate(&issued.certificate)
            .expect("a certificate");
        context.set_private_key(&issued.key).expect("a key");
    })
}

fn up_to(version: SslVersion) -> Shape {
    Box::new(move |context| {
        context
            .set_min_proto_version(Some(SslVersion::TLS1))
            .expect("the oldest");
        context
            .set_max_proto_version(Some(version))
            .expect("a version");
    })
}

/// A TLS client that trusts anybody and exchanges one message.
fn client(shape: Shape) -> impl FnOnce(SocketAddr) + Send {
    move |address| {
        let mut context = SslContext::builder(SslMethod::tls()).expect("a context");
        context.set_verify(SslVerifyMode::NONE);
        shape(&mut context);
        let mut ssl = Ssl::new(&context.build()).expect("a connection");
        ssl.set_hostname("media.venue.example").expect("a name");
        let socket = TcpStream::connect(address).expect("the door listens");
        let mut stream = SslStream::new(ssl, socket).expect("a stream");
        if stream.connect().is_ok() && stream.write_all(b"hello").is_ok() {
            let _ = stream.read(&mut [0; 64]);
        }
    }
}

/// A client that sends these bytes and waits for the end.
fn saying(bytes: &'static [u8]) -> impl FnOnce(SocketAddr) + Send {
    move |address| {
        let mut socket = TcpStream::connect(address).expect("the door listens");
        socket.write_all(bytes).expect("it accepts bytes");
        let _ = socket.read(&mut [0; 256]);
    }
}

fn admitted(outcome: Result<Facts, HandshakeFailure>) -> Facts {
    outcome.unwrap_or_else(|failure| panic!("refused: {failure:?}"))
}

fn refused(outcome: Result<Facts, HandshakeFailure>) -> HandshakeFailure {
    let failure = outcome.expect_err("must be refused");
    assert!(sealcast_tls::codes::ALL.contains(&failure.code));
    failure
}

#[test]
fn an_encoder_with_a_certificate_is_admitted_and_its_facts_are_complete() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let encoder = venue.encoder();
    let facts = admitted(meet(&context, client(presenting(encoder))));
    assert_eq!(facts.protocol, "TLS");
    assert_eq!(facts.version, "1.3");
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    assert_eq!(
        facts.own_signature.as_deref(),
        Some("ecdsa_secp256r1_sha256")
    );
    assert_eq!(
        facts.peer_signature.as_deref(),
        Some("ecdsa_secp256r1_sha256")
    );
    assert_eq!(facts.sni.as_deref(), Some("media.venue.example"));
    let door = venue.door.identity();
    let shown = door.fingerprint(FingerprintHash::Sha256).value();
    assert_eq!(facts.own_sha256, Some(shown));
    assert_eq!(facts.srtp_profile_id, None);
    assert!(facts.forward_secrecy && !facts.resumed && !facts.early_data && !facts.ech);
    let peer = facts.peer.expect("a certificate");
    assert_eq!(peer.subject, "CN=encoder 1");
    assert_eq!(peer.issuer, "CN=Venue CA");
    assert_eq!(peer.san_uris, ["spiffe://venue.example/encoder/1"]);
    assert_eq!(peer.san_dns, ["encoder-1.venue.example"]);
    assert_eq!(peer.serial, "5ea1");
    assert_eq!(peer.sha256.len(), 32 * 3 - 1);
    let days = peer.not_after_unix / 86_400;
    let today = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs() as i64
        / 86_400;
    assert!((29..=31).contains(&(days - today)));
}

#[test]
fn tls_1_2_is_admitted_with_ecdhe_and_an_aead_only() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let encoder = venue.encoder();
    let shape: Shape = Box::new(move |context| {
        up_to(SslVersion::TLS1_2)(context);
        presenting(encoder)(context);
    });
    let facts = admitted(meet(&context, client(shape)));
    assert_eq!(facts.version, "1.2");
    assert_eq!(facts.cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert!(facts.forward_secrecy && !facts.post_quantum);
    assert!(facts.own_signature.is_some() && facts.peer_signature.is_some());

    let cbc: Shape = Box::new(|context| {
        up_to(SslVersion::TLS1_2)(context);
        context
            .set_cipher_list("ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:AES128-SHA")
            .expect("suites of the engine");
    });
    assert_eq!(
        refused(meet(&context, client(cbc))).code,
        "TLS.NO_COMMON_CIPHER"
    );
}

#[test]
fn a_post_quantum_group_is_a_fact() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    let shape: Shape = Box::new(|context| {
        context
            .set_curves_list("X25519MLKEM768:X25519")
            .expect("groups");
    });
    let facts = admitted(meet(&context, client(shape)));
    assert_eq!(facts.group.as_deref(), Some("X25519MLKEM768"));
    assert!(facts.post_quantum);
    assert_eq!(facts.peer, None);
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_demanded() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let failure = refused(meet(&context, client(up_to(version))));
        assert_eq!(failure.code, "TLS.NO_CLIENT_CERTIFICATE", "{version:?}");
    }
}

#[test]
fn a_certificate_of_a_foreign_authority_is_refused() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    // The same name as the trusted one, another key.
    for name in ["Another CA", "Venue CA"] {
        let foreign = Authority::new(name).issue(&Order::new("encoder 1", Usage::Client));
        let failure = refused(meet(&context, client(presenting(foreign))));
        assert_eq!(failure.code, "TLS.UNKNOWN_CA", "{name}: {}", failure.detail);
        assert!(
            failure.detail.contains("CN=encoder 1"),
            "{}",
            failure.detail
        );
    }
    let (certificate, key) = authority::self_signed("nobody");
    let failure = refused(meet(
        &context,
        client(presenting(Issued { certificate, key })),
    ));
    assert_eq!(failure.code, "TLS.UNKNOWN_CA");
}

#[test]
fn an_expired_and_a_future_certificate_have_their_own_codes() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    for (from_day, to_day, code) in [
        (-30, -1, "TLS.CERTIFICATE_EXPIRED"),
        (1, 30, "TLS.CERTIFICATE_NOT_YET_VALID"),
    ] {
        let issued = venue.authority.issue(&Order {
            from_day,
            to_day,
            ..Order::new("encoder 1", Usage::Client)
        });
        let failure = refused(meet(&context, client(presenting(issued))));
        assert_eq!(failure.code, code, "{}", failure.detail);
    }
}

#[test]
fn a_server_certificate_is_refused_as_a_client_certificate() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let failure = refused(meet(&context, client(presenting(venue.door.clone()))));
    assert_eq!(failure.code, "TLS.WRONG_USAGE", "{}", failure.detail);
}

#[test]
fn a_chain_larger_than_a_door_reads_is_refused_by_its_size() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    for (surplus, code) in [(0, None), (9, Some("TLS.CHAIN_TOO_LARGE"))] {
        let issued = venue
            .authority
            .issue(&Order::new("encoder 1", Usage::Client));
        // In the message each certificate has its length before it and extensions behind it.
        let each = issued.certificate.to_der().expect("DER").len() + 8;
        let more = server::CHAIN_BYTES / each - 2 + surplus;
        let shape = Box::new(move |context: &mut SslContextBuilder| {
            presenting(issued.clone())(context);
            for _ in 0..more {
                context
                    .add_extra_chain_cert(issued.certificate.clone())
                    .expect("one more");
            }
        });
        let met = meet(&context, client(shape));
        assert_eq!(met.err().map(|failure| failure.code), code);
    }
}

#[test]
fn a_chain_of_any_size_gets_the_same_answer_with_and_without_a_handshake() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let issued = venue
        .authority
        .issue(&Order::new("encoder 1", Usage::Client));
    let each = issued.certificate.to_der().expect("DER").len() + 5;
    let most = (server::CHAIN_BYTES - 4) / each;
    for certificates in [1, most - 1, most, most + 1, most + 2, 4 * most] {
        let asked = server::judge_chain(
            &issued.chain_pem().repeat(certificates),
            &venue.authority.roots_pem(),
        );
        let shown = issued.clone();
        let shape = Box::new(move |context: &mut SslContextBuilder| {
            presenting(shown.clone())(context);
            for _ in 1..certificates {
                context
                    .add_extra_chain_cert(shown.certificate.clone())
                    .expect("one more");
            }
        });
        let at_the_door = meet(&context, client(shape)).map(|_| ());
        let too_large = certificates > most;
        assert_eq!(at_the_door.is_err(), too_large, "{certificates}");
        let asked = asked.expect("readable").map(|_| ());
        assert_eq!(asked, at_the_door, "{certificates}");
    }
}

#[test]
fn a_chain_asked_about_without_a_handshake_gets_the_doors_own_answer() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let dated = |from_day, to_day| {
        venue.authority.issue(&Order {
            from_day,
            to_day,
            ..Order::new("encoder 1", Usage::Client)
        })
    };
    let (certificate, key) = authority::self_signed("nobody");
    for presented in [
        dated(-30, -1),
        dated(1, 30),
        venue.door.clone(),
        Authority::new("Venue CA").issue(&Order::new("encoder 1", Usage::Client)),
        Issued { certificate, key },
    ] {
        let asked = server::judge_chain(&presented.chain_pem(), &venue.authority.roots_pem());
        let at_the_door = refused(meet(&context, client(presenting(presented))));
        assert_eq!(asked.expect("readable"), Err(at_the_door));
    }
    let good = venue.encoder().chain_pem();
    let roots = venue.authority.roots_pem();
    let root = server::judge_chain(&good, &roots)
        .expect("readable")
        .expect("good");
    let facts = admitted(meet(&context, client(presenting(venue.encoder()))));
    let read = server::leaf_of(&good).expect("a certificate");
    let shown = facts.peer.expect("a certificate");
    assert_eq!((root.len(), &root), (95, &shown.root_sha256));
    assert_eq!(
        (read.subject, read.san_uris, read.issuer),
        (shown.subject, shown.san_uris, shown.issuer)
    );
    for (chain, bundle) in [(&b""[..], &roots[..]), (&good, b""), (b"\0", &roots)] {
        let error = server::judge_chain(chain, bundle).expect_err("nothing to judge");
        assert_eq!(error.code(), "TLS.UNREADABLE_CERTIFICATE");
    }
}

#[test]
fn tls_1_1_is_refused_by_its_version() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    let failure = refused(meet(&context, client(up_to(SslVersion::TLS1_1))));
    assert_eq!(failure.code, "TLS.VERSION_REFUSED");
    assert!(
        failure.detail.contains("at most TLS 1.1"),
        "{}",
        failure.detail
    );

    let strict = ServerPolicy {
        min_version: Version::V1_3,
        ..policy(ClientAuth::None)
    };
    let failure = refused(meet(
        &venue.context(&strict),
        client(up_to(SslVersion::TLS1_2)),
    ));
    assert_eq!(failure.code, "TLS.VERSION_REFUSED");
    assert!(
        failure.detail.contains("at most TLS 1.2"),
        "{}",
        failure.detail
    );
}

#[test]
fn no_common_group_has_its_own_code() {
    let venue = Venue::new();
    let strict = ServerPolicy {
        min_version: Version::V1_3,
        groups: "X25519MLKEM768:X25519".to_owned(),
        ..policy(ClientAuth::None)
    };
    let shape: Shape = Box::new(|context| {
        context.set_curves_list("P-256:P-384").expect("groups");
    });
    let failure = refused(meet(&venue.context(&strict), client(shape)));
    assert_eq!(failure.code, "TLS.NO_COMMON_GROUP");
}

#[test]
fn other_protocols_on_the_port_are_recognised() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    let cases: [(&'static [u8], &str, &str); 8] = [
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "TLS.PLAIN_HTTP",
            "HTTP",
        ),
        (b"CONNECT x:443 HTTP/1.1\r\n\r\n", "TLS.PLAIN_HTTP", "HTTP"),
        (b"DELETE /a HTTP/1.1\r\n\r\n", "TLS.PLAIN_HTTP", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "TLS.NOT_TLS", "SSH"),
        (
            b"\x03\x00\x00\x00\x01\x00\x00\x00\x00abcdefgh",
            "TLS.NOT_TLS",
            "RTMP",
        ),
        (b"OPTIONS rtsp://x/y RTSP/1.0\r\n", "TLS.NOT_TLS", "RTSP"),
        (
            b"G@\x11\x10\x00\x42\xf0\x25",
            "TLS.NOT_TLS",
            "transport stream",
        ),
        (b"\xff\xfe\xfd\xfc\xfb\xfa", "TLS.NOT_TLS", "ff fe fd"),
    ];
    for (bytes, code, word) in cases {
        let failure = refused(meet(&context, saying(bytes)));
        assert_eq!(failure.code, code, "{}", failure.detail);
        assert!(failure.detail.contains(word), "{}", failure.detail);
    }
}

#[test]
fn a_client_that_goes_away_or_falls_silent_has_its_own_codes() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    let failure = refused(meet(&context, |address| {
        drop(TcpStream::connect(address).expect("the door listens"));
    }));
    assert_eq!(failure.code, "TLS.PEER_CLOSED");
    assert!(failure.detail.contains("before it sent anything"));

    let failure = refused(meet(&context, |address| {
        let mut socket = TcpStream::connect(address).expect("the door listens");
        socket.write_all(&[22, 3, 1, 2, 0, 1]).expect("bytes");
    }));
    assert_eq!(failure.code, "TLS.PEER_CLOSED");
    assert!(
        failure.detail.contains("in the middle"),
        "{}",
        failure.detail
    );

    let patience = Duration::from_millis(200);
    let failure = refused(meet_within(patience, &context, move |address| {
        let mut socket = TcpStream::connect(address).expect("the door listens");
        socket.write_all(&[22, 3, 1, 2, 0, 1]).expect("bytes");
        // Until the door gives up.
        let _ = socket.read(&mut [0; 16]);
    }));
    assert_eq!(failure.code, "TLS.TIMEOUT", "{}", failure.detail);
    let by_clock = HandshakeFailure::timed_out(Duration::from_secs(10));
    assert_eq!(by_clock.code, "TLS.TIMEOUT");
}

#[test]
fn a_client_that_does_not_trust_the_door_is_told_apart() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let shape: Shape = Box::new(move |context| {
            up_to(version)(context);
            context.set_verify(SslVerifyMode::PEER);
        });
        let failure = refused(meet(&context, client(shape)));
        assert_eq!(failure.code, "TLS.PEER_ALERT", "{}", failure.detail);
        assert!(failure.detail.contains("unknown_ca"), "{}", failure.detail);
    }
}

#[test]
fn random_bytes_in_a_tls_record_are_refused_without_a_panic() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    let cases: [&'static [u8]; 4] = [
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
        &[22, 3, 1, 0, 6, 1, 0, 0, 2, 0xff, 0xff],
        &[23, 3, 3, 0, 3, 1, 2, 3],
        &[21, 3, 3, 0, 2, 2, 40],
    ];
    for bytes in cases {
        refused(meet(&context, saying(bytes)));
    }
}

#[test]
fn the_application_protocol_is_chosen_in_our_order_or_refused() {
    let venue = Venue::new();
    let context = venue.context(&ServerPolicy {
        alpn: vec!["h2", "http/1.1"],
        ..policy(ClientAuth::None)
    });
    let offering = |list: &'static [u8]| -> Shape {
        Box::new(move |context| context.set_alpn_protos(list).expect("a list"))
    };
    let facts = admitted(meet(&context, client(offering(b"\x08http/1.1\x02h2"))));
    assert_eq!(facts.alpn.as_deref(), Some("h2"));
    let facts = admitted(meet(&context, client(offering(b"\x08http/1.1"))));
    assert_eq!(facts.alpn.as_deref(), Some("http/1.1"));
    let facts = admitted(meet(&context, client(nothing())));
    assert_eq!(facts.alpn, None);
    let failure = refused(meet(&context, client(offering(b"\x0aacme-tls/1"))));
    assert_eq!(failure.code, "TLS.NO_COMMON_PROTOCOL");
}

/// Connects twice with one client context and, the second time, the first session.
fn resume(context: &SslContext, version: SslVersion, identity: Option<Issued>) -> Vec<Facts> {
    let kept: Arc<Mutex<Option<SslSession>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let mut builder = SslContext::builder(SslMethod::tls()).expect("a context");
    builder.set_verify(SslVerifyMode::NONE);
    up_to(version)(&mut builder);
    if let Some(identity) = identity {
        presenting(identity)(&mut builder);
    }
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    builder.set_new_session_callback(move |_, session| {
        *keep.lock().expect("no panic before") = Some(session);
    });
    let client_context = builder.build();
    (0..2)
        .map(|_| {
            let (client_context, kept) = (client_context.clone(), Arc::clone(&kept));
            let outcome = meet(context, move |address| {
                let mut ssl = Ssl::new(&client_context).expect("a connection");
                if let Some(session) = kept.lock().expect("no panic before").take() {
                    // SAFETY: the session was made by a connection of this same context.
                    unsafe { ssl.set_session(&session) }.expect("a session");
                }
                let socket = TcpStream::connect(address).expect("the door listens");
                let mut stream = SslStream::new(ssl, socket).expect("a stream");
                stream.connect().expect("a handshake");
                stream.write_all(b"hello").expect("bytes");
                let _ = stream.read(&mut [0; 64]);
            });
            admitted(outcome)
        })
        .collect()
}

#[test]
fn a_door_that_demands_certificates_never_resumes() {
    let venue = Venue::new();
    let context = venue.context(&venue.demanding());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let facts = resume(&context, version, Some(venue.encoder()));
        assert!(facts.iter().all(|facts| !facts.resumed), "{version:?}");
        assert!(
            facts.iter().all(|facts| facts.peer.is_some()),
            "{version:?}"
        );
    }
}

#[test]
fn a_resumption_is_a_fact_and_in_1_2_costs_forward_secrecy() {
    let venue = Venue::new();
    let context = venue.context(&policy(ClientAuth::None));
    for (version, keeps_secrecy) in [(SslVersion::TLS1_2, false), (SslVersion::TLS1_3, true)] {
        let facts = resume(&context, version, None);
        assert!(!facts[0].resumed && facts[0].forward_secrecy, "{version:?}");
        assert!(facts[1].resumed, "{version:?}");
        // Nobody showed a certificate in the second one.
        assert!(facts[0].own_sha256.is_some() && facts[1].own_sha256.is_none());
        assert_eq!(facts[1].forward_secrecy, keeps_secrecy, "{version:?}");
        assert_eq!(
            facts[1].own_signature, None,
            "nothing is signed in a resumption"
        );
    }
}

#[test]
fn an_unusable_trust_bundle_or_policy_is_refused() {
    let venue = Venue::new();
    let identity = venue.door.identity();
    let bundle = |pem: &[u8]| {
        policy(ClientAuth::Required {
            roots_pem: pem.to_vec(),
        })
    };
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in [b"".as_slice(), b"no PEM", broken] {
        let error =
            server::context(&bundle(pem), &identity, &Arc::default()).expect_err("a refusal");
        assert_eq!(error.code(), "TLS.UNREADABLE_CERTIFICATE");
    }
    let backwards = ServerPolicy {
        min_version: Version::V1_3,
        max_version: Version::V1_2,
        ..policy(ClientAuth::None)
    };
    let error = server::context(&backwards, &identity, &Arc::default()).expect_err("a refusal");
    assert_eq!(error.code(), "TLS.BAD_POLICY");
    let groups = ServerPolicy {
        groups: "X25519:nonsense".to_owned(),
        ..policy(ClientAuth::None)
    };
    let error = server::context(&groups, &identity, &Arc::default()).expect_err("a refusal");
    assert_eq!(error.code(), "TLS.BAD_POLICY");
}
