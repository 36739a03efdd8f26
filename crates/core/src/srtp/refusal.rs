//! How a packet or a key that goes no further becomes an exception of `sealcast.errors`.
//!
//! Each reason is one number in a batch's outcomes, one code and one class. The classes live in
//! Python (`sealcast.errors.SRTP_ERRORS`), so that they have one hierarchy with all others.

use std::fmt::Display;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use sealcast_srtp::SrtpError;

use crate::error::{refusal, CONTEXT_CLOSED, CONTEXT_FORKED};

/// Why a packet went no further.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Refusal {
    /// The context refused the packet.
    Packet(SrtpError),
    /// The context was closed.
    Closed,
    /// The context belongs to the process that this one was forked from.
    Forked,
}

impl Refusal {
    /// Its place in [`outcomes`]; 0 is success.
    pub(crate) fn number(self) -> u8 {
        let number = match self {
            // In the order of `SrtpError::ALL`, as everything that counts them.
            Self::Packet(error) => 1 + error as usize,
            Self::Closed => 1 + SrtpError::ALL.len(),
            Self::Forked => 2 + SrtpError::ALL.len(),
        };
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    /// The exception for it, to raise or to list; without a detail its code says everything.
    #[cold]
    pub(crate) fn exception<'py>(
        self,
        py: Python<'py>,
        detail: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = classes(py)?[usize::from(self.number())].bind(py);
        match detail {
            None => class.call0(),
            Some(detail) => class.call1((format!("{detail}."),)),
        }
    }

    /// The same, to raise.
    #[cold]
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        raisable(self.exception(py, None))
    }
}

/// An exception, or the one that came in its way.
#[cold]
pub(crate) fn raisable(exception: PyResult<Bound<'_, PyAny>>) -> PyErr {
    exception.map_or_else(|error| error, PyErr::from_value)
}

impl From<SrtpError> for Refusal {
    fn from(error: SrtpError) -> Self {
        Self::Packet(error)
    }
}

/// The code of every outcome, by number; success has none.
pub(crate) fn outcomes() -> Vec<&'static str> {
    let mut codes = vec![""];
    codes.extend(SrtpError::ALL.map(SrtpError::code));
    codes.extend([CONTEXT_CLOSED, CONTEXT_FORKED]);
    codes
}

/// The exception for a key, an option or a call that was refused, with `sentence` as its detail.
#[cold]
pub(crate) fn refused(py: Python<'_>, code: &'static str, sentence: impl Display) -> PyErr {
    match class(py, code) {
        Ok(class) => PyErr::from_type(class, (format!("{sentence}."),)),
        Err(error) => error,
    }
}

/// The exception for a code whose own sentence says everything.
#[cold]
pub(crate) fn refused_by_name(py: Python<'_>, code: &'static str) -> PyErr {
    match class(py, code) {
        Ok(class) => PyErr::from_type(class, ()),
        Err(error) => error,
    }
}

fn classes(py: Python<'_>) -> PyResult<&Vec<Py<PyType>>> {
    static CLASSES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        // Number 0 is never raised; the first class keeps its place.
        let codes = outcomes();
        let named = codes
            .iter()
            .map(|code| if code.is_empty() { codes[1] } else { code });
        named
            .map(|code| class(py, code).map(Bound::unbind))
            .collect()
    })
}

fn class<'py>(py: Python<'py>, code: &str) -> PyResult<Bound<'py, PyType>> {
    let errors = py.import("sealcast.errors")?.getattr("SRTP_ERRORS")?;
    let found = errors.cast_into::<PyDict>()?.get_item(code)?;
    let Some(found) = found else {
        return Err(refusal(code, "no class of sealcast.errors has this code"));
    };
    Ok(found.cast_into::<PyType>()?)
}
