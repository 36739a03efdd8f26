//! The DTLS context: one per distinct policy, shared by all endpoints that have it.
//!
//! A context costs far more than an endpoint, and nothing of a leg stands in it: certificate,
//! expectation and timers belong to the connection.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use boring::ssl::{SslContext, SslOptions, SslSessionCacheMode, SslVerifyMode};

use super::proof;
use crate::{ffi, suites, version, witness, TlsError, Version};

/// The engine's time when an endpoint is created. Above zero, so that no subtraction of a
/// lifetime underflows.
pub(super) const ENGINE_EPOCH: Duration = Duration::from_secs(1 << 20);

/// Policies come from a few presets; more than this many at once means that somebody generates
/// them, and then the oldest goes.
const MAX_CONTEXTS: usize = 32;

/// What distinguishes one context from another.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(super) struct Policy {
    pub min_version: Version,
    pub max_version: Version,
    pub groups: String,
    pub srtp_profiles: String,
}

static CONTEXTS: Mutex<Vec<(Policy, SslContext)>> = Mutex::new(Vec::new());

/// The context of a policy, made when first asked for.
pub(super) fn shared(policy: &Policy) -> Result<SslContext, TlsError> {
    // The list is whole after every statement below, so a poisoned lock is still good.
    let mut contexts = CONTEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, context)) = contexts.iter().find(|(known, _)| known == policy) {
        return Ok(context.clone());
    }
    let context = build(policy)?;
    if contexts.len() >= MAX_CONTEXTS {
        contexts.remove(0);
    }
    contexts.push((policy.clone(), context.clone()));
    Ok(context)
}

fn build(policy: &Policy) -> Result<SslContext, TlsError> {
    let mut context = version::dtls_context(policy.min_version, policy.max_version)?;
    suites::install(&mut context, &policy.groups)?;
    context
        .set_tlsext_use_srtp(&policy.srtp_profiles)
        .map_err(|_| {
            TlsError::BadPolicy(format!(
                "the SRTP profile list {:?} is empty or names an unknown profile",
                policy.srtp_profiles
            ))
        })?;
    // No tickets and no cache: every leg proves its peer afresh.
    context.set_options(SslOptions::NO_TICKET | SslOptions::CIPHER_SERVER_PREFERENCE);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Both ends present a certificate (RFC 8827 §6.5); a server fails a client without one.
    context.set_custom_verify_callback(
        SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        proof::verify,
    );
    witness::watch(&mut context);
    ffi::use_engine_time(&mut context);
    Ok(context.build())
}
