//! What BoringSSL tells only during a handshake, kept for afterwards.
//!
//! Our own signature algorithm is forgotten when the handshake ends, our own certificate with the
//! rest of a shed configuration; the ClientHello is readable only in its callback, and an alert is
//! told once, when it passes. A [`Witness`] rides in the connection's ex-data; its fields are cells
//! because callbacks have a shared reference only.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::OnceLock;

use boring::ex_data::Index;
use boring::ssl::{ClientHello, ExtensionType, Ssl, SslContextBuilder, SslRef};

use crate::ffi::{self, Moment};
use crate::server::revoked::CertificateId;
use crate::{Fingerprint, FingerprintHash};

/// Observations of one handshake.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    own_signature: OnceLock<&'static str>,
    own_sha256: OnceLock<String>,
    offered_version: OnceLock<u16>,
    chain: OnceLock<Vec<CertificateId>>,
    root_sha256: OnceLock<String>,
    alert_sent: LastAlert,
    alert_received: LastAlert,
}

/// The number of the alert that passed last, if one did. Read and written by whoever holds the
/// connection, so there is no order to keep.
#[derive(Debug)]
struct LastAlert(AtomicU16);

impl LastAlert {
    /// No alert has this number: theirs have eight bits.
    const NONE: u16 = u16::MAX;

    fn note(&self, number: u8) {
        self.0.store(number.into(), Ordering::Relaxed);
    }

    fn number(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok()
    }
}

impl Default for LastAlert {
    fn default() -> LastAlert {
        LastAlert(AtomicU16::new(LastAlert::NONE))
    }
}

impl Witness {
    /// Our signature algorithm, `None` if we signed nothing (resumption, or no certificate).
    pub(crate) fn own_signature(&self) -> Option<&'static str> {
        self.own_signature.get().copied()
    }

    /// SHA-256 of our certificate, `AB:CD:…`; `None` before the handshake has ended.
    pub(crate) fn own_sha256(&self) -> Option<&str> {
        self.own_sha256.get().map(String::as_str)
    }

    /// The highest version in the ClientHello, as on the wire; `None` before one was read.
    pub(crate) fn offered_version(&self) -> Option<u16> {
        self.offered_version.get().copied()
    }

    /// What the certificates of the peer's verified chain are called.
    pub(crate) fn chain(&self) -> &[CertificateId] {
        self.chain.get().map_or(&[], Vec::as_slice)
    }

    /// SHA-256 of the root that the peer's verified chain ends with.
    pub(crate) fn root_sha256(&self) -> Option<&str> {
        self.root_sha256.get().map(String::as_str)
    }

    /// Notes them. The engine verifies one chain in a handshake, and no other is ever renegotiated.
    pub(crate) fn note_chain(&self, chain: Vec<CertificateId>, root_sha256: Option<String>) {
        let _ = self.chain.set(chain);
        if let Some(root_sha256) = root_sha256 {
            let _ = self.root_sha256.set(root_sha256);
        }
    }

    /// Notes what we signed with and which certificate we showed.
    fn note_own(&self, ssl: &SslRef) {
        let name = ssl.signature_algorithm_used().and_then(|used| used.name());
        let shown = ssl
            .certificate()
            .and_then(|own| Fingerprint::of(own, FingerprintHash::Sha256).ok());
        // Set before only if the moment came twice, with the same values.
        if let Some(name) = name {
            let _ = self.own_signature.set(name);
        }
        if let Some(shown) = shown {
            let _ = self.own_sha256.set(shown.value());
        }
    }

    /// The last alert that went out.
    pub(crate) fn alert_sent(&self) -> Option<u8> {
        self.alert_sent.number()
    }

    /// The last alert that came in and was believed.
    pub(crate) fn alert_received(&self) -> Option<u8> {
        self.alert_received.number()
    }
}

fn index() -> Index<Ssl, Witness> {
    static INDEX: OnceLock<Index<Ssl, Witness>> = OnceLock::new();
    *INDEX.get_or_init(|| {
        Ssl::new_ex_index().expect("an ex-data index fails only when memory is exhausted")
    })
}

/// Gives the connection its witness; a second call keeps the first one.
pub(crate) fn attach(ssl: &mut SslRef) {
    if of(ssl).is_none() {
        ssl.set_ex_data(index(), Witness::default());
    }
}

/// The connection's witness, if it has one.
pub(crate) fn of(ssl: &SslRef) -> Option<&Witness> {
    ssl.ex_data(index())
}

/// Makes the connections of a context report to their witness.
pub(crate) fn watch(context: &mut SslContextBuilder) {
    watch_and(context, |_| ());
}

/// The same, and `then` sees each ClientHello before the engine acts on it. A context has one place
/// for both.
pub(crate) fn watch_and(
    context: &mut SslContextBuilder,
    then: impl Fn(&mut ClientHello<'_>) + Send + Sync + 'static,
) {
    ffi::on_moment(context, |ssl, moment| {
        let Some(witness) = of(ssl) else { return };
        match moment {
            Moment::AlertSent(number) => witness.alert_sent.note(number),
            Moment::AlertReceived(number) => witness.alert_received.note(number),
            Moment::HandshakeDone => witness.note_own(ssl),
        }
    });
    context.set_select_certificate_callback(move |mut hello| {
        attach(hello.ssl_mut());
        let offered = highest_version(&hello);
        if let Some(witness) = of(hello.ssl()) {
            // A second ClientHello (after HelloRetryRequest) may not change its versions.
            let _ = witness.offered_version.set(offered);
        }
        then(&mut hello);
        Ok(())
    });
}

/// Where a ClientHello keeps its best offer: `supported_versions` (RFC 8446 §4.2.1), a one-byte
/// length and pairs of bytes; without it the legacy field. TLS counts up, DTLS counts down in
/// one's complement, and GREASE values (RFC 8701) are no offer.
fn highest_version(hello: &ClientHello<'_>) -> u16 {
    let listed = hello
        .get_extension(ExtensionType::SUPPORTED_VERSIONS)
        .unwrap_or_default();
    let pairs = listed.get(1..).unwrap_or_default().chunks_exact(2);
    let offers = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    offers
        .filter(|version| matches!(version >> 8, 0x03 | 0xfe))
        .max_by_key(|version| match version >> 8 {
            0xfe => !version,
            _ => *version,
        })
        .unwrap_or_else(|| legacy_version(hello.as_bytes()))
}

/// `legacy_version` is the first field of the ClientHello body.
fn legacy_version(body: &[u8]) -> u16 {
    match body {
        [major, minor, ..] => u16::from_be_bytes([*major, *minor]),
        _ => 0,
    }
}

/// A version as it stands on the wire, for a sentence.
pub(crate) fn version_on_wire(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        0xfeff => "DTLS 1.0".to_owned(),
        0xfefd => "DTLS 1.2".to_owned(),
        0xfefc => "DTLS 1.3".to_owned(),
        other => format!("version {other:#06x}"),
    }
}
