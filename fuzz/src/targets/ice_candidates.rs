//! A client leg and the candidates that its server names: text and address, before and while it
//! probes. What is sent goes to named addresses only, and no list makes it send without a bound.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use sealcast_leg::{Output, Side};

use super::leg_datagrams::leg;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "ice_candidates",
    run,
    seeds,
};

/// Addresses that a leg probes, whatever it is told.
const MOST_PROBED: usize = 64;

/// Checks of one tick: the agent paces them, and answers a few old ones.
const MOST_CHECKS: usize = 64;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut now = Instant::now();
    let mut leg = leg(Side::Client, now);
    let mut named = HashSet::from([super::leg_datagrams::here()]);
    let mut probed = HashSet::new();
    while !input.is_empty() {
        if let Some(candidate) = candidate(&mut input) {
            named.insert(candidate);
            leg.add_remote_candidate(candidate);
        }
        now += Duration::from_millis(u64::from(input.byte()) * 8);
        leg.tick(now);
        let mut checks = 0;
        while let Some(output) = leg.poll() {
            if let Output::Transmit { remote, .. } = output {
                assert!(named.contains(&remote), "{remote} was not named");
                probed.insert(remote);
                checks += 1;
            }
        }
        assert!(probed.len() <= MOST_PROBED, "{} addresses", probed.len());
        assert!(checks <= MOST_CHECKS, "{checks} checks at once");
        assert!(leg
            .deadline()
            .is_none_or(|due| due + Duration::from_secs(1) > now));
    }
}

/// An address of either family, or text as `LegSpec` and `add_remote_candidate` have it.
fn candidate(input: &mut Input<'_>) -> Option<SocketAddr> {
    match input.byte() % 3 {
        0 => {
            let address = Ipv4Addr::from(input.long());
            Some(SocketAddr::new(IpAddr::V4(address), input.word()))
        }
        1 => {
            let mut octets = [0; 16];
            let piece = input.piece(16);
            octets[..piece.len()].copy_from_slice(piece);
            let address = Ipv6Addr::from(octets);
            Some(SocketAddr::new(IpAddr::V6(address), input.word()))
        }
        _ => {
            let len = usize::from(input.byte());
            let text = std::str::from_utf8(input.piece(len)).ok()?;
            let address: SocketAddr = text.parse().ok()?;
            let again: SocketAddr = address.to_string().parse().expect("what std wrote");
            assert_eq!(again, address);
            Some(address)
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = ["192.0.2.1:5000", "[2001:db8::1]:5000", "198.51.100.7:0"];
    let mut seed = Vec::new();
    for text in texts {
        seed.push(2);
        seed.push(u8::try_from(text.len()).expect("a short text"));
        seed.extend_from_slice(text.as_bytes());
        seed.push(7);
    }
    let mut all_zero = vec![0; 7];
    all_zero.extend([1; 20]);
    // Many of one network, as a hostile list would name them.
    let many = (0..=255_u8)
        .flat_map(|host| [0, 198, 51, 100, host, 0x17, 0x70, 1])
        .collect();
    vec![seed, all_zero, many]
}
