//! A peer's chain of certificates, judged outside a handshake by what judges it inside.

use pyo3::prelude::*;
use sealcast_tls::dtls::{judge_der, Role};
use sealcast_tls::{Authority, PeerName};

use crate::error::{refusal, DTLS_BAD_ARGUMENT};

/// Judges DER certificates, the leaf first, as those of a peer in `role`.
#[pyfunction]
#[pyo3(signature = (chain, roots_pem, role, uri=None, dns=None))]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what Python hands over is converted"
)]
pub fn judge_peer(
    py: Python<'_>,
    chain: Vec<Vec<u8>>,
    roots_pem: &[u8],
    role: &str,
    uri: Option<String>,
    dns: Option<String>,
) -> PyResult<()> {
    let role = match role {
        "client" => Role::Client,
        "server" => Role::Server,
        _ => return Err(refusal(DTLS_BAD_ARGUMENT, "role is client or server")),
    };
    let name = match (uri, dns) {
        (Some(_), Some(_)) => {
            return Err(refusal(
                DTLS_BAD_ARGUMENT,
                "a peer is expected by a URI or by a DNS name, not both",
            ))
        }
        (uri, dns) => uri.map(PeerName::Uri).or(dns.map(PeerName::Dns)),
    };
    let authority =
        Authority::from_pem(roots_pem, name).map_err(|error| refusal(error.code(), error))?;
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    py.detach(|| judge_der(&authority, &chain, role))
        .map_err(|(code, detail)| refusal(code, detail))
}
