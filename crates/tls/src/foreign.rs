//! Which protocol speaks on a TLS port when it is not TLS, told by its first bytes.
//!
//! One table. It serves the sentence that a person reads, nothing is decided by it.

/// What the first bytes of a connection look like.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// A TLS record.
    Tls,
    /// An HTTP/1 request, the HTTP/2 preface, or an HTTP/1 answer.
    Http,
    /// Another protocol, by name.
    Other(&'static str),
    /// Nothing that we know.
    Unknown,
}

/// A TLS record begins with its type and major version 3 (RFC 8446 §5.1). 0x80 is an SSL 2.0
/// compatible ClientHello (RFC 5246 appendix E.2), which the engine reads and judges.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 0x03, ..] | [0x14..=0x17] | [0x80, ..])
}

/// Beginnings in text. RTSP requests that HTTP has too are told apart by their target.
const TEXTS: &[(&[u8], Speech)] = &[
    (b"GET ", Speech::Http),
    (b"POST ", Speech::Http),
    (b"PUT ", Speech::Http),
    (b"HEAD ", Speech::Http),
    (b"DELETE ", Speech::Http),
    (b"OPTIONS ", Speech::Http),
    (b"PATCH ", Speech::Http),
    (b"TRACE ", Speech::Http),
    (b"CONNECT ", Speech::Http),
    (b"PRI * HTTP/2", Speech::Http),
    (b"HTTP/1.", Speech::Http),
    (b"DESCRIBE ", RTSP),
    (b"ANNOUNCE ", RTSP),
    (b"SSH-", Speech::Other("SSH")),
    (b"PROXY ", PROXY_HEADER),
    (b"\r\n\r\n\0\r\nQUIT\n", PROXY_HEADER),
    (b"EHLO ", Speech::Other("SMTP")),
    (b"HELO ", Speech::Other("SMTP")),
];

const RTSP: Speech = Speech::Other("RTSP in clear");
const PROXY_HEADER: Speech = Speech::Other("a PROXY protocol header");

/// Fewer bytes than this say too little to match a longer text by its beginning.
const MIN_BEGINNING: usize = 4;

/// Says what speaks. The engine reads five bytes before it refuses, so a beginning is enough.
pub(crate) fn recognise(bytes: &[u8]) -> Speech {
    if is_tls(bytes) {
        return Speech::Tls;
    }
    let fits = |text: &[u8]| {
        bytes.starts_with(text) || (bytes.len() >= MIN_BEGINNING && text.starts_with(bytes))
    };
    if let Some((_, speech)) = TEXTS.iter().find(|(text, _)| fits(text)) {
        let is_rtsp = bytes.windows(5).any(|window| window == b" rtsp");
        return if is_rtsp { RTSP } else { *speech };
    }
    match bytes {
        // TPKT (RFC 2126 §4.3) with a connection request: Remote Desktop, a scanners' favourite.
        [0x03, 0x00, _, _, _, 0xe0, ..] => Speech::Other("Remote Desktop"),
        // C0 of the RTMP handshake is the version, 3 (RTMP 1.0 §5.2.2).
        [0x03, ..] => Speech::Other("RTMP in clear"),
        // The sync byte of a transport stream packet (ISO/IEC 13818-1 §2.4.3.2).
        [0x47, ..] => Speech::Other("an MPEG transport stream in clear"),
        _ => Speech::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{recognise, Speech};

    #[test]
    fn protocols_are_recognised_by_their_first_bytes() {
        let rtmp = [3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
        let rdp = [3, 0, 0, 0x13, 0x0e, 0xe0, 0, 0];
        let cases: &[(&[u8], Speech)] = &[
            (&[0x16, 3, 1, 2, 0], Speech::Tls),
            (&[0x15, 3, 3, 0, 2, 2, 48], Speech::Tls),
            (b"GET / HTTP/1.1\r\n", Speech::Http),
            (b"PRI * HTTP/2.0\r\n", Speech::Http),
            (b"HTTP/1.1 400 Bad", Speech::Http),
            (b"OPTIONS * HTTP/1", Speech::Http),
            (b"OPTIONS rtsp://x", Speech::Other("RTSP in clear")),
            (b"SSH-2.0-OpenSSH_", Speech::Other("SSH")),
            (&rtmp, Speech::Other("RTMP in clear")),
            (&rdp, Speech::Other("Remote Desktop")),
            (
                b"G@\x11\x10",
                Speech::Other("an MPEG transport stream in clear"),
            ),
            (b"CONNE", Speech::Http),
            (b"OPTIO", Speech::Http),
            (b"DESCR", Speech::Other("RTSP in clear")),
            (b"P", Speech::Unknown),
            (b"", Speech::Unknown),
            (b"\xff\xff", Speech::Unknown),
        ];
        for (bytes, expected) in cases {
            assert_eq!(&recognise(bytes), expected, "{bytes:02x?}");
        }
    }
}
