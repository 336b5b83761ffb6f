//! A checked bandit.

use serde::{Deserialize, Serialize};

use crate::bandit::{Reward, Rules};

/// What a bandit plays, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BanditPlan {
    /// The arms: the stable version, then those that compete with it.
    pub arms: Vec<String>,
    /// What a reward is.
    pub reward: Reward,
    /// Where rewards come from.
    pub source: RewardSource,
    /// From rewards to weights.
    pub rules: Rules,
    /// Time between two changes of the weights, ms.
    pub batch_ms: u64,
    /// For how long rewards of a batch may come in after it, ms.
    pub delay_ms: u64,
    /// After how long a reward weighs half as much, ms.
    pub half_life_ms: Option<u64>,
    /// Whether an arm that fails a guardrail is dropped; otherwise the rollout goes back.
    pub drop: bool,
    /// The chance to be the best at which an arm gets all users when time is up; none: a person decides.
    pub finish_at: Option<f64>,
}

/// Where rewards come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum RewardSource {
    /// Requests that went well, by the proxies' counters.
    Requests,
    /// Conversions by the proxies' counters, for each exposed request.
    Goal {
        /// Which of the plan's goals.
        name: String,
    },
    /// Outcomes that are told of requests or users.
    Outcomes {
        /// Whether their values are meant, or whether they were a success.
        values: bool,
    },
}
