//! How strong the keys and signatures of a chain must be.
//!
//! BoringSSL's judge of chains knows no such bound: it takes SHA-1 beneath a signature and RSA of
//! 1,024 bits (`docs/path-validation.md`). Whoever finds a collision in what an authority still
//! signs with SHA-1 has a certificate of it (RFC 9155 §1), so we ask for more, in DTLS and at
//! doors alike.

use boring::pkey::Id;
use boring::stack::StackRef;
use boring::x509::{X509Ref, X509};
use boring_sys as raw;

/// The bound, for a person.
pub(crate) const BOUND: &str =
    "a certificate of the chain is signed with less than SHA-256, or has a key that is weaker \
                                than RSA of 2,048 bits or P-256, or of a kind that we do not know";

/// What may stand beneath an issued certificate. The parameters of RSA-PSS the engine judges.
const SIGNATURES: [i32; 8] = [
    raw::NID_ecdsa_with_SHA256,
    raw::NID_ecdsa_with_SHA384,
    raw::NID_ecdsa_with_SHA512,
    raw::NID_sha256WithRSAEncryption,
    raw::NID_sha384WithRSAEncryption,
    raw::NID_sha512WithRSAEncryption,
    raw::NID_rsassaPss,
    raw::NID_ED25519,
];

/// Whether a verified chain, the leaf first and its trust anchor last, is strong enough.
pub(crate) fn suffices(chain: &StackRef<X509>) -> bool {
    let last = chain.len().saturating_sub(1);
    // Nobody checks how the anchor is signed: it is trusted as it is (RFC 5280 §6.1).
    chain
        .iter()
        .enumerate()
        .all(|(at, certificate)| has_key(certificate) && (at == last || is_signed(certificate)))
}

fn is_signed(certificate: &X509Ref) -> bool {
    SIGNATURES.contains(&certificate.signature_algorithm().object().nid().as_raw())
}

/// NIST SP 800-131A §3: 112 bits of strength. A curve below P-256 has nobody to ask for it.
fn has_key(certificate: &X509Ref) -> bool {
    certificate.public_key().is_ok_and(|key| match key.id() {
        Id::RSA | Id::RSAPSS => key.bits() >= 2_048,
        Id::EC => key.bits() >= 256,
        Id::ED25519 => true,
        _ => false,
    })
}
