//! How a native refusal becomes a Python exception: one class, a code, a sentence.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pyo3::create_exception!(
    sealcast._core,
    CoreError,
    PyException,
    "A refusal of the native side: `code` is a row of `sealcast.codes`, `detail` a sentence."
);

/// Builds the exception for `code`.
///
/// The stable ABI of Python 3.11 has no native subclasses of exceptions with fields, so the two
/// fields are set on the instance.
pub fn refusal(code: &str, detail: impl std::fmt::Display) -> PyErr {
    let detail = detail.to_string();
    let error = CoreError::new_err(format!("{code}: {detail}"));
    let set = Python::attach(|py| {
        let value = error.value(py);
        value.setattr("code", code)?;
        value.setattr("detail", detail)
    });
    match set {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

/// The code of a value from Python that does not have the agreed form.
pub const BAD_ARGUMENT: &str = "CORE.BAD_ARGUMENT";

/// The code of a call on an SRTP context after its `close()`.
pub const CONTEXT_CLOSED: &str = "SRTP.CONTEXT_CLOSED";

/// The code of a call on an SRTP context in a process that was forked after it was made.
pub const CONTEXT_FORKED: &str = "SRTP.CONTEXT_FORKED";

/// The code of a name that is no SRTP profile.
pub const UNKNOWN_PROFILE: &str = "SRTP.UNKNOWN_PROFILE";

/// The code of an argument that a DTLS endpoint cannot take.
pub const DTLS_BAD_ARGUMENT: &str = "DTLS.BAD_ARGUMENT";

/// The code of a call to an endpoint that another thread is using.
pub const DTLS_IN_USE: &str = "DTLS.IN_USE";

/// The code of a call to an endpoint, or for keys, in a process that was forked after they were made.
pub const DTLS_FORKED: &str = "DTLS.FORKED";

/// The code of asking a second time for keys that leave once.
pub const DTLS_KEYS_TAKEN: &str = "DTLS.KEYS_TAKEN";

/// The code of a call to a TLS connection that another thread is using.
pub const TLS_IN_USE: &str = "TLS.IN_USE";

/// The code of a call to a TLS connection in a process that was forked after it was made.
pub const TLS_FORKED: &str = "TLS.FORKED";

/// All codes that this crate itself can emit.
pub const CODES: &[&str] = &[
    BAD_ARGUMENT,
    CONTEXT_CLOSED,
    CONTEXT_FORKED,
    UNKNOWN_PROFILE,
    DTLS_BAD_ARGUMENT,
    DTLS_FORKED,
    DTLS_IN_USE,
    DTLS_KEYS_TAKEN,
    TLS_FORKED,
    TLS_IN_USE,
];
