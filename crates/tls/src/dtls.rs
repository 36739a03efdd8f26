//! One DTLS association, sans-IO: datagrams and the time in, datagrams and events out.
//!
//! **What it does.** DTLS 1.3 (RFC 9147) and 1.2 (RFC 6347) in both roles, for DTLS-SRTP
//! (RFC 5764): certificates on both sides, each held against what is [`Expected`] during the
//! handshake: a fingerprint (RFC 8122 §6.2) or an authority's word (RFC 5280); retransmission, a
//! deadline of its own, close, and the names of the alerts that went either way.
//!
//! **What it does not.** It carries no application data (what arrives is dropped and counted),
//! sends no cookie (the caller proved the address by ICE, RFC 8827 §6.5), issues and resumes no
//! sessions, and does not judge which outcome is good enough: the configuration holds only
//! admissible ones.
//!
//! **What the caller must still do.** Feed datagrams only from the address that ICE validated:
//! handshake bytes are unauthenticated, and one bit flipped in a copy sent ahead of the original
//! ends the handshake. Drain [`DtlsEndpoint::poll_transmit`] and [`DtlsEndpoint::poll_event`]
//! after every call, and call [`DtlsEndpoint::tick`] at [`DtlsEndpoint::deadline`] for the life of
//! the leg: a 1.3 client is established before its last flight has arrived.
//!
//! ```text
//! client                                   server
//! ClientHello (2 datagrams with ML-KEM)  →
//!                                        ← ServerHello … Certificate … Finished
//! Certificate … Finished                 →   each side compares the fingerprint
//!                                        ← ACK (1.3) or Finished (1.2)
//! Established                                Established
//! ```

mod backoff;
mod config;
mod context;
mod event;
mod expected;
mod failure;
mod link;
mod proof;
mod shape;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use boring::error::ErrorStack;
use boring::ssl::{ErrorCode, Ssl, SslStream};
use zeroize::Zeroizing;

use crate::{alert_name, codes, facts, ffi, reason, witness, Fingerprint, TlsError};
use failure::Failure;
use link::Link;

/// Label of the DTLS-SRTP exporter (RFC 5764 §4.2).
const SRTP_EXPORTER: &str = "EXTRACTOR-dtls_srtp";

/// Shortest first timer. The engine takes a timer with less than 15 ms left as expired, so much
/// shorter ones would spin.
const MIN_INITIAL_TIMEOUT: Duration = Duration::from_millis(50);

/// Longest first timer.
const MAX_INITIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The engine counts microseconds, so one timer may be told as two times this far apart.
const CLOCK_GRAIN: Duration = Duration::from_micros(2);

/// The engine's reason when it has repeated a flight as often as it wants to.
const READ_TIMEOUT_EXPIRED: i32 = boring_sys::SSL_R_READ_TIMEOUT_EXPIRED;

/// The handshake_failure alert (RFC 8446 §6.2).
const ALERT_HANDSHAKE_FAILURE: u8 = 40;

pub use config::{DtlsConfig, Role};
pub use event::{DtlsCounters, DtlsEvent};
pub use expected::{judge_der, Expected};
pub use link::MAX_DATAGRAM;
pub use proof::Proved;

enum State {
    Handshaking { deadline: Instant },
    Established,
    Over,
}

/// One end of a DTLS association.
pub struct DtlsEndpoint {
    stream: SslStream<Link>,
    role: Role,
    state: State,
    events: VecDeque<DtlsEvent>,
    counters: DtlsCounters,
    started: Instant,
    /// Latest time seen; time never runs backwards inside.
    now: Instant,
    /// How far the engine's clock is ahead of ours: see [`DtlsEndpoint::expire_timer`].
    ahead: Duration,
    /// The engine's next timer, by its clock and by ours.
    timer: Option<Timer>,
    initial_timeout: Duration,
    handshake_timeout: Duration,
}

#[derive(Copy, Clone)]
struct Timer {
    engine: Duration,
    due: Instant,
}

impl DtlsEndpoint {
    /// Makes an endpoint; a client's first flight is ready to be sent when this returns.
    ///
    /// # Errors
    /// `TLS.BAD_POLICY` with a sentence that names the field.
    pub fn new(config: DtlsConfig, now: Instant) -> Result<DtlsEndpoint, TlsError> {
        config.check()?;
        let context = context::shared(&context::Policy {
            min_version: config.min_version,
            max_version: config.max_version,
            groups: config.groups,
            srtp_profiles: config.srtp_profiles,
        })?;
        let mut ssl = Ssl::new(&context).map_err(TlsError::engine("make a DTLS connection"))?;
        ssl.set_mtu(u32::from(config.mtu))
            .map_err(TlsError::engine("set the datagram size"))?;
        config.identity.install(&mut ssl)?;
        witness::attach(&mut ssl);
        proof::expect(&mut ssl, config.expected);
        ffi::shed_handshake_config(&mut ssl);
        let initial_timeout = clamp_initial(config.initial_timeout);
        ffi::dtls_set_initial_timeout(&mut ssl, initial_timeout);
        let stream = SslStream::new(ssl, Link::default())
            .map_err(TlsError::engine("make a DTLS connection"))?;
        let mut endpoint = DtlsEndpoint {
            stream,
            role: config.role,
            state: State::Handshaking {
                deadline: now + config.handshake_timeout,
            },
            events: VecDeque::new(),
            counters: DtlsCounters::default(),
            started: now,
            now,
            ahead: Duration::ZERO,
            timer: None,
            initial_timeout,
            handshake_timeout: config.handshake_timeout,
        };
        endpoint.enter(now);
        endpoint.advance();
        endpoint.leave();
        Ok(endpoint)
    }

    /// Takes one datagram from the validated address.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if matches!(self.state, State::Over) {
            self.counters.dropped_late += 1;
            return;
        }
        if datagram.is_empty() {
            self.counters.dropped_empty += 1;
            return;
        }
        if datagram.len() > MAX_DATAGRAM {
            self.counters.dropped_oversized += 1;
            return;
        }
        if !shape::is_dtls(datagram) {
            self.counters.dropped_not_dtls += 1;
            return;
        }
        self.counters.received += 1;
        self.enter(now);
        let before = self.footprint();
        self.stream.get_mut().arrive(datagram);
        self.advance();
        self.leave();
        if self.footprint() == before {
            self.counters.without_effect += 1;
        }
    }

    /// Does what is due: retransmissions, acknowledgements, the handshake deadline.
    pub fn tick(&mut self, now: Instant) {
        if matches!(self.state, State::Over) {
            return;
        }
        self.enter(now);
        match self.state {
            State::Handshaking { deadline } if self.now >= deadline => self.time_out(),
            _ => {
                if self.timer.is_some_and(|timer| self.now >= timer.due) {
                    self.expire_timer();
                }
            }
        }
        self.leave();
    }

    /// When [`DtlsEndpoint::tick`] is next due; `None` when nothing is pending.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Handshaking { deadline } => {
                Some(self.timer.map_or(deadline, |timer| timer.due.min(deadline)))
            }
            State::Established => self.timer.map(|timer| timer.due),
            State::Over => None,
        }
    }

    /// The next datagram to send to the peer.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.stream.get_mut().depart()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// Sets the first retransmission timer of each flight, also of one under way: a leg calls this
    /// when it has measured the round-trip time.
    pub fn set_initial_timeout(&mut self, timeout: Duration) {
        // The engine shifts the value left by the number of expired timers, so after many the new
        // one would overflow; by then the flight's timers are long past a round trip anyway.
        const MAX_SHIFT: u64 = 16;
        if self.counters.timeouts > MAX_SHIFT {
            return;
        }
        self.initial_timeout = clamp_initial(timeout);
        self.enter(self.now);
        ffi::dtls_set_initial_timeout(self.stream.ssl_mut(), self.initial_timeout);
        self.leave();
    }

    /// Ends the association from our side: an established peer gets a close_notify to be sent.
    /// No event follows, the caller knows.
    pub fn close(&mut self, now: Instant) {
        self.enter(now);
        if matches!(self.state, State::Established) {
            // Fails only if the engine is broken, and then there is nobody to tell.
            let _ = self.stream.shutdown();
        }
        self.state = State::Over;
        self.leave();
    }

    /// Whether the peer is proved and keys can be exported.
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// The SRTP keying material of RFC 5764 §4.2: client key, server key, client salt, server salt.
    ///
    /// # Errors
    /// `DTLS.NOT_ESTABLISHED` unless the peer was proved and the handshake completed.
    pub fn export_srtp(&self, len: usize) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        if !self.is_established() {
            return Err(TlsError::NotEstablished);
        }
        let mut material = Zeroizing::new(vec![0; len]);
        self.stream
            .ssl()
            .export_keying_material(&mut material, SRTP_EXPORTER, None)
            .map_err(TlsError::engine("export keying material"))?;
        Ok(material)
    }

    /// The number of the SRTP profile that was agreed on (RFC 5764 §4.1.2); `None` before.
    pub fn srtp_profile_id(&self) -> Option<u16> {
        self.is_established()
            .then(|| facts::srtp_profile_id(self.stream.ssl()))
            .flatten()
    }

    /// By what the peer proved itself; `None` before it did.
    pub fn proved(&self) -> Option<&Proved> {
        self.is_established()
            .then(|| proof::proved(self.stream.ssl()))
            .flatten()
    }

    /// The name that the peer proved: what its authority vouches for if that was asked for, else
    /// the certificate's subject. Empty before.
    pub fn proved_name(&self) -> String {
        match self.proved() {
            Some(Proved::Authority(authority)) => match authority.name() {
                Some(name) => name.value(),
                None => facts::peer_subject(self.stream.ssl()),
            },
            Some(Proved::Fingerprint(_)) => facts::peer_subject(self.stream.ssl()),
            None => String::new(),
        }
    }

    /// Which of the expected fingerprints the peer's certificate met; `None` before it was proved,
    /// or if it was proved by an authority.
    pub fn proved_fingerprint(&self) -> Option<&Fingerprint> {
        match self.proved()? {
            Proved::Fingerprint(fingerprint) => Some(fingerprint),
            Proved::Authority(_) => None,
        }
    }

    /// The name of the last alert that this end sent, close_notify included.
    pub fn alert_sent(&self) -> Option<&'static str> {
        let witness = witness::of(self.stream.ssl())?;
        witness.alert_sent().map(alert_name)
    }

    /// The name of the last alert that the peer sent and the engine believed, close_notify
    /// included. During a handshake it is unauthenticated.
    pub fn alert_received(&self) -> Option<&'static str> {
        let witness = witness::of(self.stream.ssl())?;
        witness.alert_received().map(alert_name)
    }

    /// Counts since creation.
    pub fn counters(&self) -> DtlsCounters {
        let link = self.stream.get_ref();
        DtlsCounters {
            sent: link.sent(),
            dropped_undrained: link.dropped(),
            ..self.counters
        }
    }

    /// Before every call into the engine: its clock is this thread's and its error queue too, so
    /// both must be ours.
    fn enter(&mut self, now: Instant) {
        self.now = self.now.max(now);
        ffi::set_engine_time(self.engine_time());
        drop(ErrorStack::get());
    }

    /// After every call into the engine: nothing of ours stays in the thread's error queue, and
    /// the next deadline is known.
    fn leave(&mut self) {
        drop(ErrorStack::get());
        self.timer = self.next_timer();
    }

    /// What a datagram that changed nothing leaves as it was.
    fn footprint(&self) -> impl PartialEq {
        (
            self.stream.get_ref().sent(),
            self.events.len(),
            self.counters.dropped_application_data,
            self.timer.map(|timer| timer.engine),
            self.stream.ssl().state_string_long(),
        )
    }

    fn engine_time(&self) -> Duration {
        context::ENGINE_EPOCH + self.now.duration_since(self.started) + self.ahead
    }

    fn next_timer(&self) -> Option<Timer> {
        if matches!(self.state, State::Over) {
            return None;
        }
        let left = ffi::dtls_timeout(self.stream.ssl())?;
        let engine = self.engine_time() + left;
        match self.timer {
            // Still the same one. Counting from now again would let a stream of datagrams put it
            // off.
            Some(timer) if timer.engine.abs_diff(engine) < CLOCK_GRAIN => Some(timer),
            // Its last 15 ms, which the engine takes for none: see MIN_INITIAL_TIMEOUT.
            Some(timer) if left.is_zero() && timer.due > self.now => Some(timer),
            _ => {
                let longest = backoff::longest(self.initial_timeout, self.handshake_timeout);
                Some(Timer {
                    engine,
                    due: self.now + left.min(longest),
                })
            }
        }
    }

    /// Sends what the due timer asks for. Where [`backoff`] is shorter than the engine's own timer,
    /// the engine's clock is set forward to it first.
    fn expire_timer(&mut self) {
        self.counters.timeouts += 1;
        self.ahead += ffi::dtls_timeout(self.stream.ssl()).unwrap_or_default();
        ffi::set_engine_time(self.engine_time());
        if ffi::dtls_handle_timeout(self.stream.ssl_mut()) {
            return;
        }
        let stack = ErrorStack::get();
        let is_exhausted = reason::all(&stack).any(|reason| reason == READ_TIMEOUT_EXPIRED);
        if is_exhausted {
            // All repetitions are sent. The deadline ends a handshake. An established peer never
            // acknowledged our last flight, yet its handshake may be complete; whether it lives is
            // for consent (RFC 7675) to say.
            return;
        }
        self.fail(Failure::new(
            codes::DTLS_FAILED,
            format!("could not send a flight again: {stack}"),
        ));
    }

    /// Lets the engine work on what has arrived.
    fn advance(&mut self) {
        if matches!(self.state, State::Handshaking { .. }) {
            let step = match self.role {
                Role::Client => self.stream.connect(),
                Role::Server => self.stream.accept(),
            };
            match step {
                Ok(()) => self.conclude(),
                Err(error) if error.would_block() => {}
                // Something arrived after the last repetition; the engine works no further.
                Err(error) if reason::first(&error) == Some(READ_TIMEOUT_EXPIRED) => {
                    self.time_out();
                }
                Err(error) => {
                    let failure = failure::of_handshake(&error, self.stream.ssl());
                    self.fail(failure);
                }
            }
        }
        if matches!(self.state, State::Established) {
            self.read();
        }
    }

    /// The only maker of an established association.
    fn conclude(&mut self) {
        let ssl = self.stream.ssl();
        if proof::proved(ssl).is_none() {
            // Unreachable while verification is mandatory; kept because keys hang on it.
            self.fail(Failure::new(
                codes::DTLS_NO_PEER_CERTIFICATE,
                "the handshake completed without a proved certificate".to_owned(),
            ));
        } else if ssl.selected_srtp_profile().is_none() {
            // BoringSSL completes without a profile (RFC 5764 §4.1.1 leaves it to us).
            ffi::send_fatal_alert(self.stream.ssl_mut(), ALERT_HANDSHAKE_FAILURE);
            self.fail(Failure::new(
                codes::DTLS_NO_SRTP_PROFILE,
                "the peer shares no SRTP protection profile with this leg's policy".to_owned(),
            ));
        } else {
            let facts = facts::read(ssl, "DTLS");
            self.state = State::Established;
            self.events.push_back(DtlsEvent::Established(facts));
        }
    }

    /// Works off records after establishment: lost flights, key updates, alerts, close.
    fn read(&mut self) {
        let mut unexpected = [0_u8; 256];
        loop {
            match self.stream.ssl_read(&mut unexpected) {
                Ok(_) => self.counters.dropped_application_data += 1,
                Err(error) if error.would_block() => return,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    // Each direction closes by itself (RFC 9147 §5.10, RFC 8446 §6.1).
                    let _ = self.stream.shutdown();
                    self.state = State::Over;
                    self.events.push_back(DtlsEvent::Closed);
                    return;
                }
                // See expire_timer; in 1.2 a peer that asks for our last flight too often ends here.
                Err(error) if reason::first(&error) == Some(READ_TIMEOUT_EXPIRED) => return,
                Err(error) => {
                    let failure = failure::of_handshake(&error, self.stream.ssl());
                    self.fail(failure);
                    return;
                }
            }
        }
    }

    fn time_out(&mut self) {
        let counters = self.counters();
        let evidence = match (self.role, counters.received) {
            (Role::Server, 0) => "no ClientHello arrived".to_owned(),
            (Role::Client, 0) => "nothing answered the ClientHello".to_owned(),
            (_, received) => {
                format!("{received} datagrams arrived, then the handshake stood still")
            }
        };
        self.fail(Failure::new(
            codes::DTLS_TIMEOUT,
            format!(
                "the handshake did not complete in {:.1} s: {evidence}; {} datagrams were sent, \
                 {} timers expired, state {:?}",
                self.now.duration_since(self.started).as_secs_f64(),
                counters.sent,
                counters.timeouts,
                self.stream.ssl().state_string_long(),
            ),
        ));
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Over;
        self.events.push_back(DtlsEvent::Failed {
            code: failure.code,
            detail: failure.detail,
        });
    }
}

fn clamp_initial(timeout: Duration) -> Duration {
    timeout.clamp(MIN_INITIAL_TIMEOUT, MAX_INITIAL_TIMEOUT)
}
