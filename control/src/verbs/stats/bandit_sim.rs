//! Policies of a bandit against each other, over many seeds.

use headgate_rollout::bandit::Policy;
use headgate_rollout::file::WHOLE;
use headgate_rollout::simulate::bandits::{Compared, Game, compare};
use serde_json::json;

use super::{number, percent, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Chart, Line};
use crate::cli::stats::{BanditSim, SimulatedPolicy};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &BanditSim) -> Result<Answer, Failure> {
    let game = game(args)?;
    let policies: Vec<Policy> = args.policy.iter().map(|p| policy(*p, args.epsilon)).collect();
    let found = played(&game, &policies, args.seed..args.seed.saturating_add(args.seeds))?;
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|c| {
            vec![
                name(c.policy),
                number(c.regret),
                number(c.low),
                number(c.high),
                percent(c.earned),
                percent(c.right),
                percent(c.best_share.last().copied().unwrap_or(0.0)),
                number(c.changes),
                percent(c.moved),
                c.covered.map_or_else(|| "-".to_owned(), percent),
                c.plain_bias.map_or_else(|| "-".to_owned(), |b| format!("{:+.2} %", b * 100.0)),
            ]
        })
        .collect();
    let sentence = sentence(&found, &game, args.seeds);
    let headings = [
        "policy",
        "regret",
        "low",
        "high",
        "earned",
        "best found",
        "its share at the end",
        "changes",
        "moved by each",
        "95 % intervals hold",
        "plain average off by",
    ];
    let list: Vec<_> = found
        .iter()
        .map(|c| {
            json!({"policy": name(c.policy), "regret": c.regret, "low": c.low, "high": c.high, "earned": c.earned, "bestFound": c.right,
                "bestShare": c.best_share, "changes": c.changes, "moved": c.moved, "covered": c.covered, "plainBias": c.plain_bias})
        })
        .collect();
    let json = json!({"policies": list, "rates": game.rates, "batches": game.batches, "units": game.units, "seeds": args.seeds,
        "sentence": sentence});
    let mut text = format!("{}\n{sentence}", table(&headings, &rows));
    if let Some(file) = &args.html {
        let page = chart::page("Policies of a bandit", &sentence, &headings, &rows, &charts(&found));
        chart::write(file, &page)?;
        text.push_str(&format!("\n{}: the same with charts", file.display()));
    }
    Ok(Answer::done(json, text))
}

fn game(args: &BanditSim) -> Result<Game, Failure> {
    let whole = f64::from(WHOLE);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares between 0 and 1")]
    let parts = |share: f64| (share * whole).round() as u32;
    let shift = match (args.shift_at, args.shifted.is_empty()) {
        (Some(at), false) => Some((at, args.shifted.clone())),
        (None, true) => None,
        _ => {
            return Err(Failure::new(
                Exit::Usage,
                "--shift-at and --shifted belong together: from which batch, and the rates then",
            ));
        }
    };
    Ok(Game {
        rates: args.rates.clone(),
        shift,
        units: args.units,
        batches: args.batches,
        users: args.users,
        correlation: args.correlation,
        floor: parts(args.floor),
        least_change: parts(args.least_change),
        warm_up: args.warm_up,
        half_life: args.half_life,
        delay: args.delay,
    })
}

/// Plays all seeds, as many policies at once as there are cores.
fn played(game: &Game, policies: &[Policy], seeds: std::ops::Range<u64>) -> Result<Vec<Compared>, Failure> {
    let count = seeds.end.saturating_sub(seeds.start);
    if count < 2 {
        return Err(Failure::new(Exit::Usage, "--seeds: at least 2, to say how far a mean may be off"));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = Vec::with_capacity(policies.len());
    for group in policies.chunks(threads.max(1)) {
        let parts: Vec<_> = std::thread::scope(|scope| {
            let play = |policy: Policy| {
                let seeds = seeds.clone();
                scope.spawn(move || compare(game, &[policy], seeds))
            };
            let running: Vec<_> = group.iter().map(|policy| play(*policy)).collect();
            running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        for part in parts {
            let part = part.map_err(|_| Failure::failed("a simulation ended unexpectedly"))?;
            found.extend(part.map_err(refused)?);
        }
    }
    Ok(found)
}

fn policy(asked: SimulatedPolicy, epsilon: f64) -> Policy {
    match asked {
        SimulatedPolicy::Uniform => Policy::Uniform,
        SimulatedPolicy::EpsilonGreedy => Policy::EpsilonGreedy { epsilon },
        SimulatedPolicy::Thompson => Policy::Thompson,
    }
}

fn name(policy: Policy) -> String {
    match policy {
        Policy::Uniform => "uniform".to_owned(),
        Policy::EpsilonGreedy { epsilon } => format!("epsilon-greedy {}", percent(epsilon)),
        Policy::Thompson => "thompson".to_owned(),
    }
}

fn sentence(found: &[Compared], game: &Game, seeds: u64) -> String {
    let mut order: Vec<&Compared> = found.iter().collect();
    order.sort_by(|a, b| a.regret.total_cmp(&b.regret));
    let Some(best) = order.first() else { return String::new() };
    let mut text = format!(
        "Over {seeds} seeds of {} batches, {} gives up least: {} rewards on average (95 % interval {} to {}) against everybody on the best arm from the start.",
        game.batches,
        name(best.policy),
        number(best.regret),
        number(best.low),
        number(best.high)
    );
    if let Some(next) = order.get(1) {
        let apart = next.low > best.high;
        text.push_str(&format!(
            " Next is {} with {}; {}.",
            name(next.policy),
            number(next.regret),
            if apart {
                "the intervals do not meet"
            } else {
                "the intervals meet: more seeds would tell them apart, or they are as good"
            }
        ));
    }
    text
}

fn charts(found: &[Compared]) -> Vec<Chart> {
    let batches = found.first().map_or(0, |c| c.best_share.len());
    let shares = Chart {
        title: "Share of the best arm".to_owned(),
        note: "Mean over all seeds, batch by batch.".to_owned(),
        x: (1..=batches).map(|b| b as f64).collect(),
        x_label: "batch".to_owned(),
        percent: true,
        lines: found
            .iter()
            .map(|c| Line::plain(name(c.policy), c.best_share.iter().copied().map(Some).collect()))
            .collect(),
        ..Chart::default()
    };
    vec![shares]
}
