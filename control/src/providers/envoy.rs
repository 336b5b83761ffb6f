//! What a proxy counted of one route, from its own statistics: the measurements that need nothing installed. Pure: a page in, numbers out.
//!
//! One page answers both questions of a tick: what is in force ([`Reading`]), and what was counted ([`Snapshot`], `docs/metrics.md`). A tick may read a
//! thousand pages, so a page is read once, without copying its text. It sums nothing over proxies and judges nothing.

use std::collections::BTreeMap;

use headgate_rollout::measure::{BUCKETS, Counters, Histogram, Snapshot};

use super::copies::Copies;
use super::histogram::{Bounds, Ladder, Open};
use super::users::Users;
use super::{predictions, shadows};
use crate::exposition::{self, Labels, Sample};
use crate::stats::{self, Reading};
use crate::target::Proxy;
use crate::web::encoded;

/// Which series of a page are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The target's name.
    pub(crate) target: String,
    /// The ECDS resource.
    pub(crate) resource: String,
    pub(crate) route: String,
    /// The cluster whose own counters tell what copies were answered; `None`: they are not read.
    pub(crate) copies: Option<String>,
}

impl Wanted {
    /// Where the page of a proxy is.
    pub(crate) fn url(&self, proxy: &Proxy) -> Option<String> {
        let base = proxy.stats_base()?;
        if base.ends_with("/stats/prometheus") {
            return Some(base.to_owned());
        }
        let literal = |text: &str| -> String {
            // Envoy writes `_` for `:` in names of statistics.
            let text = text.replace(':', "_");
            text.chars().flat_map(|c| (!c.is_ascii_alphanumeric()).then_some('\\').into_iter().chain([c])).collect()
        };
        let copies = self.copies.as_ref().map_or_else(String::new, |cluster| {
            format!(r"|^cluster\.{}\.upstream_rq_(total|time|timeout|rx_reset|[1-5]xx)$", literal(cluster))
        });
        let filter = format!(
            r"route=\.={};.*headgate_|headgate_(acknowledgements|revision|build|unknown_fields|refused_configurations)$|^server\.(concurrency|uptime)$|extension_config_discovery\..*\.update_rejected${copies}",
            literal(&self.route)
        );
        Some(format!("{base}/stats?format=prometheus&filter={}", encoded(&filter)))
    }
}

/// Reads a page taken at `now_ms`.
///
/// # Errors
/// In words, when it is no page of statistics.
pub(crate) fn read(page: &str, wanted: &Wanted, bounds: &Bounds, now_ms: u64) -> Result<(Reading, Snapshot), String> {
    let mut snapshot = Snapshot { taken_ms: now_ms, ..Snapshot::default() };
    let mut open: Option<Open<'_>> = None;
    let mut users: Option<Users<'_>> = None;
    let mut ladder = Ladder::default();
    let mut lines = 0_usize;
    let mut copies = wanted.copies.as_ref().map(|cluster| Copies::of(cluster));
    let mut standing = Vec::new();
    let mut rest = page;
    while !rest.is_empty() {
        // Nearly all lines differ from the one above in a bound, or a bucket of users, and a count.
        if let Some(open) = &mut open
            && let Some((le, value, after)) = exposition::alike(rest, open.head)
        {
            open.take(le, value, &ladder);
            (lines, rest) = (lines + 1, after);
            continue;
        }
        if let Some(users) = &mut users
            && let Some((bucket, value, after)) = exposition::alike(rest, users.head)
            && let Ok(bucket) = bucket.parse()
        {
            users.take(bucket, whole(value));
            (lines, rest) = (lines + 1, after);
            continue;
        }
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let Some(sample) = exposition::sample(line) else { continue };
        lines += 1;
        if let Some(sample) = stats::standing(&sample) {
            standing.push(sample);
            continue;
        }
        let Some(name) = exposition::ours(sample.name) else {
            if sample.name == "envoy_server_uptime" {
                snapshot.uptime_ms = Some(whole(sample.value).saturating_mul(1_000));
            } else if let Some(copies) = &mut copies {
                copies.take(&sample, bounds);
            }
            continue;
        };
        if let Some(what) = name.strip_prefix("headgate_replicate_") {
            if let Some(next) = Users::of(line, what, &sample, wanted)
                && let Some(done) = users.replace(next)
            {
                done.close(&mut snapshot);
            }
            continue;
        }
        let Some(series) = name.strip_suffix("_bucket") else {
            counter(&mut snapshot, name, &sample, wanted);
            continue;
        };
        let (Some((labels, le)), Some(head)) = (sample.labels.split_last("le"), exposition::head(line)) else {
            continue;
        };
        match &mut open {
            Some(open) if open.series == series && open.labels == labels => open.take(le, sample.value, &ladder),
            other => {
                close(other.take(), &mut snapshot, wanted, bounds, &mut ladder);
                other.insert(Open::new(head, series, labels, &ladder)).take(le, sample.value, &ladder);
            }
        }
    }
    close(open, &mut snapshot, wanted, bounds, &mut ladder);
    if let Some(users) = users {
        users.close(&mut snapshot);
    }
    shadows::finish(&mut snapshot);
    snapshot.copies = copies.map(|c| c.counters);
    if lines == 0 && !page.trim().is_empty() {
        return Err("what it answered is no page of statistics".to_owned());
    }
    Ok((stats::reading(standing, &wanted.target, &wanted.resource), snapshot))
}

fn close<'t>(
    open: Option<Open<'t>>,
    snapshot: &mut Snapshot,
    wanted: &Wanted,
    bounds: &Bounds,
    ladder: &mut Ladder<'t>,
) {
    let Some(open) = open else { return };
    let (series, labels) = (open.series, open.labels);
    let histogram = open.histogram(bounds, ladder);
    if series == "headgate_shadow_latency_us" {
        shadows::latency(snapshot, &labels, histogram, &wanted.route);
        return;
    }
    let Some(counters) = place(snapshot, labels, wanted) else { return };
    let slot = match series {
        "headgate_latency_us" => &mut counters.latency,
        "headgate_headers_us" => &mut counters.headers,
        _ => return,
    };
    // The sum may stand before or after the buckets.
    *slot = Histogram { sum: slot.sum, ..histogram };
}

/// The counters that labels belong to; `None` for other routes and for requests that the hash did not assign.
fn place<'s>(snapshot: &'s mut Snapshot, labels: Labels<'_>, wanted: &Wanted) -> Option<&'s mut Counters> {
    let (mut variant, mut segment, mut assigned, mut ours) = (None, "default", None, false);
    for (name, value) in labels.iter() {
        match name {
            "route" => ours = value == wanted.route,
            "variant" => variant = Some(value),
            "segment" => segment = value,
            "assigned" => assigned = Some(value),
            _ => {}
        }
    }
    let variant = variant.filter(|_| ours && assigned == Some("hash"))?;
    slot(snapshot, variant, segment)
}

pub(super) fn slot<'s>(snapshot: &'s mut Snapshot, variant: &str, segment: &str) -> Option<&'s mut Counters> {
    // A name is copied for the first series that has it, not for each.
    if !snapshot.variants.contains_key(variant) {
        snapshot.variants.insert(variant.to_owned(), BTreeMap::new());
    }
    let segments = snapshot.variants.get_mut(variant)?;
    if !segments.contains_key(segment) {
        segments.insert(segment.to_owned(), Counters::default());
    }
    segments.get_mut(segment)
}

fn counter(snapshot: &mut Snapshot, name: &str, sample: &Sample<'_>, wanted: &Wanted) {
    let value = whole(sample.value);
    let label = |wanted: &str| sample.labels.iter().find(|(n, _)| *n == wanted).map_or("", |(_, v)| v);
    if let Some(what) = name.strip_prefix("headgate_shadow_") {
        if let Some(what) = what.strip_prefix("replicate_") {
            shadows::replicate(snapshot, what, &sample.labels, value, &wanted.route);
        } else if what == "latency_us_sum" {
            shadows::latency_sum(snapshot, &sample.labels, sample.value, &wanted.route);
        }
        return;
    }
    if let Some(what) = name.strip_prefix("headgate_prediction_") {
        // Of another route, or of no bucket: not ours.
        let _passed_over = predictions::take(snapshot, what, &sample.labels, value, &wanted.route);
        return;
    }
    if name == "headgate_goals" {
        let Ok(bucket) = label("bucket").parse::<usize>() else { return };
        if label("route") == wanted.route && bucket < BUCKETS {
            let Some(counters) = slot(snapshot, label("variant"), label("segment")) else { return };
            let goal = counters.goals.entry(label("goal").to_owned()).or_insert_with(|| vec![0; BUCKETS]);
            if let Some(count) = goal.get_mut(bucket) {
                *count += value;
            }
        }
        return;
    }
    if name == "headgate_misrouted" {
        if label("route") == wanted.route {
            *snapshot.misrouted.entry(label("variant").to_owned()).or_default() += value;
        }
        return;
    }
    let known = ["headgate_requests", "headgate_responses", "headgate_grpc", "headgate_timeouts"];
    let sum = name.strip_suffix("_sum");
    if !known.contains(&name) && sum.is_none() {
        return;
    }
    let Some(counters) = place(snapshot, sample.labels, wanted) else { return };
    match name {
        "headgate_requests" => counters.requests += value,
        "headgate_timeouts" => counters.timeouts += value,
        "headgate_responses" => {
            let at = match label("class").as_bytes() {
                [digit @ b'1'..=b'5', b'x', b'x'] => usize::from(digit - b'1'),
                _ => 5,
            };
            if let Some(class) = counters.classes.get_mut(at) {
                *class += value;
            }
        }
        "headgate_grpc" => {
            let at = label("status").parse::<usize>().ok().filter(|s| *s <= 16).unwrap_or(17);
            if let Some(status) = counters.grpc.get_mut(at) {
                *status += value;
            }
        }
        _ => match sum {
            Some("headgate_latency_us") => counters.latency.sum = sample.value,
            Some("headgate_headers_us") => counters.headers.sum = sample.value,
            _ => {}
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are whole; `as` saturates, NaN is 0"
)]
pub(super) fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn wanted(copies: Option<&str>) -> Wanted {
        Wanted {
            target: "model".into(),
            resource: "headgate".into(),
            route: "shop".into(),
            copies: copies.map(str::to_owned),
        }
    }

    const PAGE: &str = r#"# TYPE headgate_requests counter
envoy_extension_config_discovery_http_filter_headgate_update_rejected{} 0
headgate_acknowledgements{target="model"} 4
headgate_misrouted{route="shop",variant="canary",reason="other_cluster"} 2
headgate_misrouted{route="other",variant="canary",reason="other_cluster"} 9
headgate_replicate_failures{route="shop",variant="canary",segment="default",bucket="20"} 3
headgate_replicate_requests{route="shop",variant="canary",segment="default",bucket="20"} 5
headgate_replicate_requests{route="other",variant="canary",segment="default",bucket="20"} 70
headgate_replicate_requests{bucket="20",route="shop",variant="canary",segment="default"} 3
headgate_goals{route="shop",variant="canary",segment="default",goal="purchase",bucket="20"} 5
headgate_goals{route="shop",variant="canary",segment="default",goal="purchase",bucket="31"} 2
headgate_goals{route="other",variant="canary",segment="default",goal="purchase",bucket="20"} 50
headgate_requests{route="shop",variant="canary",assigned="hash",segment="default",reason="hash"} 7
headgate_requests{route="shop",variant="canary",assigned="hash",segment="default",reason="issued"} 1
headgate_requests{route="shop",variant="canary",assigned="forced",segment="default",reason="override"} 50
headgate_requests{route="other",variant="canary",assigned="hash",segment="default",reason="hash"} 60
headgate_responses{route="shop",variant="canary",assigned="hash",segment="default",class="2xx"} 5
headgate_responses{route="shop",variant="canary",assigned="hash",segment="default",class="5xx"} 2
headgate_responses{route="shop",variant="canary",assigned="hash",segment="default",class="none"} 1
headgate_grpc{route="shop",variant="canary",assigned="hash",segment="premium",status="14"} 4
headgate_timeouts{route="shop",variant="canary",assigned="hash",segment="default"} 6
envoy_server_concurrency{} 1
envoy_server_uptime{} 12
headgate_revision{target="model"} 2
headgate_latency_us_bucket{route="shop",variant="canary",assigned="hash",segment="default",le="10"} 1
headgate_latency_us_bucket{route="shop",variant="canary",assigned="hash",segment="default",le="20"} 6
headgate_latency_us_bucket{route="shop",variant="canary",assigned="hash",segment="default",le="+Inf"} 8
headgate_latency_us_sum{route="shop",variant="canary",assigned="hash",segment="default"} 123.5
headgate_latency_us_count{route="shop",variant="canary",assigned="hash",segment="default"} 8
headgate_latency_us_bucket{route="shop",variant="canary",assigned="forced",segment="default",le="10"} 5
headgate_latency_us_bucket{route="shop",variant="canary",assigned="forced",segment="default",le="+Inf"} 5
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop_v2",le="0.5"} 2
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop_v2",le="+Inf"} 3
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="shop_v2"} 1
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="other"} 100
envoy_cluster_upstream_rq_total{envoy_cluster_name="shop_v2"} 4
"#;

    #[test]
    fn one_pass_reads_what_is_in_force_and_what_was_counted() {
        let bounds = Bounds::default();
        let (reading, snapshot) = read(PAGE, &wanted(Some("shop:v2")), &bounds, 9).unwrap();
        assert_eq!((reading.revision, reading.acknowledgements, reading.workers), (Some(2), 4, Some(1)));
        assert_eq!((snapshot.taken_ms, snapshot.uptime_ms), (9, Some(12_000)));
        let canary = &snapshot.variants["canary"]["default"];
        assert_eq!((canary.requests, canary.timeouts, canary.classes), (8, 6, [0, 5, 0, 0, 2, 1]));
        assert_eq!((canary.latency.cumulative.as_slice(), canary.latency.count), ([1, 6].as_slice(), 8));
        assert!((canary.latency.sum - 123.5).abs() < 1e-9);
        assert_eq!(
            (canary.replicates[20].failures, canary.replicates[20].requests, canary.replicates.len()),
            (3, 8, 32)
        );
        let purchases: Vec<(u64, u64)> = canary.conversions("purchase").collect();
        assert_eq!((purchases[20], purchases[31], purchases[0], purchases.len()), ((5, 8), (2, 0), (0, 0), 32));
        assert_eq!(canary.conversions("other").map(|(reached, _)| reached).sum::<u64>(), 0);
        assert_eq!(snapshot.variants["canary"]["premium"].grpc[14], 4);
        assert_eq!(snapshot.misrouted["canary"], 2);
        let copies = snapshot.copies.unwrap();
        assert_eq!((copies.requests, copies.classes[4], copies.latency.count), (4, 1, 3));
        assert_eq!(&*copies.latency.bounds, [500.0]);
        // The bounds of all pages are one list.
        let (_, again) = read(PAGE, &wanted(None), &bounds, 10).unwrap();
        assert!(again.copies.is_none());
        let canary_again = &again.variants["canary"]["default"];
        assert!(Arc::ptr_eq(&canary_again.latency.bounds, &snapshot.variants["canary"]["default"].latency.bounds));
    }

    #[test]
    fn what_is_no_page_is_an_error_and_an_empty_one_is_empty() {
        assert!(read("<html>busy</html>", &wanted(None), &Bounds::default(), 1).is_err());
        let (reading, snapshot) = read("", &wanted(None), &Bounds::default(), 1).unwrap();
        assert_eq!((reading.revision, snapshot.variants.len()), (None, 0));
    }

    #[test]
    fn the_filter_names_the_route_literally() {
        let proxy =
            Proxy { name: "p".into(), admin: Some("http://h:1/".into()), stats: None, runtime_key: String::new() };
        let url = Wanted { route: "a.b".into(), ..wanted(Some("v:2")) }.url(&proxy).unwrap();
        assert!(url.starts_with("http://h:1/stats?format=prometheus&filter=route%3D%5C.%3Da%5C.b%3B"), "{url}");
        assert!(url.contains("v%5C_2"), "{url}");
        let istio = Proxy { stats: Some("http://h:1/stats/prometheus".into()), ..proxy };
        assert_eq!(wanted(None).url(&istio).unwrap(), "http://h:1/stats/prometheus");
    }

    #[test]
    fn compared_copies_are_read_by_segment_and_side() {
        let series = [
            ("replicate_pairs", "bucket=\"3\"", 9),
            ("replicate_pairs", "bucket=\"31\"", 1),
            ("replicate_compared", "bucket=\"3\"", 8),
            ("replicate_mismatched", "bucket=\"3\"", 2),
            ("replicate_failures", "bucket=\"3\",side=\"shadow\"", 4),
            ("replicate_failures", "bucket=\"32\",side=\"shadow\"", 40),
            ("replicate_latency_us", "bucket=\"3\",side=\"primary\"", 700),
            ("latency_us_bucket", "side=\"shadow\",le=\"10\"", 5),
            ("latency_us_bucket", "side=\"shadow\",le=\"+Inf\"", 6),
            ("latency_us_sum", "side=\"shadow\"", 55),
            ("sampled", "", 12),
        ];
        let line = |route: &str, (series, labels, value): (&str, &str, u64)| {
            let comma = if labels.is_empty() { "" } else { "," };
            format!("headgate_shadow_{series}{{route=\"{route}\",segment=\"premium\"{comma}{labels}}} {value}\n")
        };
        let page: String = ["shop", "other"].iter().flat_map(|route| series.map(|s| line(route, s))).collect();
        let (_, snapshot) = read(&page, &wanted(None), &Bounds::default(), 9).unwrap();
        assert_eq!(snapshot.shadow.len(), 1);
        let pairs = &snapshot.shadow["premium"];
        assert_eq!((pairs.compared[3], pairs.mismatched[3], pairs.comparisons()), (8, 2, 8));
        assert_eq!((pairs.shadow.classes, pairs.primary.classes), ([0, 6, 0, 0, 4, 0], [0, 10, 0, 0, 0, 0]));
        assert_eq!((pairs.primary.replicates[3].latency_us, pairs.shadow.replicates[31].finished), (700, 1));
        assert_eq!((pairs.shadow.latency.count, pairs.shadow.latency.cumulative.as_slice()), (6, [5].as_slice()));
        assert!((pairs.shadow.latency.sum - 55.0).abs() < 1e-9);
    }
}
