//! What a context remembers per SSRC, and for how many.
//!
//! A vector and not a map: a leg has a handful of SSRCs, packets of one arrive in runs, and the
//! last hit is tried first. The vector grows only for an SSRC that a caller has proved.

use crate::error::SrtpError;

/// The most SSRCs one context holds.
pub const MAX_SSRCS: usize = 64;

/// A bounded table from SSRC to `T`.
pub(crate) struct SsrcTable<T> {
    rows: Vec<(u32, T)>,
    last_hit: usize,
}

impl<T> SsrcTable<T> {
    pub(crate) const fn new() -> Self {
        Self {
            rows: Vec::new(),
            last_hit: 0,
        }
    }

    /// The row of this SSRC. `&mut self` because the hit is kept as the next first guess.
    #[inline]
    pub(crate) fn find(&mut self, ssrc: u32) -> Option<&mut T> {
        if !matches!(self.rows.get(self.last_hit), Some((known, _)) if *known == ssrc) {
            self.last_hit = self.rows.iter().position(|(known, _)| *known == ssrc)?;
        }
        self.rows.get_mut(self.last_hit).map(|(_, row)| row)
    }

    /// Refuses early what [`insert`](Self::insert) would refuse late.
    pub(crate) fn has_room(&self) -> Result<(), SrtpError> {
        if self.rows.len() < MAX_SSRCS {
            Ok(())
        } else {
            Err(SrtpError::TooManySsrcs)
        }
    }

    /// Adds a row for an SSRC that [`find`](Self::find) did not know, after
    /// [`has_room`](Self::has_room) agreed.
    pub(crate) fn insert(&mut self, ssrc: u32, row: T) {
        debug_assert!(self.rows.len() < MAX_SSRCS);
        self.last_hit = self.rows.len();
        self.rows.push((ssrc, row));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}
