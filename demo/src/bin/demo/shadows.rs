//! Two shadows of the model in service, compared inside a second Envoy: one that gets its pictures mirrored, and a healthy one. What each must
//! answer is known from the models alone, so the report is held to exactly that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use headgate_demo::{Fault, Model, Version};
use headgate_tests::{Bootstrap, Collector, Envoy, headgate_binary, repository, shadow_wasm, wait_until};
use serde_json::{Value, json};

use crate::load::{Manner, pass};
use crate::plan::{ROUTE, STABLE, TARGET};
use crate::show::Show;
use crate::steps::Demo;
use crate::world::Server;

/// Users who ask at a time, and the pause after them.
const FEW: usize = 4;
const PAUSE: Duration = Duration::from_millis(15);
/// The model in service, and the one that shall take its place.
const OLD: Version = Version::V2;
const NEW: Version = Version::V3;

impl Demo {
    /// Both shadows.
    pub(crate) async fn shadows(&mut self, show: &mut Show) -> Result<()> {
        if self.world.fault.is_none() {
            show.step("Shadows: not with these containers, which have the filter without them");
            return Ok(());
        }
        show.step("A shadow whose pictures are mirrored: its answers are compared with what users get");
        self.shadow(show, "mirrored", Some(Fault::Inaccurate), "investigateDisagreement").await?;
        show.step("A healthy shadow: a model of fewer passes, which sees what the other one sees");
        self.shadow(show, "healthy", None, "promote").await
    }

    async fn shadow(&mut self, show: &mut Show, name: &str, fault: Option<Fault>, recommended: &str) -> Result<()> {
        let (stable, shadow) = (Server::start(OLD, None)?, Server::start(NEW, fault)?);
        let path = self.world.path(&format!("{name}.jsonl"));
        let collector = Collector::start(&path, None)?;
        let mut bootstrap = Bootstrap::filter_state()?.edit(|b| b["stats_flush_interval"] = json!("0.5s"));
        bootstrap.add_cluster("model-v1", "collector", collector.addr())?;
        let envoy = Envoy::builder(bootstrap)
            .wasm(&shadow_wasm()?)
            .cluster("model-v1", stable.addr)
            .cluster("model-v2", shadow.addr)
            .configuration(&configuration())
            .concurrency(2)
            .without_permit()
            .start()
            .await?;
        let target = json!({"name": TARGET, "publisher": {"file": {"path": envoy.ecds_path()}},
            "proxies": [{"name": "edge", "admin": format!("http://{}", envoy.admin().addr())}]});
        let target = self.world.write(&format!("{name}-target.json"), &target.to_string())?;

        // A few at a time: users wait for their answers before they ask again, copies for nothing, and a shadow that is drowned is slow.
        let mut records = Vec::new();
        for some in self.people.chunks(FEW) {
            records.extend(pass(envoy.ingress(), &Arc::new(some.to_vec()), &Manner::default()).await?);
            tokio::time::sleep(PAUSE).await;
        }
        let failed = records.iter().filter(|r| r.answer.is_err()).count();
        let others = records.iter().filter(|r| r.answer.as_ref().is_ok_and(|a| a.model != OLD)).count();
        show.check("users who were not answered by the model in service", 0, failed + others);
        let lines = || std::fs::read(&path).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count());
        wait_until("all records have come", || async { Ok(lines() >= self.people.len()) }).await?;

        let changes = self.disagreements(fault.is_some())?;
        let differ: u64 = changes.values().sum();
        let page = page(name)?;
        let told = analyze(show, &path, &page).await?;
        show.check("comparisons", self.people.len() as u64, told["compared"].as_f64().unwrap_or(0.0).round() as u64);
        let share = told["agreement"]["value"].as_f64().unwrap_or(0.0);
        let found = ((1.0 - share) * self.people.len() as f64).round() as u64;
        show.check("users whom the two models tell different digits", differ, found);
        let listed = told["changes"].as_array().cloned().unwrap_or_default();
        let listed: BTreeMap<(String, String), u64> = listed.iter().filter_map(change).collect();
        show.check("kinds of disagreement (old digit, new digit)", changes.len(), listed.len());
        let wrong = changes.iter().filter(|(kind, count)| listed.get(*kind) != Some(*count)).count();
        show.check("of them, not found as often as they are", 0, wrong);
        if let Some(((old, new), count)) = changes.iter().max_by_key(|(_, count)| **count) {
            show.say(&format!("The most frequent: {count} times {old} became {new}. The page: {}", page.display()));
        }
        show.check("recommendation from the records", recommended.to_owned(), said(&told["verdict"]));
        let told = report(show, &target).await?;
        show.check("recommendation from the proxy's counters", recommended.to_owned(), said(&told["verdict"]));
        show.quote(told["verdict"]["because"].as_str().unwrap_or_default());
        Ok(())
    }

    /// How often each digit becomes which other one, as the models say by themselves.
    fn disagreements(&self, mirrored: bool) -> Result<BTreeMap<(String, String), u64>> {
        let rows = headgate_demo::rows()?;
        let learn = |version| Model::learn(version, headgate_demo::teachers(&rows));
        let (old, new) = (learn(OLD), learn(NEW));
        let mut changes = BTreeMap::new();
        for person in self.people.iter() {
            let mut seen = person.pixels.clone();
            if mirrored {
                seen.reverse();
            }
            let (before, after) = (old.predict(&person.pixels)?.digit, new.predict(&seen)?.digit);
            if before != after {
                *changes.entry((before.to_string(), after.to_string())).or_insert(0) += 1;
            }
        }
        Ok(changes)
    }
}

/// Everything that users ask is copied, and the digits are compared.
fn configuration() -> Value {
    json!({
        "contract": 1, "revision": 1, "target": TARGET, "requires": ["shadow"],
        "routes": [{
            "name": ROUTE,
            "match": {"path": {"exact": "/predict"}},
            "variants": [{"name": STABLE, "weight": 1, "cluster": "model-v1"}],
            "stable": STABLE,
            "key": {"sources": [{"header": "x-user-id"}]},
            "shadow": {
                "cluster": "model-v2", "share": 10_000, "methods": ["POST"], "timeoutMs": 10_000,
                "compare": {"body": "json", "json": {"only": ["/prediction"]}},
                "record": {"values": true}
            }
        }],
        "shadowing": {
            "budget": {"inFlight": 1_000, "perSecond": 100_000},
            "records": {"cluster": "collector", "everyMs": 100, "perSecond": 100_000}
        }
    })
}

fn change(row: &Value) -> Option<((String, String), u64)> {
    let kind = (row["old"].as_str()?.to_owned(), row["new"].as_str()?.to_owned());
    Some((kind, row["count"].as_f64()?.round() as u64))
}

fn said(verdict: &Value) -> String {
    verdict["recommendation"].as_str().unwrap_or("none").to_owned()
}

/// Where a page is kept after the demo.
fn page(name: &str) -> Result<PathBuf> {
    let folder = repository().join("target/demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder.join(format!("shadow-{name}.html")))
}

async fn analyze(show: &Show, records: &Path, page: &Path) -> Result<Value> {
    let (records, page) = (records.display().to_string(), page.display().to_string());
    show.say("$ headgate shadow analyze records.jsonl --html shadow.html");
    answer(&["shadow", "analyze", &records, "--top", "100", "--html", &page, "--json"]).await
}

async fn report(show: &Show, target: &Path) -> Result<Value> {
    let target = target.display().to_string();
    show.say(&format!("$ headgate shadow report target.json --route {ROUTE}"));
    // Envoy shows its histograms with the next flush.
    let mut told = Value::Null;
    for _ in 0..20 {
        told = answer(&["shadow", "report", &target, "--route", ROUTE, "--json"]).await?;
        let unmeasured = |check: &Value| check["held"] == "unmeasured";
        if !told["verdict"]["checks"].as_array().is_some_and(|checks| checks.iter().any(unmeasured)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(told)
}

async fn answer(arguments: &[&str]) -> Result<Value> {
    let mut command = tokio::process::Command::new(headgate_binary()?);
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("`headgate {}` said: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))
    })
}
