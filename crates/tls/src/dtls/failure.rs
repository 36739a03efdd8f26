//! From BoringSSL's error stack to one code and one sentence.

use boring::ssl::{Error, ErrorCode, SslRef};
use boring_sys as raw;

use super::proof;
use crate::alert::{alert_hint, alert_name};
use crate::{codes, reason, witness};

/// Why an association is over.
#[derive(Clone)]
pub(super) struct Failure {
    pub code: &'static str,
    pub detail: String,
}

impl Failure {
    pub fn new(code: &'static str, detail: String) -> Failure {
        Failure { code, detail }
    }
}

/// Judges the error that ended a handshake or an established association.
pub(super) fn of_handshake(error: &Error, ssl: &SslRef) -> Failure {
    if let Some(refusal) = proof::refusal(ssl) {
        return refusal.clone();
    }
    if error.code() == ErrorCode::ZERO_RETURN {
        return Failure::new(
            codes::DTLS_CLOSED,
            "the peer closed before the handshake completed".to_owned(),
        );
    }
    if let Some(alert) = reason::alert_received(error) {
        return of_alert(alert);
    }
    match reason::first(error) {
        Some(raw::SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) => Failure::new(
            codes::DTLS_NO_PEER_CERTIFICATE,
            "the DTLS client sent no certificate, so nothing proves who it is".to_owned(),
        ),
        Some(
            raw::SSL_R_UNSUPPORTED_PROTOCOL
            | raw::SSL_R_WRONG_VERSION_NUMBER
            | raw::SSL_R_UNKNOWN_PROTOCOL,
        ) => {
            let offered = witness::of(ssl).and_then(witness::Witness::offered_version);
            Failure::new(
                codes::DTLS_VERSION_REFUSED,
                match offered {
                    Some(version) if ssl.is_server() => format!(
                        "the peer offered at most {}",
                        witness::version_on_wire(version)
                    ),
                    _ => "the peer chose a DTLS version that this leg does not admit".to_owned(),
                },
            )
        }
        Some(raw::SSL_R_NO_SHARED_GROUP) => Failure::new(
            codes::DTLS_NO_COMMON_GROUP,
            "the peer shares no key exchange group with this leg's policy".to_owned(),
        ),
        Some(raw::SSL_R_WRONG_CURVE) => Failure::new(
            codes::DTLS_NO_COMMON_GROUP,
            "a key or certificate uses a curve that the group list does not admit".to_owned(),
        ),
        Some(raw::SSL_R_NO_SHARED_CIPHER) => Failure::new(
            codes::DTLS_NO_COMMON_CIPHER,
            "the peer shares no cipher suite with this leg's policy".to_owned(),
        ),
        Some(raw::SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS) => Failure::new(
            codes::DTLS_NO_COMMON_CIPHER,
            "the peer shares no signature algorithm with our certificate".to_owned(),
        ),
        _ => Failure::new(
            codes::DTLS_FAILED,
            format!("{error} in state {:?}", ssl.state_string_long()),
        ),
    }
}

/// A fatal alert of the peer. Before the handshake completes it is unauthenticated, which is one
/// reason for a leg to try once more.
fn of_alert(alert: u8) -> Failure {
    const PROTOCOL_VERSION: u8 = 70;
    let code = match alert {
        PROTOCOL_VERSION => codes::DTLS_VERSION_REFUSED,
        _ => codes::DTLS_PEER_ALERT,
    };
    let (name, hint) = (alert_name(alert), alert_hint(alert));
    Failure::new(code, format!("the peer sent the alert {name}: {hint}"))
}
