//! A publisher's packets and reports in any order: what is written back is well-formed and fits,
//! and the next deadline is never in the past for ever.

use std::time::{Duration, Instant};

use sealcast_relay::reception::{Reception, ReceptionConfig, StreamConfig, MAX_COMPOUND};
use sealcast_relay::rtcp::{parse, RtcpItem};

use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "reception",
    run,
    seeds,
};

/// Compounds that may be due at one instant; one more means that the clock stands still.
const MOST_AT_ONCE: usize = 64;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut now = Instant::now();
    let mut reception = Reception::new(
        ReceptionConfig {
            local_ssrc: 1,
            cname: "sealcast".to_owned(),
            reduced_size: input.byte() & 1 != 0,
        },
        now,
    );
    let mut out = [0; MAX_COMPOUND];
    while !input.is_empty() {
        let action = input.byte();
        let ssrc = u32::from(action >> 4 & 0x03);
        match action & 0x0f {
            0 => {
                let asked = StreamConfig {
                    clock_rate: [0, 8000, 48_000, 90_000][usize::from(action >> 6)],
                    nack: action & 0x40 != 0,
                    key_frames: action & 0x80 != 0,
                };
                reception
                    .register(ssrc, asked)
                    .expect("four streams are not too many");
            }
            1..=6 => {
                let transport = (action & 1 != 0).then(|| input.word());
                let (sequence, timestamp) = (input.word(), input.long());
                reception.on_rtp(now, ssrc, sequence, timestamp, transport, 1000);
            }
            7 => {
                reception.on_recovered(ssrc, input.word());
            }
            8 => {
                let ntp = u64::from(input.long()) << 32 | u64::from(input.long());
                reception.on_sender_report(now, ssrc, ntp, input.long());
            }
            9 => reception.request_key_frame(now, ssrc),
            10 => reception.on_key_frame(ssrc),
            11 => reception.forget(ssrc),
            12 => reception.set_rtt(Duration::from_millis(u64::from(input.word()))),
            _ => now += Duration::from_millis(u64::from(input.byte()) * 4),
        }
        let mut written = 0;
        while reception.deadline() <= now {
            let len = reception.poll(now, &mut out);
            assert!(
                len == 0 || parse(&out[..len]).all(|item| !matches!(item, RtcpItem::Malformed))
            );
            written += 1;
            assert!(written <= MOST_AT_ONCE, "the deadline does not move on");
        }
    }
}

/// A stream with a gap that is asked for, filled, reported on.
fn seeds() -> Vec<Vec<u8>> {
    let mut seed = vec![1, 0xd0];
    for sequence in [1_u16, 2, 5, 6, 3] {
        seed.push(0x12);
        seed.extend_from_slice(&sequence.to_be_bytes());
        seed.extend_from_slice(&(u32::from(sequence) * 3000).to_be_bytes());
        seed.extend_from_slice(&[0x0f, 5]);
    }
    seed.extend_from_slice(&[0x19, 0x0f, 255, 0x0f, 255, 0x17, 0, 4]);
    vec![seed]
}
