//! Whose cluster is asked for: of every request until enough in a row were delivered as decided, then of few.
//!
//! Which cluster served is an answer in bytes from the host, a tenth of what the filter costs. A route that delivers as it
//! should goes on doing so until somebody changes it, so each series asks for all at first, after each configuration
//! and from the first wrong one on. After that one is asked for that stands for those since the one before it: counts stay
//! right on average. Few requests go by between two where there are few, and little time where there are many.

use core::cell::Cell;

/// After so many in a row that were right, few are asked for.
const SURE: u32 = 16;
/// Of at least so many requests one is asked for,
const ONE_OF: u32 = 8;
/// and one at most in so many nanoseconds.
const PAUSE: u64 = 10_000_000;

/// What one series knows of how its requests are delivered.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// When one was asked for last, in nanoseconds.
    asked: Cell<u64>,
    /// Requests in a row that were right, at most [`SURE`].
    right: Cell<u32>,
    /// Requests that went by since one was asked for.
    passed: Cell<u32>,
}

impl Delivery {
    /// A request was answered: whether its cluster is to be asked for, and then for how many requests it stands. `now` is of a clock that
    /// never goes back, in nanoseconds; one that stands still makes no pause.
    pub(crate) fn due(&self, now: u64) -> Option<u32> {
        let stands_for = self.passed.get().saturating_add(1);
        let pause = (1..PAUSE).contains(&now.saturating_sub(self.asked.get()));
        if self.right.get() >= SURE && (stands_for < ONE_OF || pause) {
            self.passed.set(stands_for);
            return None;
        }
        self.passed.set(0);
        self.asked.set(now);
        Some(stands_for)
    }

    /// It was asked for, and was the right one, or not.
    pub(crate) fn seen(&self, right: bool) {
        self.right.set(if right { (self.right.get() + 1).min(SURE) } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Requests `apart` from each other that are delivered as told; the counts of those seen wrong, request by request.
    fn counted(delivery: &Delivery, clock: &mut u64, apart: u64, right: &[bool]) -> Vec<u32> {
        let one = |right: &bool| {
            *clock += apart;
            let asked = delivery.due(*clock);
            if asked.is_some() {
                delivery.seen(*right);
            }
            asked.filter(|_| !right).unwrap_or(0)
        };
        right.iter().map(one).collect()
    }

    /// How many of so many requests that are right are asked for.
    fn asked(delivery: &Delivery, clock: &mut u64, apart: u64, requests: usize) -> usize {
        let mut one = || {
            *clock += apart;
            delivery.due(*clock).inspect(|_| delivery.seen(true)).is_some()
        };
        (0..requests).filter(|_| one()).count()
    }

    #[test]
    fn all_are_asked_for_until_sixteen_in_a_row_were_right_and_then_every_eighth() {
        let (delivery, mut clock) = (Delivery::default(), 5);
        assert_eq!(asked(&delivery, &mut clock, 10 * MS, 16), 16);
        assert_eq!(asked(&delivery, &mut clock, 10 * MS, 7), 0);
        assert_eq!(asked(&delivery, &mut clock, 10 * MS, 1), 1);
        assert_eq!(asked(&delivery, &mut clock, 10 * MS, 80), 10);
    }

    #[test]
    fn of_many_requests_one_is_asked_for_in_ten_milliseconds() {
        let (delivery, mut clock) = (Delivery::default(), 5);
        assert_eq!(asked(&delivery, &mut clock, MS / 10, 16), 16);
        assert_eq!(asked(&delivery, &mut clock, MS / 10, 99), 0);
        assert_eq!(asked(&delivery, &mut clock, MS / 10, 1), 1);
        assert_eq!(asked(&delivery, &mut clock, MS / 10, 1_000), 10);
        // It stands for them all, and so do those after a wrong one for themselves.
        let late = counted(&delivery, &mut clock, MS / 10, &[false; 103]);
        assert_eq!((late.iter().sum::<u32>(), &late[99..]), (103, &[100, 1, 1, 1][..]));
    }

    #[test]
    fn a_clock_that_stands_still_makes_no_pause() {
        let delivery = Delivery::default();
        assert_eq!(asked(&delivery, &mut 0, 0, 16 + 80), 16 + 10);
    }

    #[test]
    fn wrong_ones_are_all_counted_from_the_start_and_from_the_first_that_is_seen() {
        let (delivery, mut clock) = (Delivery::default(), 5);
        let mut counted = |right: &[bool]| counted(&delivery, &mut clock, 10 * MS, right);
        assert_eq!(counted(&[false; 20]).iter().sum::<u32>(), 20);
        assert_eq!(counted(&[true; 16]).iter().sum::<u32>(), 0);
        // The eighth one stands for those before it.
        assert_eq!(counted(&[false; 12]), [0, 0, 0, 0, 0, 0, 0, 8, 1, 1, 1, 1]);
        // Fifteen are not enough.
        assert_eq!(counted(&[true; 15]).iter().sum::<u32>(), 0);
        assert_eq!(counted(&[false]), [1]);
    }

    #[test]
    fn a_few_wrong_ones_among_many_are_counted_right_on_average() {
        // Every eighth is asked for, or every twentieth.
        for apart in [10 * MS, MS / 2] {
            // One in 700, in no order: what comes at regular times could be asked for too often, or never.
            let mut state = 88_172_645_463_325_252_u64;
            let mut right = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                !state.is_multiple_of(700)
            };
            let right: Vec<bool> = (0..3_000_000).map(|_| right()).collect();
            let wrong = right.iter().filter(|right| !**right).count();
            let counted: u32 = counted(&Delivery::default(), &mut 5, apart, &right).iter().sum();
            let off = f64::from(counted) / f64::from(u32::try_from(wrong).unwrap());
            assert!((0.8..1.2).contains(&off), "{counted} for {wrong}, {apart} ns apart");
        }
    }
}
