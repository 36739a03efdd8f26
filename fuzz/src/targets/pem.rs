//! Certificates, keys and authorities as PEM: what is taken works, the rest has a code.

use std::sync::LazyLock;

use boring::asn1::Asn1Time;
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::PKey;
use boring::x509::{X509Name, X509};

use sealcast_tls::{Authority, FingerprintHash, Identity, PeerName, TlsError};

use crate::input::push_counted;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "pem",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (chain, key) = (input.counted_piece(), input.all());
    match Identity::from_pem(chain, key) {
        Ok(identity) => {
            // It was read from these bytes, so the same is read again, and no key is shown.
            let again = Identity::from_pem(chain, key).expect("it was taken before");
            let hash = FingerprintHash::Sha256;
            assert_eq!(identity.fingerprint(hash), again.fingerprint(hash));
            assert!(!format!("{identity:?}").contains("PRIVATE"));
        }
        Err(error) => is_told_well(&error),
    }
    for name in [None, Some(PeerName::Dns("stream.example".to_owned()))] {
        if let Err(error) = Authority::from_pem(chain, name) {
            is_told_well(&error);
        }
    }
}

fn is_told_well(error: &TlsError) {
    assert!(
        [
            "TLS.UNREADABLE_CERTIFICATE",
            "TLS.UNREADABLE_KEY",
            "TLS.KEY_MISMATCH",
            "TLS.CERTIFICATE_EXPIRED",
            "TLS.CERTIFICATE_NOT_YET_VALID",
        ]
        .contains(&error.code()),
        "{} {error}",
        error.code()
    );
    let sentence = error.to_string();
    assert!(!sentence.contains("PRIVATE KEY"), "{sentence}");
}

/// A certificate and its key; the same for the whole run.
static PAIR: LazyLock<(Vec<u8>, Vec<u8>)> =
    LazyLock::new(|| make_pair().expect("the engine makes a certificate"));

fn make_pair() -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(
        Nid::X9_62_PRIME256V1,
    )?)?)?;
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "seed")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(&key)?;
    let (today, tomorrow) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
    certificate.set_not_before(&today)?;
    certificate.set_not_after(&tomorrow)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    Ok((
        certificate.build().to_pem()?,
        key.private_key_to_pem_pkcs8()?,
    ))
}

fn seeds() -> Vec<Vec<u8>> {
    let (certificate, key) = &*PAIR;
    let twice = [&certificate[..], certificate].concat();
    let encrypted =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    [
        (certificate, &key[..]),
        (&twice, &key[..]),
        (key, &certificate[..]),
        (certificate, &encrypted[..]),
    ]
    .into_iter()
    .map(|(chain, key)| {
        let mut seed = Vec::new();
        push_counted(&mut seed, chain);
        seed.extend_from_slice(key);
        seed
    })
    .collect()
}
