//! Several master keys in one context (RFC 3711 §8.1): found by MKI, changed without a lost packet.

mod support;

use std::collections::BTreeSet;

use sealcast_srtp::{KeyError, Lifetime, Mki, Options, Profile, Receiver, Sender, SrtpError};
use support::{
    mki, options, pair_with, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtcp, unprotect_rtp,
    Material,
};

/// A pair that holds keys `a` and `b` and sends with `a`; the material of `b`.
fn pair_of_two_keys(profile: Profile) -> (Sender, Receiver, Material) {
    let (mut sender, mut receiver) = pair_with(profile, &mki(b"a"), &options());
    let second = Material::fresh();
    let added = sender.add_key(mki(b"b"), second.key(profile));
    added.expect("a key nobody has");
    let added = receiver.add_key(mki(b"b"), second.key(profile));
    added.expect("a key nobody has");
    (sender, receiver, second)
}

#[test]
fn a_change_of_keys_under_loss_and_reordering_loses_nothing_that_arrives() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver, _) = pair_of_two_keys(profile);
        let mut sent = Vec::new();
        for sequence in 0..300_u16 {
            if sequence == 150 {
                sender.use_key(&mki(b"b")).expect("it holds the key");
            }
            let plain = rtp(1, sequence);
            let protected = protect_rtp(&mut sender, &plain).expect("a new index");
            let report = rtcp(1, &sequence.to_be_bytes());
            let protected_report = protect_rtcp(&mut sender, &report).expect("a new index");
            sent.push((plain, protected, report, protected_report));
        }
        // Every fifth is lost; blocks of 40 arrive backwards, so the two keys are mixed.
        for block in sent.chunks(40) {
            for (number, (plain, protected, report, protected_report)) in
                block.iter().enumerate().rev()
            {
                if number % 5 == 4 {
                    continue;
                }
                assert_eq!(unprotect_rtp(&mut receiver, protected).as_ref(), Ok(plain));
                let opened = unprotect_rtcp(&mut receiver, protected_report);
                assert_eq!(opened.as_ref(), Ok(report));
            }
        }
    }
}

#[test]
fn a_packet_of_a_removed_or_unknown_key_is_refused_by_its_name() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver, _) = pair_of_two_keys(profile);
        let old = protect_rtp(&mut sender, &rtp(1, 1)).expect("a new index");
        sender.use_key(&mki(b"b")).expect("it holds the key");
        receiver.remove_key(&mki(b"a")).expect("it holds the key");
        let refused = unprotect_rtp(&mut receiver, &old);
        assert_eq!(refused, Err(SrtpError::UnknownMki));
        let new = protect_rtp(&mut sender, &rtp(1, 2)).expect("a new index");
        assert_eq!(unprotect_rtp(&mut receiver, &new), Ok(rtp(1, 2)));
        assert_eq!(receiver.totals().refused(SrtpError::UnknownMki), 1);
    }
}

#[test]
fn an_index_is_used_once_whatever_the_key_and_however_often_it_is_added_again() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, mut receiver, second) = pair_of_two_keys(profile);
    let packet = protect_rtp(&mut sender, &rtp(1, 9)).expect("a new index");
    assert!(unprotect_rtp(&mut receiver, &packet).is_ok());
    for _ in 0..3 {
        sender.use_key(&mki(b"b")).expect("it holds the key");
        let again = protect_rtp(&mut sender, &rtp(1, 9));
        assert_eq!(again, Err(SrtpError::IndexUsed));
        sender.use_key(&mki(b"a")).expect("it holds the key");
        sender.remove_key(&mki(b"b")).expect("it is not in use");
        let added = sender.add_key(mki(b"b"), second.key(profile));
        added.expect("the claim went with the key");
        let again = protect_rtp(&mut sender, &rtp(1, 9));
        assert_eq!(again, Err(SrtpError::IndexUsed));
    }
    // And the receiver remembers what it has opened, when the key is gone and back.
    receiver.remove_key(&mki(b"b")).expect("it holds the key");
    let added = receiver.add_key(mki(b"b"), second.key(profile));
    added.expect("a receiver needs no claim");
    assert_eq!(
        unprotect_rtp(&mut receiver, &packet),
        Err(SrtpError::Replayed)
    );
}

#[test]
fn a_sender_keeps_the_key_that_it_protects_with() {
    let (mut sender, _, _) = pair_of_two_keys(Profile::AeadAes128Gcm);
    assert_eq!(sender.remove_key(&mki(b"a")), Err(KeyError::StillInUse));
    assert_eq!(sender.remove_key(&mki(b"c")), Err(KeyError::MkiUnknown));
    assert_eq!(sender.use_key(&mki(b"c")), Err(KeyError::MkiUnknown));
    sender.use_key(&mki(b"b")).expect("it holds the key");
    sender.remove_key(&mki(b"a")).expect("it is not in use");
    assert!(protect_rtp(&mut sender, &rtp(1, 1)).is_ok());
    assert_eq!(sender.mkis().collect::<Vec<_>>(), [&mki(b"b")]);
}

#[test]
fn a_key_that_does_not_fit_the_context_is_refused_with_a_sentence() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, mut receiver) = pair_with(profile, &mki(b"a"), &Options::default());
    let refused = [
        sender.add_key(mki(b"bb"), Material::fresh().key(profile)),
        sender.add_key(mki(b"a"), Material::fresh().key(profile)),
        sender.add_key(mki(b"b"), Material::fresh().key(Profile::AeadAes256Gcm)),
        receiver.add_key(mki(b""), Material::fresh().key(profile)),
    ]
    .map(|outcome| outcome.expect_err("it does not fit").to_string());
    assert_eq!(
        refused,
        [
            "the master key identifiers of this context have 1 bytes, got 2",
            "the context already has a key with this identifier",
            "the context is for AEAD_AES_128_GCM and the key is for AEAD_AES_256_GCM",
            "the master key identifiers of this context have 1 bytes, got 0",
        ]
    );
    assert!(Mki::new(&[0; 129]).is_err());
}

#[test]
fn a_second_living_sender_with_the_same_key_and_salt_is_refused() {
    let material = Material::fresh();
    let profile = Profile::Aes128CmSha1_80;
    let first = Sender::new(material.key(profile), Options::default()).expect("nobody has it");
    let second = Sender::new(material.key(profile), Options::default());
    assert_eq!(second.err(), Some(KeyError::InUseElsewhere));
    // Another profile with the same cipher makes the same keystream.
    let short_tag = Sender::new(material.key(Profile::Aes128CmSha1_32), Options::default());
    assert_eq!(
        short_tag.err().map(|error| error.code()),
        Some("SRTP.KEY_IN_USE")
    );
    let (mut other, _) = pair_with(profile, &mki(b"a"), &Options::default());
    let added = other.add_key(mki(b"b"), material.key(profile));
    assert_eq!(added, Err(KeyError::InUseElsewhere));
    drop(first);
    assert!(Sender::new(material.key(profile), Options::default()).is_ok());
}

#[test]
fn two_senders_share_a_key_if_both_declare_ssrcs_of_their_own() {
    let material = Material::fresh();
    let profile = Profile::AeadAes128Gcm;
    let declared = |ssrcs: &[u32]| Options {
        ssrcs: Some(BTreeSet::from_iter(ssrcs.iter().copied())),
        ..Options::default()
    };
    let mut first = Sender::new(material.key(profile), declared(&[1, 2])).expect("nobody has it");
    assert!(Sender::new(material.key(profile), declared(&[2, 3])).is_err());
    assert!(Sender::new(material.key(profile), Options::default()).is_err());
    let mut second = Sender::new(material.key(profile), declared(&[3])).expect("disjoint");

    assert!(protect_rtp(&mut first, &rtp(1, 1)).is_ok());
    assert!(protect_rtp(&mut second, &rtp(3, 1)).is_ok());
    let foreign = protect_rtp(&mut second, &rtp(1, 2));
    assert_eq!(foreign, Err(SrtpError::SsrcNotDeclared));
    let foreign = protect_rtcp(&mut second, &rtcp(1, b"report"));
    assert_eq!(foreign, Err(SrtpError::SsrcNotDeclared));
}

#[test]
fn a_profile_without_encryption_is_refused_unless_it_was_asked_for() {
    for profile in [Profile::NullSha1_80, Profile::NullSha1_32] {
        let refused = Sender::new(Material::fresh().key(profile), Options::default()).err();
        assert_eq!(refused, Some(KeyError::NullCipher { profile }));
        assert!(Receiver::new(Material::fresh().key(profile), Options::default()).is_err());
        assert!(Sender::new(Material::fresh().key(profile), options()).is_ok());
    }
}

#[test]
fn a_context_holds_a_bounded_number_of_keys() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, mut receiver) = pair_with(profile, &mki(&[0]), &Options::default());
    for number in 1..64 {
        let added = sender.add_key(mki(&[number]), Material::fresh().key(profile));
        assert_eq!(added, Ok(()));
        let added = receiver.add_key(mki(&[number]), Material::fresh().key(profile));
        assert_eq!(added, Ok(()));
    }
    let refused = Err(KeyError::TooManyKeys { most: 64 });
    let key = || Material::fresh().key(profile);
    assert_eq!(sender.add_key(mki(&[64]), key()), refused);
    assert_eq!(receiver.add_key(mki(&[64]), key()), refused);
    assert_eq!(sender.remove_key(&mki(&[1])), Ok(()));
    assert_eq!(sender.add_key(mki(&[64]), key()), Ok(()));
}

#[test]
fn a_key_that_a_sender_protected_with_is_refused_after_the_senders_end() {
    let material = Material::fresh();
    let profile = Profile::AeadAes128Gcm;
    let mut first = Sender::new(material.key(profile), Options::default()).expect("nobody has it");
    assert!(protect_rtcp(&mut first, &rtcp(1, b"report")).is_ok());
    drop(first);
    let second = Sender::new(material.key(profile), Options::default());
    assert_eq!(second.err(), Some(KeyError::UsedBefore));
    let (mut other, _) = pair_with(profile, &mki(b"a"), &Options::default());
    let added = other.add_key(mki(b"b"), material.key(profile));
    assert_eq!(added, Err(KeyError::UsedBefore));
}

/// One more than a context remembers of removed keys.
const MORE_THAN_REMEMBERED: usize = 1025;

#[test]
fn a_sender_knows_its_newest_1024_removed_keys_as_its_own_and_is_refused_an_older_one() {
    let profile = Profile::AeadAes128Gcm;
    let (stay, turn) = (mki(&[0]), mki(&[1]));
    let (mut sender, _) = pair_with(profile, &stay, &Options::default());
    let removed: Vec<Material> = (0..MORE_THAN_REMEMBERED)
        .map(|_| Material::fresh())
        .collect();
    for (material, sequence) in removed.iter().zip(0..) {
        let added = sender.add_key(turn.clone(), material.key(profile));
        added.expect("a key nobody has");
        sender.use_key(&turn).expect("it holds the key");
        assert!(protect_rtp(&mut sender, &rtp(1, sequence)).is_ok());
        sender.use_key(&stay).expect("it holds the key");
        sender.remove_key(&turn).expect("it is not in use");
    }
    // How many packets the oldest one protected is forgotten, so it protects no more.
    let again = sender.add_key(turn.clone(), removed[0].key(profile));
    assert_eq!(again, Err(KeyError::UsedBefore));
    let again = sender.add_key(turn, removed[1].key(profile));
    assert_eq!(again, Ok(()));
}

#[test]
fn a_receiver_goes_on_counting_under_its_newest_1024_removed_keys() {
    let profile = Profile::AeadAes128Gcm;
    let once = Options {
        lifetime: Lifetime::new((1, 1), (1, 1)).expect("soft before hard"),
        ..Options::default()
    };
    let turn = mki(&[1]);
    let other = Material::fresh().key(profile);
    let mut receiver = Receiver::with_mki(mki(&[0]), other, once).expect("a valid key");
    let removed: Vec<(Material, Vec<u8>)> = (0..MORE_THAN_REMEMBERED)
        .zip(0..)
        .map(|(_, sequence)| {
            let material = Material::fresh();
            let key = material.key(profile);
            let mut sender =
                Sender::with_mki(turn.clone(), key, Options::default()).expect("a key nobody has");
            let packet = protect_rtp(&mut sender, &rtp(1, sequence)).expect("a new index");
            let later = protect_rtp(&mut sender, &rtp(2, sequence)).expect("a new index");
            let added = receiver.add_key(turn.clone(), material.key(profile));
            added.expect("a receiver needs no claim");
            assert!(unprotect_rtp(&mut receiver, &packet).is_ok());
            receiver.remove_key(&turn).expect("it holds the key");
            (material, later)
        })
        .collect();
    for (place, expected) in [(1, Err(SrtpError::KeyExhausted)), (0, Ok(rtp(2, 0)))] {
        let (material, later) = &removed[place];
        let added = receiver.add_key(turn.clone(), material.key(profile));
        added.expect("a receiver needs no claim");
        assert_eq!(unprotect_rtp(&mut receiver, later), expected);
        receiver.remove_key(&turn).expect("it holds the key");
    }
}
