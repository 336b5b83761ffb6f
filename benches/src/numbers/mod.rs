//! What the statistics cost: one look of the judge, and tests on many numbers beside scipy, numpy and statsmodels, on the same data in the same
//! run.
//!
//! The other side is a Python program (`benches/statistics/`) that makes the data, times itself and leaves its answers; ours must be the same
//! answers before their times are compared.

mod tick;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look};
use headgate_rollout::stats::sequential::msprt;
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
    /// Two proportions, ours and theirs, by name.
    pub(crate) proportions: [Vec<f64>; 4],
    /// The sequential test, ours and numpy's.
    pub(crate) sequential: [Vec<f64>; 2],
    /// Ranks, ours and scipy's.
    pub(crate) ranks: [Vec<f64>; 2],
    /// Threads of ours for pairs of counts.
    pub(crate) threads: usize,
}

/// Measures all of it.
pub(crate) fn measure(settings: &Settings) -> Result<Numbers> {
    let ticks = tick::measure(settings.looks)?;
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
    let pairs: Vec<(Proportion, Proportion)> = (0..units_a.len())
        .map(|i| {
            (
                Proportion { events: events_a[i], units: units_a[i] },
                Proportion { events: events_b[i], units: units_b[i] },
            )
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let z = |(a, b): &(Proportion, Proportion)| {
        z_test(*a, *b, Spread::Pooled, Alternative::TwoSided, Look::Only).map_or(f64::NAN, |test| test.p)
    };
    let (ours_z, p) = timed(rounds, || over(&pairs, threads, z));
    same("two proportions", &p, &read("z_p")?)?;
    let sequential = |(a, b): &(Proportion, Proportion)| {
        let variance = a.variance() / a.units + b.variance() / b.units;
        msprt::ln_ratio_of(b.rate() - a.rate(), variance, TAU2)
            .map_or(f64::NAN, |log| if log > 0.0 { (-log).exp() } else { 1.0 })
    };
    let (ours_sequential, p) = timed(rounds, || over(&pairs, threads, sequential));
    same("the sequential test", &p, &read("sequential_p")?)?;
    let (x, y) = (read("x")?, read("y")?);
    let mut ours_ranks = Vec::new();
    for _ in 0..(rounds / 5).max(1) {
        let (mut a, mut b) = (x.clone(), y.clone());
        let begin = Instant::now();
        let test = mann_whitney(&mut a, &mut b, Law::Normal { continuity: true }, Alternative::TwoSided, Look::Only)
            .map_err(|reason| anyhow::anyhow!("ranks: {reason}"))?;
        ours_ranks.push(begin.elapsed().as_secs_f64());
        same("ranks", &[test.p], &[theirs["ranksP"].as_f64().unwrap_or(f64::NAN)])?;
    }
    Ok(Numbers {
        ticks,
        proportions: [ours_z, list("scipyNorm")?, list("scipySpecial")?, list("statsmodels")?],
        sequential: [ours_sequential, list("numpySequential")?],
        ranks: [ours_ranks, list("scipyRanks")?],
        threads,
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

/// Each item's answer, in parts on so many threads.
fn over<T: Sync>(items: &[T], threads: usize, of: impl Fn(&T) -> f64 + Sync) -> Vec<f64> {
    let mut out = vec![0.0; items.len()];
    let part = items.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        for (items, out) in items.chunks(part).zip(out.chunks_mut(part)) {
            let of = &of;
            scope.spawn(move || items.iter().zip(out).for_each(|(item, out)| *out = of(item)));
        }
    });
    out
}

fn timed<T>(rounds: usize, work: impl Fn() -> T) -> (Vec<f64>, T) {
    let mut seconds = Vec::with_capacity(rounds);
    let mut last = work();
    for _ in 0..rounds {
        let begin = Instant::now();
        last = work();
        seconds.push(begin.elapsed().as_secs_f64());
    }
    (seconds, last)
}

/// Refuses to compare times of answers that differ.
fn same(what: &str, ours: &[f64], theirs: &[f64]) -> Result<()> {
    ensure!(ours.len() == theirs.len(), "{what}: {} answers, {} of theirs", ours.len(), theirs.len());
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    ensure!(worst < 1e-9 && ours.iter().all(|p| p.is_finite()), "{what}: answers differ by {worst}");
    Ok(())
}
