//! What a bandit has learnt, and what a look shows of it.

use serde::{Deserialize, Serialize};

use crate::bandit::{Ledger, Posterior};
use crate::stats::Arm;
use crate::stats::bayes::{Mean, Rate};

/// What a bandit must remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BanditState {
    /// Rewards by epoch.
    pub ledger: Ledger,
    /// Why an arm gets nobody any more, in the order of the arms.
    pub out: Vec<Option<String>>,
    /// What the window had counted when the present epoch began, for rewards from counters.
    pub base: Vec<Arm>,
    /// Weights that were published: guardrails share their alpha out over them.
    pub published: u32,
    /// Time measured under earlier weights, ms.
    pub measured_ms: u64,
    /// The arm that gets all users in the end, while that is under way.
    pub winner: Option<usize>,
    /// When arms were last compared for people, unix ms.
    pub compared_ms: u64,
}

/// What is shown of a bandit at a look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BanditLook {
    /// Its arms, the stable version first.
    pub arms: Vec<ArmLook>,
    /// Batches so far.
    pub batches: u64,
    /// Rewards given up so far against everybody on the best arm from the start, as far as is known.
    pub regret: f64,
    /// Units that could earn a reward, all arms together.
    pub units: f64,
}

/// One arm at a look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArmLook {
    /// The variant.
    pub name: String,
    /// Its share of users, parts of [`crate::file::WHOLE`].
    pub weight: u32,
    /// Units counted of it.
    pub units: f64,
    /// What is known of its reward per unit; none before anything is.
    pub known: Option<Known>,
    /// The 95 % credible interval of that.
    pub credible: Option<Interval>,
    /// The chance that it is the best.
    pub chance: Option<f64>,
    /// Its reward per unit by inverse propensity, with an interval that holds at all looks together at 95 %.
    pub estimate: Option<Interval>,
    /// How much more it earns than the stable version, likewise.
    pub lead: Option<Interval>,
    /// Why it gets nobody any more.
    pub out: Option<String>,
}

/// A value with an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A posterior, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Known {
    /// A Beta distribution.
    Beta {
        /// Successes and 1.
        a: f64,
        /// Failures and 1.
        b: f64,
    },
    /// A normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        deviation: f64,
    },
}

impl From<Posterior> for Known {
    fn from(posterior: Posterior) -> Self {
        match posterior {
            Posterior::Rate(Rate { a, b }) => Self::Beta { a, b },
            Posterior::Mean(Mean { mean, deviation }) => Self::Normal { mean, deviation },
        }
    }
}

impl From<Known> for Posterior {
    fn from(known: Known) -> Self {
        match known {
            Known::Beta { a, b } => Self::Rate(Rate { a, b }),
            Known::Normal { mean, deviation } => Self::Mean(Mean { mean, deviation }),
        }
    }
}
