//! What was negotiated: the seal of a leg, read once from an established connection.
//!
//! The engine also answers these questions about connections that failed their proof, so nothing
//! here is to be read before the handshake completed.

use boring::asn1::{Asn1Time, Asn1TimeRef};
use boring::error::ErrorStack;
use boring::ssl::{NameType, SslRef};
use boring::x509::{X509NameRef, X509Ref};

use crate::fingerprint::{colon_hex, Fingerprint, FingerprintHash};
use crate::version::Version;
use crate::{ffi, witness, TlsError};

/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): the one post-quantum group of the presets.
const GROUP_X25519_MLKEM768: u16 = 0x11ec;

/// More names than this in one certificate are not listed: it bounds an event's size.
const MAX_NAMES: usize = 64;

/// Negotiated facts of one connection. Never a key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// `TLS` or `DTLS`.
    pub protocol: &'static str,
    /// `1.3` or `1.2`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// Key exchange group.
    pub group: Option<String>,
    /// What the peer signed the handshake with.
    pub peer_signature: Option<String>,
    /// What we signed the handshake with; `None` after a resumption.
    pub own_signature: Option<String>,
    /// SRTP protection profile (RFC 5764 §4.1.2); DTLS only.
    pub srtp_profile_id: Option<u16>,
    /// SHA-256 of the certificate that we showed, `AB:CD:…`; `None` after a resumption, in which
    /// nobody shows one.
    pub own_sha256: Option<String>,
    /// The peer's certificate, if it presented one.
    pub peer: Option<PeerCertificate>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether early data was accepted.
    pub early_data: bool,
    /// Whether a HelloRetryRequest was needed (RFC 8446 §4.1.4).
    pub hello_retry: bool,
    /// Whether Encrypted Client Hello was accepted.
    pub ech: bool,
    /// Name that the client asked for.
    pub sni: Option<String>,
    /// Application protocol agreed on.
    pub alpn: Option<String>,
    /// Whether a later theft of long-term keys leaves this connection's traffic secret.
    pub forward_secrecy: bool,
    /// Whether the key exchange withstands a later quantum computer.
    pub post_quantum: bool,
}

/// Names and dates of the certificate that a peer presented.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PeerCertificate {
    /// Subject, as `CN=…, O=…`.
    pub subject: String,
    /// URI names, where SPIFFE identities stand.
    pub san_uris: Vec<String>,
    /// DNS names.
    pub san_dns: Vec<String>,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Begin of validity, seconds since 1970.
    pub not_before_unix: i64,
    /// End of validity, seconds since 1970.
    pub not_after_unix: i64,
    /// Issuer, as `CN=…, O=…`.
    pub issuer: String,
    /// SHA-256 of the DER encoding, `AB:CD:…`.
    pub sha256: String,
    /// What the certificates of the chain by which a door verified it are called, as
    /// [`CertificateId`](crate::server::CertificateId): its own, then those of its issuers, without
    /// the root.
    pub chain: Vec<String>,
    /// SHA-256 of the root of that chain, `AB:CD:…`; empty where none was verified.
    pub root_sha256: String,
}

/// The registered number of the SRTP profile that was agreed on.
pub(crate) fn srtp_profile_id(ssl: &SslRef) -> Option<u16> {
    let profile = ssl.selected_srtp_profile()?;
    u16::try_from(profile.id().as_raw()).ok()
}

/// The subject of the peer's certificate.
pub(crate) fn peer_subject(ssl: &SslRef) -> String {
    ssl.peer_certificate()
        .map_or_else(String::new, |certificate| {
            name_text(certificate.subject_name())
        })
}

/// Reads the facts of an established connection.
pub(crate) fn read(ssl: &SslRef, protocol: &'static str) -> Facts {
    let version = match ssl.version_str() {
        text if text.ends_with("1.3") => Version::V1_3,
        _ => Version::V1_2,
    };
    let cipher = ssl.current_cipher().map_or_else(String::new, |cipher| {
        cipher
            .standard_name()
            .unwrap_or_else(|| cipher.name())
            .to_owned()
    });
    let resumed = ssl.session_reused();
    // The engine chooses key and certificate before it knows that it will resume and show neither.
    let seen = witness::of(ssl).filter(|_| !resumed);
    let verified = witness::of(ssl).map_or(&[][..], witness::Witness::chain);
    let signature_name = |name: Option<&'static str>| name.map(str::to_owned);
    Facts {
        protocol,
        version: version.name().to_owned(),
        group: ssl.curve_name().map(str::to_owned),
        peer_signature: signature_name(ssl.peer_signature_algorithm().and_then(|s| s.name())),
        own_signature: signature_name(seen.and_then(witness::Witness::own_signature)),
        srtp_profile_id: srtp_profile_id(ssl),
        own_sha256: seen
            .and_then(witness::Witness::own_sha256)
            .map(str::to_owned),
        peer: ssl
            .peer_certificate()
            .and_then(|certificate| PeerCertificate::read(&certificate).ok())
            .map(|peer| PeerCertificate {
                chain: verified.iter().map(ToString::to_string).collect(),
                root_sha256: witness::of(ssl)
                    .and_then(witness::Witness::root_sha256)
                    .unwrap_or_default()
                    .to_owned(),
                ..peer
            }),
        resumed,
        early_data: ffi::early_data_accepted(ssl),
        hello_retry: ssl.used_hello_retry_request(),
        ech: ssl.ech_accepted(),
        sni: ssl.servername(NameType::HOST_NAME).map(printable),
        alpn: ssl
            .selected_alpn_protocol()
            .map(|name| printable(&String::from_utf8_lossy(name))),
        forward_secrecy: has_forward_secrecy(version, &cipher, resumed),
        post_quantum: ssl.curve() == Some(GROUP_X25519_MLKEM768),
        cipher,
    }
}

/// In 1.3 BoringSSL resumes with psk_dhe_ke only (RFC 8446 §4.2.9), so every connection has a
/// fresh exchange. In 1.2 a resumed one lives on the old master secret, which the ticket carries:
/// whoever takes the ticket key reads it.
fn has_forward_secrecy(version: Version, cipher: &str, resumed: bool) -> bool {
    match version {
        Version::V1_3 => true,
        Version::V1_2 => cipher.starts_with("TLS_ECDHE_") && !resumed,
    }
}

impl PeerCertificate {
    /// Reads the fields of a certificate; proves nothing about it.
    pub(crate) fn read(certificate: &X509Ref) -> Result<PeerCertificate, TlsError> {
        let engine = TlsError::engine;
        let serial = certificate
            .serial_number()
            .to_bn()
            .and_then(|number| number.to_hex_str())
            .map_err(engine("read a serial number"))?;
        let unix = |time: &Asn1TimeRef| -> Result<i64, ErrorStack> {
            let since_epoch = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time))?;
            Ok(i64::from(since_epoch.days) * 86_400 + i64::from(since_epoch.secs))
        };
        let names = certificate.subject_alt_names();
        let names = || names.iter().flatten();
        Ok(PeerCertificate {
            subject: name_text(certificate.subject_name()),
            san_uris: names()
                .filter_map(|name| name.uri())
                .take(MAX_NAMES)
                .map(printable)
                .collect(),
            san_dns: names()
                .filter_map(|name| name.dnsname())
                .take(MAX_NAMES)
                .map(printable)
                .collect(),
            serial: serial.to_string(),
            not_before_unix: unix(certificate.not_before()).map_err(engine("read a notBefore"))?,
            not_after_unix: unix(certificate.not_after()).map_err(engine("read a notAfter"))?,
            issuer: name_text(certificate.issuer_name()),
            sha256: colon_hex(&Fingerprint::of(certificate, FingerprintHash::Sha256)?.digest),
            chain: Vec::new(),
            root_sha256: String::new(),
        })
    }
}

/// SHA-256 of a certificate's DER encoding, `AB:CD:…`.
pub(crate) fn sha256_of(certificate: &X509Ref) -> Option<String> {
    let print = Fingerprint::of(certificate, FingerprintHash::Sha256).ok()?;
    Some(colon_hex(&print.digest))
}

/// A distinguished name as `CN=…, O=…`, in the certificate's order, escaped as RFC 4514 §2.4
/// asks so that no value can pass for two attributes or break a log line.
fn name_text(name: &X509NameRef) -> String {
    let mut text = String::new();
    for entry in name.entries().take(MAX_NAMES) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(entry.object().nid().short_name().unwrap_or("?"));
        text.push('=');
        match entry.data().as_utf8() {
            Ok(value) => {
                for letter in value.chars() {
                    if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                        text.push('\\');
                    }
                    push_printable(&mut text, letter);
                }
            }
            Err(_) => text.push('?'),
        }
    }
    text
}

/// A name from the wire without control characters.
fn printable(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    name.chars()
        .for_each(|letter| push_printable(&mut text, letter));
    text
}

fn push_printable(text: &mut String, letter: char) {
    if letter.is_control() {
        text.extend(letter.escape_default());
    } else {
        text.push(letter);
    }
}
