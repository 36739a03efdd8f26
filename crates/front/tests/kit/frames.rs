//! HTTP/2 frame by frame, for what no orderly client sends.

/// What a connection begins with (RFC 9113 §3.4), and SETTINGS that change nothing.
pub fn preface() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes
}

/// A whole GET request: HEADERS with END_STREAM and END_HEADERS.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    // RFC 7541, appendix A: `:method: GET` is 2, `:scheme: https` is 7; names `:path` 4 and
    // `:authority` 1 with literal values.
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(4, path), (1, "localhost")] {
        let len = u8::try_from(value.len()).expect("a short value");
        block.extend([name, len]);
        block.extend(value.as_bytes());
    }
    frame(HEADERS, 0x5, stream, &block)
}

/// RST_STREAM with CANCEL.
pub fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = len.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
