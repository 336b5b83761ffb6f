//! What copies may cost one worker.
//!
//! A pair takes part from its admission until nothing of it is left. It does not know what a pair is.

use headgate_contract as contract;

use super::rate::Rate;

/// What was beyond the budget. Label `reason` of `headgate_shadow_dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Too many pairs at a time.
    InFlight,
    /// Too many bytes held.
    Bytes,
    /// Too many pairs a second.
    Rate,
}

impl Over {
    /// Every one, in the order of their numbers.
    pub(crate) const ALL: [&'static str; 3] = ["in_flight", "bytes", "rate"];
}

/// The budget of one worker, and what is used of it.
#[derive(Debug)]
pub(crate) struct Budget {
    most_pairs: usize,
    most_bytes: usize,
    rate: Rate,
    pairs: usize,
    bytes: usize,
}

impl Budget {
    /// A budget of which nothing is used.
    pub(crate) fn new(of: &contract::Budget) -> Self {
        let rate = Rate::new(of.per_second);
        Self { most_pairs: of.in_flight as usize, most_bytes: of.bytes as usize, rate, pairs: 0, bytes: 0 }
    }

    /// Another configuration's limits; what is used stays used.
    pub(crate) fn set(&mut self, of: &contract::Budget) {
        self.most_pairs = of.in_flight as usize;
        self.most_bytes = of.bytes as usize;
        self.rate.set(of.per_second);
    }

    /// Whether not one more pair may be taken in.
    pub(crate) const fn is_full(&self) -> bool {
        self.pairs >= self.most_pairs
    }

    /// Takes one pair in that holds so many bytes. `now` is monotonic, in nanoseconds.
    pub(crate) fn admit(&mut self, bytes: usize, now: u64) -> Result<(), Over> {
        if self.is_full() {
            return Err(Over::InFlight);
        }
        if self.bytes.saturating_add(bytes) > self.most_bytes {
            return Err(Over::Bytes);
        }
        if !self.rate.take(now) {
            return Err(Over::Rate);
        }
        self.pairs += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// A pair holds another number of bytes than before. Whether that is within the budget; it is reckoned either way.
    pub(crate) const fn change(&mut self, before: usize, after: usize) -> bool {
        self.bytes = self.bytes.saturating_sub(before).saturating_add(after);
        after <= before || self.bytes <= self.most_bytes
    }

    /// A pair is gone.
    pub(crate) const fn release(&mut self, bytes: usize) {
        self.pairs = self.pairs.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Pairs, and bytes they hold.
    #[cfg(test)]
    pub(crate) const fn used(&self) -> (usize, usize) {
        (self.pairs, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(in_flight: u32, per_second: u32, bytes: u32) -> Budget {
        Budget::new(&contract::Budget { in_flight, per_second, bytes })
    }

    #[test]
    fn each_limit_holds_and_what_is_refused_uses_nothing() {
        let mut budget = budget(2, 3, 1_000);
        assert_eq!(budget.admit(1_001, 1), Err(Over::Bytes));
        assert_eq!(budget.admit(600, 1), Ok(()));
        assert_eq!(budget.admit(600, 1), Err(Over::Bytes));
        assert_eq!(budget.admit(400, 1), Ok(()));
        assert!(budget.is_full());
        assert_eq!(budget.admit(0, 1), Err(Over::InFlight));
        budget.release(400);
        assert_eq!(budget.admit(0, 1), Ok(()));
        budget.release(0);
        assert_eq!(budget.admit(0, 1), Err(Over::Rate));
        assert_eq!(budget.used(), (1, 600));
    }

    #[test]
    fn bytes_that_grow_are_reckoned_and_those_that_shrink_are_welcome() {
        let mut budget = budget(2, 10, 1_000);
        budget.admit(100, 1).unwrap();
        assert!(budget.change(100, 1_000));
        assert!(!budget.change(1_000, 1_001));
        assert!(budget.change(1_001, 1_001));
        budget.release(1_001);
        assert_eq!(budget.used(), (0, 0));
    }
}
