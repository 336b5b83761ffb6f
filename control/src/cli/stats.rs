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
        after_help = "Examples:\n  headgate stats sequential 12/4000 31/4000 --ratio 2 --floor 0.5%\n  headgate stats sequential 900/1000 850/1000 --worse lower --floor 2%\n  headgate stats sequential --input buckets.csv           # columns variant, bucket, events, units, and segment if you like"
    )]
    Sequential(Repeated),
    /// Compare two rates within segments, and say where adding them up would mislead.
    #[command(
        after_help = "Example:\n  headgate stats segments --input segments.csv           # columns segment, variant, events, units"
    )]
    Segments(Values),
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
