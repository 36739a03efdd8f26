//! Payload formats: frames through packets and back, gaps, hostile payloads, key frames.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtp::codec::vp8::{Vp8Packet, Vp8Payloader};
use rtc_rtp::codec::vp9::{Vp9Packet, Vp9Payloader};
use rtc_rtp::packetizer::{Depacketizer as _, Payloader};
use sealcast_relay::payload::h264::Packetizer;
use sealcast_relay::payload::{is_key, opus, vp8, vp9, Depacketizer, Frame, PayloadError};
use sealcast_relay::spec::Codec;

const SPS: &[u8] = &[0x67, 0x42, 0xE0, 0x1F, 0x95, 0xA0, 0x1E];
const PPS: &[u8] = &[0x68, 0xCE, 0x38, 0x80];
const SECOND_PPS: &[u8] = &[0x68, 0x5A, 0x38, 0x80];

fn annex_b(units: &[&[u8]]) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| [&[0, 0, 0, 1], *unit].concat())
        .collect()
}

/// A slice of `len` bytes without zeros, so that it holds no start code and does not end in one.
fn slice(header: u8, len: usize) -> Vec<u8> {
    let mut nal = vec![header, 0x88];
    nal.extend((2..len).map(|index| (index % 251) as u8 + 1));
    nal.truncate(len);
    nal
}

/// All payloads of an access unit, each with its marker.
fn packetize(packetizer: &mut Packetizer, access_unit: &[u8], max: usize) -> Vec<(Vec<u8>, bool)> {
    let mut payloads = Vec::new();
    let count = packetizer
        .packetize(access_unit, max, |parts, last| {
            payloads.push((parts.concat(), last))
        })
        .unwrap();
    assert_eq!(count, payloads.len());
    assert!(payloads
        .iter()
        .all(|(payload, _)| payload.len() <= max && !payload.is_empty()));
    let markers: Vec<bool> = payloads.iter().map(|(_, last)| *last).collect();
    let expected = (0..count).map(|index| index + 1 == count);
    assert_eq!(
        markers,
        expected.collect::<Vec<_>>(),
        "the last payload, and no other, is marked"
    );
    payloads
}

struct Tap {
    depacketizer: Depacketizer,
    frames: Vec<Frame>,
    sequence: u64,
}

impl Tap {
    fn new(codec: Codec) -> Tap {
        let depacketizer = Depacketizer::new(codec).unwrap();
        Tap {
            depacketizer,
            frames: Vec::new(),
            sequence: 70_000,
        }
    }

    fn push(&mut self, timestamp: u64, marker: bool, payload: &[u8]) {
        self.sequence += 1;
        let frames = &mut self.frames;
        self.depacketizer
            .push(self.sequence, timestamp, marker, payload, |f| {
                frames.push(f)
            });
    }

    fn lose(&mut self) {
        self.sequence += 1;
    }
}

fn unit() -> impl Strategy<Value = Vec<u8>> {
    let types = prop::sample::select(vec![0x41_u8, 0x65, 0x06, 0x01, 0x21]);
    (types, 2_usize..5000).prop_map(|(header, len)| slice(header, len))
}

proptest! {
    #[test]
    fn an_access_unit_comes_back_as_it_went_in(
        units in prop::collection::vec(unit(), 1..6),
        max in 16_usize..1400,
        short_codes: bool,
    ) {
        let mut units = units;
        units.push(slice(0x41, 40)); // at least one slice
        let has_idr = units.iter().any(|unit| unit[0] & 0x1F == 5);
        let borrowed: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
        let access_unit = match short_codes {
            true => borrowed.iter().flat_map(|unit| [&[0, 0, 1], *unit].concat()).collect(),
            false => annex_b(&borrowed),
        };
        let mut packetizer = Packetizer::new();
        packetizer.learn(&annex_b(&[SPS, PPS]));
        let mut tap = Tap::new(Codec::H264);
        for (payload, marker) in packetize(&mut packetizer, &access_unit, max) {
            tap.push(9, marker, &payload);
        }
        let mut expected = if has_idr { vec![SPS, PPS] } else { vec![] };
        expected.extend(borrowed);
        prop_assert_eq!(tap.frames.len(), 1);
        prop_assert_eq!(&tap.frames[0].data, &annex_b(&expected));
        prop_assert_eq!(tap.frames[0].key, has_idr);
    }

    #[test]
    fn no_access_unit_makes_the_packetizer_panic(
        bytes in prop::collection::vec(prop_oneof![4 => 0_u8..2, 1 => any::<u8>()], 0..600),
        max in 0_usize..100,
    ) {
        let mut packetizer = Packetizer::new();
        for _ in 0..2 {
            let _ = packetizer.packetize(&bytes, max, |parts, _| {
                assert!(parts.iter().map(|part| part.len()).sum::<usize>() <= max);
            });
        }
    }

    #[test]
    fn no_payload_makes_a_depacketizer_panic(
        packets in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), any::<bool>(), 0_u64..3, 0_u64..3),
            1..40,
        ),
        first_bytes in prop::collection::vec(prop::sample::select(vec![0x78_u8, 0x7C, 0x65, 0x90, 0x8A]), 40),
    ) {
        for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
            let mut depacketizer = Depacketizer::new(codec);
            let (mut sequence, mut timestamp) = (0, 0);
            for ((payload, marker, skip, step), first) in packets.iter().zip(&first_bytes) {
                let mut payload = payload.clone();
                if let (Some(byte), true) = (payload.first_mut(), *step > 0) {
                    *byte = *first;
                }
                sequence += skip;
                timestamp += step;
                let _ = is_key(codec, &payload);
                let _ = opus::samples(&payload);
                if let Some(depacketizer) = &mut depacketizer {
                    depacketizer.push(sequence, timestamp, *marker, &payload, |frame| {
                        assert!(!frame.data.is_empty());
                    });
                }
            }
        }
    }

    #[test]
    fn vp8_frames_of_rtc_rtp_come_back(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..4000), 1..5),
        max in 20_usize..1200,
        picture_ids: bool,
    ) {
        let mut payloader = Vp8Payloader::default();
        payloader.enable_picture_id = picture_ids;
        let mut tap = Tap::new(Codec::Vp8);
        for (index, frame) in frames.iter().enumerate() {
            let payloads = payloader.payload(max, &Bytes::copy_from_slice(frame)).unwrap();
            for (at, payload) in payloads.iter().enumerate() {
                prop_assert_eq!(is_key(Codec::Vp8, payload), at == 0 && frame[0] & 1 == 0);
                tap.push(index as u64, at + 1 == payloads.len(), payload);
            }
        }
        let data: Vec<&Vec<u8>> = tap.frames.iter().map(|frame| &frame.data).collect();
        prop_assert_eq!(data, frames.iter().collect::<Vec<_>>());
        prop_assert!(tap.frames.iter().zip(&frames).all(|(out, sent)| out.key == (sent[0] & 1 == 0)));
    }

    #[test]
    fn vp9_frames_of_rtc_rtp_come_back(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..4000), 1..5),
        max in 20_usize..1200,
    ) {
        let mut payloader = Vp9Payloader::default();
        let mut tap = Tap::new(Codec::Vp9);
        for (index, frame) in frames.iter().enumerate() {
            let payloads = payloader.payload(max, &Bytes::copy_from_slice(frame)).unwrap();
            for (at, payload) in payloads.iter().enumerate() {
                tap.push(index as u64, at + 1 == payloads.len(), payload);
            }
        }
        let data: Vec<&Vec<u8>> = tap.frames.iter().map(|frame| &frame.data).collect();
        prop_assert_eq!(data, frames.iter().collect::<Vec<_>>());
    }

    #[test]
    fn vp8_and_vp9_descriptors_are_read_as_rtc_rtp_reads_them(
        mut payload in prop::collection::vec(any::<u8>(), 2..40),
    ) {
        if payload[0] & 0x02 != 0 {
            // They take the reserved bits of a scalability structure for its G bit (RFC 9628
            // §4.2.1): the structure is put right behind the first byte, and those bits are zero.
            payload[0] &= 0x0F;
            payload[1] &= 0xF8;
        }
        let bytes = Bytes::copy_from_slice(&payload);
        let ours = vp8::Descriptor::parse(&payload);
        let mut packet = Vp8Packet::default();
        if let (Some(ours), Ok(theirs)) = (ours, packet.depacketize(&bytes)) {
            prop_assert_eq!(ours.payload, &theirs[..]);
            prop_assert_eq!(ours.begins_frame, packet.s == 1 && packet.pid == 0);
        }
        let ours = vp9::Descriptor::parse(&payload);
        let mut packet = Vp9Packet::default();
        if let (Some(ours), Ok(theirs)) = (ours, packet.depacketize(&bytes)) {
            prop_assert_eq!(ours.payload, &theirs[..]);
            prop_assert_eq!((ours.begins_layer, ours.is_predicted), (packet.b, packet.p));
            prop_assert_eq!(ours.spatial_layer, packet.sid);
        }
    }
}

#[test]
fn parameter_sets_stand_before_every_idr_picture_and_only_there() {
    let mut packetizer = Packetizer::new();
    let idr = slice(0x65, 30);
    let inter = slice(0x41, 30);
    let first = annex_b(&[SPS, PPS, SECOND_PPS, &idr]);
    let whole = [&[0x78, 0, 7][..], SPS, &[0, 4], PPS, &[0, 4], SECOND_PPS].concat();
    let payloads = packetize(&mut packetizer, &first, 1200);
    assert_eq!(payloads, [(whole.clone(), false), (idr.clone(), true)]);
    assert!(is_key(Codec::H264, &whole) && is_key(Codec::H264, &idr));

    let payloads = packetize(&mut packetizer, &annex_b(&[&inter]), 1200);
    assert_eq!(payloads, [(inter.clone(), true)]);
    assert!(!is_key(Codec::H264, &inter));

    let payloads = packetize(&mut packetizer, &annex_b(&[&idr]), 1200);
    assert_eq!(
        payloads,
        [(whole, false), (idr.clone(), true)],
        "both picture sets are remembered"
    );

    // A new set with an old identifier takes the old one's place.
    let smaller: &[u8] = &[0x67, 0x42, 0xE0, 0x15, 0x95, 0xA0];
    let payloads = packetize(&mut packetizer, &annex_b(&[smaller, &idr]), 1200);
    assert!(payloads[0].0.windows(6).any(|window| window == smaller));
    assert!(!payloads[0].0.windows(7).any(|window| window == SPS));

    // An access unit with both kinds says what is valid: the second picture set is gone.
    let payloads = packetize(&mut packetizer, &annex_b(&[SPS, PPS, &idr]), 1200);
    assert!(!payloads[0].0.windows(4).any(|window| window == SECOND_PPS));
}

#[test]
fn parameter_sets_that_do_not_fit_together_go_alone() {
    let mut packetizer = Packetizer::new();
    let access_unit = annex_b(&[SPS, PPS, SECOND_PPS, &slice(0x65, 10)]);
    let payloads = packetize(&mut packetizer, &access_unit, 16);
    let types: Vec<u8> = payloads
        .iter()
        .map(|(payload, _)| payload[0] & 0x1F)
        .collect();
    assert_eq!(types, [24, 8, 5]);
    let mut tap = Tap::new(Codec::H264);
    payloads
        .iter()
        .for_each(|(payload, marker)| tap.push(0, *marker, payload));
    assert_eq!(tap.frames[0].data, access_unit);
}

#[test]
fn delimiters_and_filler_are_dropped_and_zeros_at_the_end_belong_to_nobody() {
    let mut packetizer = Packetizer::new();
    let inter = slice(0x41, 12);
    let mut access_unit = annex_b(&[&[0x09, 0xF0], &inter, &[0x0C, 0xFF, 0xFF, 0x80]]);
    access_unit.extend_from_slice(&[0, 0, 0, 0]);
    assert_eq!(
        packetize(&mut packetizer, &access_unit, 100),
        [(inter, true)]
    );
    assert_eq!(
        packetize(&mut packetizer, &annex_b(&[SPS, PPS]), 100),
        [],
        "only learnt from"
    );
    let nothing = |_: &[&[u8]], _| panic!("nothing is emitted with an error");
    assert_eq!(
        packetizer.packetize(b"no start code", 100, nothing),
        Err(PayloadError::NotAnnexB)
    );
    assert_eq!(
        packetizer.packetize(&access_unit, 15, nothing),
        Err(PayloadError::RoomTooSmall)
    );
}

#[test]
fn fragments_are_of_one_size_but_the_last() {
    let payloads = packetize(&mut Packetizer::new(), &annex_b(&[&slice(0x65, 1000)]), 102);
    let lens: Vec<usize> = payloads.iter().map(|(payload, _)| payload.len()).collect();
    assert!(lens[..lens.len() - 1].iter().all(|len| *len == 102));
    assert!(is_key(Codec::H264, &payloads[0].0));
    assert!(payloads[1..]
        .iter()
        .all(|(payload, _)| !is_key(Codec::H264, payload)));
}

#[test]
fn a_frame_with_a_gap_is_cut_and_the_next_says_so() {
    let payloads = packetize(&mut Packetizer::new(), &annex_b(&[&slice(0x65, 1000)]), 300);
    assert_eq!(payloads.len(), 4);
    for lost in 0..4 {
        let mut tap = Tap::new(Codec::H264);
        tap.push(0, true, &slice(0x65, 20));
        for (index, (payload, marker)) in payloads.iter().enumerate() {
            match index == lost {
                true => tap.lose(),
                false => tap.push(1, *marker, payload),
            }
        }
        tap.push(2, true, &slice(0x41, 20));
        tap.push(3, true, &slice(0x41, 20));
        let told: Vec<_> = tap
            .frames
            .iter()
            .map(|f| (f.timestamp, f.discontinuity))
            .collect();
        assert_eq!(
            told,
            [(0, false), (2, true), (3, false)],
            "packet {lost} lost"
        );
        assert_eq!(tap.depacketizer.counts().cut, 1);
    }
}

#[test]
fn after_a_gap_only_a_provable_beginning_is_trusted() {
    let second_slice = [0x41, 0x48, 7, 7]; // first_mb_in_slice is not 0
    let mut tap = Tap::new(Codec::H264);
    tap.push(0, true, &second_slice);
    assert_eq!(tap.frames.len(), 0, "joined in the middle of a frame");
    tap.push(1, true, &slice(0x41, 9));
    assert_eq!(tap.frames.len(), 1);
    tap.lose();
    tap.push(2, false, &second_slice);
    tap.push(2, true, &second_slice);
    assert_eq!(tap.frames.len(), 1);
    tap.lose();
    tap.push(3, false, &slice(0x41, 9));
    tap.push(3, true, &second_slice);
    assert_eq!(tap.frames.len(), 2);
}

#[test]
fn a_frame_without_a_marker_ends_with_the_next_timestamp() {
    let mut tap = Tap::new(Codec::H264);
    tap.push(0, false, &slice(0x65, 9));
    tap.push(1, true, &slice(0x41, 9));
    assert_eq!(
        tap.frames
            .iter()
            .map(|frame| frame.timestamp)
            .collect::<Vec<_>>(),
        [0, 1]
    );
}

#[test]
fn payloads_that_crash_other_depacketizers_are_refused() {
    let refused: [&[&[u8]]; 9] = [
        &[&[0x78, 0, 1, 0x65, 0]],                // STAP-A with a stray byte
        &[&[0x78, 0, 0]],                         // an empty unit
        &[&[0x78]],                               // nothing aggregated
        &[&[0x78, 0, 9, 0x65]],                   // longer than the payload
        &[&[0x78, 0, 2, 0x78, 0]],                // an aggregate in an aggregate
        &[&[0x7C, 0x05, 1, 2]],                   // a fragment without its beginning
        &[&[0x7C, 0xC5, 1, 2]],                   // beginning and end at once
        &[&[0x7C, 0x85, 1, 2], &[0x7C, 0x41, 3]], // joined with another unit's end
        &[&[0x7C, 0x85, 1, 2], &[0x65, 0x88, 3]], // a fragment never ended
    ];
    for payloads in refused {
        let mut tap = Tap::new(Codec::H264);
        tap.push(0, false, &[0x06, 5, 1, 0x80]);
        for (index, payload) in payloads.iter().enumerate() {
            tap.push(0, index + 1 == payloads.len(), payload);
        }
        assert_eq!(tap.frames, [], "{payloads:02X?}");
        assert_eq!(tap.depacketizer.counts().malformed, 1);
        tap.push(1, true, &slice(0x41, 9));
        assert!(
            tap.frames[0].discontinuity,
            "and the next frame is whole again"
        );
    }
}

#[test]
fn endless_fragments_end_at_the_bound() {
    let mut tap = Tap::new(Codec::H264);
    let mut fragment = slice(0x7C, 1400);
    fragment[1] = 0x85;
    fragment[2] = 0x88;
    tap.push(0, false, &fragment);
    fragment[1] = 0x05;
    for _ in 0..4_000 {
        tap.push(0, false, &fragment);
    }
    fragment[1] = 0x45;
    tap.push(0, true, &fragment);
    assert_eq!(tap.frames, []);
    assert_eq!(tap.depacketizer.counts().too_big, 1);
}

#[test]
fn late_and_repeated_packets_are_ignored() {
    let mut tap = Tap::new(Codec::Opus);
    tap.push(0, false, &[0x08, 1]);
    for sequence in [tap.sequence, tap.sequence - 1] {
        tap.depacketizer
            .push(sequence, 0, false, &[0x08, 1], |_| panic!("already told"));
    }
    assert_eq!(tap.depacketizer.counts().late, 2);
    tap.lose();
    tap.push(1920, false, &[0x08, 2]);
    let told: Vec<_> = tap
        .frames
        .iter()
        .map(|f| (f.data[1], f.key, f.discontinuity))
        .collect();
    assert_eq!(told, [(1, true, false), (2, true, true)]);
}

#[test]
fn opus_packets_tell_their_length() {
    assert_eq!(opus::samples(&[0x00]), Some(480)); // SILK 10 ms
    assert_eq!(opus::samples(&[0x08]), Some(960)); // SILK 20 ms
    assert_eq!(opus::samples(&[0x18]), Some(2880)); // SILK 60 ms
    assert_eq!(opus::samples(&[0x68]), Some(960)); // hybrid 20 ms
    assert_eq!(opus::samples(&[0x80]), Some(120)); // CELT 2.5 ms
    assert_eq!(opus::samples(&[0xFC]), Some(960)); // CELT 20 ms, stereo
    assert_eq!(opus::samples(&[0xFD]), Some(1920)); // two of them
    assert_eq!(opus::samples(&[0xFF, 6]), Some(5760));
    assert_eq!(opus::samples(&[0xFF, 7]), None, "more than 120 ms");
    assert_eq!(opus::samples(&[0xFF]), None);
    assert_eq!(opus::samples(&[]), None);
    assert!(opus::packetize(&[0xFC, 1, 2], 3, |payload| assert_eq!(
        payload,
        [0xFC, 1, 2]
    )));
    assert!(!opus::packetize(&[0xFC, 1, 2], 2, |_| panic!(
        "it does not fit"
    )));
}

#[test]
fn key_frames_are_found_in_every_codec() {
    // AV1: N on the first packet of a sequence, Z excludes a continuation.
    assert!(is_key(Codec::Av1, &[0b0001_1000, 0x0A]));
    assert!(!is_key(Codec::Av1, &[0b0001_0000, 0x0A]));
    assert!(!is_key(Codec::Av1, &[0b1001_1000, 0x0A]));
    // H265: IDR alone, VPS in an aggregate, the first and second fragment of a CRA.
    assert!(is_key(Codec::H265, &[19 << 1, 1, 0x80]));
    assert!(is_key(Codec::H265, &[48 << 1, 1, 0, 2, 32 << 1, 1]));
    assert!(is_key(Codec::H265, &[49 << 1, 1, 0x80 | 21, 9]));
    assert!(!is_key(Codec::H265, &[49 << 1, 1, 21, 9]));
    assert!(!is_key(Codec::H265, &[1 << 1, 1, 0x80]));
    // VP9: without prediction, at the beginning of the lowest layer.
    assert!(is_key(Codec::Vp9, &[0x08, 0x82]));
    assert!(!is_key(Codec::Vp9, &[0x48, 0x82]));
    assert!(!is_key(Codec::Vp9, &[0x00, 0x82]));
    assert!(
        !is_key(Codec::Vp9, &[0x28, 0b0000_0010, 5, 0x82]),
        "of the second layer"
    );
    for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        assert!(!is_key(codec, &[]));
    }
    assert!(Depacketizer::new(Codec::Av1).is_none());
}
