//! A certificate authority for one test.

use boring::asn1::Asn1Time;
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use boring::x509::{X509Name, X509};

const DAY: i64 = 24 * 3600;

pub struct Ca {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
}

pub enum Usage {
    Server,
    Client,
}

fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970");
    i64::try_from(since.as_secs()).expect("and before the sun burns out")
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256 is known");
    PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key")
}

fn name(common: &str) -> X509Name {
    let mut name = X509Name::builder().expect("a name");
    name.append_entry_by_nid(Nid::COMMONNAME, common)
        .expect("a common name");
    name.build()
}

fn builder(common: &str, from: i64, to: i64) -> boring::x509::X509Builder {
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("version 3");
    let mut serial = BigNum::new().expect("a number");
    serial
        .rand(120, MsbOption::MAYBE_ZERO, false)
        .expect("randomness");
    builder
        .set_serial_number(&serial.to_asn1_integer().expect("a serial"))
        .expect("a serial");
    builder.set_subject_name(&name(common)).expect("a subject");
    let time = |offset| Asn1Time::from_unix(now() + offset).expect("a time");
    builder.set_not_before(&time(from)).expect("a start");
    builder.set_not_after(&time(to)).expect("an end");
    builder
}

impl Ca {
    pub fn new(common: &str) -> Self {
        let key = key();
        let mut builder = builder(common, -DAY, DAY);
        builder.set_issuer_name(&name(common)).expect("an issuer");
        builder.set_pubkey(&key).expect("a key");
        let constraints = BasicConstraints::new()
            .critical()
            .ca()
            .build()
            .expect("constraints");
        builder.append_extension(&constraints).expect("constraints");
        let usage = KeyUsage::new()
            .critical()
            .key_cert_sign()
            .build()
            .expect("usage");
        builder.append_extension(&usage).expect("usage");
        builder
            .sign(&key, MessageDigest::sha256())
            .expect("a signature");
        Self {
            certificate: builder.build(),
            key,
        }
    }

    pub fn root(&self) -> &X509 {
        &self.certificate
    }

    pub fn root_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("PEM")
    }

    pub fn server(&self, host: &str) -> Pair {
        self.issue(host, Usage::Server, -DAY, DAY)
    }

    pub fn client(&self, common: &str) -> Pair {
        self.issue(common, Usage::Client, -DAY, DAY)
    }

    pub fn expired_client(&self, common: &str) -> Pair {
        self.issue(common, Usage::Client, -2 * DAY, -DAY)
    }

    pub fn issue(&self, common: &str, usage: Usage, from: i64, to: i64) -> Pair {
        let key = key();
        let mut builder = builder(common, from, to);
        builder
            .set_issuer_name(self.certificate.subject_name())
            .expect("an issuer");
        builder.set_pubkey(&key).expect("a key");
        let mut extended = ExtendedKeyUsage::new();
        let mut names = SubjectAlternativeName::new();
        match usage {
            Usage::Server => {
                extended.server_auth();
                names.dns(common);
            }
            Usage::Client => {
                extended.client_auth();
                names.uri(&format!("spiffe://venue.example/{common}"));
            }
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let names = names.build(&context).expect("names");
        let extended = extended.build().expect("extended usage");
        let usage = KeyUsage::new()
            .critical()
            .digital_signature()
            .build()
            .expect("usage");
        builder.append_extension(&names).expect("names");
        builder.append_extension(&extended).expect("extended usage");
        builder.append_extension(&usage).expect("usage");
        builder
            .sign(&self.key, MessageDigest::sha256())
            .expect("a signature");
        Pair {
            chain: builder.build().to_pem().expect("PEM"),
            key: key.private_key_to_pem_pkcs8().expect("PEM"),
        }
    }
}
