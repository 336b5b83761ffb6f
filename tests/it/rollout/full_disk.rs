//! A disk that is truly full: the state folder is a small file system of its own, in the mount namespace of `headgate run` alone.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use headgate_tests::{Conduct, Result, wait_until};

use super::world::World;

/// A namespace with a small file system at `$1`, in which the rest is run.
const SMALL: &str = "mount -t tmpfs -o size=2m tmpfs \"$1\" && shift && exec \"$@\"";

/// Whether this machine lets somebody have such a namespace; when not, why.
fn possible() -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let tried = Command::new("unshare").args(["-rm", "sh", "-c", SMALL, "sh"]).arg(folder.path()).arg("true").output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(e) => Err(format!("unshare: {e}")),
    }
}

/// Fills the file system to its last byte; gives the file that does.
fn fill(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("filler");
    let mut filler = std::fs::File::create(&path)?;
    for size in [65_536, 4_096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_goes_forward_and_a_failing_version_is_taken_back() -> Result<()> {
    if let Err(why) = possible() {
        eprintln!("SKIPPED: no small file system can be mounted here: {why}");
        return Ok(());
    }
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let (_, state) = world.state();
    std::fs::create_dir_all(&state)?;
    let folder = state.display().to_string();
    let prefix = ["unshare", "-rm", "sh", "-c", SMALL, "sh", &folder];
    let running = world.run_behind(&prefix, &[], &world.rollout(|_| {})?)?;
    world.reaches(2_000).await?;
    let inside = PathBuf::from(format!("/proc/{}/root", running.pid())).join(state.strip_prefix("/")?).join("headgate");
    let filler = fill(&inside)?;
    let told = running.tells("that the disk is full", |e| e["kind"] == "store").await?;
    assert!(told["text"].as_str().is_some_and(|t| t.contains("the disk is full. Make room")), "{told}");
    running
        .tells("that the next step waits", |e| {
            e["kind"] == "store" && e["text"].to_string().contains("the next weights wait")
        })
        .await?;
    load.more(300).await?;
    assert_eq!(world.published()?, 2_000, "what cannot be written down is not done");
    world.versions.canary.behave(Conduct { failing: 1, ..Conduct::default() });
    world.reaches(0).await?;
    assert!(std::fs::metadata(&filler)?.len() > 0, "and the disk was full all the time");
    std::fs::remove_file(&filler)?;
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("the state can be written again"), "{}", ran.out);
    wait_until("nobody is on the canary", || async { Ok(world.canary_users().await?.is_empty()) }).await?;
    load.stop().await?;
    Ok(())
}
