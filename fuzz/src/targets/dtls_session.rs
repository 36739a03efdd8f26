//! A handshake through a network that the input commands. Whatever it does, two ends that are
//! established have the same keys; and if it only loses, repeats and reorders, and then calms
//! down, both become established.

use std::collections::VecDeque;
use std::time::Instant;

use sealcast_tls::dtls::{DtlsEndpoint, Role};

use super::dtls_ends;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "dtls_session",
    run,
    seeds,
};

/// Datagrams that the input may touch; after them the network is calm.
const TOUCHED: usize = 24;

/// Datagrams that the input may lose: half of the twelve times that the engine sends a flight, so
/// that loss alone is never a reason to fail.
const LOST: usize = 6;

/// Steps after which a session has settled, or never will.
const MOST_STEPS: usize = 2000;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let versions = input.byte() % 3;
    let started = Instant::now();
    let mut now = started;
    let mut ends = [Role::Client, Role::Server]
        .map(|role| dtls_ends::end(role, &mut Input::new(&[versions]), now));
    let mut in_flight: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
    let (mut touched, mut lost, mut is_tampered) = (0, 0, false);

    for _ in 0..MOST_STEPS {
        for (from, end) in ends.iter_mut().enumerate() {
            while let Some(datagram) = end.poll_transmit() {
                in_flight.push_back((1 - from, datagram));
            }
        }
        if let Some((to, mut datagram)) = in_flight.pop_front() {
            let fate = if touched < TOUCHED { input.byte() } else { 0 };
            touched += 1;
            match fate & 0x07 {
                1 if lost < LOST => {
                    lost += 1;
                    continue;
                }
                2 => in_flight.push_back((to, datagram.clone())),
                3 if !in_flight.is_empty() => {
                    in_flight.push_back((to, datagram));
                    continue;
                }
                4 => {
                    is_tampered = true;
                    tamper(&mut datagram, &mut input);
                }
                _ => {}
            }
            ends[to].receive(now, &datagram);
        } else if ends.iter().all(DtlsEndpoint::is_established) {
            break;
        } else {
            let due = ends.iter().filter_map(DtlsEndpoint::deadline).min();
            let Some(due) = due else { break };
            now = due.max(now);
            ends.iter_mut().for_each(|end| end.tick(now));
        }
        ends.iter_mut().for_each(dtls_ends::is_in_order);
    }
    let [client, server] = &ends;
    let are_established = client.is_established() && server.is_established();
    if are_established {
        assert!(
            dtls_ends::keys(client) == dtls_ends::keys(server),
            "two ends, two keys"
        );
    }
    assert!(
        are_established || is_tampered,
        "loss alone ended a handshake after {:?}",
        now - started
    );
}

/// Flips a bit, cuts the end off, or puts other bytes in its place.
fn tamper(datagram: &mut Vec<u8>, input: &mut Input<'_>) {
    let at = usize::from(input.word()) % datagram.len().max(1);
    match input.byte() {
        0 => datagram.truncate(at),
        1 => {
            let piece = input.counted_piece();
            datagram.truncate(at);
            datagram.extend_from_slice(piece);
        }
        bit => {
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= 1 << (bit & 7);
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let fates: [&[u8]; 6] = [
        &[],
        &[1, 1, 1, 0, 1, 0, 1],
        &[2, 3, 2, 3, 0, 1, 2],
        &[3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
        &[4, 0, 60, 2],
        &[0, 0, 4, 0, 14, 0, 1, 2, 1, 1],
    ];
    let versions = [0_u8, 1, 2];
    versions
        .iter()
        .flat_map(|version| fates.map(|fate| [&[*version], fate].concat()))
        .collect()
}
