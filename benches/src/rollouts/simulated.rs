//! How long five simulated days take: `headgate simulate` with one seed, from its start to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use headgate_tests::headgate_binary;
use serde_json::{Value, json};

use super::program::{Home, rollout};

/// Days that the rollout takes when everything passes: four steps and the time after them.
const DAYS: f64 = 5.0;

/// Seconds of CPU of each run.
pub(crate) fn measure(runs: usize) -> Result<Vec<f64>> {
    let home = Home::new()?;
    let day = |weight: &str| json!({"weight": weight, "duration": "1d"});
    let steps = json!([day("1%"), day("10%"), day("50%"), day("100%")]);
    let mut document = rollout("five-days", &home.path("target.yaml"), &steps, &json!({}));
    document["spec"]["monitoring"] = json!({"duration": "1d"});
    let file = home.write("five-days.yaml", &document)?;
    (0..runs)
        .map(|seed| {
            let mut child = Command::new(headgate_binary()?)
                .arg("simulate")
                .arg(&file)
                .args(["--seeds", "1", "--json", "--seed", &seed.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?;
            let output = child.stdout.take().context("no output")?;
            let answer: Value = serde_json::from_reader(output)?;
            let after = answer["runs"][0]["ended"]["afterMs"].as_f64().unwrap_or(0.0);
            let outcome = &answer["runs"][0]["ended"]["outcome"];
            ensure!(outcome == "promoted" && after >= DAYS * 86_400_000.0, "seed {seed}: {outcome} after {after} ms");
            let cpu = cpu_of_ended(child.id())?;
            ensure!(child.wait()?.success(), "headgate simulate failed");
            Ok(cpu)
        })
        .collect()
}

/// Seconds of CPU of a process that has ended and was not waited for yet (`/proc/<pid>/stat`).
fn cpu_of_ended(pid: u32) -> Result<f64> {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no CPU time");
            return Ok((ticks(11)? + ticks(12)?) / 100.0);
        }
        ensure!(start.elapsed() < Duration::from_secs(60), "headgate simulate did not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}
