//! Why a connection that we opened is over: one code, one sentence, the alerts either way.

use boring::ssl::{Error, ErrorCode, SslRef};
use boring_sys as raw;

use crate::alert::{alert_hint, alert_name};
use crate::foreign::{recognise, Speech};
use crate::trust::{Distrust, Fault};
use crate::{codes, reason, witness};

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A code from [`codes`].
    pub code: &'static str,
    /// The evidence, in a sentence.
    pub detail: String,
    /// The alert that we sent, by its registered name.
    pub alert_sent: Option<&'static str>,
    /// The alert that the server sent.
    pub alert_received: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Failure {
        Failure {
            code,
            detail: detail.into(),
            alert_sent: None,
            alert_received: None,
        }
    }

    pub(super) fn of_server(distrust: &Distrust) -> Failure {
        let code = match distrust.fault {
            Fault::UnknownCa => codes::TLS_SERVER_UNKNOWN_CA,
            Fault::Expired => codes::TLS_SERVER_EXPIRED,
            Fault::NotYetValid => codes::TLS_SERVER_NOT_YET_VALID,
            Fault::WrongUsage => codes::TLS_SERVER_WRONG_USAGE,
            Fault::Name => codes::TLS_SERVER_NAME_MISMATCH,
            Fault::Rule => codes::TLS_SERVER_CERTIFICATE_REFUSED,
        };
        Failure::new(code, distrust.detail.clone())
    }

    /// Adds the alerts that passed.
    pub(super) fn with_alerts(self, ssl: &SslRef) -> Failure {
        let seen = witness::of(ssl);
        Failure {
            alert_sent: seen.and_then(witness::Witness::alert_sent).map(alert_name),
            alert_received: seen
                .and_then(witness::Witness::alert_received)
                .map(alert_name),
            ..self
        }
    }
}

/// Judges the error that ended a handshake or an established connection. `first` is how the
/// server's bytes began; `is_open` whether the handshake was over; `shows_certificate` whether we
/// have one to show.
pub(super) fn judge(
    error: &Error,
    first: &[u8],
    is_open: bool,
    shows_certificate: bool,
) -> Failure {
    if !is_open && !first.is_empty() {
        if let Some(failure) = of_foreign(first) {
            return failure;
        }
    }
    if let Some(alert) = reason::alert_received(error) {
        return of_alert(alert, shows_certificate);
    }
    let Some(reason) = reason::first(error) else {
        return of_end(error, is_open);
    };
    match reason {
        raw::SSL_R_UNSUPPORTED_PROTOCOL
        | raw::SSL_R_UNKNOWN_PROTOCOL
        | raw::SSL_R_WRONG_VERSION_NUMBER
        | raw::SSL_R_TLS13_DOWNGRADE => Failure::new(
            codes::TLS_SERVER_VERSION_REFUSED,
            "the server chose a TLS version that is not admitted here",
        ),
        _ => Failure::new(codes::TLS_SERVER_FAILED, error.to_string()),
    }
}

fn of_foreign(first: &[u8]) -> Option<Failure> {
    match recognise(first) {
        Speech::Tls => None,
        Speech::Http => Some(Failure::new(
            codes::TLS_SERVER_PLAIN_HTTP,
            "the server answered in plain HTTP; this is not its TLS port",
        )),
        Speech::Other(name) => Some(Failure::new(
            codes::TLS_SERVER_NOT_TLS,
            format!("the server answered with {name} instead of TLS"),
        )),
        Speech::Unknown => Some(Failure::new(
            codes::TLS_SERVER_NOT_TLS,
            format!(
                "the server's answer is no TLS; its first bytes are {}",
                first
                    .iter()
                    .take(8)
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        )),
    }
}

/// What a server's alert means for us (RFC 8446 §6.2).
fn of_alert(number: u8, shows_certificate: bool) -> Failure {
    const HANDSHAKE_FAILURE: u8 = 40;
    let name = alert_name(number);
    let (code, hint) = match number {
        44 => (codes::TLS_REFUSED_AS_REVOKED, alert_hint(number)),
        45 => (codes::TLS_REFUSED_AS_EXPIRED, alert_hint(number)),
        48 => (codes::TLS_REFUSED_AS_UNKNOWN, alert_hint(number)),
        42 | 43 | 46 | 49 => (codes::TLS_REFUSED_CERTIFICATE, alert_hint(number)),
        116 => (codes::TLS_CERTIFICATE_REQUIRED, alert_hint(number)),
        70 | 86 => (codes::TLS_SERVER_VERSION_REFUSED, alert_hint(number)),
        // TLS 1.2 has no alert of its own for a certificate that is missing (RFC 5246 §7.4.6).
        HANDSHAKE_FAILURE if !shows_certificate => (
            codes::TLS_SERVER_ALERT,
            "the server found nothing in our offer that it accepts, or demands a certificate",
        ),
        _ => (codes::TLS_SERVER_ALERT, alert_hint(number)),
    };
    Failure::new(code, format!("the server sent the alert {name}: {hint}"))
}

/// Errors without a reason of the engine: the bytes ended.
fn of_end(error: &Error, is_open: bool) -> Failure {
    if error.code() == ErrorCode::SSL {
        return Failure::new(codes::TLS_SERVER_FAILED, error.to_string());
    }
    match is_open {
        true => Failure::new(
            codes::TLS_SERVER_TRUNCATED,
            "the connection ended without a close_notify, so the end may be missing",
        ),
        false => Failure::new(
            codes::TLS_SERVER_CLOSED,
            "the server closed the connection during the handshake",
        ),
    }
}
