//! Our endpoint against `dimpl`, a DTLS stack of another author in another language than
//! BoringSSL's: both roles, both versions, every SRTP profile, under one fake clock.
//!
//! ```text
//!               dimpl 1.2        dimpl 1.3        dimpl auto (server: takes what comes)
//! ours 1.2      agree            refused          agree
//! ours 1.3      refused          agree            agree
//! ours any      agree on 1.2     agree on 1.3     agree on 1.3
//! ```
//!
//! each with us as client and as server (`the_matrix_of_roles_and_versions` prints it). dimpl
//! offers no hybrid group, so the group is X25519 or P-256.

mod lossy_link;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boring::hash::MessageDigest;
use boring::pkey::PKey;
use boring::x509::X509;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use lossy_link::{config, Dice};
use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent, Role};
use sealcast_tls::{Fingerprint, FingerprintHash, Identity, Version};

mod authority;

const STEP: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Copy, Clone, Debug, PartialEq)]
enum Theirs {
    Only12,
    Only13,
    Auto,
}

/// dimpl with what it has told.
struct Foreign {
    dtls: Dtls,
    certificate: Vec<u8>,
    is_connected: bool,
    keys: Option<(Vec<u8>, SrtpProfile)>,
    peer_certificate: Option<Vec<u8>>,
    has_heard_close: bool,
    error: Option<String>,
}

impl Foreign {
    fn new(kind: Theirs, is_client: bool, now: Instant) -> Foreign {
        let (certificate, key) = authority::self_signed("dimpl");
        let certificate = certificate.to_der().expect("DER");
        let private_key = pkcs8(&key);
        let identity = DtlsCertificate {
            certificate: certificate.clone(),
            private_key,
        };
        let settings = Arc::new(
            Config::builder()
                .mtu(1200)
                .build()
                .expect("a configuration"),
        );
        let mut dtls = match kind {
            Theirs::Only12 => Dtls::new_12(settings, identity, now),
            Theirs::Only13 => Dtls::new_13(settings, identity, now),
            Theirs::Auto => Dtls::new_auto(settings, identity, now),
        };
        dtls.set_active(is_client);
        Foreign {
            dtls,
            certificate,
            is_connected: false,
            keys: None,
            peer_certificate: None,
            has_heard_close: false,
            error: None,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        fingerprint_of(&self.certificate)
    }

    fn receive(&mut self, datagram: &[u8]) {
        if self.error.is_none() {
            let taken = self.dtls.handle_packet(datagram);
            self.error = taken.err().map(|error| error.to_string());
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.error.is_none() {
            let done = self.dtls.handle_timeout(now);
            self.error = done.err().map(|error| error.to_string());
        }
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut buffer = vec![0; 4096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                Output::Connected => self.is_connected = true,
                Output::PeerCert(der) => self.peer_certificate = Some(der.to_vec()),
                Output::KeyingMaterial(material, profile) => {
                    self.keys = Some((material.to_vec(), profile));
                }
                Output::CloseNotify => self.has_heard_close = true,
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(_) => return datagrams,
                _ => {}
            }
        }
    }
}

fn pkcs8(key: &PKey<boring::pkey::Private>) -> Vec<u8> {
    key.private_key_to_der_pkcs8().expect("PKCS#8")
}

fn fingerprint_of(der: &[u8]) -> Fingerprint {
    let certificate = X509::from_der(der).expect("a certificate");
    Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: certificate
            .digest(MessageDigest::sha256())
            .expect("a digest")
            .to_vec(),
    }
}

/// The two of them on one network.
struct Meeting {
    ours: DtlsEndpoint,
    theirs: Foreign,
    identity: Arc<Identity>,
    events: Vec<DtlsEvent>,
    now: Instant,
    dice: Dice,
    loss: u64,
}

impl Meeting {
    fn new(role: Role, kind: Theirs, shape: impl FnOnce(&mut DtlsConfig)) -> Meeting {
        let now = Instant::now();
        let theirs = Foreign::new(kind, role == Role::Server, now);
        let identity = Arc::new(Identity::ephemeral().expect("an identity"));
        let mut settings = config(role, &identity, &identity);
        settings.expected = vec![theirs.fingerprint()].into();
        shape(&mut settings);
        Meeting {
            ours: DtlsEndpoint::new(settings, now).expect("a valid configuration"),
            theirs,
            identity,
            events: Vec::new(),
            now,
            dice: Dice::new(1),
            loss: 0,
        }
    }

    /// Carries datagrams until the condition holds; false if it does not in time.
    fn run(&mut self, until: impl Fn(&Meeting) -> bool) -> bool {
        let give_up = self.now + PATIENCE;
        while !until(self) {
            if self.now >= give_up {
                return false;
            }
            self.theirs.tick(self.now);
            self.ours.tick(self.now);
            for datagram in self.theirs.drain() {
                if !self.dice.percent(self.loss) {
                    self.ours.receive(self.now, &datagram);
                }
            }
            while let Some(datagram) = self.ours.poll_transmit() {
                if !self.dice.percent(self.loss) {
                    self.theirs.receive(&datagram);
                }
            }
            while let Some(event) = self.ours.poll_event() {
                self.events.push(event);
            }
            self.now += STEP;
        }
        true
    }

    fn is_agreed(&self) -> bool {
        self.ours.is_established() && self.theirs.is_connected && self.theirs.keys.is_some()
    }

    fn is_over(&self) -> bool {
        self.is_agreed() || matches!(self.events.last(), Some(DtlsEvent::Failed { .. }))
    }

    fn assert_same_keys(&self) {
        let (material, _) = self.theirs.keys.as_ref().expect("dimpl has keys");
        let ours = self.ours.export_srtp(material.len()).expect("keys");
        assert_eq!(&**ours, material);
        let presented = self
            .theirs
            .peer_certificate
            .as_ref()
            .expect("our certificate");
        assert_eq!(
            fingerprint_of(presented),
            self.identity.fingerprint(FingerprintHash::Sha256)
        );
    }

    fn version(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::Established(facts) => Some(facts.version.as_str()),
            _ => None,
        })
    }
}

fn limit(settings: &mut DtlsConfig, versions: (Version, Version)) {
    (settings.min_version, settings.max_version) = versions;
}

const OURS: [(&str, (Version, Version)); 3] = [
    ("1.2", (Version::V1_2, Version::V1_2)),
    ("1.3", (Version::V1_3, Version::V1_3)),
    ("any", (Version::V1_2, Version::V1_3)),
];

#[test]
fn the_matrix_of_roles_and_versions() {
    // Past the capture of `cargo test`: the table is to be seen, not only to hold.
    let mut table = std::io::stderr().lock();
    writeln!(table, "ours   as      dimpl   outcome").expect("standard error is open");
    for (name, versions) in OURS {
        for role in [Role::Client, Role::Server] {
            for kind in [Theirs::Only12, Theirs::Only13, Theirs::Auto] {
                let mut meeting = Meeting::new(role, kind, |c| limit(c, versions));
                meeting.run(Meeting::is_over);
                let common = match (name, kind) {
                    ("1.2", Theirs::Only13) | ("1.3", Theirs::Only12) => None,
                    ("1.2", _) | (_, Theirs::Only12) => Some("1.2"),
                    _ => Some("1.3"),
                };
                let outcome = meeting.version().unwrap_or("refused");
                let (ours, theirs) = (format!("{role:?}"), format!("{kind:?}"));
                writeln!(table, "{name:<6} {ours:<7} {theirs:<7} {outcome}")
                    .expect("standard error is open");
                assert_eq!(
                    meeting.version(),
                    common,
                    "ours {name} as {role:?}, dimpl {kind:?}: {:?} {:?}",
                    meeting.events,
                    meeting.theirs.error
                );
                if common.is_some() {
                    meeting.assert_same_keys();
                } else {
                    assert!(meeting.ours.export_srtp(56).is_err());
                    assert!(meeting.theirs.keys.is_none());
                }
            }
        }
    }
}

#[test]
fn every_profile_gives_both_the_same_keys() {
    let profiles = [
        ("SRTP_AES128_CM_SHA1_80", SrtpProfile::AES128_CM_SHA1_80, 60),
        ("SRTP_AEAD_AES_128_GCM", SrtpProfile::AEAD_AES_128_GCM, 56),
        ("SRTP_AEAD_AES_256_GCM", SrtpProfile::AEAD_AES_256_GCM, 88),
    ];
    for (name, profile, len) in profiles {
        for role in [Role::Client, Role::Server] {
            for kind in [Theirs::Only12, Theirs::Only13] {
                let mut meeting = Meeting::new(role, kind, |c| c.srtp_profiles = name.to_owned());
                assert!(meeting.run(Meeting::is_agreed), "{name} {role:?} {kind:?}");
                let (material, agreed) = meeting.theirs.keys.as_ref().expect("keys");
                assert_eq!((*agreed, material.len()), (profile, len));
                meeting.assert_same_keys();
            }
        }
    }
}

#[test]
fn handshakes_with_dimpl_complete_under_20_percent_loss() {
    for role in [Role::Client, Role::Server] {
        for kind in [Theirs::Only12, Theirs::Only13] {
            for seed in 1..=3 {
                let mut meeting = Meeting::new(role, kind, |c| {
                    c.handshake_timeout = Duration::from_secs(30);
                });
                (meeting.dice, meeting.loss) = (Dice::new(seed), 20);
                assert!(
                    meeting.run(Meeting::is_agreed),
                    "{role:?} {kind:?} seed {seed}: {:?} {:?}",
                    meeting.events,
                    meeting.theirs.error
                );
                meeting.assert_same_keys();
            }
        }
    }
}

#[test]
fn a_dimpl_with_another_fingerprint_is_refused_and_gets_no_keys_of_ours() {
    for role in [Role::Client, Role::Server] {
        for kind in [Theirs::Only12, Theirs::Only13] {
            let mut meeting = Meeting::new(role, kind, |c| {
                c.expected = vec![lossy_link::foreign_fingerprint()].into();
            });
            meeting.run(Meeting::is_over);
            match meeting.events.last() {
                Some(DtlsEvent::Failed { code, .. }) => {
                    assert_eq!(*code, "DTLS.FINGERPRINT_MISMATCH", "{role:?} {kind:?}");
                }
                other => panic!("{role:?} {kind:?}: {other:?}"),
            }
            assert_eq!(meeting.ours.alert_sent(), Some("bad_certificate"));
            assert!(meeting.ours.export_srtp(56).is_err());
        }
    }
}

#[test]
fn a_close_is_heard_in_both_directions() {
    for role in [Role::Client, Role::Server] {
        for kind in [Theirs::Only12, Theirs::Only13] {
            let mut meeting = Meeting::new(role, kind, |_| {});
            assert!(meeting.run(Meeting::is_agreed));
            meeting.ours.close(meeting.now);
            assert!(
                meeting.run(|m| m.theirs.has_heard_close),
                "dimpl hears ours: {role:?} {kind:?} {:?}",
                meeting.theirs.error
            );

            let mut meeting = Meeting::new(role, kind, |_| {});
            assert!(meeting.run(Meeting::is_agreed));
            meeting.theirs.dtls.close().expect("dimpl closes");
            assert!(
                meeting.run(|m| m.events.last() == Some(&DtlsEvent::Closed)),
                "we hear dimpl's: {role:?} {kind:?} {:?}",
                meeting.events
            );
            assert_eq!(meeting.ours.alert_received(), Some("close_notify"));
        }
    }
}
