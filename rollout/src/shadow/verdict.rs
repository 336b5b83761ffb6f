//! Is the shadow ready for users? Evidence against limits, overall and in each segment, and what to do.
//!
//! One look at what is there: bounds hold at one time, with the given confidence. (The rollout's step looks again and again, and has bounds for
//! that.) What holds is what the interval's nearer end allows; what fails is what its farther end does not; between lies "not known yet", and
//! then it is said how many comparisons it would take.

use serde::Serialize;

use super::latencies::Latencies;
use super::{accepted, errors, latency};
use crate::stats::cell::{Arm, Stratum};
use crate::stats::compare::{self, Ask, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::histogram::Histogram;
use crate::stats::paired::clustered;
use crate::stats::quantile::{self, Pair};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Share of compared pairs that must agree. Default 0.85.
    pub agreement: f64,
    /// How many times the p95 of the version in service the shadow's may be. Default 1.5.
    pub latency: f64,
    /// A rise of the p95 below this never fails, microseconds. Default 10,000.
    pub latency_floor: f64,
    /// How many times the errors of the version in service the shadow's may be. Default 2.
    pub errors: f64,
    /// A rise of the share of errors below this never fails. Default 0.005.
    pub errors_floor: f64,
    /// Comparisons that are needed. Default 1,000.
    pub comparisons: f64,
    /// Chance that the interval of a criterion does not hold the truth, over all segments. Default 0.05.
    pub alpha: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            agreement: 0.85,
            latency: 1.5,
            latency_floor: 10_000.0,
            errors: 2.0,
            errors_floor: 0.005,
            comparisons: 1_000.0,
            alpha: 0.05,
        }
    }
}

/// What was seen in one segment, or over all.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Name of the segment; empty: over all.
    pub segment: String,
    /// Compared pairs, and those that agree, by bucket of users.
    pub agreement: Arm,
    /// Disagreements that people looked at, and those in which they accept the shadow's answer (it was right, or as good), by bucket.
    pub accepted: Arm,
    /// Pairs, and errors of the version in service, by bucket of users.
    pub primary_errors: Arm,
    /// Pairs, and errors of the shadow.
    pub shadow_errors: Arm,
    /// Latencies of the version in service; none: not known.
    pub primary: Option<Timings>,
    /// Latencies of the shadow.
    pub shadow: Option<Timings>,
    /// Nothing is known of users: pairs are taken to be independent.
    pub independent: bool,
}

/// Latencies, microseconds.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// By edges.
    pub histogram: Histogram,
    /// The same in finer bins, where they are known.
    pub fine: Option<Latencies>,
    /// The p95 as exactly as it is known.
    pub p95: Option<f64>,
    /// How much users who come back blow up the variance, at least 1.
    pub effect: f64,
}

/// Whether a criterion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// More comparisons would tell.
    Open,
    /// It cannot be measured from what is there.
    Unmeasured,
}

/// One criterion.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// `agreement`, `errors`, `latency`.
    pub name: &'static str,
    /// Segment; empty: over all.
    pub segment: String,
    /// Whether it holds.
    pub held: Held,
    /// What was measured: a share, or microseconds.
    pub measured: Option<f64>,
    /// Between which bounds.
    pub bounds: Option<[f64; 2]>,
    /// What is allowed.
    pub allowed: Option<f64>,
    /// How many more comparisons it would take, when it is open.
    pub more: Option<f64>,
    /// The same for people.
    pub sentence: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Recommendation {
    /// Give it users.
    Promote,
    /// It fails more often than it may.
    FixErrors,
    /// It answers differently more often than it may.
    InvestigateDisagreement,
    /// It is slower than it may be.
    FixLatency,
    /// Nothing is decided yet.
    NeedMore,
}

impl Recommendation {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::FixErrors => "fix errors",
            Self::InvestigateDisagreement => "investigate disagreement",
            Self::FixLatency => "fix latency",
            Self::NeedMore => "need more comparisons",
        }
    }
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What to do.
    pub recommendation: Recommendation,
    /// Why, in a sentence.
    pub because: String,
    /// Comparisons seen.
    pub comparisons: f64,
    /// How many more it takes, when nothing is decided.
    pub more: Option<f64>,
    /// Every criterion over all, then in each segment.
    pub checks: Vec<Check>,
}

/// Holds what was seen against what is allowed. `segments` may be empty.
#[must_use]
pub fn judge(all: &Evidence, segments: &[Evidence], limits: &Limits) -> Verdict {
    let comparisons = all.agreement.units();
    let mut checks = self::checks(all, limits, limits.alpha).to_vec();
    // One segment is all there is.
    if segments.len() > 1 {
        #[expect(clippy::cast_precision_loss, reason = "some dozens")]
        let alpha = limits.alpha / segments.len() as f64;
        checks.extend(segments.iter().flat_map(|segment| self::checks(segment, limits, alpha)));
    }
    let failed = |name: &str| checks.iter().find(|check| check.name == name && check.held == Held::Fails);
    let order = [
        ("errors", Recommendation::FixErrors),
        ("agreement", Recommendation::InvestigateDisagreement),
        ("latency", Recommendation::FixLatency),
    ];
    let found = order.iter().find_map(|(name, what)| failed(name).map(|check| (*what, check.sentence.clone())));
    let (recommendation, because, more) = if let Some((what, because)) = found {
        (what, because, None)
    } else if comparisons < limits.comparisons {
        let more = (limits.comparisons - comparisons).ceil();
        let text =
            format!("{comparisons:.0} comparisons were seen, {:.0} are needed: {more:.0} more", limits.comparisons);
        (Recommendation::NeedMore, text, Some(more))
    } else if let Some(open) = checks.iter().find(|check| check.segment.is_empty() && check.held == Held::Open) {
        (Recommendation::NeedMore, open.sentence.clone(), open.more)
    } else if let Some(unknown) = checks.iter().find(|check| check.segment.is_empty() && check.held != Held::Holds) {
        let text = format!("{}; more comparisons alone do not help, they must tell it", unknown.sentence);
        (Recommendation::NeedMore, text, None)
    } else {
        let undecided: Vec<&str> =
            checks.iter().filter(|c| c.held != Held::Holds).map(|c| c.segment.as_str()).collect();
        let but = match undecided.first() {
            Some(first) => format!("; in segment {first} there are too few comparisons to say the same"),
            None => String::new(),
        };
        let text = format!("agreement, errors and latency hold over {comparisons:.0} comparisons{but}");
        (Recommendation::Promote, text, None)
    };
    Verdict { recommendation, because, comparisons, more, checks }
}

fn checks(seen: &Evidence, limits: &Limits, alpha: f64) -> [Check; 3] {
    [agreement(seen, limits, alpha), errors(seen, limits, alpha), latency(seen, limits, alpha)]
}

fn place(segment: &str) -> String {
    if segment.is_empty() { String::new() } else { format!(" in segment {segment}") }
}

fn unmeasured(name: &'static str, seen: &Evidence, why: &str) -> Check {
    Check {
        name,
        segment: seen.segment.clone(),
        held: Held::Unmeasured,
        measured: None,
        bounds: None,
        allowed: None,
        more: None,
        sentence: format!("{name}{}: {why}", place(&seen.segment)),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn agreement(seen: &Evidence, limits: &Limits, alpha: f64) -> Check {
    let share = match clustered::share(&seen.agreement, seen.independent, alpha) {
        Ok(share) => share,
        Err(reason) => return unmeasured("agreement", seen, &reason.to_string()),
    };
    let people = accepted::of(&seen.agreement, &seen.accepted, seen.independent, alpha);
    let by_people = share.low < limits.agreement && people.is_some_and(|people| people.low >= limits.agreement);
    let held = match share {
        _ if share.low >= limits.agreement || by_people => Held::Holds,
        _ if share.high < limits.agreement => Held::Fails,
        _ => Held::Open,
    };
    let units = seen.agreement.units();
    let more = (held == Held::Open).then(|| more(units, share.value, limits.agreement, share.low, share.high));
    let said = match more {
        Some(more) => format!("not decided: about {more:.0} more comparisons would tell"),
        None if by_people => "as people judge, at least what is asked for".to_owned(),
        None if held == Held::Holds => "at least what is asked for".to_owned(),
        None => "less than what is asked for".to_owned(),
    };
    let looked = people.map_or_else(String::new, |people| {
        format!(
            "; people accept the shadow's answer in {:.0} of the {:.0} disagreements they looked at, so {} ({} to {}) agree or would be accepted",
            people.accepted,
            people.looked,
            percent(people.value),
            percent(people.low),
            percent(people.high)
        )
    });
    let shown =
        people.filter(|_| by_people).map_or((share.value, [share.low, share.high]), |p| (p.value, [p.low, p.high]));
    Check {
        name: "agreement",
        segment: seen.segment.clone(),
        held,
        measured: Some(shown.0),
        bounds: Some(shown.1),
        allowed: Some(limits.agreement),
        more,
        sentence: format!(
            "agreement{} is {} ({} to {}) over {units:.0} comparisons{looked}; {} is asked for: {said}",
            place(&seen.segment),
            percent(share.value),
            percent(share.low),
            percent(share.high),
            percent(limits.agreement),
        ),
    }
}

/// How many more units shrink the interval until it leaves the limit, if the value stays: its width falls with the root of their number.
fn more(units: f64, value: f64, limit: f64, low: f64, high: f64) -> f64 {
    let half = if value >= limit { value - low } else { high - value };
    // A value on the limit would take for ever: a hundredth of a point is as near as anybody wants to know.
    let distance = (value - limit).abs().max(1e-4);
    (units * ((half / distance).powi(2) - 1.0)).max(1.0).ceil()
}

fn errors(seen: &Evidence, limits: &Limits, alpha: f64) -> Check {
    let strata = [Stratum {
        name: seen.segment.clone(),
        canary: seen.shadow_errors.clone(),
        baseline: seen.primary_errors.clone(),
        share: None,
    }];
    let (Some(primary), Some(shadow)) = (seen.primary_errors.mean(), seen.shadow_errors.mean()) else {
        return unmeasured("errors", seen, "no answers were counted");
    };
    let allowed = (primary * limits.errors).max(primary + limits.errors_floor);
    let clustering = if seen.independent { Clustering::Independent } else { Clustering::Buckets };
    let ask = Ask { alpha, worse: Worse::Higher, clustering };
    let limit = Limit { ratio: limits.errors, floor: limits.errors_floor };
    let found = compare::rate(&strata, &limit, &ask);
    let share = clustered::share(&seen.shadow_errors, seen.independent, alpha).ok();
    let growth = errors::growth(
        &seen.primary_errors,
        &seen.shadow_errors,
        limits.errors,
        limits.errors_floor,
        seen.independent,
        alpha,
    );
    let (held, why) = match &found {
        Ok(found) if found.exceeded && shadow > allowed => (Held::Fails, ""),
        _ if shadow <= allowed && growth.is_some_and(|times| times <= 1.0) => (Held::Holds, ""),
        _ if shadow <= allowed => (Held::Open, ", but that may be chance"),
        _ => (Held::Open, ", which may be chance"),
    };
    let units = seen.shadow_errors.units();
    // Beyond the limit by what may be chance: as far as the shadow's own interval must shrink.
    let more = growth
        .map(|times| (units * (times - 1.0)).max(1.0).ceil())
        .or_else(|| share.map(|share| more(units, shadow, allowed, share.low, share.high)));
    Check {
        name: "errors",
        segment: seen.segment.clone(),
        held,
        measured: Some(shadow),
        bounds: share.map(|share| [share.low, share.high]),
        allowed: Some(allowed),
        more: (held == Held::Open).then(|| more.unwrap_or(limits.comparisons)),
        sentence: format!(
            "errors{}: {} of the shadow's answers, {} of those of the version in service, at most {} is allowed{why}",
            place(&seen.segment),
            percent(shadow),
            percent(primary),
            percent(allowed),
        ),
    }
}

fn latency(seen: &Evidence, limits: &Limits, alpha: f64) -> Check {
    let (Some(primary), Some(shadow)) = (&seen.primary, &seen.shadow) else {
        return unmeasured("latency", seen, "the latencies of both are not told");
    };
    let (Some(theirs), Some(ours)) = (primary.p95, shadow.p95) else {
        return unmeasured(
            "latency",
            seen,
            "a p95 cannot be told (no latencies, or above the histogram's last bucket)",
        );
    };
    let allowed = (theirs * limits.latency).max(theirs + limits.latency_floor);
    let effect = primary.effect.max(shadow.effect).max(1.0);
    let buckets = if seen.independent { 0 } else { seen.agreement.occupied() };
    let ask = quantile::Ask { q: 0.95, alpha, canary_effect: effect, baseline_effect: effect, buckets };
    let pair = Pair { canary: shadow.histogram.clone(), baseline: primary.histogram.clone() };
    let limit = Limit { ratio: limits.latency, floor: limits.latency_floor };
    let found = quantile::compare(&[pair], &limit, &ask).ok();
    // Each at half of alpha, so that both together hold.
    let of = |timings: &Timings| latency::bounds(timings, 0.95, effect, buckets, alpha / 2.0);
    let bounds = of(shadow);
    let least = of(primary).map(|[low, _]| (low * limits.latency).max(low + limits.latency_floor));
    let holds = matches!((bounds, least), (Some([_, high]), Some(least)) if high <= least);
    let held = match &found {
        Some(found) if found.exceeded && ours > allowed => Held::Fails,
        _ if ours <= allowed && holds => Held::Holds,
        _ => Held::Open,
    };
    let ms = |micros: f64| format!("{:.2} ms", micros / 1_000.0);
    let why = match held {
        Held::Open if ours <= allowed => ", but that may be chance",
        Held::Open => ", which may be chance",
        _ => "",
    };
    Check {
        name: "latency",
        segment: seen.segment.clone(),
        held,
        measured: Some(ours),
        bounds,
        allowed: Some(allowed),
        more: (held == Held::Open).then(|| shadow.histogram.total().max(limits.comparisons).ceil()),
        sentence: format!(
            "latency{}: the shadow's p95 is {}, that of the version in service {}, at most {} is allowed{why}",
            place(&seen.segment),
            ms(ours),
            ms(theirs),
            ms(allowed),
        ),
    }
}
