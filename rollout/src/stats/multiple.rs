//! Several metrics or segments: p-values adjusted for how many there are.

use super::reason::Reason;

/// Holm's step-down adjustment: the chance of any false alarm is held, whatever the dependence.
///
/// Holm 1979, Scandinavian Journal of Statistics 6. Adjusted p-values in the order given; reject those at or below alpha. Works for anytime-valid
/// p-values too. Degenerate: NaN or a value outside of [0, 1].
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Reason> {
    let mut largest: f64 = 0.0;
    adjusted(p, false, |p, rank, m| {
        largest = largest.max((p * (m - rank) as f64).min(1.0));
        largest
    })
}

/// Benjamini and Hochberg's step-up adjustment: the share of false alarms among all alarms is held.
///
/// Benjamini and Hochberg 1995, JRSS B 57, for independent or positively dependent p-values; anytime-valid ones at a stopping time
/// common to all hypotheses need e-BH (Wang and Ramdas 2022) instead. Degenerate as [`holm`].
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, Reason> {
    let mut least: f64 = 1.0;
    adjusted(p, true, |p, rank, m| {
        least = least.min(p * m as f64 / (rank + 1) as f64);
        least
    })
}

/// Visits p-values by rank (from the largest if `down`), and puts what `next(p, rank, m)` says back into the order given.
fn adjusted(p: &[f64], down: bool, mut next: impl FnMut(f64, usize, usize) -> f64) -> Result<Vec<f64>, Reason> {
    if let Some(value) = p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Reason::NotAProbability { what: "a p-value", value: *value });
    }
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut ranked: Vec<(usize, (usize, f64))> = order.into_iter().enumerate().collect();
    if down {
        ranked.reverse();
    }
    let mut found = vec![0.0; p.len()];
    for (rank, (at, value)) in ranked {
        if let Some(slot) = found.get_mut(at) {
            *slot = next(value, rank, p.len());
        }
    }
    Ok(found)
}

/// e-BH: which hypotheses to reject so that the expected share of false ones is at most `alpha`, from e-values given as logarithms,
/// under any dependence and at any stopping time. Wang and Ramdas 2022, JRSS B 84, section 2.
#[must_use]
pub fn e_benjamini_hochberg(logs: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<f64> = logs.to_vec();
    order.sort_by(|a, b| b.total_cmp(a));
    let m = logs.len() as f64;
    let enough = |(rank, log): (usize, &f64)| (*log >= (m / ((rank + 1) as f64 * alpha)).ln()).then_some(*log);
    let least = order.iter().enumerate().filter_map(enough).next_back();
    logs.iter().map(|log| least.is_some_and(|least| *log >= least)).collect()
}
