//! Cipher suites and signature algorithms: one list each, for every context of the crate.
//!
//! TLS 1.3 suites are all admissible and not configurable. For 1.2 the policy is ECDHE with an
//! AEAD and nothing else: no static RSA, no CBC, so every admitted connection has forward secrecy
//! and none needs RFC 7366. SHA-1 signatures, which BoringSSL still verifies in 1.2, are left out.

use boring::ssl::{SslContextBuilder, SslSignatureAlgorithm};

use crate::TlsError;

/// RFC 5289 and RFC 7905 suites for TLS 1.2, in the order a server prefers them.
const TLS12_SUITES: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// What a peer may sign its handshake with (RFC 8446 §4.2.3). PKCS#1 is used by 1.2 only.
const PEER_SIGNATURES: [SslSignatureAlgorithm; 9] = [
    SslSignatureAlgorithm::ECDSA_SECP256R1_SHA256,
    SslSignatureAlgorithm::ECDSA_SECP384R1_SHA384,
    SslSignatureAlgorithm::ED25519,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA256,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA384,
    SslSignatureAlgorithm::RSA_PSS_RSAE_SHA512,
    SslSignatureAlgorithm::RSA_PKCS1_SHA256,
    SslSignatureAlgorithm::RSA_PKCS1_SHA384,
    SslSignatureAlgorithm::RSA_PKCS1_SHA512,
];

/// The same, by their registered names: what we sign with ourselves, for a context whose key is not
/// here. (With a key, the engine offers nothing weaker by itself.)
const OWN_SIGNATURES: &str = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:\
rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:\
rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

/// Limits what we sign with. Before [`install`], since it sets what a peer may sign with too.
pub(crate) fn install_own_signatures(context: &mut SslContextBuilder) -> Result<(), TlsError> {
    context
        .set_sigalgs_list(OWN_SIGNATURES)
        .map_err(TlsError::engine("set our signature algorithms"))
}

/// Puts the suites, the signature algorithms and the given groups into a context.
pub(crate) fn install(context: &mut SslContextBuilder, groups: &str) -> Result<(), TlsError> {
    context
        .set_strict_cipher_list(TLS12_SUITES)
        .map_err(TlsError::engine("set the cipher suites"))?;
    context
        .set_verify_algorithm_prefs(&PEER_SIGNATURES)
        .map_err(TlsError::engine("set the signature algorithms"))?;
    context.set_curves_list(groups).map_err(|_| {
        TlsError::BadPolicy(format!(
            "the group list {groups:?} names a group that BoringSSL does not have; \
             write for example \"X25519MLKEM768:X25519:P-256\""
        ))
    })
}
