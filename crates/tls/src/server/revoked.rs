//! Which certificates are revoked, looked at in every handshake that shows one.
//!
//! A certificate is called by its issuer's key and its serial (RFC 5280 §5.3 calls it by issuer and
//! serial; the key tells two issuers of one name apart). The set is replaced as a whole and shared
//! by all contexts of a process, so a change counts from the next handshake on, in contexts that
//! were made before it, too.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use boring::ssl::{SslContextBuilder, SslRef};
use boring::stack::StackRef;
use boring::x509::{X509Ref, X509StoreContext, X509VerifyError, X509};

use crate::{facts, witness};

/// What a certificate is called: its issuer's key identifier (RFC 5280 §4.2.1.2) and its serial,
/// both in lower-case hexadecimal, the serial without leading zeros, with a colon between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId(String);

impl CertificateId {
    /// `issuer` is who signed it, in the chain that was verified. An authority without a key
    /// identifier is called by what its leaf says of it; without that by nothing.
    fn of(certificate: &X509Ref, issuer: &X509Ref) -> Option<CertificateId> {
        let key = issuer
            .subject_key_id()
            .or_else(|| certificate.authority_key_id())
            .map_or_else(String::new, |id| hex(id.as_slice()));
        let number = certificate.serial_number().to_bn().ok()?;
        let serial = number.to_hex_str().ok()?.to_lowercase();
        Some(CertificateId(format!(
            "{key}:{}",
            serial.trim_start_matches('0')
        )))
    }

    /// As `KEY:SERIAL`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no `KEY:SERIAL`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a key identifier and a serial in hexadecimal, joined by a colon")]
pub struct BadCertificateId(String);

impl FromStr for CertificateId {
    type Err = BadCertificateId;

    fn from_str(text: &str) -> Result<CertificateId, BadCertificateId> {
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.split_once(':') {
            Some((key, serial)) if is_hex(key) && is_hex(serial) && !serial.is_empty() => {
                let serial = serial.trim_start_matches('0');
                Ok(CertificateId(format!("{key}:{serial}").to_lowercase()))
            }
            _ => Err(BadCertificateId(text.chars().take(80).collect())),
        }
    }
}

/// The revoked certificates, as the node knows them.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<Arc<HashSet<CertificateId>>>);

impl Revoked {
    /// From now on these, and no others.
    pub fn replace(&self, revoked: HashSet<CertificateId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(revoked);
    }

    /// The first of a chain that is revoked.
    #[must_use]
    pub fn first_of<'a>(&self, chain: &'a [CertificateId]) -> Option<&'a CertificateId> {
        let revoked = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        chain.iter().find(|id| revoked.contains(id))
    }
}

/// Makes the connections of a context look at `revoked` once BoringSSL has found their chain good,
/// and remember what the certificates of that chain are called.
///
/// A peer whose chain holds a revoked certificate is told `certificate_revoked` (RFC 8446 §6.2).
pub(crate) fn look_at(context: &mut SslContextBuilder, revoked: &Arc<Revoked>) {
    let revoked = Arc::clone(revoked);
    context.set_cert_verify_callback(move |verification| {
        if !matches!(verification.verify_cert(), Ok(true)) {
            return false;
        }
        let chain = verification.chain().map_or_else(Vec::new, ids_of);
        let found = revoked.first_of(&chain).is_some();
        if let Some(witness) = connection(verification).and_then(witness::of) {
            witness.note_chain(chain, verification.chain().and_then(root_of));
        }
        if found {
            verification.set_error(Err(X509VerifyError::CERT_REVOKED));
        }
        !found
    });
}

/// Leaf first, without the root: nobody stands above it who could revoke it.
fn ids_of(chain: &StackRef<X509>) -> Vec<CertificateId> {
    let below = chain.iter();
    let issuers = chain.iter().skip(1);
    below
        .zip(issuers)
        .filter_map(|(certificate, issuer)| CertificateId::of(certificate, issuer))
        .collect()
}

/// The SHA-256 of the last one, which is a root of the door's trust bundle.
pub(super) fn root_of(chain: &StackRef<X509>) -> Option<String> {
    facts::sha256_of(chain.iter().next_back()?)
}

fn connection(verification: &boring::x509::X509StoreContextRef) -> Option<&SslRef> {
    verification.ex_data(X509StoreContext::ssl_idx().ok()?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_whatever_its_case_and_leading_zeros() {
        let id: CertificateId = "AB01:00Fe".parse().expect("an id");
        assert_eq!(id.as_str(), "ab01:fe");
        for text in ["", "ab01", "ab01:", "ab01:xyz", "é:1", "ab:1:2"] {
            let error = text.parse::<CertificateId>().expect_err("no id");
            assert!(error.to_string().contains("hexadecimal"), "{text}");
        }
    }
}
