//! Few events: an exact test that may be looked at whenever one likes, and that stays honest when some users are heavy.
//!
//! One failing user who comes back a hundred times is one piece of evidence, not a hundred. So of the canary only the
//! *cells* (bucket of users within a segment) with at least one event count: never more than the users who ever had one.
//! Of the baseline every event counts. Both choices err towards the canary. The first event of each user is independent of
//! other users' and happens once, so the events of both versions in order of time form a thinned Poisson process, whatever
//! users do afterwards; that is what makes the test valid at every look.
//!
//! For rates `c` (canary) and `b` (baseline) per unit and the hypothesis `c <= a*b + f`, with exposures `n` and `m`,
//! `q = n/m`, any tilt `r` in `(1, 1 + 1/(a*q)]` gives a non-negative supermartingale without nuisance parameter,
//!
//! `E_r = r^K * (1 - (r-1)*a*q)^X * exp(-(r-1)*n*f)`,
//!
//! `K` cells of the canary with events, `X` events of the baseline. With `f = 0` it is the likelihood ratio of the binomial
//! share of the canary among all events (Lindon and Malek 2022, "Anytime-valid inference for multinomial count data",
//! arXiv 2011.03567, section 4 on Poisson processes); with `a = 0` the one of a Poisson count. The average over a grid of tilts
//! is an e-process too.
//! The ratio of exposures is the one of the weights where it is known: users are divided by weights exactly, whereas a heavy
//! healthy user in the baseline would lower its apparent rate. Where both are known the larger holds: it is against the alarm.

use super::cell::Stratum;
use super::evalue::ln_sum_exp;

/// How the observations of an arm depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clustering {
    /// Several observations of one user, users divided into cells: variance from between the cells. The rule for requests.
    #[default]
    Buckets,
    /// Each observation is another user's: outcomes of keys. Cells are only added up.
    Independent,
}

/// Events of both versions under one ratio of exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    /// The canary's events that count: cells with at least one, or all if observations are independent.
    pub events: f64,
    /// All events of the baseline.
    pub baseline_events: f64,
    /// The canary's exposure for one unit of the baseline's: its share of users / theirs.
    pub ratio: f64,
    /// The canary's exposure, in units.
    pub exposure: f64,
}

impl Group {
    /// At each tilt of a grid that ends at `cap`, with `expected` of the baseline's events at the canary: ln of the e-value at an offset
    /// of 0, and how much an offset of 1 takes away.
    fn tilted(&self, expected: f64, cap: f64) -> [(f64, f64); TILTS] {
        let log_tilt = cap.clamp(1.0, LARGEST_TILT).ln() / TILTS as f64;
        let first = log_tilt.exp_m1();
        let (mut log, mut excess) = (0.0, 0.0);
        std::array::from_fn(|_| {
            log += log_tilt;
            // exp(log) - 1, without loss.
            excess += first + excess * first;
            let baseline = if self.baseline_events > 0.0 {
                self.baseline_events * (-excess * expected).max(-1.0).ln_1p()
            } else {
                0.0
            };
            (self.events * log + baseline, excess * self.exposure)
        })
    }
}

/// Points of the grid of tilts. 16 lose at most ln 16 = 2.8 of ln e against knowing the true tilt in advance.
const TILTS: usize = 16;
/// No tilt above this: rates that differ by more are found at once anyway.
const LARGEST_TILT: f64 = 1e4;

/// What counts of a stratum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// The canary's share of the users, where it is known.
    pub(super) share: Option<f64>,
    pub(super) units: f64,
    /// The canary's events that count.
    pub(super) events: f64,
    pub(super) baseline_units: f64,
    pub(super) baseline_events: f64,
}

/// Gathers strata into groups of one ratio of exposures each (one group where all segments have the same weights).
/// Strata without units in either version are left out, unless the hypothesis is `absolute` and needs no baseline.
#[must_use]
pub fn groups(strata: &[Stratum], clustering: Clustering, absolute: bool) -> Vec<Group> {
    let counted = |stratum: &Stratum| Counted {
        share: stratum.share,
        units: stratum.canary.units(),
        events: match clustering {
            Clustering::Buckets => stratum.canary.cells.iter().filter(|cell| cell.total > 0.0).count() as f64,
            Clustering::Independent => stratum.canary.total(),
        },
        baseline_units: stratum.baseline.units(),
        baseline_events: stratum.baseline.total(),
    };
    gathered(strata.iter().map(counted), absolute)
}

/// The same from what counts of each stratum.
pub(super) fn gathered(strata: impl Iterator<Item = Counted>, absolute: bool) -> Vec<Group> {
    let mut groups: Vec<(Option<f64>, Group, f64, f64)> = Vec::new();
    for Counted { share, units, events, baseline_units, baseline_events } in strata {
        if units <= 0.0 || (baseline_units <= 0.0 && !absolute) {
            continue;
        }
        let at = groups.iter().position(|(known, ..)| known.is_some() && *known == share).unwrap_or(groups.len());
        if at == groups.len() {
            groups.push((share, Group::default(), 0.0, 0.0));
        }
        if let Some((_, group, canary, baseline)) = groups.get_mut(at) {
            group.events += events;
            group.baseline_events += baseline_events;
            *canary += units;
            *baseline += baseline_units;
        }
    }
    groups
        .into_iter()
        .map(|(share, group, canary, baseline)| {
            let designed =
                share.filter(|share| *share > 0.0 && *share < 1.0).map_or(0.0, |share| share / (1.0 - share));
            let observed = if baseline > 0.0 { canary / baseline } else { 0.0 };
            let ratio = designed.max(observed);
            Group { ratio, exposure: canary.max(ratio * baseline), ..group }
        })
        .collect()
}

/// ln of the e-value against `canary <= slope * baseline + offset`, both rates per unit, in every group.
///
/// Valid at every look if the weights (or the ratio of exposures) stay. `slope >= 0`; an `offset` below 0 is taken as 0. No group,
/// or none with exposure: 0, no evidence.
#[must_use]
pub fn ln_e(groups: &[Group], slope: f64, offset: f64) -> f64 {
    let offset = offset.max(0.0);
    let mut logs = [0.0; TILTS];
    for group in groups.iter().filter(|group| group.exposure > 0.0) {
        let expected = slope * group.ratio;
        let cap = if expected > 0.0 { 1.0 + 1.0 / expected } else { 1.0 / offset.max(1.0 / LARGEST_TILT) };
        for (log, (own, per)) in logs.iter_mut().zip(group.tilted(expected, cap)) {
            *log += own - per * offset;
        }
    }
    ln_sum_exp(&logs) - (TILTS as f64).ln()
}

/// What of [`ln_e`] stays the same for one slope, for a search over offsets.
#[derive(Clone, Debug)]
pub(super) struct Tilts {
    /// Of each tilt: ln of the e-value at an offset of 0, and how much an offset of 1 takes away.
    terms: [(f64, f64); TILTS],
}

impl Tilts {
    /// `None` where a group has no exposure to be compared with: there the grid itself depends on the offset.
    pub(super) fn new(groups: &[Group], slope: f64) -> Option<Tilts> {
        let mut terms = [(0.0, 0.0); TILTS];
        for group in groups.iter().filter(|group| group.exposure > 0.0) {
            let expected = slope * group.ratio;
            if expected <= 0.0 {
                return None;
            }
            for ((log, per), (own, takes)) in terms.iter_mut().zip(group.tilted(expected, 1.0 + 1.0 / expected)) {
                *log += own;
                *per += takes;
            }
        }
        Some(Tilts { terms })
    }

    /// [`ln_e`] at this offset.
    pub(super) fn ln_e(&self, offset: f64) -> f64 {
        let offset = offset.max(0.0);
        ln_sum_exp(&self.terms.map(|(log, per)| log - per * offset)) - (TILTS as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Arm;

    fn arm(cells: &[(f64, f64)]) -> Arm {
        let mut arm = Arm::default();
        for (bucket, (units, events)) in cells.iter().enumerate() {
            arm.add(bucket, *units, *events);
        }
        arm
    }

    #[test]
    fn one_tilt_is_the_likelihood_ratio_of_the_binomial_share() {
        // Of 7 events 5 are the canary's; hypothesis: share 1/3 (a = 1, q = 1/2); last-but-one tilt by hand.
        let group = Group { events: 5.0, baseline_events: 2.0, ratio: 0.5, exposure: 100.0 };
        let mut by_hand = Vec::new();
        for step in 1..=16 {
            let tilt = 3f64.powf(f64::from(step) / 16.0);
            let share = tilt / 3.0;
            let ratio = (share * 3.0).powi(5) * ((1.0 - share) * 1.5).powi(2);
            by_hand.push(ratio.max(0.0));
        }
        let expected = (by_hand.iter().sum::<f64>() / 16.0).ln();
        assert!((ln_e(&[group], 1.0, 0.0) - expected).abs() < 1e-12);
    }

    #[test]
    fn a_search_over_offsets_asks_the_same() {
        let groups = [
            Group { events: 5.0, baseline_events: 2.0, ratio: 0.5, exposure: 100.0 },
            Group { events: 12.0, baseline_events: 0.0, ratio: 3.0, exposure: 40.0 },
            Group { events: 1.0, baseline_events: 30.0, ratio: 1e-7, exposure: 0.01 },
        ];
        for slope in [0.5, 1.0, 3.0] {
            let tilts = Tilts::new(&groups, slope).unwrap();
            for offset in [-0.1, 0.0, 0.001, 0.2, 1.0] {
                let (once, each) = (tilts.ln_e(offset), ln_e(&groups, slope, offset));
                assert!((once - each).abs() < 1e-9 * each.abs().max(1.0), "{slope} {offset}: {once} {each}");
            }
        }
        assert!(Tilts::new(&groups, 0.0).is_none());
    }

    #[test]
    fn a_heavy_user_counts_once() {
        let heavy = Stratum {
            canary: arm(&[(500.0, 500.0), (500.0, 0.0)]),
            baseline: arm(&[(1000.0, 5.0)]),
            ..Stratum::default()
        };
        let spread =
            Stratum { canary: arm(&[(100.0, 50.0); 10]), baseline: arm(&[(10_000.0, 5.0)]), ..Stratum::default() };
        assert!(ln_e(&groups(&[heavy], Clustering::Buckets, false), 2.0, 0.0) < 1.0);
        assert!(ln_e(&groups(&[spread], Clustering::Buckets, false), 1.0, 0.0) > 1.0);
    }

    #[test]
    fn wholly_failing_is_plain_after_a_few_events() {
        // 8 buckets with a failure each, at 1 %; the baseline had 3 failures of 900.
        let group = Group { events: 8.0, baseline_events: 3.0, ratio: 8.0 / 900.0, exposure: 8.0 };
        assert!(ln_e(&[group], 2.0, 0.0) > 1e5f64.ln(), "{}", ln_e(&[group], 2.0, 0.0));
        assert!(ln_e(&[Group { baseline_events: 0.0, ..group }], 0.0, 0.01) > 1e5f64.ln());
    }

    #[test]
    fn nothing_is_no_evidence() {
        assert_eq!(ln_e(&[], 2.0, 0.0), 0.0);
        assert!(ln_e(&[Group { events: 0.0, baseline_events: 9.0, ratio: 1.0, exposure: 10.0 }], 1.0, 0.0) < 0.0);
        assert_eq!(groups(&[Stratum::default()], Clustering::Buckets, false), Vec::new());
    }

    #[test]
    fn heavy_healthy_baseline_does_not_raise_the_alarm() {
        // Weights 1 : 1, but one healthy user makes 90 % of the baseline's requests.
        let stratum = Stratum {
            canary: arm(&[(100.0, 5.0); 20]),
            baseline: arm(&[(100.0, 5.0), (100.0, 5.0), (18_000.0, 0.0)]),
            share: Some(0.5),
            ..Stratum::default()
        };
        let groups = groups(&[stratum], Clustering::Buckets, false);
        assert_eq!(groups[0].ratio, 1.0);
    }
}
