//! Packets that libsrtp protected, over a rollover: our sender makes the same bytes, our receiver
//! opens them.

use sealcast_srtp::{MasterKey, Options, Profile, Receiver, Sender};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    profile: String,
    master_key: String,
    master_salt: String,
    packets: Vec<Packet>,
}

#[derive(Deserialize)]
struct Packet {
    kind: String,
    plain: String,
    protected: String,
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}

fn cases() -> Vec<(Profile, Case)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../vectors/srtp/libsrtp.json"
    );
    let text = std::fs::read_to_string(path).expect("the vectors are part of the repository");
    let file: File = serde_json::from_str(&text).expect("the vectors have this shape");
    file.cases
        .into_iter()
        .map(|case| {
            (
                Profile::from_name(&case.profile).expect("a profile of ours"),
                case,
            )
        })
        .collect()
}

fn master(profile: Profile, case: &Case) -> MasterKey {
    MasterKey::new(profile, &hex(&case.master_key), &hex(&case.master_salt))
        .expect("the vector has the profile's lengths")
}

#[test]
fn every_profile_that_libsrtp_takes_from_python_has_packets() {
    let profiles: Vec<Profile> = cases().into_iter().map(|(profile, _)| profile).collect();
    assert!(Profile::ALL
        .iter()
        .filter(|profile| profile.openssl_name().is_some())
        .all(|profile| profiles.contains(profile)));
}

#[test]
fn our_receiver_opens_what_libsrtp_protected() {
    for (profile, case) in cases() {
        let mut receiver =
            Receiver::new(master(profile, &case), Options::default()).expect("the engine takes it");
        for packet in &case.packets {
            let mut bytes = hex(&packet.protected);
            let len = match packet.kind.as_str() {
                "rtp" => receiver.unprotect_rtp(&mut bytes),
                _ => receiver.unprotect_rtcp(&mut bytes),
            };
            assert_eq!(len.map(|len| bytes[..len].to_vec()), Ok(hex(&packet.plain)));
        }
    }
}

#[test]
fn our_sender_makes_the_bytes_that_libsrtp_makes() {
    for (profile, case) in cases() {
        let mut sender =
            Sender::new(master(profile, &case), Options::default()).expect("the engine takes it");
        // libsrtp counts up before it sends, so its first SRTCP index is 1; RFC 3711 §3.4 says 0.
        let first = hex(&case
            .packets
            .iter()
            .find(|p| p.kind == "rtcp")
            .expect("it has some")
            .plain);
        let mut index_zero = [first.clone(), vec![0; profile.rtcp_overhead()]].concat();
        assert!(sender.protect_rtcp(&mut index_zero, first.len()).is_ok());

        for packet in &case.packets {
            let (plain, protected) = (hex(&packet.plain), hex(&packet.protected));
            let mut bytes = plain.clone();
            bytes.resize(protected.len(), 0);
            if packet.kind == "rtp" {
                assert_eq!(
                    sender.protect_rtp(&mut bytes, plain.len()),
                    Ok(protected.len())
                );
            } else {
                assert_eq!(
                    sender.protect_rtcp(&mut bytes, plain.len()),
                    Ok(protected.len())
                );
            }
            assert_eq!(bytes, protected, "{} {}", profile.name(), packet.kind);
        }
    }
}
