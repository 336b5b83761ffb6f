//! Arguments of `init`, and how its help tells strategies apart.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const STRATEGIES: &str = "\
Which strategy:

              who meets a bad version  cost beside stable    cut-over           decides on
  canary      1 %, then more, for      the canary's share    by steps, hours    safety: errors,
              minutes at most          of the load                              latency, any metric
  blue-green  everybody, until the     a second full set     at once, and back  readiness before,
              way back (at once)                             at once            safety after it
  shadow      nobody while copies are  a copy of the load,   by steps, later    safety before users
              judged; then as canary   then as canary                           see it, then after
  ab          half of the users, for   the variant's share   none: both stay    a business metric,
              the whole test           of the load           until it ends      till sure or time up
  bandit      fewer the worse it is    the variants' shares  weights follow     a business metric,
                                       of the load           the results        while it is learned

  Unsure, or the version is risky: shadow. Everyday releases: canary. Versions that cannot live
  side by side for long, or an instant cut-over: blue-green. Which of two ideas earns more: ab;
  which of many, quickly: bandit.

Examples:
  headgate init --strategy canary --name shop-v2 --target target.yaml --route shop
  headgate init --strategy shadow rollouts/model.yaml
  headgate init --strategy blue-green - | less";

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// How the new version reaches users.
    #[arg(long, value_enum)]
    pub(crate) strategy: Strategy,
    /// The file to write, which must not be there yet; `-` prints it.
    #[arg(default_value = "rollout.yaml")]
    pub(crate) file: PathBuf,
    /// The rollout's name.
    #[arg(long, default_value = "shop-v2")]
    pub(crate) name: String,
    /// The target file.
    #[arg(long, default_value = "target.yaml")]
    pub(crate) target: String,
    /// The route of the target's plugin configuration.
    #[arg(long, default_value = "shop")]
    pub(crate) route: String,
}

/// How a new version reaches users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// A growing share of users, judged at each step.
    Canary,
    /// All at once, with a way back at once.
    BlueGreen,
    /// Copies first, then as canary.
    Shadow,
    /// Two versions side by side, compared by a business metric.
    Ab,
    /// Weights that follow a business metric.
    Bandit,
}

impl Strategy {
    /// Its name as on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::BlueGreen => "blue-green",
            Self::Shadow => "shadow",
            Self::Ab => "ab",
            Self::Bandit => "bandit",
        }
    }
}
