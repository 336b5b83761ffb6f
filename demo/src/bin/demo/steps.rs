//! The demo itself, step by step. Each step does something real, looks at what came of it, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, ensure};
use headgate_demo::{Fault, Model, rows, teachers, users};
use headgate_tests::wait_until;

use crate::control::{Headgate, What};
use crate::expect::{Expected, expected};
use crate::load::{Manner, People, Person, Record, Stream, pass};
use crate::plan::{CANARY, ROUTE, STABLE, TARGET, Variant, broken, configuration};
use crate::show::Show;
use crate::world::{SECRET, World};

/// The canary's weight after the change.
const MORE: u32 = 60;
/// Requests before and after a change that is made while users ask.
const AROUND: u64 = 1_000;
/// How many users forge a header, and how many try an override.
const SOME: usize = 50;

/// Everything, from the start of the parts to their end.
pub(crate) async fn run(show: &mut Show, docker: bool, seed: usize) -> Result<()> {
    show.step("Versions of a model that reads handwritten digits, behind a real Envoy");
    let fault = Fault::ALL.get(seed % Fault::ALL.len()).copied().unwrap_or(Fault::Failing);
    let world = if docker { World::containers().await? } else { World::own(fault).await? };
    let mut demo = Demo::new(world)?;
    for line in demo.world.describe() {
        show.say(&line);
    }
    show.say(&format!("{} users, each with a picture that no model has seen", demo.people.len()));
    demo.shares(show).await?;
    demo.overrides(show).await?;
    demo.forged(show).await?;
    demo.change(show).await?;
    demo.bad_push(show).await?;
    demo.restart(show).await?;
    show.step("The kill of the route, while users ask: by the configuration alone");
    demo.kill(show, What::Route).await?;
    demo.revive(show, What::Route).await?;
    show.step("The kill of everything, while users ask");
    demo.kill(show, What::Target).await?;
    demo.revive(show, What::Target).await?;
    demo.shadows(show).await?;
    demo.rollouts(show).await?;
    show.step("Over all of it");
    show.check("requests that failed", 0, demo.failed);
    show.say(&format!("{} requests were sent", demo.sent));
    demo.world.end().await
}

pub(crate) struct Demo {
    pub(crate) world: World,
    pub(crate) headgate: Headgate,
    pub(crate) people: People,
    models: BTreeMap<&'static str, Model>,
    /// The versions with the weights that are asked for now.
    variants: Vec<Variant>,
    /// What each user must get with them.
    expected: Vec<Expected>,
    sent: usize,
    failed: usize,
}

impl Demo {
    fn new(world: World) -> Result<Self> {
        let rows = rows()?;
        let people = Arc::new(users(&rows).map(Person::of).collect::<Result<Vec<_>>>()?);
        let variants = world.variants.clone();
        let models = variants.iter().map(|v| (v.name, Model::learn(v.version, teachers(&rows)))).collect();
        let expected = expected(&configuration(&variants), &people)?;
        let headgate = Headgate::new(world.target())?;
        Ok(Self { world, headgate, people, models, variants, expected, sent: 0, failed: 0 })
    }

    /// The first push; shares, accuracy and copies of one request by everybody.
    async fn shares(&mut self, show: &mut Show) -> Result<()> {
        show.step("The first push: shares asked for and seen, accuracy by version, copies");
        let plugin = self.world.write("plugin.json", &format!("{:#}\n", configuration(&self.variants)))?;
        let ran = self.headgate.push(show, &plugin).await?;
        show.check("exit code of the push", 0, ran.code);
        let before = self.world.metrics().await?;
        let records = self.everybody().await?;
        let whole: u32 = self.variants.iter().map(|v| v.weight).sum();
        for variant in self.variants.clone() {
            let wanted = self.expected.iter().filter(|e| e.variant == variant.name).count();
            let seen = self.served_by(&records, variant);
            let asked = 100.0 * f64::from(variant.weight) / f64::from(whole);
            let share = percent(seen.len(), records.len());
            let what = format!("users on {:<10} (asked {asked:.1} % of users, seen {share:.1} %)", variant.name);
            show.check(&what, wanted, seen.len());
        }
        show.check("users on another version than the split gives them", 0, self.strays(&records));
        let after = self.world.metrics().await?;
        for variant in &self.variants {
            let labels = [("route", ROUTE), ("variant", variant.name)];
            let grown = after.sum("headgate_requests", &labels) - before.sum("headgate_requests", &labels);
            let seen = self.served_by(&records, *variant).len() as u64;
            show.check(&format!("requests of {} that Envoy's headgate_requests counted", variant.name), seen, grown);
        }
        self.accuracy(show, &records)?;
        self.copies(show).await
    }

    /// Right answers by version, against ground truth, and beside what the model says without any network.
    fn accuracy(&self, show: &mut Show, records: &[Record]) -> Result<()> {
        for variant in &self.variants {
            let served = self.served_by(records, *variant);
            let model = self.models.get(variant.name).ok_or_else(|| anyhow!("no model for {}", variant.name))?;
            let (mut right, mut alone) = (0, 0);
            for record in &served {
                let Some(person) = self.people.get(record.person) else { continue };
                right += usize::from(record.answer.as_ref().is_ok_and(|a| a.prediction == person.digit));
                alone += usize::from(model.predict(&person.pixels)?.digit == person.digit);
            }
            let percent = percent(right, served.len());
            let name = variant.version.as_str();
            let what = format!("right answers of {name} to its {} users, {percent:.1} %", served.len());
            show.check(&what, alone, right);
        }
        Ok(())
    }

    /// Copies: exactly the users of stable who are in the mirror's share.
    async fn copies(&self, show: &mut Show) -> Result<()> {
        let chosen = self.people.iter().zip(&self.expected).filter(|(_, e)| e.copied && e.variant == STABLE);
        let wanted: BTreeSet<String> = chosen.map(|(person, _)| person.name.clone()).collect();
        // Nobody waits for a copy's answer, so the last ones may still be on their way.
        wait_until("the copies arrive", || async {
            Ok(self.world.counts(CANARY).await?.copies >= wanted.len() as u64)
        })
        .await?;
        let counts = self.world.counts(CANARY).await?;
        show.check("copies of stable's requests that reached v2", wanted.len() as u64, counts.copies);
        let others = counts.copied_users.symmetric_difference(&wanted).count();
        show.check("users copied though not chosen, or chosen and not copied", 0, others);
        Ok(())
    }

    /// A token, a false token, and a parameter that is open to anyone.
    async fn overrides(&mut self, show: &mut Show) -> Result<()> {
        show.step("Overrides: a signed token, a false one, and a parameter that is open to anyone");
        let on_stable = self.some(|e| e.variant == STABLE);
        let on_canary = self.some(|e| e.variant == CANARY);
        let token = self.headgate.token(SECRET).await?;
        let with = |token: &str| Manner { query: "", headers: vec![("x-headgate-token", token.to_owned())] };
        let records = self.ask(&on_stable, &with(&token)).await?;
        let canary = self.variant(CANARY)?;
        show.check(
            "users of stable with a token, on the canary",
            on_stable.len(),
            self.served_by(&records, canary).len(),
        );
        let false_token = self.headgate.token("a key that Envoy does not have, 32 bytes").await?;
        let before = self.world.metrics().await?.sum("headgate_bad_tokens", &[("reason", "signature")]);
        let records = self.ask(&on_stable, &with(&false_token)).await?;
        let after = self.world.metrics().await?.sum("headgate_bad_tokens", &[("reason", "signature")]);
        let stable = self.variant(STABLE)?;
        show.check(
            "users of stable with a false token, on stable",
            on_stable.len(),
            self.served_by(&records, stable).len(),
        );
        show.check("tokens refused for their signature", on_stable.len() as u64, after - before);
        let manner = Manner { query: "?version=stable", headers: Vec::new() };
        let records = self.ask(&on_canary, &manner).await?;
        show.check(
            "users of canary with ?version=stable, on stable",
            on_canary.len(),
            self.served_by(&records, stable).len(),
        );
        let leaked = self.world.counts(CANARY).await?.headers.keys().filter(|line| line.contains("-token")).count();
        show.check("tokens that reached the model server", 0, leaked);
        Ok(())
    }

    /// The filter's own header, sent by clients.
    async fn forged(&mut self, show: &mut Show) -> Result<()> {
        show.step("A forged header: users of stable who claim to be on the canary");
        let on_stable = self.some(|e| e.variant == STABLE);
        let header = [("header", "x-headgate-variant")];
        let before = self.world.metrics().await?.sum("headgate_forged_headers", &header);
        let manner = Manner { query: "", headers: vec![("x-headgate-variant", CANARY.to_owned())] };
        let records = self.ask(&on_stable, &manner).await?;
        let after = self.world.metrics().await?.sum("headgate_forged_headers", &header);
        let stable = self.variant(STABLE)?;
        show.check("of them, served by stable", on_stable.len(), self.served_by(&records, stable).len());
        show.check("forged headers that were counted", on_stable.len() as u64, after - before);
        let counts = self.world.counts(STABLE).await?;
        let told = |variant: &str| counts.headers.get(&format!("x-headgate-variant: {variant}")).copied().unwrap_or(0);
        show.check("forged headers that reached stable's server", 0, told(CANARY));
        show.check("requests whose header names stable, of all that reached it", counts.requests, told(STABLE));
        Ok(())
    }

    /// A weight changes while users ask.
    async fn change(&mut self, show: &mut Show) -> Result<()> {
        show.step(&format!("A weight changes while users ask: canary to {MORE}"));
        let old = self.expected.clone();
        let stream = self.begin(show).await;
        let began = SystemTime::now();
        let ran = self.headgate.set(show, MORE).await?;
        let ended = SystemTime::now();
        show.check("exit code of the change", 0, ran.code);
        let records = self.finish(show, stream).await?;
        for variant in self.variants.iter_mut().filter(|v| v.name == CANARY) {
            variant.weight = MORE;
        }
        self.expected = expected(&configuration(&self.variants), &self.people)?;
        let by = |records: &[&Record], rule: &[Expected]| records.iter().filter(|r| self.strays_from(r, rule)).count();
        let (early, rest): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|r| r.answered < began);
        let (late, during): (Vec<&Record>, Vec<&Record>) = rest.into_iter().partition(|r| r.sent > ended);
        show.check(&format!("of {} requests before it, not by the old weights", early.len()), 0, by(&early, &old));
        show.check(
            &format!("of {} requests after it, not by the new weights", late.len()),
            0,
            by(&late, &self.expected),
        );
        let neither =
            during.iter().filter(|r| self.strays_from(r, &old) && self.strays_from(r, &self.expected)).count();
        show.check(&format!("of {} requests meanwhile, by neither", during.len()), 0, neither);

        let new = self.expected.clone();
        let moved: Vec<(&Expected, &Expected)> = old.iter().zip(&new).filter(|(a, b)| a.variant != b.variant).collect();
        let now = self.everybody().await?;
        show.check("users on another version than the new split gives them", 0, self.strays(&now));
        let seen = now.iter().filter(|r| self.strays_from(r, &old)).count();
        show.check(&format!("users who moved, of {}", self.people.len()), moved.len(), seen);
        let others = moved.iter().filter(|(_, b)| b.variant != CANARY).count();
        show.check("of them, to any other version than the canary", 0, others);
        show.holds("somebody was to move", !moved.is_empty(), &format!("{} users", moved.len()));
        Ok(())
    }

    /// A configuration with mistakes.
    async fn bad_push(&mut self, show: &mut Show) -> Result<()> {
        show.step("A push with three mistakes changes nothing");
        let plugin = self.world.write("broken.json", &format!("{:#}\n", broken(&self.variants)))?;
        let before = std::fs::read(&self.world.published)?;
        let revision = self.revision().await?;
        let stream = self.begin(show).await;
        let ran = self.headgate.push(show, &plugin).await?;
        let records = self.finish(show, stream).await?;
        show.check("exit code of the push (3: refused)", 3, ran.code);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        for place in ["routes[0].stable", "routes[0].variants[1].weight", "routes[0].key.sources[0]"] {
            show.check(&format!("the error names {place}"), true, told.contains(place));
        }
        show.check("the published file is as it was", true, std::fs::read(&self.world.published)? == before);
        show.check("the revision in force", revision, self.revision().await?);
        let strays = self.strays(&records);
        show.check(&format!("of {} requests meanwhile, not by the weights in force", records.len()), 0, strays);
        Ok(())
    }

    /// Envoy is ended and started again.
    async fn restart(&mut self, show: &mut Show) -> Result<()> {
        show.step("Envoy restarts: everybody stays where they are");
        let metrics = self.world.metrics().await?;
        show.check("requests delivered elsewhere than decided, until now", 0, metrics.sum("headgate_misrouted", &[]));
        for (reason, count) in metrics.by("headgate_misrouted", "reason", &[]) {
            show.say(&format!("delivered elsewhere, {reason}: {count}"));
        }
        show.check("errors of the filter, until now", 0, metrics.sum("headgate_errors", &[]));
        let revision = self.revision().await?;
        self.world.restart().await?;
        show.check("the revision in force after the restart", revision, self.revision().await?);
        let records = self.everybody().await?;
        show.check(&format!("of {} users, on another version than before", records.len()), 0, self.strays(&records));
        Ok(())
    }

    /// The kill, while users ask.
    async fn kill(&mut self, show: &mut Show, what: What) -> Result<()> {
        let stream = self.begin(show).await;
        let began = SystemTime::now();
        let ran = self.headgate.kill(show, what).await?;
        let ended = SystemTime::now();
        let written = changed(&self.world.published)?;
        show.check("exit code of the kill", 0, ran.code);
        let records = self.finish(show, stream).await?;
        let stable = self.variant(STABLE)?.version;
        let elsewhere = |r: &&Record| r.answer.as_ref().is_ok_and(|a| a.model != stable);
        let before = records.iter().filter(elsewhere).filter(|r| r.sent < began).count();
        show.holds("other versions than stable served before it", before > 0, &format!("{before} requests"));
        ensure!(written > began, "the kill did not write {}", self.world.published.display());
        let last = records.iter().filter(elsewhere).map(|r| r.sent).max().unwrap_or(began);
        show.measured("from the command to the last canary request begun", milliseconds(began, last), "ms");
        show.measured("from the command to the write of the configuration", milliseconds(began, written), "ms");
        match last.duration_since(written) {
            Ok(_) => {
                show.measured("from the write to the last canary request begun", milliseconds(written, last), "ms")
            }
            Err(_) => {
                show.say("no canary request was begun after the write: Envoy's runtime had stopped them before it")
            }
        }
        let after = records.iter().filter(elsewhere).filter(|r| r.sent > ended).count();
        let late = records.iter().filter(|r| r.sent > ended).count();
        show.check(&format!("of {late} requests after it was confirmed, not served by stable"), 0, after);
        let copies = self.world.metrics().await?.sum("headgate_mirrored", &[]);
        show.holds("copies were sent before it", copies > 0, &format!("{copies} since Envoy's start"));
        let records = self.everybody().await?;
        show.check("users on stable", self.people.len(), self.served_by(&records, self.variant(STABLE)?).len());
        show.check("copies sent after it", 0, self.world.metrics().await?.sum("headgate_mirrored", &[]) - copies);
        Ok(())
    }

    /// The kill is taken back: everybody is where they were.
    async fn revive(&mut self, show: &mut Show, what: What) -> Result<()> {
        let ran = self.headgate.revive(show, what).await?;
        show.check("exit code of the revival", 0, ran.code);
        let records = self.everybody().await?;
        show.check(
            &format!("of {} users, on another version than before the kill", records.len()),
            0,
            self.strays(&records),
        );
        Ok(())
    }

    async fn begin(&self, show: &Show) -> Stream {
        let stream = Stream::start(self.world.ingress, &self.people);
        stream.more(AROUND, |asked| show.progress(&format!("{asked} requests answered"))).await;
        stream
    }

    async fn finish(&mut self, show: &Show, stream: Stream) -> Result<Vec<Record>> {
        stream.more(AROUND, |asked| show.progress(&format!("{asked} requests answered"))).await;
        let records = stream.finish().await?;
        self.note(&records);
        Ok(records)
    }

    pub(crate) async fn everybody(&mut self) -> Result<Vec<Record>> {
        let records = pass(self.world.ingress, &self.people, &Manner::default()).await?;
        self.note(&records);
        Ok(records)
    }

    async fn ask(&mut self, people: &People, manner: &Manner) -> Result<Vec<Record>> {
        let records = pass(self.world.ingress, people, manner).await?;
        self.note(&records);
        Ok(records)
    }

    pub(crate) fn note(&mut self, records: &[Record]) {
        self.sent += records.len();
        self.failed += records.iter().filter(|r| r.answer.is_err()).count();
    }

    /// The first of those whose expectation is so.
    fn some(&self, so: impl Fn(&Expected) -> bool) -> People {
        let chosen = self.people.iter().zip(&self.expected).filter(|(_, e)| so(e));
        Arc::new(chosen.map(|(person, _)| person.clone()).take(SOME).collect())
    }

    fn variant(&self, name: &str) -> Result<Variant> {
        let found = self.variants.iter().find(|v| v.name == name);
        found.copied().ok_or_else(|| anyhow!("there is no variant {name}"))
    }

    fn served_by<'r>(&self, records: &'r [Record], variant: Variant) -> Vec<&'r Record> {
        records.iter().filter(|r| r.answer.as_ref().is_ok_and(|a| a.model == variant.version)).collect()
    }

    /// How many of everybody's requests did not go where the split gives them.
    fn strays(&self, records: &[Record]) -> usize {
        records.iter().filter(|r| self.strays_from(r, &self.expected)).count()
    }

    fn strays_from(&self, record: &Record, rule: &[Expected]) -> bool {
        let wanted = rule.get(record.person).and_then(|e| self.variants.iter().find(|v| v.name == e.variant));
        record.answer.as_ref().ok().map(|a| a.model) != wanted.map(|v| v.version)
    }

    async fn revision(&self) -> Result<u64> {
        Ok(self.world.metrics().await?.sum("headgate_revision", &[("target", TARGET)]))
    }
}

/// When a file was put in its place, by the kernel's clock (a few milliseconds coarse).
fn changed(path: &std::path::Path) -> Result<SystemTime> {
    let metadata = std::fs::metadata(path)?;
    let (seconds, nanoseconds) = (u64::try_from(metadata.ctime())?, u32::try_from(metadata.ctime_nsec())?);
    Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}

fn milliseconds(from: SystemTime, to: SystemTime) -> f64 {
    to.duration_since(from).unwrap_or_default().as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "numbers of users, far below 2^52")]
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}
