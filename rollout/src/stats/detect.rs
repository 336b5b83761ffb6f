//! What a step can notice: the smallest true difference that its traffic would show.
//!
//! Said before a step begins and while it runs, so that nobody takes "nothing found" for "nothing there". It solves for the
//! canary's rate at which the evidence of [`super::compare`] reaches `1/alpha` with the wished power, by the normal approximation
//! of the excess at the step's end; the exact test counts too, at its expected number of events less the same margin.

use super::cell::REPLICATES;
use super::compare::{FEWEST_EVENTS, Limit};
use super::contrast::{Clock, Score};
use super::counts::{self, Group};
use super::evalue::{crossing, ln_average};
use super::normal;
use super::reason::{Reason, amount, counted, probability};

/// The traffic that a step will have seen at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests of the canary.
    pub canary_units: f64,
    /// Requests of the baseline.
    pub baseline_units: f64,
    /// The baseline's rate, or its mean.
    pub baseline: f64,
    /// Design effect: 1 if every request is another user's. At least 1.
    pub effect: f64,
}

/// The smallest true rate of the canary that is found with chance `power` by the step's end.
///
/// Against an absolute bound give a `limit` with ratio 1 and the floor `bound - baseline`. Units: events per unit. Degenerate:
/// [`Reason::NoData`] without units, [`Reason::TooFew`] if not even a rate of 1 would be found.
pub fn rate(traffic: &Traffic, limit: &Limit, alpha: f64, power: f64) -> Result<f64, Reason> {
    check(traffic, alpha, power)?;
    let lines = [(limit.ratio, 0.0), (1.0, limit.floor)];
    // How far the evidence is from what is needed: falls below 0 where the canary's rate is noticed.
    let lacking = |rate: f64| {
        let of = |line: &(f64, f64)| rate_evidence(traffic, *line, rate, alpha, power);
        -alpha.ln() - lines.iter().map(of).fold(f64::INFINITY, f64::min)
    };
    if lacking(1.0) > 0.0 {
        return Err(Reason::TooFew {
            what: "requests to notice even a canary that always fails",
            have: traffic.canary_units,
            need: traffic.canary_units + 1.0,
        });
    }
    Ok(crossing(traffic.baseline.clamp(0.0, 1.0), 1.0, lacking))
}

fn rate_evidence(traffic: &Traffic, (slope, offset): (f64, f64), rate: f64, alpha: f64, power: f64) -> f64 {
    let Traffic { canary_units: n, baseline_units: m, baseline, effect } = *traffic;
    let behind = normal::isf(power);
    let own = effect * n * rate * (1.0 - rate);
    let variance = own + effect * (slope * n).powi(2) / m * baseline * (1.0 - baseline);
    let null = n * (slope * baseline + offset).clamp(0.0, 1.0);
    let floor = null * (1.0 - null / n) + 0.5;
    let excess = n * (rate - slope * baseline - offset) + behind * variance.sqrt();
    let df = 2.0 * (REPLICATES as f64 - 1.0);
    let score = Score { excess, variance: variance.max(floor), df };
    let events = ((n * rate + behind * own.sqrt()).max(0.0) / effect).min(n);
    let cells = REPLICATES as f64 * (1.0 - (-events / REPLICATES as f64).exp());
    let group = Group { events: cells, baseline_events: m * baseline, ratio: n / m, exposure: n };
    let exact = counts::ln_e(&[group], slope, offset);
    let enough = n * rate + m * baseline >= FEWEST_EVENTS;
    let buckets = if enough { score.ln_e(Clock::Variance(50.0), alpha, n) } else { f64::NEG_INFINITY };
    ln_average(&[exact, buckets])
}

/// The smallest true mean of the canary that is found with chance `power` by the step's end. `variance`: of one unit, in
/// squared units of the metric.
pub fn mean(traffic: &Traffic, variance: f64, limit: &Limit, alpha: f64, power: f64) -> Result<f64, Reason> {
    check(traffic, alpha, power)?;
    if amount("the variance", variance)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let Traffic { canary_units: n, baseline_units: m, baseline, effect } = *traffic;
    let behind = normal::isf(power);
    let lines = [(limit.ratio, 0.0), (1.0, limit.floor)];
    let lacking = |mean: f64| {
        let of = |(slope, offset): &(f64, f64)| {
            let of_sum = effect * variance * (n + (slope * n).powi(2) / m);
            let excess = n * (mean - slope * baseline - offset) + behind * of_sum.sqrt();
            let score = Score { excess, variance: of_sum, df: 2.0 * (REPLICATES as f64 - 1.0) };
            score.ln_e(Clock::Units(2000.0), alpha, n)
        };
        -alpha.ln() - lines.iter().map(of).fold(f64::INFINITY, f64::min)
    };
    let reach = baseline.abs() * limit.ratio + limit.floor + 1e4 * (effect * variance / n).sqrt();
    if lacking(reach) > 0.0 {
        return Err(Reason::TooFew { what: "requests", have: n, need: n + 1.0 });
    }
    Ok(crossing(baseline, reach, lacking))
}

fn check(traffic: &Traffic, alpha: f64, power: f64) -> Result<(), Reason> {
    probability("alpha", alpha)?;
    probability("the power", power)?;
    amount("the baseline", traffic.baseline)?;
    if counted("a number of units", traffic.canary_units)? == 0.0 {
        return Err(Reason::NoData("canary"));
    }
    if counted("a number of units", traffic.baseline_units)? == 0.0 {
        return Err(Reason::NoData("baseline"));
    }
    if traffic.effect.is_finite() && traffic.effect >= 1.0 {
        Ok(())
    } else {
        Err(Reason::OutOfRange { what: "the design effect", value: traffic.effect, allowed: "at least 1" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { ratio: 2.0, floor: 0.005 };

    #[test]
    fn more_traffic_notices_less() {
        let at = |units: f64| {
            let traffic = Traffic { canary_units: units, baseline_units: 19.0 * units, baseline: 0.005, effect: 1.0 };
            rate(&traffic, &LIMIT, 0.001, 0.8).unwrap()
        };
        assert!(
            at(100.0) > at(1_000.0) && at(1_000.0) > at(100_000.0),
            "{} {} {}",
            at(100.0),
            at(1_000.0),
            at(100_000.0)
        );
        assert!(at(1e7) > 0.01 && at(1e7) < 0.0105, "{}", at(1e7));
    }

    #[test]
    fn too_little_is_said() {
        let traffic = Traffic { canary_units: 1.0, baseline_units: 10.0, baseline: 0.1, effect: 1.0 };
        assert!(matches!(rate(&traffic, &LIMIT, 0.001, 0.8), Err(Reason::TooFew { .. })));
        assert_eq!(rate(&Traffic { canary_units: 0.0, ..traffic }, &LIMIT, 0.001, 0.8), Err(Reason::NoData("canary")));
    }

    #[test]
    fn means_too() {
        let traffic = Traffic { canary_units: 10_000.0, baseline_units: 90_000.0, baseline: 100.0, effect: 2.0 };
        let found = mean(&traffic, 2500.0, &Limit { ratio: 1.2, floor: 10.0 }, 0.001, 0.8).unwrap();
        assert!(found > 120.0 && found < 125.0, "{found}");
    }
}
