//! What contexts count, and what they admit.

mod support;

use std::collections::BTreeSet;

use sealcast_srtp::{
    Mki, Options, Profile, ReplayWindow, SrtcpEncryption, SrtpError, StreamStatistics,
};
use support::{
    options, pair, pair_with, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtcp, unprotect_rtp,
};

#[test]
fn each_ssrc_and_the_whole_context_are_counted() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    let first = protect_rtp(&mut sender, &rtp(5, 100)).expect("a new index");
    let second = protect_rtp(&mut sender, &rtp(5, 2000)).expect("a new index");
    let report = protect_rtcp(&mut sender, &rtcp(5, b"12345678")).expect("a new index");
    assert!(unprotect_rtp(&mut receiver, &second).is_ok());
    assert!(unprotect_rtcp(&mut receiver, &report).is_ok());
    assert_eq!(unprotect_rtp(&mut receiver, &first), Err(SrtpError::TooOld));
    assert_eq!(
        unprotect_rtp(&mut receiver, &second),
        Err(SrtpError::Replayed)
    );
    let mut forged = protect_rtp(&mut sender, &rtp(5, 2001)).expect("a new index");
    forged[13] ^= 1;
    assert!(unprotect_rtp(&mut receiver, &forged).is_err());
    assert!(unprotect_rtp(&mut receiver, b"noise").is_err());

    let streams: Vec<StreamStatistics> = receiver.streams().collect();
    assert_eq!(
        streams,
        [StreamStatistics {
            ssrc: 5,
            rtp_packets: 1,
            rtp_bytes: 14,
            rtcp_packets: 1,
            rtcp_bytes: 16,
            replayed: 1,
            too_old: 1,
            authentication_failed: 1,
            roc: 0,
            highest_index: Some(2000),
            highest_rtcp_index: Some(0),
        }]
    );
    let totals = receiver.totals();
    assert_eq!((totals.rtp_packets, totals.rtcp_packets), (1, 1));
    assert_eq!((totals.rtp_bytes, totals.rtcp_bytes), (14, 16));
    assert_eq!(totals.refused(SrtpError::Malformed), 1);
    assert_eq!(totals.refused(SrtpError::Replayed), 1);
    let sent = sender.streams().next().expect("the one that sent");
    assert_eq!((sent.rtp_packets, sent.highest_index), (3, Some(2001)));
}

#[test]
fn every_size_of_replay_window_is_exact() {
    for packets in [64, 128, 192, 1024, 8192, 32_768] {
        let options = Options {
            replay_window: ReplayWindow::new(packets).expect("a multiple of 64"),
            ..options()
        };
        let profile = Profile::AeadAes128Gcm;
        let (mut sender, mut receiver) = pair_with(profile, &Mki::default(), &options);
        let len = u16::try_from(packets).expect("at most 32,768");
        let old = protect_rtp(&mut sender, &rtp(1, 10)).expect("a new index");
        let oldest = protect_rtp(&mut sender, &rtp(1, 11)).expect("a new index");
        let newest = protect_rtp(&mut sender, &rtp(1, 10 + len)).expect("a new index");
        assert!(unprotect_rtp(&mut receiver, &newest).is_ok());
        // Half of all sequence numbers back is read as forward (RFC 3711 §3.3.1): no tag fits it.
        let expected = match packets {
            32_768 => SrtpError::AuthenticationFailed,
            _ => SrtpError::TooOld,
        };
        assert_eq!(unprotect_rtp(&mut receiver, &old), Err(expected));
        assert_eq!(unprotect_rtp(&mut receiver, &oldest), Ok(rtp(1, 11)));
        assert_eq!(
            unprotect_rtp(&mut receiver, &oldest),
            Err(SrtpError::Replayed)
        );
    }
}

#[test]
fn a_context_serves_the_ssrcs_that_it_was_made_for_and_many_of_them() {
    let declared = Options {
        ssrcs: Some(BTreeSet::from_iter(0..3000)),
        max_ssrcs: 2000,
        ..options()
    };
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, mut receiver) = pair_with(profile, &Mki::default(), &declared);
    for ssrc in (0..2000).chain(0..2000) {
        let sequence = u16::try_from(receiver.totals().rtp_packets / 2000).expect("0 or 1");
        let packet = protect_rtp(&mut sender, &rtp(ssrc, sequence)).expect("a declared SSRC");
        assert_eq!(
            unprotect_rtp(&mut receiver, &packet),
            Ok(rtp(ssrc, sequence))
        );
    }
    let refused = protect_rtp(&mut sender, &rtp(2000, 0));
    assert_eq!(refused, Err(SrtpError::TooManySsrcs));
    let refused = protect_rtp(&mut sender, &rtp(3000, 0));
    assert_eq!(refused, Err(SrtpError::SsrcNotDeclared));
    let mut foreign = rtp(3000, 0);
    foreign.extend([0; 16]);
    let refused = unprotect_rtp(&mut receiver, &foreign);
    assert_eq!(refused, Err(SrtpError::SsrcNotDeclared));
}

#[test]
fn unencrypted_srtcp_passes_between_two_that_allow_it_and_is_still_authenticated() {
    let off = Options {
        srtcp_encryption: SrtcpEncryption::Off,
        ..options()
    };
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair_with(profile, &Mki::default(), &off);
        let plain = rtcp(5, b"readable");
        let packet = protect_rtcp(&mut sender, &plain).expect("a new index");
        assert_eq!(packet[..plain.len()], plain);
        let mut forged = packet.clone();
        forged[10] ^= 1;
        let refused = unprotect_rtcp(&mut receiver, &forged);
        assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
        assert_eq!(unprotect_rtcp(&mut receiver, &packet), Ok(plain));
    }
}
