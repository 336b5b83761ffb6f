//! Criteria: defaults, units, and where a measurement can come from.

use super::Checks;
use crate::file::{Amount, Criterion as Written, FailureLimit, Importance, Looks, Metric, Procedure, Quantity, Spec};
use crate::plan::{Bound, Criterion, Source, Unit, unit};

/// What the steps of a file share.
pub(super) struct Context<'a> {
    pub(super) spec: &'a Spec,
    pub(super) interval_ms: u64,
}

/// What a judged step can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Both versions have users.
    Split,
    /// The new version has all users.
    Full,
    /// The new version has copies alone, whose answers the filter compares.
    Compared,
    /// The new version has copies alone: what it answers is seen where the copies go, not by the filter.
    Shadow,
}

/// A rise of a rate that never fails, when the file names none: half a point.
const RATE_FLOOR: f64 = 0.005;
/// A rise of a time that never fails, when the file names none: 10 ms.
const TIME_FLOOR: f64 = 10_000.0;
/// As [`RATE_FLOOR`], for unfinished requests: those in flight at a look are no failure.
const UNFINISHED_FLOOR: f64 = 0.05;

impl Context<'_> {
    /// The rollout's criteria that can be judged at `place`, and the step's own, which replace those of the same name.
    pub(super) fn criteria(&self, own: &[Written], at: &str, place: Place, checks: &mut Checks) -> Vec<Criterion> {
        let wrong = checks.0.len();
        let own: Vec<Criterion> = self.list(own, at, checks);
        let mut shared = Checks::default();
        let mut out = match &self.spec.analysis.criteria {
            Some(list) => self.list(list, "spec.analysis.criteria", &mut shared),
            None if place == Place::Compared => compared(),
            None => defaults(),
        };
        let all_read = shared.0.is_empty() && checks.0.len() == wrong;
        checks.0.append(&mut shared.0);
        out.retain(|c| seen_at(c, place) && !own.iter().any(|o| o.name == c.name));
        if place == Place::Compared && !own.iter().chain(&out).any(|c| c.metric == Metric::Agreement) {
            out.extend(compared().into_iter().filter(|c| c.metric == Metric::Agreement));
        }
        for criterion in own {
            if !seen_at(&criterion, place) {
                let (reason, fix) = if criterion.metric == Metric::Agreement {
                    ("can be seen where copies are compared alone", "judge it in a shadow step with `mode: compare`")
                } else {
                    ("cannot be seen on copies", "judge it in a step with users, or take it from a provider")
                };
                checks.push(at, format!("`{}` {reason}", criterion.name), fix);
            }
            out.push(criterion);
        }
        if all_read && out.iter().all(|c| matches!(c.importance, Importance::DryRun)) {
            checks.refuse(at, "nothing judges this step", "name a criterion that is no dry run");
        }
        out
    }

    fn list(&self, written: &[Written], at: &str, checks: &mut Checks) -> Vec<Criterion> {
        let mut out: Vec<Criterion> = Vec::new();
        for (index, criterion) in written.iter().enumerate() {
            let path = format!("{at}[{index}]");
            if let Some(criterion) = self.one(criterion, &path, checks) {
                if out.iter().any(|o| o.name == criterion.name) {
                    checks.push(
                        format!("{path}.name"),
                        format!("`{}` is there twice", criterion.name),
                        "give each criterion a name of its own",
                    );
                }
                out.push(criterion);
            }
        }
        out
    }

    fn one(&self, written: &Written, path: &str, checks: &mut Checks) -> Option<Criterion> {
        let name = written.name.clone().unwrap_or_else(|| metric_name(written.metric).to_owned());
        checks.name(&format!("{path}.name"), &name);
        let source = self.source(written, path, checks);
        let limit = written.failure_limit.unwrap_or_default();
        if limit.consecutive == 0 || limit.total == 0 {
            checks.push(format!("{path}.failureLimit"), "has a 0", "write at least 1, or make the criterion critical");
        }
        if written.failure_limit.is_some() && !matches!(written.importance, Importance::Ordinary) {
            checks.push(format!("{path}.failureLimit"), "is not used", "write `importance: ordinary`, or leave it out");
        }
        let bound = if written.not_worse_than.is_some() {
            super::noninferiority::bound(written, path, checks)?
        } else {
            super::noninferiority::leave_out(written, path, checks);
            bound(written, path, checks)?
        };
        Some(Criterion {
            name,
            metric: written.metric,
            goal: self.goal(written.metric, written.goal.as_deref(), path, checks),
            source,
            bound,
            importance: written.importance,
            failure_limit: limit,
            alpha: 0.0,
            own_alpha: written.alpha.filter(|_| written.not_worse_than.is_some()),
            procedure: written.procedure.unwrap_or_default(),
            at_end: written.looks == Some(Looks::AtEnd),
        })
    }

    /// The goal that a metric counts.
    pub(super) fn goal(&self, metric: Metric, goal: Option<&str>, path: &str, checks: &mut Checks) -> Option<String> {
        let names: Vec<&str> = self.spec.goals.iter().map(|g| g.name.as_str()).collect();
        match (metric == Metric::Goal, goal) {
            (false, None) => {}
            (false, Some(_)) => {
                checks.push(format!("{path}.goal"), "is not used", "write `metric: goal`, or leave it out");
            }
            (true, Some(name)) if names.contains(&name) => return Some(name.to_owned()),
            (true, given) => {
                let reason = match given {
                    Some(name) => format!("there is no goal `{name}`"),
                    None => "is missing".to_owned(),
                };
                let fix = match names.as_slice() {
                    [] => "say in `spec.goals` which requests mean a conversion".to_owned(),
                    names => format!("`spec.goals` has: {}", names.join(", ")),
                };
                checks.push(format!("{path}.goal"), reason, fix);
            }
        }
        None
    }

    fn source(&self, written: &Written, path: &str, checks: &mut Checks) -> Source {
        self.source_of(written.metric, written.provider.as_ref(), written.query.as_ref(), path, checks)
    }

    /// Where a metric's measurement comes from.
    pub(super) fn source_of(
        &self,
        metric: Metric,
        provider: Option<&String>,
        query: Option<&String>,
        path: &str,
        checks: &mut Checks,
    ) -> Source {
        let Some(name) = provider else {
            if matches!(metric, Metric::Success | Metric::Value | Metric::Cpu | Metric::Memory | Metric::Custom) {
                checks.push(
                    format!("{path}.provider"),
                    format!("is missing: the proxies do not measure `{}`", metric_name(metric)),
                    "name one of `spec.providers`",
                );
            }
            if query.is_some() {
                checks.push(format!("{path}.query"), "is asked of nobody", "name the `provider` that it is for");
            }
            return Source::Proxies;
        };
        match self.spec.providers.get(name) {
            None => {
                let known: Vec<&str> = self.spec.providers.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                checks.push(
                    format!("{path}.provider"),
                    format!("there is no provider `{name}`"),
                    format!("`spec.providers` has: {known}"),
                );
            }
            Some(_) if metric == Metric::Goal => {
                checks.push(format!("{path}.provider"), "is not asked: the proxies count goals", "leave it out");
            }
            Some(provider) => {
                let outcome = matches!(metric, Metric::Success | Metric::Value);
                if provider.outcomes.is_some() && !outcome {
                    checks.push(
                        format!("{path}.provider"),
                        format!("`{name}` takes outcomes, which say nothing of `{}`", metric_name(metric)),
                        "use it for `success` and `value`",
                    );
                }
                if provider.prometheus.is_some()
                    && query.is_none()
                    && matches!(metric, Metric::Custom | Metric::Success | Metric::Value)
                {
                    checks.push(
                        format!("{path}.query"),
                        "is missing: there is no ready-made one for this metric",
                        "write the query, with `{{variant}}` for the version",
                    );
                }
            }
        }
        Source::Provider { name: name.clone(), query: query.cloned() }
    }
}

/// Whether a criterion can be measured at a place.
fn seen_at(criterion: &Criterion, place: Place) -> bool {
    if criterion.metric == Metric::Agreement || place == Place::Compared {
        let of_pairs = matches!(
            criterion.metric,
            Metric::Agreement | Metric::ErrorRate | Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99
        );
        return criterion.source != Source::Proxies || (place == Place::Compared && of_pairs);
    }
    let on_copies = matches!(
        criterion.metric,
        Metric::ErrorRate | Metric::TimeoutRate | Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99
    );
    place != Place::Shadow || on_copies || criterion.source != Source::Proxies
}

fn bound(written: &Written, path: &str, checks: &mut Checks) -> Option<Bound> {
    let given: Vec<(&str, &Quantity)> = [
        ("max", &written.max),
        ("min", &written.min),
        ("maxDrop", &written.max_drop),
        ("maxRise", &written.max_rise),
        ("versusBaseline", &written.versus_baseline),
    ]
    .into_iter()
    .filter_map(|(name, quantity)| Some((name, quantity.as_ref()?)))
    .collect();
    if let (true, Some(factor)) = (given.is_empty(), default_factor(written.metric)) {
        let floor = match &written.floor {
            Some(floor) => amount(floor, unit(written.metric), &format!("{path}.floor"), checks)?,
            None => default_floor(written.metric),
        };
        return Some(Bound::Ratio { factor, floor });
    }
    let [(name, quantity)] = given.as_slice() else {
        let reason =
            if given.is_empty() { "has no bound, and its metric no default" } else { "has more than one bound" };
        checks.push(
            path,
            reason,
            "write exactly one of `max`, `min`, `maxDrop`, `maxRise`, `versusBaseline` and `notWorseThan`",
        );
        return None;
    };
    let at = format!("{path}.{name}");
    let unit = unit(written.metric);
    let floor_at = format!("{path}.floor");
    if *name != "versusBaseline" && written.floor.is_some() {
        checks.push(&floor_at, "belongs to `versusBaseline`", "leave it out");
    }
    if *name == "versusBaseline" && matches!(written.metric, Metric::Success | Metric::Goal | Metric::Agreement) {
        checks.push(
            &at,
            "says nothing of a share of which less is worse",
            "write `maxDrop`, for example `2 points`, or `min`",
        );
        return None;
    }
    if written.metric == Metric::Agreement && matches!(*name, "maxDrop" | "maxRise") {
        checks.push(
            &at,
            "has nothing to be compared with: agreement is of both versions",
            "write `min`, for example `85%`",
        );
        return None;
    }
    if unit == Unit::Micros && matches!(*name, "min" | "maxDrop") {
        checks.push(&at, "asks for slowness", "write `max`, `maxRise` or `versusBaseline`");
        return None;
    }
    if *name == "versusBaseline" {
        let factor = match quantity.amount() {
            Ok(Amount::Number(factor)) if factor >= 1.0 => factor,
            Ok(_) => {
                checks.push(&at, "is no factor of 1 or more", "write for example `1.5x`");
                return None;
            }
            Err(reason) => {
                checks.push(&at, reason, "write for example `1.5x`");
                return None;
            }
        };
        let floor = match &written.floor {
            Some(floor) => amount(floor, unit, &floor_at, checks)?,
            None => default_floor(written.metric),
        };
        return Some(Bound::Ratio { factor, floor });
    }
    let value = amount(quantity, unit, &at, checks)?;
    let difference = matches!(*name, "maxDrop" | "maxRise");
    if unit == Unit::Share && !(0.0..=1.0).contains(&value) {
        checks.push(&at, "is no share from 0 % to 100 %", "write for example `2%` or `0.02`");
        return None;
    }
    if (difference || unit == Unit::Micros) && value < 0.0 {
        checks.push(&at, "is negative", "write how much, without a sign");
        return None;
    }
    Some(match *name {
        "max" => Bound::Max { value },
        "min" => Bound::Min { value },
        "maxDrop" => Bound::Drop { by: value },
        _ => Bound::Rise { by: value },
    })
}

/// An amount in the metric's unit.
pub(super) fn amount(quantity: &Quantity, unit: Unit, at: &str, checks: &mut Checks) -> Option<f64> {
    let read = match quantity.amount() {
        Ok(read) => read,
        Err(reason) => {
            checks.push(at, reason, "see the examples of this field");
            return None;
        }
    };
    match (unit, read) {
        (Unit::Share, Amount::Share(v) | Amount::Number(v))
        | (Unit::Micros, Amount::Micros(v))
        | (Unit::Number, Amount::Number(v) | Amount::Share(v)) => Some(v),
        (Unit::Share, Amount::Micros(_)) => {
            checks.push(at, "is a time, and the metric is a share", "write for example `2%`");
            None
        }
        (Unit::Micros, _) => {
            checks.push(at, "is no time, and the metric is one", "write for example `150ms`");
            None
        }
        (Unit::Number, Amount::Micros(_)) => {
            checks.push(
                at,
                "is a time, and the metric is a bare number",
                "write the number in the provider's own unit",
            );
            None
        }
    }
}

fn default_floor(metric: Metric) -> f64 {
    match (metric, unit(metric)) {
        (Metric::UnfinishedRate, _) => UNFINISHED_FLOOR,
        (_, Unit::Share) => RATE_FLOOR,
        (_, Unit::Micros) => TIME_FLOOR,
        (_, Unit::Number) => 0.0,
    }
}

/// How many times the baseline a metric may be when its criterion names no bound.
fn default_factor(metric: Metric) -> Option<f64> {
    match metric {
        Metric::ErrorRate | Metric::ClientErrorRate | Metric::TimeoutRate | Metric::UnfinishedRate => Some(2.0),
        Metric::LatencyP50 | Metric::HeadersP50 => Some(1.2),
        Metric::LatencyP95 | Metric::LatencyP99 | Metric::HeadersP95 | Metric::HeadersP99 => Some(1.5),
        Metric::Cpu | Metric::Memory => Some(1.5),
        Metric::LatencyMean | Metric::Goal | Metric::Agreement | Metric::Success | Metric::Value | Metric::Custom => {
            None
        }
    }
}

/// Share of comparisons that must agree when the file says nothing else.
const AGREEMENT: f64 = 0.85;

/// A criterion that the file does not write.
fn plain(metric: Metric, bound: Bound) -> Criterion {
    Criterion {
        name: metric_name(metric).to_owned(),
        metric,
        goal: None,
        source: Source::Proxies,
        bound,
        importance: Importance::Critical,
        failure_limit: FailureLimit::default(),
        alpha: 0.0,
        own_alpha: None,
        procedure: Procedure::default(),
        at_end: false,
    }
}

/// The criteria of a step that compares, when the file names none.
fn compared() -> Vec<Criterion> {
    vec![
        plain(Metric::Agreement, Bound::Min { value: AGREEMENT }),
        plain(Metric::ErrorRate, Bound::Ratio { factor: 2.0, floor: RATE_FLOOR }),
        plain(Metric::LatencyP95, Bound::Ratio { factor: 1.5, floor: TIME_FLOOR }),
    ]
}

/// The criteria of a rollout whose file names none.
fn defaults() -> Vec<Criterion> {
    [Metric::ErrorRate, Metric::TimeoutRate, Metric::UnfinishedRate, Metric::LatencyP50, Metric::LatencyP95]
        .into_iter()
        .filter_map(|metric| {
            Some(plain(metric, Bound::Ratio { factor: default_factor(metric)?, floor: default_floor(metric) }))
        })
        .collect()
}

/// The metric as the file writes it.
pub(crate) fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::ErrorRate => "errorRate",
        Metric::ClientErrorRate => "clientErrorRate",
        Metric::TimeoutRate => "timeoutRate",
        Metric::UnfinishedRate => "unfinishedRate",
        Metric::LatencyP50 => "latencyP50",
        Metric::LatencyP95 => "latencyP95",
        Metric::LatencyP99 => "latencyP99",
        Metric::LatencyMean => "latencyMean",
        Metric::HeadersP50 => "headersP50",
        Metric::HeadersP95 => "headersP95",
        Metric::HeadersP99 => "headersP99",
        Metric::Goal => "goal",
        Metric::Agreement => "agreement",
        Metric::Success => "success",
        Metric::Value => "value",
        Metric::Cpu => "cpu",
        Metric::Memory => "memory",
        Metric::Custom => "custom",
    }
}
