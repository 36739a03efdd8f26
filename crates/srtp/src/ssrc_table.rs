//! What a context remembers per SSRC, and for how many.
//!
//! Vectors and not a map: a leg has a handful of SSRCs, packets of one arrive in runs, and the last
//! hit is tried first. Only a context with many SSRCs keeps a map beside them. The table grows only
//! for an SSRC that a caller has proved or declared.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::error::SrtpError;

/// The most SSRCs that one context holds, unless an option says otherwise.
pub const MAX_SSRCS: usize = 64;

/// Up to this many SSRCs a scan of the vector is faster than a map.
const SCANNED: usize = 64;

/// A bounded table from SSRC to `T`.
pub(crate) struct SsrcTable<T> {
    ssrcs: Vec<u32>,
    rows: Vec<T>,
    /// Filled once there are more than [`SCANNED`] rows. Its hash is keyed: SSRCs are the peer's.
    by_ssrc: HashMap<u32, usize>,
    last_hit: usize,
    most: usize,
    declared: Option<Arc<BTreeSet<u32>>>,
}

impl<T> SsrcTable<T> {
    pub(crate) fn new(most: usize, declared: Option<Arc<BTreeSet<u32>>>) -> Self {
        Self {
            ssrcs: Vec::new(),
            rows: Vec::new(),
            by_ssrc: HashMap::new(),
            last_hit: 0,
            most,
            declared,
        }
    }

    /// The number of this SSRC's row. `&mut self` because the hit is kept as the next first guess.
    #[inline(always)]
    pub(crate) fn find(&mut self, ssrc: u32) -> Option<usize> {
        if self.ssrcs.get(self.last_hit) == Some(&ssrc) {
            return Some(self.last_hit);
        }
        self.last_hit = self.position(ssrc)?;
        Some(self.last_hit)
    }

    fn position(&self, ssrc: u32) -> Option<usize> {
        if self.by_ssrc.is_empty() {
            self.ssrcs.iter().position(|known| *known == ssrc)
        } else {
            self.by_ssrc.get(&ssrc).copied()
        }
    }

    /// The row with a number that [`find`](Self::find) or [`insert`](Self::insert) gave.
    #[inline(always)]
    pub(crate) fn row(&mut self, number: usize) -> &mut T {
        &mut self.rows[number]
    }

    /// The only SSRCs that it may hold, if they were declared.
    pub(crate) const fn declared(&self) -> Option<&Arc<BTreeSet<u32>>> {
        self.declared.as_ref()
    }

    /// Refuses an SSRC that [`insert`](Self::insert) may not be given.
    pub(crate) fn admits(&self, ssrc: u32) -> Result<(), SrtpError> {
        if self
            .declared
            .as_ref()
            .is_some_and(|set| !set.contains(&ssrc))
        {
            return Err(SrtpError::SsrcNotDeclared);
        }
        if self.rows.len() >= self.most {
            return Err(SrtpError::TooManySsrcs);
        }
        Ok(())
    }

    /// Adds a row for an SSRC that [`find`](Self::find) did not know, after
    /// [`admits`](Self::admits) agreed.
    pub(crate) fn insert(&mut self, ssrc: u32, row: T) -> usize {
        let number = self.rows.len();
        self.ssrcs.push(ssrc);
        self.rows.push(row);
        if self.rows.len() > SCANNED {
            let unmapped = self.by_ssrc.len();
            let rest = self.ssrcs[unmapped..].iter().copied().zip(unmapped..);
            self.by_ssrc.extend(rest);
        }
        self.last_hit = number;
        number
    }

    /// The number of this SSRC's row, of a new one if need be: for an SSRC that the caller vouches
    /// for.
    #[inline(always)]
    pub(crate) fn find_or_insert(
        &mut self,
        ssrc: u32,
        row: impl FnOnce() -> T,
    ) -> Result<usize, SrtpError> {
        match self.find(ssrc) {
            Some(number) => Ok(number),
            None => {
                self.admits(ssrc)?;
                Ok(self.insert(ssrc, row()))
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.ssrcs.iter().copied().zip(&self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_before_and_after_the_table_has_a_map() {
        let mut table = SsrcTable::new(1000, None);
        for ssrc in 0..200_u32 {
            assert_eq!(table.find(ssrc * 7), None);
            let number = table.insert(ssrc * 7, ssrc);
            assert_eq!(number, ssrc as usize);
            for known in 0..=ssrc {
                let number = table.find(known * 7).expect("it was inserted");
                assert_eq!(*table.row(number), known);
            }
            assert_eq!(table.find(ssrc * 7 + 1), None);
        }
    }

    #[test]
    fn a_declared_set_admits_nobody_else_and_a_full_table_nobody() {
        let declared = Arc::new(BTreeSet::from([5, 6]));
        let mut table = SsrcTable::new(1, Some(declared));
        assert_eq!(table.admits(7), Err(SrtpError::SsrcNotDeclared));
        assert_eq!(table.admits(5), Ok(()));
        table.insert(5, ());
        assert_eq!(table.admits(6), Err(SrtpError::TooManySsrcs));
    }
}
