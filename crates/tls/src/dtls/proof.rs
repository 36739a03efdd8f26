//! The fingerprint comparison, made inside the handshake (RFC 8122 §6.2, RFC 8827 §5.6.4).
//!
//! The expectation rides in the connection's ex-data, so one context serves every leg. Whether it
//! was met is set in one place, [`verify`], and read before any key is exported.

use std::sync::OnceLock;

use boring::ex_data::Index;
use boring::ssl::{Ssl, SslAlert, SslRef, SslVerifyError};

use crate::{Fingerprint, FingerprintHash};

struct Expectation {
    admissible: Vec<Fingerprint>,
    outcome: Outcome,
}

enum Outcome {
    NothingPresented,
    Mismatch { presented: String },
    Proved(Fingerprint),
}

fn index() -> Index<Ssl, Expectation> {
    static INDEX: OnceLock<Index<Ssl, Expectation>> = OnceLock::new();
    *INDEX.get_or_init(|| {
        Ssl::new_ex_index().expect("an ex-data index fails only when memory is exhausted")
    })
}

/// Tells the connection which certificates are admissible.
pub(super) fn expect(ssl: &mut SslRef, admissible: Vec<Fingerprint>) {
    ssl.set_ex_data(
        index(),
        Expectation {
            admissible,
            outcome: Outcome::NothingPresented,
        },
    );
}

/// The verification callback of every DTLS context.
pub(super) fn verify(ssl: &mut SslRef) -> Result<(), SslVerifyError> {
    const REFUSED: Result<(), SslVerifyError> =
        Err(SslVerifyError::Invalid(SslAlert::BAD_CERTIFICATE));
    let Some(certificate) = ssl.peer_certificate() else {
        return REFUSED;
    };
    let Some(expectation) = ssl.ex_data_mut(index()) else {
        return REFUSED;
    };
    let met = expectation
        .admissible
        .iter()
        .find(|fingerprint| fingerprint.matches(&certificate));
    if let Some(fingerprint) = met {
        expectation.outcome = Outcome::Proved(fingerprint.clone());
        return Ok(());
    }
    // Shown with the hash of the first admissible one, so that the two can be compared by eye.
    let hash = expectation
        .admissible
        .first()
        .map_or(FingerprintHash::Sha256, |fingerprint| fingerprint.hash);
    expectation.outcome = Outcome::Mismatch {
        presented: Fingerprint::of(&certificate, hash)
            .map_or_else(|error| error.to_string(), |print| print.to_string()),
    };
    REFUSED
}

/// The admissible fingerprint that the presented certificate met. Its key is proved by the
/// handshake's own signature, so this counts only once the handshake has completed.
pub(super) fn proved(ssl: &SslRef) -> Option<&Fingerprint> {
    match &ssl.ex_data(index())?.outcome {
        Outcome::Proved(fingerprint) => Some(fingerprint),
        Outcome::NothingPresented | Outcome::Mismatch { .. } => None,
    }
}

/// The sentence for a certificate that matched nothing; `None` if that is not what happened.
pub(super) fn mismatch(ssl: &SslRef) -> Option<String> {
    let expectation = ssl.ex_data(index())?;
    let Outcome::Mismatch { presented } = &expectation.outcome else {
        return None;
    };
    let admissible: Vec<String> = expectation
        .admissible
        .iter()
        .map(Fingerprint::to_string)
        .collect();
    Some(format!(
        "the peer presented {presented}; the signalling promised {}",
        admissible.join(" or ")
    ))
}
