//! After every call into a leg its outputs are drained: datagrams into the batch of their socket,
//! events to the tables and to the caller.

use std::time::Instant;

use sealcast_leg::{LegEvent, Output};

use super::Core;
use crate::codes as code;
use crate::event::Event;
use crate::limits;
use crate::ports::Ports;
use crate::routes::{Claimed, Index, Peer};
use crate::spec::{SourceId, TrackId};

impl Core {
    /// Takes everything out of a leg that it wants sent or told. `port` is where the datagram came
    /// in that caused it.
    pub(super) fn drain(
        &mut self,
        index: Index,
        port: Option<usize>,
        now: Instant,
        ports: &mut Ports,
    ) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        let mut validated = Vec::new();
        let mut end = None;
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
                // Told when all is drained: what it still sends belongs to its last numbers.
                Output::Event(event @ LegEvent::Closed { .. }) => end = Some(event),
                Output::Event(event) => {
                    match &event {
                        LegEvent::SourceValidated { remote } => validated.push(*remote),
                        LegEvent::SourceForgotten { remote } => {
                            self.routes.forget_source(*remote, index)
                        }
                        LegEvent::PathChanged(path) => {
                            entry.path = ports.of_local(path.local).map(|port| (*path, port));
                            self.routes.keep_ufrags(index, entry.leg.local_ufrags());
                            entry.media_due = Some(now);
                        }
                        LegEvent::Sealed(_) => entry.media_due = Some(now),
                        _ => {}
                    }
                    if let Some(event) = entry.report(event, now) {
                        self.outbox.push(event);
                    }
                }
            }
        }
        entry.deadline = entry.leg.deadline();
        let has_ended = end.is_some();
        if let Some(event) = end.and_then(|end| entry.report(end, now)) {
            self.outbox.push(event);
        }
        for (remote, socket) in validated.into_iter().zip(port.into_iter().cycle()) {
            self.claim(Peer { socket, remote }, index, now);
        }
        if has_ended {
            self.remove_leg(index, ports);
        } else {
            self.schedule(index, ports);
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

    fn remove_leg(&mut self, index: Index, ports: &mut Ports) {
        self.routes.forget_leg(index);
        ports.take_back(index);
        let Some(entry) = self.legs.remove(index) else {
            return;
        };
        self.agenda.set(index, None);
        for track in entry.tracks_taken() {
            self.audience.leave(track, index);
        }
        for (track, _) in entry.tracks_fed() {
            self.end_source(track, entry.id);
        }
    }

    pub(super) fn end_source(&mut self, track: TrackId, source: SourceId) {
        if self
            .tracks
            .get_mut(track)
            .is_some_and(|track| track.remove_source(source))
        {
            self.outbox.push(Event::TrackEnded { track, source });
        }
    }
}
