//! So many a second, of which one second's worth may come at once.

const SECOND: u64 = 1_000_000_000;

/// A token bucket (ITU-T I.371's generic cell rate algorithm, as credit in nanoseconds). It starts full.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Nanoseconds of credit that one costs.
    cost: u64,
    credit: u64,
    /// When the credit was last reckoned.
    at: u64,
}

impl Rate {
    /// `per_second` is at least 1.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { cost: cost(per_second), credit: SECOND, at: 0 }
    }

    /// Another rate; what was used stays used.
    pub(crate) const fn set(&mut self, per_second: u32) {
        self.cost = cost(per_second);
    }

    /// Takes one, unless too many were taken. `now` is monotonic, in nanoseconds.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        self.credit = SECOND.min(self.credit.saturating_add(now.saturating_sub(self.at)));
        self.at = self.at.max(now);
        let Some(left) = self.credit.checked_sub(self.cost) else { return false };
        self.credit = left;
        true
    }
}

const fn cost(per_second: u32) -> u64 {
    if per_second == 0 { SECOND } else { SECOND / per_second as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seconds_worth_may_come_at_once_and_no_more() {
        let mut rate = Rate::new(3);
        let now = 5 * SECOND;
        assert_eq!((0..5).filter(|_| rate.take(now)).count(), 3);
        assert!(!rate.take(now + SECOND / 4));
        assert!(rate.take(now + SECOND / 3));
        assert_eq!((0..5).filter(|_| rate.take(now + 100 * SECOND)).count(), 3);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_nothing() {
        let mut rate = Rate::new(1);
        assert!(rate.take(SECOND));
        assert!(!rate.take(SECOND) && !rate.take(0) && !rate.take(SECOND));
        rate.set(1_000_000);
        assert!(!rate.take(SECOND) && rate.take(SECOND + 1_000));
    }
}
