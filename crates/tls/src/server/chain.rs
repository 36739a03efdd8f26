//! What a door would make of a certificate chain, asked without a handshake.
//!
//! The judge is the engine's, with the usage that a door asks for; so are the sentence and the
//! names that are read, and the bound on a chain's size. What a handshake adds is not asked here:
//! that the client holds the key, and whether it was revoked.

use boring::error::ErrorStack;
use boring::stack::Stack;
use boring::x509::store::X509StoreBuilder;
use boring::x509::{X509StoreContext, X509VerifyError, X509};

use super::failure::HandshakeFailure;
use super::revoked::root_of;
use super::CHAIN_BYTES;
use crate::ffi::{self, CertificatePurpose};
use crate::{identity, strength, PeerCertificate, TlsError};

/// Judges a chain (PEM, the leaf first) against a trust bundle, by the system's clock. A door with
/// this bundle would go on with the handshake and tell this SHA-256 of the chain's root, or refuse.
///
/// # Errors
/// `TLS.UNREADABLE_CERTIFICATE` if either holds no certificate.
pub fn judge_chain(
    chain_pem: &[u8],
    roots_pem: &[u8],
) -> Result<Result<String, HandshakeFailure>, TlsError> {
    let presented = certificates(chain_pem, "the chain")?;
    let roots = certificates(roots_pem, "the trust bundle")?;
    if message_len(&presented)? > CHAIN_BYTES {
        return Ok(Err(HandshakeFailure::chain_too_large()));
    }
    let mut presented = presented.into_iter();
    let leaf = presented.next().ok_or_else(|| nothing_in("the chain"))?;
    let verdict =
        verdict(&leaf, presented, roots).map_err(TlsError::engine("judge a certificate chain"))?;
    Ok(verdict.map_err(|verdict| HandshakeFailure::of_verdict(verdict, Some(&leaf))))
}

/// The leaf of a chain (PEM) as the facts of a connection would show it; proves nothing.
///
/// # Errors
/// `TLS.UNREADABLE_CERTIFICATE` if there is none.
pub fn leaf_of(chain_pem: &[u8]) -> Result<PeerCertificate, TlsError> {
    let mut presented = certificates(chain_pem, "the chain")?.into_iter();
    let leaf = presented.next().ok_or_else(|| nothing_in("the chain"))?;
    PeerCertificate::read(&leaf)
}

fn verdict(
    leaf: &X509,
    presented: impl Iterator<Item = X509>,
    roots: Vec<X509>,
) -> Result<Result<String, X509VerifyError>, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for root in &roots {
        store.add_cert(root)?;
    }
    let mut between = Stack::new()?;
    for certificate in presented {
        between.push(certificate)?;
    }
    X509StoreContext::new()?.init(&store.build(), leaf, &between, |context| {
        ffi::set_certificate_purpose(context, CertificatePurpose::Client)?;
        let holds = context.verify_cert()?;
        Ok(match context.verify_result() {
            Err(verdict) => Err(verdict),
            Ok(()) if holds && !context.chain().is_some_and(strength::suffices) => {
                Err(X509VerifyError::APPLICATION_VERIFICATION)
            }
            // Unreachable: the engine names its reason whenever a chain does not hold.
            Ok(()) if !holds => Err(X509VerifyError::UNSPECIFIED),
            Ok(()) => Ok(context.chain().and_then(root_of).unwrap_or_default()),
        })
    })
}

/// How long the message is in which a client of TLS 1.3 shows these certificates (RFC 8446 §4.4.2):
/// an empty context and the list's length, and each with its own length and no extensions.
fn message_len(presented: &[X509]) -> Result<usize, TlsError> {
    presented.iter().try_fold(1 + 3, |sum, certificate| {
        let der = certificate
            .to_der()
            .map_err(TlsError::engine("measure a certificate"))?;
        Ok(sum + 3 + der.len() + 2)
    })
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<X509>, TlsError> {
    let found = identity::read_certificates(pem)?;
    if found.is_empty() {
        return Err(nothing_in(what));
    }
    Ok(found)
}

fn nothing_in(what: &str) -> TlsError {
    TlsError::UnreadableCertificate(format!("{what} holds no CERTIFICATE block"))
}
