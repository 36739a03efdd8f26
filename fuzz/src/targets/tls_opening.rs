//! What a TLS client says before there are keys: read alike however the bytes are cut, and an alert
//! is told only if one stands there whole and in clear.

use sealcast_tls::server::{alert_in_clear, HandshakeFailure, Opening, FIRST_BYTES};

use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "tls_opening",
    run,
    seeds,
};

const ALERT: u8 = 21;
const FATAL: u8 = 2;

fn run(bytes: &[u8]) {
    if let Some(failure) = alert_in_clear(bytes) {
        assert!(bytes.len() >= 7 && bytes[bytes.len() - 7] == ALERT);
        is_told_well(&failure);
    }

    let whole = read([bytes]);
    let slow = read(bytes.chunks(1));
    let half = bytes.split_at(bytes.len() / 2);
    for other in [slow, read([half.0, half.1])] {
        assert_eq!(other.clear_alert(), whole.clear_alert());
        assert_eq!(other.first_bytes(), whole.first_bytes());
    }
    assert_eq!(whole.first_bytes(), &bytes[..bytes.len().min(FIRST_BYTES)]);
    let expected = last_clear_alert(bytes);
    assert_eq!(
        whole.clear_alert().is_some(),
        matches!(expected, Some([FATAL, _]))
    );
    if let Some(failure) = whole.clear_alert() {
        is_told_well(&failure);
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Opening {
    let mut opening = Opening::default();
    pieces.into_iter().for_each(|piece| opening.push(piece));
    opening
}

fn is_told_well(failure: &HandshakeFailure) {
    assert!(["TLS.PEER_ALERT", "TLS.VERSION_REFUSED"].contains(&failure.code));
    assert!(!failure.detail.chars().any(char::is_control));
}

/// The last whole record of type alert and two bytes, read in the plainest way.
fn last_clear_alert(bytes: &[u8]) -> Option<[u8; 2]> {
    let mut input = Input::new(bytes);
    let mut last = None;
    while !input.is_empty() {
        let header = input.piece(5);
        let [kind, _, _, high, low] = *header else {
            break;
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let body = input.piece(len);
        if kind == ALERT && len == 2 {
            if let [level, number] = *body {
                last = Some([level, number]);
            }
        }
    }
    last
}

/// A handshake record, a change of cipher, and alerts in clear and sealed.
fn seeds() -> Vec<Vec<u8>> {
    let hello = [22, 3, 1, 0, 4, 1, 0, 0, 0];
    let change = [20, 3, 3, 0, 1, 1];
    let fatal = [21, 3, 3, 0, 2, 2, 48];
    let warning = [21, 3, 3, 0, 2, 1, 0];
    let mut sealed = vec![21, 3, 3, 0, 19];
    sealed.extend([7; 19]);
    vec![
        [&hello[..], &change, &fatal].concat(),
        [&hello[..], &warning].concat(),
        [&hello[..], &change, &sealed].concat(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x80\x2e\x01\x03\x01".to_vec(),
    ]
}
