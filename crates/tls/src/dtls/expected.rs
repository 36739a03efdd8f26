//! How the peer must prove who it is: by a promised fingerprint, or by an authority's word.

use std::sync::Arc;

use boring::error::ErrorStack;
use boring::ssl::SslAlert;
use boring::stack::Stack;
use boring::x509::X509;

use super::config::Role;
use super::failure::Failure;
use crate::ffi::CertificatePurpose;
use crate::trust::{Authority, Distrust, Fault};
use crate::{codes, Fingerprint};

/// What the presented certificate is held against.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The certificate must have one of these fingerprints (RFC 8122 §6.2); nothing else about it
    /// counts.
    Fingerprints(Vec<Fingerprint>),
    /// The certificate must have been issued below one of these roots.
    Authority(Arc<Authority>),
}

impl From<Vec<Fingerprint>> for Expected {
    fn from(fingerprints: Vec<Fingerprint>) -> Expected {
        Expected::Fingerprints(fingerprints)
    }
}

/// Why a certificate is not admitted, and the alert that says so to the peer.
pub(super) struct Refusal {
    pub failure: Failure,
    pub alert: SslAlert,
}

/// Judges DER certificates, the leaf first, outside a handshake, as a DTLS endpoint would judge a
/// peer in `role` that presents them: the same engine, the same questions. What a handshake asks
/// besides (possession of the key, which algorithms sign, how long a chain is on the wire) nobody
/// asked here.
///
/// # Errors
/// The code and the sentence of the refusal.
pub fn judge_der(
    authority: &Authority,
    chain: &[&[u8]],
    role: Role,
) -> Result<(), (&'static str, String)> {
    let broken = |why: String| (codes::DTLS_CERTIFICATE_REFUSED, why);
    let unreadable =
        |stack: ErrorStack| broken(format!("the peer's certificate cannot be judged ({stack})"));
    let Some((leaf, rest)) = chain.split_first() else {
        return Err((
            codes::DTLS_NO_PEER_CERTIFICATE,
            "the chain is empty".to_owned(),
        ));
    };
    let read = |der: &[u8]| match X509::from_der(der).map_err(unreadable)? {
        // The parser stops at the certificate's end; a handshake does not.
        parsed if parsed.to_der().is_ok_and(|read| read.len() == der.len()) => Ok(parsed),
        _ => Err(broken("octets follow a certificate's end".to_owned())),
    };
    let leaf = read(leaf)?;
    let mut presented = Stack::new().map_err(unreadable)?;
    for certificate in rest {
        presented.push(read(certificate)?).map_err(unreadable)?;
    }
    let purpose = match role {
        Role::Client => CertificatePurpose::Client,
        Role::Server => CertificatePurpose::Server,
    };
    authority
        .judge(&leaf, Some(&presented), purpose)
        .map_err(|distrust| {
            let Refusal { failure, .. } = distrust.into();
            (failure.code, failure.detail)
        })
}

impl Refusal {
    /// A certificate that has none of the promised fingerprints.
    pub fn of_fingerprint(presented: &str, promised: &str) -> Refusal {
        let detail = format!("the peer presented {presented}; the signalling promised {promised}");
        Refusal {
            failure: Failure::new(codes::DTLS_FINGERPRINT_MISMATCH, detail),
            alert: SslAlert::BAD_CERTIFICATE,
        }
    }
}

impl From<Distrust> for Refusal {
    fn from(distrust: Distrust) -> Refusal {
        let code = match distrust.fault {
            Fault::UnknownCa => codes::DTLS_UNKNOWN_CA,
            Fault::Expired => codes::DTLS_CERTIFICATE_EXPIRED,
            Fault::NotYetValid => codes::DTLS_CERTIFICATE_NOT_YET_VALID,
            Fault::WrongUsage => codes::DTLS_WRONG_USAGE,
            Fault::Name => codes::DTLS_NAME_MISMATCH,
            Fault::Rule => codes::DTLS_CERTIFICATE_REFUSED,
        };
        Refusal {
            failure: Failure::new(code, distrust.detail),
            alert: distrust.alert,
        }
    }
}
