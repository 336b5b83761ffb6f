//! A state file that cannot be written, as on a full disk.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use headgate_tests::{Conduct, Result};

use super::world::World;

/// Somebody has the state file's write lock and does not give it back, as a full disk would not: whoever holds this holds it.
struct Unwritable(std::process::Child);

impl Unwritable {
    fn take(world: &World) -> Result<Self> {
        let program = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
            c.execute('begin immediate')\nprint('held', flush=True)\nsys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", program])
            .arg(world.path("state/headgate/headgate.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        assert_eq!(said, "held\n");
        Ok(Self(child))
    }
}

impl Drop for Unwritable {
    fn drop(&mut self) {
        // One that has ended by itself has nothing left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_state_cannot_be_written_nothing_goes_forward_and_the_way_back_does() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let running = world.run(&world.rollout(|_| {})?, &[])?;
    world.reaches(2_000).await?;
    let unwritable = Unwritable::take(&world)?;
    // The step passes, and the next one is not begun: what cannot be written down is not done.
    running.tells("that the state cannot be written", |e| e["kind"] == "store").await?;
    running
        .tells("that the next step waits", |e| {
            e["kind"] == "store" && e["text"].to_string().contains("the next weights wait")
        })
        .await?;
    load.more(300).await?;
    assert_eq!(world.published()?, 2_000);
    world.versions.canary.behave(Conduct { failing: 1, ..Conduct::default() });
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "now"]).await?;
    assert_eq!(world.published()?, 0, "{back:?}");
    assert!(world.canary_users().await?.is_empty());
    drop(unwritable);
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let history = world.history().await?;
    assert!(history.iter().any(|line| line["action"] == "rolledBack"), "{history:#?}");
    load.stop().await?;
    Ok(())
}
