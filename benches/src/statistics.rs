//! Medians, quantiles and percentile-bootstrap intervals (Efron 1979; Davison and Hinkley 1997, section 5.3).

/// How often a sample is drawn anew.
const RESAMPLES: usize = 2_000;
/// Any fixed number: the same sample always gets the same interval.
const SEED: u64 = 20_260_101;

/// A statistic and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Of the sample.
    pub(crate) value: f64,
    /// 2.5 % of the resamples are below.
    pub(crate) low: f64,
    /// 2.5 % of the resamples are above.
    pub(crate) high: f64,
}

/// The value below which a share `q` (0 to 1) of the sample lies, by nearest rank; not a number for no sample.
pub(crate) fn quantile(sample: &[f64], q: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within the sample"
    )]
    let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// The median; of an even number, the mean of the two in the middle.
pub(crate) fn median(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.get(half), sorted.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(upper), _) => sorted.get(half - 1).map_or(f64::NAN, |lower| f64::midpoint(*lower, *upper)),
        (None, _) => f64::NAN,
    }
}

/// A statistic of rounds. The rounds are resampled as wholes, so that what was measured in one round stays together.
pub(crate) fn estimate(rounds: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let all: Vec<usize> = (0..rounds).collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    let drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let resample: Vec<usize> = all.iter().map(|_| random.usize(..rounds)).collect();
            statistic(&resample)
        })
        .collect();
    Estimate { value: statistic(&all), low: quantile(&drawn, 0.025), high: quantile(&drawn, 0.975) }
}

/// Slope of the least-squares line through points.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of points")]
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), point| {
        ((point.0 - x).mul_add(point.1 - y, over), (point.0 - x).mul_add(point.0 - x, under))
    });
    over / under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let sample: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&sample, 0.5) - 50.0).abs() < 1e-9);
        assert!((quantile(&sample, 0.99) - 99.0).abs() < 1e-9);
        assert!((quantile(&sample, 1.0) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn medians_of_odd_and_even_samples() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn an_interval_holds_its_estimate_and_narrows_with_the_sample() {
        let width = |n: usize| {
            let mut random = fastrand::Rng::with_seed(1);
            let sample: Vec<f64> = (0..n).map(|_| random.f64()).collect();
            let estimate = estimate(n, |rounds| median(&rounds.iter().map(|i| sample[*i]).collect::<Vec<_>>()));
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
            estimate.high - estimate.low
        };
        assert!(width(400) < width(25));
    }

    #[test]
    fn a_line_has_its_slope() {
        assert!((slope(&[(1.0, 5.0), (2.0, 7.0), (4.0, 11.0)]) - 2.0).abs() < 1e-9);
    }
}
