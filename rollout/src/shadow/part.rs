//! What the pairs of one segment, or of all, add up to: agreement, errors, latencies. It recommends nothing.

use super::findings::{Estimate, Quantiles, Segment};
use super::latencies::Latencies;
use super::observed::{Observed, Right};
use super::verdict::{Evidence, Timings};
use crate::stats::paired::clustered;
use crate::stats::{Arm, design};

/// What one segment's pairs add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) agreement: Arm,
    /// Disagreements that people looked at, and those in which they accept the shadow's answer.
    accepted: Arm,
    primary_errors: Arm,
    shadow_errors: Arm,
    pub(super) primary: Latencies,
    pub(super) shadow: Latencies,
    primary_micros: Arm,
    shadow_micros: Arm,
}

impl Part {
    /// Takes in a comparison of this segment.
    pub(super) fn take(&mut self, seen: &Observed<'_>, bucket: usize, weight: f64) {
        if seen.shadow.is_nobodys_fault() {
            return;
        }
        let error = |failed: bool| if failed { weight } else { 0.0 };
        self.primary_errors.add(bucket, weight, error(seen.primary.failed()));
        self.shadow_errors.add(bucket, weight, error(seen.shadow.failed()));
        if let Some(micros) = seen.primary.micros {
            self.primary.take(micros, weight);
            self.primary_micros.add(bucket, weight, weight * micros);
        }
        if seen.shadow.error.is_some() {
            return;
        }
        if let Some(agrees) = seen.agrees {
            self.agreement.add(bucket, weight, if agrees { weight } else { 0.0 });
        }
        if let Some(micros) = seen.shadow.micros {
            self.shadow.take(micros, weight);
            self.shadow_micros.add(bucket, weight, weight * micros);
        }
    }

    /// Takes in what a person said of a disagreement.
    pub(super) fn said(&mut self, bucket: usize, right: Right) {
        self.accepted.add(bucket, 1.0, if right.accepts() { 1.0 } else { 0.0 });
    }

    /// What the verdict is about.
    pub(super) fn evidence(&self, segment: &str, independent: bool, worth: f64) -> Evidence {
        let scaled = |arm: &Arm| {
            let mut arm = arm.clone();
            if independent {
                for cell in &mut arm.cells {
                    cell.units *= worth;
                    cell.total *= worth;
                }
            }
            arm
        };
        let timings = |latencies: &Latencies, sums: &Arm| {
            let effect =
                if independent { 1.0 / worth } else { design::of_mean(sums, latencies.variance()).max(1.0 / worth) };
            (latencies.total() > 0.0).then(|| Timings {
                histogram: latencies.histogram(),
                fine: Some(latencies.clone()),
                p95: latencies.quantile(0.95),
                effect,
            })
        };
        Evidence {
            segment: segment.to_owned(),
            agreement: scaled(&self.agreement),
            accepted: self.accepted.clone(),
            primary_errors: scaled(&self.primary_errors),
            shadow_errors: scaled(&self.shadow_errors),
            primary: timings(&self.primary, &self.primary_micros),
            shadow: timings(&self.shadow, &self.shadow_micros),
            independent,
        }
    }

    /// Its line.
    pub(super) fn segment(&self, name: &str, evidence: &Evidence, alpha: f64) -> Segment {
        Segment {
            name: name.to_owned(),
            compared: self.agreement.units(),
            agreement: estimate(evidence, alpha),
            primary_errors: self.primary_errors.mean(),
            shadow_errors: self.shadow_errors.mean(),
            primary_p95: self.primary.quantile(0.95),
            shadow_p95: self.shadow.quantile(0.95),
        }
    }
}

/// The share that agrees, with its interval.
pub(super) fn estimate(evidence: &Evidence, alpha: f64) -> Estimate {
    match clustered::share(&evidence.agreement, evidence.independent, alpha) {
        Ok(share) => Estimate {
            value: Some(share.value),
            low: Some(share.low),
            high: Some(share.high),
            effect: Some(share.effect),
            buckets: share.buckets,
            reason: None,
        },
        Err(reason) => {
            Estimate { value: evidence.agreement.mean(), reason: Some(reason.to_string()), ..Estimate::default() }
        }
    }
}

/// Of the whole.
pub(super) fn quantiles(of: &Latencies) -> Quantiles {
    let at = |q: f64| of.quantile(q);
    Quantiles { count: of.total(), p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), most: of.most() }
}
