//! Arguments of `headgate shadow`: answers to copies beside those that users got.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::stats::share;

/// `headgate shadow`.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    #[command(subcommand)]
    pub(crate) kind: Kind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kind {
    /// Is the shadow ready for users? From the proxies' counters, and its recommendation.
    #[command(
        after_help = "Examples:\n  headgate shadow report target.yaml --route shop\n  headgate shadow report target.yaml --route shop --since 30s --agreement 99%\n  headgate shadow report target.yaml --route shop --labels labels.jsonl\n\nCounters are summed over all proxies since they started, or over the time that --since says to watch.\nRecommendations: promote, fix latency, investigate disagreement, fix errors, need more comparisons."
    )]
    Report(Report),
    /// What records of comparisons say: agreement, differences, what changed into what, latencies. Files of any size.
    #[command(
        after_help = "Examples:\n  headgate shadow analyze records.jsonl\n  headgate shadow analyze records.*.jsonl --html shadow.html --labels labels.jsonl\n  zcat log.gz | headgate shadow analyze - --map old=champion.score --map new=challenger.score --map key=user_id --tolerance 0.01\n\nRead are one JSON object a line: the proxies' records, their lines in Envoy's log, or with --map another tool's log.\nNames for --map: old, new (numbers, texts or truth values), id, key, segment, agrees, old-status, new-status,\nold-latency, new-latency, error, difference, share, bucket. Paths: names with dots between, or a JSON pointer."
    )]
    Analyze(Analyze),
    /// Say who was right where answers disagree; `report` and `analyze` reckon with it.
    #[command(
        after_help = "Examples:\n  headgate shadow label records.jsonl --labels labels.jsonl --sample 20          # some that nobody has looked at\n  headgate shadow label records.jsonl --labels labels.jsonl --id r-17 --right shadow --note \"it is a 5\"\n\nLabels are only ever added to the file; of several for one request the last one holds."
    )]
    Label(Label),
    /// Take in the records that proxies send, and write them to a file.
    #[command(
        after_help = "Examples:\n  headgate shadow collect --listen 0.0.0.0:8441 --out records.jsonl\n  HEADGATE_RECORDS_TOKEN=… headgate shadow collect --listen 0.0.0.0:8441 --out /var/lib/headgate/records.jsonl --rotate 256MiB --keep 8\n\nProxies POST to /shadow/records. `headgate run --listen … --records FILE` does the same beside its rollouts.\nA full disk or a queue that is full answers 503 and is said here; nothing waits for it."
    )]
    Collect(Collect),
}

/// What is allowed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Share of comparisons that must agree.
    #[arg(long, value_parser = share, default_value = "85%")]
    pub(crate) agreement: f64,
    /// How many times the p95 of the version in service the shadow's may be.
    #[arg(long, value_name = "TIMES", value_parser = times, default_value = "1.5")]
    pub(crate) latency: f64,
    /// A rise of the p95 below this never fails.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10ms")]
    pub(crate) latency_floor: Duration,
    /// How many times the errors of the version in service the shadow's may be.
    #[arg(long, value_name = "TIMES", value_parser = times, default_value = "2")]
    pub(crate) errors: f64,
    /// A rise of the share of errors below this never fails.
    #[arg(long, value_parser = share, default_value = "0.5%")]
    pub(crate) errors_floor: f64,
    /// Comparisons that are needed.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) comparisons: u64,
    /// Chance that an interval does not hold the truth.
    #[arg(long, value_parser = share, default_value = "5%")]
    pub(crate) alpha: f64,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The target file.
    pub(crate) target: PathBuf,
    /// The route whose shadow is meant.
    #[arg(long)]
    pub(crate) route: String,
    /// Watch for this long and judge what was counted meanwhile. Default: all since the proxies started.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Who was right where answers disagree, as `headgate shadow label` wrote it down of this route's records.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// Files, one JSON object a line; `-` is standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Where another tool's log has a thing. May be repeated.
    #[arg(long = "map", value_name = "NAME=PATH")]
    pub(crate) maps: Vec<String>,
    /// Unit of the latencies that --map names.
    #[arg(long, value_enum, default_value = "ms", requires = "maps")]
    pub(crate) latency_unit: LatencyUnit,
    /// Numbers that --map names agree when they differ by at most this.
    #[arg(long, value_parser = amount, default_value = "0", requires = "maps")]
    pub(crate) tolerance: f64,
    /// They also agree when they differ by at most this part of the larger.
    #[arg(long, value_parser = share, default_value = "0", requires = "maps")]
    pub(crate) relative_tolerance: f64,
    /// Who was right, as `headgate shadow label` wrote it down.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// A field counts when the shadow differs in it more often than the version in service from itself, by more than this part of both.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "20%")]
    pub(crate) noise_relative: f64,
    /// And by more than this share of comparisons.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0.03%")]
    pub(crate) noise_absolute: f64,
    /// Rows of each list.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
    /// Pairs of numbers that are held for exact ranks (64 bytes each while they are ranked); beyond, ranks are binned.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) exact: usize,
    /// Write a self-contained page too.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LatencyUnit {
    Us,
    Ms,
    S,
}

impl LatencyUnit {
    pub(crate) const fn micros(self) -> f64 {
        match self {
            Self::Us => 1.0,
            Self::Ms => 1_000.0,
            Self::S => 1_000_000.0,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Label {
    /// Files of records; `-` is standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The file that labels are added to.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: PathBuf,
    /// Show so many disagreements that have no label, each as likely as any other.
    #[arg(long, value_name = "N", conflicts_with_all = ["id", "right"])]
    pub(crate) sample: Option<usize>,
    /// The request that the label is about. May be repeated.
    #[arg(long, value_name = "ID", requires = "right", required_unless_present = "sample")]
    pub(crate) id: Vec<String>,
    /// Who was right.
    #[arg(long, value_enum, requires = "id")]
    pub(crate) right: Option<Right>,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Who says so.
    #[arg(long, env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// Where another tool's log has a thing, as for `analyze`.
    #[arg(long = "map", value_name = "NAME=PATH")]
    pub(crate) maps: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Right {
    /// The version in service.
    Primary,
    /// The shadow.
    Shadow,
    /// Either will do.
    Both,
    /// Neither.
    Neither,
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Address to listen on; port 0: any.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: String,
    #[command(flatten)]
    pub(crate) records: Records,
}

/// Where records go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Records {
    /// The file that records are added to.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// At this size the file is set aside as FILE.1, and a new one begun. Units: KiB, MiB, GiB.
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256MiB")]
    pub(crate) rotate: u64,
    /// How many that were set aside are kept.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) keep: usize,
}

/// A size in bytes: `256MiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("write a whole number and B, KiB, MiB or GiB".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a whole number and B, KiB, MiB or GiB".to_owned())?;
    number.checked_mul(factor).filter(|size| *size >= 4_096).ok_or_else(|| "at least 4 KiB".to_owned())
}

/// A number of at least 1: how many times as much.
fn times(text: &str) -> Result<f64, String> {
    amount(text.trim().trim_end_matches('x'))
        .ok()
        .filter(|times| *times >= 1.0)
        .ok_or_else(|| "a number of at least 1, as 1.5".to_owned())
}

/// A number of at least 0.
fn amount(text: &str) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err("it must be finite and at least 0".to_owned()) }
}
