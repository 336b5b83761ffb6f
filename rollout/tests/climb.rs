//! A version climbs by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::state::{Outcome, Phase};
use headgate_rollout::tick::{Action, Answer};
use serde_json::json;
use support::{World, plan};

#[test]
fn a_good_version_climbs_its_steps_in_order_and_is_promoted_when_the_failsafe_route_reaches_it() {
    let mut world = World::new(plan(json!({
        "strategy": {"canary": {"steps": [
            {"weight": "5%", "duration": "30s"}, {"weight": "50%", "duration": "30s"}, {"weight": "100%", "duration": "30s"}
        ]}},
        "analysis": {"interval": "1s"},
        "monitoring": {"duration": "1m"}
    })));
    world.run(1_000, 400, |s| s.phase == Phase::Finalising);
    let mut shares: Vec<u32> = world
        .effects
        .iter()
        .filter_map(|e| match e {
            Action::Publish { weights, .. } => Some(weights.canary),
            _ => None,
        })
        .collect();
    shares.dedup();
    assert_eq!(shares, [0, 500, 5_000, 10_000]);
    world.pass(1_000);
    assert_eq!(world.state.phase, Phase::Finalising, "nobody said that the fail-safe route reaches it");
    assert!(world.state.keep_old_version());
    world.with.failsafe = Some(Answer { holds: true, detail: "default route: shop-v2".to_owned() });
    world.pass(1_000);
    world.run(1_000, 3, |s| s.phase == Phase::Succeeded);
    assert_eq!(world.state.outcome, Some(Outcome::Promoted));
    assert!(world.published.only_canary && !world.state.keep_old_version());
}
