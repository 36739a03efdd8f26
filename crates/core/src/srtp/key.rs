//! Profile, master key and master salt as Python hands them in.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sealcast_srtp::{MasterKey, Mki, Profile};

use super::memory::readable;
use super::refusal::refused;
use crate::error::UNKNOWN_PROFILE;

/// The profile that a caller hands in.
pub(crate) fn wanted_profile(value: &Bound<'_, PyAny>) -> PyResult<Profile> {
    match value.extract() {
        Ok(name) => profile(value.py(), name),
        Err(_) => Err(PyTypeError::new_err(format!(
            "profile must be an SrtpProfile, not {}",
            value.get_type().name()?
        ))),
    }
}

/// The profile with this name (`sealcast.srtp.SrtpProfile` is a string enumeration).
pub(crate) fn profile(py: Python<'_>, name: &str) -> PyResult<Profile> {
    Profile::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Profile::ALL.into_iter().map(Profile::name).collect();
        refused(
            py,
            UNKNOWN_PROFILE,
            format!("{name:?} is none of {}", known.join(", ")),
        )
    })
}

/// Copies key and salt once, into memory that is wiped.
pub(crate) fn master_key(
    profile: Profile,
    key: &Bound<'_, PyAny>,
    salt: &Bound<'_, PyAny>,
) -> PyResult<MasterKey> {
    let py = key.py();
    secret(key, "the master key", |key| {
        secret(salt, "the master salt", |salt| {
            MasterKey::new(profile, key, salt).map_err(|error| refused(py, error.code(), error))
        })
    })
}

/// A master key identifier; none is the empty one.
pub(crate) fn mki(bytes: Option<&Bound<'_, PyAny>>) -> PyResult<Mki> {
    let Some(bytes) = bytes else {
        return Ok(Mki::default());
    };
    readable(bytes, "the master key identifier", |memory| {
        // SAFETY: the view is held, and the GIL keeps Python code from writing.
        Mki::new(unsafe { memory.bytes() })
            .map_err(|error| refused(bytes.py(), error.code(), error))
    })
}

/// Calls `with` with the bytes of a `sealcast.Secret`, where they lie, or of any buffer.
fn secret<R>(
    value: &Bound<'_, PyAny>,
    what: &str,
    with: impl FnOnce(&[u8]) -> PyResult<R>,
) -> PyResult<R> {
    // A buffer has no attribute of this name; a `Secret` is no buffer before Python 3.12.
    let lent = value.getattr_opt("lend")?;
    let lent = lent.map(|lend| lend.call0()).transpose()?;
    let result = readable(lent.as_ref().unwrap_or(value), what, |memory| {
        // SAFETY: the view is held, and the GIL keeps Python code from writing.
        with(unsafe { memory.bytes() })
    });
    if let Some(lent) = lent {
        lent.call_method0("release")?;
    }
    result
}
