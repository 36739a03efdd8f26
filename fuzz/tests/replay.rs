//! Every target over its seeds, and over every input that once broke it.

use std::fs;
use std::path::Path;

use sealcast_fuzz::TARGETS;

#[test]
fn every_target_keeps_its_promises_for_its_seeds_and_pieces_of_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        (target.run)(&[]);
        for seed in seeds {
            (target.run)(&seed);
            for cut in [
                1,
                seed.len() / 3,
                seed.len() / 2,
                seed.len().saturating_sub(1),
            ] {
                (target.run)(&seed[..cut.min(seed.len())]);
            }
        }
    }
}

#[test]
fn no_input_that_once_broke_a_target_breaks_it_again() {
    let crashers = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers");
    for target in TARGETS {
        let Ok(folder) = fs::read_dir(crashers.join(target.name)) else {
            continue; // nothing ever broke it
        };
        for entry in folder {
            let path = entry.expect("the folder can be read").path();
            (target.run)(&fs::read(&path).expect("a crasher can be read"));
        }
    }
}

#[test]
fn every_folder_of_crashers_belongs_to_a_target() {
    let crashers = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers");
    let Ok(folders) = fs::read_dir(crashers) else {
        return;
    };
    for folder in folders {
        let name = folder.expect("the folder can be read").file_name();
        let name = name.to_string_lossy();
        assert!(
            sealcast_fuzz::target(&name).is_some(),
            "fuzz/crashers/{name} is the folder of no target"
        );
    }
}
