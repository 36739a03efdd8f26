//! The coverage-guided engine (libFuzzer) around one target, named by FUZZ_TARGET.
//!
//! With FUZZ_SEEDS it first writes the target's seeds into that folder, since seeds are made of
//! real handshakes and are not kept as files.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sealcast_fuzz::{target, Target, TARGETS};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!(
            "FUZZ_TARGET is {name:?}; it must be one of {}",
            names.join(", ")
        );
        std::process::exit(2);
    })
});

fn begin() {
    LazyLock::force(&TARGET);
    let Ok(folder) = std::env::var("FUZZ_SEEDS") else {
        return;
    };
    for (number, seed) in (TARGET.seeds)().iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(&path, seed).expect("the folder of seeds can be written");
    }
}

fuzz_target!(init: begin(), |data: &[u8]| (TARGET.run)(data));
