//! What the statistics cost: one look of the judge, and tests on many numbers beside scipy, numpy and statsmodels, on the same data in the same
//! run.
//!
//! The other side is a Python program (`benches/statistics/`) that makes the data, times itself and leaves its answers; ours must be the same
//! answers before their times are compared.

mod procedures;
mod tick;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use headgate_rollout::stats::Reason;
use headgate_rollout::stats::fixed::proportions::Spread;
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look};
use headgate_rollout::stats::many::{Answers, Counts, msprts, z_tests};
use headgate_tests::repository;
use serde_json::Value;

use crate::Settings;

/// Pairs of counts.
pub(crate) const PAIRS: usize = 1_000_000;
/// Values that are ranked.
pub(crate) const VALUES: usize = 10_000_000;
/// The mixing variance of the sequential test, as in the Python program.
const TAU2: f64 = 0.001;

/// What was seen. Seconds of each round.
pub(crate) struct Numbers {
    /// Of one look at 3 variants, 10 criteria, 20 segments.
    pub(crate) ticks: Vec<f64>,
    /// Of every procedure of the library over counts of that size.
    pub(crate) procedures: Vec<f64>,
    /// Two proportions, ours and theirs, by name.
    pub(crate) proportions: [Vec<f64>; 4],
    /// The sequential test, ours and numpy's.
    pub(crate) sequential: [Vec<f64>; 2],
    /// Ranks, ours and scipy's.
    pub(crate) ranks: [Vec<f64>; 2],
}

/// Measures all of it.
pub(crate) fn measure(settings: &Settings) -> Result<Numbers> {
    let ticks = tick::measure(settings.looks)?;
    let procedures = procedures::measure(settings.looks)?;
    let folder = tempfile::tempdir()?;
    let rounds = settings.looks.clamp(3, 11);
    let theirs = python(folder.path(), rounds)?;
    let list = |name: &str| -> Result<Vec<f64>> {
        let seconds = theirs[name].as_array().with_context(|| format!("compare.py said nothing of {name}"))?;
        Ok(seconds.iter().filter_map(Value::as_f64).collect())
    };
    let read = |name: &str| doubles(&folder.path().join(format!("{name}.f64")));
    let (units_a, units_b, events_a, events_b) =
        (read("units_a")?, read("units_b")?, read("events_a")?, read("events_b")?);
    let (a, b) = (Counts { events: &events_a, units: &units_a }, Counts { events: &events_b, units: &units_b });
    let (ours_z, p) =
        timed(rounds, || z_tests(a, b, Spread::Pooled, Alternative::TwoSided, Look::Only)).map_err(refused)?;
    same("two proportions", &p.p, &read("z_p")?)?;
    let (ours_sequential, p) = timed(rounds, || msprts(a, b, TAU2)).map_err(refused)?;
    same("the sequential test", &p.p, &read("sequential_p")?)?;
    let (x, y) = (read("x")?, read("y")?);
    let mut ours_ranks = Vec::new();
    for _ in 0..(rounds / 5).max(1) {
        let (mut a, mut b) = (x.clone(), y.clone());
        let begin = Instant::now();
        let test = mann_whitney(&mut a, &mut b, Law::Normal { continuity: true }, Alternative::TwoSided, Look::Only)
            .map_err(refused)?;
        ours_ranks.push(begin.elapsed().as_secs_f64());
        same("ranks", &[test.p], &[theirs["ranksP"].as_f64().unwrap_or(f64::NAN)])?;
    }
    Ok(Numbers {
        ticks,
        procedures,
        proportions: [ours_z, list("scipyNorm")?, list("scipySpecial")?, list("statsmodels")?],
        sequential: [ours_sequential, list("numpySequential")?],
        ranks: [ours_ranks, list("scipyRanks")?],
    })
}

fn python(folder: &Path, rounds: usize) -> Result<Value> {
    let venv = repository().join(".tools/statistics/bin/python");
    ensure!(venv.exists(), "{} is missing: scripts/install statistics makes it", venv.display());
    let output = Command::new(venv)
        .arg(repository().join("benches/statistics/compare.py"))
        .arg(folder)
        .args([PAIRS, VALUES, rounds].map(|n| n.to_string()))
        .output()
        .context("starting Python")?;
    ensure!(output.status.success(), "compare.py: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what compare.py printed")
}

fn doubles(path: &Path) -> Result<Vec<f64>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes.chunks_exact(8).map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(reason: Reason) -> anyhow::Error {
    anyhow::anyhow!("the bench's own data are refused: {reason}")
}

/// Seconds of each round, and the last answer. One round more goes before them.
fn timed(rounds: usize, work: impl Fn() -> Result<Answers, Reason>) -> Result<(Vec<f64>, Answers), Reason> {
    let mut seconds = Vec::with_capacity(rounds);
    let mut last = work()?;
    for _ in 0..rounds {
        let begin = Instant::now();
        last = work()?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok((seconds, last))
}

/// Refuses to compare times of answers that differ.
fn same(what: &str, ours: &[f64], theirs: &[f64]) -> Result<()> {
    ensure!(ours.len() == theirs.len(), "{what}: {} answers, {} of theirs", ours.len(), theirs.len());
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    ensure!(worst < 1e-9 && ours.iter().all(|p| p.is_finite()), "{what}: answers differ by {worst}");
    Ok(())
}
