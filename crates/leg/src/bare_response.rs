//! The answer to a check that does not say which address it saw.
//!
//! RFC 8489 §6.3.3 and RFC 8445 §7.2.5.2 want an XOR-MAPPED-ADDRESS in every success response to a
//! Binding request. ffmpeg's WHIP muxer (measured with 9.0.2) answers every check without: 52 bytes
//! of header, MESSAGE-INTEGRITY and FINGERPRINT. `is` refuses such a message, as it should, and so
//! no pair with ffmpeg would ever be proved.
//!
//! DEVIATES RFC 8489 §6.3.3: a bare response is taken as if it had named the address that the check
//! left from. Nothing is lost by it. What a check proves, that the peer is at this address and knows
//! the password, lies in the transaction identifier, the source and MESSAGE-INTEGRITY, and all three
//! are demanded as ever. The mapped address serves only to discover how a NAT shows us, and a leg
//! has no use for that: its candidates are the addresses it was given.
//!
//! It accepts that one form and no other: a response with further attributes, a MAPPED-ADDRESS among
//! them, stays refused. The caller must still find the check that is answered, by its transaction
//! identifier and its pair of addresses.

use std::net::SocketAddr;

use is::stun::{StunMessage, StunMessageBuilder, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};

use crate::codes;

/// RFC 8489 §5: Binding success response, 32 bytes of attributes.
const START: [u8; 4] = [0x01, 0x01, 0, 32];
/// RFC 8489 §14.5: 20 bytes of MESSAGE-INTEGRITY, right behind the header.
const INTEGRITY: ([u8; 4], usize) = ([0x00, 0x08, 0, 20], 20);
/// RFC 8489 §14.7: 4 bytes of FINGERPRINT, behind that.
const FINGERPRINT: ([u8; 4], usize) = ([0x80, 0x28, 0, 4], 44);
const LEN: usize = 52;

/// Header, the longer kind of address (IPv6), MESSAGE-INTEGRITY, FINGERPRINT.
const LONGEST: usize = 20 + 24 + 24 + 8;

/// Whether this has the form of a bare success response.
pub(crate) fn is_bare(datagram: &[u8]) -> bool {
    let has = |(start, at): ([u8; 4], usize)| datagram[at..].starts_with(&start);
    datagram.len() == LEN && has((START, 0)) && has(INTEGRITY) && has(FINGERPRINT)
}

/// The same response with the address that the check left from, signed with the same password.
///
/// `bare` was found to be [bare](is_bare), and to answer the check `asked`.
///
/// # Errors
/// The code of what does not hold: MESSAGE-INTEGRITY under the peer's password, or FINGERPRINT.
pub(crate) fn complete(
    bare: &[u8],
    asked: TransId,
    password: &str,
    left_from: SocketAddr,
) -> Result<Vec<u8>, &'static str> {
    let response = || StunMessageBuilder::new().binding().success();
    // There is one way to write a genuine one; what differs from it is not genuine.
    let genuine = signed(response().build(asked), password);
    let (_, fingerprint) = FINGERPRINT;
    if bare.len() != genuine.len()
        || !boring::memcmp::eq(&bare[..fingerprint], &genuine[..fingerprint])
    {
        return Err(codes::ICE_BAD_INTEGRITY);
    }
    if bare != genuine {
        return Err(codes::ICE_MALFORMED);
    }
    let completed = response().xor_mapped_address(left_from).build(asked);
    Ok(signed(completed, password))
}

fn signed(message: StunMessage<'_>, password: &str) -> Vec<u8> {
    let mut bytes = vec![0; LONGEST];
    let len = message
        .to_bytes(Some(password.as_bytes()), &mut bytes, |key, parts| {
            DefaultSha1HmacProvider.sha1_hmac(key, parts)
        })
        .expect("a response with one address is no longer than the longest");
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A check of ours, the answer of ffmpeg 9.0.2 to it and the password in ffmpeg's offer.
    const CHECK: &str = "0001004c2112a4427c10894d7402b91eec086726000600113661333266626365\
                         3a4e627a767951306e00000080290008\
                         0469cf257b58c92d002400046efffeff\
                         00080014e3553b63ef23cb2fc1c14ab9bed490da29df0e3580280004\
                         9176f5d9";
    const ANSWER: &str = "010100202112a4427c10894d7402b91eec086726\
                          000800140c1e1e7dab16623e63bdfcd4f53619da78bddebf80280004f90d5400";
    const PASSWORD: &str = "e68d5c6e554c4d2f33c5ab330be6b558";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().collect();
        digits
            .chunks(2)
            .map(|pair| {
                let pair = String::from_iter(pair);
                u8::from_str_radix(&pair, 16).expect("hexadecimal digits in a test")
            })
            .collect()
    }

    fn asked() -> TransId {
        StunMessage::parse(&bytes(CHECK))
            .expect("our own check is well-formed")
            .trans_id()
    }

    fn here() -> SocketAddr {
        "127.0.0.1:41577".parse().expect("an address in a test")
    }

    #[test]
    fn the_answer_of_ffmpeg_9_is_completed_and_signed_with_the_same_password() {
        let answer = bytes(ANSWER);
        assert!(is_bare(&answer));
        assert!(
            StunMessage::parse(&answer).is_err(),
            "else this is needless"
        );
        for local in [here(), "[2001:db8::1]:8443".parse().expect("an address")] {
            let completed =
                complete(&answer, asked(), PASSWORD, local).expect("it is a genuine answer");
            let message = StunMessage::parse(&completed).expect("it is well-formed");
            assert!(message.is_successful_binding_response());
            assert_eq!(message.trans_id(), asked());
            assert_eq!(message.mapped_address(), Some(local));
            let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
            assert!(message.verify(PASSWORD.as_bytes(), hmac));
        }
    }

    #[test]
    fn an_answer_with_any_one_bit_flipped_is_refused() {
        let answer = bytes(ANSWER);
        for bit in 0..answer.len() * 8 {
            let mut forged = answer.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                // The form, which sends it to the agent: no bare response at all.
                0..4 | 20..24 | 44..48 => None,
                // The cookie, the transaction identifier, MESSAGE-INTEGRITY itself.
                4..20 | 24..44 => Some(codes::ICE_BAD_INTEGRITY),
                _ => Some(codes::ICE_MALFORMED),
            };
            assert_eq!(is_bare(&forged), expected.is_some(), "bit {bit}");
            if let Some(code) = expected {
                let outcome = complete(&forged, asked(), PASSWORD, here());
                assert_eq!(outcome, Err(code), "bit {bit}");
            }
        }
    }

    #[test]
    fn an_answer_under_another_password_or_to_another_check_is_refused() {
        let answer = bytes(ANSWER);
        let other = "e68d5c6e554c4d2f33c5ab330be6b559";
        let outcome = complete(&answer, asked(), other, here());
        assert_eq!(outcome, Err(codes::ICE_BAD_INTEGRITY));
        let outcome = complete(&answer, TransId::new(), PASSWORD, here());
        assert_eq!(outcome, Err(codes::ICE_BAD_INTEGRITY));
    }

    #[test]
    fn only_the_one_form_is_bare() {
        let answer = bytes(ANSWER);
        for len in 0..answer.len() {
            assert!(!is_bare(&answer[..len]), "{len} bytes");
        }
        let longer = [&answer[..], &[0; 4]].concat();
        assert!(!is_bare(&longer));
        let complete = complete(&answer, asked(), PASSWORD, here()).expect("it is genuine");
        assert!(!is_bare(&complete), "an ordinary response");
        assert!(!is_bare(&bytes(CHECK)), "a request");
    }
}
