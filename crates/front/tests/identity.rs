//! Doors that require a client certificate.

mod kit;

use std::io::{Read, Write};

use boring::ssl::SslVersion;
use kit::ca::Usage;
use kit::client::{get, Caller};
use kit::{spec, Ca, Front};
use sealcast_front::Limits;

#[test]
fn a_proved_client_is_announced_with_its_names_and_its_requests_carry_its_connection() {
    let front = Front::with_app(Limits::default());
    let address = front.door(spec("secure", "https", "required"));
    for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
        let caller = Caller::new(&front.ca)
            .presenting(front.ca.client("encoder/venue-1"))
            .only(version);
        let mut client = caller.call(address);
        let echo = get(&mut client, "/echo").json().to_string();
        let (id, facts) = front.opened();
        assert!(
            echo.contains(&format!(r#"["x-sealcast-connection","{id}"]"#)),
            "{echo}"
        );
        let peer = facts.peer.as_ref().expect("a certificate was shown");
        assert_eq!(peer.san_uris, ["spiffe://venue.example/encoder/venue-1"]);
        assert_eq!(facts.protocol, "TLS");
        assert!(facts.forward_secrecy);
        assert_eq!(front.facts(id).expect("open").facts, facts);
        client.shutdown().expect("a close_notify");
        drop(client);
        assert_eq!(front.closed(id).0, "TLS.PEER_CLOSED");
    }
}

#[test]
fn without_a_fitting_certificate_nobody_gets_in_and_each_reason_has_its_code() {
    let front = Front::alone(Limits::default());
    let stranger = Ca::new("some other authority");
    for (name, kind) in [("secure", "https"), ("ingest-ts", "tls_ingest")] {
        let address = front.door(spec(name, kind, "required"));
        for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
            let caller = || Caller::new(&front.ca).only(version);
            let cases = [
                ("TLS.NO_CLIENT_CERTIFICATE", caller()),
                (
                    "TLS.UNKNOWN_CA",
                    caller().presenting(stranger.client("encoder")),
                ),
                (
                    "TLS.CERTIFICATE_EXPIRED",
                    caller().presenting(front.ca.expired_client("encoder")),
                ),
                (
                    "TLS.WRONG_USAGE",
                    caller().presenting(front.ca.server("encoder")),
                ),
                (
                    "TLS.CERTIFICATE_NOT_YET_VALID",
                    caller().presenting(front.ca.issue("encoder", Usage::Client, 3600, 7200)),
                ),
            ];
            for (expected, caller) in cases {
                let before = front.counted(name, expected);
                assert!(caller.is_refused(address), "{expected} got in");
                let (code, detail) = front.failed();
                assert_eq!(code, expected, "{detail}");
                assert!(!detail.is_empty(), "{expected} has no evidence");
                assert_eq!(front.counted(name, expected), before + 1);
            }
        }
    }
    let opened = front.events.borrow();
    assert!(opened.is_empty(), "somebody got in: {opened:?}");
}

#[test]
fn a_refused_client_learns_the_reason_from_the_alert() {
    let front = Front::alone(Limits::default());
    let address = front.door(spec("secure", "https", "required"));
    let mut client = Caller::new(&front.ca)
        .only(SslVersion::TLS1_3)
        .call(address);
    // Bytes that are never read must not turn the alert into a reset.
    let _ = client.write_all(&vec![0; 200_000]);
    let error = client.read(&mut [0; 16]).expect_err("the door is shut");
    assert!(
        error
            .to_string()
            .to_uppercase()
            .contains("CERTIFICATE_REQUIRED"),
        "{error}"
    );
}

#[test]
fn a_peer_that_rejects_our_certificate_is_understood() {
    let front = Front::alone(Limits::default());
    let address = front.https();
    let stranger = Ca::new("some other authority");
    for version in [SslVersion::TLS1_3, SslVersion::TLS1_2] {
        assert!(Caller::new(&stranger)
            .only(version)
            .try_call(address)
            .is_err());
        let (code, detail) = front.failed();
        assert_eq!(code, "TLS.PEER_ALERT", "{detail}");
        assert!(
            detail.contains("unknown_ca") || detail.contains("certificate"),
            "{detail}"
        );
    }
}

#[test]
fn versions_outside_the_doors_policy_are_refused() {
    let front = Front::alone(Limits::default());
    let lax = front.https();
    let mut strict = spec("strict", "https", "none");
    strict.min_version = "1.3".to_owned();
    let strict = front.door(strict);
    for (address, version) in [(lax, SslVersion::TLS1_1), (strict, SslVersion::TLS1_2)] {
        assert!(Caller::new(&front.ca)
            .only(version)
            .try_call(address)
            .is_err());
        assert_eq!(front.failed().0, "TLS.VERSION_REFUSED");
    }
}
