//! A clock that jumps while a rollout runs: the program's own, by a library between it and the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use headgate_tests::{Fault, Result, wait_until};
use serde_json::json;

use super::world::World;

/// Adds the seconds that stand in the file `$CLOCK` to the time of day, and to nothing else.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *ts) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, ts);
  const char *path = getenv("CLOCK");
  FILE *file = id == CLOCK_REALTIME && path ? fopen(path, "r") : 0;
  long seconds = 0;
  if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
  ts->tv_sec += seconds;
  return result;
}
"#;

/// The library, compiled by the C compiler that Rust links with.
fn library(world: &World) -> Result<PathBuf> {
    let (source, library) = (world.path("clock.c"), world.path("clock.so"));
    std::fs::write(&source, LIBRARY)?;
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").output()?;
    if made.status.success() {
        Ok(library)
    } else {
        Err(Fault::msg(String::from_utf8_lossy(&made.stderr).into_owned()))
    }
}

fn jump(clock: &Path, seconds: i64) -> Result<()> {
    let next = clock.with_extension("next");
    std::fs::write(&next, seconds.to_string())?;
    Ok(std::fs::rename(next, clock)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_neither_shortens_a_step_nor_stops_it() -> Result<()> {
    let world = World::start().await?;
    let (library, clock) = (library(&world)?, world.path("clock"));
    jump(&clock, 0)?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "4s"}, {"weight": "100%", "duration": "1s"}]);
    })?;
    let variables = [("LD_PRELOAD", library.as_path()), ("CLOCK", clock.as_path())];
    let running = world.run_behind(&[], &variables, &file)?;
    world
        .is("the step is measured", |s| {
            s["state"]["weights"]["canary"] == 2_000
                && s["state"]["window"]["measuredMs"].as_u64().is_some_and(|ms| ms > 0)
        })
        .await?;
    // A day forward: nobody measured that day, so the step does not end by it.
    jump(&clock, 86_400)?;
    let after = world
        .is("time went on by a day", |s| {
            s["state"]["nowMs"]
                .as_u64()
                .zip(s["state"]["startedMs"].as_u64())
                .is_some_and(|(now, began)| now - began > 86_000_000)
        })
        .await?;
    let measured = after["state"]["window"]["measuredMs"].as_u64().unwrap_or(0);
    assert!(measured < 4_000, "{after}");
    assert_eq!((after["state"]["step"].as_u64(), world.published()?), (Some(0), 2_000), "{after}");
    // An hour before the true time: it is said, and time goes on from where it was.
    jump(&clock, -3_600)?;
    let told = running.tells("that the clock went back", |e| e["kind"] == "clock").await?;
    assert!(told["text"].as_str().is_some_and(|t| t.contains("went back by 1d")), "{told}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    let requests = load.stop().await?;
    assert!(requests.failed().is_empty(), "{:?}", requests.failed());
    wait_until("everybody is on the new version", || async {
        Ok(world.canary_users().await?.len() as u64 == super::load::USERS)
    })
    .await
}
