//! Counts and samples that wait to be handed to the host, many at once.
//!
//! A request adds to several counters, mostly to the same ones as the request before it, and each time would be a call of the
//! host. So what was counted waits here, by counter, and is handed over in one call for each. Samples of histograms are handed over one by
//! one, but in a row: what such a call touches is then still in the processor's cache for the next.

/// Samples that wait at most.
const SAMPLES: usize = 512;

/// What was counted and not handed over yet, by counter.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Each counter's id of the host, and what waits for it.
    counters: Vec<(u32, u64)>,
    /// Places of the counters for which something waits.
    waiting: Vec<u32>,
    /// Samples of histograms, by the host's id.
    samples: Vec<(u32, u64)>,
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

    /// Takes a sample of a histogram; whether so many wait that they should be handed over.
    pub(crate) fn sample(&mut self, id: u32, value: u64) -> bool {
        self.samples.push((id, value));
        self.samples.len() >= SAMPLES
    }

    /// Tells each sample, in the order in which they were taken. Then none waits.
    pub(crate) fn hand_over_samples(&mut self, mut tell: impl FnMut(u32, u64)) {
        self.samples.drain(..).for_each(|(id, value)| tell(id, value));
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
    fn samples_are_told_in_order_and_are_never_very_many() {
        let mut tally = Tally::default();
        let full: Vec<bool> = (0..SAMPLES as u64).map(|value| tally.sample(6, value)).collect();
        assert_eq!(full.iter().position(|full| *full), Some(SAMPLES - 1));
        let mut told = Vec::new();
        tally.hand_over_samples(|id, value| told.push((id, value)));
        assert_eq!((told.len(), told[7]), (SAMPLES, (6, 7)));
        tally.hand_over_samples(|_, _| panic!("nothing is left"));
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
