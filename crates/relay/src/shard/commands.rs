//! What the caller's commands do to the tables: tracks and legs come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sealcast_tls::Identity;

use super::Core;
use crate::codes as code;
use crate::command::Command;
use crate::entry::Entry;
use crate::error::RelayError;
use crate::event::Event;
use crate::feeder::Feeder;
use crate::limits;
use crate::ports::{Bound, Ports};
use crate::restart::IceRestart;
use crate::routes::Index;
use crate::sink::SinkPort;
use crate::spec::{Codec, Kind, LegSide, LegSpec, TrackId};
use crate::tap::TapPort;
use crate::track::Track;

/// A leg, and the sockets that will be its own.
fn begin(
    spec: LegSpec,
    identity: Arc<Identity>,
    ports: &Ports,
    now: Instant,
) -> Result<(Entry, Option<Bound>), (&'static str, String)> {
    if spec.own_binds.is_empty() {
        let entry = Entry::begin(spec, identity, ports.addresses(), now)?;
        return Ok((entry, None));
    }
    let of_relay = |error: RelayError| (error.code(), error.to_string());
    spec.check().map_err(of_relay)?;
    let own = Ports::bind_apart(&spec.own_binds).map_err(of_relay)?;
    let entry = Entry::begin(spec, identity, own.addresses(), now)?;
    Ok((entry, Some(own)))
}

impl Core {
    pub(super) fn command(&mut self, command: Command, now: Instant, ports: &mut Ports) {
        match command {
            Command::AddTrack {
                id,
                kind,
                codec,
                clock_rate,
            } => self.add_track(id, kind, codec, clock_rate, now),
            Command::RemoveTrack { id } => self.remove_track(id),
            Command::AddLeg { spec, identity } => self.add_leg(*spec, identity, now, ports),
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

    fn add_track(&mut self, id: TrackId, kind: Kind, codec: Codec, clock_rate: u32, now: Instant) {
        if self.tracks.contains(id)
            || self.tracks.is_full()
            || codec.kind() != kind
            || clock_rate == 0
        {
            self.drops.count(code::TRACK_REFUSED);
            return;
        }
        let mut track = Track::new(id, kind, codec, clock_rate);
        // A leg may have been added before its track.
        for entry in self.legs.iter() {
            for (_, fed) in entry.tracks_fed().filter(|(fed, _)| *fed == id) {
                track.add_source(entry.id, fed.pli);
            }
        }
        self.tracks.insert(track);
        // Its viewers may have been added before it, too.
        self.call_audience(id, now);
    }

    fn remove_track(&mut self, id: TrackId) {
        self.tracks.remove(id);
        self.audience.dismiss(id);
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
            // Whatever comes to a socket of its own is for it.
            LegSide::Client if spec.own_binds.is_empty() => spec.ice.remote_candidates.clone(),
            LegSide::Client | LegSide::Server => Vec::new(),
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
            begin(spec, identity, ports, now)
        };
        let (entry, own) = match begun {
            Ok(begun) => begun,
            Err((code, detail)) => {
                self.outbox.push(Event::LegClosed {
                    leg: id,
                    code: code.to_owned(),
                    detail,
                    last: None,
                });
                return;
            }
        };
        for (track, fed) in entry.tracks_fed() {
            if let Some(track) = self.tracks.get_mut(track) {
                if !track.add_source(id, fed.pli) {
                    self.drops.count(code::TOO_MANY_SOURCES);
                }
            }
        }
        let taken: Vec<TrackId> = entry.tracks_taken().collect();
        let index = self.legs.insert(entry);
        if let Some(own) = own {
            ports.give(own, index);
        }
        for track in taken {
            self.audience.join(track, index);
        }
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
        if entry.side == LegSide::Client && !entry.has_own_ports {
            self.claim_probe(address, index);
        }
    }

    /// Two client legs that share a socket cannot watch the same server: nothing tells its packets
    /// apart.
    fn claim_probe(&mut self, address: SocketAddr, index: Index) {
        if !self.routes.claim_probe(address, index) {
            if let Some(entry) = self.legs.get_mut(index) {
                entry.drops.count(code::ADDRESS_TAKEN);
            }
        }
    }

    pub(super) fn restart_ice(
        &mut self,
        restart: &IceRestart,
        now: Instant,
        ports: &mut Ports,
    ) -> Result<(), RelayError> {
        let IceRestart { leg, local, remote } = restart;
        let unknown = || RelayError::UnknownLeg(*leg);
        let index = self.legs.index_of(*leg).ok_or_else(unknown)?;
        let entry = self.legs.get_mut(index).ok_or_else(unknown)?;
        if !self.routes.claim_ufrag(&local.ufrag, index) {
            return Err(RelayError::UfragTaken);
        }
        let begun = entry.leg.restart_ice(now, local, remote);
        // One restart after the other must not heap up fragments that no generation has any more, and
        // one that was refused leaves its fragment free for others.
        self.routes.keep_ufrags(index, entry.leg.local_ufrags());
        self.drain(index, None, now, ports);
        begun.map_err(RelayError::from)
    }

    pub(super) fn close(&mut self, index: Index, now: Instant, ports: &mut Ports, code: String) {
        if let Some(entry) = self.legs.get_mut(index) {
            entry.close_code = Some(code);
            // The code that counts is the caller's; it replaces this one in the event.
            entry.leg.close(now, code::CLOSED);
        }
        self.drain(index, None, now, ports);
    }

    pub(super) fn add_sink(&mut self, port: SinkPort) {
        let Some(track) = self.tracks.get_mut(port.track) else {
            return self.drops.count(code::NO_TRACK);
        };
        let source = port.source;
        match Feeder::new(port, track.codec()) {
            Some(feeder) if track.add_source(source, false) => self.feeders.push(feeder),
            _ => self.drops.count(code::TOO_MANY_SOURCES),
        }
    }

    pub(super) fn add_tap(&mut self, port: TapPort) {
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
}
