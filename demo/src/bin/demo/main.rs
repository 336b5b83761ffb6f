//! `demo`: versions of a model server behind a real Envoy with the compiled filter, driven by the real `headgate`, and users who
//! ask. What it shows it has just seen, and compares it with what the split says for exactly these users; when anything
//! differs it says so and ends with exit code 1.
//!
//! Exit codes: 0 everything shown is true · 1 something is not, or could not be shown · 77 `--docker` without a Docker engine ·
//! 130 interrupted.

#![allow(
    clippy::indexing_slicing,
    reason = "JSON documents, where a missing key is `null` and is made by writing to it"
)]

mod compose;
mod control;
mod expect;
mod load;
mod plan;
mod rollouts;
mod shadows;
mod show;
mod steps;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::show::Show;

/// The exit code of `--docker` where there is no Docker engine.
const NO_DOCKER: u8 = 77;
/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Shows Headgate at work, and checks everything it shows.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Print one JSON object a line, for machines
    #[arg(long)]
    json: bool,
    /// Run against the official Envoy image: brings envoy/compose.yaml up, and takes it down at the end. Without the rollouts: its
    /// containers hold no version to take back
    #[arg(long)]
    docker: bool,
    /// Chooses what is wrong with the version that is taken back: slow, failing or inaccurate
    #[arg(long, default_value_t = 1)]
    seed: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut show = Show::new(arguments.json);
    if arguments.docker
        && let Err(why) = compose::engine().await
    {
        show.say(&format!("There is no Docker engine to use ({why}); nothing was tested. Exit code {NO_DOCKER}."));
        return ExitCode::from(NO_DOCKER);
    }
    // When it is interrupted the steps are dropped, and with them, by their ids, all processes.
    let ended = tokio::select! {
        ended = steps::run(&mut show, arguments.docker, arguments.seed) => ended,
        () = interrupted() => return ExitCode::from(INTERRUPTED),
    };
    if let Err(e) = ended {
        show.broken(&format!("{e:#}"));
    }
    if show.end() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn interrupted() {
    let asked = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = asked => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = asked.await;
        }
    }
}
