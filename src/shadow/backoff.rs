//! Which clusters are left in peace for a while, because copies for them did not arrive.
//!
//! Each copy for a shadow that is down opens a connection that is refused, on the worker that serves users. So after a few that could not
//! be delivered, one after the other, a cluster gets one copy at a time and none before a pause is over; the pause doubles with
//! each that cannot be delivered either. The first that arrives ends it. It does not know what a copy is, nor what becomes of those that are not sent.
//!
//! Only what shows whether a cluster can be reached counts. A shadow that is slow or hung is no matter of this: how many copies may wait for it
//! is the budget's.

use std::collections::BTreeMap;

const MILLISECOND: u64 = 1_000_000;
/// So many in succession, and a cluster is left in peace.
const FAILURES: u32 = 5;
/// The first pause, in nanoseconds.
const FIRST: u64 = 100 * MILLISECOND;
/// The longest one.
const LONGEST: u64 = 10_000 * MILLISECOND;

/// What a copy tells of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It arrived: something was answered.
    Reached,
    /// Envoy had nobody to give it to.
    Unreached,
    /// It may have arrived, and it may not: nothing was answered in time.
    Unclear,
    /// Nothing: its answer was not waited for.
    Unknown,
}

/// The clusters that did not take the last copy.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    clusters: BTreeMap<String, Ailing>,
}

#[derive(Debug, Default)]
struct Ailing {
    /// In succession.
    failures: u32,
    /// Nanoseconds; 0 while it gets every copy.
    pause: u64,
    /// When the pause is over.
    until: u64,
    /// When the copy was sent that tries whether it can be reached again, while that is on its way.
    trial: Option<u64>,
}

impl Ailing {
    const fn is_avoided(&self, now: u64) -> bool {
        self.pause > 0 && (self.trial.is_some() || now < self.until)
    }
}

impl Backoff {
    /// Whether a copy for this cluster would not be sent now. All times are monotonic, in nanoseconds.
    pub(crate) fn avoids(&self, cluster: &str, now: u64) -> bool {
        !self.clusters.is_empty() && self.clusters.get(cluster).is_some_and(|ailing| ailing.is_avoided(now))
    }

    /// Whether a copy may be sent now. Of each that may, [`Self::told`] must hear what became of it.
    pub(crate) fn may_send(&mut self, cluster: &str, now: u64) -> bool {
        if self.avoids(cluster, now) {
            return false;
        }
        if let Some(ailing) = self.clusters.get_mut(cluster).filter(|ailing| ailing.pause > 0) {
            ailing.trial = Some(now);
        }
        true
    }

    /// What became of a copy that was sent at `sent`. While a cluster is left in peace those count for nothing that were sent before.
    pub(crate) fn told(&mut self, cluster: &str, sent: u64, sign: Sign, now: u64) {
        let Some(ailing) = self.clusters.get_mut(cluster) else {
            if sign == Sign::Unreached {
                self.clusters.insert(cluster.to_owned(), Ailing { failures: 1, ..Ailing::default() });
            }
            return;
        };
        if ailing.pause == 0 {
            match sign {
                Sign::Reached => drop(self.clusters.remove(cluster)),
                Sign::Unreached => {
                    ailing.failures += 1;
                    if ailing.failures >= FAILURES {
                        (ailing.pause, ailing.until) = (FIRST, now.saturating_add(FIRST));
                    }
                }
                Sign::Unclear | Sign::Unknown => {}
            }
            return;
        }
        if ailing.trial != Some(sent) {
            return;
        }
        ailing.trial = None;
        match sign {
            Sign::Reached => drop(self.clusters.remove(cluster)),
            Sign::Unreached | Sign::Unclear => {
                ailing.pause = LONGEST.min(ailing.pause * 2);
                ailing.until = now.saturating_add(ailing.pause);
            }
            // The next may try.
            Sign::Unknown => {}
        }
    }

    /// Forgets every cluster that is not `wanted` any more.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.clusters.retain(|cluster, _| wanted(cluster));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 7_000 * MILLISECOND;

    /// A cluster that was left in peace at [`START`].
    fn down() -> Backoff {
        let mut backoff = Backoff::default();
        for n in 0..u64::from(FAILURES) {
            assert!(backoff.may_send("v2", n), "{n} may be sent");
            backoff.told("v2", n, Sign::Unreached, START);
        }
        assert!(!backoff.may_send("v2", START) && backoff.avoids("v2", START));
        backoff
    }

    #[test]
    fn failures_count_in_succession_and_slowness_is_none() {
        let mut backoff = Backoff::default();
        for sign in [Sign::Unreached, Sign::Unreached, Sign::Unreached, Sign::Unreached, Sign::Reached] {
            backoff.told("v2", 1, sign, 1);
        }
        for sign in [Sign::Unreached, Sign::Unclear, Sign::Unreached, Sign::Unreached, Sign::Unknown, Sign::Unreached] {
            backoff.told("v2", 1, sign, 1);
            assert!(backoff.may_send("v2", 1));
        }
        backoff.told("v2", 1, Sign::Unreached, 1);
        assert!(!backoff.may_send("v2", 1));
        for n in 0..100 {
            backoff.told("v1", n, Sign::Unclear, n);
        }
        assert!(backoff.may_send("v1", 100), "another cluster, which is slow");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_each_ends_with_one_trial() {
        let mut backoff = down();
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let before = now;
            while backoff.avoids("v2", now) {
                now += 10 * MILLISECOND;
            }
            pauses.push((now - before) / MILLISECOND);
            assert!(backoff.may_send("v2", now));
            // While it is on its way, no other is sent, however long that takes.
            assert!(!backoff.may_send("v2", now) && !backoff.may_send("v2", now + 10 * LONGEST));
            backoff.told("v2", now, Sign::Unreached, now);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn the_first_copy_that_arrives_ends_it() {
        let mut backoff = down();
        let now = START + FIRST;
        assert!(backoff.may_send("v2", now));
        backoff.told("v2", now, Sign::Reached, now + 1);
        assert!((0..10).all(|_| backoff.may_send("v2", now + 1)));
        assert!(backoff.clusters.is_empty());
    }

    #[test]
    fn what_was_sent_before_counts_for_nothing() {
        let mut backoff = down();
        for n in 0..50 {
            backoff.told("v2", n, Sign::Unreached, START + n);
            backoff.told("v2", n, Sign::Reached, START + n);
        }
        assert!(!backoff.may_send("v2", START + FIRST - 1) && backoff.may_send("v2", START + FIRST));
    }

    #[test]
    fn a_trial_that_nobody_waited_for_is_followed_by_another_at_once() {
        let mut backoff = down();
        let now = START + FIRST;
        assert!(backoff.may_send("v2", now));
        backoff.told("v2", now, Sign::Unknown, now + 1);
        assert!(backoff.may_send("v2", now + 1));
        backoff.told("v2", now + 1, Sign::Unclear, now + 2);
        assert!(!backoff.may_send("v2", now + 2 * FIRST) && backoff.may_send("v2", now + 2 + 2 * FIRST));
    }

    #[test]
    fn a_cluster_that_nobody_names_is_forgotten() {
        let mut backoff = down();
        backoff.keep(|cluster| cluster == "v2");
        assert!(backoff.avoids("v2", START));
        backoff.keep(|cluster| cluster == "v3");
        assert!(backoff.may_send("v2", START));
    }
}
