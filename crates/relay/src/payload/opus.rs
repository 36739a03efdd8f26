//! Opus (RFC 7587): one packet is one payload; its length in time stands in its first byte.

/// Clock rate of every Opus stream (RFC 7587 §4.1).
pub const CLOCK_RATE: u32 = 48_000;
/// Longest packet: 120 ms (RFC 6716 §3.4).
const MAX_SAMPLES: u32 = 5_760;

/// Samples at 48 kHz in a packet, from its table-of-contents byte (RFC 6716 §3.1). `None` for a
/// packet that is empty, has no frames or claims more than 120 ms.
pub fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    // Table 2: configurations 0..=11 SILK, 12..=15 hybrid, 16..=31 CELT.
    let per_frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3F),
    };
    let samples = per_frame * frames;
    (1..=MAX_SAMPLES).contains(&samples).then_some(samples)
}

/// Hands out the one payload of a packet; `false`, and nothing handed out, if it is no Opus packet
/// or does not fit into `max_payload`.
pub fn packetize(packet: &[u8], max_payload: usize, emit: impl FnOnce(&[u8])) -> bool {
    let fits = samples(packet).is_some() && packet.len() <= max_payload;
    if fits {
        emit(packet);
    }
    fits
}
