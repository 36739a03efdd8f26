//! What a publisher is told: reports, NACKs, key-frame requests, feedback. Time is an argument.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sealcast_relay::reception::{
    Arrival, ArrivalKind, Reception, ReceptionConfig, StreamConfig, TooManyStreams, MAX_COMPOUND,
    MAX_STREAMS,
};
use sealcast_relay::rtcp::{parse, RtcpItem};

const VIDEO: u32 = 0x1111;
const RTX: u32 = 0x2222;
const LOCAL: u32 = 0xABCD;

fn reception(now: Instant, reduced_size: bool) -> Reception {
    let cname = "node".to_owned();
    let mut reception = Reception::new(
        ReceptionConfig {
            local_ssrc: LOCAL,
            cname,
            reduced_size,
        },
        now,
    );
    let video = StreamConfig {
        clock_rate: 90_000,
        nack: true,
        key_frames: true,
    };
    let rtx = StreamConfig {
        clock_rate: 90_000,
        nack: false,
        key_frames: false,
    };
    reception.register(VIDEO, video).unwrap();
    reception.register(RTX, rtx).unwrap();
    reception
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Everything due at `now`, drained as a caller does.
fn drain(reception: &mut Reception, now: Instant) -> Vec<Vec<u8>> {
    let mut compounds = Vec::new();
    loop {
        let mut buffer = [0; 1500];
        let len = reception.poll(now, &mut buffer);
        if len == 0 {
            return compounds;
        }
        assert!(len <= MAX_COMPOUND);
        compounds.push(buffer[..len].to_vec());
        assert!(compounds.len() < 100, "polling must come to an end");
    }
}

fn nacked(compounds: &[Vec<u8>]) -> Vec<u16> {
    let items = compounds.iter().flat_map(|compound| parse(compound));
    items
        .filter_map(|item| match item {
            RtcpItem::Nack { media_ssrc, lost } => {
                assert_eq!(media_ssrc, VIDEO);
                Some(lost)
            }
            _ => None,
        })
        .flatten()
        .collect()
}

fn plis(compounds: &[Vec<u8>]) -> usize {
    let items = compounds.iter().flat_map(|compound| parse(compound));
    items
        .filter(|item| matches!(item, RtcpItem::Pli { media_ssrc: VIDEO }))
        .count()
}

fn receive(reception: &mut Reception, now: Instant, sequence: u16) -> Arrival {
    reception
        .on_rtp(now, VIDEO, sequence, 0, None, 100)
        .unwrap()
}

#[test]
fn packets_are_told_apart_by_their_place_in_the_stream() {
    use ArrivalKind::{Duplicate, Gap, InOrder, Late};
    let now = Instant::now();
    let mut reception = reception(now, true);
    let arrivals = [
        (65_534, InOrder),
        (65_535, InOrder),
        (0, InOrder),
        (3, Gap),
        (1, Late),
        (1, Duplicate),
        (3, Duplicate),
        (4, InOrder),
        (65_533, Late),
    ];
    for (sequence, kind) in arrivals {
        assert_eq!(
            receive(&mut reception, now, sequence).kind,
            kind,
            "{sequence}"
        );
    }
    let before = receive(&mut reception, now, 5).extended_seq;
    let after = receive(&mut reception, now, 5 + 2048);
    assert_eq!((after.kind, after.extended_seq), (Gap, before + 2048));
    assert_eq!(
        receive(&mut reception, now, 5).kind,
        Duplicate,
        "too old to tell"
    );
    assert_eq!(receive(&mut reception, now, 6).kind, Late);
    assert_eq!(
        reception.on_rtp(now, 0x9999, 1, 0, None, 1),
        None,
        "nobody registered it"
    );
}

#[test]
fn a_lost_packet_is_asked_for_until_it_comes() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    reception.set_rtt(ms(40));
    receive(&mut reception, start, 10);
    receive(&mut reception, start, 13);
    assert_eq!(
        nacked(&drain(&mut reception, start)),
        [],
        "it may only be out of order"
    );
    let first = reception.deadline();
    assert_eq!(first, start + ms(5));
    assert_eq!(nacked(&drain(&mut reception, first)), [11, 12]);
    assert_eq!(reception.deadline(), first + ms(40), "one round trip later");
    assert_eq!(
        receive(&mut reception, first + ms(20), 11).kind,
        ArrivalKind::Late
    );
    assert_eq!(nacked(&drain(&mut reception, first + ms(40))), [12]);

    assert_eq!(
        reception.on_recovered(VIDEO, 12).unwrap().kind,
        ArrivalKind::Late
    );
    assert_eq!(
        reception.on_recovered(VIDEO, 12).unwrap().kind,
        ArrivalKind::Duplicate
    );
    assert_eq!(
        reception.on_recovered(VIDEO, 14).unwrap().kind,
        ArrivalKind::Duplicate
    );
    assert_eq!(nacked(&drain(&mut reception, first + ms(200))), []);
    let counts = reception.statistics(VIDEO).unwrap();
    assert_eq!(
        (counts.nacked, counts.recovered, counts.abandoned),
        (3, 1, 0)
    );
}

#[test]
fn a_packet_that_never_comes_is_given_up_for_a_key_frame() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    reception.set_rtt(ms(50));
    receive(&mut reception, start, 10);
    receive(&mut reception, start, 12);
    let (mut asked, mut key_frames) = (0, 0);
    for step in 0..400 {
        let compounds = drain(&mut reception, start + ms(5 * step));
        asked += nacked(&compounds).len();
        key_frames += plis(&compounds);
        if key_frames > 0 {
            break;
        }
    }
    assert_eq!((asked, key_frames), (10, 1));
    assert_eq!(reception.statistics(VIDEO).unwrap().abandoned, 1);
}

#[test]
fn an_outage_is_mended_by_a_key_frame_and_not_by_a_thousand_nacks() {
    let now = Instant::now();
    let mut reception = reception(now, true);
    receive(&mut reception, now, 0);
    receive(&mut reception, now, 1000);
    let compounds = drain(&mut reception, now + ms(5));
    assert_eq!((nacked(&compounds).len(), plis(&compounds)), (0, 1));
}

#[test]
fn key_frame_requests_merge_and_repeat_until_answered() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    for _ in 0..50 {
        reception.request_key_frame(start, VIDEO);
    }
    assert_eq!(plis(&drain(&mut reception, start)), 1);
    reception.request_key_frame(start + ms(100), VIDEO);
    assert_eq!(plis(&drain(&mut reception, start + ms(499))), 0);
    assert_eq!(plis(&drain(&mut reception, start + ms(500))), 1);
    reception.on_key_frame(VIDEO);
    assert_eq!(plis(&drain(&mut reception, start + ms(20_000))), 0);

    let again = start + ms(30_000);
    reception.request_key_frame(again, VIDEO);
    reception.request_key_frame(again, RTX);
    let sent: usize = (0..600)
        .map(|step| plis(&drain(&mut reception, again + ms(100 * step))))
        .sum();
    assert_eq!(sent, 5, "unanswered: repeated, but not for ever");
}

#[test]
fn a_receiver_report_tells_loss_jitter_and_the_last_sender_report() {
    let start = Instant::now();
    let mut reception = reception(start, false);
    // 100 packets, every tenth missing, one each 20 ms, timestamps exactly in step.
    for index in 0..100_u16 {
        let now = start + ms(20 * u64::from(index));
        if index % 10 != 5 {
            reception
                .on_rtp(now, VIDEO, index, u32::from(index) * 1800, None, 1000)
                .unwrap();
        }
        if index == 50 {
            reception.on_sender_report(now, VIDEO, 0x1122_3344_5566_7788, 90_000);
        }
        if index == 49 {
            drain(&mut reception, now);
        }
    }
    let end = start + ms(2_100);
    let compounds = drain(&mut reception, end);
    let blocks: Vec<_> = compounds
        .iter()
        .flat_map(|compound| parse(compound))
        .filter(|item| matches!(item, RtcpItem::ReportBlock { .. }))
        .collect();
    let [RtcpItem::ReportBlock {
        reporter,
        about_ssrc,
        fraction_lost,
        cumulative_lost,
        highest_seq,
        jitter,
        last_sr,
        delay_since_sr,
    }] = blocks[..]
    else {
        panic!("one block was due: {blocks:?}");
    };
    assert_eq!((reporter, about_ssrc), (LOCAL, VIDEO));
    assert_eq!(
        (fraction_lost, cumulative_lost),
        (25, 10),
        "5 of 50 since the report before"
    );
    assert_eq!((highest_seq, jitter), (99, 0));
    assert_eq!((last_sr, delay_since_sr), (0x3344_5566, 65_536 * 11 / 10));
    let mapping = reception.clock_mapping(VIDEO).unwrap();
    assert_eq!(
        mapping.ntp_at(90_000 + 45_000),
        0x1122_3344_5566_7788 + (1 << 31)
    );
    assert_eq!(mapping.ntp_at(0), 0x1122_3344_5566_7788 - (1 << 32));

    let silent = drain(&mut reception, end + ms(1_500));
    assert!(silent
        .iter()
        .flat_map(|c| parse(c))
        .all(|i| !matches!(i, RtcpItem::ReportBlock { .. })));
}

#[test]
fn jitter_follows_rfc_3550() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    // Alternately 10 ms early and late: |D| is 900 units each time, and J approaches it.
    for index in 0..400_u32 {
        let now = start + ms(u64::from(index) * 20 + if index % 2 == 0 { 0 } else { 10 });
        reception
            .on_rtp(now, VIDEO, index as u16, index * 1800, None, 10)
            .unwrap();
    }
    let jitter = reception.statistics(VIDEO).unwrap().jitter;
    assert!((880..=900).contains(&jitter), "{jitter}");
}

#[test]
fn full_size_compounds_open_with_a_report_and_a_cname() {
    let start = Instant::now();
    for reduced_size in [false, true] {
        let mut reception = reception(start, reduced_size);
        reception.request_key_frame(start, VIDEO);
        let compounds = drain(&mut reception, start);
        assert_eq!(compounds.len(), 1);
        let types: Vec<u8> = packet_types(&compounds[0]);
        assert_eq!(
            types,
            if reduced_size {
                vec![206]
            } else {
                vec![201, 202, 206]
            }
        );
    }
}

fn packet_types(mut compound: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, packet_type, high, low, ..] = *compound {
        types.push(packet_type);
        compound = &compound[4 + 4 * usize::from(u16::from_be_bytes([high, low]))..];
    }
    types
}

#[test]
fn streams_are_bounded_and_forgotten_on_demand() {
    let now = Instant::now();
    let mut reception = reception(now, true);
    let config = StreamConfig {
        clock_rate: 0,
        nack: false,
        key_frames: false,
    };
    for ssrc in 0..MAX_STREAMS as u32 - 2 {
        reception.register(ssrc, config).unwrap();
        reception.on_rtp(now, ssrc, 1, 1, None, 1).unwrap();
    }
    assert_eq!(reception.register(0x7777, config), Err(TooManyStreams));
    reception.register(VIDEO, config).unwrap();
    // Three packets of report blocks, in as many compounds.
    let compounds = drain(&mut reception, now + ms(1_000));
    let blocks = compounds.iter().flat_map(|c| parse(c));
    let blocks = blocks
        .filter(|item| matches!(item, RtcpItem::ReportBlock { .. }))
        .count();
    assert_eq!((compounds.len(), blocks), (2, MAX_STREAMS - 2));
    reception.forget(VIDEO);
    assert!(!reception.is_registered(VIDEO));
    reception.register(0x7777, config).unwrap();
}

#[test]
fn feedback_leaves_twenty_times_a_second_while_packets_come() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    let mut messages = 0;
    let mut reported = BTreeSet::new();
    for index in 0..2_000_u64 {
        let now = start + Duration::from_micros(500 * index);
        let transport = (65_000 + index) as u16;
        if index % 50 != 7 {
            reception
                .on_rtp(now, VIDEO, index as u16, 0, Some(transport), 1000)
                .unwrap();
        }
        for compound in drain(&mut reception, now) {
            for item in parse(&compound) {
                if let RtcpItem::TransportFeedback(feedback) = item {
                    assert_eq!(feedback.feedback_count, messages as u8);
                    messages += 1;
                    reported.extend(feedback.packets());
                }
            }
        }
    }
    assert!((18..=20).contains(&messages), "{messages} in one second");
    let lost = reported.iter().filter(|(_, delta)| delta.is_none()).count();
    assert!(reported.len() > 1_850, "all but the last interval");
    assert_eq!(lost, reported.len().div_ceil(50), "one in fifty was lost");
    assert!(
        reception.deadline() > start + ms(1_000),
        "nothing is overdue"
    );
}

#[test]
fn a_late_packet_is_reported_again_and_a_leap_starts_anew() {
    let start = Instant::now();
    let mut reception = reception(start, true);
    let feedback = |reception: &mut Reception, now| -> Vec<(u16, Option<i16>)> {
        let compounds = drain(reception, now);
        let items = compounds.iter().flat_map(|compound| parse(compound));
        items
            .filter_map(|item| match item {
                RtcpItem::TransportFeedback(feedback) => {
                    Some(feedback.packets().collect::<Vec<_>>())
                }
                _ => None,
            })
            .flatten()
            .collect()
    };
    for transport in [1, 2, 4] {
        reception.on_rtp(start, VIDEO, transport, 0, Some(transport), 1);
    }
    let first = feedback(&mut reception, start + ms(50));
    assert_eq!(
        first
            .iter()
            .map(|(_, delta)| delta.is_some())
            .collect::<Vec<_>>(),
        [true, true, false, true]
    );
    reception.on_rtp(start + ms(60), VIDEO, 3, 0, Some(3), 1);
    let again = feedback(&mut reception, start + ms(110));
    assert_eq!(
        again
            .iter()
            .map(|(sequence, _)| *sequence)
            .collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(again[0].1.is_some());

    reception.on_rtp(start + ms(120), VIDEO, 5, 0, Some(30_000), 1);
    let anew = feedback(&mut reception, start + ms(170));
    assert_eq!(anew.len(), 1);
    assert_eq!(anew[0].0, 30_000);
}

proptest! {
    #[test]
    fn any_order_of_events_stays_bounded_and_ends(
        events in prop::collection::vec((0_u8..8, any::<u16>(), 0_u64..300), 1..300),
        reduced_size: bool,
    ) {
        let mut now = Instant::now();
        let mut reception = reception(now, reduced_size);
        for (kind, value, wait) in events {
            now += ms(wait / 10);
            match kind {
                0 => { reception.request_key_frame(now, VIDEO); }
                1 => reception.on_key_frame(VIDEO),
                2 => { reception.on_recovered(VIDEO, value); }
                3 => reception.set_rtt(ms(u64::from(value))),
                4 => { reception.on_rtp(now, RTX, value, u32::from(value), Some(value), 5); }
                5 => reception.on_sender_report(now, VIDEO, u64::from(value) << 40, 1),
                _ => { reception.on_rtp(now, VIDEO, value, u32::from(value) << 12, Some(value.wrapping_mul(7)), 9); }
            }
            if kind % 2 == 0 {
                drain(&mut reception, now);
                prop_assert!(reception.deadline() > now, "what is due was written or given up");
            }
        }
    }

    #[test]
    fn every_lost_packet_is_asked_for_once_it_is_overdue(
        lost in prop::collection::btree_set(1_u16..200, 0..120),
    ) {
        let start = Instant::now();
        let mut reception = reception(start, true);
        for sequence in (0..=200).filter(|sequence| !lost.contains(sequence)) {
            let now = start + Duration::from_micros(u64::from(sequence) * 10);
            receive(&mut reception, now, sequence.wrapping_add(65_400));
        }
        let asked = nacked(&drain(&mut reception, start + ms(20)));
        let wanted: Vec<u16> = lost.iter().map(|sequence| sequence.wrapping_add(65_400)).collect();
        prop_assert_eq!(asked, wanted);
    }
}
