//! Sequence numbers and timestamps from a publisher to a viewer: what a viewer may never see.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sealcast_relay::limits;
use sealcast_relay::rtp::RtpHeader;
use sealcast_relay::slot::{Retransmission, Slot, Step, StreamStart};
use sealcast_relay::spec::{Codec, ExtensionIds, Kind, SendSpec};
use sealcast_relay::track::{Incoming, Outcome, Track};

const START: StreamStart = StreamStart {
    sequence: 31_000,
    timestamp: 0xffff_fe00,
    rtx_sequence: 7,
};

fn send_spec(kind: Kind) -> SendSpec {
    SendSpec {
        track: 1,
        mid: "0".into(),
        kind,
        codec: if kind == Kind::Video {
            Codec::H264
        } else {
            Codec::Opus
        },
        payload_type: 102,
        rtx_payload_type: Some(103),
        clock_rate: 90_000,
        ssrc: 0x1111_1111,
        rtx_ssrc: Some(0x2222_2222),
        cname: "relay".into(),
        extensions: ExtensionIds {
            mid: Some(3),
            twcc: Some(5),
            ..ExtensionIds::default()
        },
        nack: true,
        pli: true,
    }
}

fn video_track() -> Track {
    let mut track = Track::new(1, Kind::Video, Codec::H264, 90_000);
    assert!(track.add_source(10, true));
    track
}

/// A packet whose payload says its place in its source's stream; empty is a probe.
struct Sample {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
    key_start: bool,
    at: Instant,
    node_ns: u64,
}

impl Sample {
    fn incoming(&self) -> Incoming<'_> {
        Incoming {
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: false,
            payload: &self.payload,
            key_start: self.key_start,
            entered: self.at,
            node_ns: self.node_ns,
            captured_ns: None,
        }
    }
}

/// One packet as the viewer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    sequence: u16,
    timestamp: u32,
    payload: Vec<u8>,
}

/// Walks the slot as far as it goes, long after the last packet came.
fn walk(slot: &mut Slot, track: &mut Track) -> (Vec<Seen>, usize) {
    track.release(Instant::now() + Duration::from_secs(86_400));
    let (mut seen, mut lags, mut transport) = (Vec::new(), 0, 0);
    loop {
        match slot.step(track) {
            Step::Send(arrival) => {
                let (packet, payload) = track
                    .history()
                    .get(arrival)
                    .expect("a step names a packet that is there");
                let mut out = [0; limits::PACKET_ROOM];
                let len = slot.write_header(&mut out, packet, payload.len(), &mut transport);
                out[len..len + payload.len()].copy_from_slice(payload);
                let header =
                    RtpHeader::parse(&out[..len + payload.len()]).expect("our own header parses");
                assert_eq!(header.ssrc, 0x1111_1111);
                assert_eq!(header.payload_type, 102);
                assert_eq!(header.extension(3), Some(&b"0"[..]));
                seen.push(Seen {
                    sequence: header.sequence,
                    timestamp: header.timestamp,
                    payload: payload.to_vec(),
                });
            }
            Step::Lagged => lags += 1,
            Step::Idle | Step::NeedsKeyFrame => return (seen, lags),
        }
    }
}

fn feed(track: &mut Track, source: u64, count: u16, first: u16, at: Instant) {
    for number in 0..count {
        let sample = Sample {
            sequence: first.wrapping_add(number),
            timestamp: u32::from(number) * 3_000,
            payload: number.to_be_bytes().to_vec(),
            key_start: number == 0,
            at,
            node_ns: 1_000_000_000 + u64::from(number) * 33_333_333,
        };
        let outcome = track.accept(source, sample.incoming());
        assert!(matches!(outcome, Outcome::Entered { .. }), "{outcome:?}");
    }
}

/// What the network does to the `n`th packet of the publisher.
#[derive(Debug, Clone, Copy)]
struct Fate {
    lost: bool,
    delayed_by: usize,
    twice: bool,
    probe: bool,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = (0..100_u8, 0..12_usize, 0..100_u8, 0..100_u8).prop_map(
        |(lost, delayed_by, twice, probe)| Fate {
            lost: lost < 10,
            delayed_by: if delayed_by > 8 { delayed_by } else { 0 },
            twice: twice < 10,
            probe: probe < 15,
        },
    );
    proptest::collection::vec(fate, 1..400)
}

proptest! {
    #[test]
    fn no_number_is_used_twice_and_order_survives(fates in fates(), first in any::<u16>()) {
        let now = Instant::now();
        let mut track = video_track();
        let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
        let mut wire: Vec<(usize, u16, Sample)> = Vec::new();
        for (number, fate) in fates.iter().enumerate() {
            let number = number as u16;
            let sample = || Sample {
                sequence: first.wrapping_add(number),
                timestamp: u32::from(number) * 3_000,
                payload: if fate.probe && number > 0 { Vec::new() } else { number.to_be_bytes().to_vec() },
                key_start: number == 0,
                at: now,
                node_ns: 1_000_000_000,
            };
            if !fate.lost || number == 0 {
                let late = if number == 0 { 0 } else { fate.delayed_by };
                wire.push((usize::from(number) + late, number, sample()));
                if fate.twice {
                    wire.push((usize::from(number) + 5, number, sample()));
                }
            }
        }
        wire.sort_by_key(|(when, number, _)| (*when, *number));

        let (mut seen, mut lags) = (Vec::new(), 0);
        for (position, (_, _, sample)) in wire.iter().enumerate() {
            track.accept(10, sample.incoming());
            if position % 7 == 0 {
                let (more, lagged) = walk(&mut slot, &mut track);
                seen.extend(more);
                lags += lagged;
            }
        }
        let (more, lagged) = walk(&mut slot, &mut track);
        seen.extend(more);
        prop_assert_eq!(lags + lagged, 0);

        let numbers: HashSet<u16> = seen.iter().map(|packet| packet.sequence).collect();
        prop_assert_eq!(numbers.len(), seen.len(), "a sequence number was used twice");
        let mut by_number = seen.clone();
        by_number.sort_by_key(|packet| packet.sequence.wrapping_sub(31_001));
        let order: Vec<&Vec<u8>> = by_number.iter().map(|packet| &packet.payload).filter(|payload| !payload.is_empty()).collect();
        prop_assert!(order.is_sorted_by(|a, b| a < b), "the viewer's order is not the publisher's");
        // Everything that arrived reached the viewer, and holes are exactly what the network lost.
        let arrived: HashSet<u16> = wire.iter().filter(|(_, _, sample)| !sample.payload.is_empty()).map(|(_, number, _)| *number).collect();
        prop_assert_eq!(order.len(), arrived.len());
        // Timestamps stand to the payload as the publisher set them.
        for packet in seen.iter().filter(|packet| !packet.payload.is_empty()) {
            let number = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
            prop_assert_eq!(packet.timestamp.wrapping_sub(seen[0].timestamp), u32::from(number) * 3_000);
        }
    }

    #[test]
    fn probes_in_order_leave_no_hole(probes in proptest::collection::vec(any::<bool>(), 1..500)) {
        let now = Instant::now();
        let mut track = video_track();
        let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
        let mut media = 0_u16;
        let mut seen = Vec::new();
        for (number, probe) in probes.iter().enumerate() {
            let probe = *probe && number > 0;
            let sample = Sample {
                sequence: 65_000_u16.wrapping_add(number as u16),
                timestamp: u32::from(media) * 3_000,
                payload: if probe { Vec::new() } else { vec![1] },
                key_start: number == 0,
                at: now,
                node_ns: 1,
            };
            media += u16::from(!probe);
            track.accept(10, sample.incoming());
            seen.extend(walk(&mut slot, &mut track).0);
        }
        prop_assert_eq!(seen.len(), usize::from(media));
        for (place, packet) in seen.iter().enumerate() {
            prop_assert_eq!(packet.sequence, 31_001_u16.wrapping_add(place as u16));
        }
    }
}

#[test]
fn a_viewer_sees_no_gap_when_another_source_takes_over_at_its_key_frame() {
    let now = Instant::now();
    let mut track = video_track();
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    feed(&mut track, 10, 30, 500, now);
    let (before, _) = walk(&mut slot, &mut track);

    assert!(track.add_source(20, true));
    let mut second = |sequence: u16, key_start: bool, node_ns: u64| {
        let sample = Sample {
            sequence,
            timestamp: 77_000,
            payload: vec![9],
            key_start,
            at: now,
            node_ns,
        };
        track.accept(20, sample.incoming())
    };
    let one_second_later = 1_000_000_000 + 29 * 33_333_333 + 1_000_000_000;
    assert_eq!(
        second(9_000, false, one_second_later),
        Outcome::Dropped("RELAY.AWAITING_KEY_FRAME")
    );
    assert_eq!(
        second(9_001, true, one_second_later),
        Outcome::Entered { went_live: true }
    );
    assert_eq!(track.live(), Some(20));
    let old = Sample {
        sequence: 530,
        timestamp: 90_000,
        payload: vec![1],
        key_start: true,
        at: now,
        node_ns: 1,
    };
    assert_eq!(
        track.accept(10, old.incoming()),
        Outcome::Dropped("RELAY.SOURCE_SUPERSEDED")
    );

    let (after, _) = walk(&mut slot, &mut track);
    let last = before.last().expect("the first source was seen");
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].sequence, last.sequence.wrapping_add(1));
    let step = after[0].timestamp.wrapping_sub(last.timestamp);
    assert!(
        (89_000..91_000).contains(&step),
        "one second is 90000 units, not {step}"
    );
}

#[test]
fn the_time_line_goes_on_after_a_publisher_came_back() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 30, 500, now);
    assert!(track.remove_source(10));
    assert_eq!(track.live(), None);
    assert!(track.add_source(11, false));
    let sample = Sample {
        sequence: 3,
        timestamp: 5,
        payload: vec![1],
        key_start: true,
        at: now,
        node_ns: 1_000_000_000 + 29 * 33_333_333 + 10_000_000_000,
    };
    assert_eq!(
        track.accept(11, sample.incoming()),
        Outcome::Entered { went_live: true }
    );
    let newest = track.history().next() - 1;
    let (last, _) = track.history().get(newest).expect("it just entered");
    let (before, _) = track
        .history()
        .get(newest - 1)
        .expect("thirty entered before");
    assert_eq!(last.sequence, before.sequence + 1);
    let step = last.timestamp - before.timestamp;
    assert!(
        (899_000..901_000).contains(&step),
        "ten seconds are 900000 units, not {step}"
    );
}

#[test]
fn a_viewer_who_lags_jumps_to_the_newest_key_frame_without_a_hole_in_its_numbers() {
    let now = Instant::now();
    let mut track = video_track();
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    feed(&mut track, 10, 10, 0, now);
    let (before, _) = walk(&mut slot, &mut track);
    for number in 10..110 + limits::VIDEO_HISTORY as u16 {
        let sample = Sample {
            sequence: number,
            timestamp: u32::from(number) * 3_000,
            payload: number.to_be_bytes().to_vec(),
            key_start: number.is_multiple_of(500),
            at: now,
            node_ns: u64::from(number),
        };
        track.accept(10, sample.incoming());
    }
    let (after, lags) = walk(&mut slot, &mut track);
    assert_eq!(lags, 1);
    assert!(slot.is_catching_up() || !after.is_empty());
    let last = before.last().expect("ten were seen");
    assert_eq!(after[0].sequence, last.sequence.wrapping_add(1));
    assert_eq!(after[0].payload, 2_000_u16.to_be_bytes());
    // A packet asked for again is looked up in the numbers that were in force when it was sent.
    let (first_new, last_old) = (after[0].sequence, last.sequence);
    let track_number = |asked| {
        slot.asked_for(asked)
            .and_then(|number| track.history().find(number))
            .map(|(_, payload)| payload.to_vec())
    };
    assert_eq!(
        track_number(first_new),
        Some(2_000_u16.to_be_bytes().to_vec())
    );
    assert_eq!(track_number(last_old), None, "the history no longer has it");
    assert!(
        slot.asked_for(after.last().expect("not empty").sequence.wrapping_add(1))
            .is_none(),
        "never sent"
    );
}

#[test]
fn a_new_viewer_starts_with_the_cached_key_frame() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 40, 65_520, now);
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    assert!(slot.is_catching_up());
    let (seen, _) = walk(&mut slot, &mut track);
    assert_eq!(seen.len(), 40);
    assert_eq!(seen[0].payload, [0, 0]);
    assert!(!slot.is_catching_up(), "it has caught up");
}

#[test]
fn a_new_viewer_waits_for_a_fresh_key_frame_where_the_publisher_can_be_asked_for_one() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 40, 0, now);
    let later = now + limits::CACHE_AGE_IF_ASKABLE + Duration::from_millis(1);
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, later);
    assert!(slot.is_waiting());
    assert_eq!(slot.step(&track), Step::Idle);
    let mut asked = Vec::new();
    track.request_key_frame();
    track.request_key_frame();
    track.pass_key_frame_requests(|source| {
        asked.push(source);
        true
    });
    track.pass_key_frame_requests(|_| panic!("it was asked once for all viewers"));
    assert_eq!(asked, [10]);
}

#[test]
fn a_late_packet_from_before_the_start_is_not_sent() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 3, 100, now);
    let packet = |sequence: u16, key_start| Sample {
        sequence,
        timestamp: u32::from(sequence) * 3_000,
        payload: sequence.to_be_bytes().to_vec(),
        key_start,
        at: now,
        node_ns: 1,
    };
    track.accept(10, packet(105, true).incoming());
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    track.accept(10, packet(104, false).incoming());
    track.accept(10, packet(106, false).incoming());
    let (seen, _) = walk(&mut slot, &mut track);
    let payloads: Vec<_> = seen.iter().map(|packet| packet.payload.clone()).collect();
    assert_eq!(payloads, [105_u16.to_be_bytes(), 106_u16.to_be_bytes()]);
    assert_eq!(seen[1].sequence, seen[0].sequence.wrapping_add(1));
}

#[test]
fn each_retransmission_has_its_own_number() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 50, 0, now);
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    let (seen, _) = walk(&mut slot, &mut track);
    let asked = seen[20].sequence;
    let mut used = HashMap::new();
    for round in 0..5_u32 {
        let number = slot.asked_for(asked).expect("it was sent");
        let (packet, payload) = track.history().find(number).expect("it is in the history");
        let at = now + Duration::from_millis(100) * round;
        assert_eq!(
            slot.may_retransmit(number, payload.len(), None, at),
            Retransmission::Due
        );
        assert_eq!(
            slot.may_retransmit(number, payload.len(), None, at),
            Retransmission::OnItsWay
        );
        let mut out = [0; limits::PACKET_ROOM];
        let len = slot.write_rtx_header(&mut out, packet, asked, payload.len(), &mut 0);
        out[len..len + payload.len()].copy_from_slice(payload);
        let header = RtpHeader::parse(&out[..len + payload.len()]).expect("our own header parses");
        assert_eq!((header.ssrc, header.payload_type), (0x2222_2222, 103));
        assert_eq!(out[header.payload.start..][..2], asked.to_be_bytes());
        assert_eq!(
            out[header.payload.start + 2..header.payload.end],
            seen[20].payload
        );
        assert!(
            used.insert(header.sequence, round).is_none(),
            "an index is never used twice"
        );
    }
}

#[test]
fn retransmissions_are_bounded_by_the_viewers_share() {
    let now = Instant::now();
    let mut track = video_track();
    feed(&mut track, 10, 10, 0, now);
    let mut slot = Slot::new(send_spec(Kind::Video), START, &track, now);
    walk(&mut slot, &mut track);
    let burst = limits::RETRANSMIT_BURST as usize;
    assert_eq!(
        slot.may_retransmit(1, burst, None, now),
        Retransmission::Due
    );
    assert_eq!(
        slot.may_retransmit(2, 1_000, None, now),
        Retransmission::Limited
    );
}

#[test]
fn sound_starts_with_the_first_packet_after_the_viewer_came() {
    let now = Instant::now();
    let mut track = Track::new(2, Kind::Audio, Codec::Opus, 48_000);
    assert!(track.add_source(10, true));
    feed(&mut track, 10, 20, 0, now);
    let mut slot = Slot::new(send_spec(Kind::Audio), START, &track, now);
    assert_eq!(slot.step(&track), Step::Idle);
    feed(&mut track, 10, 1, 20, now);
    let (seen, _) = walk(&mut slot, &mut track);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].sequence, 31_001);
}

#[test]
fn a_frame_is_released_when_it_is_whole_or_long_or_its_first_packet_has_waited() {
    let now = Instant::now();
    let mut track = video_track();
    let mut sequence = 0;
    let mut enter = |track: &mut Track, marker: bool, at: Instant| {
        let sample = Sample {
            sequence,
            timestamp: 1,
            payload: vec![0; 10],
            key_start: sequence == 0,
            at,
            node_ns: 1,
        };
        sequence += 1;
        let packet = Incoming {
            marker,
            ..sample.incoming()
        };
        assert!(matches!(track.accept(10, packet), Outcome::Entered { .. }));
    };
    // It waits for its end, but not for long.
    enter(&mut track, false, now);
    enter(&mut track, false, now + limits::HOLD / 2);
    let due = now + limits::HOLD;
    assert_eq!(track.release(now), (false, Some(due)));
    assert_eq!(track.released(), 0);
    assert_eq!(track.release(due), (true, None));
    assert_eq!(track.released(), 2);
    // The marker ends it, and is told once.
    enter(&mut track, false, due);
    enter(&mut track, true, due);
    assert_eq!(track.release(due), (true, None));
    assert_eq!(track.released(), 4);
    assert_eq!(track.release(due), (false, None));
    // A long run does not wait for the marker.
    for _ in 0..limits::HELD_PACKETS {
        enter(&mut track, false, due);
    }
    assert_eq!(track.release(due), (true, None));
    assert_eq!(track.released(), 4 + limits::HELD_PACKETS);
}

#[test]
fn a_payload_that_does_not_fit_is_dropped_and_changes_nothing() {
    let mut track = video_track();
    let sample = Sample {
        sequence: 1,
        timestamp: 1,
        payload: vec![0; limits::PAYLOAD_MAX + 1],
        key_start: true,
        at: Instant::now(),
        node_ns: 1,
    };
    assert_eq!(
        track.accept(10, sample.incoming()),
        Outcome::Dropped("RTP.PAYLOAD_TOO_BIG")
    );
    assert_eq!(track.live(), None);
    assert_eq!(track.drops.get("RTP.PAYLOAD_TOO_BIG"), 1);
}

#[test]
fn both_tracks_of_a_sink_are_on_one_clock() {
    let now = Instant::now();
    let (mut video, mut audio) = (
        video_track(),
        Track::new(2, Kind::Audio, Codec::Opus, 48_000),
    );
    assert!(audio.add_source(10, false));
    let packet = |timestamp, captured_ns| Incoming {
        sequence: 1,
        timestamp,
        marker: true,
        payload: &[1],
        key_start: true,
        entered: now,
        node_ns: 9_000_000_000,
        captured_ns: Some(captured_ns),
    };
    // Captured 20 ms apart; both came in at the same time.
    video.accept(10, packet(900_000, 5_000_000_000));
    audio.accept(10, packet(7_000, 5_020_000_000));
    let second_later = 6_000_000_000;
    let base = |track: &Track, timestamp: u64| {
        let at = track.timestamp_at(second_later).expect("it is live");
        at - (track.history().get(0).expect("a packet").0.timestamp - timestamp)
    };
    assert_eq!(base(&video, 900_000), 990_000);
    assert_eq!(base(&audio, 7_000), 7_000 + 48 * 980);
}

#[test]
fn a_publishers_sender_reports_put_its_tracks_in_step_however_they_arrived() {
    let now = Instant::now();
    let (mut video, mut audio) = (
        video_track(),
        Track::new(2, Kind::Audio, Codec::Opus, 48_000),
    );
    assert!(audio.add_source(10, true));
    let packet = |timestamp, node_ns| Incoming {
        sequence: 1,
        timestamp,
        marker: true,
        payload: &[1],
        key_start: true,
        entered: now,
        node_ns,
        captured_ns: None,
    };
    // Captured at the same moment, but the picture came 150 ms later than the sound.
    audio.accept(10, packet(48_000, 2_000_000_000));
    video.accept(10, packet(90_000, 2_150_000_000));
    let gap = |video: &Track, audio: &Track| {
        let (v, a) = (
            video.timestamp_at(3_000_000_000),
            audio.timestamp_at(3_000_000_000),
        );
        let (v, a) = (v.expect("live") - (1 << 32), a.expect("live") - (1 << 32));
        v as f64 / 90_000.0 - a as f64 / 48_000.0
    };
    assert!(
        (gap(&video, &audio) + 0.15).abs() < 0.001,
        "by arrival: {}",
        gap(&video, &audio)
    );
    // NTP second 100 is RTP 90000 and 48000; one offset for both.
    video.report(10, 90_000, 100 << 32, -98_000_000_000);
    audio.report(10, 48_000, 100 << 32, -98_000_000_000);
    assert!(
        gap(&video, &audio).abs() < 0.000_1,
        "by report: {}",
        gap(&video, &audio)
    );
}
