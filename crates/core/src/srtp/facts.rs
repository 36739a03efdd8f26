//! What a context tells about itself: counters per SSRC, counters in all, and the life of its
//! keys. Values that never change; see `_core.pyi` for what each field means.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use sealcast_srtp::{KeyEvent, SrtpError, StreamStatistics, Totals};

/// What a context knows of one SSRC.
#[pyclass(module = "sealcast.srtp", frozen, eq, get_all)]
#[derive(Clone, Eq, PartialEq)]
pub struct SrtpStream {
    ssrc: u32,
    rtp_packets: u64,
    rtp_bytes: u64,
    rtcp_packets: u64,
    rtcp_bytes: u64,
    replayed: u64,
    too_old: u64,
    authentication_failed: u64,
    roc: u32,
    highest_index: Option<u64>,
    highest_rtcp_index: Option<u32>,
}

#[pymethods]
impl SrtpStream {
    fn __repr__(&self) -> String {
        format!(
            "SrtpStream(ssrc={:#010x}, rtp_packets={}, rtcp_packets={}, replayed={}, too_old={}, \
             authentication_failed={}, roc={})",
            self.ssrc,
            self.rtp_packets,
            self.rtcp_packets,
            self.replayed,
            self.too_old,
            self.authentication_failed,
            self.roc
        )
    }
}

impl From<StreamStatistics> for SrtpStream {
    fn from(one: StreamStatistics) -> Self {
        Self {
            ssrc: one.ssrc,
            rtp_packets: one.rtp_packets,
            rtp_bytes: one.rtp_bytes,
            rtcp_packets: one.rtcp_packets,
            rtcp_bytes: one.rtcp_bytes,
            replayed: one.replayed,
            too_old: one.too_old,
            authentication_failed: one.authentication_failed,
            roc: one.roc,
            highest_index: one.highest_index,
            highest_rtcp_index: one.highest_rtcp_index,
        }
    }
}

/// What a context has counted over all SSRCs, known or not.
#[pyclass(module = "sealcast.srtp", frozen, eq)]
#[derive(Clone, Eq, PartialEq)]
pub struct SrtpTotals {
    #[pyo3(get)]
    rtp_packets: u64,
    #[pyo3(get)]
    rtp_bytes: u64,
    #[pyo3(get)]
    rtcp_packets: u64,
    #[pyo3(get)]
    rtcp_bytes: u64,
    refused: Vec<(&'static str, u64)>,
}

#[pymethods]
impl SrtpTotals {
    /// How many packets were refused, by code; codes that never came are not in it.
    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = PyDict::new(py);
        for (code, count) in &self.refused {
            counts.set_item(code, count)?;
        }
        Ok(counts)
    }

    fn __repr__(&self) -> String {
        format!(
            "SrtpTotals(rtp_packets={}, rtcp_packets={}, refused={:?})",
            self.rtp_packets, self.rtcp_packets, self.refused
        )
    }
}

impl From<Totals> for SrtpTotals {
    fn from(totals: Totals) -> Self {
        let counted = SrtpError::ALL.map(|fate| (fate.code(), totals.refused(fate)));
        Self {
            rtp_packets: totals.rtp_packets,
            rtp_bytes: totals.rtp_bytes,
            rtcp_packets: totals.rtcp_packets,
            rtcp_bytes: totals.rtcp_bytes,
            refused: counted
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// A master key reached its soft limit: agree on another one now.
#[pyclass(module = "sealcast.srtp", frozen, eq)]
#[derive(Clone, Eq, PartialEq)]
pub struct KeyNearlySpent {
    mki: Vec<u8>,
    #[pyo3(get)]
    protocol: String,
    #[pyo3(get)]
    remaining: u64,
    #[pyo3(get)]
    code: &'static str,
}

#[pymethods]
impl KeyNearlySpent {
    #[getter]
    fn mki<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mki)
    }

    fn __repr__(&self) -> String {
        format!(
            "KeyNearlySpent(protocol='{}', remaining={})",
            self.protocol, self.remaining
        )
    }
}

/// A master key reached its hard limit: it protects and opens no more packets of this protocol.
#[pyclass(module = "sealcast.srtp", frozen, eq)]
#[derive(Clone, Eq, PartialEq)]
pub struct KeySpent {
    mki: Vec<u8>,
    #[pyo3(get)]
    protocol: String,
    #[pyo3(get)]
    code: &'static str,
}

#[pymethods]
impl KeySpent {
    #[getter]
    fn mki<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.mki)
    }

    fn __repr__(&self) -> String {
        format!("KeySpent(protocol='{}')", self.protocol)
    }
}

/// An event as its Python object.
pub(crate) fn event<'py>(py: Python<'py>, event: &KeyEvent) -> PyResult<Bound<'py, PyAny>> {
    let code = event.code();
    match event {
        KeyEvent::NearlySpent {
            mki,
            kind,
            remaining,
        } => {
            let event = KeyNearlySpent {
                mki: mki.as_bytes().to_vec(),
                protocol: kind.to_string(),
                remaining: *remaining,
                code,
            };
            Ok(Bound::new(py, event)?.into_any())
        }
        KeyEvent::Spent { mki, kind } => {
            let event = KeySpent {
                mki: mki.as_bytes().to_vec(),
                protocol: kind.to_string(),
                code,
            };
            Ok(Bound::new(py, event)?.into_any())
        }
    }
}
