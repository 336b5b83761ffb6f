//! `headgate shadow`: a shadow's answers beside those that users got.

mod analyze;
mod label;

use headgate_rollout::shadow::Limits;

use crate::answer::Answer;
use crate::cli::shadow::{self, Kind};
use crate::exit::Failure;

pub(super) fn run(kind: &Kind) -> Result<Answer, Failure> {
    match kind {
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
