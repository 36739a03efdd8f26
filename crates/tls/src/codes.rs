//! Every code that this crate can emit, once. The macro makes [`ALL`] from the same lines.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
        /// All codes of this crate.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// The certificate presented in the DTLS handshake matches no admissible fingerprint.
    DTLS_FINGERPRINT_MISMATCH = "DTLS.FINGERPRINT_MISMATCH";
    /// The peer's certificate was not issued by the authority that was expected.
    DTLS_UNKNOWN_CA = "DTLS.UNKNOWN_CA";
    /// A certificate of the peer's chain is past its notAfter.
    DTLS_CERTIFICATE_EXPIRED = "DTLS.CERTIFICATE_EXPIRED";
    /// A certificate of the peer's chain is before its notBefore.
    DTLS_CERTIFICATE_NOT_YET_VALID = "DTLS.CERTIFICATE_NOT_YET_VALID";
    /// A certificate that may not be used in the peer's role.
    DTLS_WRONG_USAGE = "DTLS.WRONG_USAGE";
    /// A certificate of the expected authority that carries another name.
    DTLS_NAME_MISMATCH = "DTLS.NAME_MISMATCH";
    /// The peer's chain breaks another rule of RFC 5280; the detail names it.
    DTLS_CERTIFICATE_REFUSED = "DTLS.CERTIFICATE_REFUSED";
    /// The DTLS client sent no certificate.
    DTLS_NO_PEER_CERTIFICATE = "DTLS.NO_PEER_CERTIFICATE";
    /// No DTLS version that both ends admit; DTLS 1.0 ends here.
    DTLS_VERSION_REFUSED = "DTLS.VERSION_REFUSED";
    /// No key exchange group that both ends admit.
    DTLS_NO_COMMON_GROUP = "DTLS.NO_COMMON_GROUP";
    /// No cipher suite or signature algorithm that both ends admit.
    DTLS_NO_COMMON_CIPHER = "DTLS.NO_COMMON_CIPHER";
    /// The handshake completed without an SRTP profile, so there is no way to protect media.
    DTLS_NO_SRTP_PROFILE = "DTLS.NO_SRTP_PROFILE";
    /// The handshake did not complete within its time.
    DTLS_TIMEOUT = "DTLS.TIMEOUT";
    /// The peer ended the handshake or the association with an alert; the detail names it.
    DTLS_PEER_ALERT = "DTLS.PEER_ALERT";
    /// The handshake broke in a way that has no code of its own; the detail has the evidence.
    DTLS_FAILED = "DTLS.FAILED";
    /// The peer closed before the handshake completed.
    DTLS_CLOSED = "DTLS.CLOSED";
    /// A fingerprint that is malformed or made with a hash that is not accepted.
    DTLS_BAD_FINGERPRINT = "DTLS.BAD_FINGERPRINT";
    /// Keys were asked for before the handshake completed: a defect in the caller.
    DTLS_NOT_ESTABLISHED = "DTLS.NOT_ESTABLISHED";
    /// The client sent no certificate to a door that demands one.
    TLS_NO_CLIENT_CERTIFICATE = "TLS.NO_CLIENT_CERTIFICATE";
    /// The client's certificate was not issued by an authority that this door trusts.
    TLS_UNKNOWN_CA = "TLS.UNKNOWN_CA";
    /// A certificate is past its notAfter.
    TLS_CERTIFICATE_EXPIRED = "TLS.CERTIFICATE_EXPIRED";
    /// A certificate is before its notBefore.
    TLS_CERTIFICATE_NOT_YET_VALID = "TLS.CERTIFICATE_NOT_YET_VALID";
    /// A certificate of the client's chain is revoked.
    TLS_CERTIFICATE_REVOKED = "TLS.CERTIFICATE_REVOKED";
    /// A certificate that may not be used by a client, such as a server's.
    TLS_WRONG_USAGE = "TLS.WRONG_USAGE";
    /// The client's chain breaks another rule of RFC 5280; the detail names it.
    TLS_CERTIFICATE_REFUSED = "TLS.CERTIFICATE_REFUSED";
    /// A client's chain of more bytes than a door reads.
    TLS_CHAIN_TOO_LARGE = "TLS.CHAIN_TOO_LARGE";
    /// No TLS version that both ends admit.
    TLS_VERSION_REFUSED = "TLS.VERSION_REFUSED";
    /// No key exchange group that both ends admit.
    TLS_NO_COMMON_GROUP = "TLS.NO_COMMON_GROUP";
    /// No cipher suite or signature algorithm that both ends admit.
    TLS_NO_COMMON_CIPHER = "TLS.NO_COMMON_CIPHER";
    /// The client offered application protocols (ALPN), none of which this door speaks.
    TLS_NO_COMMON_PROTOCOL = "TLS.NO_COMMON_PROTOCOL";
    /// Plain HTTP on a TLS port.
    TLS_PLAIN_HTTP = "TLS.PLAIN_HTTP";
    /// Bytes of another protocol on a TLS port; the detail says which.
    TLS_NOT_TLS = "TLS.NOT_TLS";
    /// The client ended the handshake with an alert; the detail names it.
    TLS_PEER_ALERT = "TLS.PEER_ALERT";
    /// The client went away before the handshake completed.
    TLS_PEER_CLOSED = "TLS.PEER_CLOSED";
    /// The handshake did not complete within its time.
    TLS_TIMEOUT = "TLS.TIMEOUT";
    /// The handshake broke in a way that has no code of its own; the detail has the evidence.
    TLS_FAILED = "TLS.FAILED";
    /// A private key that does not fit its certificate.
    TLS_KEY_MISMATCH = "TLS.KEY_MISMATCH";
    /// Bytes that should be a certificate are not.
    TLS_UNREADABLE_CERTIFICATE = "TLS.UNREADABLE_CERTIFICATE";
    /// Bytes that should be a private key are not, or the key is encrypted.
    TLS_UNREADABLE_KEY = "TLS.UNREADABLE_KEY";
    /// Versions, groups, profiles or limits that cannot be carried out together.
    TLS_BAD_POLICY = "TLS.BAD_POLICY";
    /// The server's certificate was not issued below the roots that were given.
    TLS_SERVER_UNKNOWN_CA = "TLS.SERVER_UNKNOWN_CA";
    /// A certificate of the server's chain is past its notAfter.
    TLS_SERVER_EXPIRED = "TLS.SERVER_EXPIRED";
    /// A certificate of the server's chain is before its notBefore.
    TLS_SERVER_NOT_YET_VALID = "TLS.SERVER_NOT_YET_VALID";
    /// The server showed a certificate that is not for servers.
    TLS_SERVER_WRONG_USAGE = "TLS.SERVER_WRONG_USAGE";
    /// The server's certificate carries another name than the one that was called.
    TLS_SERVER_NAME_MISMATCH = "TLS.SERVER_NAME_MISMATCH";
    /// The server's chain breaks another rule of RFC 5280; the detail names it.
    TLS_SERVER_CERTIFICATE_REFUSED = "TLS.SERVER_CERTIFICATE_REFUSED";
    /// No TLS version that the server and we admit.
    TLS_SERVER_VERSION_REFUSED = "TLS.SERVER_VERSION_REFUSED";
    /// The server answered in plain HTTP.
    TLS_SERVER_PLAIN_HTTP = "TLS.SERVER_PLAIN_HTTP";
    /// The server answered in another protocol; the detail says which.
    TLS_SERVER_NOT_TLS = "TLS.SERVER_NOT_TLS";
    /// The server ended the connection with an alert; the detail names it.
    TLS_SERVER_ALERT = "TLS.SERVER_ALERT";
    /// The server went away before the handshake completed.
    TLS_SERVER_CLOSED = "TLS.SERVER_CLOSED";
    /// The connection ended without the server's close_notify.
    TLS_SERVER_TRUNCATED = "TLS.SERVER_TRUNCATED";
    /// The handshake or the connection broke in a way that has no code of its own.
    TLS_SERVER_FAILED = "TLS.SERVER_FAILED";
    /// The server says that our certificate was revoked.
    TLS_REFUSED_AS_REVOKED = "TLS.REFUSED_AS_REVOKED";
    /// The server says that our certificate has expired.
    TLS_REFUSED_AS_EXPIRED = "TLS.REFUSED_AS_EXPIRED";
    /// The server does not know the authority of our certificate.
    TLS_REFUSED_AS_UNKNOWN = "TLS.REFUSED_AS_UNKNOWN";
    /// The server does not take our certificate, for another reason.
    TLS_REFUSED_CERTIFICATE = "TLS.REFUSED_CERTIFICATE";
    /// The server demands a certificate, and we showed none.
    TLS_CERTIFICATE_REQUIRED = "TLS.CERTIFICATE_REQUIRED";
    /// Whoever holds the key could not sign the handshake.
    TLS_SIGNER_FAILED = "TLS.SIGNER_FAILED";
    /// Something was to be sent before the handshake was over, or after the end.
    TLS_NOT_OPEN = "TLS.NOT_OPEN";
}
