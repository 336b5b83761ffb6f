//! What Headgate costs, measured beside what a user would pick instead: `make bench`.
//!
//! Parts: CPU per request ([`cpu`]), pushes under load ([`pushes`]), memory ([`memory`]), the controller ([`rollouts`]), compared
//! shadows ([`shadows`]), the statistics ([`numbers`]) and records of comparisons ([`records`]). It starts Envoys of its
//! own with the bootstraps that users copy; every figure in `docs/benchmarks.md` is one that it printed. It judges
//! nothing: it prints targets beside figures, and fails only when a side does not do what it is measured for.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON documents, where a missing key is `null` and is made by writing to it, and arrays of fixed length"
)]

mod awake;
mod clock;
mod configurations;
mod cores;
mod cpu;
mod figures;
mod load;
mod memory;
mod numbers;
mod pushes;
mod records;
mod report;
mod rollouts;
mod shadows;
mod sides;
mod statistics;
mod traffic;
mod upstream;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use headgate_tests::repository;

use crate::report::Report;
use crate::upstream::Upstreams;

/// Measures what Headgate costs. Needs Envoy and the compiled filter (`make wasm`), two cores, and an idle machine for
/// figures that mean something.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// A tenth of the rounds and pushes: to see that it works, not to publish.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Replace the measured figures in this Markdown file, between the lines `<!-- figures -->` and `<!-- /figures -->`.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Measure these parts only.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Cpu,
    Pushes,
    Memory,
    Rollouts,
    Shadows,
    Numbers,
    Records,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// How often the Envoy with all sides is started.
    pub(crate) launches: usize,
    /// Rounds of each start, beside those that warm up.
    pub(crate) rounds: usize,
    /// Pushes under load.
    pub(crate) pushes: usize,
    /// Envoys started for each point of the memory's line.
    pub(crate) starts: usize,
    /// Failing canaries that are taken back.
    pub(crate) catches: usize,
    /// Ticks of the controller over many proxies.
    pub(crate) ticks: u64,
    /// Looks of the judge that are timed; also bounds the rounds of its comparisons with others.
    pub(crate) looks: usize,
    /// How long the controller of many rollouts is watched.
    pub(crate) watch: Duration,
    /// Of compared shadows: starts of Envoy, rounds of each for CPU, and rounds for latency.
    pub(crate) copies: [usize; 3],
    /// Pairs of answers compared while memory is watched.
    pub(crate) pairs: usize,
    /// Time of open load for each shadow that does badly, in each round.
    pub(crate) unwell: Duration,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let settings = if arguments.quick {
        Settings {
            launches: 2,
            rounds: 4,
            pushes: 60,
            starts: 1,
            catches: 2,
            ticks: 5,
            looks: 5,
            watch: Duration::from_secs(15),
            pairs: 50_000,
            copies: [1, 4, 4],
            unwell: Duration::from_millis(400),
        }
    } else {
        Settings {
            launches: 12,
            rounds: 16,
            pushes: 1_000,
            starts: 3,
            catches: 10,
            ticks: 20,
            looks: 200,
            watch: Duration::from_secs(60),
            pairs: 1_100_000,
            copies: [2, 8, 20],
            unwell: Duration::from_millis(300),
        }
    };
    let wanted = |part: Part| arguments.only.is_empty() || arguments.only.contains(&part);
    // Before this process keeps to one core: pairs of counts are tested on all of them.
    let numbers = if wanted(Part::Numbers) {
        eprintln!("Statistics:");
        Some(numbers::measure(&settings)?)
    } else {
        None
    };
    cores::rest()?;
    clock::now();
    let upstreams = Upstreams::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::new(arguments.quick)?;
    report.numbers = numbers;
    if wanted(Part::Cpu) {
        eprintln!("CPU per request:");
        report.cpu = Some(runtime.block_on(cpu::measure(&settings, upstreams))?);
    }
    if wanted(Part::Pushes) {
        eprintln!("Pushes under load:");
        report.pushes = Some(runtime.block_on(pushes::measure(&settings, upstreams))?);
    }
    if wanted(Part::Memory) {
        eprintln!("Memory:");
        report.memory = Some(runtime.block_on(memory::measure(&settings, upstreams))?);
    }
    if wanted(Part::Rollouts) {
        eprintln!("Rollouts:");
        report.rollouts = Some(runtime.block_on(rollouts::measure(&settings, upstreams))?);
    }
    if wanted(Part::Shadows) {
        eprintln!("Compared shadows:");
        report.shadows = Some(runtime.block_on(shadows::measure(&settings))?);
    }
    if wanted(Part::Records) {
        eprintln!("Records of comparisons:");
        report.records = Some(records::measure(arguments.quick)?);
    }
    if arguments.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.text());
    }
    if let Some(path) = arguments.write {
        report.write(&path)?;
    }
    Ok(())
}

/// The empty filter, built as Headgate's is.
pub(crate) fn empty_filter() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(repository())
        .args(["build", "--quiet", "--profile", "wasm", "--target", "wasm32-wasip1", "-p", "headgate-empty-filter"])
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "the empty filter does not build: {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    Ok(target.join("wasm32-wasip1/wasm/headgate_empty_filter.wasm"))
}
