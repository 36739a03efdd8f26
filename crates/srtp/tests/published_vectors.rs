//! Every file of `vectors/srtp`: single steps through `known_answer`, packets through contexts.
//!
//! A file of packets is run in both directions: our sender makes the same bytes, our receiver opens
//! them. All such files have one format, which `vectors/srtp/README.md` describes.

use std::path::PathBuf;

use sealcast_srtp::known_answer::{self, AeadSession, Purpose};
use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, KeyDerivationRate, KeyReuse, MasterKey, Mki,
    NullCipher, Options, Profile, Receiver, Sender, SrtcpEncryption,
};
use serde::de::DeserializeOwned;
use serde::Deserialize;

#[derive(Deserialize)]
struct File<T> {
    cases: Vec<T>,
}

fn load<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../vectors/srtp", name]
        .iter()
        .collect();
    let text = std::fs::read_to_string(&path).expect("the vectors are part of the repository");
    let file: File<T> = serde_json::from_str(&text).expect("the vectors have this shape");
    assert!(!file.cases.is_empty(), "{name} has no cases");
    file.cases
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "an odd number of digits");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn profile(name: &str) -> Profile {
    Profile::from_name(name).expect("a profile of the table")
}

#[derive(Deserialize)]
struct Keystream {
    source: String,
    profile: String,
    key: String,
    salt: String,
    len: usize,
    first: String,
    last: String,
}

#[test]
fn keystreams_are_those_of_rfc_3711_b_2_and_rfc_6188_section_7() {
    for case in load::<Keystream>("keystream.json") {
        let (key, salt) = (hex(&case.key), hex(&case.salt));
        let stream = known_answer::keystream(profile(&case.profile), &key, &salt, 0, 0, case.len)
            .expect("the lengths are the profile's");
        let (first, last) = (hex(&case.first), hex(&case.last));
        assert_eq!(stream[..first.len()], first, "{}", case.source);
        assert_eq!(stream[case.len - last.len()..], last, "{}", case.source);
    }
}

#[derive(Deserialize)]
struct KeyDerivation {
    source: String,
    profile: String,
    master_key: String,
    master_salt: String,
    rtp: Option<Derived>,
    rtcp: Option<Derived>,
    rtp_header: Option<Derived>,
}

#[derive(Deserialize)]
struct Derived {
    encryption: String,
    authentication: String,
    salt: String,
}

#[test]
fn session_keys_are_those_of_rfc_3711_b_3_rfc_6188_and_rfc_6904() {
    for case in load::<KeyDerivation>("key_derivation.json") {
        let master = MasterKey::new(
            profile(&case.profile),
            &hex(&case.master_key),
            &hex(&case.master_salt),
        )
        .expect("the lengths are the profile's");
        for (purpose, expected) in [
            (Purpose::Rtp, &case.rtp),
            (Purpose::Rtcp, &case.rtcp),
            (Purpose::RtpHeader, &case.rtp_header),
        ] {
            let Some(expected) = expected else { continue };
            let derived = known_answer::derive(&master, purpose, 0).expect("the engine runs");
            let expected = known_answer::Derived {
                encryption: hex(&expected.encryption),
                authentication: hex(&expected.authentication),
                salt: hex(&expected.salt),
            };
            assert_eq!(derived, expected, "{} {purpose:?}", case.source);
        }
    }
}

#[derive(Deserialize)]
struct AeadPacket {
    source: String,
    profile: String,
    kind: String,
    key: String,
    salt: String,
    index: u64,
    plain: String,
    protected: String,
    is_encrypted: bool,
}

#[test]
fn packets_are_sealed_and_opened_as_in_rfc_7714_sections_16_and_17() {
    for case in load::<AeadPacket>("aead_session_keys.json") {
        let mut session =
            AeadSession::new(profile(&case.profile), &hex(&case.key), &hex(&case.salt))
                .expect("the lengths are the profile's");
        let (plain, protected) = (hex(&case.plain), hex(&case.protected));
        if case.kind == "rtp" {
            assert_eq!(
                session.seal_rtp(&plain, case.index),
                Ok(protected.clone()),
                "{}",
                case.source
            );
            assert_eq!(session.open_rtp(&protected, case.index), Ok(plain));
        } else {
            let index = u32::try_from(case.index).expect("SRTCP indices have 31 bits");
            assert_eq!(
                session.seal_rtcp(&plain, index, case.is_encrypted),
                Ok(protected.clone()),
                "{}",
                case.source
            );
            assert_eq!(session.open_rtcp(&protected), Ok((plain, index)));
        }
    }
}

#[derive(Deserialize)]
struct Case {
    source: String,
    profile: String,
    master_key: String,
    master_salt: String,
    #[serde(default)]
    mki: String,
    #[serde(default)]
    key_derivation_rate: u32,
    #[serde(default)]
    elements: Vec<u8>,
    #[serde(default)]
    cryptex: bool,
    #[serde(default)]
    unencrypted_srtcp: bool,
    #[serde(default)]
    roc: u32,
    cut_tag_len: Option<usize>,
    packets: Vec<Packet>,
}

#[derive(Deserialize)]
struct Packet {
    kind: String,
    plain: String,
    protected: String,
}

const PACKET_FILES: [&str; 5] = [
    "libsrtp.json",
    "libsrtp_driver.json",
    "rfc6904.json",
    "rfc9335.json",
    "composed.json",
];

fn packet_cases() -> Vec<Case> {
    PACKET_FILES.into_iter().flat_map(load).collect()
}

impl Case {
    fn key(&self) -> (Mki, MasterKey) {
        let key = MasterKey::new(
            profile(&self.profile),
            &hex(&self.master_key),
            &hex(&self.master_salt),
        );
        (
            Mki::new(&hex(&self.mki)).expect("at most 128 bytes"),
            key.expect("the lengths are the profile's"),
        )
    }

    fn options(&self) -> Options {
        Options {
            key_derivation_rate: KeyDerivationRate::new(self.key_derivation_rate)
                .expect("a power of two"),
            srtcp_encryption: if self.unencrypted_srtcp {
                SrtcpEncryption::Off
            } else {
                SrtcpEncryption::Required
            },
            header_protection: if self.cryptex {
                HeaderProtection::Cryptex(Cryptex::Required)
            } else if self.elements.is_empty() {
                HeaderProtection::Clear
            } else {
                let ids = ExtensionIds::new(self.elements.iter().copied());
                HeaderProtection::Elements(ids.expect("from 1 to 255"))
            },
            null_cipher: NullCipher::ForTestsAndTools,
            key_reuse: KeyReuse::ForTestsAndTools,
            ..Options::default()
        }
    }

    fn sender(&self) -> Sender {
        let (mki, key) = self.key();
        let mut sender = Sender::with_mki(mki, key, self.options()).expect("the only one");
        for packet in self.packets.iter().filter(|packet| packet.kind == "rtp") {
            let _ = sender.set_roc(packet.ssrc(), self.roc);
        }
        sender
    }

    fn receiver(&self) -> Receiver {
        let (mki, key) = self.key();
        let mut receiver = Receiver::with_mki(mki, key, self.options()).expect("a valid key");
        for packet in self.packets.iter().filter(|packet| packet.kind == "rtp") {
            let _ = receiver.set_roc(packet.ssrc(), self.roc);
        }
        receiver
    }

    /// The index that an SRTCP packet carries; without an AEAD the MKI and the tag stand behind it.
    fn rtcp_index(&self, packet: &[u8]) -> u32 {
        let behind = match profile(&self.profile).is_aead() {
            true => self.mki.len() / 2,
            false => self.mki.len() / 2 + 10,
        };
        let word = packet[..packet.len() - behind]
            .last_chunk()
            .expect("it is long enough");
        u32::from_be_bytes(*word) & 0x7fff_ffff
    }
}

impl Packet {
    fn ssrc(&self) -> u32 {
        let packet = hex(&self.plain);
        u32::from_be_bytes(packet[8..12].try_into().expect("four bytes"))
    }
}

fn protect(sender: &mut Sender, kind: &str, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 200, 0);
    let outcome = match kind {
        "rtp" => sender.protect_rtp(&mut buffer, plain.len()),
        _ => sender.protect_rtcp(&mut buffer, plain.len()),
    };
    buffer.truncate(outcome.expect("a new index and enough room"));
    buffer
}

#[test]
fn every_profile_has_packets_of_another_maker() {
    let cases = packet_cases();
    for profile in Profile::ALL {
        assert!(cases.iter().any(|case| case.profile == profile.name()));
    }
}

#[test]
fn our_sender_makes_the_published_packets() {
    for case in packet_cases() {
        let mut sender = case.sender();
        let mut next_rtcp = 0;
        for packet in &case.packets {
            let (plain, expected) = (hex(&packet.plain), hex(&packet.protected));
            if packet.kind == "rtcp" {
                // libsrtp counts up before it sends, so its first SRTCP index is 1.
                for _ in next_rtcp..case.rtcp_index(&expected) {
                    protect(&mut sender, "rtcp", &plain);
                }
                next_rtcp = case.rtcp_index(&expected) + 1;
            }
            let mut made = protect(&mut sender, &packet.kind, &plain);
            if let Some(len) = case.cut_tag_len {
                made.truncate(plain.len() + len);
            }
            assert_eq!(made, expected, "{} {}", case.source, case.profile);
        }
    }
}

#[test]
fn our_receiver_opens_the_published_packets() {
    for case in packet_cases()
        .iter()
        .filter(|case| case.cut_tag_len.is_none())
    {
        let mut receiver = case.receiver();
        for packet in &case.packets {
            let mut bytes = hex(&packet.protected);
            let len = match packet.kind.as_str() {
                "rtp" => receiver.unprotect_rtp(&mut bytes),
                _ => receiver.unprotect_rtcp(&mut bytes),
            };
            let opened = len.map(|len| bytes[..len].to_vec());
            assert_eq!(
                opened,
                Ok(hex(&packet.plain)),
                "{} {}",
                case.source,
                case.profile
            );
        }
    }
}
