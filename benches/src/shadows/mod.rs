//! What it costs to send copies from the filter and to compare their answers, beside Envoy's own mirror, which drops them.
//!
//! Three parts: CPU per request when every request is copied ([`cpu`]), what users notice of a shadow that does badly
//! ([`unwell`]), and memory over a million compared pairs ([`memory`]). Whatever was copied is accounted for at the end of
//! each: a pair that was not compared ends the benchmark where all should be.

mod cpu;
mod memory;
mod server;
mod setting;
mod unwell;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Settings;
use crate::report::{Rows, row, shown};
use crate::statistics::Estimate;

/// What was seen.
pub(crate) struct Shadows {
    cpu: cpu::Costs,
    unwell: unwell::Latencies,
    memory: memory::Growth,
}

/// Runs all parts.
pub(crate) async fn measure(settings: &Settings) -> Result<Shadows> {
    let servers = server::Servers::start()?;
    Ok(Shadows {
        cpu: cpu::measure(settings, servers).await?,
        unwell: unwell::measure(settings, servers).await?,
        memory: memory::measure(settings, servers).await?,
    })
}

impl Shadows {
    /// The tables, with the text above each.
    pub(crate) fn tables(&self) -> Vec<(String, Rows)> {
        let text = format!(
            "Worker CPU in microseconds when every request is copied: medians of {} rounds with 95 % bootstrap intervals; all {} copies of the filter were compared. \
             Answers are JSON of {} bytes; `with JSON` parses both, which differ in a field that is ignored. The last two columns are over Envoy's mirror: of the \
             whole, and of what is added to the line without copies. Targets for the whole: <= 1.5 with digest, <= 2.0 with JSON.",
            self.cpu.rounds(),
            self.cpu.compared,
            server::ANSWER
        );
        let header =
            row(["requests", "side", "CPU per request", "added by copies", "whole / mirror's", "added / mirror's"]);
        let mut rows = vec![header];
        for line in self.cpu.lines() {
            let ratios = line.over_mirror.map_or([String::new(), String::new()], |ratios| ratios.map(shown));
            let [whole, added] = ratios;
            rows.push(row([line.requests, line.what, &shown(line.total), &shown(line.added), &whole, &added]));
        }
        let cpu = (text, rows);
        let text = format!(
            "Latency of users in milliseconds at {:.0} requests a second, by which the worker is busy 40 % of the time when all are copied (open loop). Everything is \
             sampled, and copied but for the budget's 100 at a time: medians of {} rounds. Target for p50: <= 1.05 of no shadow's.",
            self.unwell.rate, self.unwell.rounds
        );
        let mut rows = vec![row(["shadow", "p50", "p99", "p50 / no shadow's", "p99 / no shadow's"])];
        for line in self.unwell.lines() {
            let ratio = |estimate: Option<Estimate>| estimate.map(shown).unwrap_or_default();
            let (p50, p99) = (shown(line.p50), shown(line.p99));
            rows.push(row([line.what, &p50, &p99, &ratio(line.p50_over), &ratio(line.p99_over)]));
        }
        let unwell = (text, rows);
        let memory = &self.memory;
        let text = format!(
            "Resident memory of Envoy while {} pairs are compared, half by digest, half as JSON.",
            memory.pairs
        );
        let growth = format!("{:.1} % ({:.1} to {:.1} MB)", memory.growth() * 100.0, memory.before, memory.after);
        let rows = vec![row(["what", "measured", "target"]), row(["growth after the first tenth", &growth, "flat"])];
        vec![cpu, unwell, (text, rows)]
    }

    /// All figures, with intervals as `[value, low, high]`.
    pub(crate) fn json(&self) -> Value {
        let estimate = |e: Estimate| json!([e.value, e.low, e.high]);
        let cpu: Vec<Value> = (self.cpu.lines().into_iter())
            .map(|line| {
                json!({"requests": line.requests, "side": line.what, "us": estimate(line.total), "addedUs": estimate(line.added),
                       "wholeOverMirror": line.over_mirror.map(|[whole, _]| estimate(whole)),
                       "addedOverMirror": line.over_mirror.map(|[_, added]| estimate(added))})
            })
            .collect();
        let unwell: Vec<Value> = (self.unwell.lines().into_iter())
            .map(|line| {
                json!({"shadow": line.what, "p50Ms": estimate(line.p50), "p99Ms": estimate(line.p99),
                       "p50Over": line.p50_over.map(estimate), "p99Over": line.p99_over.map(estimate)})
            })
            .collect();
        json!({"cpu": cpu, "compared": self.cpu.compared, "unwell": unwell, "requestsPerSecond": self.unwell.rate,
               "pairs": self.memory.pairs, "residentMb": [self.memory.before, self.memory.after]})
    }
}
