//! Counts that wait to be handed to the host, many at once.
//!
//! A request adds to several counters, mostly to the same ones as the request before it, and each time would be a call of the
//! host. So what was counted waits here, by counter, and is handed over in one call for each.

/// What was counted and not handed over yet, by counter.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Each counter's id of the host, and what waits for it.
    counters: Vec<(u32, u64)>,
    /// Places of the counters for which something waits.
    waiting: Vec<u32>,
}

impl Tally {
    /// Takes a counter in; the answer is its place, from 1 on. `None` beyond 2^32 counters.
    pub(crate) fn take_in(&mut self, id: u32) -> Option<u32> {
        self.counters.push((id, 0));
        u32::try_from(self.counters.len()).ok()
    }

    /// The counter at a place, by the host's id.
    pub(crate) fn id(&self, place: u32) -> Option<u32> {
        let at = (place as usize).checked_sub(1)?;
        self.counters.get(at).map(|(id, _)| *id)
    }

    /// Adds to a counter.
    pub(crate) fn add(&mut self, place: u32, by: u32) {
        let counter = (place as usize).checked_sub(1).and_then(|at| self.counters.get_mut(at));
        let Some((_, waits)) = counter else { return };
        if *waits == 0 && by > 0 {
            self.waiting.push(place);
        }
        *waits = waits.saturating_add(u64::from(by));
    }

    /// Tells each counter for which something waits, as (id, how much), in the order in which they began to wait. Then nothing waits.
    pub(crate) fn hand_over(&mut self, mut tell: impl FnMut(u32, u64)) {
        for place in self.waiting.drain(..) {
            if let Some((id, waits)) = (place as usize).checked_sub(1).and_then(|at| self.counters.get_mut(at)) {
                tell(*id, core::mem::take(waits));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tally: &mut Tally) -> Vec<(u32, u64)> {
        let mut all = Vec::new();
        tally.hand_over(|id, by| all.push((id, by)));
        all
    }

    #[test]
    fn what_was_added_is_told_once_by_counter() {
        let mut tally = Tally::default();
        let (requests, answers) = (tally.take_in(8).unwrap(), tally.take_in(12).unwrap());
        assert_eq!((tally.id(requests), tally.id(answers)), (Some(8), Some(12)));
        tally.add(answers, 1);
        tally.add(requests, 2);
        tally.add(answers, u32::MAX);
        tally.add(requests, 0);
        assert_eq!(told(&mut tally), [(12, 1 << 32), (8, 2)]);
        assert_eq!(told(&mut tally), []);
        tally.add(requests, 3);
        assert_eq!(told(&mut tally), [(8, 3)]);
    }

    #[test]
    fn nothing_and_nobody_wait_for_nothing() {
        let mut tally = Tally::default();
        let place = tally.take_in(4).unwrap();
        tally.add(place, 0);
        tally.add(0, 1);
        assert_eq!((tally.id(0), tally.id(place + 1)), (None, None));
        tally.add(place + 1, 1);
        assert_eq!(told(&mut tally), []);
    }
}
