//! Identities, fingerprints and codes: what is accepted, what is refused, what is never shown.

mod authority;

use std::collections::HashSet;

use authority::{Authority, Order, Usage};
use boring::symm::Cipher;
use sealcast_tls::{codes, Fingerprint, FingerprintHash, Identity, TlsError, Version};

#[test]
fn every_ephemeral_identity_is_new() {
    let prints: HashSet<Fingerprint> = (0..20)
        .map(|_| Identity::ephemeral().expect("an identity"))
        .map(|identity| identity.fingerprint(FingerprintHash::Sha256))
        .collect();
    assert_eq!(prints.len(), 20);
}

#[test]
fn an_identity_shows_its_fingerprint_and_nothing_else() {
    let identity = Identity::ephemeral().expect("an identity");
    let print = identity.fingerprint(FingerprintHash::Sha256);
    assert_eq!(format!("{identity:?}"), format!("Identity({print})"));
}

#[test]
fn a_fingerprint_survives_printing_and_parsing_in_either_case() {
    let identity = Identity::ephemeral().expect("an identity");
    for hash in FingerprintHash::ALL {
        let print = identity.fingerprint(hash);
        assert_eq!(print.digest.len(), hash.digest_len());
        let text = print.to_string();
        let (name, value) = text.split_once(' ').expect("two fields");
        assert_eq!(Fingerprint::parse(name, value).as_ref(), Ok(&print));
        let lower = Fingerprint::parse(&name.to_uppercase(), &value.to_lowercase());
        assert_eq!(lower, Ok(print));
    }
}

#[test]
fn weak_and_malformed_fingerprints_are_refused() {
    let good = vec!["AB"; 32].join(":");
    let twenty = vec!["AB"; 20].join(":");
    let long = vec!["AB"; 33].join(":");
    let short = vec!["AB"; 31].join(":");
    let endless = vec!["AB"; 100_000].join(":");
    let cases = [
        ("sha-1", twenty.as_str()),
        ("md5", good.as_str()),
        ("", good.as_str()),
        ("sha-256", twenty.as_str()),
        ("sha-256", short.as_str()),
        ("sha-256", long.as_str()),
        ("sha-256", endless.as_str()),
        ("sha-512", good.as_str()),
        ("sha-256", ""),
        ("sha-256", &good.replace("AB", "+B")),
        ("sha-256", &good.replace("AB", "GG")),
        ("sha-256", &good.replace(':', "-")),
        ("sha-256", &format!("{good}:")),
        ("sha-256", &format!(" {good}")),
        ("sha-256", &format!("{}:é", vec!["AB"; 31].join(":"))),
    ];
    for (name, value) in cases {
        let error = Fingerprint::parse(name, value).expect_err(name);
        assert_eq!(error.code(), "DTLS.BAD_FINGERPRINT", "{name}");
        assert!(
            error.to_string().len() < 200,
            "the sentence does not repeat the input"
        );
    }
}

#[test]
fn a_fitting_pair_is_accepted_with_its_chain() {
    let issued = Authority::new("A CA").issue(&Order::new("a door", Usage::Server));
    let mut chain = issued.chain_pem();
    chain.extend(Authority::new("an intermediate").roots_pem());
    let identity = Identity::from_pem(&chain, &issued.key_pem()).expect("a fitting pair");
    let leaf_only = issued.identity();
    let hash = FingerprintHash::Sha256;
    assert_eq!(identity.fingerprint(hash), leaf_only.fingerprint(hash));
}

#[test]
fn a_pair_that_cannot_work_is_refused_with_its_own_code() {
    let authority = Authority::new("A CA");
    let good = authority.issue(&Order::new("good", Usage::Server));
    let other = authority.issue(&Order::new("other", Usage::Server));
    let dated = |from_day, to_day| {
        authority.issue(&Order {
            from_day,
            to_day,
            ..Order::new("dated", Usage::Server)
        })
    };
    let (expired, future) = (dated(-9, -1), dated(1, 9));
    let encrypted = good
        .key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret")
        .expect("PEM of an encrypted key");
    let code = |chain: &[u8], key: &[u8]| {
        let error: TlsError = Identity::from_pem(chain, key).expect_err("must be refused");
        error.code()
    };
    let chain = good.chain_pem();
    assert_eq!(code(&chain, &other.key_pem()), "TLS.KEY_MISMATCH");
    assert_eq!(
        code(&expired.chain_pem(), &expired.key_pem()),
        "TLS.CERTIFICATE_EXPIRED"
    );
    assert_eq!(
        code(&future.chain_pem(), &future.key_pem()),
        "TLS.CERTIFICATE_NOT_YET_VALID"
    );
    assert_eq!(code(&chain, &encrypted), "TLS.UNREADABLE_KEY");
    assert_eq!(code(&chain, b""), "TLS.UNREADABLE_KEY");
    assert_eq!(code(&chain, &chain), "TLS.UNREADABLE_KEY");
    assert_eq!(code(b"", &good.key_pem()), "TLS.UNREADABLE_CERTIFICATE");
    assert_eq!(
        code(b"\xff\x00", &good.key_pem()),
        "TLS.UNREADABLE_CERTIFICATE"
    );
    assert_eq!(
        code(&good.key_pem(), &good.key_pem()),
        "TLS.UNREADABLE_CERTIFICATE"
    );
}

#[test]
fn codes_are_unique_and_spelt_alike() {
    let distinct: HashSet<&str> = codes::ALL.iter().copied().collect();
    assert_eq!(distinct.len(), codes::ALL.len());
    for code in codes::ALL {
        let (area, reason) = code.split_once('.').expect("AREA.REASON");
        assert!(matches!(area, "TLS" | "DTLS"), "{code}");
        let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(!reason.is_empty() && reason.chars().all(is_upper), "{code}");
    }
}

#[test]
fn versions_are_read_as_they_are_written() {
    for version in [Version::V1_2, Version::V1_3] {
        assert_eq!(version.to_string().parse::<Version>(), Ok(version));
    }
    for text in ["1.0", "1.1", "1.4", "", "TLS 1.3"] {
        let error = text.parse::<Version>().expect_err(text);
        assert_eq!(error.code(), "TLS.BAD_POLICY");
    }
}
