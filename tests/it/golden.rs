//! The golden vectors of the split, through Envoy.

use std::fmt::Write;

use headgate_tests::{Result, repository};
use serde_json::{Value, json};

use crate::fixture::Versions;

#[tokio::test(flavor = "multi_thread")]
async fn golden_vectors_are_what_envoy_serves() -> Result<()> {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(repository().join("routing/golden/split.json"))?)?;
    // Vectors of no weight at all serve nobody: a configuration of them is refused.
    let all = file["splits"].as_array().expect("vectors");
    let vectors: Vec<&Value> = all.iter().filter(|vector| vector["gets"].is_string()).collect();
    // One route for each salt and set of weights, found by its path; the response says what was decided.
    let mut splits: Vec<(&Value, &Value)> = Vec::new();
    for vector in &vectors {
        let split = (&vector["salt"], &vector["variants"]);
        if !splits.contains(&split) {
            splits.push(split);
        }
    }
    let route = |(n, (salt, weights)): (usize, &(&Value, &Value))| {
        let weights = weights.as_object().expect("weights");
        let variants: Vec<Value> =
            weights.iter().map(|(name, weight)| json!({"name": name, "weight": weight})).collect();
        json!({
            "name": format!("split-{n}"), "salt": salt, "match": {"path": {"exact": format!("/{n}")}},
            "variants": variants, "stable": variants[0]["name"],
            "key": {"sources": [{"query": "key"}]}, "output": {"responseHeader": "x-decided"}
        })
    };
    let routes: Vec<Value> = splits.iter().enumerate().map(route).collect();
    let versions = Versions::start().await?;
    let configuration = json!({"contract": 1, "revision": 1, "routes": routes});
    let envoy = versions.envoy()?.configuration(&configuration).start().await?;
    let mut client = envoy.http1().await?;
    let mut held = 0;
    for vector in vectors {
        let key = vector["key"].as_str().expect("a key in hexadecimal");
        // A key that is empty is no key.
        if key.is_empty() {
            continue;
        }
        let split = (&vector["salt"], &vector["variants"]);
        let n = splits.iter().position(|other| *other == split).expect("its route");
        let mut path = format!("/{n}?key=");
        for byte in key.as_bytes().chunks(2) {
            write!(path, "%{}", std::str::from_utf8(byte)?)?;
        }
        let answer = client.get(&path, &[]).await?;
        assert_eq!(answer.header("x-decided"), vector["gets"].as_str(), "{vector}");
        held += 1;
    }
    assert_eq!(envoy.metrics().await?.sum("headgate_requests", &[("reason", "hash")]), held);
    assert!(held > 0);
    Ok(())
}
