//! The DTLS handshake of one leg, which one damaged or forged datagram must not end.
//!
//! A handshake's first flights are not authenticated. A bit flipped in a copy of one, sent ahead of
//! the original, ends an endpoint, or lets it go on with a transcript that the peer does not share.
//! So a leg has *attempts*, each an endpoint of its own, and the first that completes is the one:
//!
//! - A server begins another attempt for every ClientHello that it has not seen: it may be the
//!   genuine one after a forged one, or a client that began anew. The earlier attempts live on, so
//!   a late forgery takes nothing away; but only the one whose ClientHello was heard last speaks,
//!   because two at once would confuse the peer. A client that waits repeats its ClientHello.
//! - A client begins another one when half of its time is over and nothing came of the first.
//! - When the last attempt fails, its verdict is held back and a fresh attempt takes its place: at
//!   once on a server, on a client after a pause, so that what answers the failed one does not
//!   reach the fresh one. If the same refusal comes again, or silence, or the deadline, then the
//!   verdict was true and is told. A server does not believe it before a genuine peer that waits has
//!   had time to repeat its ClientHello: several forged ones may come before it (the ClientHello
//!   race, see THREATS.md).
//! - The alert of a failed attempt goes out if the peer was already answered, for its handshake is
//!   then over as well. A server that choked on a ClientHello keeps it back with the verdict:
//!   sent, it would end the genuine client's handshake for the forger.
//!
//! A verdict on a certificate that came in a protected record is final at once: nobody but the peer
//! could have sent it. In DTLS 1.2 certificates travel in the clear.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_srtp::{MasterKey, Profile};
use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent, Role};
use sealcast_tls::{codes, Facts, TlsError};
use zeroize::Zeroizing;

use crate::config::DtlsParameters;

/// Room for IPv6, UDP and a tunnel within 1280 bytes; what browsers use. A capture on the sending
/// host may show a flight as one longer datagram: the relay hands a run of them to the kernel as one
/// message (UDP_SEGMENT), which is cut behind the point of capture.
const MTU: u16 = 1200;

/// Endpoints at a time: the genuine one and what forgeries and new beginnings add.
const MAX_ATTEMPTS: usize = 6;

/// How long a fresh attempt may hear nothing before the last verdict stands.
const SILENCE: Duration = Duration::from_secs(2);

/// Fresh attempts after failures that damage could explain.
const TRIES_AFTER_DAMAGE: u8 = 8;

/// Fresh attempts after an alert, which may be the echo of damage at the other end.
const TRIES_AFTER_ALERT: u8 = 2;

/// Fresh attempts after a clear refusal: a real one comes again with the peer's next flight.
const TRIES_AFTER_REFUSAL: u8 = 1;

/// How long after the first failure on a server no further one counts: a genuine peer repeats a
/// ClientHello that nobody answered within a second (RFC 9147 §5.8.2).
const RACE: Duration = Duration::from_secs(1);

/// RFC 9147 §5.8.2 starts at 1 s, or at less if the round trip is known, as here it is.
const SHORTEST_TIMER: Duration = Duration::from_millis(50);
const LONGEST_TIMER: Duration = Duration::from_secs(1);

/// The time the peer may need to compute.
const PEER_COMPUTES: Duration = Duration::from_millis(20);

/// What became of the handshake.
pub(crate) enum Outcome {
    Completed(Box<Facts>),
    Failed {
        code: &'static str,
        detail: String,
    },
    /// The peer closed an established association.
    Closed,
}

/// The DTLS side of one leg.
pub(crate) struct Handshake {
    parameters: DtlsParameters,
    timer: Duration,
    deadline: Instant,
    /// When a client that got nowhere begins another attempt.
    second_wind: Option<Instant>,
    /// When a client whose attempt failed begins another.
    pause: Option<Instant>,
    /// In the order in which they began; one once it is established.
    attempts: Vec<Attempt>,
    /// On a server, the ClientHello that was heard last.
    speaks_to: Option<HelloDigest>,
    is_established: bool,
    held: Option<Held>,
    transmits: VecDeque<Vec<u8>>,
    outcome: Option<Outcome>,
}

/// One endpoint, and on a server the ClientHello that it answers.
struct Attempt {
    endpoint: DtlsEndpoint,
    has_spoken: bool,
    hello: Option<HelloDigest>,
}

/// A verdict that is not believed yet.
struct Held {
    code: &'static str,
    detail: String,
    farewell: Vec<Vec<u8>>,
    since: Instant,
    /// When the first of the failures was that led to it.
    first: Instant,
    has_heard_since: bool,
    failures: u8,
}

impl Handshake {
    /// Begins; a client's first flight is ready to be sent.
    pub(crate) fn new(
        parameters: DtlsParameters,
        timeout: Duration,
        round_trip: Option<Duration>,
        now: Instant,
    ) -> Result<Self, TlsError> {
        let mut handshake = Self {
            timer: first_timer(round_trip),
            deadline: now + timeout,
            second_wind: (parameters.role == Role::Client).then(|| now + timeout / 2),
            pause: None,
            parameters,
            attempts: Vec::with_capacity(1),
            speaks_to: None,
            is_established: false,
            held: None,
            transmits: VecDeque::new(),
            outcome: None,
        };
        handshake.attempt(now, None)?;
        handshake.drain(now, false);
        Ok(handshake)
    }

    /// Takes one datagram from a validated address.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) {
        let hello = match self.parameters.role {
            Role::Server if !self.is_established => hello_digest(datagram),
            _ => None,
        };
        if let Some(held) = &mut self.held {
            let is_client_again = self.parameters.role == Role::Client && self.pause.is_none();
            held.has_heard_since |= hello.is_some() || is_client_again;
        }
        match hello {
            Some(hello) => self.receive_hello(now, hello, datagram),
            None => {
                for attempt in &mut self.attempts {
                    attempt.endpoint.receive(now, datagram);
                }
            }
        }
        self.drain(now, is_protected(datagram));
    }

    /// Gives a ClientHello to the attempt that is about it, or to a new one.
    fn receive_hello(&mut self, now: Instant, hello: HelloDigest, datagram: &[u8]) {
        let known = self
            .attempts
            .iter()
            .position(|attempt| attempt.hello == Some(hello))
            .or_else(|| {
                self.attempts
                    .iter()
                    .position(|attempt| attempt.hello.is_none())
            });
        let place = match known {
            Some(place) => place,
            // More are forgeries, or a storm that the deadline ends.
            None if self.attempts.len() == MAX_ATTEMPTS => return,
            None if self.attempt(now, Some(hello)).is_ok() => self.attempts.len() - 1,
            // An endpoint could be made before, so this is memory running out.
            None => return,
        };
        self.speaks_to = Some(hello);
        let attempt = &mut self.attempts[place];
        attempt.hello = Some(hello);
        attempt.endpoint.receive(now, datagram);
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(held) = self
            .held
            .take_if(|held| held.stands_at().is_some_and(|at| at <= now))
        {
            return self.conclude(held);
        }
        for attempt in &mut self.attempts {
            attempt.endpoint.tick(now);
        }
        let is_due = self.second_wind.take_if(|at| *at <= now).is_some();
        if self.pause.take_if(|at| *at <= now).is_some() || is_due {
            // If it cannot be made, another one still may succeed.
            let _ = self.attempt(now, None);
        }
        if now >= self.deadline && self.attempts.is_empty() {
            if let Some(held) = self.held.take() {
                return self.conclude(held);
            }
        }
        self.drain(now, false);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let endpoints = self
            .attempts
            .iter()
            .filter_map(|attempt| attempt.endpoint.deadline());
        let verdict = self.held.as_ref().and_then(Held::stands_at);
        let pause = self.pause.map(|pause| pause.min(self.deadline));
        endpoints
            .chain(verdict)
            .chain(self.second_wind)
            .chain(pause)
            .min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    pub(crate) fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// The keying material of RFC 5764 §4.2 for this profile.
    pub(crate) fn export(&self, profile: Profile) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let attempt = self.attempts.first().ok_or(TlsError::NotEstablished)?;
        attempt
            .endpoint
            .export_srtp(MasterKey::exported_len(profile))
    }

    /// Which of the expected fingerprints the peer met, in words.
    pub(crate) fn proved_fingerprint(&self) -> Option<String> {
        let attempt = self.attempts.first()?;
        attempt
            .endpoint
            .proved_fingerprint()
            .map(ToString::to_string)
    }

    /// Says goodbye to an established peer.
    pub(crate) fn close(&mut self, now: Instant) {
        for attempt in &mut self.attempts {
            attempt.endpoint.close(now);
            self.transmits
                .extend(std::iter::from_fn(|| attempt.endpoint.poll_transmit()));
        }
    }

    fn attempt(&mut self, now: Instant, hello: Option<HelloDigest>) -> Result<(), TlsError> {
        let left = self.deadline.saturating_duration_since(now);
        let endpoint = endpoint(&self.parameters, self.timer, left, now)?;
        self.attempts.push(Attempt {
            endpoint,
            has_spoken: false,
            hello,
        });
        Ok(())
    }

    /// Works off what the endpoints put out; `is_proof` if a protected record caused it.
    fn drain(&mut self, now: Instant, is_proof: bool) {
        let speaks_to = self.speaks_to;
        let mut place = 0;
        while let Some(attempt) = self.attempts.get_mut(place) {
            let event = attempt.endpoint.poll_event();
            let datagrams = std::iter::from_fn(|| attempt.endpoint.poll_transmit());
            match event {
                Some(DtlsEvent::Failed { code, detail }) => {
                    let mut farewell = Vec::new();
                    match attempt.has_spoken {
                        true => self.transmits.extend(datagrams),
                        false => farewell.extend(datagrams),
                    }
                    self.attempts.remove(place);
                    if self.attempts.is_empty() {
                        let held = Held {
                            detail,
                            farewell,
                            ..Held::new(code, now)
                        };
                        self.judge(now, held, is_proof);
                    }
                    continue;
                }
                Some(DtlsEvent::Established(facts)) => {
                    self.transmits.extend(datagrams);
                    let winner = self.attempts.swap_remove(place);
                    self.attempts = vec![winner];
                    self.is_established = true;
                    (self.held, self.second_wind, self.pause) = (None, None, None);
                    self.outcome = Some(Outcome::Completed(Box::new(facts)));
                    return;
                }
                Some(DtlsEvent::Closed) => {
                    self.transmits.extend(datagrams);
                    self.outcome = Some(Outcome::Closed);
                    return;
                }
                None if self.is_established || attempt.hello == speaks_to => {
                    let count = self.transmits.len();
                    self.transmits.extend(datagrams);
                    attempt.has_spoken |= self.transmits.len() > count;
                }
                None => datagrams.for_each(drop),
            }
            place += 1;
        }
    }

    /// The last attempt failed. Is that the end?
    fn judge(&mut self, now: Instant, mut verdict: Held, is_proof: bool) {
        if let Some(earlier) = self.held.take() {
            if verdict.code == codes::DTLS_TIMEOUT {
                // That time ran out says less than what an earlier attempt found.
                (verdict.code, verdict.detail) = (earlier.code, earlier.detail);
                return self.conclude(verdict);
            }
            verdict.first = earlier.first;
            if verdict.code == earlier.code {
                verdict.failures = earlier.failures.saturating_add(1);
            }
        }
        let tries = tries_after(verdict.code, is_proof);
        let is_racing = self.parameters.role == Role::Server && now < verdict.first + RACE;
        let has_tries = verdict.failures <= tries || (tries > 0 && is_racing);
        if self.is_established || !has_tries || now >= self.deadline {
            return self.conclude(verdict);
        }
        if self.parameters.role == Role::Client {
            // Each pause is twice as long as the one before, as are the peer's timers.
            self.pause = Some(now + self.timer * (1 << verdict.failures));
        } else if self.attempt(now, None).is_err() {
            return self.conclude(verdict);
        }
        self.held = Some(verdict);
    }

    fn conclude(&mut self, held: Held) {
        self.attempts.clear();
        (self.second_wind, self.pause) = (None, None);
        self.transmits.extend(held.farewell);
        self.outcome = Some(Outcome::Failed {
            code: held.code,
            detail: held.detail,
        });
    }
}

impl Held {
    const fn new(code: &'static str, since: Instant) -> Self {
        Self {
            code,
            detail: String::new(),
            farewell: Vec::new(),
            since,
            first: since,
            has_heard_since: false,
            failures: 1,
        }
    }

    /// When it will be believed, if the peer stays silent.
    fn stands_at(&self) -> Option<Instant> {
        (!self.has_heard_since).then(|| self.since + SILENCE)
    }
}

/// How many fresh attempts a failure of this kind is worth.
fn tries_after(code: &str, is_proof: bool) -> u8 {
    match code {
        codes::DTLS_NO_SRTP_PROFILE | codes::DTLS_TIMEOUT => 0,
        codes::DTLS_FINGERPRINT_MISMATCH | codes::DTLS_NO_PEER_CERTIFICATE if is_proof => 0,
        codes::DTLS_FAILED => TRIES_AFTER_DAMAGE,
        codes::DTLS_PEER_ALERT => TRIES_AFTER_ALERT,
        _ => TRIES_AFTER_REFUSAL,
    }
}

fn first_timer(round_trip: Option<Duration>) -> Duration {
    round_trip.map_or(LONGEST_TIMER, |round_trip| {
        (2 * round_trip + PEER_COMPUTES).clamp(SHORTEST_TIMER, LONGEST_TIMER)
    })
}

fn endpoint(
    parameters: &DtlsParameters,
    initial_timeout: Duration,
    handshake_timeout: Duration,
    now: Instant,
) -> Result<DtlsEndpoint, TlsError> {
    let profiles: Vec<&str> = parameters
        .srtp_profiles
        .iter()
        .filter_map(|profile| profile.openssl_name())
        .collect();
    DtlsEndpoint::new(
        DtlsConfig {
            role: parameters.role,
            identity: Arc::clone(&parameters.identity),
            expected: parameters.expected.clone().into(),
            min_version: parameters.min_version,
            max_version: parameters.max_version,
            groups: parameters.groups.clone(),
            srtp_profiles: profiles.join(":"),
            mtu: MTU,
            handshake_timeout,
            initial_timeout,
        },
        now,
    )
}

/// Whether a datagram begins with a protected record: DTLS 1.3's unified header (RFC 9147 §4), or
/// an epoch above 0 in the header of 1.2.
fn is_protected(datagram: &[u8]) -> bool {
    let is_unified = matches!(datagram.first(), Some(0b0010_0000..=0b0011_1111));
    is_unified || datagram.get(3..5).is_some_and(|epoch| epoch != [0, 0])
}

/// What tells one ClientHello from another.
type HelloDigest = u64;

/// The digest of a first ClientHello, or of its first fragment, at the head of a datagram.
///
/// A ClientHello sent again differs only in its record number, which is left out. The second one,
/// after a HelloRetryRequest, belongs to the attempt that asked for it and is none here.
///
/// RFC 9147 §4 and §5.2 (as RFC 6347 §4.1 and §4.2.2): the record has 13 bytes of header, of which
/// 3 and 4 are the epoch and the last two the length; the handshake message has 12, which begin
/// with the type, and of which 4 and 5 are the message number and 6 to 8 the fragment's offset.
fn hello_digest(datagram: &[u8]) -> Option<HelloDigest> {
    const HANDSHAKE_RECORD: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let (header, rest) = datagram.split_first_chunk::<13>()?;
    let record = rest.get(..usize::from(u16::from_be_bytes([header[11], header[12]])))?;
    let is_first_fragment = header[0] == HANDSHAKE_RECORD
        && header[3..5] == [0, 0]
        && record.first() == Some(&CLIENT_HELLO)
        && record.get(4..9) == Some(&[0; 5]);
    if !is_first_fragment {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(record);
    Some(hasher.finish())
}
