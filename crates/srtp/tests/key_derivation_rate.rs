//! Session keys that change with the packet index (RFC 3711 §4.3.1).

mod support;

use sealcast_srtp::{KeyDerivationRate, Mki, Options, Profile, SrtpError};
use support::{
    options, pair_with, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtcp, unprotect_rtp,
};

fn every(packets: u32) -> Options {
    Options {
        key_derivation_rate: KeyDerivationRate::new(packets).expect("a power of two"),
        ..options()
    }
}

#[test]
fn late_packets_from_before_any_boundary_open_with_their_former_keys() {
    for profile in Profile::ALL {
        for rate in [1, 2, 16, 1 << 24] {
            let (mut sender, mut receiver) = pair_with(profile, &Mki::default(), &every(rate));
            let mut sent = Vec::new();
            // 100 periods at rate 2 are more than are kept.
            for sequence in 0..200_u16 {
                let plain = rtp(1, sequence);
                sent.push((
                    protect_rtp(&mut sender, &plain).expect("a new index"),
                    plain,
                ));
            }
            let (newest, plain) = &sent[199];
            assert_eq!(unprotect_rtp(&mut receiver, newest).as_ref(), Ok(plain));
            for (late, plain) in sent[..199].iter().rev() {
                assert_eq!(unprotect_rtp(&mut receiver, late).as_ref(), Ok(plain));
            }
            for number in 0..60_u8 {
                let report = protect_rtcp(&mut sender, &rtcp(1, &[number])).expect("a new index");
                let opened = unprotect_rtcp(&mut receiver, &report);
                assert_eq!(opened, Ok(rtcp(1, &[number])));
            }
        }
    }
}

#[test]
fn the_keys_change_exactly_at_the_boundary() {
    // A receiver of another rate opens what is in the first period of both, and nothing after it.
    let material = support::Material::fresh();
    let profile = Profile::AeadAes128Gcm;
    let mut sender =
        sealcast_srtp::Sender::new(material.key(profile), every(16)).expect("nobody has it");
    let mut receiver =
        sealcast_srtp::Receiver::new(material.key(profile), every(0)).expect("a valid key");
    for sequence in 0..40_u16 {
        let packet = protect_rtp(&mut sender, &rtp(1, sequence)).expect("a new index");
        let opened = unprotect_rtp(&mut receiver, &packet);
        if sequence < 16 {
            assert_eq!(opened, Ok(rtp(1, sequence)));
        } else {
            assert_eq!(opened, Err(SrtpError::AuthenticationFailed));
        }
    }
}

#[test]
fn ssrcs_at_different_indices_share_a_master_key() {
    let (mut sender, mut receiver) =
        pair_with(Profile::Aes128CmSha1_80, &Mki::default(), &every(2));
    for step in 0..50_u16 {
        for ssrc in 0..30_u16 {
            let plain = rtp(u32::from(ssrc), 100 * ssrc + step);
            let packet = protect_rtp(&mut sender, &plain).expect("a new index");
            assert_eq!(unprotect_rtp(&mut receiver, &packet), Ok(plain));
        }
    }
}
