//! `headgate shadow`: a shadow's answers beside those that users got.

mod analyze;
mod collect;
mod label;
mod report;

use headgate_rollout::shadow::Limits;

use crate::answer::Answer;
use crate::cli::shadow::{self, Kind};
use crate::exit::Failure;

pub(super) fn run(kind: &Kind, as_json: bool) -> Result<Answer, Failure> {
    match kind {
        Kind::Report(args) => report::run(args),
        Kind::Collect(args) => collect::run(args, as_json),
        Kind::Analyze(args) => analyze::run(args),
        Kind::Label(args) => label::run(args),
    }
}

fn limits(args: &shadow::Limits) -> Limits {
    #[expect(clippy::cast_precision_loss, reason = "nobody asks for 2^53 comparisons")]
    Limits {
        agreement: args.agreement,
        latency: args.latency,
        latency_floor: args.latency_floor.as_secs_f64() * 1e6,
        errors: args.errors,
        errors_floor: args.errors_floor,
        comparisons: args.comparisons as f64,
        alpha: args.alpha,
    }
}
