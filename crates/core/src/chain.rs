//! What a door would say of a certificate chain, without a handshake.

use pyo3::prelude::*;
use sealcast_tls::server;

use crate::error::refusal;

/// Judges a client's chain (PEM, the leaf first) against a trust bundle (PEM): `None`, or the code
/// and the sentence with which a door would refuse it.
#[pyfunction]
pub fn judge_chain(
    py: Python<'_>,
    chain_pem: &[u8],
    roots_pem: &[u8],
) -> PyResult<Option<(&'static str, String)>> {
    py.detach(|| server::judge_chain(chain_pem, roots_pem))
        .map(|verdict| verdict.map(|refused| (refused.code, refused.detail)))
        .map_err(|error| refusal(error.code(), error))
}
