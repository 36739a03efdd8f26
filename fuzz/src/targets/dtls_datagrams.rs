//! One DTLS end and a stranger's datagrams: it answers within bounds, agrees on nothing, and its
//! clock moves on.

use std::time::{Duration, Instant};

use sealcast_tls::dtls::Role;

use super::dtls_ends;
use crate::input::push_counted;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "dtls_datagrams",
    run,
    seeds,
};

/// Answers to one datagram: a flight in fragments, and its repetitions.
const MOST_ANSWERS: usize = 64;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let role = if input.byte() & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let mut now = Instant::now();
    let mut endpoint = dtls_ends::end(role, &mut input, now);
    while !input.is_empty() {
        let datagram = input.counted_piece();
        endpoint.receive(now, datagram);
        dtls_ends::is_in_order(&mut endpoint);
        let mut answers = 0;
        while let Some(answer) = endpoint.poll_transmit() {
            assert!(answer.len() <= 1500);
            answers += 1;
        }
        assert!(
            answers <= MOST_ANSWERS,
            "{answers} datagrams in answer to one"
        );
        assert!(
            !endpoint.is_established(),
            "a stranger has no key of the expected certificate"
        );
        now += Duration::from_millis(u64::from(input.byte()));
        endpoint.tick(now);
        if let Some(deadline) = endpoint.deadline() {
            assert!(deadline > now, "due again at once");
        }
    }
}

/// What a real peer says first, to each role in each version.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (role, peer) in [(Role::Server, Role::Client), (Role::Client, Role::Server)] {
        for version in 0..3 {
            let now = Instant::now();
            let mut own = dtls_ends::end(role, &mut Input::new(&[version]), now);
            let mut other = dtls_ends::end(peer, &mut Input::new(&[version]), now);
            let mut seed = vec![u8::from(role == Role::Client), version];
            for _ in 0..4 {
                while let Some(datagram) = own.poll_transmit() {
                    other.receive(now, &datagram);
                }
                while let Some(datagram) = other.poll_transmit() {
                    own.receive(now, &datagram);
                    push_counted(&mut seed, &datagram);
                    seed.push(1);
                }
            }
            seeds.push(seed);
        }
    }
    seeds
}
