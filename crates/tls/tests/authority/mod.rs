//! A throw-away certificate authority for tests: good certificates and every kind of bad one.

#![allow(dead_code, reason = "each test file uses its own part of this module")]

use boring::asn1::Asn1Time;
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use boring::x509::{X509Builder, X509Name, X509};

/// What a certificate may be used for.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Usage {
    Client,
    Server,
    Authority,
    /// No extended key usage: any purpose.
    Unrestricted,
}

/// A certificate to be issued. Days are relative to today.
pub struct Order<'a> {
    pub name: &'a str,
    pub usage: Usage,
    pub from_day: i64,
    pub to_day: i64,
    pub uri: Option<&'a str>,
    pub dns: Option<&'a str>,
    pub serial: u32,
}

impl<'a> Order<'a> {
    pub fn new(name: &'a str, usage: Usage) -> Order<'a> {
        Order {
            name,
            usage,
            from_day: -1,
            to_day: 30,
            uri: None,
            dns: None,
            serial: 0x5EA1,
        }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Issued {
    pub fn chain_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("PEM of a certificate")
    }

    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().expect("PEM of a key")
    }

    pub fn identity(&self) -> sealcast_tls::Identity {
        sealcast_tls::Identity::from_pem(&self.chain_pem(), &self.key_pem())
            .expect("a fitting, valid pair")
    }
}

pub struct Authority(pub Issued);

impl Authority {
    pub fn new(name: &str) -> Authority {
        Authority(make(&Order::new(name, Usage::Authority), None))
    }

    pub fn issue(&self, order: &Order<'_>) -> Issued {
        make(order, Some(&self.0))
    }

    pub fn roots_pem(&self) -> Vec<u8> {
        self.0.chain_pem()
    }
}

/// A certificate that nobody vouches for.
pub fn self_signed(name: &str) -> (X509, PKey<Private>) {
    let issued = make(&Order::new(name, Usage::Unrestricted), None);
    (issued.certificate, issued.key)
}

fn name(text: &str) -> X509Name {
    let mut builder = X509Name::builder().expect("a name");
    builder
        .append_entry_by_nid(Nid::COMMONNAME, text)
        .expect("a common name");
    builder.build()
}

fn make(order: &Order<'_>, issuer: Option<&Issued>) -> Issued {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("v3");
    let serial = BigNum::from_u32(order.serial).expect("a number");
    let serial = serial.to_asn1_integer().expect("a number");
    builder.set_serial_number(&serial).expect("a serial");
    let subject = name(order.name);
    builder.set_subject_name(&subject).expect("a subject");
    let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
    builder.set_issuer_name(issuer_name).expect("an issuer");
    builder.set_pubkey(&key).expect("a public key");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs() as i64;
    let day = |days: i64| Asn1Time::from_unix(now + days * 86_400).expect("a date");
    builder
        .set_not_before(&day(order.from_day))
        .expect("a date");
    builder.set_not_after(&day(order.to_day)).expect("a date");
    extend(&mut builder, order, issuer);
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    builder
        .sign(signer, MessageDigest::sha256())
        .expect("a signature");
    Issued {
        certificate: builder.build(),
        key,
    }
}

fn extend(builder: &mut X509Builder, order: &Order<'_>, issuer: Option<&Issued>) {
    let extension = match order.usage {
        Usage::Authority => BasicConstraints::new().critical().ca().build(),
        Usage::Client => ExtendedKeyUsage::new().client_auth().build(),
        Usage::Server => ExtendedKeyUsage::new().server_auth().build(),
        Usage::Unrestricted => BasicConstraints::new().build(),
    };
    builder
        .append_extension(&extension.expect("an extension"))
        .expect("an extension");
    if order.usage == Usage::Authority {
        let context = builder.x509v3_context(None, None);
        let key_id = SubjectKeyIdentifier::new().build(&context);
        builder
            .append_extension(&key_id.expect("an extension"))
            .expect("an extension");
    }
    if order.uri.is_none() && order.dns.is_none() {
        return;
    }
    let mut names = SubjectAlternativeName::new();
    order.uri.map(|uri| names.uri(uri));
    order.dns.map(|dns| names.dns(dns));
    let issuer = issuer.map(|issuer| &*issuer.certificate);
    let context = builder.x509v3_context(issuer, None);
    let names = names.build(&context).expect("names");
    builder.append_extension(&names).expect("an extension");
}
