//! Which version a key was exposed to: by the weights in force, or, while a bandit plays, by those of the epoch in which the request was made.
//!
//! Assignment is deterministic, so it can be calculated afterwards: an outcome that is told an hour later belongs to the version that the user had
//! then, not to the one that the weights give it now. Epochs come from the state that the rollout writes down.

use headgate_contract::Route;
use headgate_contract::limits::REPLICATES;
use headgate_rollout::State;
use headgate_rollout::plan::Plan;
use headgate_routing::split::{Bucketer, Split, purpose};

use crate::merge;
use crate::publisher;
use crate::store::Store;
use crate::target::Target;
use crate::write::in_force;

/// Gives keys to versions as the filter does.
pub(crate) struct Assigner {
    names: Vec<String>,
    split: Split,
    buckets: Bucketer,
    listed: Vec<String>,
    /// Epochs for which outcomes are still taken; none but while a bandit plays.
    epochs: Option<Vec<Epoch>>,
}

/// A time of constant weights.
struct Epoch {
    since: i64,
    until: i64,
    names: Vec<String>,
    split: Split,
}

impl Assigner {
    /// As published now, with the epochs of the plan's bandit.
    ///
    /// # Errors
    /// In words, when the route cannot be read.
    pub(crate) fn now(target: &Target, plan: &Plan, store: &Store) -> Result<Self, String> {
        let file = target.file().map_err(|f| f.message)?;
        let published = publisher::read(&file.path).map_err(|f| f.message)?;
        let config = in_force(target, published.as_ref()).map_err(|f| f.message)?;
        let found = merge::routes(&config).iter().find(|r| merge::name(r) == plan.route);
        let found = found.ok_or_else(|| format!("the published configuration has no route `{}`", plan.route))?;
        let route: Route = serde_json::from_value(found.clone())
            .map_err(|e| format!("the published route `{}` cannot be read: {e}", plan.route))?;
        let state = match &plan.bandit {
            Some(_) => {
                let row = store.rollout(&plan.name).map_err(|f| f.message)?;
                row.and_then(|row| serde_json::from_str::<State>(&row.state).ok())
            }
            None => None,
        };
        Ok(Self::of(&route, plan, state.as_ref()))
    }

    fn of(route: &Route, plan: &Plan, state: Option<&State>) -> Self {
        let salt = route.salt.clone().unwrap_or_else(|| route.name.clone());
        let split = Split::new(&salt, route.variants.iter().map(|v| (v.name.as_str(), v.weight)));
        let epochs = plan.bandit.as_ref().map(|bandit| {
            let open = state.and_then(|s| s.bandit.as_ref()).map(|b| &b.ledger.open);
            let ms = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
            let epoch = |e: &headgate_rollout::bandit::Epoch| Epoch {
                since: ms(e.since_ms),
                until: e.until_ms.map_or(i64::MAX, ms),
                names: bandit.arms.clone(),
                split: Split::new(&salt, bandit.arms.iter().map(String::as_str).zip(e.weights.iter().copied())),
            };
            open.into_iter().flatten().map(epoch).collect()
        });
        Self {
            names: route.variants.iter().map(|v| v.name.clone()).collect(),
            split,
            buckets: Bucketer::new(&salt, purpose::REPLICATE),
            listed: route.include.iter().chain(&route.exclude).flat_map(|l| l.keys.clone()).collect(),
            epochs,
        }
    }

    /// The version that a key had at a time, Unix milliseconds; none for listed users, and between two epochs, when some proxies had the one and
    /// some the other.
    ///
    /// # Errors
    /// In words, when it comes too late to be credited.
    pub(crate) fn variant(&self, key: &str, at: i64) -> Result<Option<&str>, String> {
        if self.listed.iter().any(|l| l == key) {
            return Ok(None);
        }
        let (names, split) = match &self.epochs {
            None => (&self.names, &self.split),
            Some(epochs) => match epochs.iter().find(|e| e.since <= at && at < e.until) {
                Some(epoch) => (&epoch.names, &epoch.split),
                None if epochs.iter().any(|e| e.since <= at) => return Ok(None),
                None => {
                    return Err(
                        "it is about a time for which no rewards are taken any more, or not yet: see the bandit's `delay`".to_owned()
                    );
                }
            },
        };
        Ok(split.choose(key.as_bytes()).and_then(|at| names.get(at)).map(String::as_str))
    }

    /// The key's replicate bucket.
    pub(crate) fn bucket(&self, key: &str) -> u8 {
        u8::try_from(self.buckets.bucket(key.as_bytes(), u64::from(REPLICATES))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use headgate_rollout::bandit::{Ledger, Reward};
    use headgate_rollout::file::{Rollout, check};
    use headgate_rollout::state::BanditState;
    use serde_json::json;

    use super::*;

    fn plan() -> Plan {
        let file: Rollout = serde_json::from_value(json!({
            "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "r"},
            "spec": {"target": "t.yaml", "route": "shop", "providers": {"o": {"outcomes": {"file": "o.jsonl"}}},
                "strategy": {"bandit": {"reward": {"metric": "success", "provider": "o"}}}}
        }))
        .unwrap();
        check(&file).unwrap()
    }

    #[test]
    fn a_late_outcome_belongs_to_the_version_of_its_request() {
        let route: Route = serde_json::from_value(
            json!({"name": "shop", "stable": "stable", "key": {"sources": [{"header": "x-user"}]},
            "variants": [{"name": "stable", "weight": 5000}, {"name": "canary", "weight": 5000}]}),
        )
        .unwrap();
        let plan = plan();
        let mut ledger = Ledger::new(2, Reward::Rate, None, 10_000);
        ledger.begin(1_000, vec![10_000, 0]);
        ledger.end(2_000);
        ledger.begin(2_500, vec![0, 10_000]);
        let mut state = State::new("r");
        state.bandit = Some(BanditState {
            ledger,
            out: vec![None, None],
            base: Vec::new(),
            published: 2,
            measured_ms: 0,
            winner: None,
            compared_ms: 0,
        });
        let assigner = Assigner::of(&route, &plan, Some(&state));
        for key in ["a", "b", "c", "d"] {
            assert_eq!(assigner.variant(key, 1_999), Ok(Some("stable")));
            assert_eq!(assigner.variant(key, 2_200), Ok(None), "between two epochs");
            assert_eq!(assigner.variant(key, 9_000), Ok(Some("canary")));
            assert!(assigner.variant(key, 999).is_err(), "before the first");
        }
        // Of every other strategy the weights in force count, at any time.
        let mut canary = plan.clone();
        canary.bandit = None;
        let assigner = Assigner::of(&route, &canary, None);
        let stable = (0..400).filter(|k| assigner.variant(&k.to_string(), 0) == Ok(Some("stable"))).count();
        assert!((150..250).contains(&stable), "{stable}");
    }
}
