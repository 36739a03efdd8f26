//! TLS doors: contexts for connections that we accept, their facts, and why a handshake failed.
//!
//! **What it does.** [`context`] turns a policy and an identity into a `SslContext`: TLS 1.3, and
//! 1.2 with ECDHE and an AEAD (RFC 9325 §4.2), no renegotiation, no compression, and for doors
//! that ask for a certificate no session tickets, so that no resumption bypasses a change of the
//! trusted authorities or a revocation. A certificate that is shown is looked up among the
//! [`Revoked`]. [`facts`] reads what was negotiated. [`classify`] gives a failed handshake one code
//! and one sentence.
//!
//! **What it does not.** It touches no socket and knows no names: a verified certificate says who
//! the client is, not what it may do.
//!
//! **What the caller must still do.** Limit the time of a handshake
//! ([`HandshakeFailure::timed_out`]), keep the first bytes of a connection for [`classify`]
//! ([`Opening`] does), let the connections of a replaced context end by themselves, and end those
//! whose certificate is revoked after their handshake ([`chain_of`]).

mod chain;
mod challenge;
mod failure;
mod opening;
pub(crate) mod revoked;

use std::sync::Arc;

use boring::ssl::{
    AlpnError, SslContext, SslContextBuilder, SslMode, SslOptions, SslRef, SslSessionCacheMode,
    SslVerifyMode,
};
use boring::x509::store::X509StoreBuilder;
use boring::x509::{X509StoreContextRef, X509VerifyError};

pub use chain::{judge_chain, leaf_of};
pub use challenge::{is_answer, Challenges};
pub use failure::{alert_in_clear, classify, HandshakeFailure};
pub use opening::Opening;
pub use revoked::{BadCertificateId, CertificateId, Revoked};

use crate::{
    facts as negotiated, ffi, identity, strength, suites, version, witness, Facts, Identity,
    TlsError, Version,
};

/// How much of a connection's beginning [`classify`] can use.
pub const FIRST_BYTES: usize = 16;

/// How many bytes of certificates a door reads from a client. Four certificates of RSA-4096 with
/// long names take a quarter of it, and a chain of ML-DSA-65 (FIPS 204) fits as well; the engine's
/// own limit, 100 kB, is memory that anybody could hold without being anybody.
pub const CHAIN_BYTES: usize = 32 * 1024;

/// Whether clients prove themselves by certificate.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// No certificate is asked for, so no browser shows a chooser.
    None,
    /// One is asked for. Who shows none is served; one that is shown must hold as if it were
    /// demanded.
    Optional {
        /// The trust bundle: PEM certificates of the authorities.
        roots_pem: Vec<u8>,
    },
    /// A certificate for client use, issued below one of these roots, is demanded.
    Required {
        /// The trust bundle: PEM certificates of the authorities.
        roots_pem: Vec<u8>,
    },
}

/// What a door admits.
#[derive(Clone, Debug)]
pub struct ServerPolicy {
    /// Oldest admissible version.
    pub min_version: Version,
    /// Newest admissible version.
    pub max_version: Version,
    /// Key exchange groups in order, joined by `:`. If 1.2 is admitted, the list also limits the
    /// curves of certificates.
    pub groups: String,
    /// Application protocols in order of preference; empty if the door speaks only one.
    pub alpn: Vec<&'static str>,
    /// Whether clients prove themselves by certificate.
    pub client_auth: ClientAuth,
}

/// Makes the context of a door. A new one for every change: contexts are never altered. So each has
/// ticket keys of its own, and a ticket of the one before it resumes nothing.
///
/// # Errors
/// `TLS.BAD_POLICY`, `TLS.UNREADABLE_CERTIFICATE` (the trust bundle).
pub fn context(
    policy: &ServerPolicy,
    identity: &Identity,
    revoked: &Arc<Revoked>,
) -> Result<SslContext, TlsError> {
    let mut context = builder(policy, identity, revoked)?;
    witness::watch(&mut context);
    Ok(context.build())
}

/// The same for a door that also answers the challenges of ACME while they are open.
///
/// # Errors
/// As [`context`].
pub fn context_with_challenges(
    policy: &ServerPolicy,
    identity: &Identity,
    revoked: &Arc<Revoked>,
    challenges: &Arc<Challenges>,
) -> Result<SslContext, TlsError> {
    let mut context = builder(policy, identity, revoked)?;
    let challenges = Arc::clone(challenges);
    witness::watch_and(&mut context, move |hello| challenges.meet(hello));
    Ok(context.build())
}

fn builder(
    policy: &ServerPolicy,
    identity: &Identity,
    revoked: &Arc<Revoked>,
) -> Result<SslContextBuilder, TlsError> {
    let mut context = version::tls_context(policy.min_version, policy.max_version)?;
    suites::install(&mut context, &policy.groups)?;
    identity.install_in_context(&mut context)?;
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    // Sessions live in tickets or not at all: a cache would grow and be shared by nobody.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    // For non-blocking writers that coalesce records; the builder sets no modes by itself.
    context.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    match &policy.client_auth {
        ClientAuth::None => context.set_verify(SslVerifyMode::NONE),
        ClientAuth::Optional { roots_pem } => {
            ask_for_certificate(&mut context, roots_pem, SslVerifyMode::PEER, revoked)?;
        }
        ClientAuth::Required { roots_pem } => {
            let demanded = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
            ask_for_certificate(&mut context, roots_pem, demanded, revoked)?;
        }
    }
    select_protocol(&mut context, &policy.alpn);
    Ok(context)
}

/// Reads the facts of an established connection made from a [`context`].
pub fn facts(ssl: &SslRef) -> Facts {
    negotiated::read(ssl, "TLS")
}

/// What the certificates of the peer's verified chain are called, leaf first, without the root.
/// Empty if it showed none.
pub fn chain_of(ssl: &SslRef) -> &[CertificateId] {
    witness::of(ssl).map_or(&[], witness::Witness::chain)
}

fn ask_for_certificate(
    context: &mut SslContextBuilder,
    roots_pem: &[u8],
    mode: SslVerifyMode,
    revoked: &Arc<Revoked>,
) -> Result<(), TlsError> {
    let roots = identity::read_certificates(roots_pem)?;
    if roots.is_empty() {
        return Err(TlsError::UnreadableCertificate(
            "the trust bundle holds no CERTIFICATE block".to_owned(),
        ));
    }
    let engine = TlsError::engine("install the trust bundle");
    let mut store = X509StoreBuilder::new().map_err(&engine)?;
    for root in roots {
        // The names go to the client, so that it can choose a certificate (RFC 8446 §4.2.4).
        context.add_client_ca(&root).map_err(&engine)?;
        store.add_cert(&root).map_err(&engine)?;
    }
    context.set_cert_store(store.build());
    context.set_verify_callback(mode, strong_enough);
    ffi::limit_chain(context, CHAIN_BYTES);
    revoked::look_at(context, revoked);
    // A resumed session skips verification, so these doors have none.
    context.set_options(SslOptions::NO_TICKET);
    Ok(())
}

/// Called for each certificate of a verified chain from the anchor down, and for each fault.
fn strong_enough(verified: bool, context: &mut X509StoreContextRef) -> bool {
    if !verified || context.error_depth() != 0 {
        return verified;
    }
    let suffices = context.chain().is_some_and(strength::suffices);
    if !suffices {
        context.set_error(Err(X509VerifyError::APPLICATION_VERIFICATION));
    }
    suffices
}

/// ALPN (RFC 7301 §3.2): our order decides; a client that asks for other protocols only is
/// refused, one that asks for none is served.
fn select_protocol(context: &mut SslContextBuilder, ours: &[&'static str]) {
    if ours.is_empty() {
        return;
    }
    let ours = ours.to_vec();
    context.set_alpn_select_callback(move |_, theirs| {
        ours.iter()
            .find_map(|name| offered_protocols(theirs).find(|offer| *offer == name.as_bytes()))
            .ok_or(AlpnError::ALERT_FATAL)
    });
}

/// The names in a ProtocolNameList (RFC 7301 §3.1): each with a length octet before it. The engine
/// has checked the form; a broken rest would end the list.
fn offered_protocols(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(*len))?;
        rest = after;
        Some(name)
    })
}
