//! The shard: one thread that owns its sockets, legs, tracks and timers. No locks, no blocking call
//! but the wait.
//!
//! A turn of the loop: wait → commands → what the sockets have → frames of sinks → viewers →
//! feedback → DTLS (bounded) → timers → taps → send. After every call into a leg its outputs are
//! drained (one mutation, then drain).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use sealcast_leg::{classify, IceCredentials, Kind as DatagramKind, LegEvent, Output, Received};
use sealcast_tls::Identity;

use crate::clock::{thread_cpu_ns, NodeClock};
use crate::codes as code;
use crate::command::Command;
use crate::deliver::{deliver, retransmit, send_compound};
use crate::demux::{route_stun, Claimed, Index, Peer, Routes, StunRoute};
use crate::drops::Drops;
use crate::entry::Entry;
use crate::event::Event;
use crate::feeder::Feeder;
use crate::handshakes::{Handshakes, Waiting};
use crate::incoming::ForTrack;
use crate::legs::Legs;
use crate::limits;
use crate::outbox::Outbox;
use crate::ports::Ports;
use crate::reception::MAX_COMPOUND;
use crate::rtcp::{self, RtcpItem};
use crate::sink::SinkPort;
use crate::slot::ViewerReport;
use crate::snapshot::{LegSnapshot, Snapshot, SocketSnapshot, TrackSnapshot};
use crate::spec::{Codec, Kind, LegId, LegSide, LegSpec, SourceId, TrackId};
use crate::tap::TapPort;
use crate::track::{Incoming, Outcome, Track};
use crate::udp::{Datagram, RecvBatch};
use crate::wake::{wait_readable, Wake};

/// What reaches the shard over its channel.
pub(crate) enum Order {
    Command(Command),
    Sink(SinkPort),
    Tap(TapPort),
    Snapshot(Sender<Snapshot>),
}

/// One thread's worth of relay.
pub(crate) struct Shard {
    ports: Ports,
    batch: RecvBatch,
    orders: Receiver<Order>,
    wake: Arc<Wake>,
    stop: Arc<AtomicBool>,
    polled: Vec<libc::pollfd>,
    core: Core,
}

/// Everything but the sockets and the way in.
pub(crate) struct Core {
    clock: NodeClock,
    legs: Legs,
    tracks: HashMap<TrackId, Track>,
    feeders: Vec<Feeder>,
    taps: Vec<TapPort>,
    routes: Routes,
    handshakes: Handshakes,
    outbox: Outbox,
    drops: Drops,
    turns: u64,
}

impl Shard {
    pub fn new(
        ports: Ports,
        orders: Receiver<Order>,
        wake: Arc<Wake>,
        stop: Arc<AtomicBool>,
        outbox: Outbox,
    ) -> Shard {
        Shard {
            ports,
            batch: RecvBatch::new(),
            orders,
            wake,
            stop,
            polled: Vec::new(),
            core: Core {
                clock: NodeClock::capture(),
                legs: Legs::default(),
                tracks: HashMap::new(),
                feeders: Vec::new(),
                taps: Vec::new(),
                routes: Routes::default(),
                handshakes: Handshakes::default(),
                outbox,
                drops: Drops::new(),
                turns: 0,
            },
        }
    }

    /// Turns until it is stopped, then closes every leg.
    pub fn run(mut self) {
        let mut wait = Duration::ZERO;
        while !self.stop.load(Ordering::Acquire) {
            self.wait(wait);
            wait = self.turn();
        }
        let now = Instant::now();
        for index in self.core.legs.places() {
            self.core
                .close(index, now, &mut self.ports, code::STOPPED.to_owned());
        }
        self.ports.flush_all();
        self.core.outbox.announce();
    }

    fn wait(&mut self, timeout: Duration) {
        self.polled.clear();
        self.polled.push(libc::pollfd {
            fd: self.wake.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        for port in self.ports.iter() {
            let writable = if port.is_congested() {
                libc::POLLOUT
            } else {
                0
            };
            self.polled.push(libc::pollfd {
                fd: port.fd(),
                events: libc::POLLIN | writable,
                revents: 0,
            });
        }
        wait_readable(&mut self.polled, timeout);
    }

    /// One turn. Returns how long to wait before the next if nothing happens.
    fn turn(&mut self) -> Duration {
        let now = Instant::now();
        self.core.turns += 1;
        for index in 0..self.ports.len() {
            if self.ports.get_mut(index).is_congested() {
                self.ports.flush(index);
            }
        }
        if self
            .polled
            .first()
            .is_some_and(|polled| polled.revents != 0)
        {
            self.wake.lower();
        }
        let has_more_orders = self.take_orders(now);
        let has_more_datagrams = self.receive(now);
        let Shard { core, ports, .. } = self;
        let has_more_frames = core.feed(now);
        core.pass_key_frame_requests(now);
        let next_media = core.deliver(now, ports);
        // Viewers may have asked for a key frame only now.
        core.pass_key_frame_requests(now);
        core.feed_back(now, ports);
        core.work_handshakes(now, ports);
        core.tick(now, ports);
        let next_tap = core.advance_taps(now);
        ports.flush_all();
        core.outbox.announce();

        let is_busy =
            has_more_orders || has_more_datagrams || has_more_frames || !core.handshakes.is_empty();
        if is_busy {
            return Duration::ZERO;
        }
        let next = [next_media, next_tap, core.next_deadline(ports)]
            .into_iter()
            .flatten()
            .min();
        next.map_or(limits::IDLE_TURN, |next| {
            let wait = next.saturating_duration_since(Instant::now());
            wait.clamp(limits::SHORTEST_WAIT, limits::IDLE_TURN)
        })
    }

    /// Works the caller's orders. True if more wait.
    fn take_orders(&mut self, now: Instant) -> bool {
        for _ in 0..limits::COMMANDS_PER_TURN {
            let Ok(order) = self.orders.try_recv() else {
                return false;
            };
            match order {
                Order::Command(command) => self.core.command(command, now, &mut self.ports),
                Order::Sink(port) => self.core.add_sink(port),
                Order::Tap(port) => self.core.add_tap(port),
                Order::Snapshot(reply) => {
                    // A caller that no longer waits is no error.
                    let _ = reply.try_send(self.core.snapshot(now, &self.ports));
                }
            }
        }
        !self.orders.is_empty()
    }

    /// Takes what waits in the sockets. True if there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let Shard {
            ports, batch, core, ..
        } = self;
        let mut has_more = false;
        for port in 0..ports.len() {
            for round in 0..limits::RECEIVE_BATCHES_PER_TURN {
                match ports.get_mut(port).socket.receive(batch) {
                    Ok(0) => break,
                    Ok(_) => {
                        for datagram in batch.datagrams() {
                            core.datagram(now, port, datagram, ports);
                        }
                        // Less than a full batch: almost surely nothing is left, and if so it wakes
                        // us.
                        if batch.len() < crate::udp::RECEIVE_BATCH {
                            break;
                        }
                        has_more |= round + 1 == limits::RECEIVE_BATCHES_PER_TURN;
                    }
                    Err(_) => {
                        core.drops.count(code::RECEIVE_FAILED);
                        break;
                    }
                }
            }
        }
        has_more
    }
}

impl Core {
    fn command(&mut self, command: Command, now: Instant, ports: &mut Ports) {
        match command {
            Command::AddTrack {
                id,
                kind,
                codec,
                clock_rate,
            } => self.add_track(id, kind, codec, clock_rate),
            Command::RemoveTrack { id } => self.remove_track(id),
            Command::AddLeg { spec, identity } => self.add_leg(*spec, identity, now, ports),
            Command::RestartIce {
                leg,
                local_ufrag,
                local_pwd,
                remote_ufrag,
                remote_pwd,
            } => {
                let local = IceCredentials {
                    ufrag: local_ufrag,
                    pwd: local_pwd,
                };
                let remote = IceCredentials {
                    ufrag: remote_ufrag,
                    pwd: remote_pwd,
                };
                self.restart_ice(leg, &local, &remote, now, ports);
            }
            Command::AddRemoteCandidate { leg, address } => {
                if let Some(index) = self.legs.index_of(leg) {
                    self.add_remote_candidate(index, address);
                    self.drain(index, None, now, ports);
                }
            }
            Command::CloseLeg { leg, code } => {
                if let Some(index) = self.legs.index_of(leg) {
                    self.close(index, now, ports, code);
                }
            }
        }
    }

    fn add_track(&mut self, id: TrackId, kind: Kind, codec: Codec, clock_rate: u32) {
        let is_known = self.tracks.contains_key(&id);
        if is_known
            || self.tracks.len() >= limits::TRACKS
            || codec.kind() != kind
            || clock_rate == 0
        {
            self.drops.count(code::TRACK_REFUSED);
            return;
        }
        let mut track = Track::new(id, kind, codec, clock_rate);
        // A leg may have been added before its track.
        for entry in self.legs.iter() {
            for section in entry
                .incoming
                .iter()
                .flat_map(|incoming| &incoming.sections)
            {
                if section.spec.track == id {
                    track.add_source(entry.id, section.spec.pli);
                }
            }
        }
        self.tracks.insert(id, track);
    }

    fn remove_track(&mut self, id: TrackId) {
        self.tracks.remove(&id);
        self.feeders.retain(|feeder| feeder.track() != id);
        self.taps.retain(|tap| tap.track != id);
        for index in self.legs.places() {
            if let Some(entry) = self.legs.get_mut(index) {
                entry.outgoing.retain(|outgoing| outgoing.spec.track != id);
            }
        }
    }

    fn add_leg(&mut self, spec: LegSpec, identity: Arc<Identity>, now: Instant, ports: &mut Ports) {
        let id = spec.id;
        let local_ufrag = spec.ice.local_ufrag.clone();
        let candidates = match spec.side {
            LegSide::Client => spec.ice.remote_candidates.clone(),
            LegSide::Server => Vec::new(),
        };
        if self.legs.contains(id) {
            self.drops.count(code::LEG_REFUSED);
            return;
        }
        let begun = if self.legs.is_full() {
            Err((
                code::TOO_MANY_LEGS,
                format!("the relay has {} legs already", limits::LEGS),
            ))
        } else if self.routes.by_ufrag(local_ufrag.as_bytes()).is_some() {
            Err((
                code::UFRAG_TAKEN,
                "another leg has this local user fragment".to_owned(),
            ))
        } else {
            Entry::begin(spec, identity, ports.addresses(), now)
        };
        let entry = match begun {
            Ok(entry) => entry,
            Err((code, detail)) => {
                self.outbox.push(Event::LegClosed {
                    leg: id,
                    code: code.to_owned(),
                    detail,
                });
                return;
            }
        };
        for section in entry
            .incoming
            .iter()
            .flat_map(|incoming| &incoming.sections)
        {
            if let Some(track) = self.tracks.get_mut(&section.spec.track) {
                if !track.add_source(id, section.spec.pli) {
                    self.drops.count(code::TOO_MANY_SOURCES);
                }
            }
        }
        let index = self.legs.insert(entry);
        self.routes.claim_ufrag(&local_ufrag, index);
        for candidate in candidates {
            self.claim_probe(candidate, index);
        }
        self.drain(index, None, now, ports);
    }

    fn add_remote_candidate(&mut self, index: Index, address: SocketAddr) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        entry.leg.add_remote_candidate(address);
        if entry.side == LegSide::Client {
            self.claim_probe(address, index);
        }
    }

    /// Two client legs of one relay cannot watch the same server: nothing tells its packets apart.
    fn claim_probe(&mut self, address: SocketAddr, index: Index) {
        if !self.routes.claim_probe(address, index) {
            if let Some(entry) = self.legs.get_mut(index) {
                entry.drops.count(code::ADDRESS_TAKEN);
            }
        }
    }

    fn restart_ice(
        &mut self,
        id: LegId,
        local: &IceCredentials,
        remote: &IceCredentials,
        now: Instant,
        ports: &mut Ports,
    ) {
        let Some(index) = self.legs.index_of(id) else {
            return;
        };
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        if !self.routes.claim_ufrag(&local.ufrag, index) {
            entry.drops.count(code::UFRAG_TAKEN);
            return;
        }
        if let Err(error) = entry.leg.restart_ice(now, local, remote) {
            entry.drops.count(error.code());
        }
        self.drain(index, None, now, ports);
    }

    fn close(&mut self, index: Index, now: Instant, ports: &mut Ports, code: String) {
        if let Some(entry) = self.legs.get_mut(index) {
            entry.close_code = Some(code);
            // The code that counts is the caller's; it replaces this one in the event.
            entry.leg.close(now, code::CLOSED);
        }
        self.drain(index, None, now, ports);
    }

    /// Sorts one datagram by its first byte (RFC 7983, RFC 9443) and gives it to its leg.
    fn datagram(&mut self, now: Instant, port: usize, datagram: Datagram<'_>, ports: &mut Ports) {
        let Datagram {
            local,
            remote,
            bytes,
        } = datagram;
        let peer = Peer {
            socket: port,
            remote,
        };
        let kind = classify(bytes);
        let found = match kind {
            DatagramKind::Stun => match route_stun(bytes) {
                StunRoute::Request { local_ufrag } => {
                    self.routes.by_ufrag(local_ufrag).ok_or(code::UNKNOWN_UFRAG)
                }
                StunRoute::ByAddress => self
                    .routes
                    .by_source(peer)
                    .or_else(|| self.routes.by_probe(remote))
                    .ok_or(code::UNKNOWN_SOURCE),
                StunRoute::Malformed => Err(code::BAD_STUN),
            },
            DatagramKind::Dtls | DatagramKind::Rtp | DatagramKind::Rtcp => {
                self.routes.by_source(peer).ok_or(code::UNKNOWN_SOURCE)
            }
            _ => Err(code::UNKNOWN_KIND),
        };
        let index = match found {
            Ok(index) => index,
            Err(code) => return self.drops.count(code),
        };
        let Some(entry) = self.legs.get_mut(index) else {
            return self.drops.count(code::UNKNOWN_SOURCE);
        };
        entry.received.count(bytes.len());
        if kind == DatagramKind::Dtls {
            let waiting = Waiting {
                leg: index,
                id: entry.id,
                port,
                local,
                remote,
                datagram: bytes.to_vec(),
            };
            if !self.handshakes.push(waiting, &mut entry.dtls_waiting) {
                entry.drops.count(code::DTLS_QUEUE_FULL);
            }
            return;
        }
        match entry.leg.receive(now, local, remote, bytes) {
            Received::Rtp(packet) => {
                entry.heard = now;
                let packet: &[u8] = packet;
                let sorted = match &mut entry.incoming {
                    Some(incoming) => incoming.rtp(now, packet),
                    None => Err(code::UNKNOWN_SSRC),
                };
                let (id, is_first) = (entry.id, !entry.has_flowed);
                entry.has_flowed = true;
                match sorted {
                    Ok(packet) => self.enter_track(index, id, packet, now),
                    Err(code) => entry.drops.count(code),
                }
                if is_first {
                    self.drain(index, Some(port), now, ports);
                }
            }
            Received::Rtcp(compound) => {
                entry.heard = now;
                let compound: &[u8] = compound;
                self.rtcp(index, compound, now, ports);
            }
            Received::Handled => {
                entry.heard = now;
                self.drain(index, Some(port), now, ports);
            }
            Received::Dropped(code) => {
                entry.drops.count(code);
                // A refused check may still be answered, with an error (RFC 8445 §7.3).
                if kind == DatagramKind::Stun {
                    self.drain(index, Some(port), now, ports);
                }
            }
        }
    }

    fn enter_track(&mut self, index: Index, source: LegId, packet: ForTrack<'_>, now: Instant) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        let Some(incoming) = &entry.incoming else {
            return;
        };
        let id = incoming.sections[packet.section].spec.track;
        let incoming = Incoming {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
            key_start: packet.key_start,
            entered: now,
            node_ns: self.clock.ns(now),
            captured_ns: None,
        };
        let outcome = enter(&mut self.tracks, &mut self.outbox, id, source, incoming);
        if let Outcome::Dropped(code) = outcome {
            entry.drops.count(code);
        }
    }

    fn rtcp(&mut self, index: Index, compound: &[u8], now: Instant, ports: &mut Ports) {
        let node_ns = self.clock.ns(now);
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        for item in rtcp::parse(compound) {
            match item {
                RtcpItem::SenderReport {
                    ssrc,
                    ntp,
                    rtp_timestamp,
                    ..
                } => {
                    let Some(incoming) = &mut entry.incoming else {
                        continue;
                    };
                    let Some((section, offset)) =
                        incoming.sender_report(now, node_ns, ssrc, ntp, rtp_timestamp)
                    else {
                        continue;
                    };
                    if let Some(track) = self.tracks.get_mut(&incoming.sections[section].spec.track)
                    {
                        track.report(entry.id, rtp_timestamp, ntp, offset);
                    }
                }
                RtcpItem::ReportBlock {
                    about_ssrc,
                    fraction_lost,
                    cumulative_lost,
                    jitter,
                    ..
                } => {
                    let slots = entry
                        .outgoing
                        .iter_mut()
                        .filter_map(|outgoing| outgoing.slot.as_mut());
                    for slot in slots.filter(|slot| slot.spec().ssrc == about_ssrc) {
                        slot.report = ViewerReport {
                            fraction_lost,
                            cumulative_lost,
                            jitter,
                        };
                    }
                }
                RtcpItem::Nack { media_ssrc, lost } => {
                    retransmit(entry, &self.tracks, ports, media_ssrc, lost, now)
                }
                RtcpItem::Pli { media_ssrc } | RtcpItem::Fir { media_ssrc, .. } => {
                    let wanted = entry
                        .outgoing
                        .iter()
                        .find(|outgoing| outgoing.spec.ssrc == media_ssrc && outgoing.spec.pli);
                    if let Some(track) =
                        wanted.and_then(|outgoing| self.tracks.get_mut(&outgoing.spec.track))
                    {
                        track.request_key_frame();
                    }
                }
                // A source that leaves shows by its silence or by the end of its leg; congestion
                // control for viewers does not use these yet.
                RtcpItem::Bye { .. } | RtcpItem::Remb { .. } | RtcpItem::TransportFeedback(_) => {}
                RtcpItem::Malformed => entry.drops.count(rtcp::MALFORMED),
            }
        }
    }

    /// Takes everything out of a leg that it wants sent or told. `port` is where the datagram came
    /// in that caused it.
    fn drain(&mut self, index: Index, port: Option<usize>, now: Instant, ports: &mut Ports) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        let mut validated = Vec::new();
        while let Some(output) = entry.leg.poll() {
            match output {
                Output::Transmit {
                    local,
                    remote,
                    datagram,
                } => match ports.transmit(local, remote, &datagram) {
                    Ok(()) => entry.sent.count(datagram.len()),
                    Err(code) => entry.drops.count(code),
                },
                Output::Event(event) => {
                    match &event {
                        LegEvent::SourceValidated { remote } => validated.push(*remote),
                        LegEvent::SourceForgotten { remote } => {
                            self.routes.forget_source(*remote, index)
                        }
                        LegEvent::PathChanged(path) => {
                            entry.path = ports.of_local(path.local).map(|port| (*path, port));
                            self.routes.keep_ufrags(index, entry.leg.local_ufrags());
                        }
                        LegEvent::Closed { .. } => entry.has_ended = true,
                        _ => {}
                    }
                    if let Some(event) = entry.report(event, now) {
                        self.outbox.push(event);
                    }
                }
            }
        }
        entry.deadline = entry.leg.deadline();
        let has_ended = entry.has_ended;
        for (remote, socket) in validated.into_iter().zip(port.into_iter().cycle()) {
            self.claim(Peer { socket, remote }, index, now);
        }
        if has_ended {
            self.remove_leg(index);
        }
    }

    /// Enters an authenticated address. One that another living leg uses stays with it: an
    /// authenticated request proves that its sender knows this leg's password, not that it owns the
    /// address it claims to send from.
    fn claim(&mut self, peer: Peer, index: Index, now: Instant) {
        let is_refused = match self.routes.claim_source(peer, index) {
            Claimed::Yes => false,
            Claimed::Full => true,
            Claimed::TakenBy(owner) => {
                let is_silent = self
                    .legs
                    .get(owner)
                    .is_none_or(|owner| now >= owner.heard + limits::ADDRESS_STALE_AFTER);
                if is_silent {
                    self.routes.take_over_source(peer, index);
                }
                !is_silent
            }
        };
        if let Some(entry) = self.legs.get_mut(index).filter(|_| is_refused) {
            entry.drops.count(code::ADDRESS_TAKEN);
        }
    }

    fn remove_leg(&mut self, index: Index) {
        self.routes.forget_leg(index);
        let Some(entry) = self.legs.remove(index) else {
            return;
        };
        for section in entry
            .incoming
            .iter()
            .flat_map(|incoming| &incoming.sections)
        {
            self.end_source(section.spec.track, entry.id);
        }
    }

    fn end_source(&mut self, track: TrackId, source: SourceId) {
        if self
            .tracks
            .get_mut(&track)
            .is_some_and(|track| track.remove_source(source))
        {
            self.outbox.push(Event::TrackEnded { track, source });
        }
    }

    fn add_sink(&mut self, port: SinkPort) {
        let Some(track) = self.tracks.get_mut(&port.track) else {
            return self.drops.count(code::NO_TRACK);
        };
        let source = port.source;
        match Feeder::new(port, track.codec()) {
            Some(feeder) if track.add_source(source, false) => self.feeders.push(feeder),
            _ => self.drops.count(code::TOO_MANY_SOURCES),
        }
    }

    fn add_tap(&mut self, port: TapPort) {
        let of_track = self
            .taps
            .iter()
            .filter(|tap| tap.track == port.track)
            .count();
        if of_track < limits::TAPS {
            self.taps.push(port);
        } else {
            self.drops.count(code::TOO_MANY_TAPS);
        }
    }

    /// Takes frames from the sinks. True if more wait.
    fn feed(&mut self, now: Instant) -> bool {
        let Core {
            feeders,
            tracks,
            outbox,
            clock,
            drops,
            ..
        } = self;
        let node_ns = clock.ns(now);
        let mut has_more = false;
        for feeder in feeders.iter_mut() {
            let (track, source) = (feeder.track(), feeder.source());
            feeder.feed(now, node_ns, drops, |packet| {
                enter(tracks, outbox, track, source, packet)
            });
            has_more |= feeder.has_more();
        }
        let mut ended = None;
        while let Some(at) = self.feeders.iter().position(Feeder::has_ended) {
            ended = Some(self.feeders.swap_remove(at));
            if let Some(feeder) = &ended {
                self.end_source(feeder.track(), feeder.source());
            }
        }
        drop(ended);
        has_more
    }

    fn pass_key_frame_requests(&mut self, now: Instant) {
        let Core { tracks, legs, .. } = self;
        for track in tracks.values_mut() {
            let id = track.id();
            track.pass_key_frame_requests(|source| {
                let incoming = legs
                    .index_of(source)
                    .and_then(|index| legs.get_mut(index))
                    .and_then(|entry| entry.incoming.as_mut());
                incoming.is_some_and(|incoming| incoming.request_key_frame(now, id))
            });
        }
    }

    fn deliver(&mut self, now: Instant, ports: &mut Ports) -> Option<Instant> {
        let mut next = None;
        for index in self.legs.places() {
            let Core {
                legs,
                tracks,
                clock,
                ..
            } = self;
            let Some(entry) = legs.get_mut(index) else {
                continue;
            };
            let sent = entry.sent.datagrams;
            let again = deliver(entry, tracks, ports, clock, now);
            next = [next, again].into_iter().flatten().min();
            // The first packet of a leg ends its last stage, which is to be told now and not at the
            // next timer.
            if !entry.has_flowed && entry.sent.datagrams > sent {
                entry.has_flowed = true;
                self.drain(index, None, now, ports);
            }
        }
        next
    }

    /// Reports, NACKs, key-frame requests and transport-wide feedback to publishers.
    fn feed_back(&mut self, now: Instant, ports: &mut Ports) {
        for index in self.legs.places() {
            let Some(entry) = self.legs.get_mut(index) else {
                continue;
            };
            if !entry.can_send(ports) {
                continue;
            }
            let round_trip = entry.leg.rtt();
            let Some(incoming) = &mut entry.incoming else {
                continue;
            };
            if incoming.reception.deadline() > now {
                continue;
            }
            if let Some(round_trip) = round_trip {
                incoming.reception.set_rtt(round_trip);
            }
            send_compound(entry, ports, MAX_COMPOUND, |entry, room| {
                entry
                    .incoming
                    .as_mut()
                    .map_or(0, |incoming| incoming.reception.poll(now, room))
            });
        }
    }

    fn work_handshakes(&mut self, now: Instant, ports: &mut Ports) {
        let started = Instant::now();
        while let Some(mut waiting) = self.handshakes.pop() {
            if let Some(entry) = self
                .legs
                .get_mut(waiting.leg)
                .filter(|entry| entry.id == waiting.id)
            {
                entry.dtls_waiting -= 1;
                match entry
                    .leg
                    .receive(now, waiting.local, waiting.remote, &mut waiting.datagram)
                {
                    Received::Dropped(code) => entry.drops.count(code),
                    _ => entry.heard = now,
                }
                self.drain(waiting.leg, Some(waiting.port), now, ports);
            }
            if started.elapsed() >= limits::DTLS_TIME_PER_TURN {
                break;
            }
        }
    }

    fn tick(&mut self, now: Instant, ports: &mut Ports) {
        for index in self.legs.places() {
            let Some(entry) = self.legs.get_mut(index) else {
                continue;
            };
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                entry.leg.tick(now);
                self.drain(index, None, now, ports);
            }
        }
    }

    fn advance_taps(&mut self, now: Instant) -> Option<Instant> {
        self.taps.retain(|tap| !tap.is_closed());
        let Core { taps, tracks, .. } = self;
        let mut next = None;
        for tap in taps {
            if let Some(track) = tracks.get_mut(&tap.track) {
                let again = tap.advance(track, now);
                next = [next, again].into_iter().flatten().min();
            }
        }
        next
    }

    fn snapshot(&self, now: Instant, ports: &Ports) -> Snapshot {
        let mut legs: Vec<LegSnapshot> = self
            .legs
            .iter()
            .map(|entry| LegSnapshot::of(entry, now))
            .collect();
        legs.sort_by_key(|leg| leg.id);
        let mut tracks: Vec<TrackSnapshot> = self
            .tracks
            .values()
            .map(|track| TrackSnapshot::of(track, now))
            .collect();
        tracks.sort_by_key(|track| track.id);
        Snapshot {
            legs,
            tracks,
            sockets: ports
                .iter()
                .map(|port| SocketSnapshot::of(&port.socket))
                .collect(),
            drops: self.drops.table(),
            turns: self.turns,
            cpu_us: thread_cpu_ns() / 1_000,
            events_lost: self.outbox.lost(),
        }
    }

    /// When a leg wants to be ticked or its publisher is owed feedback. The scan over all legs
    /// costs a few nanoseconds each; a heap of timers would cost more below several thousand.
    fn next_deadline(&self, ports: &Ports) -> Option<Instant> {
        let of_entry = |entry: &Entry| {
            let owed = entry.incoming.as_ref().filter(|_| entry.can_send(ports));
            let feedback = owed.map(|incoming| incoming.reception.deadline());
            [entry.deadline, feedback].into_iter().flatten().min()
        };
        self.legs.iter().filter_map(of_entry).min()
    }
}

/// A packet's way into its track, and what the caller is told about it.
fn enter(
    tracks: &mut HashMap<TrackId, Track>,
    outbox: &mut Outbox,
    id: TrackId,
    source: SourceId,
    packet: Incoming<'_>,
) -> Outcome {
    let Some(track) = tracks.get(&id) else {
        return Outcome::Dropped(code::NO_TRACK);
    };
    // Sound follows the switch of the pictures, so that a viewer never hears one publisher and sees
    // another.
    if track.kind() == Kind::Audio && track.live().is_some() && track.is_pending(source) {
        let waits = |track: &Track| track.kind() == Kind::Video && track.is_pending(source);
        if tracks.values().any(waits) {
            return Outcome::Dropped(code::AWAITING_KEY_FRAME);
        }
    }
    let Some(track) = tracks.get_mut(&id) else {
        return Outcome::Dropped(code::NO_TRACK);
    };
    let outcome = track.accept(source, packet);
    if outcome == (Outcome::Entered { went_live: true }) {
        outbox.push(Event::TrackLive { track: id, source });
        if track.take_key_frame_announcement() {
            outbox.push(Event::TrackKeyFrame { track: id, source });
        }
    }
    outcome
}
