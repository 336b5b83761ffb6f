//! Ready-made questions to Prometheus, for the filter's own series and for Istio's standard metrics.
//!
//! Counted things are asked as counts, so that the judge can tell chance from difference: of our filter by bucket of users and segment, because
//! requests of one user are not independent; Istio's know no users, and are judged as few as they may come from (`requestsPerUser`). Quantiles and
//! resources are asked as numbers. Every query is over `{{window}}`, which never reaches back before the step. The series of the filter are in `docs/metrics.md`, Istio's in
//! <https://istio.io/latest/docs/reference/config/metrics/>, those of cpu and memory are cAdvisor's.

use std::collections::BTreeMap;

use headgate_rollout::file::{Metric, Prometheus};
use headgate_rollout::measure::BUCKETS;
use headgate_rollout::tick::{Ask, Measured, Sums};

use super::prometheus::Row;
use super::{Found, values};

/// What the ready-made queries need to know of a Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    istio: bool,
    reporter: String,
    names: BTreeMap<String, String>,
}

impl Settings {
    /// Those of a provider.
    pub(crate) fn of(provider: &Prometheus) -> Self {
        Self {
            istio: provider.preset.as_deref() == Some("istio"),
            reporter: provider.reporter.clone().unwrap_or_else(|| "source".to_owned()),
            names: provider.names.clone(),
        }
    }

    fn name<'a>(&'a self, variant: &'a str) -> &'a str {
        self.names.get(variant).map_or(variant, String::as_str)
    }
}

/// What is asked for one version.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    /// A share: what is counted, and out of how many.
    Share { of: String, events: String },
    /// The same by segment and bucket of users. `missing`: the events are those of `of` that `events` lacks.
    Buckets { of: String, events: String, missing: bool },
    /// A number, times a factor to come to the metric's unit.
    Number { query: String, thousandfold: bool },
}

fn quantile(metric: Metric) -> Option<f64> {
    match metric {
        Metric::LatencyP50 | Metric::HeadersP50 => Some(0.5),
        Metric::LatencyP95 | Metric::HeadersP95 => Some(0.95),
        Metric::LatencyP99 | Metric::HeadersP99 => Some(0.99),
        _ => None,
    }
}

/// What a series grew by in the window, by segment and bucket of users. A series that appears within the window grew from nothing, which
/// `increase` does not see: it is taken whole, where the proxy was known before it (by `headgate_revision`, which every proxy shows).
fn by_bucket(series: &str) -> String {
    let new = format!("({series} unless {series} offset {{{{window}}}})");
    let known = "on (instance, job) headgate_revision offset {{window}}";
    format!("sum by (segment, bucket) (({new} and {known}) or increase({series}[{{{{window}}}}]))")
}

/// The ready-made question for a metric of a version, which the series call `name`.
fn question(settings: &Settings, metric: Metric, name: &str) -> Option<Question> {
    let increase = |series: &str, labels: &str| format!("sum(increase({series}{{{labels}}}[{{{{window}}}}]))");
    // A counter that has not counted yet is not there: that is none, once the whole is.
    let or_none = |query: &str| format!("({query} or vector(0))");
    let resource = |series: &str, over: &str| {
        let labels = format!("pod=~\"{name}(-.*)?\",container!=\"\",container!=\"POD\"");
        let query = match over {
            "rate" => format!("avg(sum by (pod) (rate({series}{{{labels}}}[{{{{window}}}}])))"),
            _ => format!("avg(sum by (pod) (avg_over_time({series}{{{labels}}}[{{{{window}}}}])))"),
        };
        Some(Question::Number { query, thousandfold: false })
    };
    match metric {
        Metric::Cpu => return resource("container_cpu_usage_seconds_total", "rate"),
        Metric::Memory => return resource("container_memory_working_set_bytes", "average"),
        _ => {}
    }
    if settings.istio {
        let reporter = &settings.reporter;
        let who = format!(
            "reporter=\"{reporter}\",destination_service_name=\"{{{{route}}}}\",destination_version=\"{name}\""
        );
        let all = increase("istio_requests_total", &who);
        return match metric {
            Metric::ErrorRate => Some(Question::Share {
                of: all,
                // `0` is a request that got no answer; gRPC failures answer with 200.
                events: format!(
                    "({} + {})",
                    or_none(&increase("istio_requests_total", &format!("{who},response_code=~\"5..|0\""))),
                    or_none(&increase(
                        "istio_requests_total",
                        &format!("{who},response_code!~\"5..|0\",grpc_response_status=~\"2|4|12|13|14|15\"")
                    ))
                ),
            }),
            Metric::ClientErrorRate => Some(Question::Share {
                of: all,
                events: or_none(&increase("istio_requests_total", &format!("{who},response_code=~\"4..\""))),
            }),
            Metric::TimeoutRate => Some(Question::Share {
                of: all,
                events: or_none(&increase("istio_requests_total", &format!("{who},response_flags=~\".*(UT|DT).*\""))),
            }),
            Metric::LatencyP50 | Metric::LatencyP95 | Metric::LatencyP99 => Some(Question::Number {
                query: format!(
                    "histogram_quantile({}, sum by (le) (increase(istio_request_duration_milliseconds_bucket{{{who}}}[{{{{window}}}}])))",
                    quantile(metric)?
                ),
                thousandfold: true,
            }),
            _ => None,
        };
    }
    let who = format!("route=\"{{{{route}}}}\",variant=\"{name}\",assigned=\"hash\"");
    let kept =
        |what: &str| by_bucket(&format!("headgate_replicate_{what}{{route=\"{{{{route}}}}\",variant=\"{name}\"}}"));
    let share =
        |of: &str, events: &str, missing| Some(Question::Buckets { of: kept(of), events: kept(events), missing });
    match metric {
        Metric::ErrorRate => share("finished", "failures", false),
        Metric::ClientErrorRate => share("finished", "client_errors", false),
        Metric::TimeoutRate => share("finished", "timeouts", false),
        Metric::UnfinishedRate => share("requests", "finished", true),
        Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::LatencyP99
        | Metric::HeadersP50
        | Metric::HeadersP95
        | Metric::HeadersP99 => {
            let headers = matches!(metric, Metric::HeadersP50 | Metric::HeadersP95 | Metric::HeadersP99);
            let series = if headers { "headgate_headers_us_bucket" } else { "headgate_latency_us_bucket" };
            Some(Question::Number {
                query: format!(
                    "histogram_quantile({}, sum by (le) (increase({series}{{{who}}}[{{{{window}}}}])))",
                    quantile(metric)?
                ),
                thousandfold: false,
            })
        }
        _ => None,
    }
}

/// `increase` extrapolates, so counts come as fractions.
fn counted(of: f64, events: f64) -> (u64, f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let count = of.max(0.0).round() as u64;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let most = count as f64;
    (count, events.clamp(0.0, most))
}

/// Sums by segment and bucket out of two answers.
fn joined(of: &[Row], events: &[Row], missing: bool) -> BTreeMap<String, Sums> {
    let place = |row: &Row| {
        let bucket = row.labels.get("bucket")?.parse::<usize>().ok().filter(|b| *b < BUCKETS)?;
        Some((row.labels.get("segment").map_or("default", String::as_str).to_owned(), bucket))
    };
    let found: BTreeMap<_, f64> = events.iter().filter_map(|row| Some((place(row)?, row.value))).collect();
    let mut out: BTreeMap<String, Sums> = BTreeMap::new();
    for row in of {
        let Some((segment, bucket)) = place(row) else { continue };
        let seen = found.get(&(segment.clone(), bucket)).copied().unwrap_or(0.0);
        let events = if missing { row.value - seen } else { seen };
        let sums = out.entry(segment).or_insert_with(|| Sums { buckets: vec![(0, 0.0); BUCKETS] });
        if let Some(cell) = sums.buckets.get_mut(bucket) {
            *cell = counted(row.value, events);
        }
    }
    out
}

/// Measures a criterion. `query` asks one query with its placeholders filled for a variant, `table` one of several series.
///
/// # Errors
/// In words: what the query's answer was not, or that there is no ready-made query for the metric.
pub(crate) fn measure(
    settings: &Settings,
    ask: &Ask,
    stable: &str,
    canary: &str,
    query: impl Fn(&str, &str) -> Result<Found, String>,
    table: impl Fn(&str, &str) -> Result<Vec<Row>, String>,
) -> Result<Measured, String> {
    let asked = |variant: &str| match &ask.query {
        Some(own) => Ok(Question::Number {
            query: own.replace("{{quantile}}", &quantile(ask.metric).map_or_else(String::new, |q| q.to_string())),
            thousandfold: false,
        }),
        None => question(settings, ask.metric, settings.name(variant)).ok_or_else(|| {
            let whose = if settings.istio { "istio" } else { "headgate" };
            format!(
                "there is no ready-made query of the preset `{whose}` for {:?}: give the criterion a `query`",
                ask.metric
            )
        }),
    };
    match asked(canary)? {
        Question::Number { query: text, thousandfold } => {
            let scaled = |found: Found| match found {
                Found::Number(n) if thousandfold => Found::Number(n * 1_000.0),
                other => other,
            };
            let found = scaled(query(canary, &text)?);
            values(ask, found, || match asked(stable)? {
                Question::Number { query: text, .. } => Ok(scaled(query(stable, &text)?)),
                Question::Share { .. } | Question::Buckets { .. } => Ok(Found::Nothing),
            })
        }
        Question::Buckets { .. } => {
            let sums = |variant: &str| -> Result<BTreeMap<String, Sums>, String> {
                let Question::Buckets { of, events, missing } = asked(variant)? else { return Ok(BTreeMap::new()) };
                Ok(joined(&table(variant, &of)?, &table(variant, &events)?, missing))
            };
            let mut mine = sums(canary)?;
            mine.retain(|_, sums| sums.buckets.iter().any(|b| b.0 > 0));
            if mine.is_empty() {
                return Ok(Measured::NoValues);
            }
            let mut other = if ask.baseline { sums(stable)? } else { BTreeMap::new() };
            let each = mine.into_iter().map(|(segment, mine)| {
                let other = other.remove(&segment).unwrap_or_default();
                (segment, (mine, other))
            });
            Ok(Measured::Strata { each: each.collect() })
        }
        Question::Share { .. } => {
            let sums = |variant: &str| -> Result<Option<Sums>, String> {
                let Question::Share { of, events } = asked(variant)? else { return Ok(None) };
                let Found::Number(of) = query(variant, &of)? else { return Ok(None) };
                let events = match query(variant, &events)? {
                    Found::Number(n) => n,
                    Found::Nothing => 0.0,
                };
                Ok(Some(Sums { buckets: vec![counted(of, events)] }))
            };
            let Some(mine) = sums(canary)?.filter(|s| s.buckets.iter().any(|b| b.0 > 0)) else {
                return Ok(Measured::NoValues);
            };
            let other = if ask.baseline { sums(stable)?.unwrap_or_default() } else { Sums::default() };
            Ok(Measured::Sums { canary: mine, stable: other })
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_rollout::tick::Newest;

    use super::*;

    fn ask(metric: Metric, query: Option<&str>) -> Ask {
        Ask {
            criterion: "c".into(),
            metric,
            provider: "p".into(),
            query: query.map(str::to_owned),
            since_ms: 0,
            baseline: true,
        }
    }

    fn settings(preset: &str) -> Settings {
        let names = BTreeMap::from([("canary".to_owned(), "v2".to_owned())]);
        Settings { istio: preset == "istio", reporter: "destination".into(), names }
    }

    fn none(_: &str, _: &str) -> Result<Vec<Row>, String> {
        Ok(Vec::new())
    }

    #[test]
    fn shares_come_as_counts_and_nothing_is_no_share() {
        let answer = |variant: &str, query: &str| {
            Ok(match (variant, query.contains("5..")) {
                ("canary", false) => Found::Number(99.6),
                ("canary", true) => Found::Number(2.0),
                (_, false) => Found::Number(1_000.0),
                (_, true) => Found::Number(5.0),
            })
        };
        let measured = measure(&settings("istio"), &ask(Metric::ErrorRate, None), "stable", "canary", answer, none);
        let sums = |count, events| Sums { buckets: vec![(count, events)] };
        assert_eq!(measured, Ok(Measured::Sums { canary: sums(100, 2.0), stable: sums(1_000, 5.0) }));
        let nothing = |_: &str, _: &str| Ok(Found::Nothing);
        for metric in [Metric::ErrorRate, Metric::LatencyP95, Metric::Cpu] {
            for preset in ["headgate", "istio"] {
                let measured = measure(&settings(preset), &ask(metric, None), "stable", "canary", nothing, none);
                assert_eq!(measured, Ok(Measured::NoValues), "{metric:?}");
            }
        }
    }

    #[test]
    fn our_own_counts_come_by_segment_and_bucket_of_users() {
        let row = |segment: &str, bucket: &str, value: f64| Row {
            labels: [("segment", segment), ("bucket", bucket)].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            value,
        };
        let table = |variant: &str, query: &str| {
            assert!(query.contains("sum by (segment, bucket)") && query.contains("variant=\""), "{query}");
            Ok(match (variant, query.contains("_finished{")) {
                ("canary", true) => vec![row("default", "0", 99.6), row("gold", "31", 7.0), row("gold", "99", 8.0)],
                ("canary", false) => vec![row("default", "0", 120.0), row("gold", "31", 7.0)],
                (_, true) => vec![row("default", "1", 50.0)],
                (_, false) => vec![row("default", "1", 50.0)],
            })
        };
        let asked = |metric| {
            let query = |_: &str, _: &str| unreachable!("a table is asked for");
            measure(&settings("headgate"), &ask(metric, None), "stable", "canary", query, table).unwrap()
        };
        let Measured::Strata { each } = asked(Metric::UnfinishedRate) else { panic!("by bucket") };
        let (canary, stable) = &each["default"];
        assert_eq!((canary.buckets[0], stable.buckets[1]), ((120, 120.0 - 99.6), (50, 0.0)));
        assert_eq!((each["gold"].0.buckets[31], each["gold"].1.buckets.len(), each.len()), ((7, 0.0), 0, 2));
        let Measured::Strata { each } = asked(Metric::ErrorRate) else { panic!("by bucket") };
        assert_eq!(each["default"].0.buckets[0], (100, 100.0), "events are no more than requests");
    }

    #[test]
    fn istio_names_the_version_the_reporter_and_milliseconds() {
        let seen = std::cell::RefCell::new(Vec::new());
        let answer = |_: &str, query: &str| {
            seen.borrow_mut().push(query.to_owned());
            Ok(Found::Number(12.5))
        };
        let measured = measure(&settings("istio"), &ask(Metric::LatencyP99, None), "stable", "canary", answer, none);
        assert_eq!(measured, Ok(Measured::Values { canary: 12_500.0, stable: Some(12_500.0), newest: Newest::Whole }));
        let seen = seen.borrow();
        assert!(seen[0].contains("reporter=\"destination\"") && seen[0].contains("destination_version=\"v2\""));
        assert!(seen[0].contains("histogram_quantile(0.99") && seen[1].contains("destination_version=\"stable\""));
    }

    #[test]
    fn a_query_of_ones_own_is_asked_as_it_is_and_a_missing_one_is_named() {
        let answer = |variant: &str, query: &str| {
            assert_eq!(query, "mos{v=\"{{variant}}\"}");
            Ok(if variant == "canary" { Found::Number(4.0) } else { Found::Nothing })
        };
        let own = ask(Metric::Custom, Some("mos{v=\"{{variant}}\"}"));
        let measured = measure(&settings("headgate"), &own, "stable", "canary", answer, none);
        assert_eq!(measured, Ok(Measured::Values { canary: 4.0, stable: None, newest: Newest::Whole }));
        let missing =
            measure(&settings("istio"), &ask(Metric::UnfinishedRate, None), "s", "c", |_, _| unreachable!(), none);
        assert!(missing.unwrap_err().contains("give the criterion a `query`"));
    }
}
