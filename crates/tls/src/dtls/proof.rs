//! The judgement on the peer's certificate, made inside the handshake (RFC 8122 §6.2, RFC 8827
//! §5.6.4, RFC 5280 §6).
//!
//! The expectation rides in the connection's ex-data, so one context serves every leg. Whether it
//! was met is set in one place, [`verify`], and read before any key is exported.

use std::sync::{Arc, OnceLock};

use boring::ex_data::Index;
use boring::ssl::{Ssl, SslAlert, SslRef, SslVerifyError};
use boring::x509::X509Ref;

use super::expected::{Expected, Refusal};
use super::failure::Failure;
use crate::ffi::CertificatePurpose;
use crate::trust::Authority;
use crate::{Fingerprint, FingerprintHash};

/// By what the peer proved itself.
#[derive(Clone, Debug)]
pub enum Proved {
    /// This one of the admissible fingerprints.
    Fingerprint(Fingerprint),
    /// A chain to this authority, and the name that it asks for.
    Authority(Arc<Authority>),
}

struct Expectation {
    expected: Expected,
    outcome: Outcome,
}

enum Outcome {
    NothingPresented,
    Refused(Failure),
    Proved(Proved),
}

fn index() -> Index<Ssl, Expectation> {
    static INDEX: OnceLock<Index<Ssl, Expectation>> = OnceLock::new();
    *INDEX.get_or_init(|| {
        Ssl::new_ex_index().expect("an ex-data index fails only when memory is exhausted")
    })
}

/// Tells the connection which certificates are admissible.
pub(super) fn expect(ssl: &mut SslRef, expected: Expected) {
    ssl.set_ex_data(
        index(),
        Expectation {
            expected,
            outcome: Outcome::NothingPresented,
        },
    );
}

/// The verification callback of every DTLS context.
pub(super) fn verify(ssl: &mut SslRef) -> Result<(), SslVerifyError> {
    const NOTHING_TO_JUDGE: Result<(), SslVerifyError> =
        Err(SslVerifyError::Invalid(SslAlert::BAD_CERTIFICATE));
    let Some(certificate) = ssl.peer_certificate() else {
        return NOTHING_TO_JUDGE;
    };
    let Some(expectation) = ssl.ex_data(index()) else {
        return NOTHING_TO_JUDGE;
    };
    let judgement = match &expectation.expected {
        Expected::Fingerprints(admissible) => judge_fingerprint(admissible, &certificate),
        Expected::Authority(authority) => {
            let purpose = match ssl.is_server() {
                true => CertificatePurpose::Client,
                false => CertificatePurpose::Server,
            };
            authority
                .judge(&certificate, ssl.peer_cert_chain(), purpose)
                .map(|()| Proved::Authority(Arc::clone(authority)))
                .map_err(Refusal::from)
        }
    };
    let (outcome, answer) = match judgement {
        Ok(proved) => (Outcome::Proved(proved), Ok(())),
        Err(Refusal { failure, alert }) => (
            Outcome::Refused(failure),
            Err(SslVerifyError::Invalid(alert)),
        ),
    };
    let Some(expectation) = ssl.ex_data_mut(index()) else {
        return NOTHING_TO_JUDGE;
    };
    expectation.outcome = outcome;
    answer
}

fn judge_fingerprint(admissible: &[Fingerprint], certificate: &X509Ref) -> Result<Proved, Refusal> {
    let met = admissible
        .iter()
        .find(|fingerprint| fingerprint.matches(certificate));
    if let Some(fingerprint) = met {
        return Ok(Proved::Fingerprint(fingerprint.clone()));
    }
    // Shown with the hash of the first admissible one, so that the two can be compared by eye.
    let hash = admissible
        .first()
        .map_or(FingerprintHash::Sha256, |fingerprint| fingerprint.hash);
    let presented = Fingerprint::of(certificate, hash)
        .map_or_else(|error| error.to_string(), |print| print.to_string());
    let promised: Vec<String> = admissible.iter().map(Fingerprint::to_string).collect();
    Err(Refusal::of_fingerprint(&presented, &promised.join(" or ")))
}

/// What the presented certificate met. Its key is proved by the handshake's own signature, so this
/// counts only once the handshake has completed.
pub(super) fn proved(ssl: &SslRef) -> Option<&Proved> {
    match &ssl.ex_data(index())?.outcome {
        Outcome::Proved(proved) => Some(proved),
        Outcome::NothingPresented | Outcome::Refused(_) => None,
    }
}

/// Why the presented certificate was refused; `None` if that is not what happened.
pub(super) fn refusal(ssl: &SslRef) -> Option<&Failure> {
    match &ssl.ex_data(index())?.outcome {
        Outcome::Refused(failure) => Some(failure),
        Outcome::NothingPresented | Outcome::Proved(_) => None,
    }
}
