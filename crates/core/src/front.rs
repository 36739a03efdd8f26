//! The TCP side: doors, the proxy to the application, raw TLS ingest.

use std::collections::HashSet;
use std::os::fd::{IntoRawFd, RawFd};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_front::{CertificateId, DoorSpec, FrontConfig, FrontHandle, LastAnswer};

use crate::error::{refusal, BAD_ARGUMENT};
use crate::media::json;

/// The front's threads and doors.
#[pyclass(module = "sealcast._core", frozen)]
pub struct Front {
    handle: FrontHandle,
}

#[pymethods]
impl Front {
    #[new]
    #[pyo3(signature = (*, app_socket, secret, threads = 1))]
    fn new(py: Python<'_>, app_socket: String, secret: String, threads: usize) -> PyResult<Self> {
        let config = FrontConfig {
            app_socket: app_socket.into(),
            secret,
            threads,
        };
        let handle = py
            .detach(|| FrontHandle::start(config))
            .map_err(|error| refusal(error.code(), error))?;
        Ok(Self { handle })
    }

    /// Opens a door (JSON of `sealcast.wire.DoorSpec`); returns the addresses that it listens on.
    #[pyo3(signature = (spec, chain_pem, key_pem, client_roots_pem))]
    fn open_door(
        &self,
        py: Python<'_>,
        spec: &[u8],
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: Option<&[u8]>,
    ) -> PyResult<Vec<String>> {
        let spec: DoorSpec = serde_json::from_slice(spec)
            .map_err(|error| refusal(BAD_ARGUMENT, format!("the door's specification: {error}")))?;
        let addresses = py
            .detach(|| {
                self.handle
                    .open_door(spec, chain_pem, key_pem, client_roots_pem)
            })
            .map_err(|error| refusal(error.code(), error))?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    /// Gives a door another certificate and other client roots; running connections stay.
    #[pyo3(signature = (door, chain_pem, key_pem, client_roots_pem))]
    fn swap(
        &self,
        py: Python<'_>,
        door: &str,
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: Option<&[u8]>,
    ) -> PyResult<()> {
        py.detach(|| self.handle.swap(door, chain_pem, key_pem, client_roots_pem))
            .map_err(|error| refusal(error.code(), error))
    }

    /// Answers TLS challenges of ACME for a server name at a door, or with `None` no longer.
    #[pyo3(signature = (door, server_name, pair))]
    fn set_challenge(
        &self,
        py: Python<'_>,
        door: &str,
        server_name: &str,
        pair: Option<(Vec<u8>, Vec<u8>)>,
    ) -> PyResult<()> {
        let pair = pair.as_ref().map(|(chain, key)| (&chain[..], &key[..]));
        py.detach(|| self.handle.set_challenge(door, server_name, pair))
            .map_err(|error| refusal(error.code(), error))
    }

    /// Makes these certificates, each as `"<issuer's key id>:<serial>"` in hexadecimal, the revoked
    /// ones; returns how many open connections that ends.
    fn set_revoked(&self, py: Python<'_>, revoked: Vec<String>) -> PyResult<usize> {
        let revoked = revoked
            .iter()
            .map(|text| text.parse())
            .collect::<Result<HashSet<CertificateId>, _>>()
            .map_err(|error| refusal(BAD_ARGUMENT, error))?;
        Ok(py.detach(|| self.handle.set_revoked(revoked)))
    }

    /// An eventfd that is readable while events wait.
    fn fileno(&self) -> RawFd {
        self.handle.event_fd()
    }

    /// All waiting events, as one JSON array.
    fn drain_events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.handle.drain_events())
    }

    /// The plaintext end of an ingest connection: a blocking socket that the caller now owns.
    fn take_ingest(&self, connection: u64) -> PyResult<RawFd> {
        self.handle
            .take_ingest(connection)
            .map(IntoRawFd::into_raw_fd)
            .ok_or_else(|| {
                refusal(
                    BAD_ARGUMENT,
                    format!("connection {connection} has no plaintext end to take; it has ended or was taken"),
                )
            })
    }

    /// The plaintext end of a request's body, by the ticket that came with its head: a blocking
    /// socket that the caller now owns.
    fn take_body(&self, ticket: u64) -> PyResult<RawFd> {
        self.handle
            .take_body(ticket)?
            .map(IntoRawFd::into_raw_fd)
            .ok_or_else(|| {
                refusal(
                    BAD_ARGUMENT,
                    format!("body {ticket} cannot be taken; its request is over or it was taken"),
                )
            })
    }

    /// Answers the client whose body was taken, and ends the body; `false` if its request was answered,
    /// or is over.
    fn answer_body(&self, ticket: u64, status: u16, media_type: String, body: Vec<u8>) -> bool {
        let answer = LastAnswer {
            status,
            media_type,
            body,
        };
        self.handle.answer_body(ticket, answer)
    }

    /// What is known of a connection, as JSON; `None` once it is gone.
    fn facts<'py>(
        &self,
        py: Python<'py>,
        connection: u64,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.handle
            .facts(connection)
            .map(|facts| json(py, &facts))
            .transpose()
    }

    fn close_connection(&self, connection: u64, code: &str) {
        self.handle.close_connection(connection, code);
    }

    /// Counters by door and code, as JSON.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.handle.counters())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.handle.stop());
    }
}
