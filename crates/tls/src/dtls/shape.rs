//! Whether a datagram can be DTLS at all, told by its first record's header.
//!
//! The engine drops what is not, without a word; here it is dropped and counted before the engine
//! sees it. A datagram that passes is not thereby believed: it has only the shape.

/// Content type, version, epoch, sequence number, length (RFC 6347 §4.1, RFC 9147 §4).
const PLAINTEXT_HEADER_LEN: usize = 13;

/// The three high bits of the unified header of DTLS 1.3 (RFC 9147 §4) are 001.
const UNIFIED: std::ops::RangeInclusive<u8> = 0b0010_0000..=0b0011_1111;

/// Content types with the header of 1.2: from change_cipher_spec to ack (RFC 9147 §4.1).
const PLAINTEXT: std::ops::RangeInclusive<u8> = 20..=26;

/// Whether the datagram begins with the header of a record that lies within it.
pub(super) fn is_dtls(datagram: &[u8]) -> bool {
    match datagram {
        [first, ..] if UNIFIED.contains(first) => true,
        // Every version of DTLS has 254 as its first octet.
        [first, 0xfe, ..] if PLAINTEXT.contains(first) => {
            let Some((header, rest)) = datagram.split_first_chunk::<PLAINTEXT_HEADER_LEN>() else {
                return false;
            };
            usize::from(u16::from_be_bytes([header[11], header[12]])) <= rest.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_dtls;

    #[test]
    fn the_neighbours_of_dtls_on_one_port_are_not_taken_for_it() {
        // RFC 7983 §7: STUN, ZRTP, TURN channels, RTP.
        for first in (0..20).chain(64..=255) {
            assert!(!is_dtls(&[first; 64]), "{first}");
        }
    }

    #[test]
    fn a_record_that_runs_past_its_datagram_is_none() {
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
        assert!(is_dtls(&record));
        record.pop();
        assert!(!is_dtls(&record));
        for len in 0..13 {
            assert!(!is_dtls(&record[..len]), "{len}");
        }
    }

    #[test]
    fn a_record_of_another_protocols_version_is_none() {
        assert!(!is_dtls(&[22, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
}
