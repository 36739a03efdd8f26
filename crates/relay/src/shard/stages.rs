//! The stages of a turn behind the way in: frames, viewers, feedback, timers, handshakes, taps,
//! snapshots.

use std::time::Instant;

use sealcast_leg::Received;

use super::Core;
use crate::clock::thread_cpu_ns;
use crate::deliver::{deliver, send_compound};
use crate::feeder::Feeder;
use crate::limits;
use crate::ports::Ports;
use crate::reception::MAX_COMPOUND;
use crate::routes::Index;
use crate::snapshot::{LegSnapshot, SocketSnapshot};
use crate::spec::{LegId, TrackId};

impl Core {
    /// Takes frames from the sinks. True if more wait.
    pub(super) fn feed(&mut self, now: Instant) -> bool {
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
                tracks.enter(outbox, track, source, packet)
            });
            has_more |= feeder.has_more();
        }
        while let Some(at) = self.feeders.iter().position(Feeder::has_ended) {
            let ended = self.feeders.swap_remove(at);
            self.end_source(ended.track(), ended.source());
        }
        has_more
    }

    /// Asks publishers for the key frames that somebody wants.
    pub(super) fn pass_key_frame_requests(&mut self, now: Instant) {
        let Core {
            tracks,
            legs,
            agenda,
            ..
        } = self;
        for track in tracks.iter_mut() {
            let id = track.id();
            track.pass_key_frame_requests(|source| {
                let Some(index) = legs.index_of(source) else {
                    return false;
                };
                let incoming = legs
                    .get_mut(index)
                    .and_then(|entry| entry.incoming.as_mut());
                let is_passed =
                    incoming.is_some_and(|incoming| incoming.request_key_frame(now, id));
                if is_passed {
                    agenda.set(index, Some(0));
                }
                is_passed
            });
        }
    }

    /// Calls the viewers of every track that has released packets. Returns when a track that holds
    /// some back is to be looked at again.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        let Core {
            tracks,
            audience,
            legs,
            agenda,
            ..
        } = self;
        tracks.release(now, |track| {
            for index in audience.of(track) {
                if let Some(entry) = legs.get_mut(*index) {
                    entry.media_due = Some(now);
                    agenda.set(*index, Some(0));
                }
            }
        })
    }

    /// The viewers of a track are to look at it.
    pub(super) fn call_audience(&mut self, track: TrackId, now: Instant) {
        for index in self.audience.of(track) {
            if let Some(entry) = self.legs.get_mut(*index) {
                entry.media_due = Some(now);
                self.agenda.set(*index, Some(0));
            }
        }
    }

    /// Every leg is to be looked at: a socket has room again.
    pub(super) fn call_all(&mut self, now: Instant) {
        for index in self.legs.places() {
            if let Some(entry) = self.legs.get_mut(index) {
                entry.media_due = Some(now);
                self.agenda.set(index, Some(0));
            }
        }
    }

    /// Gives every leg that is due what it is due: media, then what its publisher is owed.
    pub(super) fn serve(&mut self, now: Instant, ports: &mut Ports) {
        let now_ns = self.clock.ns(now);
        let mut from = 0;
        while let Some(index) = self.agenda.due_from(from, now_ns) {
            from = index + 1;
            self.deliver(index, now, ports);
            self.feed_back(index, now, ports);
            self.schedule(index, ports);
        }
    }

    fn deliver(&mut self, index: Index, now: Instant, ports: &mut Ports) {
        let Core {
            legs,
            tracks,
            clock,
            ..
        } = self;
        let Some(entry) = legs.get_mut(index) else {
            return;
        };
        if entry.media_due.is_none_or(|due| due > now) {
            return;
        }
        let sent = entry.sent.datagrams;
        entry.media_due = deliver(entry, tracks, ports, clock, now);
        // The first packet of a leg ends its last stage, which is to be told now and not at the
        // next timer.
        if !entry.has_flowed && entry.sent.datagrams > sent {
            entry.has_flowed = true;
            self.drain(index, None, now, ports);
        }
    }

    /// Reports, NACKs, key-frame requests and transport-wide feedback to a publisher.
    fn feed_back(&mut self, index: Index, now: Instant, ports: &mut Ports) {
        let Some(entry) = self.legs.get_mut(index) else {
            return;
        };
        if !entry.can_send(ports) {
            return;
        }
        let round_trip = entry.leg.rtt();
        let Some(incoming) = &mut entry.incoming else {
            return;
        };
        if incoming.reception.deadline() > now {
            return;
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

    /// Enters into the agenda when a leg wants attention next.
    pub(super) fn schedule(&mut self, index: Index, ports: &Ports) {
        let due = self.legs.get(index).and_then(|entry| entry.due(ports));
        self.agenda.set(index, due.map(|due| self.clock.ns(due)));
    }

    /// Works some of the DTLS datagrams that wait, bounded in number and time.
    pub(super) fn work_handshakes(&mut self, now: Instant, ports: &mut Ports) {
        let started = Instant::now();
        let mut worked = 0;
        while worked < limits::DTLS_PER_TURN {
            let Some(mut waiting) = self.handshakes.pop() else {
                break;
            };
            worked += 1;
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
        self.handshakes.note_worked(worked);
    }

    /// Ticks the legs whose timers are due.
    pub(super) fn tick(&mut self, now: Instant, ports: &mut Ports) {
        let now_ns = self.clock.ns(now);
        let mut from = 0;
        while let Some(index) = self.agenda.due_from(from, now_ns) {
            from = index + 1;
            let Some(entry) = self.legs.get_mut(index) else {
                continue;
            };
            if entry.deadline.is_some_and(|deadline| deadline <= now) {
                entry.leg.tick(now);
                self.drain(index, None, now, ports);
            }
        }
    }

    /// Gives the taps what is new. Returns when one of them gives up waiting for a lost packet.
    pub(super) fn advance_taps(&mut self, now: Instant) -> Option<Instant> {
        self.taps.retain(|tap| !tap.is_closed());
        let Core { taps, tracks, .. } = self;
        let mut next = None;
        for tap in taps {
            if let Some(track) = tracks.get_mut(tap.track) {
                let again = tap.advance(track, now);
                next = [next, again].into_iter().flatten().min();
            }
        }
        next
    }

    /// Reads this turn's part of the snapshots that were asked for.
    pub(super) fn survey(&mut self, now: Instant, ports: &Ports) {
        let Core {
            surveys,
            legs,
            tracks,
            drops,
            turns,
            handshakes,
            outbox,
            ..
        } = self;
        surveys.advance(now, legs, tracks, |snapshot| {
            let sockets = ports.shared().map(|port| SocketSnapshot::of(&port.socket));
            snapshot.sockets = sockets.collect();
            snapshot.drops = drops.clone();
            snapshot.turns = *turns;
            snapshot.handshake_datagrams = handshakes.worked();
            snapshot.most_handshake_datagrams = handshakes.most_worked();
            snapshot.cpu_us = thread_cpu_ns() / 1_000;
            snapshot.events_lost = outbox.lost();
        });
    }

    /// One leg's numbers at this moment.
    pub(super) fn leg_snapshot(&self, leg: LegId, now: Instant) -> Option<LegSnapshot> {
        let entry = self.legs.get(self.legs.index_of(leg)?)?;
        Some(LegSnapshot::of(entry, now))
    }
}
