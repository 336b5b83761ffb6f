//! Two rollouts on an accelerated clock, over the real data: a good version climbs and is promoted, a faulty one is caught and taken
//! back. While they run users ask, and each answer is compared with what their picture shows.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use headgate_demo::{Fault, Version};
use headgate_tests::repository;
use serde_json::Value;

use crate::load::{Record, Stream, Truth};
use crate::plan::{CANARY, FAULTY, STABLE, Variant, before, rollout};
use crate::show::Show;
use crate::steps::Demo;

impl Demo {
    /// Both rollouts.
    pub(crate) async fn rollouts(&mut self, show: &mut Show) -> Result<()> {
        let Some(fault) = self.world.fault else {
            show.step("Rollouts: not with these containers, which hold no version to take back");
            return Ok(());
        };
        let canary = self.world.variants.iter().find(|v| v.name == CANARY).copied();
        let canary = canary.ok_or_else(|| anyhow!("there is no canary"))?;
        show.step("A rollout by itself: a good version climbs 1, 5, 25, 50, 100 % and is promoted");
        let (events, records) = self.rollout(show, "good", &canary, 0).await?;
        self.note(&records);
        let steps: Vec<&str> =
            events.iter().filter(|e| e["kind"] == "stepStarted").filter_map(|e| e["step"].as_str()).collect();
        show.check("its steps", "1% 5% 25% 50% 100% monitoring".to_owned(), steps.join(" "));
        self.accuracies(show, &records);
        let served = self.everybody().await?;
        let on_new = served.iter().filter(|r| r.answer.as_ref().is_ok_and(|a| a.model == canary.version)).count();
        show.check("users on it at the end", self.people.len(), on_new);

        show.step(&format!("A rollout by itself: a version that is {} (--seed chooses) is taken back", fault.as_str()));
        let (events, records) = self.rollout(show, "bad", &FAULTY, 10).await?;
        let back = events.iter().find(|e| e["kind"] == "rollingBack").cloned().unwrap_or_default();
        let reason = back["text"].as_str().unwrap_or_default();
        let named = match fault {
            Fault::Slow => "latency",
            Fault::Failing => "errorRate",
            Fault::Inaccurate => "accuracy",
        };
        show.holds(&format!("the reason names {named}"), reason.contains(named), reason);
        let step = back["step"].as_str().unwrap_or_default();
        show.holds("it was caught before everybody had it", ["1%", "5%", "25%", "50%"].contains(&step), step);
        self.accuracies(show, &records);
        let failed = records.iter().filter(|r| r.answer.is_err()).count();
        show.say(&format!("{failed} of {} requests failed meanwhile", records.len()));
        let served = self.everybody().await?;
        let on_old = served.iter().filter(|r| r.answer.as_ref().is_ok_and(|a| a.model == Version::V1)).count();
        show.check("users on stable at the end", self.people.len(), on_old);
        Ok(())
    }

    /// One rollout from its first push to its report: what it said, and what users got.
    async fn rollout(
        &mut self,
        show: &mut Show,
        name: &'static str,
        canary: &Variant,
        code: i32,
    ) -> Result<(Vec<Value>, Vec<Record>)> {
        let plugin = self.world.write(&format!("{name}-plugin.json"), &format!("{:#}\n", before(canary)))?;
        let ran = self.headgate.push_whole(show, &plugin).await?;
        show.check("exit code of the push", 0, ran.code);
        let file = self.world.write(&format!("{name}.json"), &format!("{:#}\n", rollout(name, canary)))?;
        let truth = Truth::new(&self.world.path(&format!("{name}.jsonl")), Version::V1, [STABLE, canary.name])?;
        let stream = Stream::telling(self.world.ingress, &self.people, Some(truth));
        stream.more(500, |asked| show.progress(&format!("{asked} requests answered"))).await;
        let state = self.world.path("state");
        let ran = self.headgate.rollout(show, &file, &state).await?;
        let records = stream.finish().await?;
        let events: Vec<Value> = ran.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        timeline(show, &events);
        if events.is_empty() {
            show.quote(&ran.stderr);
        }
        show.check("exit code of the rollout (0 promoted, 10 rolled back)", code, ran.code);
        let report = report(name)?;
        let told = self.headgate.report(show, name, &report, &state).await?;
        show.check("exit code of the report", 0, told.code);
        show.say(&format!("the report: {}", report.display()));
        Ok((events, records))
    }

    /// Right answers by version, over all requests of a rollout.
    fn accuracies(&self, show: &Show, records: &[Record]) {
        for (what, stable) in [("stable", true), ("the new version", false)] {
            let of = records.iter().filter_map(|r| Some((r.answer.as_ref().ok()?, self.people.get(r.person)?)));
            let of: Vec<_> = of.filter(|(answer, _)| (answer.model == Version::V1) == stable).collect();
            let right = of.iter().filter(|(answer, person)| answer.prediction == person.digit).count();
            if !of.is_empty() {
                let share = crate::steps::percent(right, of.len());
                show.measured(&format!("right answers of {what}, of {}", of.len()), share, "%");
            }
        }
    }
}

/// What a rollout did, with the seconds since it began and the figures of each verdict.
fn timeline(show: &Show, events: &[Value]) {
    let began = events.first().and_then(|e| e["at"].as_f64()).unwrap_or(0.0);
    for event in events {
        let kind = event["kind"].as_str().unwrap_or_default();
        let told = ["stepStarted", "verdict", "rollingBack", "rolledBack", "promoted", "held"];
        if !told.contains(&kind) {
            continue;
        }
        let after = (event["at"].as_f64().unwrap_or(began) - began) / 1_000.0;
        show.say(&format!("{after:6.1} s  {}", event["text"].as_str().unwrap_or_default()));
        if kind == "verdict" {
            for figures in event["look"]["figures"].as_array().into_iter().flatten() {
                show.quote(&format!("             {}", figures["sentence"].as_str().unwrap_or_default()));
            }
        }
    }
}

/// Where a report is kept after the demo.
fn report(name: &str) -> Result<PathBuf> {
    let folder = repository().join("target/demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder.join(format!("rollout-{name}.html")))
}
