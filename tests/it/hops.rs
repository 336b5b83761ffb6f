//! Decisions and copies over two hops: one Envoy behind another.

use headgate_tests::{Envoy, Result, permits, wait_until};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, OTHER_KEY, decision};

/// Keys `d1` in both hops.
fn sharing(route: Value) -> Value {
    let mut sharing = config(1, route);
    sharing["decisions"] = json!({"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_D1"}]});
    sharing
}

/// The hop in front, whose versions are both the hop behind, and the hop behind, before two versions.
async fn two(versions: &Versions, front: &Value, behind: &Value) -> Result<(Envoy, Envoy)> {
    // One permit for both: it belongs to the hop behind, which outlives the one in front.
    let both = permits(2).await?;
    let behind = versions.envoy()?.env("HEADGATE_KEY_D1", KEY).permit(both).configuration(behind).start().await?;
    let front = Envoy::builder(headgate_tests::Bootstrap::filter_state()?)
        .cluster("model-v1", behind.ingress())
        .cluster("model-v2", behind.ingress())
        .env("HEADGATE_KEY_D1", KEY)
        .without_permit()
        .configuration(front)
        .start()
        .await?;
    Ok((front, behind))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_decision_is_taken_over_by_the_next_hop() -> Result<()> {
    let versions = Versions::start().await?;
    // By its own weights the hop in front always says canary, the one behind always stable.
    let (mut emits, mut accepts) = (route(0, 1), route(1, 0));
    emits["inbound"] = json!({"emit": true});
    accepts["inbound"] = json!({"accept": true});
    let (front, behind) = two(&versions, &sharing(emits), &sharing(accepts)).await?;
    let mut client = front.http1().await?;
    for n in 0..20 {
        let user = format!("user-{n}");
        assert_eq!(client.get("/", &[("x-user-id", &user)]).await?.upstream(), "canary");
    }
    assert_eq!(behind.metrics().await?.sum("headgate_requests", &[("reason", "inbound"), ("variant", "canary")]), 20);

    // Whoever comes to the hop behind by another way is not believed, and the backend sees nothing of it.
    let mut direct = behind.http1().await?;
    let forged = [
        "model=canary".to_owned(),
        decision(OTHER_KEY, "d1", "mesh", "model", "canary"),
        decision(KEY, "d9", "mesh", "model", "canary"),
        decision(KEY, "d1", "elsewhere", "model", "canary"),
        decision(KEY, "d1", "mesh", "model", "canary").replace("model=canary", "model=gold"),
        ";;;,,,===".to_owned(),
    ];
    for value in &forged {
        let headers = [("x-user-id", "alice"), ("x-headgate-decisions", value.as_str())];
        assert_eq!(direct.get("/", &headers).await?.upstream(), "stable", "{value}");
        assert_eq!(versions.stable.last()?.header("x-headgate-decisions"), None, "{value}");
    }
    // A pair of a route that is decided elsewhere says nothing here, and travels on.
    let other = decision(KEY, "d1", "mesh", "other", "canary");
    let headers = [("x-user-id", "alice"), ("x-headgate-decisions", other.as_str())];
    assert_eq!(direct.get("/", &headers).await?.upstream(), "stable");
    assert_eq!(versions.stable.last()?.header("x-headgate-decisions"), Some(other.as_str()));
    let good = decision(KEY, "d1", "mesh", "model", "canary");
    assert_eq!(direct.get("/", &[("x-headgate-decisions", &good)]).await?.upstream(), "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_copied_again_at_the_next_hop() -> Result<()> {
    let versions = Versions::start().await?;
    let mut copied = route(1, 0);
    copied["mirror"] = json!({"share": 10_000});
    let (front, behind) = two(&versions, &config(1, copied.clone()), &config(1, copied)).await?;
    let mut client = front.http1().await?;
    for n in 0..10 {
        assert_eq!(client.get("/", &[("x-user-id", &format!("user-{n}"))]).await?.upstream(), "stable");
    }
    // The hop behind gets ten requests and ten marked copies. It copies the requests, and serves the copies.
    wait_until("ten copies and twenty requests have arrived", || async {
        Ok(versions.canary.count() >= 10 && versions.stable.count() >= 20)
    })
    .await?;
    wait_until("everything is counted", || async {
        Ok(behind.metrics().await?.sum("headgate_responses", &[("route", "model")]) == 20)
    })
    .await?;
    let metrics = behind.metrics().await?;
    assert_eq!(metrics.sum("headgate_mirrored", &[]), 10);
    assert_eq!(metrics.sum("headgate_mirror_refused", &[("reason", "marked")]), 10);
    assert_eq!(front.metrics().await?.sum("headgate_mirrored", &[]), 10);
    assert_eq!((versions.stable.count(), versions.canary.count()), (20, 10));
    assert_eq!(versions.stable.seen().iter().filter(|seen| seen.is_copy()).count(), 10);
    Ok(())
}
