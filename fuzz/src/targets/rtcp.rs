//! Compound RTCP: every item and every list inside it ends, and a broken frame is one item.

use sealcast_relay::rtcp::{parse, RtcpItem};

use crate::{vectors, Target};

pub(crate) const TARGET: Target = Target {
    name: "rtcp",
    run,
    seeds: vectors::plain_rtcp,
};

/// A pair of a NACK is 4 bytes and names at most 17 packets (RFC 4585 §6.2.1).
const LOST_PER_PAIR: usize = 17;

/// The status count of transport feedback has 16 bits (transport-wide-cc-extensions-01 §3.1).
const MOST_STATUSES: usize = u16::MAX as usize;

fn run(compound: &[u8]) {
    let mut items = 0_usize;
    for item in parse(compound) {
        items += 1;
        match item {
            RtcpItem::Nack { lost, .. } => {
                assert!(lost.count() <= compound.len() / 4 * LOST_PER_PAIR);
            }
            RtcpItem::TransportFeedback(feedback) => {
                assert!(feedback.packets().count() <= MOST_STATUSES);
            }
            _ => {}
        }
    }
    assert!(items <= compound.len() + 1, "an item without a byte");
}
