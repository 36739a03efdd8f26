//! Challenges of ACME at a public door (RFC 8737): met while they are open, and by nobody else.

mod kit;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use boring::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};
use kit::client::{get, Caller};
use kit::Front;
use sealcast_front::Limits;

const ACME: &[u8] = b"\x0aacme-tls/1";

/// A handshake as an authority makes it: it judges the certificate itself.
fn ask(
    address: SocketAddr,
    name: &str,
    alpn: &[u8],
    version: SslVersion,
) -> Option<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls()).expect("a connector");
    connector.set_verify(SslVerifyMode::NONE);
    connector.set_alpn_protos(alpn).expect("a list");
    connector.set_max_proto_version(Some(version)).expect("one");
    let socket = TcpStream::connect(address).expect("the door listens");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    connector.build().connect(name, socket).ok()
}

fn shown(stream: &SslStream<TcpStream>) -> Vec<u8> {
    let certificate = stream.ssl().peer_certificate().expect("a server shows one");
    certificate.to_der().expect("it can be written")
}

#[test]
fn an_open_challenge_is_met_by_its_name_and_the_connection_carries_nothing() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let front = Front::with_app(Limits::default());
        let public = front.https();
        let pair = front.ca.server("one.venue.example");
        let open = Some((&pair.chain[..], &pair.key[..]));
        front
            .set_challenge("public", "One.Venue.example", open)
            .expect("a public door");

        let mut answer = ask(public, "one.venue.EXAMPLE", ACME, version).expect("it is open");
        assert_eq!(
            answer.ssl().selected_alpn_protocol(),
            Some(&b"acme-tls/1"[..])
        );
        let expected = boring::x509::X509::from_pem(&pair.chain).expect("PEM");
        assert_eq!(
            shown(&answer),
            expected.to_der().expect("it can be written")
        );
        assert!(matches!(answer.read(&mut [0; 16]), Ok(0)), "it is closed");
        assert_eq!(front.counted("public", "ACME.CHALLENGE_ANSWERED"), 1);

        // Another name, or acme-tls/1 beside something else, is no such question.
        assert!(ask(public, "two.venue.example", ACME, version).is_none());
        let both = b"\x0aacme-tls/1\x08http/1.1";
        let other = ask(public, "one.venue.example", both, version).expect("HTTP is spoken");
        assert_eq!(other.ssl().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_ne!(shown(&other), expected.to_der().expect("it can be written"));
        // And ordinary clients see nothing of it.
        let mut visitor = Caller::new(&front.ca).only(version).call(public);
        assert_eq!(get(&mut visitor, "/echo").status, 200);

        front
            .set_challenge("public", "one.venue.example", None)
            .expect("a public door");
        assert!(ask(public, "one.venue.example", ACME, version).is_none());
        assert_eq!(front.counted("public", "ACME.CHALLENGE_ANSWERED"), 1);
    }
}

#[test]
fn a_challenge_outlives_a_swap_of_the_doors_certificate() {
    let front = Front::with_app(Limits::default());
    let public = front.https();
    let pair = front.ca.server("one.venue.example");
    let open = Some((&pair.chain[..], &pair.key[..]));
    front
        .set_challenge("public", "one.venue.example", open)
        .expect("a public door");
    let next = front.ca.server("localhost");
    front
        .swap("public", &next.chain, &next.key, None)
        .expect("a pair that fits");
    assert!(ask(public, "one.venue.example", ACME, SslVersion::TLS1_3).is_some());
}

#[test]
fn a_door_that_demands_certificates_answers_no_challenge() {
    let front = Front::with_app(Limits::default());
    front.secure();
    let pair = front.ca.server("one.venue.example");
    let open = Some((&pair.chain[..], &pair.key[..]));
    let refused = front.set_challenge("secure", "one.venue.example", open);
    assert_eq!(
        refused.expect_err("it has no place").code(),
        "FRONT.BAD_DOOR"
    );
    let refused = front.set_challenge("nowhere", "one.venue.example", open);
    assert_eq!(refused.expect_err("no door").code(), "FRONT.NO_SUCH_DOOR");
}
