//! A DTLS endpoint for Python: the endpoint of `sealcast_tls`, one thread at a time, with the
//! caller's own clock; and the keys that it agreed on, as a handle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sealcast_srtp::{KeyError, MasterKey, Process, Profile};
use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint as Endpoint, DtlsEvent, Expected, Proved, Role};
use sealcast_tls::{codes, Authority, Facts, Fingerprint, PeerName, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{
    refusal, BAD_ARGUMENT, DTLS_BAD_ARGUMENT, DTLS_FORKED, DTLS_IN_USE, DTLS_KEYS_TAKEN,
};
use crate::media::{json, MediaIdentity};
use crate::srtp::{key_refused, Asked, Pair, SrtpReceiver, SrtpSender, Wanted, Whole};

/// Longest time that a caller may set, and furthest that its clock may go from where it began. It
/// keeps every sum of times within what the clock's type can hold.
const LONGEST: Duration = Duration::from_secs(1 << 32);

/// The JSON of `sealcast.wire.DtlsEndpointSpec`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    role: SpecRole,
    fingerprints: Vec<FingerprintSpec>,
    peer_uri: Option<String>,
    peer_dns: Option<String>,
    min_version: String,
    max_version: String,
    groups: String,
    srtp_profiles: Vec<String>,
    mtu: u32,
    handshake_timeout_s: f64,
    initial_timeout_s: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SpecRole {
    Client,
    Server,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FingerprintSpec {
    algorithm: String,
    value: String,
}

/// The JSON of `sealcast.wire.DtlsEvent`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    HandshakeCompleted {
        facts: Box<Facts>,
        proved_by: &'static str,
        proved: String,
    },
    Failed {
        code: &'static str,
        detail: String,
        alert_sent: Option<&'static str>,
        alert_received: Option<&'static str>,
    },
    Closed {
        alert_sent: Option<&'static str>,
        alert_received: Option<&'static str>,
    },
}

/// One end of a DTLS association.
#[pyclass(module = "sealcast._core", frozen)]
pub struct DtlsEndpoint {
    association: Mutex<Association>,
    /// Two processes would write records with the same numbers under one key.
    made_in: Process,
}

struct Association {
    endpoint: Endpoint,
    role: Role,
    clock: Clock,
    sealed: Option<Sealed>,
}

/// What an association had when it was established; it may be over by the time that it is told.
struct Sealed {
    /// One handle only: two would be two senders under one key, which repeats keystream.
    keys: Py<SrtpKeys>,
    proved_by: &'static str,
    proved: String,
}

#[pymethods]
impl DtlsEndpoint {
    #[new]
    #[pyo3(signature = (spec, identity, roots_pem, now))]
    fn new(
        py: Python<'_>,
        spec: &[u8],
        identity: &MediaIdentity,
        roots_pem: Option<&[u8]>,
        now: f64,
    ) -> PyResult<Self> {
        let spec: Spec = serde_json::from_slice(spec).map_err(|error| {
            refusal(
                BAD_ARGUMENT,
                format!("the endpoint's specification: {error}"),
            )
        })?;
        let clock = Clock::starting(now)?;
        let role = match spec.role {
            SpecRole::Client => Role::Client,
            SpecRole::Server => Role::Server,
        };
        let config = config(spec, role, identity, roots_pem)?;
        let endpoint = py
            .detach(|| Endpoint::new(config, clock.began))
            .map_err(|error| refusal(error.code(), error))?;
        Ok(Self {
            association: Mutex::new(Association {
                endpoint,
                role,
                clock,
                sealed: None,
            }),
            made_in: Process::current(),
        })
    }

    /// Takes one datagram of the peer's.
    fn receive(&self, py: Python<'_>, now: f64, datagram: &[u8]) -> PyResult<()> {
        let mut association = self.enter()?;
        let now = association.clock.read(now)?;
        let endpoint = &mut association.endpoint;
        py.detach(|| endpoint.receive(now, datagram));
        association.seal(py)
    }

    /// Does what is due.
    fn tick(&self, py: Python<'_>, now: f64) -> PyResult<()> {
        let mut association = self.enter()?;
        let now = association.clock.read(now)?;
        let endpoint = &mut association.endpoint;
        py.detach(|| endpoint.tick(now));
        Ok(())
    }

    /// Ends the association.
    fn close(&self, py: Python<'_>, now: f64) -> PyResult<()> {
        let mut association = self.enter()?;
        let now = association.clock.read(now)?;
        let endpoint = &mut association.endpoint;
        py.detach(|| endpoint.close(now));
        Ok(())
    }

    /// When `tick` is next due, on the caller's clock.
    fn deadline(&self) -> PyResult<Option<f64>> {
        let association = self.enter()?;
        let due = association.endpoint.deadline();
        Ok(due.map(|due| association.clock.tell(due)))
    }

    /// The datagrams to send, in order.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let mut association = self.enter()?;
        let mut datagrams = Vec::new();
        while let Some(datagram) = association.endpoint.poll_transmit() {
            datagrams.push(PyBytes::new(py, &datagram));
        }
        Ok(datagrams)
    }

    /// What has happened since the last call, as a JSON array.
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut association = self.enter()?;
        let mut events = Vec::new();
        while let Some(event) = association.endpoint.poll_event() {
            events.extend(association.tell(event));
        }
        json(py, &events)
    }

    /// The keys that were agreed on: always the same handle.
    fn keys(&self, py: Python<'_>) -> PyResult<Py<SrtpKeys>> {
        match &self.enter()?.sealed {
            Some(sealed) => Ok(sealed.keys.clone_ref(py)),
            None => Err(refusal(
                codes::DTLS_NOT_ESTABLISHED,
                "the handshake has not completed, so there are no keys",
            )),
        }
    }

    /// Counts since creation, as JSON of `sealcast.wire.DtlsCounters`.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let counters = self.enter()?.endpoint.counters();
        json(
            py,
            &serde_json::json!({
                "received": counters.received,
                "sent": counters.sent,
                "timeouts": counters.timeouts,
                "without_effect": counters.without_effect,
                "dropped_oversized": counters.dropped_oversized,
                "dropped_empty": counters.dropped_empty,
                "dropped_not_dtls": counters.dropped_not_dtls,
                "dropped_late": counters.dropped_late,
                "dropped_undrained": counters.dropped_undrained,
                "dropped_application_data": counters.dropped_application_data,
            }),
        )
    }
}

impl DtlsEndpoint {
    /// The association, if no other thread is at work on it. Waiting would hide the mistake, and
    /// with the GIL held it could stop the whole program.
    fn enter(&self) -> PyResult<MutexGuard<'_, Association>> {
        // Asked before the lock: in a child it may be held by a thread that was not forked with it.
        belongs_to(self.made_in)?;
        match self.association.try_lock() {
            Ok(association) => Ok(association),
            Err(TryLockError::WouldBlock) => Err(refusal(
                DTLS_IN_USE,
                "another thread is inside a call to this endpoint",
            )),
            Err(TryLockError::Poisoned(_)) => Err(refusal(
                codes::DTLS_FAILED,
                "an earlier call to this endpoint did not end; make a new one",
            )),
        }
    }
}

/// Refuses in a child of the process that made it.
fn belongs_to(made_in: Process) -> PyResult<()> {
    if made_in.is_current() {
        return Ok(());
    }
    Err(refusal(
        DTLS_FORKED,
        "it was made before this process was forked, and its parent goes on with it",
    ))
}

impl Association {
    /// Takes the keys as soon as the endpoint is established, which is when the peer was proved.
    fn seal(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.sealed.is_some() {
            return Ok(());
        }
        let Some(proved) = self.endpoint.proved() else {
            return Ok(());
        };
        let (proved_by, proved) = match proved {
            Proved::Fingerprint(fingerprint) => ("fingerprint", fingerprint.to_string()),
            Proved::Authority(_) => ("authority", self.endpoint.proved_name()),
        };
        let keys = Py::new(py, self.export()?)?;
        self.sealed = Some(Sealed {
            keys,
            proved_by,
            proved,
        });
        Ok(())
    }

    fn export(&self) -> PyResult<SrtpKeys> {
        let id = self.endpoint.srtp_profile_id();
        // The context offers only profiles of the table.
        let profile = id
            .and_then(Profile::from_id)
            .ok_or_else(|| refusal(codes::DTLS_NO_SRTP_PROFILE, "an unknown one was agreed on"))?;
        let material = self
            .endpoint
            .export_srtp(MasterKey::exported_len(profile))
            .map_err(|error| refusal(error.code(), error))?;
        Ok(SrtpKeys {
            profile,
            role: self.role,
            material: Mutex::new(Some(material)),
            made_in: Process::current(),
        })
    }

    /// An event as Python hears it; none for a beginning that ended with its own datagram.
    fn tell(&self, event: DtlsEvent) -> Option<Event> {
        let (alert_sent, alert_received) =
            (self.endpoint.alert_sent(), self.endpoint.alert_received());
        match event {
            DtlsEvent::Established(facts) => {
                self.sealed
                    .as_ref()
                    .map(|sealed| Event::HandshakeCompleted {
                        facts: Box::new(facts),
                        proved_by: sealed.proved_by,
                        proved: sealed.proved.clone(),
                    })
            }
            DtlsEvent::Failed { code, detail } => Some(Event::Failed {
                code,
                detail,
                alert_sent,
                alert_received,
            }),
            DtlsEvent::Closed => Some(Event::Closed {
                alert_sent,
                alert_received,
            }),
        }
    }
}

fn config(
    spec: Spec,
    role: Role,
    identity: &MediaIdentity,
    roots_pem: Option<&[u8]>,
) -> PyResult<DtlsConfig> {
    let refuse = |error: sealcast_tls::TlsError| refusal(error.code(), error);
    let version = |text: &str| text.parse::<Version>().map_err(refuse);
    let profiles = spec
        .srtp_profiles
        .iter()
        .map(|name| {
            Profile::from_name(name)
                .and_then(Profile::openssl_name)
                .ok_or_else(|| {
                    refusal(
                        codes::TLS_BAD_POLICY,
                        format!("no SRTP profile is named {name:?}"),
                    )
                })
        })
        .collect::<PyResult<Vec<&str>>>()?;
    Ok(DtlsConfig {
        role,
        identity: Arc::clone(&identity.identity),
        min_version: version(&spec.min_version)?,
        max_version: version(&spec.max_version)?,
        expected: expected(&spec, roots_pem)?,
        groups: spec.groups,
        srtp_profiles: profiles.join(":"),
        // Out of range in either direction is for the endpoint to refuse, with its sentence.
        mtu: u16::try_from(spec.mtu).unwrap_or(u16::MAX),
        handshake_timeout: span("handshake_timeout", spec.handshake_timeout_s)?,
        initial_timeout: span("initial_timeout", spec.initial_timeout_s)?,
    })
}

fn expected(spec: &Spec, roots_pem: Option<&[u8]>) -> PyResult<Expected> {
    let refuse = |error: sealcast_tls::TlsError| refusal(error.code(), error);
    let Some(roots_pem) = roots_pem else {
        let fingerprints = spec
            .fingerprints
            .iter()
            .map(|print| Fingerprint::parse(&print.algorithm, &print.value).map_err(refuse))
            .collect::<PyResult<Vec<_>>>()?;
        return Ok(fingerprints.into());
    };
    let name = match (&spec.peer_uri, &spec.peer_dns) {
        (Some(uri), None) => Some(PeerName::Uri(uri.clone())),
        (None, Some(dns)) => Some(PeerName::Dns(dns.clone())),
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(refusal(
                codes::TLS_BAD_POLICY,
                "a peer is expected by a URI or by a DNS name, not both",
            ))
        }
    };
    let authority = Authority::from_pem(roots_pem, name).map_err(refuse)?;
    Ok(Expected::Authority(Arc::new(authority)))
}

/// A length of time from Python, in seconds.
fn span(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| (Duration::from_millis(1)..=LONGEST).contains(span))
        .ok_or_else(|| {
            refusal(
                codes::TLS_BAD_POLICY,
                format!("{what} must be a number of seconds from 0.001 on, not {seconds}"),
            )
        })
}

/// The caller's clock against ours: it began at some number, we began at some instant.
#[derive(Copy, Clone)]
struct Clock {
    origin: f64,
    began: Instant,
}

impl Clock {
    fn starting(origin: f64) -> PyResult<Clock> {
        if !origin.is_finite() {
            return Err(refusal(
                DTLS_BAD_ARGUMENT,
                format!("{origin:?} is not a point in time"),
            ));
        }
        Ok(Clock {
            origin,
            began: Instant::now(),
        })
    }

    /// The caller's time as ours. A time before the beginning counts as the beginning.
    fn read(&self, now: f64) -> PyResult<Instant> {
        let since = (now - self.origin).max(0.0);
        // `max` gives 0 for NaN, so it is asked for by itself.
        let since = (!now.is_nan())
            .then(|| Duration::try_from_secs_f64(since).ok())
            .flatten()
            .filter(|since| *since <= LONGEST);
        match since {
            Some(since) => Ok(self.began + since),
            None => Err(refusal(
                DTLS_BAD_ARGUMENT,
                format!(
                    "{now:?} is not a point in time of a clock that began at {:?}",
                    self.origin
                ),
            )),
        }
    }

    /// Our time as the caller's: the earliest of its numbers that is not before it, so that a
    /// caller who ticks at the deadline is never too early by a rounding.
    fn tell(&self, due: Instant) -> f64 {
        let mut told = self.origin + due.duration_since(self.began).as_secs_f64();
        while self.read(told).is_ok_and(|read| read < due) {
            told = told.next_up();
        }
        told
    }
}

/// Both directions' master keys of one association, which leave it once.
#[pyclass(module = "sealcast._core", frozen)]
pub struct SrtpKeys {
    profile: Profile,
    role: Role,
    material: Mutex<Option<Zeroizing<Vec<u8>>>>,
    /// Two processes would each take the keys once, and send under them from index 0 both.
    made_in: Process,
}

/// What [`SrtpKeys::take`] gives: the material of one association, no longer guarded.
pub(crate) struct TakenKeys {
    profile: Profile,
    role: Role,
    material: Zeroizing<Vec<u8>>,
}

impl SrtpKeys {
    /// Moves the keys out, for a pair of SRTP contexts: a second pair under the same keys would
    /// repeat keystream, so there is none.
    pub(crate) fn take(&self) -> PyResult<TakenKeys> {
        belongs_to(self.made_in)?;
        let mut material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        let material = material.take().ok_or_else(|| {
            refusal(
                DTLS_KEYS_TAKEN,
                "these keys were handed out before; a new handshake makes new ones",
            )
        })?;
        Ok(TakenKeys {
            profile: self.profile,
            role: self.role,
            material,
        })
    }
}

impl TakenKeys {
    /// The master key and salt that this end sends under.
    pub(crate) fn sending(&self) -> (&[u8], &[u8]) {
        self.written_by(self.role)
    }

    /// The master key and salt that the peer sends under.
    pub(crate) fn receiving(&self) -> (&[u8], &[u8]) {
        self.written_by(match self.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        })
    }

    /// RFC 5764 §4.2: client key, server key, client salt, server salt.
    fn written_by(&self, role: Role) -> (&[u8], &[u8]) {
        let (key_len, salt_len) = (self.profile.key_len(), self.profile.salt_len());
        let (keys, salts) = self.material.split_at(2 * key_len);
        match role {
            Role::Client => (&keys[..key_len], &salts[..salt_len]),
            Role::Server => (&keys[key_len..], &salts[salt_len..]),
        }
    }
}

#[pymethods]
impl SrtpKeys {
    /// The profile that they are for.
    #[getter]
    fn profile(&self) -> &'static str {
        self.profile.name()
    }

    /// Whether they have left already.
    #[getter]
    fn is_taken(&self) -> bool {
        let material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        material.is_none()
    }

    /// Takes the keys into this end's sender and receiver; they never are in Python. The options
    /// are those of their constructors. If a context is refused, the keys stay.
    #[pyo3(
        signature = (
            *, replay_window = Whole::from(1024), max_ssrcs = None,
            key_derivation_rate = Whole::from(0), rtp_lifetime = None, rtcp_lifetime = None,
            encrypted_extensions = None, cryptex = None, unencrypted_srtcp = false
        ),
        text_signature = "($self, *, replay_window=1024, max_ssrcs=None, key_derivation_rate=0, \
            rtp_lifetime=None, rtcp_lifetime=None, encrypted_extensions=None, cryptex=None, \
            unencrypted_srtcp=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python method")]
    fn contexts(
        &self,
        py: Python<'_>,
        replay_window: Whole,
        max_ssrcs: Option<Whole>,
        key_derivation_rate: Whole,
        rtp_lifetime: Option<Pair>,
        rtcp_lifetime: Option<Pair>,
        encrypted_extensions: Option<&Bound<'_, PyAny>>,
        cryptex: Option<&str>,
        unencrypted_srtcp: bool,
    ) -> PyResult<(SrtpSender, SrtpReceiver)> {
        let wanted = Wanted {
            replay_window,
            max_ssrcs,
            ssrcs: None,
            key_derivation_rate,
            rtp_lifetime,
            rtcp_lifetime,
            encrypted_extensions,
            // Of the two words a sender has one: it protects every header that it can.
            cryptex: cryptex.asked(py)?,
            unencrypted_srtcp,
            null_cipher: false,
            key_reuse: false,
        };
        // Before the keys leave: they stay where they are if an option cannot be.
        let options = wanted.options(py)?;
        let taken = self.take()?;
        let master = |(key, salt): (&[u8], &[u8])| MasterKey::new(self.profile, key, salt);
        let made = || -> Result<_, KeyError> {
            let sender = SrtpSender::from_master_key(master(taken.sending())?, options.clone())?;
            let receiver = SrtpReceiver::from_master_key(master(taken.receiving())?, options)?;
            Ok((sender, receiver))
        };
        made().map_err(|error| {
            // Nobody can have asked in between: the GIL was held.
            *self.material.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken.material);
            key_refused(py, &error)
        })
    }

    /// Takes the keys as bytes: our key and salt, the peer's key and salt.
    fn reveal<'py>(&self, py: Python<'py>) -> PyResult<[Bound<'py, PyBytes>; 4]> {
        let taken = self.take()?;
        let (ours, theirs) = (taken.sending(), taken.receiving());
        Ok([ours.0, ours.1, theirs.0, theirs.1].map(|secret| PyBytes::new(py, secret)))
    }
}
