//! Properties of a sender and a receiver that share a key, over profiles, options, sizes, orders.

mod support;

use proptest::prelude::*;
use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, KeyDerivationRate, Mki, Options, Profile,
    ReplayWindow, SrtcpEncryption, SrtpError, MAX_SSRCS, REPLAY_WINDOW,
};
use support::{
    mki, options, pair, pair_with, protect_rtcp, protect_rtp, rtcp, rtp_with, unprotect_rtcp,
    unprotect_rtp,
};

fn any_profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(&Profile::ALL[..])
}

prop_compose! {
    /// Every option that both ends must agree on, and an MKI.
    fn any_agreement()(
        mki_len in prop::sample::select(&[0_usize, 1, 4, 128][..]),
        rate in prop::sample::select(&[0_u32, 1, 8, 1 << 24][..]),
        window in prop::sample::select(&[64_usize, 1024, 32_768][..]),
        header in prop::sample::select(vec![
            HeaderProtection::Clear,
            HeaderProtection::Elements(ExtensionIds::new([1, 3, 14, 200]).expect("not zero")),
            HeaderProtection::Cryptex(Cryptex::Required),
        ]),
        srtcp_encryption in prop::sample::select(
            &[SrtcpEncryption::Required, SrtcpEncryption::Off][..],
        ),
    ) -> (Mki, Options) {
        let options = Options {
            key_derivation_rate: KeyDerivationRate::new(rate).expect("a power of two"),
            replay_window: ReplayWindow::new(window).expect("a multiple of 64"),
            header_protection: header,
            srtcp_encryption,
            ..options()
        };
        (mki(&vec![0x6b; mki_len]), options)
    }
}

prop_compose! {
    /// A well-formed extension of one-byte or two-byte elements.
    fn any_extension()(
        is_one_byte: bool,
        elements in prop::collection::vec((1_u8..15, 1_u8..17, any::<u8>()), 0..5),
    ) -> (u16, Vec<u8>) {
        let mut body = Vec::new();
        for (id, len, byte) in elements {
            if is_one_byte {
                body.push(id << 4 | (len - 1));
            } else {
                body.extend([id * 16, len]);
            }
            body.extend(std::iter::repeat_n(byte, usize::from(len)));
        }
        body.resize(body.len().next_multiple_of(4), 0);
        (if is_one_byte { 0xbede } else { 0x1000 }, body)
    }
}

fn rtp(ssrc: u32, sequence: u16, csrcs: u8, extension: Option<u8>, payload: &[u8]) -> Vec<u8> {
    let body = vec![0; 4 * usize::from(extension.unwrap_or(0))];
    rtp_with(
        ssrc,
        sequence,
        csrcs,
        extension.map(|_| (0xbede, &body[..])),
        payload,
    )
}

proptest! {
    #[test]
    fn opening_undoes_protecting_under_every_profile_and_option(
        profile in any_profile(),
        (mki, options) in any_agreement(),
        ssrc: u32,
        roc: u32,
        sequence in 0_u16..0x8000,
        csrcs in 0_u8..16,
        extension in prop::option::of(any_extension()),
        payload in prop::collection::vec(any::<u8>(), 0..1300),
    ) {
        let (mut sender, mut receiver) = pair_with(profile, &mki, &options);
        sender.set_roc(ssrc, roc).expect("before its first packet");
        receiver.set_roc(ssrc, roc).expect("before its first packet");
        let extension = extension.as_ref().map(|(tag, body)| (*tag, &body[..]));
        let plain = rtp_with(ssrc, sequence, csrcs, extension, &payload);
        let protected = protect_rtp(&mut sender, &plain)?;
        prop_assert!(protected.len() <= plain.len() + sender.rtp_overhead());
        if payload.len() >= 16 && profile.encrypts() {
            prop_assert!(!protected.windows(payload.len()).any(|part| part == payload));
        }
        let opened = unprotect_rtp(&mut receiver, &protected)?;
        let is_cryptex = matches!(options.header_protection, HeaderProtection::Cryptex(_));
        if is_cryptex && csrcs > 0 && extension.is_none() {
            let with_empty_extension =
                rtp_with(ssrc, sequence, csrcs, Some((0xbede, &[])), &payload);
            prop_assert_eq!(opened, with_empty_extension);
        } else {
            prop_assert_eq!(opened, plain);
        }
        prop_assert_eq!(unprotect_rtp(&mut receiver, &protected), Err(SrtpError::Replayed));

        let plain = rtcp(ssrc, &payload);
        let protected = protect_rtcp(&mut sender, &plain)?;
        prop_assert_eq!(protected.len(), plain.len() + sender.rtcp_overhead());
        prop_assert_eq!(unprotect_rtcp(&mut receiver, &protected)?, plain);
        prop_assert_eq!(unprotect_rtcp(&mut receiver, &protected), Err(SrtpError::Replayed));
    }

    #[test]
    fn a_packet_with_any_bit_flipped_is_refused_and_the_genuine_one_still_opens(
        profile in any_profile(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        place: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let (mut sender, mut receiver) = pair(profile);
        let first = protect_rtp(&mut sender, &rtp(1, 9, 0, None, &payload))?;
        unprotect_rtp(&mut receiver, &first)?;

        let genuine = protect_rtp(&mut sender, &rtp(1, 10, 2, Some(1), &payload))?;
        let mut forged = genuine.clone();
        forged[place.index(genuine.len())] ^= 1 << bit;
        prop_assert!(unprotect_rtp(&mut receiver, &forged).is_err());
        prop_assert!(unprotect_rtp(&mut receiver, &genuine).is_ok());

        let genuine = protect_rtcp(&mut sender, &rtcp(1, &payload))?;
        let mut forged = genuine.clone();
        forged[place.index(genuine.len())] ^= 1 << bit;
        prop_assert!(unprotect_rtcp(&mut receiver, &forged).is_err());
        prop_assert!(unprotect_rtcp(&mut receiver, &genuine).is_ok());
    }

    #[test]
    fn any_order_within_the_window_loses_nothing_and_every_replay_is_refused(
        profile in any_profile(),
        (mki, mut options) in any_agreement(),
        start: u16,
        order in Just((0_u16..300).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        options.replay_window = ReplayWindow::new(320).expect("a multiple of 64");
        let (mut sender, mut receiver) = pair_with(profile, &mki, &options);
        // The newest index decides the rollover counter, so both ends must have seen the start.
        let start = start / 2;
        let opening = protect_rtp(&mut sender, &rtp(1, start, 0, None, b"first"))?;
        unprotect_rtp(&mut receiver, &opening)?;

        let mut packets = Vec::new();
        for offset in 1..=300_u16 {
            let plain = rtp(1, start.wrapping_add(offset), 0, None, &offset.to_be_bytes());
            packets.push((protect_rtp(&mut sender, &plain)?, plain));
        }
        for place in &order {
            let (protected, plain) = &packets[usize::from(*place)];
            prop_assert_eq!(&unprotect_rtp(&mut receiver, protected)?, plain);
        }
        for (protected, _) in &packets {
            prop_assert_eq!(unprotect_rtp(&mut receiver, protected), Err(SrtpError::Replayed));
        }
    }

    #[test]
    fn the_sender_never_protects_one_sequence_number_twice(
        profile in any_profile(),
        steps in prop::collection::vec((0_u32..3, -40_i32..60), 1..200),
    ) {
        let (mut sender, _) = pair(profile);
        let mut used = std::collections::BTreeSet::new();
        let mut newest = [500_i64; 3];
        for (ssrc, step) in steps {
            let row = &mut newest[ssrc as usize];
            let index = *row + i64::from(step);
            let sequence = u16::try_from(index).expect("steps are small");
            let outcome = protect_rtp(&mut sender, &rtp(ssrc, sequence, 0, None, b"payload"));
            if used.insert((ssrc, index)) {
                prop_assert!(outcome.is_ok());
            } else {
                prop_assert_eq!(outcome, Err(SrtpError::IndexUsed));
            }
            *row = (*row).max(index);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic_or_a_changed_context(
        profile in any_profile(),
        mut garbage in prop::collection::vec(any::<u8>(), 0..120),
        looks_like_rtp: bool,
    ) {
        let (mut sender, mut receiver) = pair(profile);
        if looks_like_rtp && !garbage.is_empty() {
            garbage[0] = 0x80 | (garbage[0] & 0x3f);
        }
        prop_assert!(unprotect_rtp(&mut receiver, &garbage).is_err());
        prop_assert!(unprotect_rtcp(&mut receiver, &garbage).is_err());
        let plain = rtp(77, 1, 0, None, b"still works");
        let protected = protect_rtp(&mut sender, &plain)?;
        prop_assert_eq!(unprotect_rtp(&mut receiver, &protected)?, plain);
        // Any well-formed input may be protected; the rest is refused.
        let _ = protect_rtp(&mut sender, &garbage);
        let _ = protect_rtcp(&mut sender, &garbage);
    }
}

#[test]
fn packets_open_across_many_rollovers_with_gaps_and_late_arrivals() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let mut held: Option<(Vec<u8>, Vec<u8>)> = None;
        for step in 0_u32..40_000 {
            // 13 sequence numbers a step: eight rollovers; every seventh packet arrives late.
            let sequence = (60_000 + 13 * step) as u16;
            let plain = rtp(3, sequence, 0, None, &step.to_be_bytes());
            let protected = protect_rtp(&mut sender, &plain).expect("a new index each time");
            if step % 7 == 3 {
                held = Some((protected, plain));
                continue;
            }
            assert_eq!(
                unprotect_rtp(&mut receiver, &protected),
                Ok(plain),
                "step {step}"
            );
            if let Some((late, plain)) = held.take() {
                assert_eq!(
                    unprotect_rtp(&mut receiver, &late),
                    Ok(plain),
                    "late at step {step}"
                );
            }
        }
    }
}

#[test]
fn a_packet_behind_the_window_is_too_old() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    let old = protect_rtp(&mut sender, &rtp(1, 10, 0, None, b"old")).expect("new index");
    let newest = 11 + u16::try_from(REPLAY_WINDOW).expect("the window is small");
    let new = protect_rtp(&mut sender, &rtp(1, newest, 0, None, b"new")).expect("new index");
    assert!(unprotect_rtp(&mut receiver, &new).is_ok());
    assert_eq!(unprotect_rtp(&mut receiver, &old), Err(SrtpError::TooOld));
    let unsure = protect_rtp(&mut sender, &rtp(1, 11, 0, None, b"unsure"));
    assert_eq!(
        unsure,
        Err(SrtpError::IndexUsed),
        "it cannot be ruled out, so it is refused"
    );
}

#[test]
fn a_context_takes_a_bounded_number_of_ssrcs_and_keeps_serving_them() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    let count = u32::try_from(MAX_SSRCS).expect("the limit is small");
    for ssrc in 0..count {
        let packet = protect_rtp(&mut sender, &rtp(ssrc, 1, 0, None, b"x")).expect("room");
        assert!(unprotect_rtp(&mut receiver, &packet).is_ok());
    }
    assert_eq!(
        protect_rtp(&mut sender, &rtp(count, 1, 0, None, b"x")),
        Err(SrtpError::TooManySsrcs)
    );
    let (mut other, _) = pair(Profile::AeadAes128Gcm);
    let one_more = protect_rtp(&mut other, &rtp(count, 1, 0, None, b"x")).expect("room there");
    assert_eq!(
        unprotect_rtp(&mut receiver, &one_more),
        Err(SrtpError::TooManySsrcs)
    );
    let known = protect_rtp(&mut sender, &rtp(0, 2, 0, None, b"x")).expect("a known SSRC");
    assert!(unprotect_rtp(&mut receiver, &known).is_ok());
}

#[test]
fn unencrypted_srtcp_is_refused() {
    for profile in Profile::ALL
        .into_iter()
        .filter(|profile| profile.encrypts())
    {
        let (mut sender, mut receiver) = pair(profile);
        let mut packet = protect_rtcp(&mut sender, &rtcp(5, b"12345678")).expect("new index");
        let word_at = match profile.is_aead() {
            true => packet.len() - 4,
            false => packet.len() - 14,
        };
        assert_eq!(packet[word_at..word_at + 4], [0x80, 0, 0, 0]);
        packet[word_at] = 0;
        assert_eq!(
            unprotect_rtcp(&mut receiver, &packet),
            Err(SrtpError::UnencryptedSrtcp)
        );
    }
}

#[test]
fn a_buffer_without_room_for_the_tag_is_refused_and_costs_no_index() {
    let (mut sender, _) = pair(Profile::AeadAes128Gcm);
    let plain = rtp(1, 1, 0, None, b"payload");
    let mut tight = plain.clone();
    assert_eq!(
        sender.protect_rtp(&mut tight, plain.len()),
        Err(SrtpError::BufferTooSmall)
    );
    assert_eq!(
        sender.protect_rtp(&mut tight, plain.len() + 1),
        Err(SrtpError::Malformed)
    );
    assert!(protect_rtp(&mut sender, &plain).is_ok());
}

#[test]
fn every_error_has_its_own_code() {
    let codes: std::collections::BTreeSet<_> =
        SrtpError::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(codes.len(), SrtpError::ALL.len());
    assert!(codes.iter().all(|code| code.starts_with("SRTP.")));
}
