//! Arguments of `headgate stats`: statistics on anybody's numbers.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `headgate stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(subcommand)]
    pub(crate) kind: Kind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kind {
    /// How many users each version needs to show a difference.
    #[command(
        after_help = "Examples:\n  headgate stats sample-size --baseline 5% --to 6%\n  headgate stats sample-size --baseline 10% --relative 5% --per-day 20000\n  headgate stats sample-size --baseline 2% --margin 0.2%\n  headgate stats sample-size --difference 3 --deviation 12"
    )]
    SampleSize(Sizes),
    /// With which chance a test of this size shows a difference.
    #[command(
        after_help = "Examples:\n  headgate stats power --units 2000 --baseline 5% --to 6%\n  headgate stats power --units 64 --difference 3 --deviation 6"
    )]
    Power(Sizes),
    /// Compare two rates of independent users, looked at once.
    #[command(
        after_help = "Examples:\n  headgate stats proportions 90/980 120/1000\n  headgate stats proportions 69/76 83/100 --margin 10%\n  headgate stats proportions --input counts.csv          # columns variant, events, units"
    )]
    Proportions(Two),
    /// Compare two means of independent users (Welch), looked at once.
    #[command(
        after_help = "Examples:\n  headgate stats means --input values.csv                # columns variant, value; one row a user\n  headgate stats means --input - < values.json"
    )]
    Means(Values),
    /// Compare two sets of values by their ranks (Mann-Whitney), looked at once.
    #[command(
        after_help = "Example:\n  headgate stats ranks --input values.csv                # columns variant, value; one row a user"
    )]
    Ranks(Values),
    /// Did the versions get the users that their weights say? May be looked at as often as you like.
    #[command(
        after_help = "Examples:\n  headgate stats srm 600 400 --weights 50,50              # distinct users\n  headgate stats srm --input buckets.csv --weights 95,5   # columns variant, bucket, units: requests by bucket of users"
    )]
    Srm(Ratio),
    /// Is one rate worse than another allows? May be looked at as often as you like.
    #[command(
        after_help = "Examples:\n  headgate stats sequential 12/4000 31/4000 --ratio 2 --floor 0.5%\n  headgate stats sequential 900/1000 850/1000 --worse lower --floor 2%\n  headgate stats sequential --input buckets.csv           # columns variant, bucket, events, units, and segment if you like\n  headgate stats sequential --input looks.csv --html over-time.html   # column look too: what each look added"
    )]
    Sequential(Repeated),
    /// Compare two rates within segments, and say where adding them up would mislead.
    #[command(
        after_help = "Example:\n  headgate stats segments --input segments.csv           # columns segment, variant, events, units"
    )]
    Segments(Values),
    /// Has a distribution moved since a reference window?
    #[command(
        after_help = "Examples:\n  headgate stats drift --reference 500,300,200 --now 400,400,200\n  headgate stats drift --input bins.csv                   # columns bin, reference, now: counts, bins in order\n  headgate stats drift --input classes.csv --classes      # classes have no order: the stability index alone\n  headgate stats drift --input bins.csv --html moved.html"
    )]
    Drift(super::drift::Moved),
    /// What each arm of a bandit earns, from counts by weight epoch: where weights followed the rewards, plain averages are biased and
    /// ordinary p-values mean nothing.
    #[command(
        after_help = "Examples:\n  headgate stats adaptive --input epochs.csv              # columns epoch, variant, weight, bucket, units, total\n  headgate stats adaptive --input epochs.csv --looks 100 --html arms.html"
    )]
    Adaptive(AdaptiveArgs),
    /// Which policy of a bandit gives up least? Simulated, over many seeds.
    #[command(
        after_help = "Examples:\n  headgate stats bandit-sim --rates 5%,6%,8%\n  headgate stats bandit-sim --rates 5%,10% --shift-at 30 --shifted 10%,5% --half-life 5\n  headgate stats bandit-sim --rates 5%,6% --units 5000 --users 20000 --correlation 0.1 --html sim.html"
    )]
    BanditSim(BanditSim),
}

/// Counts by weight epoch.
#[derive(Debug, Args)]
pub(crate) struct AdaptiveArgs {
    /// CSV with a header line, or a JSON list of objects; `-` is standard input. Epochs in their order.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The version compared with. Default: the first that the file names.
    #[arg(long)]
    pub(crate) baseline: Option<String>,
    /// Chance that an interval misses.
    #[arg(long, default_value = "5%", value_parser = share)]
    pub(crate) alpha: f64,
    /// Intervals that hold at all looks together, one after each epoch; narrowest at this many epochs.
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) looks: Option<f64>,
    /// Write a page with charts: each estimate with its interval over the epochs.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// A policy to be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulatedPolicy {
    /// Everybody gets an equal share for ever.
    Uniform,
    /// A fixed part explores, everybody else gets the best so far.
    EpsilonGreedy,
    /// A variant's share is its chance to be the best.
    Thompson,
}

/// A bandit that is simulated.
#[derive(Debug, Args)]
pub(crate) struct BanditSim {
    /// The true rate of reward of each arm.
    #[arg(long, value_delimiter = ',', required = true, value_parser = share)]
    pub(crate) rates: Vec<f64>,
    /// From this batch on, counted from 0, rates are those of --shifted.
    #[arg(long, value_name = "BATCH")]
    pub(crate) shift_at: Option<u32>,
    /// The rates then.
    #[arg(long, value_delimiter = ',', value_parser = share, value_name = "RATES")]
    pub(crate) shifted: Vec<f64>,
    /// Policies to be compared.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "uniform,epsilon-greedy,thompson")]
    pub(crate) policy: Vec<SimulatedPolicy>,
    /// The part that explores, for `epsilon-greedy`.
    #[arg(long, default_value = "10%", value_parser = share)]
    pub(crate) epsilon: f64,
    /// Units (requests, outcomes) in a batch, all arms together.
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) units: f64,
    /// Batches: weights change between two.
    #[arg(long, default_value_t = 50)]
    pub(crate) batches: u32,
    /// Users that they come from.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) users: u64,
    /// How alike one user's units are, 0 (not at all) to 1 (always the same).
    #[arg(long, default_value_t = 0.05)]
    pub(crate) correlation: f64,
    /// What every arm keeps.
    #[arg(long, default_value = "2%", value_parser = share)]
    pub(crate) floor: f64,
    /// A weight that would change by less stays.
    #[arg(long, default_value = "1%", value_parser = share)]
    pub(crate) least_change: f64,
    /// Units that each arm needs before any is preferred.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) warm_up: f64,
    /// Batches after which a reward weighs half as much. Default: never.
    #[arg(long, value_name = "BATCHES")]
    pub(crate) half_life: Option<f64>,
    /// Batches that rewards come late.
    #[arg(long, default_value_t = 0)]
    pub(crate) delay: u32,
    /// How many seeds are played, each by every policy.
    #[arg(long, default_value_t = 200)]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write a page with a chart: the best arm's share over time.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// A rate and a difference, or a mean's.
#[derive(Debug, Args)]
pub(crate) struct Sizes {
    /// The rate that is there now: 5% or 0.05.
    #[arg(long, value_parser = share, required_unless_present = "difference")]
    pub(crate) baseline: Option<f64>,
    /// The rate to be told from it.
    #[arg(long, value_parser = share, conflicts_with_all = ["relative", "difference", "margin"])]
    pub(crate) to: Option<f64>,
    /// The same as a change relative to the baseline: 5% of 10% is half a point.
    #[arg(long, value_parser = change, conflicts_with_all = ["difference", "margin"], allow_hyphen_values = true)]
    pub(crate) relative: Option<f64>,
    /// Show instead that the new rate is not worse by this many points or more (one-sided).
    #[arg(long, value_parser = share, conflicts_with = "difference")]
    pub(crate) margin: Option<f64>,
    /// A difference of two means, in their unit.
    #[arg(long, requires = "deviation", conflicts_with = "baseline", allow_hyphen_values = true)]
    pub(crate) difference: Option<f64>,
    /// The standard deviation of single values, for means.
    #[arg(long)]
    pub(crate) deviation: Option<f64>,
    /// Users in each version: for `power`.
    #[arg(long)]
    pub(crate) units: Option<f64>,
    /// Chance of an alarm where there is no difference.
    #[arg(long, default_value = "5%", value_parser = share)]
    pub(crate) alpha: f64,
    /// Chance of showing the difference if it is there: for `sample-size`.
    #[arg(long, default_value = "80%", value_parser = share)]
    pub(crate) power: f64,
    /// Look for a difference in the expected direction alone.
    #[arg(long)]
    pub(crate) one_sided: bool,
    /// Design effect: by how much users who come back enlarge the variance, when units are requests.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) design_effect: f64,
    /// Users a day for both versions together, to say how long it takes.
    #[arg(long)]
    pub(crate) per_day: Option<f64>,
    /// Write a page with a chart: the power of a test by its size.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Two counts, or a file of them.
#[derive(Debug, Args)]
pub(crate) struct Two {
    /// The version compared with, then the one judged: EVENTS/UNITS.
    #[arg(num_args = 2, value_names = ["A", "B"], required_unless_present = "input")]
    pub(crate) counts: Vec<String>,
    /// CSV with a header line, or a JSON list of objects; `-` is standard input.
    #[arg(short, long, conflicts_with = "counts", value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The version compared with. Default: the first that the file names.
    #[arg(long)]
    pub(crate) baseline: Option<String>,
    /// Ask too: is B not worse (higher) than A by this many points or more?
    #[arg(long, value_parser = share)]
    pub(crate) margin: Option<f64>,
    /// Chance of an alarm where there is no difference.
    #[arg(long, default_value = "5%", value_parser = share)]
    pub(crate) alpha: f64,
    /// The test is not over: more data will come, and it will be looked at again. Refused, for this test allows one look.
    #[arg(long)]
    pub(crate) interim: bool,
    /// Write a page with charts: what is known of both rates.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// A file of values.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// CSV with a header line, or a JSON list of objects; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The version compared with. Default: the first that the file names.
    #[arg(long)]
    pub(crate) baseline: Option<String>,
    /// Chance of an alarm where there is no difference.
    #[arg(long, default_value = "5%", value_parser = share)]
    pub(crate) alpha: f64,
    /// The test is not over: more data will come, and it will be looked at again. Refused, for this test allows one look.
    #[arg(long)]
    pub(crate) interim: bool,
    /// Write a page with a chart: what is known of both means, values by rank, or the difference within each segment.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Counts and weights.
#[derive(Debug, Args)]
pub(crate) struct Ratio {
    /// Distinct users of each version.
    #[arg(required_unless_present = "input", num_args = 2.., value_name = "USERS")]
    pub(crate) counts: Vec<f64>,
    /// CSV with a header line, or a JSON list of objects; `-` is standard input. Requests by bucket of users.
    #[arg(short, long, conflicts_with = "counts", value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The weights, in the order of the counts, or of the versions' first appearance in the file.
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) weights: Vec<f64>,
    /// Chance of an alarm where the ratio is right, over all looks.
    #[arg(long, default_value = "0.1%", value_parser = share)]
    pub(crate) alpha: f64,
    /// Write a page with a chart: each version's share beside that of its weight.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// What a rise of the rate means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Worse {
    /// Errors, timeouts.
    Higher,
    /// Conversions, accuracy.
    Lower,
}

/// A comparison that may be looked at repeatedly.
#[derive(Debug, Args)]
pub(crate) struct Repeated {
    /// The version compared with, then the one judged: EVENTS/UNITS of independent users.
    #[arg(num_args = 2, value_names = ["A", "B"], required_unless_present = "input")]
    pub(crate) counts: Vec<String>,
    /// CSV with a header line, or a JSON list of objects; `-` is standard input. Requests by bucket of users.
    #[arg(short, long, conflicts_with = "counts", value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The version compared with. Default: the first that the file names.
    #[arg(long)]
    pub(crate) baseline: Option<String>,
    /// Allow this many times the rate compared with. Default: 1.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) ratio: f64,
    /// Allow at least this many points of difference.
    #[arg(long, default_value = "0", value_parser = share)]
    pub(crate) floor: f64,
    /// What is worse.
    #[arg(long, value_enum, default_value = "higher")]
    pub(crate) worse: Worse,
    /// The judged version's share of the users of both, by the weights: 5%. Default: as counted.
    #[arg(long, value_parser = share)]
    pub(crate) share: Option<f64>,
    /// Chance of an alarm where there is nothing, over all looks.
    #[arg(long, default_value = "5%", value_parser = share)]
    pub(crate) alpha: f64,
    /// Write a page with charts: the difference with its interval over the looks, against what is allowed.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `5%` or `0.05`, between 0 and 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let value = change(text)?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("it must lie between 0% and 100%".to_owned()) }
}

/// `5%`, `-5%` or `0.05`.
fn change(text: &str) -> Result<f64, String> {
    let (number, unit) = text.trim().strip_suffix('%').map_or((text.trim(), 1.0), |number| (number.trim(), 100.0));
    let value: f64 = number.parse().map_err(|_| "neither a number nor a percentage".to_owned())?;
    if value.is_finite() { Ok(value / unit) } else { Err("it must be finite".to_owned()) }
}
