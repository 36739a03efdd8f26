//! Handshakes under loss, reordering, duplication and noise.

mod lossy_link;

use std::time::{Duration, Instant};

use lossy_link::{configs, only, Dice, End, Pair, Weather, CALM};
use sealcast_tls::dtls::{DtlsEndpoint, DtlsEvent, MAX_DATAGRAM};
use sealcast_tls::Version;

/// Version combinations that agree: (client range, server range).
const COMBINATIONS: [[(Version, Version); 2]; 4] = [
    [
        (Version::V1_2, Version::V1_3),
        (Version::V1_2, Version::V1_3),
    ],
    [
        (Version::V1_2, Version::V1_2),
        (Version::V1_2, Version::V1_3),
    ],
    [
        (Version::V1_2, Version::V1_3),
        (Version::V1_2, Version::V1_2),
    ],
    [
        (Version::V1_3, Version::V1_3),
        (Version::V1_2, Version::V1_3),
    ],
];

/// Runs `seeds` handshakes of each combination and returns the durations of those that completed,
/// sorted. One that does not complete must say so at both of its ends that do not.
fn endure(weather: Weather, seeds: u64) -> Vec<Duration> {
    let mut durations = Vec::new();
    for (number, [client_range, server_range]) in COMBINATIONS.into_iter().enumerate() {
        for seed in 0..seeds {
            let (mut client, mut server) = configs();
            (client.min_version, client.max_version) = client_range;
            (server.min_version, server.max_version) = server_range;
            let mut pair = Pair::new(client, server, weather, seed * 31 + number as u64);
            pair.run();
            let context = format!("combination {number}, seed {seed}, {:?}", pair.events);
            if pair.client.is_established() && pair.server.is_established() {
                pair.assert_same_keys();
                durations.push(pair.elapsed());
            } else {
                let unfinished = |(_, event): &(End, DtlsEvent)| match event {
                    DtlsEvent::Failed { code, .. } => assert_eq!(*code, "DTLS.TIMEOUT"),
                    other => assert!(matches!(other, DtlsEvent::Established(_)), "{context}"),
                };
                pair.events.iter().for_each(unfinished);
            }
            // Late copies and the last acknowledgements change nothing any more.
            pair.settle(Duration::from_secs(60));
            assert_eq!(pair.events.len(), 2, "{context}");
        }
    }
    durations.sort();
    durations
}

fn percentile(durations: &[Duration], percent: usize) -> Duration {
    durations[(durations.len() * percent / 100).min(durations.len() - 1)]
}

#[test]
fn handshakes_complete_under_30_percent_loss_with_reordering_and_duplication() {
    let weather = Weather {
        loss: 30,
        reordering: 30,
        duplication: 20,
        garbage: 0,
    };
    let durations = endure(weather, 50);
    let p95 = percentile(&durations, 95);
    println!("30 % loss: {} of 200, p95 {p95:?}", durations.len());
    assert_eq!(durations.len(), 200);
    assert!(p95 < Duration::from_secs(4), "p95 is {p95:?}");
}

#[test]
fn handshakes_complete_under_50_percent_loss() {
    let weather = Weather {
        loss: 50,
        reordering: 30,
        duplication: 0,
        garbage: 0,
    };
    let durations = endure(weather, 250);
    let (median, p95) = (percentile(&durations, 50), percentile(&durations, 95));
    println!(
        "50 % loss: {} of 1000, median {median:?}, p95 {p95:?}",
        durations.len()
    );
    assert!(
        durations.len() >= 950,
        "{} of 1000 completed",
        durations.len()
    );
}

#[test]
fn random_garbage_never_kills_a_handshake() {
    let weather = Weather {
        loss: 10,
        reordering: 20,
        duplication: 10,
        garbage: 100,
    };
    assert_eq!(endure(weather, 25).len(), 100);
}

/// Garbage that begins like a DTLS record gets further into the engine than plain noise.
#[test]
fn garbage_in_the_shape_of_records_never_kills_a_handshake() {
    for seed in 0..40 {
        let (client, server) = configs();
        let mut pair = Pair::new(client, server, CALM, seed);
        let mut dice = Dice::new(seed + 1000);
        for _ in 0..6 {
            for end in [End::Client, End::Server] {
                // Sealed records of either version, in any epoch but the clear one.
                let first = [0x17, 0x2c + dice.below(20) as u8][dice.below(2) as usize];
                let mut record = vec![first, 0xfe, 0xfd, 0, 1 + dice.below(3) as u8];
                let len = 8 + dice.below(200) as usize;
                record.extend(dice.bytes(6));
                record.extend((len as u16).to_be_bytes());
                record.extend(dice.bytes(len));
                let now = pair.now;
                pair.end(end).receive(now, &record);
            }
            pair.step();
        }
        pair.run();
        pair.assert_same_keys();
    }
}

#[test]
fn a_client_hello_in_two_datagrams_is_read_in_either_order() {
    for is_reversed in [false, true] {
        let (client, server) = configs();
        let mut pair = Pair::new(client, server, CALM, 1);
        let mut hello = Vec::new();
        while let Some(datagram) = pair.client.poll_transmit() {
            hello.push(datagram);
        }
        assert_eq!(
            hello.len(),
            2,
            "an ML-KEM key share does not fit one datagram"
        );
        if is_reversed {
            hello.reverse();
        }
        for datagram in hello {
            let now = pair.now;
            pair.server.receive(now, &datagram);
        }
        pair.run();
        pair.assert_same_keys();
    }
}

#[test]
fn a_client_hello_in_many_fragments_is_read_in_any_order() {
    for seed in 0..20 {
        let (mut client, server) = configs();
        client.mtu = 256;
        let mut pair = Pair::new(client, server, CALM, seed);
        let mut hello = Vec::new();
        while let Some(datagram) = pair.client.poll_transmit() {
            hello.push(datagram);
        }
        assert!(hello.len() > 5);
        let mut dice = Dice::new(seed);
        while !hello.is_empty() {
            let pick = dice.below(hello.len() as u64) as usize;
            let datagram = hello.swap_remove(pick);
            let now = pair.now;
            pair.server.receive(now, &datagram);
        }
        pair.run();
        pair.assert_same_keys();
    }
}

#[test]
fn a_handshake_whose_peer_vanishes_ends_at_its_deadline() {
    for silent in [End::Client, End::Server] {
        let (mut client, mut server) = configs();
        client.handshake_timeout = Duration::from_secs(10);
        server.handshake_timeout = Duration::from_secs(10);
        let mut pair = Pair::new(client, server, CALM, 1);
        // One step takes the ClientHello across, then one end falls silent.
        pair.step();
        let (mut left, started) = match silent {
            End::Client => (pair.server, pair.started),
            End::Server => (pair.client, pair.started),
        };
        let mut now = pair.now;
        let mut sent = 0;
        let event = loop {
            while left.poll_transmit().is_some() {
                sent += 1;
            }
            if let Some(event) = left.poll_event() {
                break event;
            }
            now = left.deadline().expect("a handshake always has a deadline");
            left.tick(now);
        };
        let DtlsEvent::Failed { code, detail } = event else {
            panic!("{event:?}");
        };
        assert_eq!(code, "DTLS.TIMEOUT");
        assert!(detail.contains("10.0 s"), "{detail}");
        assert_eq!(now - started, Duration::from_secs(10));
        assert!(sent > 4, "it tried again: {sent}");
        assert_eq!(left.deadline(), None);
        left.receive(now, &[22; 100]);
        assert_eq!(left.counters().dropped_late, 1);
    }
}

#[test]
fn a_server_that_hears_nothing_says_so_at_its_deadline() {
    let (_, server) = configs();
    let start = Instant::now();
    let mut server = DtlsEndpoint::new(server, start).expect("a valid configuration");
    let due = server.deadline().expect("the handshake deadline");
    assert_eq!(due, start + Duration::from_secs(30));
    server.tick(due);
    match server.poll_event() {
        Some(DtlsEvent::Failed { code, detail }) => {
            assert_eq!(code, "DTLS.TIMEOUT");
            assert!(detail.contains("no ClientHello arrived"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_flight_is_sent_again_after_establishment() {
    for version in [Version::V1_2, Version::V1_3] {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        let mut pair = Pair::new(client, server, CALM, 1);
        // Stop at the first end that is established; its last flight is then on the way.
        while pair.events.is_empty() {
            assert!(pair.step());
        }
        let first = pair.events[0].0;
        pair.lose_everything();
        assert!(pair.end(first).is_established());
        pair.run();
        pair.assert_same_keys();
    }
}

#[test]
fn a_shorter_first_timer_takes_effect_in_a_flight_under_way() {
    let (mut client, _) = configs();
    client.initial_timeout = Duration::from_millis(1000);
    let start = Instant::now();
    let mut client = DtlsEndpoint::new(client, start).expect("a valid configuration");
    assert_eq!(client.deadline(), Some(start + Duration::from_millis(1000)));
    client.set_initial_timeout(Duration::from_millis(100));
    assert_eq!(client.deadline(), Some(start + Duration::from_millis(100)));
    client.set_initial_timeout(Duration::ZERO);
    assert_eq!(client.deadline(), Some(start + Duration::from_millis(50)));
}

#[test]
fn an_oversized_datagram_is_dropped_and_counted() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 1);
    let now = pair.now;
    pair.server.receive(now, &vec![22; MAX_DATAGRAM + 1]);
    assert_eq!(pair.server.counters().dropped_oversized, 1);
    assert_eq!(pair.server.counters().received, 0);
    pair.run();
    pair.assert_same_keys();
}

#[test]
fn an_empty_datagram_ends_nothing() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 1);
    for _ in 0..3 {
        for end in [End::Client, End::Server] {
            let now = pair.now;
            pair.end(end).receive(now, b"");
        }
        pair.run();
        pair.assert_same_keys();
    }
    assert_eq!(pair.client.counters().dropped_empty, 3);
}

#[test]
fn a_caller_who_does_not_drain_costs_a_bounded_queue() {
    let (mut client, _) = configs();
    // Many small datagrams per flight, all repetitions of it.
    client.mtu = 256;
    let mut client = DtlsEndpoint::new(client, Instant::now()).expect("a valid configuration");
    while let Some(due) = client.deadline() {
        client.tick(due);
    }
    let counters = client.counters();
    let mut queued = 0;
    while client.poll_transmit().is_some() {
        queued += 1;
    }
    assert!(queued <= 64);
    assert_eq!(counters.sent, queued + counters.dropped_undrained);
    assert!(counters.dropped_undrained > 0);
}

#[test]
fn all_repetitions_of_a_flight_are_sent_within_the_handshake() {
    for handshake_s in [5, 10, 30] {
        let (mut client, _) = configs();
        client.handshake_timeout = Duration::from_secs(handshake_s);
        let start = Instant::now();
        let mut client = DtlsEndpoint::new(client, start).expect("a valid configuration");
        let mut now = start;
        while let Some(due) = client.deadline() {
            now = due;
            client.tick(now);
        }
        assert_eq!(now - start, Duration::from_secs(handshake_s));
        assert!(client.counters().timeouts >= 12, "{handshake_s} s");
    }
}

/// Otherwise whoever sends garbage often enough would stop retransmission.
#[test]
fn datagrams_that_arrive_do_not_put_a_timer_off() {
    let (client, _) = configs();
    let mut now = Instant::now();
    let mut client = DtlsEndpoint::new(client, now).expect("a valid configuration");
    let end = now + Duration::from_secs(29);
    while now < end {
        now += Duration::from_millis(7);
        client.receive(now, b"garbage");
        if client.deadline().is_some_and(|due| due <= now) {
            client.tick(now);
        }
    }
    assert!(client.counters().timeouts >= 12);
}

#[test]
fn an_established_end_stays_so_when_its_last_flight_is_never_acknowledged() {
    for version in [Version::V1_2, Version::V1_3] {
        let (mut client, mut server) = configs();
        only(&mut client, version);
        only(&mut server, version);
        let mut pair = Pair::new(client, server, CALM, 1);
        while pair.events.is_empty() {
            assert!(pair.step());
        }
        let first = pair.events[0].0;
        let mut now = pair.now;
        let left = pair.end(first);
        let mut repetitions = 0;
        while let Some(due) = left.deadline() {
            now = due;
            left.tick(now);
            repetitions += 1;
            assert!(repetitions < 50, "repeating ends");
        }
        left.receive(now, b"garbage");
        assert!(left.is_established(), "{version}");
        assert_eq!(left.poll_event(), None, "{version}");
    }
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let (client, server) = configs();
    let mut pair = Pair::new(client, server, CALM, 1);
    pair.now += Duration::from_secs(1);
    let (now, earlier) = (pair.now, pair.started);
    pair.client.tick(now);
    pair.client.tick(earlier);
    pair.run();
    pair.assert_same_keys();
}
