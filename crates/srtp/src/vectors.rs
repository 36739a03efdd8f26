//! Loads the published vectors of `vectors/srtp` that speak of session keys.

use serde::de::DeserializeOwned;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct File<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
pub(crate) struct KeyDerivation {
    pub(crate) source: String,
    pub(crate) profile: String,
    pub(crate) master_key: String,
    pub(crate) master_salt: String,
    pub(crate) rtp: Option<Derived>,
    pub(crate) rtcp: Option<Derived>,
}

#[derive(Deserialize)]
pub(crate) struct Derived {
    pub(crate) encryption: String,
    pub(crate) authentication: String,
    pub(crate) salt: String,
}

#[derive(Deserialize)]
pub(crate) struct Aead {
    pub(crate) source: String,
    pub(crate) profile: String,
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) salt: String,
    pub(crate) index: u64,
    pub(crate) plain: String,
    pub(crate) protected: String,
}

pub(crate) fn key_derivation() -> Vec<KeyDerivation> {
    load("key_derivation.json")
}

pub(crate) fn aead() -> Vec<Aead> {
    load("aead_session_keys.json")
}

fn load<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = format!("{}/../../vectors/srtp/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the vectors are part of the repository");
    let file: File<T> = serde_json::from_str(&text).expect("the vectors have this shape");
    assert!(!file.cases.is_empty(), "{path} has no cases");
    file.cases
}

/// The bytes of a string of hexadecimal digits.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(
        text.len().is_multiple_of(2),
        "an odd number of digits in {text}"
    );
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits"))
        .collect()
}
