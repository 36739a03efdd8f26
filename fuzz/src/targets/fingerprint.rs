//! `a=fingerprint` values: what is admitted reads the same when it is written again.

use sealcast_tls::Fingerprint;

use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "fingerprint",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some((hash, value)) = text.split_once(' ') else {
        return;
    };
    let Ok(fingerprint) = Fingerprint::parse(hash, value) else {
        return;
    };
    let written = fingerprint.to_string();
    let (hash, value) = written
        .split_once(' ')
        .expect("a fingerprint is written as its hash, a space, its digest");
    assert_eq!(
        Fingerprint::parse(hash, value).expect("what we write we admit"),
        fingerprint
    );
}

fn seeds() -> Vec<Vec<u8>> {
    [
        ("sha-256", 32),
        ("SHA-384", 48),
        ("sha-512", 64),
        ("sha-1", 20),
    ]
    .into_iter()
    .map(|(hash, len)| format!("{hash} {}", vec!["a5"; len].join(":")).into_bytes())
    .collect()
}
