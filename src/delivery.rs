//! Whose cluster is asked for: of every request until enough in a row were delivered as decided, then of one in eight.
//!
//! Which cluster served is an answer in bytes from the host, a tenth of what the filter costs. A route that delivers as it
//! should goes on doing so until somebody changes it, so each series asks for all at first, after each configuration
//! and from the first wrong one on. What is asked for one in eight stands for eight: counts stay right on average.

use core::cell::Cell;

/// After so many in a row that were right, one of [`ONE_OF`] is asked for.
const SURE: u32 = 16;
/// Of so many requests one is asked for.
const ONE_OF: u32 = 8;

/// What one series knows of how its requests are delivered.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Requests in a row that were right, at most [`SURE`].
    right: Cell<u32>,
    /// Requests that went by since one was asked for.
    passed: Cell<u32>,
}

impl Delivery {
    /// A request was answered: whether its cluster is to be asked for, and then for how many requests it stands.
    pub(crate) fn due(&self) -> Option<u32> {
        if self.right.get() < SURE {
            return Some(1);
        }
        let passed = self.passed.get() + 1;
        self.passed.set(passed % ONE_OF);
        (passed == ONE_OF).then_some(ONE_OF)
    }

    /// It was asked for, and was the right one, or not.
    pub(crate) fn seen(&self, right: bool) {
        self.right.set(if right { (self.right.get() + 1).min(SURE) } else { 0 });
        if !right {
            self.passed.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests that are delivered as told; the counts of those seen wrong, request by request.
    fn counted(delivery: &Delivery, right: &[bool]) -> Vec<u32> {
        let one = |right: &bool| {
            let asked = delivery.due();
            if asked.is_some() {
                delivery.seen(*right);
            }
            asked.filter(|_| !right).unwrap_or(0)
        };
        right.iter().map(one).collect()
    }

    #[test]
    fn all_are_asked_for_until_sixteen_in_a_row_were_right_and_then_every_eighth() {
        let delivery = Delivery::default();
        let asked = |n: usize| (0..n).filter(|_| delivery.due().inspect(|_| delivery.seen(true)).is_some()).count();
        assert_eq!(asked(16), 16);
        assert_eq!(asked(7), 0);
        assert_eq!(asked(1), 1);
        assert_eq!(asked(80), 10);
    }

    #[test]
    fn wrong_ones_are_all_counted_from_the_start_and_from_the_first_that_is_seen() {
        let delivery = Delivery::default();
        assert_eq!(counted(&delivery, &[false; 20]).iter().sum::<u32>(), 20);
        assert_eq!(counted(&delivery, &[true; 16]).iter().sum::<u32>(), 0);
        // The eighth one stands for those before it.
        let late = counted(&delivery, &[false; 12]);
        assert_eq!(late, [0, 0, 0, 0, 0, 0, 0, 8, 1, 1, 1, 1]);
        // Fifteen are not enough.
        assert_eq!(counted(&delivery, &[true; 15]).iter().sum::<u32>(), 0);
        assert_eq!(counted(&delivery, &[false]), [1]);
    }

    #[test]
    fn a_few_wrong_ones_among_many_are_counted_right_on_average() {
        let delivery = Delivery::default();
        let right: Vec<bool> = (0..700_000).map(|i| i % 701 != 0).collect();
        let wrong = right.iter().filter(|right| !**right).count();
        let counted: u32 = counted(&delivery, &right).iter().sum();
        let off = f64::from(counted) / f64::from(u32::try_from(wrong).unwrap());
        assert!((0.8..1.2).contains(&off), "{counted} for {wrong}");
    }
}
