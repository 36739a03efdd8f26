//! How the peer must prove who it is: by a promised fingerprint, or by an authority's word.

use std::fmt;
use std::sync::Arc;

use boring::error::ErrorStack;
use boring::ssl::SslAlert;
use boring::stack::{Stack, StackRef};
use boring::x509::store::{X509Store, X509StoreBuilder};
use boring::x509::{X509Ref, X509StoreContext, X509VerifyError, X509};

use super::failure::Failure;
use crate::ffi::{self, CertificatePurpose};
use crate::{codes, identity, Fingerprint, PeerCertificate, TlsError};

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

/// The name that a certificate must carry, as a subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A URI, compared octet by octet, such as a SPIFFE ID.
    Uri(String),
    /// A DNS name, compared as RFC 6125 §6.4 says; one wildcard label counts.
    Dns(String),
}

impl PeerName {
    /// The name alone.
    pub fn value(&self) -> &str {
        match self {
            PeerName::Uri(name) | PeerName::Dns(name) => name,
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Uri(name) => write!(f, "URI {name}"),
            PeerName::Dns(name) => write!(f, "DNS name {name}"),
        }
    }
}

/// A trust bundle, and the name that a certificate issued below it must carry.
///
/// Chains are judged by RFC 5280 §6 as BoringSSL does it: signatures, dates by the system's clock,
/// constraints, and a usage that fits the peer's role.
pub struct Authority {
    store: X509Store,
    name: Option<PeerName>,
}

impl Authority {
    /// Takes the PEM certificates of the roots.
    ///
    /// # Errors
    /// `TLS.UNREADABLE_CERTIFICATE` if it holds none, `TLS.BAD_POLICY` for an empty name.
    pub fn from_pem(roots_pem: &[u8], name: Option<PeerName>) -> Result<Authority, TlsError> {
        if let Some(PeerName::Uri(text) | PeerName::Dns(text)) = &name {
            // BoringSSL takes an empty host for none, and then any name would do.
            if text.is_empty() || text.contains('\0') {
                return Err(TlsError::BadPolicy(
                    "the expected name of the peer is empty or has a zero octet".to_owned(),
                ));
            }
        }
        let roots = identity::read_certificates(roots_pem)?;
        if roots.is_empty() {
            return Err(TlsError::UnreadableCertificate(
                "the trust bundle holds no CERTIFICATE block".to_owned(),
            ));
        }
        let engine = TlsError::engine("make a trust store");
        let mut store = X509StoreBuilder::new().map_err(&engine)?;
        for root in roots {
            store.add_cert(&root).map_err(&engine)?;
        }
        Ok(Authority {
            store: store.build(),
            name,
        })
    }

    /// The name that is asked for.
    pub fn name(&self) -> Option<&PeerName> {
        self.name.as_ref()
    }

    /// Judges a presented chain; `purpose` is what the peer uses its certificate for.
    pub(super) fn judge(
        &self,
        leaf: &X509Ref,
        presented: Option<&StackRef<X509>>,
        purpose: CertificatePurpose,
    ) -> Result<(), Refusal> {
        match self.verdict(leaf, presented, purpose) {
            Ok(Ok(())) => {}
            Ok(Err(verdict)) => return Err(Refusal::of_verdict(verdict, leaf, purpose)),
            Err(stack) => return Err(Refusal::unreadable(&stack)),
        }
        // The engine has no check for URIs; DNS names it judged with the chain.
        match &self.name {
            Some(PeerName::Uri(uri)) if !has_uri(leaf, uri) => Err(Refusal::of_name(
                &PeerName::Uri(uri.clone()),
                &claims_of(leaf),
            )),
            _ => Ok(()),
        }
    }

    fn verdict(
        &self,
        leaf: &X509Ref,
        presented: Option<&StackRef<X509>>,
        purpose: CertificatePurpose,
    ) -> Result<Result<(), X509VerifyError>, ErrorStack> {
        let nothing = Stack::new()?;
        let presented = presented.unwrap_or(&nothing);
        X509StoreContext::new()?.init(&self.store, leaf, presented, |context| {
            ffi::set_certificate_purpose(context, purpose)?;
            if let Some(PeerName::Dns(name)) = &self.name {
                context.verify_param_mut().set_host(name)?;
            }
            let holds = context.verify_cert()?;
            Ok(match context.verify_result() {
                Err(verdict) => Err(verdict),
                // Unreachable: the engine names its reason whenever a chain does not hold.
                Ok(()) if !holds => Err(X509VerifyError::UNSPECIFIED),
                Ok(()) => Ok(()),
            })
        })
    }
}

/// Shows the expected name only.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a certificate is not admitted, and the alert that says so to the peer.
pub(super) struct Refusal {
    pub failure: Failure,
    pub alert: SslAlert,
}

impl Refusal {
    fn new(code: &'static str, alert: SslAlert, detail: String) -> Refusal {
        Refusal {
            failure: Failure::new(code, detail),
            alert,
        }
    }

    /// A certificate that has none of the promised fingerprints.
    pub fn of_fingerprint(presented: &str, promised: &str) -> Refusal {
        Refusal::new(
            codes::DTLS_FINGERPRINT_MISMATCH,
            SslAlert::BAD_CERTIFICATE,
            format!("the peer presented {presented}; the signalling promised {promised}"),
        )
    }

    fn of_name(expected: &PeerName, claims: &str) -> Refusal {
        Refusal::new(
            codes::DTLS_NAME_MISMATCH,
            SslAlert::BAD_CERTIFICATE,
            format!("the peer's certificate does not carry the {expected}{claims}"),
        )
    }

    fn unreadable(stack: &ErrorStack) -> Refusal {
        Refusal::new(
            codes::DTLS_CERTIFICATE_REFUSED,
            SslAlert::BAD_CERTIFICATE,
            format!("the peer's certificate cannot be judged ({stack})"),
        )
    }

    /// The alerts are those of RFC 8446 §6.2.
    fn of_verdict(
        verdict: X509VerifyError,
        leaf: &X509Ref,
        purpose: CertificatePurpose,
    ) -> Refusal {
        let (code, alert, sentence) = match verdict {
            X509VerifyError::CERT_HAS_EXPIRED => (
                codes::DTLS_CERTIFICATE_EXPIRED,
                SslAlert::CERTIFICATE_EXPIRED,
                "a certificate of the peer's chain has expired".to_owned(),
            ),
            X509VerifyError::CERT_NOT_YET_VALID => (
                codes::DTLS_CERTIFICATE_NOT_YET_VALID,
                SslAlert::CERTIFICATE_EXPIRED,
                "a certificate of the peer's chain is not valid yet".to_owned(),
            ),
            X509VerifyError::INVALID_PURPOSE => (
                codes::DTLS_WRONG_USAGE,
                SslAlert::UNSUPPORTED_CERTIFICATE,
                format!("the peer's certificate is not one for {purpose} (extended key usage)"),
            ),
            X509VerifyError::HOSTNAME_MISMATCH => (
                codes::DTLS_NAME_MISMATCH,
                SslAlert::BAD_CERTIFICATE,
                "the peer's certificate does not carry the expected DNS name".to_owned(),
            ),
            X509VerifyError::UNABLE_TO_GET_ISSUER_CERT
            | X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | X509VerifyError::UNABLE_TO_VERIFY_LEAF_SIGNATURE
            | X509VerifyError::DEPTH_ZERO_SELF_SIGNED_CERT
            | X509VerifyError::SELF_SIGNED_CERT_IN_CHAIN
            | X509VerifyError::CERT_SIGNATURE_FAILURE
            | X509VerifyError::CERT_UNTRUSTED => (
                codes::DTLS_UNKNOWN_CA,
                SslAlert::UNKNOWN_CA,
                "the peer's certificate was not issued by the expected authority".to_owned(),
            ),
            _ => (
                codes::DTLS_CERTIFICATE_REFUSED,
                SslAlert::BAD_CERTIFICATE,
                "the peer's certificate chain breaks a rule".to_owned(),
            ),
        };
        let claims = claims_of(leaf);
        Refusal::new(code, alert, format!("{sentence} ({verdict}){claims}"))
    }
}

fn has_uri(certificate: &X509Ref, expected: &str) -> bool {
    let names = certificate.subject_alt_names();
    let mut uris = names.iter().flatten().filter_map(|name| name.uri());
    uris.any(|uri| uri == expected)
}

/// Names of an unproved certificate: for the operator to find the machine, not to believe.
fn claims_of(leaf: &X509Ref) -> String {
    PeerCertificate::read(leaf).map_or_else(
        |_| String::new(),
        |peer| {
            format!(
                "; it calls itself {:?} {:?}, issued by {:?}, serial {}",
                peer.subject, peer.san_uris, peer.issuer, peer.serial
            )
        },
    )
}
