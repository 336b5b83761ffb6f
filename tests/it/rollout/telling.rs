//! Who is told what: as often as it takes, and never at the cost of a decision.

use headgate_tests::Result;
use serde_json::json;

use super::receiver::Receiver;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_told_again_until_they_hear_and_hold_nothing_up() -> Result<()> {
    let world = World::start().await?;
    // The first two attempts of everything fail.
    let receiver = Receiver::start(|path, before, _| match path {
        "/flaky" if before < 2 => (503, String::new()),
        _ => (200, "ok".to_owned()),
    })
    .await?;
    let load = world.load().await?;
    load.more(100).await?;
    let gone = Receiver::start(|_, _, _| (200, String::new())).await?.url("/gone");
    let steps = json!([{"weight": "50%", "duration": "2s"}, {"weight": "100%", "duration": "1s"}]);
    let file = world.rollout(|file| {
        file["spec"]["strategy"] = json!({"canary": {"steps": steps}});
        file["metadata"]["labels"] = json!({"team": "search"});
        file["spec"]["notifications"] = json!([
            {"webhook": {"url": receiver.url("/flaky"), "headers": {"x-from": "headgate"}}},
            {"webhook": {"url": receiver.url("/slack")}, "format": "slack", "on": ["start", "promotion"]},
            {"webhook": {"url": gone, "retries": 1}, "on": ["start"]},
        ]);
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told = receiver.asked("/flaky");
    let kinds: Vec<&str> = told.iter().filter_map(|body| body["event"].as_str()).collect();
    // Twice in vain, then heard; nothing is told twice after it was heard.
    assert_eq!(kinds, ["start", "start", "start", "step", "step", "promotion"], "{told:?}");
    assert_eq!(told[0], told[2], "the same event again");
    assert_eq!((&told[0]["rollout"], &told[0]["data"]["labels"]["team"]), (&json!("model-v2"), &json!("search")));
    assert_eq!(told[5]["data"]["weights"]["canary"], 10_000);
    let slack = receiver.asked("/slack");
    let texts: Vec<&str> = slack.iter().filter_map(|body| body["text"].as_str()).collect();
    assert_eq!(texts.len(), 2, "{slack:?}");
    assert!(texts[0].starts_with("*model-v2* (start)") && texts[1].contains("promoted"), "{texts:?}");
    // Who could not be told stands in the audit.
    let history = world.history().await?;
    let undelivered = history.iter().find(|line| line["action"] == "undelivered");
    assert!(
        undelivered.is_some_and(|line| line["reason"].as_str().is_some_and(|r| r.contains("was not told of start"))),
        "{history:#?}"
    );
    load.stop().await?;
    Ok(())
}
