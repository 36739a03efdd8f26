//! The leg itself: ICE, DTLS and SRTP joined, in the order of a datagram's journey.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sealcast_srtp::{KeyError, KeyEvent, Lifetime, MasterKey, Options, Profile, Receiver, Sender};
use sealcast_tls::dtls::{Role, MAX_DATAGRAM};
use sealcast_tls::{Facts, FingerprintHash};

use crate::codes;
use crate::config::{DtlsParameters, IceCredentials, LegConfig, LegError};
use crate::demux::{classify, Kind};
use crate::event::{LegEvent, Output, Path, Received, SealFacts};
use crate::handshake::{Handshake, Outcome};
use crate::ice::{Ice, IceOutput};
use crate::stage::{Change, Progress, Step};

/// DTLS datagrams held for an address that asked but has not answered yet: two flights.
const MAX_EARLY: usize = 8;

/// One media leg.
pub struct Leg {
    ice: Ice,
    dtls: DtlsParameters,
    handshake_timeout: Duration,
    key_lifetime: Lifetime,
    handshake: Option<Handshake>,
    /// A pair that answered a check, for DTLS before the nomination.
    proved: Option<Path>,
    early: VecDeque<Early>,
    media: Option<Media>,
    progress: Progress,
    /// Until when there must be a path.
    path_deadline: Option<Instant>,
    has_ended: bool,
    outputs: VecDeque<Output>,
}

/// A DTLS datagram that came before its sender answered our check.
struct Early {
    path: Path,
    datagram: Vec<u8>,
}

/// SRTP in both directions.
struct Media {
    sender: Sender,
    receiver: Receiver,
    has_flowed: bool,
}

impl Media {
    fn take_key_event(&mut self) -> Option<KeyEvent> {
        let sent = self.sender.take_event();
        sent.or_else(|| self.receiver.take_event())
    }
}

impl Leg {
    /// Begins: a client leg starts to probe, a server leg waits to be asked.
    ///
    /// # Errors
    /// Credentials or addresses that ICE does not admit. DTLS parameters are judged when the
    /// handshake begins; those that cannot work end the leg then, with their own code.
    pub fn new(config: LegConfig, now: Instant) -> Result<Self, LegError> {
        let ice = Ice::new(&config, now)?;
        let (progress, first) = Progress::new();
        let mut leg = Self {
            ice,
            dtls: config.dtls,
            handshake_timeout: config.handshake_timeout,
            key_lifetime: config.key_lifetime,
            handshake: None,
            proved: None,
            early: VecDeque::new(),
            media: None,
            progress,
            path_deadline: Some(now + config.path_timeout),
            has_ended: false,
            outputs: VecDeque::from([Output::Event(first.into())]),
        };
        leg.drain_ice(now);
        Ok(leg)
    }

    /// Takes a datagram that came from `remote` to our address `local`.
    ///
    /// A media packet is opened in place, without allocation, and handed back plain. After
    /// `Dropped` the contents of the datagram are unspecified and the leg is as it was.
    pub fn receive<'a>(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &'a mut [u8],
    ) -> Received<'a> {
        match classify(datagram) {
            Kind::Rtp => self.receive_rtp(now, Path { local, remote }, datagram),
            Kind::Rtcp => self.receive_rtcp(datagram),
            Kind::Stun | Kind::Dtls if self.has_ended => Received::Dropped(codes::LEG_ENDED),
            Kind::Stun => {
                let outcome = self.ice.receive(now, Path { local, remote }, datagram);
                self.drain_ice(now);
                self.judge_keys(now);
                outcome.map_or_else(Received::Dropped, |()| Received::Handled)
            }
            Kind::Dtls => self.receive_dtls(now, Path { local, remote }, datagram),
            Kind::Zrtp | Kind::TurnChannel | Kind::Quic | Kind::Unknown => {
                Received::Dropped(codes::PACKET_UNKNOWN_KIND)
            }
        }
    }

    #[inline]
    fn receive_rtp<'a>(&mut self, now: Instant, path: Path, packet: &'a mut [u8]) -> Received<'a> {
        let Some(media) = &mut self.media else {
            return self.not_ready();
        };
        match media.receiver.unprotect_rtp(packet) {
            Ok(len) => {
                self.ice.media_received(now, path);
                if !media.has_flowed {
                    self.media_flowed();
                }
                Received::Rtp(&mut packet[..len])
            }
            Err(error) => Received::Dropped(error.code()),
        }
    }

    #[inline]
    fn receive_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Received<'a> {
        let Some(media) = &mut self.media else {
            return self.not_ready();
        };
        match media.receiver.unprotect_rtcp(packet) {
            Ok(len) => Received::Rtcp(&mut packet[..len]),
            Err(error) => Received::Dropped(error.code()),
        }
    }

    const fn not_ready<'a>(&self) -> Received<'a> {
        Received::Dropped(if self.has_ended {
            codes::LEG_ENDED
        } else {
            codes::SRTP_NOT_READY
        })
    }

    /// DTLS is admitted from an address that answered a check of ours. A client may be faster
    /// with its ClientHello than with that answer: then the datagram is held, and not answered.
    fn receive_dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Received<'static> {
        if self.ice.is_validated(path.remote) {
            self.feed_handshake(now, path, datagram);
            return Received::Handled;
        }
        let may_wait = self.ice.is_source(path.remote)
            && self.early.len() < MAX_EARLY
            && datagram.len() <= MAX_DATAGRAM;
        if !may_wait {
            return Received::Dropped(codes::DTLS_UNVALIDATED_SOURCE);
        }
        self.early.push_back(Early {
            path,
            datagram: datagram.to_vec(),
        });
        Received::Handled
    }

    /// Does what is due at [`deadline`](Self::deadline).
    pub fn tick(&mut self, now: Instant) {
        if self.has_ended {
            return;
        }
        self.ice.tick(now);
        self.drain_ice(now);
        if let Some(handshake) = &mut self.handshake {
            handshake.tick(now);
            self.drain_handshake(now);
        }
        self.judge_keys(now);
        if self.path_deadline.is_some_and(|deadline| deadline <= now) {
            let detail = match self.proved {
                Some(path) => format!("the pair {path} works, but the peer did not nominate it"),
                None if self.ice.has_sources() => {
                    "the peer's checks arrived, but ours were not answered".to_owned()
                }
                None => "no authenticated check arrived".to_owned(),
            };
            self.fail(codes::ICE_TIMEOUT, detail);
        }
    }

    /// When [`tick`](Self::tick) is next due; `None` once the leg has ended.
    pub fn deadline(&mut self) -> Option<Instant> {
        if self.has_ended {
            return None;
        }
        let handshake = self.handshake.as_ref().and_then(Handshake::deadline);
        let ice = self.ice.deadline();
        ice.into_iter()
            .chain(handshake)
            .chain(self.path_deadline)
            .min()
    }

    /// The next piece of work for the caller; to be drained after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Protects the RTP packet `buffer[..len]` in place and returns its new length. The buffer
    /// needs room for the profile's overhead.
    ///
    /// # Errors
    /// The code of why the packet cannot be sent: `SRTP.NOT_READY` or one of the `srtp` crate.
    #[inline]
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, &'static str> {
        let media = self.media.as_mut().ok_or(codes::SRTP_NOT_READY)?;
        let protected = media
            .sender
            .protect_rtp(buffer, len)
            .map_err(|error| error.code())?;
        self.ice.media_sent();
        if !media.has_flowed {
            self.media_flowed();
        }
        Ok(protected)
    }

    /// Protects the compound RTCP packet `buffer[..len]` in place and returns its new length.
    ///
    /// # Errors
    /// As [`protect_rtp`](Self::protect_rtp).
    #[inline]
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, &'static str> {
        let media = self.media.as_mut().ok_or(codes::SRTP_NOT_READY)?;
        media
            .sender
            .protect_rtcp(buffer, len)
            .map_err(|error| error.code())
    }

    /// Where media goes: a nominated pair whose own check was answered.
    #[must_use]
    pub const fn path(&self) -> Option<Path> {
        self.ice.path()
    }

    /// Whether the peer is proved and keys are installed.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.media.is_some()
    }

    /// What protects the packets, once keys are installed.
    #[must_use]
    pub fn srtp_profile(&self) -> Option<Profile> {
        self.media.as_ref().map(|media| media.sender.profile())
    }

    /// The newest round-trip time that ICE measured.
    #[must_use]
    pub const fn rtt(&self) -> Option<Duration> {
        self.ice.rtt()
    }

    /// The username fragments whose STUN requests are this leg's: one, or two during a restart.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.local_ufrags()
    }

    /// Begins ICE anew with other credentials (RFC 8445 §9). The old path carries on, and requests
    /// with the old fragment are answered, until the new credentials have a path.
    ///
    /// # Errors
    /// Credentials that ICE does not admit; the leg then goes on as before.
    pub fn restart_ice(
        &mut self,
        now: Instant,
        local: &IceCredentials,
        remote: &IceCredentials,
    ) -> Result<(), LegError> {
        local.check("local")?;
        remote.check("remote")?;
        if !self.has_ended {
            self.ice.restart(now, local, remote)?;
            self.drain_ice(now);
        }
        Ok(())
    }

    /// Gives a client leg another address to probe. A server leg ignores it, and a client leg what is
    /// named after 64 of them.
    pub fn add_remote_candidate(&mut self, candidate: SocketAddr) {
        self.ice.add_remote(candidate);
    }

    /// Ends the leg from our side: the peer gets a close_notify, and `Closed` follows.
    pub fn close(&mut self, now: Instant, code: &'static str) {
        if self.has_ended {
            return;
        }
        if let Some(handshake) = &mut self.handshake {
            handshake.close(now);
        }
        self.send_handshake();
        self.progress.end();
        self.end(code, String::new());
    }

    fn drain_ice(&mut self, now: Instant) {
        while let Some(output) = self.ice.poll() {
            if self.has_ended {
                continue;
            }
            match output {
                IceOutput::Transmit { path, datagram } => {
                    let Path { local, remote } = path;
                    self.outputs.push_back(Output::Transmit {
                        local,
                        remote,
                        datagram,
                    });
                }
                IceOutput::SourceValidated(remote) => {
                    self.tell(LegEvent::SourceValidated { remote });
                }
                IceOutput::SourceForgotten(remote) => {
                    self.tell(LegEvent::SourceForgotten { remote });
                }
                IceOutput::PairProved(path) => self.pair_proved(now, path),
                IceOutput::PathChanged(path) => {
                    self.path_deadline = None;
                    self.tell(LegEvent::PathChanged(path));
                }
                IceOutput::ConsentLost {
                    unanswered_for,
                    unheard_for,
                } => {
                    let seconds = unanswered_for.as_secs_f64();
                    let mut detail =
                        format!("the peer has not answered a check for {seconds:.0} s");
                    if let Some(unheard_for) = unheard_for {
                        let seconds = unheard_for.as_secs_f64();
                        detail += &format!(" nor sent media for {seconds:.0} s");
                    }
                    self.fail(codes::ICE_CONSENT_LOST, detail);
                }
            }
        }
    }

    /// An address answered a check: the handshake can begin, and what it sent before is heard.
    fn pair_proved(&mut self, now: Instant, path: Path) {
        self.proved = Some(path);
        self.step(Step::PathProved);
        if self.handshake.is_none() {
            self.begin_handshake(now);
        }
        for _ in 0..self.early.len() {
            let Some(early) = self.early.pop_front() else {
                break;
            };
            if self.ice.is_validated(early.path.remote) {
                self.feed_handshake(now, early.path, &early.datagram);
            } else {
                self.early.push_back(early);
            }
        }
    }

    fn begin_handshake(&mut self, now: Instant) {
        let parameters = self.dtls.clone();
        match Handshake::new(parameters, self.handshake_timeout, self.ice.rtt(), now) {
            Ok(handshake) => {
                self.handshake = Some(handshake);
                self.drain_handshake(now);
            }
            Err(error) => self.fail(error.code(), error.to_string()),
        }
    }

    fn feed_handshake(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        if self.has_ended {
            return;
        }
        if let Some(handshake) = &mut self.handshake {
            self.proved = Some(path);
            handshake.receive(now, datagram);
            self.drain_handshake(now);
        }
    }

    fn drain_handshake(&mut self, now: Instant) {
        let outcome = self.handshake.as_mut().and_then(Handshake::poll_outcome);
        self.send_handshake();
        match outcome {
            None => {}
            Some(Outcome::Completed(facts)) => self.install_keys(now, *facts),
            Some(Outcome::Failed { code, detail }) => self.fail(code, detail),
            Some(Outcome::Closed) => {
                self.progress.end();
                self.end(
                    sealcast_tls::codes::DTLS_CLOSED,
                    "the peer closed the DTLS association".to_owned(),
                );
            }
        }
    }

    /// Sends what DTLS wants sent: on the path, or before the nomination on the pair that works.
    fn send_handshake(&mut self) {
        let (Some(handshake), Some(Path { local, remote })) =
            (&mut self.handshake, self.ice.path().or(self.proved))
        else {
            return;
        };
        while let Some(datagram) = handshake.poll_transmit() {
            self.outputs.push_back(Output::Transmit {
                local,
                remote,
                datagram,
            });
        }
    }

    /// The handshake completed, which in the `tls` crate means that the certificate matched.
    fn install_keys(&mut self, now: Instant, facts: Facts) {
        self.step(Step::HandshakeCompleted);
        self.step(Step::IdentityProved);
        let profile = facts
            .srtp_profile_id
            .and_then(Profile::from_id)
            .filter(|profile| self.dtls.srtp_profiles.contains(profile));
        let Some(profile) = profile else {
            let detail = "the peer chose an SRTP profile that was not offered".to_owned();
            self.say_goodbye(now);
            return self.fail(sealcast_tls::codes::DTLS_NO_SRTP_PROFILE, detail);
        };
        match self.derive_media(profile) {
            Ok(media) => {
                self.media = Some(media);
                let peer = self
                    .handshake
                    .as_ref()
                    .and_then(Handshake::proved_fingerprint);
                let local = self.dtls.identity.fingerprint(FingerprintHash::Sha256);
                self.tell(LegEvent::Sealed(Box::new(SealFacts {
                    srtp_profile: profile,
                    local_fingerprint: local.to_string(),
                    peer_fingerprint: peer.unwrap_or_default(),
                    dtls: facts,
                })));
                self.step(Step::KeysInstalled);
            }
            Err((code, detail)) => {
                self.say_goodbye(now);
                self.fail(code, detail);
            }
        }
    }

    fn derive_media(&self, profile: Profile) -> Result<Media, (&'static str, String)> {
        let Some(handshake) = &self.handshake else {
            return Err((sealcast_tls::codes::DTLS_NOT_ESTABLISHED, String::new()));
        };
        let material = handshake
            .export(profile)
            .map_err(|error| (error.code(), error.to_string()))?;
        let of_key = |error: KeyError| (error.code(), error.to_string());
        let (client, server) = MasterKey::split_exported(profile, &material).map_err(of_key)?;
        let (ours, theirs) = match self.dtls.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let options = Options {
            lifetime: self.key_lifetime,
            ..Options::default()
        };
        Ok(Media {
            sender: Sender::new(ours, options.clone()).map_err(of_key)?,
            receiver: Receiver::new(theirs, options).map_err(of_key)?,
            has_flowed: false,
        })
    }

    /// Tells of a key that is nearly spent, and ends the leg with one that is. No packet pays for it:
    /// it is asked at every tick and every STUN message, and a leg that has neither for 30 seconds has
    /// lost consent. What a spent key was to protect or open until then is refused and counted.
    fn judge_keys(&mut self, now: Instant) {
        while let Some(event) = self.media.as_mut().and_then(Media::take_key_event) {
            let code = event.code();
            match event {
                KeyEvent::NearlySpent {
                    kind, remaining, ..
                } => self.tell(LegEvent::KeyNearlySpent {
                    code,
                    kind,
                    remaining,
                }),
                KeyEvent::Spent { kind, .. } => {
                    let detail = format!("no {kind} packet is left of the key of one direction");
                    self.say_goodbye(now);
                    self.fail(code, detail);
                }
            }
        }
    }

    /// The first packet: once per leg, so out of the way of all the others.
    #[cold]
    fn media_flowed(&mut self) {
        if let Some(media) = &mut self.media {
            media.has_flowed = true;
        }
        self.step(Step::MediaFlowed);
    }

    fn step(&mut self, step: Step) {
        let outputs = &mut self.outputs;
        self.progress.take(step, |change| {
            outputs.push_back(Output::Event(change.into()))
        });
    }

    fn tell(&mut self, event: LegEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn say_goodbye(&mut self, now: Instant) {
        if let Some(handshake) = &mut self.handshake {
            handshake.close(now);
        }
        self.send_handshake();
    }

    /// Ends the leg in the stage that the failure is about.
    fn fail(&mut self, code: &'static str, detail: String) {
        let outputs = &mut self.outputs;
        let failed = self.progress.fail(code, |change| {
            outputs.push_back(Output::Event(change.into()))
        });
        if let Some(stage) = failed {
            self.tell(LegEvent::StageFailed {
                stage,
                code,
                detail: detail.clone(),
            });
        }
        self.end(code, detail);
    }

    fn end(&mut self, code: &'static str, detail: String) {
        self.has_ended = true;
        self.media = None;
        self.handshake = None;
        self.early.clear();
        self.tell(LegEvent::Closed { code, detail });
    }
}

impl From<Change> for LegEvent {
    fn from(change: Change) -> Self {
        match change {
            Change::Started(stage) => Self::StageStarted(stage),
            Change::Done(stage) => Self::StageDone(stage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Leg;

    #[test]
    fn a_leg_can_live_on_any_one_thread() {
        fn assert_send<T: Send>() {}
        assert_send::<Leg>();
    }
}
