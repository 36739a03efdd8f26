//! Certificates below an authority: a trust bundle, the name that is expected, the verdict.
//!
//! The verdict is BoringSSL's; this file asks it for the usage and the name, and says what came of
//! it in one sentence and with one alert. Which code that is, the protocol says.

use std::fmt;
use std::net::IpAddr;

use boring::error::ErrorStack;
use boring::ssl::SslAlert;
use boring::stack::{Stack, StackRef};
use boring::x509::store::{X509Store, X509StoreBuilder};
use boring::x509::verify::X509CheckFlags;
use boring::x509::{X509Ref, X509StoreContext, X509VerifyError, X509};

use crate::ffi::{self, CertificatePurpose};
use crate::{identity, strength, PeerCertificate, TlsError};

/// The name that a certificate must carry, as a subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A URI, compared octet by octet, such as a SPIFFE ID.
    Uri(String),
    /// A DNS name, compared as RFC 6125 §6.4 says; one wildcard label counts.
    Dns(String),
    /// An IP address, compared octet by octet (RFC 5280 §4.2.1.6, iPAddress).
    Address(IpAddr),
}

impl PeerName {
    /// The name alone.
    pub fn value(&self) -> String {
        match self {
            PeerName::Uri(name) | PeerName::Dns(name) => name.clone(),
            PeerName::Address(address) => address.to_string(),
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Uri(name) => write!(f, "URI {name}"),
            PeerName::Dns(name) => write!(f, "DNS name {name}"),
            PeerName::Address(address) => write!(f, "address {address}"),
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
    pub(crate) fn judge(
        &self,
        leaf: &X509Ref,
        presented: Option<&StackRef<X509>>,
        purpose: CertificatePurpose,
    ) -> Result<(), Distrust> {
        match self.verdict(leaf, presented, purpose) {
            Ok(Ok(())) => {}
            Ok(Err(verdict)) => return Err(Distrust::of_verdict(verdict, leaf, purpose)),
            Err(stack) => return Err(Distrust::unreadable(&stack)),
        }
        // The engine has no check for URIs; the other names it judged with the chain.
        match &self.name {
            Some(PeerName::Uri(uri)) if !has_uri(leaf, uri) => Err(Distrust::of_name(
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
            match &self.name {
                Some(PeerName::Dns(name)) => {
                    let asked = context.verify_param_mut();
                    // A common name is no host name (RFC 9525 §2, §6.3).
                    asked.set_hostflags(X509CheckFlags::NEVER_CHECK_SUBJECT);
                    asked.set_host(name)?;
                }
                Some(PeerName::Address(address)) => context.verify_param_mut().set_ip(*address)?,
                Some(PeerName::Uri(_)) | None => {}
            }
            let holds = context.verify_cert()?;
            Ok(match context.verify_result() {
                Err(verdict) => Err(verdict),
                Ok(()) if holds && !context.chain().is_some_and(strength::suffices) => {
                    Err(X509VerifyError::APPLICATION_VERIFICATION)
                }
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

/// What kind of fault a chain has.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not issued below the expected roots.
    UnknownCa,
    /// Past a notAfter.
    Expired,
    /// Before a notBefore.
    NotYetValid,
    /// Not for the peer's role.
    WrongUsage,
    /// Without the expected name.
    Name,
    /// Another rule of RFC 5280.
    Rule,
}

/// Why a certificate is not admitted, and the alert that says so to the peer.
pub(crate) struct Distrust {
    pub fault: Fault,
    pub alert: SslAlert,
    pub detail: String,
}

impl Distrust {
    fn of_name(expected: &PeerName, claims: &str) -> Distrust {
        Distrust {
            fault: Fault::Name,
            alert: SslAlert::BAD_CERTIFICATE,
            detail: format!("the peer's certificate does not carry the {expected}{claims}"),
        }
    }

    fn unreadable(stack: &ErrorStack) -> Distrust {
        Distrust {
            fault: Fault::Rule,
            alert: SslAlert::BAD_CERTIFICATE,
            detail: format!("the peer's certificate cannot be judged ({stack})"),
        }
    }

    /// The alerts are those of RFC 8446 §6.2.
    fn of_verdict(
        verdict: X509VerifyError,
        leaf: &X509Ref,
        purpose: CertificatePurpose,
    ) -> Distrust {
        let (fault, alert, sentence) = match verdict {
            X509VerifyError::CERT_HAS_EXPIRED => (
                Fault::Expired,
                SslAlert::CERTIFICATE_EXPIRED,
                "a certificate of the peer's chain has expired".to_owned(),
            ),
            X509VerifyError::CERT_NOT_YET_VALID => (
                Fault::NotYetValid,
                SslAlert::CERTIFICATE_EXPIRED,
                "a certificate of the peer's chain is not valid yet".to_owned(),
            ),
            X509VerifyError::INVALID_PURPOSE => (
                Fault::WrongUsage,
                SslAlert::UNSUPPORTED_CERTIFICATE,
                format!("the peer's certificate is not one for {purpose} (extended key usage)"),
            ),
            X509VerifyError::HOSTNAME_MISMATCH => (
                Fault::Name,
                SslAlert::BAD_CERTIFICATE,
                "the peer's certificate does not carry the expected DNS name".to_owned(),
            ),
            X509VerifyError::IP_ADDRESS_MISMATCH => (
                Fault::Name,
                SslAlert::BAD_CERTIFICATE,
                "the peer's certificate does not carry the expected address".to_owned(),
            ),
            X509VerifyError::UNABLE_TO_GET_ISSUER_CERT
            | X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | X509VerifyError::UNABLE_TO_VERIFY_LEAF_SIGNATURE
            | X509VerifyError::DEPTH_ZERO_SELF_SIGNED_CERT
            | X509VerifyError::SELF_SIGNED_CERT_IN_CHAIN
            | X509VerifyError::CERT_SIGNATURE_FAILURE
            | X509VerifyError::CERT_UNTRUSTED => (
                Fault::UnknownCa,
                SslAlert::UNKNOWN_CA,
                "the peer's certificate was not issued by the expected authority".to_owned(),
            ),
            X509VerifyError::APPLICATION_VERIFICATION => (
                Fault::Rule,
                SslAlert::BAD_CERTIFICATE,
                strength::BOUND.to_owned(),
            ),
            _ => (
                Fault::Rule,
                SslAlert::BAD_CERTIFICATE,
                "the peer's certificate chain breaks a rule".to_owned(),
            ),
        };
        let claims = claims_of(leaf);
        Distrust {
            fault,
            alert,
            detail: format!("{sentence} ({verdict}){claims}"),
        }
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
