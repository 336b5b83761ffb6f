//! What was answered to copies that Envoy itself sends: its own counters of the cluster that they go to.

use headgate_rollout::measure::{Counters, Histogram};

use super::envoy::whole;
use super::histogram::{Bounds, Ladder, Open};
use crate::exposition::Sample;

/// They, as they come.
pub(super) struct Copies<'t> {
    /// As it stands in the page: Envoy writes `_` for `:`.
    cluster: String,
    pub(super) counters: Counters,
    open: Option<Open<'t>>,
}

impl<'t> Copies<'t> {
    pub(super) fn of(cluster: &str) -> Self {
        Self { cluster: cluster.replace(':', "_"), counters: Counters::default(), open: None }
    }

    /// Takes a sample, if it is one of them.
    pub(super) fn take(&mut self, sample: &Sample<'t>, bounds: &Bounds) {
        let Some(what) = sample.name.strip_prefix("envoy_cluster_upstream_rq_") else { return };
        let label = |wanted: &str| sample.labels.iter().find(|(n, _)| *n == wanted).map(|(_, v)| v);
        let cluster = label("envoy_cluster_name").or_else(|| label("cluster_name"));
        if cluster.is_none_or(|c| c.replace(':', "_") != self.cluster) {
            return;
        }
        let value = whole(sample.value);
        let mut class = |at: usize| {
            if let Some(class) = self.counters.classes.get_mut(at) {
                *class += value;
            }
        };
        match what {
            "total" => self.counters.requests += value,
            "timeout" => self.counters.timeouts += value,
            // No answer at all.
            "rx_reset" => class(5),
            "xx" => {
                if let Some(digit @ 1..=5) = label("envoy_response_code_class").and_then(|c| c.parse().ok()) {
                    class(digit - 1_usize);
                }
            }
            // Envoy's own histogram of upstream times is in milliseconds.
            "time_sum" => self.counters.latency.sum = sample.value * 1_000.0,
            "time_bucket" => {
                let Some((labels, le)) = sample.labels.split_last("le") else { return };
                let mut none = Ladder::default();
                self.open.get_or_insert_with(|| Open::new("", what, labels, &none)).take(le, sample.value, &none);
                if le == "+Inf"
                    && let Some(open) = self.open.take()
                {
                    let found = open.histogram(bounds, &mut none);
                    let micros: Vec<f64> = found.bounds.iter().map(|millis| millis * 1_000.0).collect();
                    let sum = self.counters.latency.sum;
                    self.counters.latency = Histogram { sum, bounds: bounds.shared(&micros), ..found };
                }
            }
            _ => {}
        }
    }
}
