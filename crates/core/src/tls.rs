//! A TLS connection that we open, for Python: the client of `sealcast_tls`, one thread at a time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_srtp::Process;
use sealcast_tls::client::{
    ClientConfig, ClientIdentity, ClientState, Failure, TlsClient as Client,
};
use sealcast_tls::{codes, Authority, Chain, Identity, PeerName, TlsError};
use serde::{Deserialize, Serialize};

use crate::error::{refusal, BAD_ARGUMENT, TLS_FORKED, TLS_IN_USE};
use crate::media::json;

/// The JSON of `sealcast.wire.TlsClientSpec`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    min_version: String,
    max_version: String,
    groups: String,
    alpn: Vec<String>,
    peer_uri: Option<String>,
    peer_dns: Option<String>,
    peer_address: Option<String>,
    sni: Option<String>,
}

/// The JSON of `sealcast.wire.TlsEnd`.
#[derive(Serialize)]
struct End<'a> {
    code: Option<&'static str>,
    detail: &'a str,
    alert_sent: Option<&'static str>,
    alert_received: Option<&'static str>,
}

/// One TLS connection that we open.
#[pyclass(module = "sealcast._core", frozen)]
pub struct TlsClient {
    client: Mutex<Client>,
    /// Two processes would write records with the same numbers under one key.
    made_in: Process,
}

#[pymethods]
impl TlsClient {
    #[new]
    #[pyo3(signature = (spec, roots_pem, chain_pem = None, key_pem = None))]
    fn new(
        py: Python<'_>,
        spec: &[u8],
        roots_pem: &[u8],
        chain_pem: Option<&[u8]>,
        key_pem: Option<&[u8]>,
    ) -> PyResult<Self> {
        let spec: Spec = serde_json::from_slice(spec).map_err(|error| {
            refusal(
                BAD_ARGUMENT,
                format!("the connection's specification: {error}"),
            )
        })?;
        let config = config(spec, roots_pem, identity(chain_pem, key_pem)?)?;
        let client = py.detach(|| Client::new(&config)).map_err(refuse)?;
        Ok(Self {
            client: Mutex::new(client),
            made_in: Process::current(),
        })
    }

    /// Takes what the server sent.
    fn receive(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let mut entered = self.enter()?;
        let client: &mut Client = &mut entered;
        py.detach(|| client.receive(data));
        Ok(())
    }

    /// The server's bytes have ended.
    fn receive_end(&self, py: Python<'_>) -> PyResult<()> {
        let mut entered = self.enter()?;
        let client: &mut Client = &mut entered;
        py.detach(|| client.receive_end());
        Ok(())
    }

    /// What is to be sent now.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let sealed = self.enter()?.take();
        Ok(PyBytes::new(py, &sealed))
    }

    /// Up to `most` bytes of the server's plaintext.
    fn read<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut entered = self.enter()?;
        let client: &mut Client = &mut entered;
        let plain = py.detach(|| client.read(most));
        Ok(PyBytes::new(py, &plain))
    }

    /// Seals bytes for the server.
    fn write(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let mut entered = self.enter()?;
        let client: &mut Client = &mut entered;
        py.detach(|| client.write(data)).map_err(refuse)
    }

    /// Says that nothing more comes from us.
    fn close(&self) -> PyResult<()> {
        self.enter()?.close();
        Ok(())
    }

    /// The scheme and the message of the signature that the handshake waits for.
    fn signature_wanted<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(&'static str, Bound<'py, PyBytes>)>> {
        let client = self.enter()?;
        let wanted = client.signature_wanted();
        Ok(wanted.map(|wanted| (wanted.scheme, PyBytes::new(py, &wanted.message))))
    }

    /// The signature that was wanted.
    fn sign(&self, py: Python<'_>, signature: &[u8]) -> PyResult<()> {
        let mut entered = self.enter()?;
        let client: &mut Client = &mut entered;
        py.detach(|| client.sign(signature));
        Ok(())
    }

    /// There will be no signature.
    fn decline_to_sign(&self, why: &str) -> PyResult<()> {
        self.enter()?.decline_to_sign(why);
        Ok(())
    }

    /// What was negotiated, as JSON of `sealcast.wire.TlsFacts`, once the handshake is over.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let facts = self.enter()?.facts().cloned();
        facts.map(|facts| json(py, &facts)).transpose()
    }

    /// How the connection ended, as JSON of `sealcast.wire.TlsEnd`; nothing while it has not.
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let state = self.enter()?.state().clone();
        let end = match &state {
            ClientState::Handshake | ClientState::Open => return Ok(None),
            ClientState::Closed => End {
                code: None,
                detail: "",
                alert_sent: None,
                alert_received: None,
            },
            ClientState::Failed(Failure {
                code,
                detail,
                alert_sent,
                alert_received,
            }) => End {
                code: Some(code),
                detail,
                alert_sent: *alert_sent,
                alert_received: *alert_received,
            },
        };
        json(py, &end).map(Some)
    }
}

impl TlsClient {
    /// The connection, if no other thread is at work on it. Waiting would hide the mistake, and
    /// with the GIL held it could stop the whole program.
    fn enter(&self) -> PyResult<MutexGuard<'_, Client>> {
        // Asked before the lock: in a child it may be held by a thread that was not forked with it.
        if !self.made_in.is_current() {
            return Err(refusal(
                TLS_FORKED,
                "it was made before this process was forked, and its parent goes on with it",
            ));
        }
        match self.client.try_lock() {
            Ok(client) => Ok(client),
            Err(TryLockError::WouldBlock) => Err(refusal(
                TLS_IN_USE,
                "another thread is inside a call to this connection",
            )),
            Err(TryLockError::Poisoned(_)) => Err(refusal(
                codes::TLS_SERVER_FAILED,
                "an earlier call to this connection did not end; make a new one",
            )),
        }
    }
}

fn refuse(error: TlsError) -> PyErr {
    refusal(error.code(), error)
}

fn identity(chain_pem: Option<&[u8]>, key_pem: Option<&[u8]>) -> PyResult<ClientIdentity> {
    match (chain_pem, key_pem) {
        (None, None) => Ok(ClientIdentity::Nobody),
        (Some(chain), Some(key)) => {
            let identity = Identity::from_pem(chain, key).map_err(refuse)?;
            Ok(ClientIdentity::Held(Arc::new(identity)))
        }
        (Some(chain), None) => {
            let chain = Chain::from_pem(chain).map_err(refuse)?;
            Ok(ClientIdentity::Outside(Arc::new(chain)))
        }
        (None, Some(_)) => Err(refusal(
            codes::TLS_UNREADABLE_CERTIFICATE,
            "there is a key without a certificate",
        )),
    }
}

fn config(spec: Spec, roots_pem: &[u8], identity: ClientIdentity) -> PyResult<ClientConfig> {
    let name = match (spec.peer_uri, spec.peer_dns, spec.peer_address) {
        (Some(uri), None, None) => PeerName::Uri(uri),
        (None, Some(dns), None) => PeerName::Dns(dns),
        (None, None, Some(address)) => {
            let parsed = address.parse::<IpAddr>().map_err(|_| {
                refusal(
                    codes::TLS_BAD_POLICY,
                    format!("{address:?} is not an IP address"),
                )
            })?;
            PeerName::Address(parsed)
        }
        _ => {
            return Err(refusal(
                codes::TLS_BAD_POLICY,
                "a server is expected by one name: a URI, a DNS name or an address",
            ))
        }
    };
    let server = Authority::from_pem(roots_pem, Some(name)).map_err(refuse)?;
    Ok(ClientConfig {
        min_version: spec.min_version.parse().map_err(refuse)?,
        max_version: spec.max_version.parse().map_err(refuse)?,
        groups: spec.groups,
        alpn: spec.alpn,
        server: Arc::new(server),
        sni: spec.sni,
        identity,
    })
}
