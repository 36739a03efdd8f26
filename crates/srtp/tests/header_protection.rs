//! Encrypted header extensions: chosen elements (RFC 6904) or everything (RFC 9335).

mod support;

use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, Mki, Options, Profile, Receiver, Sender, SrtpError,
};
use support::{options, pair_with, protect_rtp, rtp, rtp_with, unprotect_rtp, Material};

const ONE_BYTE: u16 = 0xbede;
const TWO_BYTE: u16 = 0x1000;
const ELEMENTS: [u8; 8] = [0x11, b'a', b'b', 0x20, b'c', 0, 0, 0];

fn with(header_protection: HeaderProtection) -> Options {
    Options {
        header_protection,
        ..options()
    }
}

fn cryptex(profile: Profile, policy: Cryptex) -> (Sender, Receiver) {
    let options = with(HeaderProtection::Cryptex(policy));
    pair_with(profile, &Mki::default(), &options)
}

#[test]
fn cryptex_gives_csrcs_without_an_extension_an_empty_one() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = cryptex(profile, Cryptex::Required);
        let plain = rtp_with(1, 1, 2, None, b"payload");
        let protected = protect_rtp(&mut sender, &plain).expect("a new index");
        assert_eq!(protected[20..24], [0xc0, 0xde, 0, 0]);
        assert_eq!(protected.len(), plain.len() + sender.rtp_overhead());
        // RFC 9335 §5.2: the receiver may leave it where it is.
        let with_empty_extension = rtp_with(1, 1, 2, Some((ONE_BYTE, &[])), b"payload");
        assert_eq!(
            unprotect_rtp(&mut receiver, &protected),
            Ok(with_empty_extension)
        );
    }
}

#[test]
fn cryptex_leaves_a_packet_with_a_bare_header_as_it_is() {
    let (mut sender, mut receiver) = cryptex(Profile::AeadAes128Gcm, Cryptex::Required);
    let protected = protect_rtp(&mut sender, &rtp(1, 1)).expect("a new index");
    assert_eq!(protected.len(), rtp(1, 1).len() + 16);
    assert_eq!(unprotect_rtp(&mut receiver, &protected), Ok(rtp(1, 1)));
}

#[test]
fn cryptex_refuses_an_extension_that_it_cannot_mark() {
    for tag in [0x1001, 0xabcd, 0xc0de, 0xc2de] {
        let (mut sender, _) = cryptex(Profile::AeadAes128Gcm, Cryptex::Accepted);
        let plain = rtp_with(1, 1, 0, Some((tag, &[0; 4])), b"payload");
        let refused = protect_rtp(&mut sender, &plain);
        assert_eq!(refused, Err(SrtpError::HeaderNotProtected), "{tag:x}");
        // It cost no index.
        assert!(protect_rtp(&mut sender, &rtp(1, 1)).is_ok());
    }
}

#[test]
fn a_receiver_takes_a_clear_header_under_cryptex_only_if_it_may() {
    for (policy, outcome) in [(Cryptex::Accepted, true), (Cryptex::Required, false)] {
        let material = Material::fresh();
        let profile = Profile::AeadAes128Gcm;
        let mut sender = Sender::new(material.key(profile), options()).expect("nobody has it");
        let options = with(HeaderProtection::Cryptex(policy));
        let mut receiver = Receiver::new(material.key(profile), options).expect("a valid key");
        let plain = rtp_with(1, 1, 1, Some((TWO_BYTE, &ELEMENTS)), b"payload");
        let protected = protect_rtp(&mut sender, &plain).expect("a new index");
        let opened = unprotect_rtp(&mut receiver, &protected);
        assert_eq!(opened.is_ok(), outcome, "{policy:?} {opened:?}");
    }
}

#[test]
fn a_receiver_without_cryptex_refuses_a_packet_that_has_it() {
    for protection in [
        HeaderProtection::Clear,
        HeaderProtection::Elements(ExtensionIds::default()),
    ] {
        let material = Material::fresh();
        let profile = Profile::Aes128CmSha1_80;
        let cryptex = with(HeaderProtection::Cryptex(Cryptex::Accepted));
        let mut sender = Sender::new(material.key(profile), cryptex).expect("nobody has it");
        let mut receiver =
            Receiver::new(material.key(profile), with(protection)).expect("a valid key");
        let plain = rtp_with(1, 1, 0, Some((ONE_BYTE, &ELEMENTS)), b"payload");
        let protected = protect_rtp(&mut sender, &plain).expect("a new index");
        let refused = unprotect_rtp(&mut receiver, &protected);
        assert_eq!(refused, Err(SrtpError::HeaderNotProtected));
    }
}

#[test]
fn elements_that_are_not_chosen_and_all_numbers_and_lengths_stay_readable() {
    for profile in Profile::ALL
        .into_iter()
        .filter(|profile| profile.encrypts())
    {
        let chosen = ExtensionIds::new([1]).expect("from 1 to 255");
        let options = with(HeaderProtection::Elements(chosen));
        let (mut sender, mut receiver) = pair_with(profile, &Mki::default(), &options);
        let plain = rtp_with(1, 1, 1, Some((ONE_BYTE, &ELEMENTS)), b"payload");
        let protected = protect_rtp(&mut sender, &plain).expect("a new index");
        assert_eq!(protected[..21], plain[..21]);
        assert_ne!(protected[21..23], plain[21..23]);
        assert_eq!(protected[23..28], plain[23..28]);
        assert_eq!(unprotect_rtp(&mut receiver, &protected), Ok(plain));
    }
}

#[test]
fn elements_that_run_past_the_extension_are_refused_and_cost_no_index() {
    let chosen = ExtensionIds::new([1]).expect("from 1 to 255");
    let options = with(HeaderProtection::Elements(chosen));
    for (tag, body) in [
        (ONE_BYTE, [0x1f, 1, 2, 3]),
        (ONE_BYTE, [0, 0, 0, 0x10]),
        (TWO_BYTE, [1, 3, 1, 2]),
        (TWO_BYTE, [0, 0, 0, 1]),
    ] {
        let (mut sender, mut receiver) =
            pair_with(Profile::AeadAes128Gcm, &Mki::default(), &options);
        let plain = rtp_with(1, 1, 0, Some((tag, &body)), b"payload");
        let refused = protect_rtp(&mut sender, &plain);
        assert_eq!(refused, Err(SrtpError::HeaderNotProtected));
        let mut forged = plain;
        forged.extend([0; 16]);
        let refused = unprotect_rtp(&mut receiver, &forged);
        assert_eq!(refused, Err(SrtpError::HeaderNotProtected));
        assert!(protect_rtp(&mut sender, &rtp(1, 1)).is_ok());
    }
}
