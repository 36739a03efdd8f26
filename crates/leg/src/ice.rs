//! ICE for one leg: the `is` agent, and what it leaves to its user.
//!
//! `is` keeps pairs, checks, nomination and timers. This file adds what a server on the open
//! internet needs besides:
//!
//! - **An authenticated check or nothing.** Integrity, both username fragments and the local
//!   address are looked at before the agent sees a request, because the agent remembers sources
//!   without bound. A generation knows at most [`MAX_SOURCES`] addresses.
//! - **Symmetric answers.** A response counts only if it comes from where the request went, to
//!   where it came from, once (RFC 8445 §7.2.5.2.1). `is` matches the transaction identifier alone
//!   and draws it from a generator that a peer could work out from a few of them, so the generator
//!   is seeded anew from BoringSSL's before every check. Together they keep an authenticated peer
//!   from answering in the name of a victim and so aiming our media at it.
//! - **Bare answers.** A response without XOR-MAPPED-ADDRESS, which ffmpeg sends and `is` refuses,
//!   is completed before the agent sees it: see [`bare_response`].
//! - **Restart without a gap.** A restart in `is` forgets every pair. Here it makes a second
//!   agent; the old one keeps answering, checking and carrying the path until the new one has a
//!   path of its own, and [`LINGER`] longer for what is under way (RFC 8445 §9).
//! - **A peer whose address changed** under it (a NAT that forgot) nominates a new pair of equal
//!   priority, which `is` would not prefer: it gets the path once the old pair is [`STALE`].
//! - **Consent** (RFC 7675): 30 s without an answer on the path end it, even while the peer still
//!   asks. `is` ends sooner, after about 25 s, when nothing at all comes.
//!
//! DEVIATES RFC 7675 §5.1 (consent comes from answers alone): on a leg that sends no media, media
//! that the peer sends over the path counts as well. ffmpeg's WHIP muxer answers no check once it
//! is secured, and would be cut off after 30 s of a working stream. Consent keeps media from an
//! address that did not ask for it, and such a leg has none to send: what leaves is feedback on
//! packets that just came from there, authenticated and not replayed, and less than came; so who
//! lies about where they came from gains nothing. The path itself still has to answer once, and
//! from the first media packet that the leg sends only answers count.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket, TransId};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};

use crate::bare_response;
use crate::codes;
use crate::config::{IceCredentials, LegConfig, LegError, Side};
use crate::event::Path;

/// The most addresses that one generation of a leg's ICE knows.
pub(crate) const MAX_SOURCES: usize = 16;

/// Checks that may be unanswered at a time: more than nine tries for each of a dozen pairs.
const MAX_OUTSTANDING: usize = 128;

/// How long a replaced generation still answers, so that packets under way find their leg.
const LINGER: Duration = Duration::from_secs(5);

/// After so long without an answer on the path, another nominated pair that answers takes over:
/// two checks of the steady 3 s rhythm are then unanswered. `is` would wait for all nine.
const STALE: Duration = Duration::from_secs(5);

/// RFC 7675 §5.1.
const CONSENT: Duration = Duration::from_secs(30);

/// Addresses that a client leg probes at most; a server names a handful.
const MAX_PROBED: usize = 64;

/// What ICE has to say; told through [`Ice::poll`].
#[derive(Debug)]
pub(crate) enum IceOutput {
    Transmit {
        path: Path,
        datagram: Vec<u8>,
    },
    SourceValidated(SocketAddr),
    SourceForgotten(SocketAddr),
    /// A check of ours was answered on this pair: an address is proved, maybe not nominated.
    PairProved(Path),
    PathChanged(Path),
    ConsentLost {
        unanswered_for: Duration,
        /// Since media was last heard, if it counted.
        unheard_for: Option<Duration>,
    },
}

/// The ICE side of one leg.
pub(crate) struct Ice {
    side: Side,
    local_addresses: Vec<SocketAddr>,
    tie_breaker: u64,
    current: Generation,
    previous: Option<Previous>,
    path: Option<Path>,
    /// When the path last answered.
    consent: Instant,
    /// When media last came over the path.
    heard: Option<Instant>,
    /// Whether media leaves us; then what was heard is no consent.
    is_sending: bool,
    rtt: Option<Duration>,
    outputs: VecDeque<IceOutput>,
}

/// One set of credentials and the pairs found with it.
struct Generation {
    agent: IceAgent,
    remote_ufrag: String,
    sources: Vec<SocketAddr>,
    outstanding: VecDeque<Outstanding>,
    /// Pairs that a controlling peer nominated; as many as sources and local addresses allow.
    nominated: Vec<Path>,
    has_path: bool,
    is_disconnected: bool,
}

/// The generation before a restart.
struct Previous {
    generation: Generation,
    /// Set once the new generation has its path.
    until: Option<Instant>,
}

/// A check that was sent and not answered.
struct Outstanding {
    transaction: [u8; 12],
    /// The same in the words of `is`, which does not make one from bytes.
    id: TransId,
    path: Path,
    sent: Instant,
}

impl Ice {
    pub(crate) fn new(config: &LegConfig, now: Instant) -> Result<Self, LegError> {
        config.check()?;
        let mut tie_breaker = [0; 8];
        draw(&mut tie_breaker);
        let tie_breaker = u64::from_ne_bytes(tie_breaker);
        let mut current = Generation::new(
            config.side,
            tie_breaker,
            &config.local_addresses,
            &config.local_credentials,
            &config.remote_credentials,
        )?;
        if config.side == Side::Client {
            for candidate in &config.remote_candidates {
                current.add_remote(*candidate);
            }
        }
        let mut ice = Self {
            side: config.side,
            local_addresses: config.local_addresses.clone(),
            tie_breaker,
            current,
            previous: None,
            path: None,
            consent: now,
            heard: None,
            is_sending: false,
            rtt: None,
            outputs: VecDeque::new(),
        };
        // Until its first `handle_timeout` the agent has no deadline.
        ice.tick(now);
        Ok(ice)
    }

    /// Takes a STUN message. An error is the code of why it changed nothing.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Result<(), &'static str> {
        let completed;
        let datagram = if bare_response::is_bare(datagram) {
            completed = self.complete(path, datagram)?;
            &completed
        } else {
            datagram
        };
        let message = StunMessage::parse(datagram).map_err(|_| codes::ICE_MALFORMED)?;
        if message.is_binding_request() {
            self.receive_request(now, path, message)
        } else if message.is_successful_binding_response() || message.is_failed_binding_response() {
            self.receive_response(now, path, message, datagram)
        } else {
            Err(codes::ICE_MALFORMED)
        }
    }

    fn receive_request(
        &mut self,
        now: Instant,
        path: Path,
        message: StunMessage<'_>,
    ) -> Result<(), &'static str> {
        if !self.local_addresses.contains(&path.local) {
            return Err(codes::ICE_UNKNOWN_LOCAL_ADDRESS);
        }
        let (local_ufrag, remote_ufrag) = message.split_username().ok_or(codes::ICE_MALFORMED)?;
        let generation = self
            .generations_mut()
            .find(|generation| generation.is_for(local_ufrag, remote_ufrag))
            .ok_or(codes::ICE_UNKNOWN_UFRAG)?;
        if !generation.agent.accepts_message(&message) {
            return Err(codes::ICE_BAD_INTEGRITY);
        }
        let is_new = !generation.sources.contains(&path.remote);
        if is_new && generation.sources.len() >= MAX_SOURCES {
            return Err(codes::ICE_TOO_MANY_SOURCES);
        }
        if message.use_candidate() && !generation.nominated.contains(&path) {
            generation.nominated.push(path);
        }
        generation.handle(now, path, message);
        if is_new {
            generation.sources.push(path.remote);
            self.tell_source(path.remote);
        }
        self.drain(now);
        Ok(())
    }

    /// What a peer should have answered that answered one of our checks with a bare response.
    fn complete(&self, path: Path, bare: &[u8]) -> Result<Vec<u8>, &'static str> {
        let transaction = transaction_of(bare).ok_or(codes::ICE_MALFORMED)?;
        let (generation, asked) = self
            .generations()
            .find_map(|generation| {
                let place = generation.asked(transaction, path)?;
                Some((generation, generation.outstanding.get(place)?))
            })
            .ok_or(codes::ICE_UNEXPECTED_RESPONSE)?;
        let remote = generation
            .agent
            .remote_credentials()
            .ok_or(codes::ICE_BAD_INTEGRITY)?;
        bare_response::complete(bare, asked.id, &remote.pass, asked.path.local)
    }

    fn receive_response(
        &mut self,
        now: Instant,
        path: Path,
        message: StunMessage<'_>,
        datagram: &[u8],
    ) -> Result<(), &'static str> {
        let transaction = transaction_of(datagram).ok_or(codes::ICE_MALFORMED)?;
        let (generation, place) = self
            .generations_mut()
            .find_map(|generation| {
                let place = generation.asked(transaction, path)?;
                Some((generation, place))
            })
            .ok_or(codes::ICE_UNEXPECTED_RESPONSE)?;
        if !generation.agent.accepts_message(&message) {
            return Err(codes::ICE_BAD_INTEGRITY);
        }
        let asked = generation
            .outstanding
            .remove(place)
            .ok_or(codes::ICE_UNEXPECTED_RESPONSE)?;
        let is_success = message.is_successful_binding_response();
        generation.handle(now, path, message);
        let is_nominated = generation.nominated.contains(&path);
        let is_new = !generation.sources.contains(&path.remote);
        if is_new {
            // Only a client learns an address so, from a candidate that it was given.
            generation.sources.push(path.remote);
            self.tell_source(path.remote);
        }
        if is_success {
            let round_trip = now.saturating_duration_since(asked.sent);
            if self.path.is_none() || self.path == Some(path) {
                self.rtt = Some(round_trip);
            }
            if self.path == Some(path) {
                self.consent = now;
            }
            self.outputs.push_back(IceOutput::PairProved(path));
            let is_stale = now.saturating_duration_since(self.consent) > STALE;
            if self.path.is_some() && is_nominated && is_stale {
                self.take_path(now, path);
            }
        }
        self.drain(now);
        Ok(())
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if matches!(&self.previous, Some(Previous { until: Some(until), .. }) if *until <= now) {
            self.forget_previous();
        }
        for generation in self.generations_mut() {
            generation.tick(now);
        }
        self.drain(now);
        let heard = self.heard_since_answer();
        let silent_for = now.saturating_duration_since(heard.unwrap_or(self.consent));
        // A disconnected agent has given up on every pair; while a restart is under way the path
        // may still be the old generation's, and then only time ends it. So it is while media comes
        // from a peer that answers nothing.
        let is_given_up = self.current.has_path && self.current.is_disconnected && heard.is_none();
        if self.path.is_some() && (silent_for >= CONSENT || is_given_up) {
            self.path = None;
            self.outputs.push_back(IceOutput::ConsentLost {
                unanswered_for: now.saturating_duration_since(self.consent),
                unheard_for: heard.map(|heard| now.saturating_duration_since(heard)),
            });
        }
    }

    /// An authenticated media packet came this way.
    #[inline]
    pub(crate) fn media_received(&mut self, now: Instant, path: Path) {
        if self.path == Some(path) {
            self.heard = Some(now);
        }
    }

    /// Media leaves: from now on only answers are consent.
    #[inline]
    pub(crate) const fn media_sent(&mut self) {
        self.is_sending = true;
    }

    /// When media was last heard, if it counts and is newer than the last answer.
    fn heard_since_answer(&self) -> Option<Instant> {
        self.heard
            .filter(|heard| !self.is_sending && *heard > self.consent)
    }

    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let since = self.heard_since_answer().unwrap_or(self.consent);
        let consent = self.path.map(|_| since + CONSENT);
        let until = self.previous.as_ref().and_then(|previous| previous.until);
        let agents = self
            .generations_mut()
            .filter_map(|generation| generation.agent.poll_timeout());
        agents.min().into_iter().chain(consent).chain(until).min()
    }

    pub(crate) fn poll(&mut self) -> Option<IceOutput> {
        self.outputs.pop_front()
    }

    /// Begins anew with other credentials; the old ones stay in force until the new have a path.
    pub(crate) fn restart(
        &mut self,
        now: Instant,
        local: &IceCredentials,
        remote: &IceCredentials,
    ) -> Result<(), LegError> {
        let next = Generation::new(
            self.side,
            self.tie_breaker,
            &self.local_addresses,
            local,
            remote,
        )?;
        let replaced = std::mem::replace(&mut self.current, next);
        if replaced.has_path || self.previous.is_none() {
            self.forget_previous();
            self.previous = Some(Previous {
                generation: replaced,
                until: None,
            });
        } else {
            // A restart that is itself replaced before it found a path is of no more use.
            self.forget(&replaced);
        }
        self.tick(now);
        Ok(())
    }

    pub(crate) fn add_remote(&mut self, candidate: SocketAddr) {
        if self.side == Side::Client {
            self.current.add_remote(candidate);
        }
    }

    pub(crate) const fn path(&self) -> Option<Path> {
        self.path
    }

    /// The newest round trip measured on the path, or on any pair while there is no path.
    pub(crate) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether this address answered a check of ours. The path's did, even if the agent has since
    /// given up on it.
    pub(crate) fn is_validated(&self, remote: SocketAddr) -> bool {
        let is_path = self.path.is_some_and(|path| path.remote == remote);
        let mut generations = self.generations();
        is_path
            || generations.any(|generation| generation.agent.has_viable_remote_candidate(remote))
    }

    /// Whether an authenticated message came from this address.
    pub(crate) fn is_source(&self, remote: SocketAddr) -> bool {
        self.generations()
            .any(|generation| generation.sources.contains(&remote))
    }

    pub(crate) fn has_sources(&self) -> bool {
        self.generations()
            .any(|generation| !generation.sources.is_empty())
    }

    pub(crate) fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        self.generations()
            .map(|generation| generation.agent.local_credentials().ufrag.as_str())
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        let previous = self.previous.as_ref().map(|previous| &previous.generation);
        std::iter::once(&self.current).chain(previous)
    }

    fn generations_mut(&mut self) -> impl Iterator<Item = &mut Generation> {
        let previous = self
            .previous
            .as_mut()
            .map(|previous| &mut previous.generation);
        std::iter::once(&mut self.current).chain(previous)
    }

    /// Works off what the agents have queued.
    fn drain(&mut self, now: Instant) {
        let mut path = None;
        if let Some(previous) = &mut self.previous {
            let found = previous.generation.drain(now, &mut self.outputs);
            // Until the new generation has a path, the old one still may move.
            path = if self.current.has_path { None } else { found };
        }
        if let Some(found) = self.current.drain(now, &mut self.outputs) {
            path = Some(found);
            if let Some(previous) = &mut self.previous {
                previous.until.get_or_insert(now + LINGER);
            }
        }
        if let Some(path) = path {
            self.take_path(now, path);
        }
    }

    /// From now on packets go there: a nominated pair that has just been checked, so it has
    /// consent.
    fn take_path(&mut self, now: Instant, path: Path) {
        self.consent = now;
        if self.path != Some(path) {
            self.path = Some(path);
            self.outputs.push_back(IceOutput::PathChanged(path));
        }
    }

    /// Tells of an address that one generation has just learnt, unless the other knew it.
    fn tell_source(&mut self, remote: SocketAddr) {
        if self
            .generations()
            .filter(|generation| generation.sources.contains(&remote))
            .count()
            == 1
        {
            self.outputs.push_back(IceOutput::SourceValidated(remote));
        }
    }

    fn forget_previous(&mut self) {
        if let Some(previous) = self.previous.take() {
            self.forget(&previous.generation);
        }
    }

    /// Tells of the addresses that only this generation knew.
    fn forget(&mut self, gone: &Generation) {
        for source in &gone.sources {
            if !self.is_source(*source) {
                self.outputs.push_back(IceOutput::SourceForgotten(*source));
            }
        }
    }
}

impl Generation {
    fn new(
        side: Side,
        tie_breaker: u64,
        local_addresses: &[SocketAddr],
        local: &IceCredentials,
        remote: &IceCredentials,
    ) -> Result<Self, LegError> {
        let mut agent = IceAgent::new(credentials(local));
        agent.set_control_tie_breaker(tie_breaker);
        agent.set_controlling(side == Side::Client);
        agent.set_remote_credentials(credentials(remote));
        let mut refused = "none was given".to_owned();
        let mut count = 0;
        for address in local_addresses {
            match Candidate::host(*address, Protocol::Udp) {
                // `None` means that the address was given twice.
                Ok(candidate) => {
                    count += usize::from(agent.add_local_candidate(candidate).is_some())
                }
                Err(error) => refused = format!("{address}: {error}"),
            }
        }
        if count == 0 {
            return Err(LegError::NoLocalAddress(refused));
        }
        Ok(Self {
            agent,
            remote_ufrag: remote.ufrag.clone(),
            sources: Vec::new(),
            outstanding: VecDeque::new(),
            nominated: Vec::new(),
            has_path: false,
            is_disconnected: false,
        })
    }

    fn is_for(&self, local_ufrag: &str, remote_ufrag: &str) -> bool {
        self.agent.local_credentials().ufrag == local_ufrag && self.remote_ufrag == remote_ufrag
    }

    fn add_remote(&mut self, address: SocketAddr) {
        if self.agent.remote_candidates().count() >= MAX_PROBED {
            return;
        }
        // An address that cannot be a candidate is one that cannot be reached: nothing to probe.
        if let Ok(candidate) = Candidate::host(address, Protocol::Udp) {
            self.agent.add_remote_candidate(candidate);
        }
    }

    /// Gives the agent a message that was found genuine, and lets it act on it at once rather than
    /// at its next paced turn: a fresh request is so checked in return without a delay.
    fn handle(&mut self, now: Instant, path: Path, message: StunMessage<'_>) {
        self.agent.handle_packet(
            now,
            StunPacket {
                proto: Protocol::Udp,
                source: path.remote,
                destination: path.local,
                message,
            },
        );
        self.tick(now);
    }

    fn tick(&mut self, now: Instant) {
        seed_transaction_ids();
        self.agent.handle_timeout(now);
    }

    /// Where the check with this identifier is in the list, if it was sent on this pair.
    fn asked(&self, transaction: [u8; 12], path: Path) -> Option<usize> {
        self.outstanding
            .iter()
            .position(|asked| asked.transaction == transaction && asked.path == path)
    }

    /// Moves what the agent queued to `outputs`; returns the newest nominated pair.
    fn drain(&mut self, now: Instant, outputs: &mut VecDeque<IceOutput>) -> Option<Path> {
        while let Some(transmit) = self.agent.poll_transmit() {
            let path = Path {
                local: transmit.source,
                remote: transmit.destination,
            };
            let datagram = Vec::from(transmit.contents);
            if let Some(asked) = Outstanding::of(&datagram, path, now) {
                if self.outstanding.len() == MAX_OUTSTANDING {
                    self.outstanding.pop_front();
                }
                self.outstanding.push_back(asked);
            }
            outputs.push_back(IceOutput::Transmit { path, datagram });
        }
        let mut nominated = None;
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::NominatedSend {
                    source,
                    destination,
                    ..
                } => {
                    self.has_path = true;
                    nominated = Some(Path {
                        local: source,
                        remote: destination,
                    });
                }
                IceAgentEvent::IceConnectionStateChange(state) => {
                    self.is_disconnected = state == IceConnectionState::Disconnected;
                }
                // Sources are told by this file, which counts them.
                IceAgentEvent::DiscoveredRecv { .. } | IceAgentEvent::IceRestart(_) => {}
            }
        }
        nominated
    }
}

impl Outstanding {
    /// What is remembered of a message that leaves, if it is a check.
    fn of(datagram: &[u8], path: Path, sent: Instant) -> Option<Self> {
        let message = StunMessage::parse(datagram).ok()?;
        message.is_binding_request().then_some(())?;
        Some(Self {
            transaction: transaction_of(datagram)?,
            id: message.trans_id(),
            path,
            sent,
        })
    }
}

fn credentials(credentials: &IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: credentials.ufrag.clone(),
        pass: credentials.pwd.clone(),
    }
}

/// RFC 8489 §5: twelve bytes after the type, the length and the magic cookie.
fn transaction_of(datagram: &[u8]) -> Option<[u8; 12]> {
    datagram.get(8..20)?.try_into().ok()
}

/// Makes the transaction identifiers that `is` draws next unpredictable from those before.
fn seed_transaction_ids() {
    let mut seed = [0; 8];
    draw(&mut seed);
    fastrand::seed(u64::from_ne_bytes(seed));
}

/// Fills `bytes` from BoringSSL's generator.
pub(crate) fn draw(bytes: &mut [u8]) {
    boring::rand::rand_bytes(bytes).expect("BoringSSL aborts rather than return weak randomness");
}
