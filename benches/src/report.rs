//! The figures as tables on a terminal, as Markdown and as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use comfy_table::{Table, TableStyle, presets};
use headgate_tests::{envoy_binary, wasm};
use serde_json::{Value, json};

use crate::cpu::Costs;
use crate::figures::merged;
use crate::memory::{Memory, WORKERS};
use crate::numbers::{Numbers, PAIRS, VALUES};
use crate::pushes::Pushes;
use crate::records::Read;
use crate::rollouts::{PROXIES, ROLLOUTS, Rollouts};
use crate::shadows::Shadows;
use crate::statistics::{Estimate, median, quantile};

/// A table's rows, the header first.
pub(crate) type Rows = Vec<Vec<String>>;

/// A heading and, under it, tables with the text above each.
type Part = (&'static str, Vec<(String, Rows)>);

/// Everything that was measured.
pub(crate) struct Report {
    quick: bool,
    machine: String,
    envoy: String,
    size: u64,
    /// CPU per request.
    pub(crate) cpu: Option<Costs>,
    /// Pushes under load.
    pub(crate) pushes: Option<Pushes>,
    /// Memory.
    pub(crate) memory: Option<Memory>,
    /// The rollout controller.
    pub(crate) rollouts: Option<Rollouts>,
    /// Shadows whose answers are compared.
    pub(crate) shadows: Option<Shadows>,
    /// The statistics.
    pub(crate) numbers: Option<Numbers>,
    /// Records of comparisons.
    pub(crate) records: Option<Vec<Read>>,
}

impl Report {
    /// An empty one, for this machine.
    pub(crate) fn new(quick: bool) -> Result<Self> {
        let version = Command::new(envoy_binary()?).arg("--version").output().context("envoy --version")?;
        let version = String::from_utf8_lossy(&version.stdout);
        // `PATH  version: COMMIT/1.40.0/…`: where it lies is nobody's business.
        let version = version.rsplit("version:").next().unwrap_or_default().trim().to_owned();
        let size = std::fs::metadata(wasm()?)?.len();
        Ok(Self {
            quick,
            machine: machine(),
            envoy: version,
            size,
            cpu: None,
            pushes: None,
            memory: None,
            rollouts: None,
            shadows: None,
            numbers: None,
            records: None,
        })
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        self.render(presets::UTF8_FULL_CONDENSED, "\n")
    }

    /// Replaces the figures in a Markdown file; those of parts that were not measured stay.
    ///
    /// # Errors
    /// When the file lacks one of the two lines between which they go.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let (begin, end) = ("<!-- figures -->", "<!-- /figures -->");
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let missing = || format!("{} needs the lines `{begin}` and `{end}`", path.display());
        let (head, rest) = text.split_once(begin).with_context(missing)?;
        let (old, tail) = rest.split_once(end).with_context(missing)?;
        let figures = merged(old, &self.render(presets::ASCII_MARKDOWN, "\n## "));
        Ok(std::fs::write(path, format!("{head}{begin}\n\n{figures}\n{end}{tail}"))?)
    }

    fn render(&self, preset: TableStyle, heading: &str) -> String {
        let mut out = format!("Machine: {}.\n\nEnvoy: {}.\n", self.machine, self.envoy);
        if self.quick {
            out.push_str("\nA quick run: it shows that the benchmark works, not what Headgate costs.\n");
        }
        // Writing to a `String` does not fail.
        for (title, tables) in self.tables() {
            let _ = writeln!(out, "{heading}{title}");
            for (text, rows) in tables {
                let mut rows = rows.into_iter();
                let mut table = Table::new();
                table.load_style(preset);
                table.set_header(rows.next().unwrap_or_default());
                table.add_rows(rows);
                let _ = write!(out, "\n{text}\n\n{table}\n");
            }
        }
        out
    }

    fn tables(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(costs) = &self.cpu {
            parts.push(("CPU per request", vec![self.cpu_table(costs), large_table(costs)]));
        }
        if let Some(pushes) = &self.pushes {
            parts.push(("Pushes under load", vec![pushes_table(pushes)]));
        }
        if let Some(memory) = &self.memory {
            parts.push(("Memory and size", vec![self.memory_table(memory)]));
        }
        if let Some(rollouts) = &self.rollouts {
            parts.push(("The rollout controller", vec![rollouts_table(rollouts)]));
        }
        if let Some(shadows) = &self.shadows {
            parts.push(("Compared shadows", shadows.tables()));
        }
        if let Some(numbers) = &self.numbers {
            parts.push(("The statistics", vec![numbers_table(numbers)]));
        }
        if let Some(read) = &self.records {
            parts.push(("Records of comparisons", vec![records_table(read)]));
        }
        parts
    }

    fn memory_table(&self, memory: &Memory) -> (String, Rows) {
        #[expect(clippy::cast_precision_loss, reason = "a file's size")]
        let size = format!("{:.0} KB", self.size as f64 / 1e3);
        let rows = vec![
            row(["what", "measured", "target"]),
            row(["size of the `.wasm`", &size, "<= 400 KB"]),
            row(["memory for each more worker", &format!("{:.2} MB", memory.per_worker()), "<= 2 MB"]),
        ];
        let mut text = String::from(
            "KB and MB are 10^3 and 10^6 bytes. Resident memory of Envoy by number of workers, without the filter and with it:",
        );
        for (i, workers) in WORKERS.iter().enumerate() {
            let _ = write!(text, " {workers}: {:.1} and {:.1} MB;", memory.without[i], memory.with[i]);
        }
        text.pop();
        text.push('.');
        (text, rows)
    }

    fn cpu_table(&self, costs: &Costs) -> (String, Rows) {
        let [starts, rounds] = costs.starts();
        let text = format!(
            "Worker CPU in microseconds: medians of {starts} starts of Envoy with 95 % bootstrap intervals, each start by the least of its \
             {rounds} rounds, piece by piece; {} requests in all. The last column is the extra over the empty filter's extra; Headgate's target is \
             <= 2.1, its aim 1.6. By the medians of all rounds, neighbours' noise and all, that of the last but one line is {}.",
            costs.requests,
            shown(costs.disturbed())
        );
        let mut rows = vec![row(["side", "CPU per request", "extra over the first line", "over the empty filter's"])];
        for line in costs.lines() {
            rows.push(row([line.what, &shown(line.total), &shown(line.extra), &shown(line.ratio)]));
        }
        (text, rows)
    }

    /// All figures, with intervals as `[value, low, high]`.
    pub(crate) fn json(&self) -> Value {
        let estimate = |e: Estimate| json!([e.value, e.low, e.high]);
        let cpu = self.cpu.as_ref().map(|costs| {
            let lines: Vec<Value> = costs
                .lines()
                .into_iter()
                .map(|line| {
                    json!({"side": line.what, "us": estimate(line.total), "extraUs": estimate(line.extra),
                           "overEmpty": estimate(line.ratio)})
                })
                .collect();
            let [whole, part] = costs.large();
            let [starts, rounds] = costs.starts();
            json!({"starts": starts, "rounds": rounds, "requests": costs.requests, "sides": lines,
                   "overEmptyByAllRounds": estimate(costs.disturbed()),
                   "largeOverSmall": estimate(whole), "largeOverSmallExtra": estimate(part)})
        });
        let pushes = self.pushes.as_ref().map(|seen| {
            let quantiles = |sample: &[f64]| json!({"p50": quantile(sample, 0.5), "p99": quantile(sample, 0.99), "max": quantile(sample, 1.0)});
            json!({"pushes": seen.pushes, "requestsPerSecond": seen.rate, "requests": seen.requests, "failed": seen.failed,
                   "misrouted": seen.misrouted, "unseen": seen.unseen, "effectMs": quantiles(&seen.effect),
                   "killMs": quantiles(&seen.kill), "latencyMs": quantiles(&seen.latency), "residentMb": seen.resident})
        });
        let memory = self.memory.as_ref().map(|memory| {
            json!({"workers": WORKERS, "withoutMb": memory.without, "withMb": memory.with, "perWorkerMb": memory.per_worker()})
        });
        let rollouts = self.rollouts.as_ref().map(|seen| {
            let fleet = &seen.fleet;
            json!({"caughtSeconds": seen.caught, "proxies": PROXIES, "pageKb": fleet.page, "ticks": fleet.ticks,
                   "tickCpuSeconds": fleet.tick, "tickMb": fleet.memory, "rollouts": ROLLOUTS, "idleCpu": fleet.idle,
                   "watchedSeconds": fleet.watched, "simulatedCpuSeconds": seen.simulated, "rolloutsMb": fleet.many})
        });
        let numbers = self.numbers.as_ref().map(|seen| {
            let [z, norm, special, statsmodels] = &seen.proportions;
            let ([sequential, numpy], [ranks, scipy]) = (&seen.sequential, &seen.ranks);
            json!({"tickSeconds": seen.ticks, "proceduresSeconds": seen.procedures, "pairs": PAIRS, "values": VALUES,
                   "proportions": {"headgate": z, "scipyNorm": norm, "scipySpecial": special, "statsmodels": statsmodels},
                   "sequential": {"headgate": sequential, "numpy": numpy}, "ranks": {"headgate": ranks, "scipy": scipy}})
        });
        let records = self.records.as_ref().map(|read| {
            let one = |r: &Read| json!({"megabytes": r.megabytes, "megabytesPerSecond": r.rate, "peakMb": r.peak});
            read.iter().map(one).collect::<Vec<_>>()
        });
        json!({"machine": self.machine, "envoy": self.envoy, "quick": self.quick, "wasmBytes": self.size, "cpu": cpu,
               "pushes": pushes, "memory": memory, "rollouts": rollouts,
               "shadows": self.shadows.as_ref().map(Shadows::json), "numbers": numbers, "records": records})
    }
}

fn large_table(costs: &Costs) -> (String, Rows) {
    let [whole, part] = costs.large();
    (
        "1,000 routes with 100,000 listed keys, over one route without lists:".to_owned(),
        vec![
            row(["what", "ratio", "target"]),
            row(["CPU per request", &shown(whole), "<= 1.10"]),
            row(["extra over `weighted_clusters` alone", &shown(part), ""]),
        ],
    )
}

fn pushes_table(seen: &Pushes) -> (String, Rows) {
    let times = |sample: &[f64]| {
        format!("{:.1} / {:.1} / {:.1} ms", quantile(sample, 0.5), quantile(sample, 0.99), quantile(sample, 1.0))
    };
    let [before, after] = seen.resident;
    let growth = format!("{:.1} % ({before:.1} to {after:.1} MB)", (after / before - 1.0) * 100.0);
    let text = format!(
        "{} pushes, one of three a kill, under {} requests ({:.0} a second, half of what the worker can serve, open loop). \
         Times are p50 / p99 / longest.",
        seen.pushes, seen.requests, seen.rate
    );
    let rows = vec![
        row(["what", "measured", "target"]),
        row(["failed requests", &seen.failed.to_string(), "0"]),
        row(["misrouted requests", &seen.misrouted.to_string(), "0"]),
        row(["pushes not seen in force before the next", &seen.unseen.to_string(), "0"]),
        row(["write to effect", &times(&seen.effect), "p99 <= 20 ms"]),
        row(["kill to the last request at the canary", &times(&seen.kill), "p99 <= 20 ms"]),
        row(["latency of requests meanwhile", &times(&seen.latency), ""]),
        row(["growth of resident memory", &growth, "< 5 %"]),
    ];
    (text, rows)
}

fn records_table(read: &[Read]) -> (String, Rows) {
    let text = "`headgate shadow analyze` on records as the filter writes them, one thread, the whole process; ranks are binned beyond \
                100,000 pairs. Targets: 150 MB/s, and memory that does not grow with the file."
        .to_owned();
    let mut rows = vec![row(["file", "read", "peak of memory"])];
    for one in read {
        let (file, rate, peak) =
            (format!("{:.0} MB", one.megabytes), format!("{:.0} MB/s", one.rate), format!("{:.0} MB", one.peak));
        rows.push(row([&file, &rate, &peak]));
    }
    (text, rows)
}

fn rollouts_table(seen: &Rollouts) -> (String, Rows) {
    let fleet = &seen.fleet;
    let text = format!(
        "A canary at 50 % and 200 requests a second that begins to fail wholly, error criterion, a look each second: {} runs, \
         median / longest. One rollout over {PROXIES} proxies, 3 variants, 6 criteria: {:.0} ticks over recorded pages of {:.0} KB each. {ROLLOUTS} rollouts in one \
         process, a proxy and a target each, a look each 10 s, watched for {:.0} s. `headgate simulate` of a rollout of five days, one seed: as many runs as \
         failing canaries, median / longest.",
        seen.caught.len(),
        fleet.ticks,
        fleet.page,
        fleet.watched
    );
    let simulated = format!("{:.2} / {:.2} s", quantile(&seen.simulated, 0.5), quantile(&seen.simulated, 1.0));
    let caught = format!("{:.2} / {:.2} s", quantile(&seen.caught, 0.5), quantile(&seen.caught, 1.0));
    let rows = vec![
        row(["what", "measured", "target"]),
        row(["first failure to the canary's last request", &caught, "<= 2.5 s"]),
        row(["CPU of a tick over 1,000 proxies", &format!("{:.2} s", fleet.tick), "<= 1 s"]),
        row(["memory of that process", &format!("{:.0} MB", fleet.memory), "<= 200 MB"]),
        row(["CPU of 200 rollouts that wait", &format!("{:.2} % of a core", fleet.idle * 100.0), "< 2 %"]),
        row(["memory of that process", &format!("{:.0} MB", fleet.many), ""]),
        row(["CPU of five simulated days", &simulated, "< 1 s"]),
    ];
    (text, rows)
}

fn numbers_table(seen: &Numbers) -> (String, Rows) {
    let text = format!(
        "One look of the judge at a bandit: 3 variants, 10 criteria (rates and quantiles against limits), 20 segments, 32 buckets of users, all bounds, posteriors and estimates by weight epoch; \
         and over counts of that size what such a look does not ask: sample ratio by segment, group-sequential bounds, each metric's difference by four procedures (e-values, confidence sequence, \
         mSPRT, group-sequential), in each segment by itself, by Welch and Mann-Whitney on buckets, by the textbook's tests of proportions in each segment, by Mantel and Haenszel, Bayesian, with both corrections, and \
         drift in each segment: {} looks, median / longest. \
         Then the same data and the same answers (to 1e-9) as scipy 1.17, numpy 2.4 and statsmodels 0.15, vectorised, in the same run: medians, one thread on both sides.",
        seen.ticks.len()
    );
    let ms = |seconds: &[f64]| format!("{:.1} ms", median(seconds) * 1e3);
    let beside = |ours: &[f64], theirs: &[f64]| format!("{}; {:.2} of it", ms(theirs), median(ours) / median(theirs));
    let [z, norm, special, statsmodels] = &seen.proportions;
    let ([sequential, numpy], [ranks, scipy]) = (&seen.sequential, &seen.ranks);
    let of = |seconds: &[f64]| format!("{:.2} / {:.2} ms", median(seconds) * 1e3, quantile(seconds, 1.0) * 1e3);
    let both: Vec<f64> = seen.ticks.iter().zip(&seen.procedures).map(|(tick, all)| tick + all).collect();
    let rows = vec![
        row(["what", "Headgate", "theirs; ours over it", "target"]),
        row(["one look of the judge", &of(&seen.ticks), "", ""]),
        row(["every other procedure over counts of that size", &of(&seen.procedures), "", ""]),
        row(["both together", &of(&both), "", "< 5 ms"]),
        row(["two proportions, 10^6 pairs; `scipy.stats.norm`", &ms(z), &beside(z, norm), "<= 1"]),
        row(["the same; `scipy.special.ndtr`", &ms(z), &beside(z, special), "<= 1"]),
        row(["the same; statsmodels", &ms(z), &beside(z, statsmodels), "<= 1"]),
        row(["sequential test (mSPRT), 10^6 pairs; numpy", &ms(sequential), &beside(sequential, numpy), "<= 1"]),
        row(["Mann-Whitney, 10^7 values; scipy", &ms(ranks), &beside(ranks, scipy), "<= 1"]),
    ];
    (text, rows)
}

/// A table's row.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// An estimate with its interval.
pub(crate) fn shown(e: Estimate) -> String {
    format!("{:.2} ({:.2} to {:.2})", e.value, e.low, e.high)
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> =
        cpus.lines().filter_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.trim())).collect();
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let virtualised = if cpus.contains(" hypervisor") { ", virtual machine" } else { "" };
    format!(
        "{} x {}{virtualised}, {:.0} GB, Linux {}",
        models.len(),
        models.first().copied().unwrap_or("unknown processor"),
        kib.unwrap_or(0.0_f64) * 1024.0 / 1e9,
        read("/proc/sys/kernel/osrelease").trim()
    )
}
