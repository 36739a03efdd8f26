//! The shard: one thread that owns its sockets, legs, tracks and timers. No locks, no blocking call
//! but the wait.
//!
//! A turn of the loop: wait → commands → what the sockets have → frames of sinks → viewers and
//! feedback → DTLS (bounded) → timers → taps → send → snapshots (bounded). After every call into a leg its outputs are
//! drained (one mutation, then drain).

mod commands;
mod datagrams;
mod drain;
mod stages;
#[cfg(test)]
mod tests;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::agenda::Agenda;
use crate::audience::Audience;
use crate::clock::NodeClock;
use crate::codes as code;
use crate::command::Command;
use crate::drops::Drops;
use crate::feeder::Feeder;
use crate::handshakes::Handshakes;
use crate::legs::Legs;
use crate::limits;
use crate::outbox::Outbox;
use crate::ports::{Port, Ports};
use crate::restart::RestartOrder;
use crate::routes::Routes;
use crate::sink::SinkPort;
use crate::snapshot::{LegSnapshot, Snapshot};
use crate::spec::LegId;
use crate::survey::Surveys;
use crate::tap::TapPort;
use crate::tracks::Tracks;
use crate::udp::RecvBatch;
use crate::wake::{wait_readable, Wake};

/// What reaches the shard over its channel.
pub(crate) enum Order {
    Command(Command),
    RestartIce(RestartOrder),
    Sink(SinkPort),
    Tap(TapPort),
    Snapshot(Sender<Snapshot>),
    LegSnapshot(LegId, Sender<Option<LegSnapshot>>),
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
    tracks: Tracks,
    audience: Audience,
    agenda: Agenda,
    feeders: Vec<Feeder>,
    taps: Vec<TapPort>,
    routes: Routes,
    handshakes: Handshakes,
    surveys: Surveys,
    outbox: Outbox,
    drops: Drops,
    turns: u64,
    /// RTP packets that entered a track.
    media_received: u64,
}

/// What was left to do.
#[derive(Copy, Clone, Debug)]
struct Left {
    /// More waits in a queue, socket or sink than one turn may take.
    is_busy: bool,
    /// Media came in, and more of it may follow at once.
    has_media: bool,
    /// When something is to be done although nothing new comes.
    due: Option<Instant>,
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
                tracks: Tracks::default(),
                audience: Audience::default(),
                agenda: Agenda::default(),
                feeders: Vec::new(),
                taps: Vec::new(),
                routes: Routes::default(),
                handshakes: Handshakes::default(),
                surveys: Surveys::default(),
                outbox,
                drops: Drops::new(),
                turns: 0,
                media_received: 0,
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
        for port in 0..self.ports.len() {
            let port = self.ports.get(port);
            let writable = match port {
                Some(port) if port.is_congested() => libc::POLLOUT,
                _ => 0,
            };
            self.polled.push(libc::pollfd {
                // poll(2): an empty place, as a negative descriptor, is passed over.
                fd: port.map_or(-1, Port::fd),
                events: libc::POLLIN | writable,
                revents: 0,
            });
        }
        wait_readable(&mut self.polled, timeout);
    }

    /// One turn. Returns how long to wait before the next if nothing happens.
    fn turn(&mut self) -> Duration {
        let now = Instant::now();
        if self
            .polled
            .first()
            .is_some_and(|polled| polled.revents != 0)
        {
            self.wake.lower();
        }
        let left = self.work(now);
        if left.is_busy {
            return Duration::ZERO;
        }
        if left.has_media {
            std::thread::sleep(limits::GATHER);
        }
        left.due.map_or(limits::IDLE_TURN, |due| {
            let wait = due.saturating_duration_since(Instant::now());
            wait.clamp(limits::SHORTEST_WAIT, limits::IDLE_TURN)
        })
    }

    /// Everything that a turn does between two waits.
    fn work(&mut self, now: Instant) -> Left {
        self.core.turns += 1;
        if self.ports.retry_congested() {
            self.core.call_all(now);
        }
        let has_more_orders = self.take_orders(now);
        let mut left = self.forward(now);
        let Shard { core, ports, .. } = self;
        core.work_handshakes(now, ports);
        core.tick(now, ports);
        let tap_due = core.advance_taps(now);
        ports.flush_all();
        core.survey(now, ports);
        core.outbox.announce();

        left.is_busy |= has_more_orders || !core.handshakes.is_empty() || !core.surveys.is_empty();
        let legs_due = core.agenda.earliest().map(|due_ns| {
            let wait_ns = due_ns.saturating_sub(core.clock.ns(now));
            now + Duration::from_nanos(wait_ns)
        });
        left.due = [left.due, tap_due, legs_due].into_iter().flatten().min();
        left
    }

    /// The way of media through the shard: sockets and sinks, histories, viewers, sockets. Nothing
    /// in it allocates per packet (tests in `shard/tests/allocation.rs`).
    fn forward(&mut self, now: Instant) -> Left {
        let received = self.core.media_received;
        let has_more_datagrams = self.receive(now);
        let Shard { core, ports, .. } = self;
        let has_more_frames = core.feed(now);
        core.pass_key_frame_requests(now);
        let release_due = core.release(now);
        core.serve(now, ports);
        // Viewers may have asked for a key frame only now.
        core.pass_key_frame_requests(now);
        ports.flush_all();
        Left {
            is_busy: has_more_datagrams || has_more_frames,
            has_media: core.media_received > received,
            due: release_due,
        }
    }

    /// Works the caller's orders. True if more wait.
    fn take_orders(&mut self, now: Instant) -> bool {
        for _ in 0..limits::COMMANDS_PER_TURN {
            let Ok(order) = self.orders.try_recv() else {
                return false;
            };
            match order {
                Order::Command(command) => self.core.command(command, now, &mut self.ports),
                Order::RestartIce(order) => {
                    let Shard { core, ports, .. } = self;
                    order.work(|restart| core.restart_ice(restart, now, ports));
                }
                Order::Sink(port) => self.core.add_sink(port),
                Order::Tap(port) => self.core.add_tap(port),
                Order::Snapshot(asker) => self.core.surveys.begin(asker, &self.core.tracks),
                Order::LegSnapshot(leg, asker) => {
                    // An asker that no longer waits is no error.
                    let _ = asker.try_send(self.core.leg_snapshot(leg, now));
                }
            }
        }
        !self.orders.is_empty()
    }

    /// Takes what waits in the sockets. True if there may be more.
    fn receive(&mut self, now: Instant) -> bool {
        let Shard {
            ports,
            batch,
            core,
            polled,
            ..
        } = self;
        let mut has_more = false;
        for port in 0..ports.len() {
            // A leg's own socket costs a call only when there is something in it: there may be as
            // many of these as legs. Behind the wake-up stands what was polled of each.
            let is_silent = polled
                .get(port + 1)
                .is_some_and(|polled| polled.revents == 0);
            if is_silent && ports.owner(port).is_some() {
                continue;
            }
            for round in 0..limits::RECEIVE_BATCHES_PER_TURN {
                let Some(open) = ports.get_mut(port) else {
                    break;
                };
                match open.socket.receive(batch) {
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
