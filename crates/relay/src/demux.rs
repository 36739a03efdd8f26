//! How a STUN message finds its leg.
//!
//! A request by the local user fragment in USERNAME, never by address; everything else by the
//! source address (RFC 7983 tells the protocols apart; the tables are [`crate::routes`]).
//!
//! It reads no further than that and authenticates nothing; the leg does.

/// RFC 8489 §5.
const MAGIC_COOKIE: u32 = 0x2112_a442;
const HEADER_LEN: usize = 20;
/// Class bits of the message type (RFC 8489 §5): zero in a request.
const CLASS_BITS: u16 = 0x0110;
const USERNAME: u16 = 0x0006;

/// How a STUN message is routed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum StunRoute<'a> {
    /// A request: the part of USERNAME before the colon (RFC 8445 §7.2.2).
    Request { local_ufrag: &'a [u8] },
    /// A response or an indication: by address.
    ByAddress,
    /// It cannot be read that far.
    Malformed,
}

/// Reads as much of a STUN message as routing needs.
pub(crate) fn route_stun(datagram: &[u8]) -> StunRoute<'_> {
    let Some((header, mut attributes)) = datagram.split_at_checked(HEADER_LEN) else {
        return StunRoute::Malformed;
    };
    let be16 = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if cookie != MAGIC_COOKIE || usize::from(be16(header, 2)) != attributes.len() {
        return StunRoute::Malformed;
    }
    if be16(header, 0) & CLASS_BITS != 0 {
        return StunRoute::ByAddress;
    }
    while attributes.len() >= 4 {
        let (kind, len) = (be16(attributes, 0), usize::from(be16(attributes, 2)));
        let Some(value) = attributes.get(4..4 + len) else {
            return StunRoute::Malformed;
        };
        if kind == USERNAME {
            let colon = value.iter().position(|byte| *byte == b':');
            return match colon {
                Some(colon) => StunRoute::Request {
                    local_ufrag: &value[..colon],
                },
                None => StunRoute::Malformed,
            };
        }
        // Values are padded to four bytes (RFC 8489 §14).
        let padded = 4 + len.next_multiple_of(4);
        attributes = attributes.get(padded..).unwrap_or_default();
    }
    StunRoute::Malformed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((attributes.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE.to_be_bytes());
        message.extend([7; 12]);
        message.extend(attributes);
        message
    }

    #[test]
    fn a_request_is_routed_by_the_local_ufrag() {
        let attributes = [
            0x80, 0x22, 0, 3, b'a', b'b', b'c', 0, 0, 6, 0, 7, b'u', b's', b':', b't', b'h', b'e',
            b'm', 0,
        ];
        let request = stun(0x0001, &attributes);
        assert_eq!(
            route_stun(&request),
            StunRoute::Request { local_ufrag: b"us" }
        );
    }

    proptest! {
        #[test]
        fn hostile_stun_never_panics_and_names_a_part_of_itself(
            kind: u16,
            attributes in prop::collection::vec(any::<u8>(), 0..80),
            named in prop::option::of(0_u8..40),
            cut in 0_usize..100,
        ) {
            let mut attributes = attributes;
            if let (Some(len), Some(head)) = (named, attributes.get_mut(..4)) {
                head.copy_from_slice(&[0, 6, 0, len]);
            }
            let message = stun(kind, &attributes);
            let message = &message[..message.len().min(cut)];
            if let StunRoute::Request { local_ufrag } = route_stun(message) {
                let own = message.as_ptr_range();
                let found = local_ufrag.as_ptr_range();
                prop_assert!(own.start <= found.start && found.end < own.end, "the colon is behind it");
                prop_assert!(!local_ufrag.contains(&b':'));
            }
        }
    }

    #[test]
    fn responses_and_indications_are_routed_by_address() {
        for kind in [0x0101, 0x0111, 0x0011] {
            assert_eq!(route_stun(&stun(kind, &[])), StunRoute::ByAddress);
        }
    }

    #[test]
    fn a_damaged_message_is_malformed_at_every_length() {
        let whole = stun(
            0x0001,
            &[0, 6, 0, 7, b'u', b's', b':', b't', b'h', b'e', b'm', 0],
        );
        for len in 0..whole.len() {
            assert_eq!(route_stun(&whole[..len]), StunRoute::Malformed, "{len}");
        }
        assert_eq!(
            route_stun(&stun(0x0001, &[])),
            StunRoute::Malformed,
            "no USERNAME"
        );
        assert_eq!(
            route_stun(&stun(0x0001, &[0, 6, 0xff, 0xff])),
            StunRoute::Malformed,
            "an attribute beyond the end"
        );
        assert_eq!(
            route_stun(&stun(0x0001, &[0, 6, 0, 4, b'n', b'o', b'n', b'e'])),
            StunRoute::Malformed,
            "no colon"
        );
    }
}
