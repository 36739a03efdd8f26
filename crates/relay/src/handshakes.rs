//! DTLS datagrams that wait their turn: worked after media, for a bounded time, so that a storm of
//! joins cannot stall the legs that are established (design: threads).

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::limits;
use crate::routes::Index;
use crate::spec::LegId;

/// One waiting datagram.
pub(crate) struct Waiting {
    pub leg: Index,
    /// The place may have been given to another leg meanwhile.
    pub id: LegId,
    pub port: usize,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub datagram: Vec<u8>,
}

/// The queue, bounded in all and per leg.
#[derive(Default)]
pub(crate) struct Handshakes {
    queue: VecDeque<Waiting>,
    worked: u64,
    most_worked: u64,
}

impl Handshakes {
    /// Takes a datagram; false if there is no room. `of_leg` counts what the leg has in the queue.
    pub fn push(&mut self, waiting: Waiting, of_leg: &mut u16) -> bool {
        if self.queue.len() >= limits::DTLS_QUEUE || *of_leg >= limits::DTLS_QUEUE_PER_LEG {
            return false;
        }
        *of_leg += 1;
        self.queue.push_back(waiting);
        true
    }

    pub fn pop(&mut self) -> Option<Waiting> {
        self.queue.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// So many were worked in one turn of the loop.
    pub fn note_worked(&mut self, in_one_turn: usize) {
        self.worked += in_one_turn as u64;
        self.most_worked = self.most_worked.max(in_one_turn as u64);
    }

    /// Worked since the start.
    pub fn worked(&self) -> u64 {
        self.worked
    }

    /// The most that were ever worked in one turn.
    pub fn most_worked(&self) -> u64 {
        self.most_worked
    }
}
