//! A master key protects so many packets and no more (RFC 3711 §9.2), and says so in time.

mod support;

use sealcast_srtp::{
    KeyEvent, Lifetime, Options, PacketKind, Profile, Receiver, RocError, Sender, SrtpError,
};
use support::{mki, pair, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtp, Material};

fn short_lived() -> Options {
    Options {
        lifetime: Lifetime::new((3, 5), (2, 3)).expect("soft before hard"),
        ..Options::default()
    }
}

#[test]
fn the_soft_limit_warns_once_and_the_hard_limit_ends_the_key_for_all_ssrcs() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        let (mut sender, _) = support::pair_with(profile, &mki(b"a"), &short_lived());
        for sequence in 0..5 {
            // The limit is the key's: its packets are counted over all SSRCs.
            let ssrc = u32::from(sequence % 2);
            assert!(protect_rtp(&mut sender, &rtp(ssrc, sequence)).is_ok());
        }
        let refused = protect_rtp(&mut sender, &rtp(7, 5));
        assert_eq!(refused, Err(SrtpError::KeyExhausted));
        let kind = PacketKind::Rtp;
        let events: Vec<KeyEvent> = std::iter::from_fn(|| sender.take_event()).collect();
        assert_eq!(
            events,
            [
                KeyEvent::NearlySpent {
                    mki: mki(b"a"),
                    kind,
                    remaining: 2
                },
                KeyEvent::Spent {
                    mki: mki(b"a"),
                    kind
                },
            ]
        );
        assert_eq!(events[0].code(), "SRTP.KEY_NEARLY_SPENT");
        assert_eq!(events[1].code(), "SRTP.KEY_EXHAUSTED");

        // SRTCP has a count of its own.
        for _ in 0..3 {
            assert!(protect_rtcp(&mut sender, &rtcp(1, b"report")).is_ok());
        }
        let refused = protect_rtcp(&mut sender, &rtcp(1, b"report"));
        assert_eq!(refused, Err(SrtpError::KeyExhausted));
    }
}

#[test]
fn a_new_key_goes_on_where_the_spent_one_ended_and_a_removed_one_stays_spent() {
    let profile = Profile::AeadAes128Gcm;
    let (first, second) = (Material::fresh(), Material::fresh());
    let mut sender =
        Sender::with_mki(mki(b"a"), first.key(profile), short_lived()).expect("a key nobody has");
    for sequence in 0..5 {
        assert!(protect_rtp(&mut sender, &rtp(1, sequence)).is_ok());
    }
    let added = sender.add_key(mki(b"b"), second.key(profile));
    added.expect("a key nobody has");
    sender.use_key(&mki(b"b")).expect("it holds the key");
    assert!(protect_rtp(&mut sender, &rtp(1, 5)).is_ok());

    sender.remove_key(&mki(b"a")).expect("it is not in use");
    let added = sender.add_key(mki(b"c"), first.key(profile));
    added.expect("under another name");
    sender.use_key(&mki(b"c")).expect("it holds the key");
    let refused = protect_rtp(&mut sender, &rtp(1, 6));
    assert_eq!(refused, Err(SrtpError::KeyExhausted));
}

#[test]
fn a_receiver_counts_what_it_opened_and_nothing_else() {
    let profile = Profile::AeadAes128Gcm;
    let material = Material::fresh();
    let mut sender = Sender::new(material.key(profile), Options::default()).expect("nobody has it");
    let mut receiver = Receiver::new(material.key(profile), short_lived()).expect("a valid key");
    for _ in 0..20 {
        let mut forged = rtp(1, 0);
        forged.extend([0; 16]);
        let refused = unprotect_rtp(&mut receiver, &forged);
        assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
    }
    assert_eq!(receiver.take_event(), None);
    for sequence in 0..6 {
        let packet = protect_rtp(&mut sender, &rtp(1, sequence)).expect("a new index");
        let opened = unprotect_rtp(&mut receiver, &packet);
        if sequence < 5 {
            assert_eq!(opened, Ok(rtp(1, sequence)));
        } else {
            assert_eq!(opened, Err(SrtpError::KeyExhausted));
        }
    }
    assert_eq!(std::iter::from_fn(|| receiver.take_event()).count(), 2);
}

#[test]
fn the_last_index_of_an_ssrc_is_used_and_the_one_after_it_is_refused() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        sender
            .set_roc(1, u32::MAX)
            .expect("before its first packet");
        receiver
            .set_roc(1, u32::MAX)
            .expect("before its first packet");
        for sequence in [0xfffe, 0xffff] {
            let packet = protect_rtp(&mut sender, &rtp(1, sequence)).expect("an index is left");
            assert_eq!(unprotect_rtp(&mut receiver, &packet), Ok(rtp(1, sequence)));
        }
        let refused = protect_rtp(&mut sender, &rtp(1, 0));
        assert_eq!(refused, Err(SrtpError::SourceExhausted));
        let mut beyond = rtp(1, 0);
        beyond.resize(beyond.len() + receiver.rtp_overhead(), 0);
        let refused = unprotect_rtp(&mut receiver, &beyond);
        assert_eq!(refused, Err(SrtpError::SourceExhausted));
        let stream = sender.streams().next().expect("the one that sent");
        assert_eq!(stream.highest_index, Some((1 << 48) - 1));
        assert_eq!(stream.roc, u32::MAX);
    }
}

#[test]
fn a_spent_key_wants_another_key_and_a_spent_ssrc_another_ssrc() {
    let profile = Profile::AeadAes128Gcm;
    let (mut sender, _) = support::pair_with(profile, &mki(b"a"), &Options::default());
    sender
        .set_roc(1, u32::MAX)
        .expect("before its first packet");
    assert!(protect_rtp(&mut sender, &rtp(1, 0xffff)).is_ok());
    let added = sender.add_key(mki(b"b"), Material::fresh().key(profile));
    added.expect("a key nobody has");
    sender.use_key(&mki(b"b")).expect("it holds the key");
    let refused = protect_rtp(&mut sender, &rtp(1, 0));
    assert_eq!(refused, Err(SrtpError::SourceExhausted));
    assert!(protect_rtp(&mut sender, &rtp(2, 0)).is_ok());
}

#[test]
fn a_rollover_counter_is_set_before_the_first_packet_or_not_at_all() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    sender.set_roc(1, 3).expect("before its first packet");
    sender.set_roc(1, 4).expect("still before its first packet");
    let packet = protect_rtp(&mut sender, &rtp(1, 10)).expect("a new index");
    assert_eq!(sender.set_roc(1, 5), Err(RocError::StreamStarted));
    assert_eq!(sender.set_roc(1, 4), Err(RocError::StreamStarted));

    // One who joins late and was not told cannot open; once told, the same packet opens.
    let refused = unprotect_rtp(&mut receiver, &packet);
    assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
    receiver.set_roc(1, 4).expect("nothing was opened yet");
    assert_eq!(unprotect_rtp(&mut receiver, &packet), Ok(rtp(1, 10)));
    assert_eq!(receiver.set_roc(1, 4), Err(RocError::StreamStarted));
}
