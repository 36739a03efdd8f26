//! How a packet or a key that goes no further becomes an exception of `sealcast.errors`.
//!
//! Each reason is one number in a batch's outcomes, one code and one class. The classes live in
//! Python (`sealcast.errors.SRTP_ERRORS`), so that they have one hierarchy with all others.

use std::fmt::Display;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use sealcast_srtp::{what_is_malformed, PacketKind, SrtpError};

use super::context::Kind;
use super::memory::readable;
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

    /// The exception that is raised for it.
    #[cold]
    pub(crate) fn raised(self, py: Python<'_>) -> PyErr {
        match classes(py) {
            Ok(classes) => {
                PyErr::from_type(classes[usize::from(self.number())].bind(py).clone(), ())
            }
            Err(error) => error,
        }
    }

    /// The exception for one packet of the caller's; it names what is malformed.
    #[cold]
    pub(crate) fn raised_for(self, packet: &Bound<'_, PyAny>, kind: Kind) -> PyErr {
        let py = packet.py();
        if self != Self::Packet(SrtpError::Malformed) {
            return self.raised(py);
        }
        let kind = match kind {
            Kind::Rtp => PacketKind::Rtp,
            Kind::Rtcp => PacketKind::Rtcp,
        };
        let told = readable(packet, "the packet", |packet| {
            // SAFETY: the view is held, and the GIL keeps Python code from writing.
            Ok(what_is_malformed(kind, unsafe { packet.bytes() }))
        });
        match told {
            Ok(sentence) => refused(py, SrtpError::Malformed.code(), sentence),
            Err(error) => error,
        }
    }

    /// The exception as an element of a batch's results, without raising it.
    #[cold]
    pub(crate) fn listed(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        classes(py)?[usize::from(self.number())].bind(py).call0()
    }
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
