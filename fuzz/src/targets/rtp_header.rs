//! RTP headers with extensions: what is read can be written and reads the same.

use sealcast_relay::rtp::{write_packet_header, HeaderFields, RtpHeader};

use crate::{vectors, Target};

pub(crate) const TARGET: Target = Target {
    name: "rtp_header",
    run,
    seeds: vectors::plain_rtp,
};

/// Longest header the writer is asked for: both forms of extension stay below it.
const ROOM: usize = 1 << 16;

fn run(packet: &[u8]) {
    let Ok(header) = RtpHeader::parse(packet) else {
        return;
    };
    assert!(header.payload.end + header.padding == packet.len());
    assert!(header.payload.start <= header.payload.end);
    assert!(header.csrcs().count() <= 15);

    let elements: Vec<(u8, &[u8])> = header.extensions().collect();
    let fields = HeaderFields {
        marker: header.marker,
        payload_type: header.payload_type,
        sequence: header.sequence,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    let mut out = vec![0; ROOM];
    let len = write_packet_header(&mut out, &fields, &elements);
    if len == 0 {
        return;
    }
    let again = RtpHeader::parse(&out[..len]).expect("what was written is well-formed");
    assert_eq!(again.marker, header.marker);
    assert_eq!(again.payload_type, header.payload_type);
    assert_eq!(again.sequence, header.sequence);
    assert_eq!(again.timestamp, header.timestamp);
    assert_eq!(again.ssrc, header.ssrc);
    let kept: Vec<(u8, &[u8])> = again.extensions().collect();
    assert_eq!(kept, elements);
}
