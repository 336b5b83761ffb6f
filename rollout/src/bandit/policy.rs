//! From what is known of the arms to the shares that they should have.

use serde::{Deserialize, Serialize};

use super::posterior::{Posterior, best};

/// How exploring is weighed against earning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Policy {
    /// Everybody gets an equal share for ever: what the others are compared with.
    Uniform,
    /// A fixed part of users is divided equally, all others get the arm that has earned most on average so far (Sutton and Barto 2018,
    /// "Reinforcement Learning", section 2.2). Easy to explain; never stops paying for exploring.
    EpsilonGreedy {
        /// The part that explores, 0 to 1.
        epsilon: f64,
    },
    /// Each arm's share is its chance to be the best (Thompson 1933; in batches: Scott 2010). Explores while it is
    /// uncertain, and stops by itself.
    Thompson,
}

/// The shares that a policy wants, before floors; they add up to 1. An arm without a posterior (nothing seen of it yet) makes
/// everybody's share equal: nothing can be preferred to what is unknown.
#[must_use]
pub fn wanted(policy: Policy, arms: &[Option<Posterior>]) -> Vec<f64> {
    let count = arms.len() as f64;
    let known: Vec<Posterior> = arms.iter().flatten().copied().collect();
    if known.len() < arms.len() {
        return vec![1.0 / count; arms.len()];
    }
    match policy {
        Policy::Uniform => vec![1.0 / count; arms.len()],
        Policy::EpsilonGreedy { epsilon } => {
            let leader = leader(&known);
            let each = epsilon.clamp(0.0, 1.0) / count;
            (0..arms.len()).map(|i| if Some(i) == leader { 1.0 - each * (count - 1.0) } else { each }).collect()
        }
        Policy::Thompson => best(&known).chance,
    }
}

/// The arm with the highest mean; of equals the first.
#[must_use]
pub fn leader(arms: &[Posterior]) -> Option<usize> {
    let mut found: Option<(usize, f64)> = None;
    for (at, arm) in arms.iter().enumerate() {
        if found.is_none_or(|(_, mean)| arm.mean() > mean) {
            found = Some((at, arm.mean()));
        }
    }
    found.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bayes::Rate;

    fn arm(events: f64, units: f64) -> Option<Posterior> {
        Some(Posterior::Rate(Rate::new(events, units, 1.0).unwrap()))
    }

    #[test]
    fn the_best_arm_gets_what_the_policy_leaves_it() {
        let arms = [arm(50.0, 1_000.0), arm(80.0, 1_000.0), arm(60.0, 1_000.0)];
        let greedy = wanted(Policy::EpsilonGreedy { epsilon: 0.3 }, &arms);
        assert!((greedy[1] - 0.8).abs() < 1e-12 && (greedy[0] - 0.1).abs() < 1e-12);
        let thompson = wanted(Policy::Thompson, &arms);
        assert!(thompson[1] > 0.9 && thompson[2] > thompson[0]);
        assert!((thompson.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(wanted(Policy::Uniform, &arms), [1.0 / 3.0; 3]);
    }

    #[test]
    fn nothing_is_preferred_to_the_unknown() {
        for policy in [Policy::Thompson, Policy::EpsilonGreedy { epsilon: 0.1 }] {
            assert_eq!(wanted(policy, &[arm(9.0, 10.0), None]), [0.5, 0.5]);
        }
    }
}
