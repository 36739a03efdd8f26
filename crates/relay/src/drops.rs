//! Named drops: every packet that is thrown away adds one to a counter under its code.
//!
//! Counting allocates only when a code is seen for the first time; it never logs.

use serde::Serialize;
use std::collections::BTreeMap;

pub use crate::codes as code;

/// A few counters, each under the code that names it.
#[derive(Clone, Debug, Default)]
pub struct Drops {
    counts: Vec<(&'static str, u64)>,
}

impl Drops {
    /// No drops yet, with room for the usual number of codes.
    pub fn new() -> Drops {
        Drops {
            counts: Vec::with_capacity(8),
        }
    }

    /// Adds one under `code`.
    pub fn count(&mut self, code: &'static str) {
        self.add(code, 1);
    }

    /// Adds `many` under `code`.
    pub fn add(&mut self, code: &'static str, many: u64) {
        if many == 0 {
            return;
        }
        match self.counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += many,
            None => self.counts.push((code, many)),
        }
    }

    /// How many were dropped under `code`.
    pub fn get(&self, code: &str) -> u64 {
        self.counts
            .iter()
            .find(|(known, _)| *known == code)
            .map_or(0, |(_, count)| *count)
    }

    /// Nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds all counters of `other`.
    pub fn merge(&mut self, other: &Drops) {
        for (code, count) in &other.counts {
            self.add(code, *count);
        }
    }

    /// The counters by code, in its order.
    pub fn table(&self) -> BTreeMap<String, u64> {
        self.counts
            .iter()
            .map(|(code, count)| ((*code).to_owned(), *count))
            .collect()
    }
}

impl Serialize for Drops {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_counter() {
        let mut drops = Drops::new();
        drops.count(code::NO_PATH);
        drops.add(code::NO_PATH, 2);
        drops.count(code::PADDING);
        assert_eq!(drops.get("RELAY.NO_PATH"), 3);
        assert_eq!(
            serde_json::to_string(&drops).expect("a map of strings serializes"),
            r#"{"RELAY.NO_PATH":3,"RTP.PADDING_CONSUMED":1}"#
        );
    }
}
