//! SRTP contexts and a stranger's packets: what is taken from a stranger is nothing, and what was
//! refused changed nothing. And a plain packet of any shape, if it is protected at all, is opened
//! to the same bytes.

use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, KeyReuse, MasterKey, NullCipher, Options, Profile,
    Receiver, Sender, SrtcpEncryption,
};

use crate::{vectors, Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "srtp_packets",
    run,
    seeds,
};

const KEY: [u8; 32] = [0x5a; 32];
const SALT: [u8; 14] = [0xc3; 14];

/// Room for a tag, an SRTCP index and an MKI.
const ROOM: usize = 64;

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let profile = Profile::ALL[usize::from(input.byte()) % Profile::ALL.len()];
    let choice = input.byte();
    let options = Options {
        header_protection: match choice & 0x03 {
            0 => HeaderProtection::Clear,
            1 => HeaderProtection::Elements(
                ExtensionIds::new([1, 3, 200]).expect("numbers of elements"),
            ),
            2 => HeaderProtection::Cryptex(Cryptex::Accepted),
            _ => HeaderProtection::Cryptex(Cryptex::Required),
        },
        srtcp_encryption: match choice & 0x04 {
            0 => SrtcpEncryption::Required,
            _ => SrtcpEncryption::Off,
        },
        null_cipher: NullCipher::ForTestsAndTools,
        key_reuse: KeyReuse::ForTestsAndTools,
        ..Options::default()
    };
    let is_rtcp = choice & 0x08 != 0;
    let mut receiver = Receiver::new(key(profile), options.clone()).expect("the key fits");
    let has_cryptex = matches!(options.header_protection, HeaderProtection::Cryptex(_));
    if choice & 0x80 == 0 {
        from_a_stranger(&mut receiver, is_rtcp, input.all());
    } else {
        let mut sender = Sender::new(key(profile), options).expect("no other sender has the key");
        let mut ends = (&mut sender, &mut receiver);
        there_and_back(&mut ends, is_rtcp, has_cryptex, input.all());
    }
}

fn key(profile: Profile) -> MasterKey {
    let (key, salt) = (&KEY[..profile.key_len()], &SALT[..profile.salt_len()]);
    MasterKey::new(profile, key, salt).expect("they have the profile's lengths")
}

fn open(receiver: &mut Receiver, is_rtcp: bool, packet: &mut [u8]) -> Option<usize> {
    let opened = if is_rtcp {
        receiver.unprotect_rtcp(packet)
    } else {
        receiver.unprotect_rtp(packet)
    };
    opened.ok()
}

/// Nobody finds a tag of ten bytes by mutation; one of four bytes is as good as found.
fn from_a_stranger(receiver: &mut Receiver, is_rtcp: bool, packet: &[u8]) {
    let opened = open(receiver, is_rtcp, &mut packet.to_vec());
    assert!(opened.is_none() || receiver.profile().rtp_overhead() < 10);
    assert!(
        opened.is_some() || receiver.streams().count() == 0,
        "a stranger is remembered"
    );
}

fn there_and_back(
    (sender, receiver): &mut (&mut Sender, &mut Receiver),
    is_rtcp: bool,
    has_cryptex: bool,
    plain: &[u8],
) {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + ROOM, 0);
    let protected = if is_rtcp {
        sender.protect_rtcp(&mut buffer, plain.len())
    } else {
        sender.protect_rtp(&mut buffer, plain.len())
    };
    let Ok(len) = protected else {
        return;
    };
    assert!(len > plain.len());
    let mut damaged = buffer[..len].to_vec();
    let at = plain.iter().map(|&byte| usize::from(byte)).sum::<usize>() % len;
    damaged[at] ^= 1 << (len % 8);
    assert!(
        open(receiver, is_rtcp, &mut damaged).is_none(),
        "bit flipped in byte {at}"
    );

    let copy = buffer[..len].to_vec();
    let opened = open(receiver, is_rtcp, &mut buffer[..len]).expect("it is genuine");
    if has_cryptex && !is_rtcp {
        assert_eq!(&buffer[..opened], with_extension(plain));
    } else {
        assert_eq!(&buffer[..opened], plain);
    }
    assert!(
        open(receiver, is_rtcp, &mut copy.clone()).is_none(),
        "taken twice"
    );
}

/// RFC 9335 §5.1: CSRCs are hidden behind an extension, so a packet without one gets an empty one,
/// and keeps it.
fn with_extension(plain: &[u8]) -> Vec<u8> {
    let csrcs_end = 12 + 4 * usize::from(plain[0] & 0x0f);
    let mut packet = plain.to_vec();
    if plain[0] & 0x10 == 0 && csrcs_end > 12 {
        packet[0] |= 0x10;
        packet.splice(csrcs_end..csrcs_end, [0xbe, 0xde, 0, 0]);
    }
    packet
}

/// Every packet of the vectors, for every profile, plain and protected.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, packet) in vectors::plain_rtp().iter().enumerate() {
        for choice in [0, 0x80, 0x81, 0x82, 0x83] {
            let profile = (number % Profile::ALL.len()) as u8;
            seeds.push([&[profile, choice], packet.as_slice()].concat());
        }
    }
    for (number, packet) in vectors::plain_rtcp().iter().enumerate() {
        for choice in [0x08, 0x88, 0x8c] {
            let profile = (number % Profile::ALL.len()) as u8;
            seeds.push([&[profile, choice], packet.as_slice()].concat());
        }
    }
    seeds
}
