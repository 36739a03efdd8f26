//! Why a TLS handshake failed: one code, one sentence, for events and metrics.
//!
//! The first entry of BoringSSL's error stack is the reason; the first bytes of the connection
//! tell foreign protocols apart, which BoringSSL does not.

use std::io;
use std::time::Duration;

use boring::ssl::{Error, ErrorCode, SslRef};
use boring::x509::{X509Ref, X509VerifyError};
use boring_sys as raw;

use super::CHAIN_BYTES;
use crate::alert::{alert_hint, alert_name};
use crate::foreign::{recognise, Speech};
use crate::{codes, reason, strength, witness, PeerCertificate};

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeFailure {
    /// A code from [`codes`](crate::codes).
    pub code: &'static str,
    /// The evidence, in a sentence.
    pub detail: String,
}

impl HandshakeFailure {
    fn new(code: &'static str, detail: impl Into<String>) -> HandshakeFailure {
        HandshakeFailure {
            code,
            detail: detail.into(),
        }
    }

    /// A handshake that the caller gave up after this long.
    pub fn timed_out(after: Duration) -> HandshakeFailure {
        let seconds = after.as_secs_f64();
        HandshakeFailure::new(
            codes::TLS_TIMEOUT,
            format!("the handshake did not complete in {seconds:.1} s"),
        )
    }

    /// The client showed more than [`CHAIN_BYTES`] of certificates.
    pub(super) fn chain_too_large() -> HandshakeFailure {
        HandshakeFailure::new(
            codes::TLS_CHAIN_TOO_LARGE,
            format!(
                "the client's certificates take more than the {} kB that a door reads",
                CHAIN_BYTES / 1024
            ),
        )
    }

    /// What the engine says of a client's chain.
    pub(super) fn of_verdict(verdict: X509VerifyError, leaf: Option<&X509Ref>) -> HandshakeFailure {
        let (code, sentence) = match verdict {
            X509VerifyError::CERT_HAS_EXPIRED => (
                codes::TLS_CERTIFICATE_EXPIRED,
                "a certificate of the client's chain has expired",
            ),
            X509VerifyError::CERT_NOT_YET_VALID => (
                codes::TLS_CERTIFICATE_NOT_YET_VALID,
                "a certificate of the client's chain is not valid yet",
            ),
            X509VerifyError::APPLICATION_VERIFICATION => {
                (codes::TLS_CERTIFICATE_REFUSED, strength::BOUND)
            }
            X509VerifyError::CERT_REVOKED => (
                codes::TLS_CERTIFICATE_REVOKED,
                "a certificate of the client's chain has been revoked",
            ),
            X509VerifyError::INVALID_PURPOSE => (
                codes::TLS_WRONG_USAGE,
                "the client's certificate is not one for clients (extended key usage)",
            ),
            X509VerifyError::UNABLE_TO_GET_ISSUER_CERT
            | X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | X509VerifyError::UNABLE_TO_VERIFY_LEAF_SIGNATURE
            | X509VerifyError::DEPTH_ZERO_SELF_SIGNED_CERT
            | X509VerifyError::SELF_SIGNED_CERT_IN_CHAIN
            | X509VerifyError::CERT_SIGNATURE_FAILURE
            | X509VerifyError::CERT_UNTRUSTED => (
                codes::TLS_UNKNOWN_CA,
                "the client's certificate was not issued by an authority that this door trusts",
            ),
            _ => (
                codes::TLS_CERTIFICATE_REFUSED,
                "the client's certificate chain breaks a rule",
            ),
        };
        // Names of an unproved certificate: for the operator to find the machine, not to believe.
        let claims = leaf
            .and_then(|certificate| PeerCertificate::read(certificate).ok())
            .map_or_else(String::new, |peer| {
                format!(
                    "; it calls itself {:?}, issued by {:?}, serial {}",
                    peer.subject, peer.issuer, peer.serial
                )
            });
        HandshakeFailure::new(code, format!("{sentence} ({verdict}){claims}"))
    }
}

/// Judges the error that ended a handshake. `first_bytes` are the first bytes that the client
/// sent, up to [`FIRST_BYTES`](super::FIRST_BYTES) of them; empty if it sent none. The engine reads
/// only five before it refuses another protocol: a caller who then reads on gets a better name.
pub fn classify(error: &Error, ssl: &SslRef, first_bytes: &[u8]) -> HandshakeFailure {
    let offered = witness::of(ssl).and_then(witness::Witness::offered_version);
    if offered.is_none() && !first_bytes.is_empty() {
        if let Some(failure) = of_foreign(first_bytes) {
            return failure;
        }
    }
    if let Some(alert) = reason::alert_received(error) {
        return of_alert(alert);
    }
    let Some(reason) = reason::first(error) else {
        return of_transport(error, offered.is_some(), first_bytes);
    };
    match reason {
        raw::SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE => HandshakeFailure::new(
            codes::TLS_NO_CLIENT_CERTIFICATE,
            "the client sent no certificate",
        ),
        raw::SSL_R_CERTIFICATE_VERIFY_FAILED => of_verification(ssl),
        // After a ClientHello nothing else that a client sends can be so long.
        raw::SSL_R_EXCESSIVE_MESSAGE_SIZE if offered.is_some() => {
            HandshakeFailure::chain_too_large()
        }
        raw::SSL_R_UNSUPPORTED_PROTOCOL | raw::SSL_R_UNKNOWN_PROTOCOL => HandshakeFailure::new(
            codes::TLS_VERSION_REFUSED,
            match offered {
                Some(version) => format!(
                    "the client offered at most {}",
                    witness::version_on_wire(version)
                ),
                None => "the client offered no version that this door admits".to_owned(),
            },
        ),
        raw::SSL_R_NO_SHARED_GROUP => HandshakeFailure::new(
            codes::TLS_NO_COMMON_GROUP,
            "the client shares no key exchange group with this door's policy",
        ),
        raw::SSL_R_WRONG_CURVE => HandshakeFailure::new(
            codes::TLS_NO_COMMON_GROUP,
            "the client offers no group, or no cipher suite, that this door's key can be used with",
        ),
        raw::SSL_R_NO_SHARED_CIPHER => HandshakeFailure::new(
            codes::TLS_NO_COMMON_CIPHER,
            "the client shares no cipher suite with this door's policy",
        ),
        raw::SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS => HandshakeFailure::new(
            codes::TLS_NO_COMMON_CIPHER,
            "the client shares no signature algorithm with this door's certificate",
        ),
        raw::SSL_R_NO_APPLICATION_PROTOCOL => HandshakeFailure::new(
            codes::TLS_NO_COMMON_PROTOCOL,
            "the client offered application protocols of which this door speaks none",
        ),
        raw::SSL_R_HTTP_REQUEST | raw::SSL_R_HTTPS_PROXY_REQUEST => plain_http(),
        raw::SSL_R_BAD_PACKET_LENGTH | raw::SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC => {
            of_unreadable_record(error)
        }
        _ => HandshakeFailure::new(
            codes::TLS_FAILED,
            format!("{error} in state {:?}", ssl.state_string_long()),
        ),
    }
}

/// A fatal alert that stands in clear at the end of what was read, as `classify` would tell it.
///
/// OpenSSL clients that refuse our certificate in TLS 1.3 send their alert before they encrypt,
/// where the engine expects an encrypted record and reports an undecipherable one. A caller that
/// keeps the last bytes read can ask here first. An alert in clear is unauthenticated evidence.
pub fn alert_in_clear(last_bytes: &[u8]) -> Option<HandshakeFailure> {
    const RECORD_LEN: usize = 7;
    let start = last_bytes.len().checked_sub(RECORD_LEN)?;
    match last_bytes[start..] {
        // Type 21, version 3.x, length 2, level fatal, description (RFC 8446 §5.1 and §6).
        [21, 3, _, 0, 2, 2, number] => Some(of_alert(number)),
        _ => None,
    }
}

fn plain_http() -> HandshakeFailure {
    HandshakeFailure::new(
        codes::TLS_PLAIN_HTTP,
        "the client sent plain HTTP; this port speaks HTTPS only",
    )
}

fn of_foreign(first_bytes: &[u8]) -> Option<HandshakeFailure> {
    match recognise(first_bytes) {
        Speech::Tls => None,
        Speech::Http => Some(plain_http()),
        Speech::Other(name) => Some(HandshakeFailure::new(
            codes::TLS_NOT_TLS,
            format!("the client sent {name} instead of TLS"),
        )),
        Speech::Unknown => Some(HandshakeFailure::new(
            codes::TLS_NOT_TLS,
            format!(
                "the client sent no TLS; its first bytes are {}",
                first_bytes
                    .iter()
                    .take(8)
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        )),
    }
}

fn of_alert(number: u8) -> HandshakeFailure {
    const PROTOCOL_VERSION: u8 = 70;
    let code = match number {
        PROTOCOL_VERSION => codes::TLS_VERSION_REFUSED,
        _ => codes::TLS_PEER_ALERT,
    };
    let (name, hint) = (alert_name(number), alert_hint(number));
    HandshakeFailure::new(code, format!("the client sent the alert {name}: {hint}"))
}

/// Errors without a reason of the engine: the connection ended.
fn of_transport(error: &Error, had_hello: bool, first_bytes: &[u8]) -> HandshakeFailure {
    if let Some(io_error) = error.io_error() {
        if io_error.kind() == io::ErrorKind::TimedOut {
            return HandshakeFailure::new(
                codes::TLS_TIMEOUT,
                "the handshake did not complete in time",
            );
        }
    }
    if error.code() == ErrorCode::SSL {
        return HandshakeFailure::new(codes::TLS_FAILED, error.to_string());
    }
    let when = match (had_hello, first_bytes.is_empty()) {
        (true, _) => "after its ClientHello, which is what clients do that do not trust us",
        (false, true) => "before it sent anything",
        (false, false) => "in the middle of its ClientHello",
    };
    HandshakeFailure::new(
        codes::TLS_PEER_CLOSED,
        format!("the client closed the connection {when}"),
    )
}

/// See [`alert_in_clear`]: a short undecipherable record during a handshake is most often an
/// alert about our certificate.
fn of_unreadable_record(error: &Error) -> HandshakeFailure {
    let is_short = error
        .ssl_error()
        .is_some_and(|stack| reason::all(stack).any(|r| r == raw::SSL_R_BAD_PACKET_LENGTH));
    if is_short {
        HandshakeFailure::new(
            codes::TLS_PEER_ALERT,
            "the client broke off with an alert in clear, most likely because it does not trust \
             our certificate",
        )
    } else {
        HandshakeFailure::new(
            codes::TLS_FAILED,
            "a record of the client could not be deciphered: it was altered on the way, or the \
             client is broken",
        )
    }
}

fn of_verification(ssl: &SslRef) -> HandshakeFailure {
    let Err(verdict) = ssl.verify_result() else {
        return HandshakeFailure::new(
            codes::TLS_CERTIFICATE_REFUSED,
            "the client's certificate was refused",
        );
    };
    HandshakeFailure::of_verdict(verdict, ssl.peer_certificate().as_deref())
}
