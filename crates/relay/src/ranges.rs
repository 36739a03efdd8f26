//! A number line cut into ranges, each with one offset: how sequence numbers map when some are
//! consumed.
//!
//! One offset per stream is not enough: a packet that arrives late belongs to the range it was
//! numbered in, and a retransmission is asked for in the numbers that were in force when it was
//! sent. The list is bounded and lives in place; the oldest range is forgotten first.

/// Up to `N` ranges in ascending order; each reaches to the start of the next.
#[derive(Clone, Debug)]
pub struct Ranges<const N: usize> {
    list: [Range; N],
    len: usize,
}

#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
struct Range {
    start: u64,
    offset: i64,
}

impl<const N: usize> Default for Ranges<N> {
    fn default() -> Self {
        Ranges {
            list: [Range::default(); N],
            len: 0,
        }
    }
}

impl<const N: usize> Ranges<N> {
    /// Forgets all ranges.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// From `start` on, numbers map with `offset`. A range that would be empty is replaced.
    ///
    /// `start` is not before the start of the last range: the line is only ever extended.
    pub fn begin(&mut self, start: u64, offset: i64) {
        debug_assert!(
            self.last().is_none_or(|last| last.start <= start),
            "ranges only grow"
        );
        if self.last().is_some_and(|last| last.start == start) {
            self.len -= 1;
        }
        if self.len == N {
            self.list.copy_within(1.., 0);
            self.len -= 1;
        }
        self.list[self.len] = Range { start, offset };
        self.len += 1;
    }

    /// The offset of the newest range.
    pub fn newest(&self) -> Option<i64> {
        self.last().map(|range| range.offset)
    }

    /// The mapped number of `at`; none if `at` is before the oldest range that is remembered.
    pub fn map(&self, at: u64) -> Option<u64> {
        let range = self.list[..self.len]
            .iter()
            .rev()
            .find(|range| range.start <= at)?;
        Some(at.wrapping_add_signed(range.offset))
    }

    /// Like [`Ranges::map`], for a line from which numbers were taken out: none for those, whose
    /// image belongs to the number after them.
    pub fn map_kept(&self, at: u64) -> Option<u64> {
        let after = self.list[..self.len].partition_point(|range| range.start <= at);
        let range = self.list[after.checked_sub(1)?];
        let mapped = at.wrapping_add_signed(range.offset);
        let next = self.list[..self.len]
            .get(after)
            .map(|next| next.start.wrapping_add_signed(next.offset));
        Some(mapped).filter(|mapped| next.is_none_or(|next| *mapped < next))
    }

    fn last(&self) -> Option<Range> {
        self.len.checked_sub(1).map(|last| self.list[last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_maps_with_the_range_it_lies_in() {
        let mut ranges = Ranges::<4>::default();
        ranges.begin(100, -100);
        ranges.begin(110, -101);
        assert_eq!(ranges.map(99), None);
        assert_eq!(ranges.map(109), Some(9));
        assert_eq!(ranges.map(110), Some(9));
        assert_eq!(ranges.map(500), Some(399));
    }

    #[test]
    fn an_empty_range_takes_no_room() {
        let mut ranges = Ranges::<2>::default();
        ranges.begin(10, 0);
        for consumed in 20..40 {
            ranges.begin(consumed, 20 - consumed as i64);
            ranges.begin(consumed, 19 - consumed as i64);
        }
        assert_eq!(ranges.len, 2);
    }

    #[test]
    fn a_number_that_was_taken_out_has_no_image() {
        let mut ranges = Ranges::<8>::default();
        ranges.begin(10, 90);
        ranges.begin(13, 89);
        ranges.begin(14, 88);
        let images: Vec<_> = (9..16).map(|at| ranges.map_kept(at)).collect();
        assert_eq!(
            images,
            [None, Some(100), Some(101), None, None, Some(102), Some(103)]
        );
    }

    #[test]
    fn the_oldest_range_is_forgotten_first() {
        let mut ranges = Ranges::<2>::default();
        ranges.begin(10, 1);
        ranges.begin(20, 2);
        ranges.begin(30, 3);
        assert_eq!(ranges.map(15), None);
        assert_eq!(ranges.map(25), Some(27));
        assert_eq!(ranges.newest(), Some(3));
    }
}
