//! The packet index: a 16-bit sequence number and the rollover counter nobody sends.
//!
//! RFC 3711 §3.3.1 and appendix A: of the indices that end in this sequence number, take the one
//! nearest to the newest authenticated index. The width of the sequence number is a parameter so
//! that a test can walk every rollover of a narrow one.

/// One past the largest SRTCP index (RFC 3711 §3.4).
pub(crate) const SRTCP_INDEX_END: u32 = 1 << 31;

/// The number that ends in the `BITS` bits `low` and is nearest to `newest`.
///
/// A distance of exactly half the range counts as forward, and before the first rollover nothing
/// is negative, so that the only index that can exist is taken.
pub(crate) fn nearest<const BITS: u32>(newest: u64, low: u64) -> u64 {
    let range = 1_u64 << BITS;
    let forward = low.wrapping_sub(newest) & (range - 1);
    if forward <= range / 2 {
        newest + forward
    } else {
        newest
            .checked_sub(range - forward)
            .unwrap_or(newest + forward)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_less_than_half_a_range_away_is_guessed_right() {
        const BITS: u32 = 6;
        let range = 1_u64 << BITS;
        for newest in 0..8 * range {
            let lowest = newest.saturating_sub(range / 2 - 1);
            for index in lowest..=newest + range / 2 {
                assert_eq!(
                    nearest::<BITS>(newest, index % range),
                    index,
                    "newest {newest}"
                );
            }
        }
    }

    #[test]
    fn before_the_first_rollover_a_long_jump_can_only_be_forward() {
        assert_eq!(nearest::<16>(3, 65_000), 65_000);
        assert_eq!(nearest::<16>(65_536 + 3, 65_000), 65_000);
    }
}
