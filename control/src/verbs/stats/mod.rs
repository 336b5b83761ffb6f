//! `headgate stats`: the rollout's statistics on anybody's numbers.
//!
//! Each kind reads arguments, CSV or JSON, asks `headgate_rollout::stats`, and answers with a table and one plain sentence. Nothing is
//! calculated here.

mod adaptive;
mod bandit_sim;
mod drift;
mod fixed;
mod input;
mod repeated;
mod segments;
mod sizes;

use headgate_rollout::stats::Reason;

use crate::answer::Answer;
use crate::cli::stats::{Kind, Stats};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &Stats) -> Result<Answer, Failure> {
    match &args.kind {
        Kind::SampleSize(args) => sizes::sample_size(args),
        Kind::Power(args) => sizes::power_of(args),
        Kind::Proportions(args) => fixed::proportions(args),
        Kind::Means(args) => fixed::means(args),
        Kind::Ranks(args) => fixed::ranks(args),
        Kind::Srm(args) => repeated::srm(args),
        Kind::Sequential(args) => repeated::sequential(args),
        Kind::Segments(args) => segments::run(args),
        Kind::Drift(args) => drift::drift(args),
        Kind::Adaptive(args) => adaptive::run(args),
        Kind::BanditSim(args) => bandit_sim::run(args),
    }
}

/// A refusal with the reason that the statistics give.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(reason: Reason) -> Failure {
    let way_out = match reason {
        Reason::Peeking => ": `headgate stats sequential`",
        Reason::Adaptive => ": `headgate stats adaptive`",
        _ => "",
    };
    Failure::new(Exit::Refused, format!("{reason}{way_out}"))
}

/// A share as a percentage with four significant digits or so.
fn percent(share: f64) -> String {
    let value = share * 100.0;
    let digits = if value == 0.0 || value.abs() >= 10.0 {
        2
    } else if value.abs() >= 0.1 {
        3
    } else {
        5
    };
    format!("{} %", trimmed(&format!("{value:.digits$}")))
}

/// Without zeros after the last digit that says something.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A difference of rates, in points.
fn points(difference: f64) -> String {
    format!("{} points", trimmed(&format!("{:+.3}", difference * 100.0)))
}

/// A number with about five significant digits.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        let digits = if value.abs() >= 1000.0 {
            1
        } else if value.abs() >= 1.0 {
            4
        } else {
            5
        };
        trimmed(&format!("{value:.digits$}")).to_owned()
    } else {
        format!("{value:.3e}")
    }
}

/// Confidence in percent: 95 for an alpha of 0.05.
fn confidence(alpha: f64) -> String {
    percent(1.0 - alpha)
}
