//! What the filter counted by buckets of users (`headgate_replicate_*`): a line for each bucket, one below the other.

use headgate_rollout::measure::{BUCKETS, Replicates, Snapshot};

use super::envoy::{Wanted, slot, whole};
use crate::exposition::{self, Sample};

/// One count of one version in one segment, as its buckets come.
pub(super) struct Users<'t> {
    /// Its lines, up to the bucket. Where the bucket is not the last label that is a line of its own.
    pub(super) head: &'t str,
    /// Which count.
    what: &'t str,
    variant: &'t str,
    segment: &'t str,
    /// Whether it is of the route that is meant.
    ours: bool,
    sums: [u64; BUCKETS],
}

impl<'t> Users<'t> {
    /// Of the first line that is read; `None` for what has no bucket.
    pub(super) fn of(line: &'t str, what: &'t str, sample: &Sample<'t>, wanted: &Wanted) -> Option<Self> {
        let mut users = Self { head: line, what, variant: "", segment: "", ours: false, sums: [0; BUCKETS] };
        let mut bucket = None;
        for (name, value) in sample.labels.iter() {
            match name {
                "route" => users.ours = value == wanted.route,
                "variant" => users.variant = value,
                "segment" => users.segment = value,
                "bucket" => bucket = value.parse().ok(),
                _ => {}
            }
        }
        users.take(bucket?, whole(sample.value));
        if sample.labels.split_last("bucket").is_some() {
            users.head = exposition::head(line)?;
        }
        Some(users)
    }

    /// Another bucket of the same.
    pub(super) fn take(&mut self, bucket: usize, count: u64) {
        if let Some(sum) = self.sums.get_mut(bucket) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Into the counters of their version and segment.
    pub(super) fn close(self, snapshot: &mut Snapshot) {
        if !self.ours {
            return;
        }
        let Some(counters) = slot(snapshot, self.variant, self.segment) else { return };
        if counters.replicates.is_empty() {
            counters.replicates = vec![Replicates::default(); BUCKETS];
        }
        for (cell, sum) in counters.replicates.iter_mut().zip(self.sums) {
            match self.what {
                "requests" => cell.requests += sum,
                "finished" => cell.finished += sum,
                "failures" => cell.failures += sum,
                "timeouts" => cell.timeouts += sum,
                "client_errors" => cell.client_errors += sum,
                "latency_us" => cell.latency_us += sum,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::providers::envoy::read;
    use crate::providers::histogram::Bounds;

    #[test]
    fn lines_alike_are_read_as_each_line_for_itself() {
        let mut page = String::new();
        for (n, what) in ["finished", "latency_us", "requests"].iter().enumerate() {
            for variant in ["canary", "stable"] {
                for route in ["other", "shop"] {
                    for bucket in [0_usize, 10, 1, 31, 32] {
                        let count = 1_000 * n + 10 * bucket + route.len() + variant.len();
                        let labels =
                            format!(r#"route="{route}",variant="{variant}",segment="default",bucket="{bucket}""#);
                        writeln!(page, "headgate_replicate_{what}{{{labels}}} {count}").unwrap();
                    }
                }
            }
        }
        for (variant, bounds) in
            [("canary", ["0.5", "1", "+Inf"]), ("stable", ["0.5", "1", "+Inf"]), ("third", ["1", "2", "+Inf"])]
        {
            for (count, le) in bounds.iter().enumerate() {
                let labels = format!(r#"route="shop",variant="{variant}",assigned="hash",segment="default",le="{le}""#);
                writeln!(page, "headgate_latency_us_bucket{{{labels}}} {}", 7 * count + variant.len()).unwrap();
            }
        }
        let wanted = Wanted { target: "t".into(), resource: "headgate".into(), route: "shop".into(), copies: None };
        let of = |page: &str| read(page, &wanted, &Bounds::default(), 5).unwrap().1;
        let found = of(&page);
        let canary = &found.variants["canary"]["default"];
        let cell = |bucket: usize| canary.replicates.get(bucket).map(|r| (r.finished, r.latency_us, r.requests));
        assert_eq!((cell(10), cell(2), cell(32)), (Some((110, 1_110, 2_110)), Some((0, 0, 0)), None));
        assert_eq!((canary.latency.cumulative.as_slice(), canary.latency.count), ([6, 13].as_slice(), 20));
        assert_eq!(found.variants["third"]["default"].latency.bounds.to_vec(), [1.0, 2.0]);
        // With a time stamp no line is like another.
        assert_eq!(of(&page.replace('\n', " 1700000000\n")), found);
        // Nor without a line between them that is.
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(of(&lines.join("\n# a word\n\n")), found);
    }
}
