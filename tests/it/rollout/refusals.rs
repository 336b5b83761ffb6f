//! What is refused, each with its reason, and traffic stays as it was.

use headgate_tests::Result;
use serde_json::{Value, json};

use super::world::World;

/// Steps of a canary.
fn steps(steps: Value) -> impl FnOnce(&mut Value) {
    move |file| file["spec"]["strategy"] = json!({"canary": {"steps": steps}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_skips_or_lacks_something_is_refused_before_anything_is_touched() -> Result<()> {
    let world = World::start().await?;
    let before = std::fs::read(world.envoy.ecds_path())?;
    type Change = Box<dyn FnOnce(&mut Value)>;
    let refusals: Vec<(Change, &str)> = vec![
        (Box::new(steps(json!([{"weight": "100%", "duration": "1h"}]))), "straight to 100 %"),
        (Box::new(steps(json!([{"weight": "1%"}, {"weight": "100%"}]))), "skips stages"),
        (
            Box::new(steps(json!([{"shadow": {"share": "10%"}}, {"weight": "100%"}]))),
            "goes from shadow straight to 100 %",
        ),
        (Box::new(steps(json!([{"weight": "20%"}, {"weight": "5%"}, {"weight": "100%"}]))), "less than the 20 %"),
        (Box::new(|file: &mut Value| file["spec"]["strategy"] = json!({})), "names no strategy"),
        (Box::new(|file: &mut Value| file["spec"]["strategy"] = json!({"blueGreen": {"readiness": []}})), "readiness"),
        (Box::new(|file: &mut Value| file["spec"]["analysis"]["alpha"] = json!(2)), "spec.analysis.alpha"),
        (Box::new(|file: &mut Value| file["spec"]["surprise"] = json!(1)), "unknown field `surprise`"),
        (Box::new(|file: &mut Value| file["apiVersion"] = json!("headgate.dev/v9")), "apiVersion"),
    ];
    for (change, reason) in refusals {
        let file = world.rollout(change)?;
        let ran = world.headgate(&["run", &file.display().to_string()]).await?;
        assert_eq!(ran.code, 2, "{reason}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(reason), "{reason}: {}{}", ran.out, ran.err);
    }
    let nowhere = world.rollout(|file| file["spec"]["target"] = json!("nowhere.json"))?;
    let ran = world.headgate(&["run", &nowhere.display().to_string()]).await?;
    assert!(ran.code != 0 && ran.err.contains("nowhere.json"), "{ran:?}");
    assert_eq!(std::fs::read(world.envoy.ecds_path())?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn force_needs_a_reason_and_both_stand_in_the_audit() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file =
        world.rollout(steps(json!([{"weight": "1%", "duration": "1s"}, {"weight": "100%", "duration": "2s"}])))?;
    let file = file.display().to_string();
    let ran = world.headgate(&["run", &file, "--force"]).await?;
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    let forced = world
        .run(std::path::Path::new(&file), &["--force", "--actor", "ada", "--reason", "the old version is on fire"])?;
    world.reaches(100).await?;
    let ran = world.verb("abort", &["--actor", "bob", "--reason", "seen enough"]).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = forced.ended().await?;
    assert_eq!(ran.code, 12, "{}{}", ran.out, ran.err);
    let events = ran.events();
    let forced = events.iter().find(|e| e["kind"] == "forced").unwrap_or_else(|| panic!("{}", ran.out));
    assert!(forced["text"].as_str().is_some_and(|t| t.contains("skips stages")), "{forced}");
    assert!(forced.to_string().contains("ada") && forced.to_string().contains("on fire"), "{forced}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_on_the_target_is_said_and_nothing_is_touched() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let before = std::fs::read(world.envoy.ecds_path())?;
    for (change, reason) in [
        (json!({"route": "other"}), "other"),
        (json!({"variants": {"canary": "v9"}}), "v9"),
        (json!({"drill": {"requiredWithin": "30d"}}), "headgate drill"),
        (json!({"analysis": {"interval": "250ms", "baseline": "recorded", "baselineName": "never"}}), "never"),
    ] {
        let file = world.rollout(|file| {
            file["metadata"]["name"] = json!(format!("refused-{reason}").replace(' ', "-"));
            file["spec"]["holdLimit"] = json!("1s");
            for (field, value) in change.as_object().into_iter().flatten() {
                file["spec"][field] = value.clone();
            }
        })?;
        let ran = world.run(&file, &[])?.ended().await?;
        assert!([2, 11].contains(&ran.code), "{reason}: {}{}", ran.out, ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains(reason), "{reason}: {}{}", ran.out, ran.err);
        assert_eq!(std::fs::read(world.envoy.ecds_path())?, before, "{reason}");
    }
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_target_is_refused() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let slow = steps(json!([{"weight": "20%", "duration": "5m"}, {"weight": "100%", "duration": "5m"}]));
    let file = world.rollout(slow)?;
    let _first = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    let second = world.headgate(&["run", &file.display().to_string()]).await?;
    assert_eq!(second.code, 6, "{}{}", second.out, second.err);
    assert_eq!(world.published()?, 2_000);
    load.stop().await?;
    Ok(())
}
