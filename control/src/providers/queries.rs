//! Ready-made questions to Prometheus, for the filter's own series and for Istio's standard metrics.
//!
//! Counted things are asked as counts (so that the judge can tell chance from difference), quantiles and resources as numbers. Every query
//! is over `{{window}}`, which never reaches back before the step. The series of the filter are in `docs/metrics.md`, Istio's in
//! <https://istio.io/latest/docs/reference/config/metrics/>, those of cpu and memory are cAdvisor's.

use std::collections::BTreeMap;

use headgate_rollout::file::{Metric, Prometheus};
use headgate_rollout::tick::{Ask, Measured, Sums};

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
    let finished = increase("headgate_responses", &who);
    match metric {
        Metric::ErrorRate => Some(Question::Share {
            of: finished,
            events: format!(
                "({} + {})",
                or_none(&increase("headgate_responses", &format!("{who},class=~\"5xx|none\""))),
                or_none(&increase("headgate_grpc", &format!("{who},status=~\"2|4|12|13|14|15\"")))
            ),
        }),
        Metric::ClientErrorRate => Some(Question::Share {
            of: finished,
            events: or_none(&increase("headgate_responses", &format!("{who},class=\"4xx\""))),
        }),
        Metric::TimeoutRate => {
            Some(Question::Share { of: finished, events: or_none(&increase("headgate_timeouts", &who)) })
        }
        Metric::UnfinishedRate => Some(Question::Share {
            of: increase("headgate_requests", &who),
            events: format!("clamp_min({} - {}, 0)", increase("headgate_requests", &who), or_none(&finished)),
        }),
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

/// Measures a criterion. `query` asks one query with its placeholders filled for a variant.
///
/// # Errors
/// In words: what the query's answer was not, or that there is no ready-made query for the metric.
pub(crate) fn measure(
    settings: &Settings,
    ask: &Ask,
    stable: &str,
    canary: &str,
    query: impl Fn(&str, &str) -> Result<Found, String>,
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
                Question::Share { .. } => Ok(Found::Nothing),
            })
        }
        Question::Share { .. } => {
            let sums = |variant: &str| -> Result<Option<Sums>, String> {
                let Question::Share { of, events } = asked(variant)? else { return Ok(None) };
                let Found::Number(of) = query(variant, &of)? else { return Ok(None) };
                let events = match query(variant, &events)? {
                    Found::Number(n) => n,
                    Found::Nothing => 0.0,
                };
                // `increase` extrapolates, so counts come as fractions.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
                let count = of.max(0.0).round() as u64;
                #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
                let events = events.clamp(0.0, count as f64);
                Ok(Some(Sums { buckets: vec![(count, events)] }))
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

    #[test]
    fn shares_come_as_counts_and_nothing_is_no_share() {
        let answer = |variant: &str, query: &str| {
            Ok(match (variant, query.contains("5xx")) {
                ("canary", false) => Found::Number(99.6),
                ("canary", true) => Found::Number(2.0),
                (_, false) => Found::Number(1_000.0),
                (_, true) => Found::Number(5.0),
            })
        };
        let measured = measure(&settings("headgate"), &ask(Metric::ErrorRate, None), "stable", "canary", answer);
        let sums = |count, events| Sums { buckets: vec![(count, events)] };
        assert_eq!(measured, Ok(Measured::Sums { canary: sums(100, 2.0), stable: sums(1_000, 5.0) }));
        let nothing = |_: &str, _: &str| Ok(Found::Nothing);
        for metric in [Metric::ErrorRate, Metric::LatencyP95, Metric::Cpu] {
            let measured = measure(&settings("headgate"), &ask(metric, None), "stable", "canary", nothing);
            assert_eq!(measured, Ok(Measured::NoValues), "{metric:?}");
        }
    }

    #[test]
    fn istio_names_the_version_the_reporter_and_milliseconds() {
        let seen = std::cell::RefCell::new(Vec::new());
        let answer = |_: &str, query: &str| {
            seen.borrow_mut().push(query.to_owned());
            Ok(Found::Number(12.5))
        };
        let measured = measure(&settings("istio"), &ask(Metric::LatencyP99, None), "stable", "canary", answer);
        assert_eq!(measured, Ok(Measured::Values { canary: 12_500.0, stable: Some(12_500.0) }));
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
        let measured = measure(&settings("headgate"), &own, "stable", "canary", answer);
        assert_eq!(measured, Ok(Measured::Values { canary: 4.0, stable: None }));
        let missing = measure(&settings("istio"), &ask(Metric::UnfinishedRate, None), "s", "c", |_, _| unreachable!());
        assert!(missing.unwrap_err().contains("give the criterion a `query`"));
    }
}
