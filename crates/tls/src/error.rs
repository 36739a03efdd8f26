//! The errors of this crate's own calls: wrong arguments and unusable key material.
//!
//! What a peer did wrong is not an error here but an event with a code
//! ([`dtls::DtlsEvent::Failed`](crate::dtls::DtlsEvent::Failed),
//! [`server::HandshakeFailure`](crate::server::HandshakeFailure)).

use boring::error::ErrorStack;

use crate::codes;

/// A call that could not be carried out; [`TlsError::code`] names it for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The private key does not belong to the first certificate of the chain.
    #[error("the private key does not fit the first certificate of the chain")]
    KeyMismatch,
    /// The leaf certificate is past its notAfter.
    #[error("the certificate expired at {not_after}")]
    CertificateExpired {
        /// notAfter as printed in the certificate.
        not_after: String,
    },
    /// The leaf certificate is before its notBefore.
    #[error("the certificate is not valid before {not_before}")]
    CertificateNotYetValid {
        /// notBefore as printed in the certificate.
        not_before: String,
    },
    /// Bytes that should be certificates are not.
    #[error("no usable certificate: {0}")]
    UnreadableCertificate(String),
    /// Bytes that should be a private key are not, or the key is encrypted.
    #[error("no usable private key: {0}")]
    UnreadableKey(String),
    /// A version range, group list, profile list or limit that cannot be carried out.
    #[error("{0}")]
    BadPolicy(String),
    /// A fingerprint that is not one of RFC 8122 with a hash we accept.
    #[error("{0}")]
    BadFingerprint(String),
    /// Keys were asked for before the peer was proved and the handshake completed.
    #[error("the handshake has not completed, so there are no keys")]
    NotEstablished,
    /// Something was to be sent on a connection that is not open: not yet, or no more.
    #[error("the connection is not open")]
    NotOpen,
    /// The engine refused something that it should not have.
    #[error("BoringSSL could not {action}: {reason}")]
    Engine {
        /// What was being done.
        action: &'static str,
        /// The engine's own words.
        reason: String,
    },
}

impl TlsError {
    /// The code of this error, as in [`codes`].
    pub fn code(&self) -> &'static str {
        match self {
            TlsError::KeyMismatch => codes::TLS_KEY_MISMATCH,
            TlsError::CertificateExpired { .. } => codes::TLS_CERTIFICATE_EXPIRED,
            TlsError::CertificateNotYetValid { .. } => codes::TLS_CERTIFICATE_NOT_YET_VALID,
            TlsError::UnreadableCertificate(_) => codes::TLS_UNREADABLE_CERTIFICATE,
            TlsError::UnreadableKey(_) => codes::TLS_UNREADABLE_KEY,
            TlsError::BadPolicy(_) => codes::TLS_BAD_POLICY,
            TlsError::BadFingerprint(_) => codes::DTLS_BAD_FINGERPRINT,
            TlsError::NotEstablished => codes::DTLS_NOT_ESTABLISHED,
            TlsError::NotOpen => codes::TLS_NOT_OPEN,
            TlsError::Engine { .. } => codes::TLS_FAILED,
        }
    }

    /// For `map_err`: an engine failure while doing `action`.
    pub(crate) fn engine(action: &'static str) -> impl Fn(ErrorStack) -> TlsError {
        move |stack| TlsError::Engine {
            action,
            reason: stack.to_string(),
        }
    }
}
