//! What is refused as malformed: with a sentence about the field, and before a byte is changed.

mod support;

use proptest::prelude::*;
use sealcast_srtp::{
    why_not_opened, why_not_protected, Cryptex, ExtensionIds, HeaderProtection, Mki, Options,
    PacketKind, Profile, SrtpError,
};
use support::{mki, options, pair, pair_with, protect_rtcp, protect_rtp, rtcp, rtp};

const LONGEST: usize = 65_535;

#[test]
fn rtcp_handed_in_as_rtp_is_refused_and_other_payload_types_are_not() {
    let (mut sender, _) = pair(Profile::AeadAes128Gcm);
    for second in 0..=255 {
        let mut packet = rtp(1, u16::from(second));
        packet[1] = second;
        let outcome = protect_rtp(&mut sender, &packet).map(|_| ());
        let expected = match second {
            200..=204 => Err(SrtpError::Malformed),
            _ => Ok(()),
        };
        assert_eq!(outcome, expected, "second byte {second}");
    }
    let sentence = why_not_protected(PacketKind::Rtp, &rtcp(1, b"report"), 16);
    assert_eq!(
        sentence,
        "Byte 1: 201 is a packet type of RTCP (RFC 3551 §6)"
    );
}

#[test]
fn rtp_handed_in_as_rtcp_is_refused_by_its_payload_type() {
    let (mut sender, _) = pair(Profile::AeadAes128Gcm);
    for second in 0..=255 {
        let mut packet = rtcp(1, b"report");
        packet[1] = second;
        let outcome = protect_rtcp(&mut sender, &packet).map(|_| ());
        let expected = match second {
            192..=223 => Ok(()),
            _ => Err(SrtpError::Malformed),
        };
        assert_eq!(outcome, expected, "second byte {second}");
    }
    assert_eq!(sender.totals().refused(SrtpError::Malformed), 224);
    let sentence = why_not_protected(PacketKind::Rtcp, &rtp(1, 0), 20);
    assert_eq!(
        sentence,
        "Byte 1: 96 is no packet type of RTCP, which are 192 to 223 (RFC 5761 §4)"
    );
}

#[test]
fn the_longest_packet_that_is_protected_can_be_opened_and_the_next_longer_is_refused() {
    for profile in Profile::ALL {
        for header_protection in [
            HeaderProtection::Clear,
            HeaderProtection::Cryptex(Cryptex::Required),
        ] {
            let options = Options {
                header_protection,
                ..options()
            };
            let (mut sender, mut receiver) = pair_with(profile, &mki(b"key"), &options);
            let mut packet = rtp(1, 0);
            // One CSRC, so that Cryptex adds an extension.
            packet[0] |= 1;
            packet.resize(LONGEST - sender.rtp_overhead(), 0);
            let protected = protect_rtp(&mut sender, &packet).expect("it fits");
            assert_eq!(protected.len(), LONGEST);
            let opened = support::unprotect_rtp(&mut receiver, &protected);
            assert!(opened.is_ok(), "{profile:?} {opened:?}");
            packet.push(0);
            let refused = protect_rtp(&mut sender, &packet);
            assert_eq!(refused, Err(SrtpError::Malformed));
            let overhead = sender.rtp_overhead();
            assert_eq!(
                why_not_protected(PacketKind::Rtp, &packet, overhead),
                format!(
                    "The packet has {} bytes and may have {}",
                    packet.len(),
                    LONGEST - overhead
                )
            );

            let mut report = rtcp(1, b"");
            report.resize(LONGEST - sender.rtcp_overhead(), 0);
            let protected = protect_rtcp(&mut sender, &report).expect("it fits");
            assert!(support::unprotect_rtcp(&mut receiver, &protected).is_ok());
            report.push(0);
            let refused = protect_rtcp(&mut sender, &report);
            assert_eq!(refused, Err(SrtpError::Malformed));
        }
    }
}

proptest! {
    /// The sentence is made from the buffer after the refusal, and nobody is told of one that the
    /// packet does not have.
    #[test]
    fn a_malformed_packet_is_as_it_was(
        first: u8,
        second: u8,
        rest in prop::collection::vec(any::<u8>(), 0..80),
        header in 0_usize..3,
        mki_len in prop::sample::select(&[0_usize, 4][..]),
    ) {
        let mut packet = vec![first, second];
        packet.extend(rest);
        let options = Options {
            header_protection: [
                HeaderProtection::Clear,
                HeaderProtection::Elements(ExtensionIds::new([1, 2]).expect("not zero")),
                HeaderProtection::Cryptex(Cryptex::Required),
            ][header].clone(),
            ..options()
        };
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
            let name: Mki = mki(&vec![7; mki_len]);
            let (mut sender, mut receiver) = pair_with(profile, &name, &options);
            for kind in [PacketKind::Rtp, PacketKind::Rtcp] {
                let overhead = sender.overhead(kind);
                let mut buffer = packet.clone();
                buffer.resize(packet.len() + overhead, 0xaa);
                let outcome = match kind {
                    PacketKind::Rtp => sender.protect_rtp(&mut buffer, packet.len()),
                    PacketKind::Rtcp => sender.protect_rtcp(&mut buffer, packet.len()),
                };
                if outcome == Err(SrtpError::Malformed) {
                    prop_assert_eq!(&buffer[..packet.len()], &packet[..]);
                    let sentence = why_not_protected(kind, &packet, overhead);
                    prop_assert!(!sentence.contains("may have"), "{}", sentence);
                }
                let mut buffer = packet.clone();
                let outcome = match kind {
                    PacketKind::Rtp => receiver.unprotect_rtp(&mut buffer),
                    PacketKind::Rtcp => receiver.unprotect_rtcp(&mut buffer),
                };
                if outcome == Err(SrtpError::Malformed) {
                    prop_assert_eq!(&buffer, &packet);
                    let sentence = why_not_opened(kind, &packet, receiver.overhead(kind));
                    prop_assert!(!sentence.contains("may have"), "{}", sentence);
                }
            }
        }
    }
}
