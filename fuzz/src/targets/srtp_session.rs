//! A sender, a network that the input commands, a receiver. Each packet that is delivered was
//! sent, is delivered once, and within the replay window none that arrives is refused; keys change
//! in the middle of it.

use std::collections::{HashMap, HashSet};

use sealcast_srtp::{
    KeyDerivationRate, KeyReuse, MasterKey, Mki, Options, Profile, Receiver, ReplayWindow, Sender,
    SrtpError,
};

use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "srtp_session",
    run,
    seeds,
};

const WINDOW: u64 = 128;
const STREAMS: usize = 3;
const PAYLOAD: usize = 20;
const ROOM: usize = 64;

/// What a model of the receiver knows of a stream.
#[derive(Default)]
struct Model {
    delivered: HashSet<u64>,
    newest: Option<u64>,
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let ciphers: Vec<Profile> = Profile::ALL.into_iter().filter(|p| p.encrypts()).collect();
    let profile = ciphers[usize::from(input.byte()) % ciphers.len()];
    let rate = [0, 1, 16, 256][usize::from(input.byte()) % 4];
    let options = Options {
        replay_window: ReplayWindow::new(WINDOW as usize).expect("a multiple of 64"),
        key_derivation_rate: KeyDerivationRate::new(rate).expect("0 or a power of two"),
        key_reuse: KeyReuse::ForTestsAndTools,
        ..Options::default()
    };
    let mut sender = Sender::with_mki(mki(0), key(profile, 0), options.clone())
        .expect("no other sender has the key");
    let mut receiver = Receiver::with_mki(mki(0), key(profile, 0), options).expect("the key fits");

    let mut index: [u64; STREAMS] = std::array::from_fn(|_| u64::from(input.word()) & 0x7fff);
    let mut has_sent = [false; STREAMS];
    let mut underway: Vec<(usize, u64, Vec<u8>)> = Vec::new();
    let mut models: HashMap<usize, Model> = HashMap::new();
    let mut keys = 1_u8;
    while !input.is_empty() {
        let action = input.byte();
        let stream = usize::from(action >> 4) % STREAMS;
        match action & 0x0f {
            0..=5 => {
                let packet = protect(&mut sender, stream, index[stream]);
                has_sent[stream] = true;
                underway.push((stream, index[stream], packet));
                index[stream] += 1;
            }
            // The sequence number leaps, once between two packets: so it never goes so far that
            // RFC 3711 §3.3.1 could not tell forward from backward.
            6 if has_sent[stream] => {
                index[stream] += u64::from(input.word() & 0x3fff);
                has_sent[stream] = false;
            }
            // A key is known to the receiver before the sender uses it (RFC 3711 §8.1).
            7 if keys < 8 => {
                let (mki, made) = (mki(keys), key(profile, keys));
                receiver
                    .add_key(mki.clone(), made)
                    .expect("a new key is taken");
                sender
                    .add_key(mki.clone(), key(profile, keys))
                    .expect("a new key is taken");
                sender.use_key(&mki).expect("it was just added");
                keys += 1;
            }
            8 if !underway.is_empty() => {
                let lost = usize::from(input.byte()) % underway.len();
                underway.swap_remove(lost);
            }
            9 if !underway.is_empty() => {
                let (_, _, mut packet) =
                    underway[usize::from(input.byte()) % underway.len()].clone();
                let at = usize::from(input.byte()) % packet.len();
                packet[at] ^= 1 << (action >> 5);
                assert!(
                    receiver.unprotect_rtp(&mut packet).is_err(),
                    "damaged and delivered"
                );
            }
            _ if !underway.is_empty() => {
                let (stream, index, mut packet) =
                    underway[usize::from(input.byte()) % underway.len()].clone();
                let fate = receiver.unprotect_rtp(&mut packet);
                judge(
                    models.entry(stream).or_default(),
                    stream,
                    index,
                    &packet,
                    fate,
                );
            }
            _ => {}
        }
    }
}

/// Holds what the receiver did against what a set of all indices says.
fn judge(
    model: &mut Model,
    stream: usize,
    index: u64,
    packet: &[u8],
    fate: Result<usize, SrtpError>,
) {
    let newest = model.newest.unwrap_or(index);
    let expected = if index + WINDOW <= newest {
        Err(SrtpError::TooOld)
    } else if model.delivered.contains(&index) {
        Err(SrtpError::Replayed)
    } else {
        Ok(12 + PAYLOAD)
    };
    // Too far from the newest for 16 bits of sequence number, or before the first rollover: the
    // guess may be wrong, and then the tag is.
    if index.abs_diff(newest) >= 1 << 15 || model.newest.is_none() && index > 0xffff {
        assert!(fate.is_err() || fate == expected);
        if fate.is_err() {
            return;
        }
    }
    assert_eq!(fate, expected, "index {index}, newest {newest}");
    if fate.is_ok() {
        assert_eq!(packet[..12 + PAYLOAD], plain(stream, index));
        model.delivered.insert(index);
        model.newest = Some(newest.max(index));
    }
}

fn mki(number: u8) -> Mki {
    Mki::new(&[0xa0, number]).expect("two bytes are not too many")
}

fn key(profile: Profile, number: u8) -> MasterKey {
    let (key, salt) = ([number; 32], [number ^ 0xff; 14]);
    MasterKey::new(
        profile,
        &key[..profile.key_len()],
        &salt[..profile.salt_len()],
    )
    .expect("they have the profile's lengths")
}

fn plain(stream: usize, index: u64) -> Vec<u8> {
    let sequence = (index & 0xffff) as u16;
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(index as u32).wrapping_mul(3000).to_be_bytes());
    packet.extend_from_slice(&(stream as u32 + 1).to_be_bytes());
    packet.resize(12 + PAYLOAD, sequence as u8);
    packet
}

fn protect(sender: &mut Sender, stream: usize, index: u64) -> Vec<u8> {
    let mut packet = plain(stream, index);
    let len = packet.len();
    packet.resize(len + ROOM, 0);
    let len = sender
        .protect_rtp(&mut packet, len)
        .expect("every index is sent once");
    packet.truncate(len);
    packet
}

fn seeds() -> Vec<Vec<u8>> {
    let head = |profile: u8, rate: u8| vec![profile, rate, 0, 1, 0x7f, 0xf0, 0, 9];
    let mut in_order = head(4, 0);
    let mut around_a_rollover = head(0, 2);
    let mut with_new_keys = head(5, 1);
    for step in 0..60_u8 {
        in_order.extend_from_slice(&[0x00, 0x0f, step]);
        around_a_rollover.extend_from_slice(&[0x16, 0x3f, 0xff, 0x10, 0x1f, step]);
        with_new_keys.extend_from_slice(&[0x20, 0x27, 0x2f, step, 0x28, step, 0x29, step, 3]);
    }
    vec![in_order, around_a_rollover, with_new_keys]
}
