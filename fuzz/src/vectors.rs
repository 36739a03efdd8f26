//! Seeds from the published vectors: every plain and every protected packet in `vectors/srtp`.

use serde_json::Value;

/// Second bytes of RTCP packets (RFC 5761 §4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// Plain RTP packets.
pub(crate) fn plain_rtp() -> Vec<Vec<u8>> {
    packets("plain", false)
}

/// Plain compound RTCP packets.
pub(crate) fn plain_rtcp() -> Vec<Vec<u8>> {
    packets("plain", true)
}

/// The strings of hexadecimal digits under this name, in whatever case of whatever file.
fn packets(name: &str, is_rtcp: bool) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/srtp");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the vectors are part of the repository") {
        let path = entry.expect("the folder can be read").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = std::fs::read_to_string(&path).expect("a vector file can be read");
            let file: Value = serde_json::from_str(&text).expect("a vector file is JSON");
            collect(&file, name, &mut found);
        }
    }
    found.retain(|packet| {
        packet
            .get(1)
            .is_some_and(|second| RTCP_TYPES.contains(second) == is_rtcp)
    });
    found.sort_unstable();
    found.dedup();
    assert!(!found.is_empty(), "no vector has a {name} packet");
    found
}

fn collect(value: &Value, name: &str, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str().and_then(hex) {
                    Some(packet) if key == name => found.push(packet),
                    _ => collect(value, name, found),
                }
            }
        }
        _ => {}
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}
