//! `headgate drill`: the way back, rehearsed on the live proxies, and forth again.
//!
//! It goes the way that a rollback goes (the urgent write, seen applied on every proxy) and puts back what was in force. It never runs while a
//! rollout of the route is judged, because it would disturb what is measured. The record is what `drill.requiredWithin` asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_rollout::State;
use headgate_rollout::measure::Snapshot;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::cli::rollouts::Drill;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::notify;
use crate::owner;
use crate::providers::envoy::{self, Wanted};
use crate::providers::histogram::Bounds;
use crate::proxy::{Client, each};
use crate::publisher;
use crate::rollout_file;
use crate::run::publish::publish_urgently;
use crate::run::{notifier, shares};
use crate::store::{Entry, Store};
use crate::subject::Named;
use crate::target::Target;
use crate::verify::{self, State as Applied, Verdict};
use crate::write::{QUESTION, in_force, set, verdicts};

/// One way: its revision, the proxies' answers, and the slowest in milliseconds; none when one has not applied it.
struct Way {
    revision: u64,
    verdicts: Vec<Verdict>,
    milliseconds: Option<f64>,
}

pub(super) fn run(args: &Drill) -> Result<Answer, Failure> {
    let rollout = Named::of(&args.rollout, &args.state.folder())?;
    let target = rollout.target()?;
    let store = Arc::new(rollout.make_store()?);
    refuse_while_judged(&store, &target, &rollout.route)?;
    let file = target.file()?;
    // Nobody begins meanwhile; a process that waits for this drill is there already, and touches nothing.
    let _owner = match owner::current(&file.path) {
        Some(_) => None,
        None => Some(owner::take(&file.path, vec![format!("drill of {}", rollout.name)])?),
    };
    let published = publisher::read(&file.path)?;
    let before = in_force(&target, published.as_ref())?;
    let route = merge::routes(&before).iter().find(|r| merge::name(r) == rollout.route).cloned();
    let route = route.ok_or_else(|| Failure::failed(merge::no_route(&rollout.route, &[])))?;
    let client = Client::new(QUESTION);

    let answered = answers(&client, &target, &rollout);
    let back = go(&client, &target, args.within, |config| {
        let mut next = shares::all_stable(config, &rollout.route, &rollout.stable)?;
        // Also where all users are on the old version: the way is rehearsed, not the move.
        set(&mut next, "stage", json!(shares::stage(&rollout.name, "drill")));
        Ok(next)
    });
    let seen = back.as_ref().ok().map(|_| old_answers(args, &client, &target, &rollout, &answered));
    let stage = before.get("stage").cloned();
    let forth = go(&client, &target, args.within, |config| put_back(config, &route, stage.as_ref()));
    let outcome = Outcome { back: back?, seen: seen.unwrap_or_else(|| Err(String::new())), forth };
    let passed = outcome.passed(args.within);
    let data = outcome.json(passed);
    let (text, actor) = (outcome.text(&rollout, args.within, passed), args.who.name());
    store.keep_drill((&target.name, &rollout.route), clock::now(), passed, &data)?;
    let run = store.rollout(&rollout.name)?.map_or(0, |row| row.run);
    let first = text.lines().next().unwrap_or_default().to_owned();
    let entry = Entry {
        at: clock::now(),
        rollout: &rollout.name,
        run,
        actor: &actor,
        action: "drill",
        reason: &first,
        data: &data,
    };
    store.log(&entry)?;
    tell(&rollout, run, &store, &first, &data);
    Ok(Answer { exit: if passed { Exit::Done } else { Exit::Failed }, json: data, text })
}

fn refuse_while_judged(store: &Store, target: &Target, route: &str) -> Result<(), Failure> {
    for row in store.rollouts()?.iter().filter(|r| r.ended.is_none() && r.target == target.name && r.route == route) {
        let state: Option<State> = serde_json::from_str(&row.state).ok();
        if let Err(reason) = state.map_or_else(|| Err("its state cannot be read".to_owned()), |s| s.may_drill()) {
            return Err(Failure::new(
                Exit::Refused,
                format!("no drill of route {route} now, because of run {} of `{}`: {reason}", row.run, row.name),
            ));
        }
    }
    Ok(())
}

fn go(
    client: &Client,
    target: &Target,
    within: Duration,
    next: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Way, Failure> {
    let resource = target.file()?.resource.clone();
    let before = each(&target.proxies, |proxy| client.read(proxy, &target.name, &resource));
    let seen = before.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0);
    let start = Instant::now();
    let published = publish_urgently(target, seen, next)?;
    let verdicts = verify::watch(client, target, &resource, &before, published.revision, start, within);
    let applied =
        !verdicts.is_empty() && verdicts.iter().all(|v| matches!(v.state, Applied::Applied | Applied::Superseded));
    let slowest = verdicts.iter().filter_map(|v| v.milliseconds).fold(0.0_f64, f64::max);
    Ok(Way { revision: published.revision, verdicts, milliseconds: applied.then_some(slowest) })
}

/// The route as it was before, but for a kill that came meanwhile.
fn put_back(config: &Value, route: &Value, stage: Option<&Value>) -> Result<Value, String> {
    let asked = json!({"routes": [route]});
    let mut next = merge::push(config, &asked, merge::Others::Keep);
    if let Some(fields) = next.as_object_mut() {
        match stage {
            Some(stage) => drop(fields.insert("stage".to_owned(), stage.clone())),
            None => drop(fields.remove("stage")),
        }
    }
    Ok(next)
}

/// What each proxy has counted of the old version's good answers.
fn answers(client: &Client, target: &Target, rollout: &Named) -> Vec<Option<u64>> {
    let wanted =
        Wanted { target: target.name.clone(), resource: String::new(), route: rollout.route.clone(), copies: None };
    let bounds = Bounds::default();
    let good = |snapshot: &Snapshot| -> u64 {
        let segments = snapshot.variants.get(&rollout.stable);
        segments.into_iter().flat_map(|s| s.values()).map(|c| c.classes.iter().take(4).sum::<u64>()).sum()
    };
    each(&target.proxies, |proxy| {
        let page = client.get(&wanted.url(proxy)?).ok()?;
        envoy::read(&page, &wanted, &bounds, 0).ok().map(|(_, snapshot)| good(&snapshot))
    })
}

/// Whether the old version answers: by a request of the user's, or by the proxies' counters.
fn old_answers(
    args: &Drill,
    client: &Client,
    target: &Target,
    rollout: &Named,
    before: &[Option<u64>],
) -> Result<String, String> {
    let end = Instant::now() + args.within;
    let config = ureq::Agent::config_builder().timeout_global(Some(QUESTION)).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    // After the way back was applied: what was counted before it does not count.
    let start: Vec<Option<u64>> = answers(client, target, rollout).iter().zip(before).map(|(a, b)| a.or(*b)).collect();
    loop {
        let seen = match &args.check {
            Some(url) => match agent.get(url).call() {
                Ok(answer) if answer.status().as_u16() < 500 => {
                    Ok(format!("{} answered {}", crate::web::place(url), answer.status().as_u16()))
                }
                Ok(answer) => Err(format!("{} answered {}", crate::web::place(url), answer.status().as_u16())),
                Err(e) => Err(format!("{}: {e}", crate::web::place(url))),
            },
            None => {
                let now = answers(client, target, rollout);
                let new: u64 = now
                    .iter()
                    .zip(&start)
                    .map(|(now, then)| now.unwrap_or(0).saturating_sub(then.unwrap_or(now.unwrap_or(0))))
                    .sum();
                if new > 0 {
                    Ok(format!("`{}` answered {new} requests meanwhile", rollout.stable))
                } else {
                    Err(format!("`{}` was not seen to answer: without traffic, give --check URL", rollout.stable))
                }
            }
        };
        if seen.is_ok() || Instant::now() >= end {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Outcome {
    back: Way,
    seen: Result<String, String>,
    forth: Result<Way, Failure>,
}

impl Outcome {
    fn passed(&self, within: Duration) -> bool {
        let limit = within.as_secs_f64() * 1e3;
        let quick = |way: &Way| way.milliseconds.is_some_and(|ms| ms <= limit);
        quick(&self.back) && self.seen.is_ok() && self.forth.as_ref().is_ok_and(quick)
    }

    fn json(&self, passed: bool) -> Value {
        let way =
            |way: &Way| json!({"revision": way.revision, "milliseconds": way.milliseconds, "proxies": way.verdicts});
        json!({
            "passed": passed,
            "back": way(&self.back),
            "oldVersion": match &self.seen { Ok(s) => json!({"answers": true, "seen": s}), Err(e) => json!({"answers": false, "seen": e}) },
            "forth": match &self.forth { Ok(w) => way(w), Err(f) => json!({"error": f.message}) },
        })
    }

    fn text(&self, rollout: &Named, within: Duration, passed: bool) -> String {
        let shown =
            |way: &Way| way.milliseconds.map_or_else(|| "not on every proxy".to_owned(), |ms| format!("{ms:.0} ms"));
        let forth = match &self.forth {
            Ok(way) => format!("forth again {}", shown(way)),
            Err(failure) => format!("what was in force could NOT be put back: {}", failure.message),
        };
        let word = if passed { "passed" } else { "FAILED" };
        let seen = match &self.seen {
            Ok(seen) | Err(seen) => seen,
        };
        let mut lines = vec![format!(
            "drill of {} {word}: back {}, {forth}; {seen}; allowed are {}",
            rollout.name,
            shown(&self.back),
            humantime::format_duration(within)
        )];
        lines.push(verdicts(&self.back.verdicts));
        if let Ok(way) = &self.forth {
            lines.push(verdicts(&way.verdicts));
        }
        lines.join("\n")
    }
}

/// Tells those whom the rollout names.
fn tell(rollout: &Named, run: i64, store: &Arc<Store>, text: &str, data: &Value) {
    let Ok(loaded) = rollout_file::read(&rollout.file) else { return };
    let Ok(mut notifier) = notifier(&loaded.plan, run, store) else { return };
    let event = notify::Event {
        kind: "drill".to_owned(),
        rollout: rollout.name.clone(),
        run,
        text: text.to_owned(),
        at: clock::now(),
        data: data.clone(),
    };
    notifier.tell(&event);
    notifier.finish(Duration::from_secs(10));
}
