//! The keys of override tokens: set or not, replaced, and revoked.

use headgate_tests::{Client, Result};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, OTHER_KEY, jws, now};
use crate::split::split;

/// A route in halves with an override for holders of a token of these keys, as (id, environment variable).
fn testers(revision: u64, keys: &[(&str, &str)]) -> Value {
    let mut halves = route(1, 1);
    halves["overrides"] = json!([{"variant": "canary"}]);
    let mut testers = config(revision, halves);
    let keys: Vec<Value> = keys.iter().map(|(id, env)| json!({"id": id, "env": env})).collect();
    testers["tokens"] = json!({"audience": "model", "keys": keys});
    testers
}

/// Two names that `envoy/ecds.yaml` passes on to the filter.
const FIRST: (&str, &str) = ("k1", "HEADGATE_KEY_K1");
const SECOND: (&str, &str) = ("k2", "HEADGATE_KEY_D1");

fn claims() -> Value {
    json!({"aud": "model", "variant": "canary", "exp": now() + 60})
}

/// Who serves a user of stable that shows a token.
async fn with(client: &mut Client, token: &str) -> Result<String> {
    let user = (0..)
        .map(|n| format!("user-{n}"))
        .find(|user| split("model", &[("stable", 1), ("canary", 1)], user) == "stable");
    let user = user.expect("a user of stable");
    Ok(client.get("/", &[("x-user-id", &user), ("x-headgate-token", token)]).await?.upstream())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_key_that_is_not_set_are_unbelievable_and_nothing_else_fails() -> Result<()> {
    let versions = Versions::start().await?;
    for (value, second) in [(None, "stable"), (Some("below 32 bytes"), "stable"), (Some(OTHER_KEY), "canary")] {
        let mut builder = versions.envoy()?.env(FIRST.1, KEY).configuration(&testers(1, &[FIRST, SECOND]));
        if let Some(value) = value {
            builder = builder.env(SECOND.1, value);
        }
        let envoy = builder.start().await?;
        let mut client = envoy.http1().await?;
        assert_eq!(with(&mut client, &jws(KEY, "k1", &claims())).await?, "canary");
        for key in [OTHER_KEY, "below 32 bytes", ""] {
            let expected = if key == OTHER_KEY { second } else { "stable" };
            assert_eq!(with(&mut client, &jws(key, "k2", &claims())).await?, expected, "{value:?} {key}");
        }
        for n in 0..20 {
            let user = format!("user-{n}");
            let expected = split("model", &[("stable", 1), ("canary", 1)], &user);
            assert_eq!(client.get("/", &[("x-user-id", &user)]).await?.upstream(), expected);
        }
        let metrics = envoy.metrics().await?;
        let unknown = if second == "stable" { 3 } else { 0 };
        assert_eq!(metrics.sum("headgate_bad_tokens", &[("reason", "unknown_key")]), unknown);
        assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_while_both_are_believed_and_revoked_by_its_removal() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.env(FIRST.1, KEY).env(SECOND.1, OTHER_KEY);
    let envoy = envoy.configuration(&testers(1, &[FIRST])).start().await?;
    let mut client = envoy.http1().await?;
    let (old, new) = (jws(KEY, "k1", &claims()), jws(OTHER_KEY, "k2", &claims()));
    for (revision, keys, by_old, by_new) in [
        (2, &[FIRST][..], "canary", "stable"),
        (3, &[SECOND, FIRST], "canary", "canary"),
        (4, &[SECOND], "stable", "canary"),
    ] {
        envoy.push(&testers(revision, keys)).await?;
        assert_eq!(
            (with(&mut client, &old).await?, with(&mut client, &new).await?),
            (by_old.to_owned(), by_new.to_owned())
        );
    }
    Ok(())
}
