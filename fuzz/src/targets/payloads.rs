//! Payload formats: any packets make frames that a decoder may be handed, and an access unit that
//! is cut into payloads comes back as it was.

use sealcast_relay::payload::h264::Packetizer;
use sealcast_relay::payload::{is_key, opus, Depacketizer, MAX_FRAME_LEN};
use sealcast_relay::spec::Codec;

use crate::input::push_counted;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "payloads",
    run,
    seeds,
};

const CODECS: [Codec; 6] = [
    Codec::H264,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Opus,
    Codec::H265,
    Codec::Av1,
];

/// What a packet of this size may carry.
const MAX_PAYLOAD: usize = 1200;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = input.byte();
    if choice & 0x80 != 0 {
        cut_and_joined(input.all());
    } else {
        joined(CODECS[usize::from(choice) % CODECS.len()], &mut input);
    }
}

/// Packets as a peer may send them.
fn joined(codec: Codec, input: &mut Input<'_>) {
    let Some(mut depacketizer) = Depacketizer::new(codec) else {
        is_key(codec, input.all());
        return;
    };
    let (mut sequence, mut timestamp) = (0_u64, 0_u64);
    while !input.is_empty() {
        let step = input.byte();
        sequence = (sequence + u64::from(step & 0x07)).saturating_sub(u64::from(step >> 6 & 1));
        timestamp += u64::from(step >> 3 & 0x03) * 3000;
        let is_last = step & 0x20 != 0;
        let payload = input.counted_piece();
        is_key(codec, payload);
        if codec == Codec::Opus {
            opus::samples(payload);
        }
        depacketizer.push(sequence, timestamp, is_last, payload, |frame| {
            assert!(frame.data.len() <= MAX_FRAME_LEN + payload.len());
            assert!(frame.timestamp <= timestamp);
        });
    }
}

/// An access unit from an encoder: cut, every payload within its size, and joined again.
fn cut_and_joined(access_unit: &[u8]) {
    let mut payloads: Vec<(Vec<u8>, bool)> = Vec::new();
    let cut = Packetizer::new().packetize(access_unit, MAX_PAYLOAD, |parts, is_last| {
        payloads.push((parts.concat(), is_last));
    });
    let Ok(count) = cut else {
        assert!(payloads.is_empty());
        return;
    };
    assert_eq!(count, payloads.len());
    let mut depacketizer = Depacketizer::new(Codec::H264).expect("H264 is put together");
    let mut frames = Vec::new();
    for (number, (payload, is_last)) in payloads.iter().enumerate() {
        assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD);
        assert_eq!(*is_last, number + 1 == count);
        depacketizer.push(number as u64 + 1, 0, *is_last, payload, |frame| {
            frames.push(frame.data);
        });
    }
    assert!(frames.len() <= 1, "one access unit became several");
    assert_eq!(depacketizer.counts().malformed, 0);
}

fn seeds() -> Vec<Vec<u8>> {
    let key_frame: &[u8] = &[
        0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 1,
        0x65, 0x88, 0x84, 0,
    ];
    let mut large = key_frame.to_vec();
    large.resize(3000, 0x55);
    let mut seeds: Vec<Vec<u8>> = [key_frame, &large]
        .iter()
        .map(|unit| [&[0x80], *unit].concat())
        .collect();
    // A STAP-A, an FU-A in two packets, a VP8 and a VP9 key frame, an Opus packet of 20 ms.
    let packets: [(u8, &[&[u8]]); 5] = [
        (
            0,
            &[&[0x18, 0, 4, 0x67, 0x42, 0xc0, 0x1f, 0, 2, 0x68, 0xce]],
        ),
        (0, &[&[0x7c, 0x85, 1, 2, 3], &[0x7c, 0x45, 4, 5, 6]]),
        (
            1,
            &[&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xf0, 0]],
        ),
        (2, &[&[0x8c, 0x80, 1, 0x82, 0x49, 0x83, 0x42, 0]]),
        (3, &[&[0x78, 1, 2, 3]]),
    ];
    for (codec, payloads) in packets {
        let mut seed = vec![codec];
        for (number, payload) in payloads.iter().enumerate() {
            let is_last = number + 1 == payloads.len();
            seed.push(1 | if is_last { 0x20 } else { 0 });
            push_counted(&mut seed, payload);
        }
        seeds.push(seed);
    }
    seeds
}
