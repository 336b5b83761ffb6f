//! `docs/airflow/`: the DAG with a live rollout. With the real Airflow where `make test` could install it, else by the lines of
//! `scripts/airflow/run` that stand for it; the run says which.

use headgate_tests::{Conduct, Result, headgate_binary, repository};

use super::world::{NAME, World};

/// What one run of the DAG printed, and whether it ended green.
struct Dag {
    green: bool,
    said: String,
}

/// Runs the DAG for version `v2`, whose rollout file is there already.
async fn dag(world: &World) -> Result<Dag> {
    let own = repository().join(".tools/airflow/bin/python3");
    let python = if own.is_file() { own } else { "python3".into() };
    let (name, folder) = world.state();
    let output = tokio::process::Command::new(python)
        .arg(repository().join("scripts/airflow/run"))
        .arg(repository().join("docs/airflow/headgate_rollout.py"))
        .arg(r#"{"model_version": "v2", "strategy": "canary"}"#)
        .env(name, folder)
        .env("HEADGATE", headgate_binary()?)
        .env("HEADGATE_TARGET", world.path("target.json"))
        .env("HEADGATE_ROLLOUTS", world.path(""))
        .kill_on_drop(true)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Dag { green: output.status.success(), said: String::from_utf8_lossy(&said).into_owned() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_airflow_dag_ends_green_when_promoted_and_red_when_rolled_back() -> Result<()> {
    for (failing, green) in [(0, true), (1, false)] {
        let world = World::start().await?;
        world.versions.canary.behave(Conduct { failing, ..Conduct::default() });
        let load = world.load().await?;
        load.more(100).await?;
        let written = world.rollout(|_| {})?;
        // Taken as it is: the DAG writes a starter only where there is none.
        std::fs::rename(written, world.path(&format!("{NAME}.yaml")))?;
        let seen = dag(&world).await?;
        assert_eq!(seen.green, green, "{}", seen.said);
        assert_eq!(world.published()?, if green { 10_000 } else { 0 }, "{}", seen.said);
        let page = std::fs::read_to_string(world.path(&format!("{NAME}.html")))?;
        assert!(page.contains("errorRate"));
        assert_eq!(seen.said.contains("not promoted: rolled back"), !green, "{}", seen.said);
        load.stop().await?;
    }
    Ok(())
}
