//! A leg in the shard's table, with everything that hangs on it: what it receives, what it sends,
//! what it dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_leg::{
    DtlsParameters, IceCredentials, Leg, LegConfig, LegEvent, Path, SealFacts, Side, Stage,
};
use sealcast_srtp::{Lifetime, Profile};
use sealcast_tls::dtls::Role;
use sealcast_tls::{Fingerprint, Identity, Version};

use crate::drops::Drops;
use crate::error::RelayError;
use crate::event::{Event, SealReport};
use crate::incoming::Incomings;
use crate::ports::Ports;
use crate::slot::Slot;
use crate::snapshot::LegSnapshot;
use crate::spec::{DtlsSetup, Kind, LegId, LegSide, LegSpec, ReceiveSpec, SendSpec, TrackId};

/// Datagrams and bytes.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Flow {
    pub datagrams: u64,
    pub bytes: u64,
}

impl Flow {
    pub fn count(&mut self, len: usize) {
        self.datagrams += 1;
        self.bytes += len as u64;
    }
}

/// One media section in which we send. Its slot begins when the leg is secured and the track is
/// there.
pub(crate) struct Outgoing {
    pub spec: SendSpec,
    pub slot: Option<Slot>,
}

/// One leg.
pub(crate) struct Entry {
    pub id: LegId,
    pub side: LegSide,
    /// Whether its packets come and go through sockets that are no other leg's.
    pub has_own_ports: bool,
    pub leg: Leg,
    pub started: Instant,
    /// When `leg` wants to be ticked.
    pub deadline: Option<Instant>,
    /// When its slots want to send: news, the pacer, a report.
    pub media_due: Option<Instant>,
    /// Where media goes, and the socket it leaves from.
    pub path: Option<(Path, usize)>,
    pub incoming: Option<Incomings>,
    /// Sound before pictures.
    pub outgoing: Vec<Outgoing>,
    /// Next transport-wide sequence number: one line for all streams of the leg.
    pub transport: u16,
    pub drops: Drops,
    pub received: Flow,
    pub sent: Flow,
    /// When something authenticated came last.
    pub heard: Instant,
    /// DTLS datagrams that wait in the shard's queue.
    pub dtls_waiting: u16,
    /// What the caller gave as the reason to close it.
    pub close_code: Option<String>,
    /// Whether a media packet came or went, which ends the leg's last stage.
    pub has_flowed: bool,
}

impl Entry {
    /// Begins a leg.
    ///
    /// # Errors
    /// A code and a sentence: the specification is not well formed, or the leg refuses it.
    pub fn begin(
        spec: LegSpec,
        identity: Arc<Identity>,
        addresses: &[SocketAddr],
        now: Instant,
    ) -> Result<Entry, (&'static str, String)> {
        let of_relay = |error: RelayError| (error.code(), error.to_string());
        spec.check().map_err(of_relay)?;
        let config = config(&spec, identity, addresses).map_err(of_relay)?;
        let leg = Leg::new(config, now).map_err(|error| (error.code(), error.to_string()))?;
        let incoming = (!spec.receive.is_empty()).then(|| Incomings::new(&spec, now));
        let mut outgoing: Vec<Outgoing> = spec
            .send
            .into_iter()
            .map(|spec| Outgoing { spec, slot: None })
            .collect();
        outgoing.sort_by_key(|outgoing| outgoing.spec.kind == Kind::Video);
        Ok(Entry {
            id: spec.id,
            side: spec.side,
            has_own_ports: !spec.own_binds.is_empty(),
            leg,
            started: now,
            deadline: Some(now),
            media_due: None,
            path: None,
            incoming,
            outgoing,
            transport: 1,
            drops: Drops::new(),
            received: Flow::default(),
            sent: Flow::default(),
            heard: now,
            dtls_waiting: 0,
            close_code: None,
            has_flowed: false,
        })
    }

    /// Whether a packet would leave now: there are keys, a path, and room in its socket.
    pub fn can_send(&self, ports: &Ports) -> bool {
        let has_way = self.path.is_some_and(|(_, port)| !ports.is_congested(port));
        has_way && self.leg.is_secured()
    }

    /// When it wants attention next, for whatever reason.
    pub fn due(&self, ports: &Ports) -> Option<Instant> {
        let owed = self.incoming.as_ref().filter(|_| self.can_send(ports));
        let feedback = owed.map(|incoming| incoming.reception.deadline());
        [self.deadline, self.media_due, feedback]
            .into_iter()
            .flatten()
            .min()
    }

    /// The tracks that it feeds.
    pub fn tracks_fed(&self) -> impl Iterator<Item = (TrackId, &ReceiveSpec)> {
        self.incoming
            .iter()
            .flat_map(|incoming| &incoming.sections)
            .map(|section| (section.spec.track, &section.spec))
    }

    /// The tracks that it takes.
    pub fn tracks_taken(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.outgoing.iter().map(|outgoing| outgoing.spec.track)
    }

    /// The caller's event for one of the leg's; none for those that are the shard's own business.
    pub fn report(&self, event: LegEvent, now: Instant) -> Option<Event> {
        let elapsed_ms = now.saturating_duration_since(self.started).as_secs_f64() * 1_000.0;
        let stage =
            |stage: Stage, outcome, code: Option<&str>, detail: Option<String>| Event::LegStage {
                leg: self.id,
                stage: stage_name(stage),
                outcome,
                code: code.map(str::to_owned),
                detail,
                elapsed_ms,
            };
        Some(match event {
            LegEvent::StageStarted(which) => stage(which, "started", None, None),
            LegEvent::StageDone(which) => stage(which, "done", None, None),
            LegEvent::StageFailed {
                stage: which,
                code,
                detail,
            } => stage(which, "failed", Some(code), Some(detail)),
            LegEvent::Sealed(facts) => Event::LegSealed {
                leg: self.id,
                seal: Box::new(seal(*facts)),
            },
            LegEvent::PathChanged(path) => Event::LegPath {
                leg: self.id,
                local: path.local.to_string(),
                remote: path.remote.to_string(),
            },
            LegEvent::KeyNearlySpent {
                code,
                kind,
                remaining,
            } => Event::LegNoted {
                leg: self.id,
                code: code.to_owned(),
                detail: format!("{remaining} {kind} packets are left in one direction."),
            },
            LegEvent::Closed { code, detail } => Event::LegClosed {
                leg: self.id,
                code: self.close_code.clone().unwrap_or_else(|| code.to_owned()),
                detail,
                last: Some(Box::new(LegSnapshot::of(self, now))),
            },
            LegEvent::SourceValidated { .. } | LegEvent::SourceForgotten { .. } => return None,
        })
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Path => "path",
        Stage::Handshake => "handshake",
        Stage::Identity => "identity",
        Stage::Keys => "keys",
        Stage::Media => "media",
    }
}

fn seal(facts: SealFacts) -> SealReport {
    let dtls = facts.dtls;
    SealReport {
        protocol: dtls.protocol.to_owned(),
        version: dtls.version,
        cipher: dtls.cipher,
        group: dtls.group,
        srtp_profile: facts.srtp_profile.name().to_owned(),
        peer_fingerprint: facts.peer_fingerprint,
        local_fingerprint: facts.local_fingerprint,
        peer_signature: dtls.peer_signature,
        own_signature: dtls.own_signature,
        forward_secrecy: dtls.forward_secrecy,
        post_quantum: dtls.post_quantum,
        hello_retry: dtls.hello_retry,
        resumed: dtls.resumed,
        early_data: dtls.early_data,
        ech: dtls.ech,
        sni: dtls.sni,
        alpn: dtls.alpn,
        expires_unix: dtls.peer.map(|certificate| certificate.not_after_unix),
    }
}

fn config(
    spec: &LegSpec,
    identity: Arc<Identity>,
    addresses: &[SocketAddr],
) -> Result<LegConfig, RelayError> {
    let bad = |detail: String| RelayError::BadSpec(detail);
    let version = |field: &str, text: &str| {
        text.parse::<Version>()
            .map_err(|error| bad(format!("dtls.{field}: {error}")))
    };
    let profile = |name: &String| {
        Profile::from_name(name)
            .filter(|profile| profile.openssl_name().is_some())
            .ok_or_else(|| {
                bad(format!(
                    "dtls.srtp_profiles: no profile of DTLS-SRTP is named {name:?}"
                ))
            })
    };
    let expected = spec
        .dtls
        .fingerprints
        .iter()
        .map(|fingerprint| Fingerprint::parse(&fingerprint.algorithm, &fingerprint.value))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(format!("dtls.fingerprints: {error}")))?;
    if expected.is_empty() {
        return Err(bad(
            "dtls.fingerprints is empty: no peer could be proved".to_owned()
        ));
    }
    let srtp_profiles = spec
        .dtls
        .srtp_profiles
        .iter()
        .map(profile)
        .collect::<Result<Vec<_>, _>>()?;
    if srtp_profiles.is_empty() {
        return Err(bad("dtls.srtp_profiles is empty".to_owned()));
    }
    Ok(LegConfig {
        side: match spec.side {
            LegSide::Server => Side::Server,
            LegSide::Client => Side::Client,
        },
        local_credentials: IceCredentials {
            ufrag: spec.ice.local_ufrag.clone(),
            pwd: spec.ice.local_pwd.clone(),
        },
        remote_credentials: IceCredentials {
            ufrag: spec.ice.remote_ufrag.clone(),
            pwd: spec.ice.remote_pwd.clone(),
        },
        local_addresses: addresses.to_vec(),
        remote_candidates: spec.ice.remote_candidates.clone(),
        dtls: DtlsParameters {
            role: match spec.dtls.role {
                DtlsSetup::Active => Role::Client,
                DtlsSetup::Passive => Role::Server,
            },
            identity,
            expected,
            min_version: version("min_version", &spec.dtls.min_version)?,
            max_version: version("max_version", &spec.dtls.max_version)?,
            groups: spec.dtls.groups.clone(),
            srtp_profiles,
        },
        key_lifetime: Lifetime::default(),
        handshake_timeout: Duration::from_millis(spec.dtls.handshake_timeout_ms),
        path_timeout: LegConfig::DEFAULT_TIMEOUT,
    })
}
