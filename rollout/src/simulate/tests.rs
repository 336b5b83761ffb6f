//! Simulated rollouts: what must come out whatever the seed, and how fast.

use super::*;
use crate::file::{Rollout, check};

fn plan(spec: &str) -> Plan {
    let file = format!(
        r#"{{"apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {{"name": "r"}},
            "spec": {{"target": "t.yaml", "route": "shop", {spec}}}}}"#
    );
    let file: Rollout = serde_json::from_str(&file).unwrap();
    check(&file).unwrap()
}

const DEFAULT: &str = r#""strategy": {"canary": {}}, "monitoring": {"duration": "1h"}"#;

#[test]
fn equal_seeds_live_equal_lives() {
    let plan = plan(DEFAULT);
    let scenario = Scenario { canary: Version { error: 0.02, ..Version::default() }, ..Scenario::default() };
    let one = simulate(&plan, &scenario, 11, true);
    let two = simulate(&plan, &scenario, 11, true);
    assert_eq!((one.events, one.looks, one.ended_ms), (two.events, two.looks, two.ended_ms));
}

#[test]
fn a_version_as_good_as_the_old_one_is_promoted() {
    let lived = simulate(&plan(DEFAULT), &Scenario::default(), 1, false);
    assert_eq!(lived.outcome(), Outcome::Promoted, "{:?}", lived.state.because);
    assert_eq!(lived.state.weights.canary, WHOLE);
    let hours = (lived.ended_ms - BEGAN_MS) as f64 / 3_600_000.0;
    assert!((3.5..3.7).contains(&hours), "{hours}");
}
