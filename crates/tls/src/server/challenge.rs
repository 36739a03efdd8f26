//! Certificates that answer an authority's question by TLS: ACME's tls-alpn-01 (RFC 8737).
//!
//! **What it does.** A table by server name, shared by all contexts of a door. A ClientHello that
//! offers `acme-tls/1` and nothing else, and names a server that is in the table, meets that
//! certificate instead of the door's; its handshake agrees on `acme-tls/1`.
//!
//! **What it does not.** Without an open challenge nothing is different: the door speaks no
//! `acme-tls/1`, and refuses who offers only that.
//!
//! **What the caller must still do.** Close a connection that [`is_answer`] at once: nothing else
//! may travel on it (RFC 8737 §3).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use boring::ssl::{
    AlpnError, ClientHello, ExtensionType, NameType, SslContext, SslMethod, SslOptions, SslRef,
    SslSessionCacheMode,
};

use crate::{Identity, TlsError};

/// The protocol's name in ALPN (RFC 8737 §6.2).
const PROTOCOL: &[u8] = b"acme-tls/1";
/// The same as a whole list of one name (RFC 7301 §3.1): both lengths, then the name.
const ALONE: &[u8] = b"\x00\x0b\x0aacme-tls/1";

/// The open challenges of one door.
#[derive(Default)]
pub struct Challenges(RwLock<HashMap<String, SslContext>>);

impl Challenges {
    /// From now on `server_name` is answered with this certificate.
    ///
    /// # Errors
    /// If the engine has no memory left, or does not take the certificate.
    pub fn open(&self, server_name: &str, identity: &Identity) -> Result<(), TlsError> {
        let context = context(identity)?;
        self.with(|open| open.insert(server_name.to_ascii_lowercase(), context));
        Ok(())
    }

    /// From now on it is not; whether it was.
    pub fn close(&self, server_name: &str) -> bool {
        self.with(|open| open.remove(&server_name.to_ascii_lowercase()).is_some())
    }

    /// Gives a connection that asks for a challenge's certificate that certificate.
    pub(crate) fn meet(&self, hello: &mut ClientHello<'_>) {
        let offered = hello.get_extension(ExtensionType::APPLICATION_LAYER_PROTOCOL_NEGOTIATION);
        if offered != Some(ALONE) {
            return;
        }
        let Some(name) = hello.servername(NameType::HOST_NAME) else {
            return;
        };
        let name = name.to_ascii_lowercase();
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = open.get(&name) {
            // Without memory the door's own certificate stays, and the authority's check fails.
            let _ = hello.ssl_mut().set_ssl_context(context);
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<String, SslContext>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an established connection was for the answer to a challenge alone.
pub fn is_answer(ssl: &SslRef) -> bool {
    ssl.selected_alpn_protocol() == Some(PROTOCOL)
}

fn context(identity: &Identity) -> Result<SslContext, TlsError> {
    let mut context =
        SslContext::builder(SslMethod::tls()).map_err(TlsError::engine("make a TLS context"))?;
    identity.install_in_context(&mut context)?;
    context.set_options(SslOptions::NO_TICKET);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Only who offers it alone comes here.
    context.set_alpn_select_callback(|_, theirs| {
        let name = theirs.get(1..).filter(|name| *name == PROTOCOL);
        name.ok_or(AlpnError::ALERT_FATAL)
    });
    Ok(context.build())
}
