//! Single steps of SRTP under stated keys, so that published vectors run through Python too.
//!
//! For tests: nothing here keeps state, so nothing here can promise that an index is used once.
//! See `sealcast_srtp::known_answer`, and `sealcast.testing.srtp_vectors` for who calls it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_srtp::known_answer::{self, AeadSession, Purpose};
use sealcast_srtp::MasterKey;

use super::key::profile;
use super::refusal::refused;
use crate::error::{refusal, BAD_ARGUMENT};

/// The session keys of a master key: of the cipher, of authentication, and the salt.
#[pyfunction]
pub fn srtp_known_session_keys<'py>(
    py: Python<'py>,
    profile: &str,
    master_key: &[u8],
    master_salt: &[u8],
    purpose: &str,
    period: u64,
) -> PyResult<[Bound<'py, PyBytes>; 3]> {
    let purpose = match purpose {
        "rtp" => Purpose::Rtp,
        "rtcp" => Purpose::Rtcp,
        "rtp_header" => Purpose::RtpHeader,
        other => {
            let sentence = format!("no purpose of session keys is named {other:?}");
            return Err(refusal(BAD_ARGUMENT, sentence));
        }
    };
    let master = MasterKey::new(self::profile(py, profile)?, master_key, master_salt)
        .map_err(|error| refused(py, error.code(), error))?;
    let keys = known_answer::derive(&master, purpose, period)
        .map_err(|error| refused(py, error.code(), error))?;
    Ok([keys.encryption, keys.authentication, keys.salt].map(|key| PyBytes::new(py, &key)))
}

/// The keystream of AES-CM for one packet.
#[pyfunction]
pub fn srtp_known_keystream<'py>(
    py: Python<'py>,
    profile: &str,
    key: &[u8],
    salt: &[u8],
    ssrc: u32,
    index: u64,
    length: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    known_answer::keystream(self::profile(py, profile)?, key, salt, ssrc, index, length)
        .map(|stream| PyBytes::new(py, &stream))
        .map_err(|error| refused(py, error.code(), error))
}

/// One packet sealed by an AEAD under session keys; `encrypted` is the E flag of SRTCP.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the fields of a vector")]
pub fn srtp_known_aead_seal<'py>(
    py: Python<'py>,
    profile: &str,
    key: &[u8],
    salt: &[u8],
    plain: &[u8],
    index: u64,
    rtcp: bool,
    encrypted: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut session = AeadSession::new(self::profile(py, profile)?, key, salt)
        .map_err(|error| refused(py, error.code(), error))?;
    let sealed = if rtcp {
        session.seal_rtcp(plain, u32::try_from(index)?, encrypted)
    } else {
        session.seal_rtp(plain, index)
    };
    sealed
        .map(|packet| PyBytes::new(py, &packet))
        .map_err(|error| refused(py, error.code(), error))
}

/// One packet opened by an AEAD under session keys; `index` is not used for SRTCP, which has it.
#[pyfunction]
pub fn srtp_known_aead_open<'py>(
    py: Python<'py>,
    profile: &str,
    key: &[u8],
    salt: &[u8],
    protected: &[u8],
    index: u64,
    rtcp: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut session = AeadSession::new(self::profile(py, profile)?, key, salt)
        .map_err(|error| refused(py, error.code(), error))?;
    let opened = if rtcp {
        session.open_rtcp(protected).map(|(packet, _)| packet)
    } else {
        session.open_rtp(protected, index)
    };
    opened
        .map(|packet| PyBytes::new(py, &packet))
        .map_err(|error| refused(py, error.code(), error))
}
