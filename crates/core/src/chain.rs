//! What a door would say of a certificate chain, without a handshake.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_tls::server;

use crate::error::refusal;
use crate::media::json;

/// Judges a client's chain (PEM, the leaf first) against a trust bundle (PEM): no code and the
/// SHA-256 of the chain's root, or the code and the sentence with which a door would refuse it.
#[pyfunction]
pub fn judge_chain(
    py: Python<'_>,
    chain_pem: &[u8],
    roots_pem: &[u8],
) -> PyResult<(Option<&'static str>, String)> {
    py.detach(|| server::judge_chain(chain_pem, roots_pem))
        .map(|verdict| match verdict {
            Ok(root_sha256) => (None, root_sha256),
            Err(refused) => (Some(refused.code), refused.detail),
        })
        .map_err(|error| refusal(error.code(), error))
}

/// The first certificate of a PEM text, as JSON of `sealcast.wire.PeerCertificate`.
#[pyfunction]
pub fn read_certificate<'py>(py: Python<'py>, chain_pem: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let leaf = server::leaf_of(chain_pem).map_err(|error| refusal(error.code(), error))?;
    json(py, &leaf)
}
