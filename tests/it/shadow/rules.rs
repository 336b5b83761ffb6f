//! What counts as the same, from the configuration through the filter to the series, and the noise that does not count.

use headgate_tests::{Envoy, Result, wait_until};
use serde_json::{Value, json};

use super::script::{Script, Two};
use super::world::{quiet, shadowed};

const USER: [(&str, &str); 1] = [("x-user-id", "alice")];

/// Rules, what the user gets, what the shadow says, and what they come to: a verdict, or the kinds of mismatch.
type Case = (Value, Script, Script, &'static str);

fn priced(price: &str) -> Script {
    Script::answer(200, &[("x-price", price), ("x-other", price)], "x")
}

fn cases() -> Vec<Case> {
    let json = |more: Value| json!({"body": "json", "json": more});
    let model = r#"{"at":1,"score":0.50,"tags":["a","b"]}"#;
    let other = r#"{"at":2,"score":0.52,"tags":["b","a"]}"#;
    vec![
        (json!({}), Script::ok("one"), Script::ok("two"), "body"),
        (json!({"body": "none"}), Script::ok("one"), Script::ok("two"), "matched"),
        (json!({}), Script::answer(200, &[], "x"), Script::answer(202, &[], "x"), "status"),
        (json!({"status": "class"}), Script::answer(200, &[], "x"), Script::answer(202, &[], "x"), "matched"),
        (json!({"status": "class"}), Script::answer(200, &[], "x"), Script::answer(302, &[], "x"), "status"),
        (json!({"headers": ["x-price"]}), priced("1"), priced("2"), "header"),
        (json!({"headers": ["x-price"]}), priced("1"), priced("1"), "matched"),
        (json!({}), priced("1"), priced("2"), "matched"),
        (json(json!({})), Script::ok(model), Script::ok(other), "json"),
        (
            json(json!({"ignore": ["/at"], "unordered": ["/tags"], "absolute": 0.05})),
            Script::ok(model),
            Script::ok(other),
            "matched",
        ),
        (json(json!({"ignore": ["/at"], "unordered": ["/tags"]})), Script::ok(model), Script::ok(other), "json"),
        (json(json!({"only": ["/score"], "relative": 0.05})), Script::ok(model), Script::ok(other), "matched"),
        (
            json(
                json!({"only": ["/score", "/at"], "tolerances": [{"path": "/score", "absolute": 0.05}, {"path": "/at"}]}),
            ),
            Script::ok(model),
            Script::ok(model.replace("0.50", "0.54")),
            "matched",
        ),
        (
            json(
                json!({"only": ["/score", "/at"], "absolute": 5, "tolerances": [{"path": "/score", "absolute": 0.01}]}),
            ),
            Script::ok(model),
            Script::ok(other),
            "json",
        ),
        (json(json!({"only": ["/label"]})), Script::ok(model), Script::ok(model), "incomparable"),
        (json!({"body": "number", "number": {"field": "/score"}}), Script::ok(model), Script::ok(other), "number"),
        (json!({"body": "number", "number": {"field": "/at"}}), Script::ok(model), Script::ok("{}"), "missing_field"),
        (json!({"body": "text"}), Script::ok("a b c d"), Script::ok("D, c, b, a"), "matched"),
        (json!({"body": "text"}), Script::ok("a b c d"), Script::ok("a b c e"), "text"),
        (json!({"maxBodyBytes": 3}), Script::ok("abcd"), Script::ok("abce"), "incomparable"),
    ]
}

/// What the one pair since the last reading came to.
async fn came_to(envoy: &Envoy, sampled: u64, seen: &mut Vec<(String, u64)>) -> Result<String> {
    let (_, metrics) = quiet(envoy, sampled).await?;
    let mut now = Vec::new();
    for (series, label) in [("mismatches", "kind"), ("compared", "verdict")] {
        now.extend(metrics.by(&format!("headgate_shadow_{series}"), label, &[]));
    }
    let fresh = now.iter().filter(|entry| !seen.contains(entry)).map(|(value, _)| value.as_str());
    let told: Vec<&str> = fresh.filter(|value| *value != "mismatched").collect();
    let told = told.join(" ");
    *seen = now;
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_says_what_is_the_same() -> Result<()> {
    for workers in [1, 2] {
        let two = Two::start().await?;
        let envoy = two.envoy(&json!({}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let mut seen = Vec::new();
        for (n, (rules, primary, shadow, expected)) in (1..).zip(cases()) {
            two.stable.say(primary);
            two.shadow.say(shadow);
            envoy.push(&shadowed(n + 1, json!({"compare": rules}))).await?;
            client.get("/", &USER).await?;
            assert_eq!(came_to(&envoy, n, &mut seen).await?, expected, "{rules}, {workers} workers");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_numbers_are_apart_is_a_histogram() -> Result<()> {
    for workers in [1, 2] {
        let two = Two::start().await?;
        let rules = json!({"body": "number", "number": {"field": "/score", "absolute": 10}});
        let envoy = two.envoy(&rules)?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        two.stable.say(Script::ok(r#"{"score":2}"#));
        // Either way, and what has no difference.
        for (n, shadow) in (1..).zip(["2.25", "1.75", "\"2.5\"", "null"]) {
            two.shadow.say(Script::ok(format!(r#"{{"score":{shadow}}}"#)));
            client.get("/", &USER).await?;
            // A copy may still be on its way when the user is served.
            quiet(&envoy, n).await?;
        }
        let metrics = envoy.metrics().await?;
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "matched")]), 3);
        // Envoy shows a histogram after its next flush.
        let histogram = "headgate_shadow_difference_millionths";
        wait_until("three differences are there", || async {
            Ok(envoy.admin().metrics().await?.sum(&format!("{histogram}_count"), &[]) == 3)
        })
        .await?;
        let sum = envoy.metrics().await?.sum(&format!("{histogram}_sum"), &[]);
        // Envoy keeps values to about two digits.
        assert!((950_000..=1_050_000).contains(&sum), "{sum}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stable_differs_in_from_itself_is_noise() -> Result<()> {
    for workers in [1, 2] {
        let two = Two::start().await?;
        let compare = json!({"body": "json"});
        let envoy = two.envoy(&compare)?.concurrency(workers).start().await?;
        let more = json!({"compare": compare, "noise": {"cluster": "model-v1"}});
        envoy.push(&shadowed(2, more)).await?;
        // One connection, so one worker, whose tally it is.
        let mut client = envoy.http1().await?;
        // Each answer of stable has another number in it, and so has the shadow's.
        two.stable.say(Script::numbered(r#"{"score":1,"at":"#, "}"));
        two.shadow.say(Script::numbered(r#"{"score":1,"at":-"#, "}"));
        for n in 1..=20 {
            client.get("/", &USER).await?;
            quiet(&envoy, n).await?;
        }
        let (_, metrics) = quiet(&envoy, 20).await?;
        assert_eq!(metrics.sum("headgate_shadow_noise", &[("result", "differs")]), 20);
        let noise = metrics.sum("headgate_shadow_compared", &[("verdict", "noise")]);
        assert_eq!(noise, 20, "{:?}", metrics.by("headgate_shadow_compared", "verdict", &[]));
        // What only the shadow differs in is a difference, beside noise too.
        two.shadow.say(Script::numbered(r#"{"score":2,"at":-"#, "}"));
        client.get("/", &USER).await?;
        let (_, metrics) = quiet(&envoy, 21).await?;
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "mismatched")]), 1);
    }
    Ok(())
}
