//! The media side: one relay, its legs, and the handles that frames travel through.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_relay::{Command, IceCredentials, IceRestart, RelayConfig, RelayHandle};
use sealcast_tls::{FingerprintHash, Identity};

use crate::error::{refusal, BAD_ARGUMENT};

/// How long a snapshot or a restart may wait for the relay's thread before it is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A certificate and key for media legs; the key never leaves it.
#[pyclass(module = "sealcast._core", frozen)]
pub struct MediaIdentity {
    pub(crate) identity: Arc<Identity>,
}

#[pymethods]
impl MediaIdentity {
    /// Makes a self-signed P-256 certificate that nothing links to any other leg.
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        let identity = Identity::ephemeral().map_err(|error| refusal(error.code(), error))?;
        Ok(Self {
            identity: Arc::new(identity),
        })
    }

    /// Reads a PEM chain, leaf first, and its unencrypted PEM key.
    #[staticmethod]
    fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> PyResult<Self> {
        let identity =
            Identity::from_pem(chain_pem, key_pem).map_err(|error| refusal(error.code(), error))?;
        Ok(Self {
            identity: Arc::new(identity),
        })
    }

    /// The certificate's fingerprint as colon-separated hex (RFC 8122 §5).
    #[pyo3(signature = (algorithm = "sha-256"))]
    fn fingerprint(&self, algorithm: &str) -> PyResult<String> {
        let hash = FingerprintHash::from_name(algorithm).ok_or_else(|| {
            refusal(
                BAD_ARGUMENT,
                format!(
                    "no fingerprint hash is named {algorithm:?}; use sha-256, sha-384 or sha-512"
                ),
            )
        })?;
        Ok(self.identity.fingerprint(hash).value())
    }
}

/// The relay's thread: sockets, legs, tracks.
#[pyclass(module = "sealcast._core", frozen)]
pub struct Relay {
    handle: RelayHandle,
}

#[pymethods]
impl Relay {
    #[new]
    #[pyo3(signature = (*, binds))]
    fn new(py: Python<'_>, binds: Vec<String>) -> PyResult<Self> {
        let binds = binds
            .iter()
            .map(|text| address(text))
            .collect::<PyResult<Vec<SocketAddr>>>()?;
        let handle = py
            .detach(|| RelayHandle::start(RelayConfig::new(binds)))
            .map_err(|error| refusal(error.code(), error))?;
        Ok(Self { handle })
    }

    /// The addresses that candidates may name, as `ip:port`.
    fn local_addresses(&self) -> Vec<String> {
        let addresses = self.handle.local_addresses();
        addresses.iter().map(SocketAddr::to_string).collect()
    }

    /// An eventfd that is readable while events wait.
    fn fileno(&self) -> RawFd {
        self.handle.event_fd()
    }

    /// All waiting events, as one JSON array.
    fn drain_events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.handle.drain_events())
    }

    fn add_track(&self, track: u64, kind: &str, codec: &str, clock_rate: u32) -> PyResult<()> {
        let kind = named(kind, "kind of track")?;
        let codec = named(codec, "codec")?;
        self.command(Command::AddTrack {
            id: track,
            kind,
            codec,
            clock_rate,
        })
    }

    fn remove_track(&self, track: u64) -> PyResult<()> {
        self.command(Command::RemoveTrack { id: track })
    }

    /// Starts a leg from its specification (JSON of `sealcast.wire.LegSpec`).
    fn add_leg(&self, spec: &[u8], identity: &MediaIdentity) -> PyResult<()> {
        let spec = serde_json::from_slice(spec)
            .map_err(|error| refusal(BAD_ARGUMENT, format!("the leg's specification: {error}")))?;
        self.command(Command::AddLeg {
            spec: Box::new(spec),
            identity: Arc::clone(&identity.identity),
        })
    }

    /// Begins ICE anew with other credentials; waits until the relay has done it or refused.
    fn restart_ice(
        &self,
        py: Python<'_>,
        leg: u64,
        local_ufrag: String,
        local_pwd: String,
        remote_ufrag: String,
        remote_pwd: String,
    ) -> PyResult<()> {
        let restart = IceRestart {
            leg,
            local: IceCredentials {
                ufrag: local_ufrag,
                pwd: local_pwd,
            },
            remote: IceCredentials {
                ufrag: remote_ufrag,
                pwd: remote_pwd,
            },
        };
        py.detach(|| self.handle.restart_ice(restart, ANSWER_TIMEOUT))
            .map_err(|error| refusal(error.code(), error))
    }

    fn add_remote_candidate(&self, leg: u64, address: &str) -> PyResult<()> {
        let address = self::address(address)?;
        self.command(Command::AddRemoteCandidate { leg, address })
    }

    fn close_leg(&self, leg: u64, code: String) -> PyResult<()> {
        self.command(Command::CloseLeg { leg, code })
    }

    /// The way in for frames of `track` from the publisher known as `source`.
    fn frame_sink(&self, track: u64, source: u64) -> PyResult<FrameSink> {
        let sink = self
            .handle
            .frame_sink(track, source)
            .map_err(|error| refusal(error.code(), error))?;
        Ok(FrameSink { sink })
    }

    /// The way out for frames of `track`; lossy by contract when it is read too slowly.
    fn frame_tap(&self, track: u64) -> PyResult<FrameTap> {
        let tap = self
            .handle
            .frame_tap(track)
            .map_err(|error| refusal(error.code(), error))?;
        Ok(FrameTap { tap })
    }

    /// Counters of one leg as JSON, or none if there is no such leg (any more).
    fn leg_snapshot<'py>(
        &self,
        py: Python<'py>,
        leg: u64,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let snapshot = py
            .detach(|| self.handle.leg_snapshot(leg, ANSWER_TIMEOUT))
            .map_err(|error| refusal(error.code(), error))?;
        snapshot.map(|snapshot| json(py, &snapshot)).transpose()
    }

    /// Counters of the relay, its legs and its tracks, as JSON.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let snapshot = py
            .detach(|| self.handle.snapshot(ANSWER_TIMEOUT))
            .map_err(|error| refusal(error.code(), error))?;
        json(py, &snapshot)
    }

    /// Ends every leg and the thread; waits for it.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.handle.stop());
    }
}

impl Relay {
    fn command(&self, command: Command) -> PyResult<()> {
        self.handle
            .command(command)
            .map_err(|error| refusal(error.code(), error))
    }
}

/// A publisher's frames on their way into one track.
#[pyclass(module = "sealcast._core", frozen)]
pub struct FrameSink {
    sink: sealcast_relay::FrameSink,
}

#[pymethods]
impl FrameSink {
    /// Hands over one frame: an access unit (H264: Annex B) or an Opus packet.
    ///
    /// `timestamp` counts the track's clock, unwrapped; `node_time_ns` is when it was captured, on
    /// the node's monotonic clock.
    fn push(
        &self,
        py: Python<'_>,
        data: &[u8],
        timestamp: u64,
        node_time_ns: u64,
        key: bool,
    ) -> PyResult<()> {
        py.detach(|| self.sink.push(data, timestamp, node_time_ns, key))
            .map_err(|error| refusal(error.code(), error))
    }

    fn close(&self) {
        self.sink.close();
    }
}

/// Frames on their way out of one track.
#[pyclass(module = "sealcast._core", frozen)]
pub struct FrameTap {
    tap: sealcast_relay::FrameTap,
}

#[pymethods]
impl FrameTap {
    fn fileno(&self) -> RawFd {
        self.tap.as_raw_fd()
    }

    /// All waiting frames: data, timestamp on the track's clock, whether it is a key frame.
    fn read<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyBytes>, u64, bool)> {
        self.tap
            .read()
            .into_iter()
            .map(|frame| (PyBytes::new(py, &frame.data), frame.timestamp, frame.key))
            .collect()
    }

    fn close(&self) {
        self.tap.close();
    }
}

pub(crate) fn json<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = serde_json::to_vec(value).map_err(|error| refusal(BAD_ARGUMENT, error))?;
    Ok(PyBytes::new(py, &bytes))
}

fn address(text: &str) -> PyResult<SocketAddr> {
    text.parse().map_err(|_| {
        refusal(
            BAD_ARGUMENT,
            format!("{text:?} is not an address of the form 192.0.2.1:8443 or [2001:db8::1]:8443"),
        )
    })
}

fn named<T: serde::de::DeserializeOwned>(name: &str, what: &str) -> PyResult<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned()))
        .map_err(|_| refusal(BAD_ARGUMENT, format!("no {what} is named {name:?}")))
}
