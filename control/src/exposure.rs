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
    /// Of requests of no segment, called `default`, then of each segment.
    splits: Vec<(String, Split)>,
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
        let default = Split::new(&salt, route.variants.iter().map(|v| (v.name.as_str(), v.weight)));
        let mut splits = vec![("default".to_owned(), default)];
        for segment in &route.segments {
            // A variant that a segment does not name has nothing there.
            let weight = |name: &str| segment.weights.get(name).copied().unwrap_or(0);
            let split = Split::new(&salt, route.variants.iter().map(|v| (v.name.as_str(), weight(&v.name))));
            splits.push((segment.name.clone(), split));
        }
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
            splits,
            buckets: Bucketer::new(&salt, purpose::REPLICATE),
            listed: route.include.iter().chain(&route.exclude).flat_map(|l| l.keys.clone()).collect(),
            epochs,
        }
    }

    /// The version that a key had in a segment at a time, Unix milliseconds; none for listed users, and between two epochs, when some proxies had
    /// the one and some the other. Of no segment that is named: when all segments give it the same.
    ///
    /// # Errors
    /// In words, when it comes too late to be credited, or its segment must be named and is not.
    pub(crate) fn variant(&self, key: &str, segment: Option<&str>, at: i64) -> Result<Option<&str>, String> {
        if self.listed.iter().any(|l| l == key) {
            return Ok(None);
        }
        let Some(epochs) = &self.epochs else { return self.in_segment(key, segment) };
        match epochs.iter().find(|e| e.since <= at && at < e.until) {
            Some(epoch) => Ok(chosen(&epoch.split, &epoch.names, key)),
            None if epochs.iter().any(|e| e.since <= at) => Ok(None),
            None => {
                Err("it is about a time for which no rewards are taken any more, or not yet: see the bandit's `delay`"
                    .to_owned())
            }
        }
    }

    fn in_segment(&self, key: &str, segment: Option<&str>) -> Result<Option<&str>, String> {
        let names = || self.splits.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let mut each = self.splits.iter().filter(|(name, _)| segment.is_none_or(|wanted| wanted == name.as_str()));
        let mut each = each.by_ref().map(|(_, split)| chosen(split, &self.names, key));
        let Some(first) = each.next() else {
            return Err(format!("there is no segment `{}`: the route has {}", segment.unwrap_or_default(), names()));
        };
        if each.all(|other| other == first) {
            return Ok(first);
        }
        Err(format!(
            "its key has other versions in other segments: say in its `segment` which of {} it was in",
            names()
        ))
    }

    /// The key's replicate bucket.
    pub(crate) fn bucket(&self, key: &str) -> u8 {
        u8::try_from(self.buckets.bucket(key.as_bytes(), u64::from(REPLICATES))).unwrap_or(0)
    }
}

fn chosen<'n>(split: &Split, names: &'n [String], key: &str) -> Option<&'n str> {
    split.choose(key.as_bytes()).and_then(|at| names.get(at)).map(String::as_str)
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
            assert_eq!(assigner.variant(key, None, 1_999), Ok(Some("stable")));
            assert_eq!(assigner.variant(key, None, 2_200), Ok(None), "between two epochs");
            assert_eq!(assigner.variant(key, None, 9_000), Ok(Some("canary")));
            assert!(assigner.variant(key, None, 999).is_err(), "before the first");
        }
        // Of every other strategy the weights in force count, at any time.
        let mut canary = plan.clone();
        canary.bandit = None;
        let assigner = Assigner::of(&route, &canary, None);
        let stable = (0..400).filter(|k| assigner.variant(&k.to_string(), None, 0) == Ok(Some("stable"))).count();
        assert!((150..250).contains(&stable), "{stable}");
    }

    #[test]
    fn a_segment_decides_where_segments_differ() {
        let mut plan = plan();
        plan.bandit = None;
        let of = |premium: u32| {
            let variants = json!([{"name": "stable", "weight": 100}, {"name": "canary", "weight": 0}]);
            let segments = json!([{"name": "premium", "match": {"headers": [{"name": "x-tier", "exact": "premium"}]},
                "weights": {"stable": 100 - premium, "canary": premium}}]);
            let key = json!({"sources": [{"header": "x-user-id"}]});
            let route =
                json!({"name": "shop", "variants": variants, "stable": "stable", "key": key, "segments": segments});
            Assigner::of(&serde_json::from_value(route).unwrap(), &plan, None)
        };
        let differ = of(100);
        assert_eq!(differ.variant("user-1", Some("premium"), 0), Ok(Some("canary")));
        assert_eq!(differ.variant("user-1", Some("default"), 0), Ok(Some("stable")));
        assert!(differ.variant("user-1", None, 0).unwrap_err().contains("say in its `segment`"));
        assert!(differ.variant("user-1", Some("gold"), 0).unwrap_err().contains("default, premium"));
        assert_eq!(of(0).variant("user-1", None, 0), Ok(Some("stable")), "all agree");
    }
}
