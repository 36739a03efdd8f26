//! What a peer said before any key existed: its first bytes, and an alert in clear.
//!
//! Both serve only to explain a handshake that failed. They are not authenticated and change no
//! state.

use super::{alert_in_clear, HandshakeFailure, FIRST_BYTES};

/// What a connection's client says from its first byte until the handshake is over.
///
/// Follows the record layer from the first byte on (RFC 8446 §5.1: type, version, length).
///
/// A client that rejects our certificate may answer with an alert in clear although we already
/// expect sealed records; BoringSSL then reports a record that it could not open, and the reason
/// would be lost. A record of type 21 with two bytes cannot be a sealed one: every cipher adds more
/// than that.
#[derive(Default)]
pub struct Opening {
    first: Vec<u8>,
    header: [u8; 5],
    header_len: usize,
    body_left: usize,
    alert: [u8; 2],
    alert_len: usize,
    seen: Option<[u8; 2]>,
}

const ALERT: u8 = 21;

impl Opening {
    /// Takes the next bytes that arrived on the connection.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let room = FIRST_BYTES.saturating_sub(self.first.len());
        self.first
            .extend_from_slice(&bytes[..bytes.len().min(room)]);

        while !bytes.is_empty() {
            if self.body_left > 0 {
                let taken = self.body_left.min(bytes.len());
                if self.is_clear_alert() {
                    for byte in &bytes[..taken] {
                        self.alert[self.alert_len.min(1)] = *byte;
                        self.alert_len += 1;
                    }
                }
                self.body_left -= taken;
                bytes = &bytes[taken..];
                if self.body_left == 0 {
                    if self.is_clear_alert() {
                        self.seen = Some(self.alert);
                    }
                    self.header_len = 0;
                    self.alert_len = 0;
                }
                continue;
            }
            self.header[self.header_len] = bytes[0];
            self.header_len += 1;
            bytes = &bytes[1..];
            if self.header_len == self.header.len() {
                self.body_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                if self.body_left == 0 {
                    self.header_len = 0;
                }
            }
        }
    }

    fn is_clear_alert(&self) -> bool {
        self.header[0] == ALERT && self.header[3..] == [0, 2]
    }

    /// The first bytes of the connection, at most [`FIRST_BYTES`].
    #[must_use]
    pub fn first_bytes(&self) -> &[u8] {
        &self.first
    }

    /// The last alert that came in clear, as the reason of a failed handshake.
    #[must_use]
    pub fn clear_alert(&self) -> Option<HandshakeFailure> {
        let [level, description] = self.seen?;
        alert_in_clear(&[ALERT, 3, 3, 0, 2, level, description])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVERSATION: &[u8] = &[
        22, 3, 1, 0, 3, 1, 2, 3, // a handshake record
        20, 3, 3, 0, 1, 1, // change cipher spec
        21, 3, 3, 0, 2, 2, 48, // fatal, unknown_ca, in clear
    ];

    #[test]
    fn an_alert_in_clear_is_found_whole_and_byte_at_a_time() {
        let mut whole = Opening::default();
        whole.push(CONVERSATION);
        let failure = whole.clear_alert().expect("there was one");
        assert_eq!(failure.code, "TLS.PEER_ALERT");
        assert!(failure.detail.contains("unknown_ca"), "{}", failure.detail);

        let mut slow = Opening::default();
        for byte in CONVERSATION {
            slow.push(std::slice::from_ref(byte));
        }
        assert_eq!(slow.clear_alert(), Some(failure));
        assert_eq!(slow.first_bytes(), &CONVERSATION[..FIRST_BYTES]);
    }

    #[test]
    fn a_sealed_alert_is_not_mistaken_for_one_in_clear() {
        let mut opening = Opening::default();
        opening.push(&[21, 3, 3, 0, 26]);
        opening.push(&[2; 26]);
        opening.push(&[23, 3, 3, 0, 2, 2, 48]);
        assert_eq!(opening.clear_alert(), None);
    }

    #[test]
    fn any_bytes_keep_the_first_ones_bounded_and_never_panic() {
        let mut opening = Opening::default();
        let mut state = 1_u32;
        for _ in 0..2000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bytes = state.to_le_bytes();
            opening.push(&bytes[..(state as usize >> 30) + 1]);
        }
        assert_eq!(opening.first_bytes().len(), FIRST_BYTES);
    }
}
