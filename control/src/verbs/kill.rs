//! `headgate kill` and `headgate revive`.
//!
//! A kill waits for nothing: it goes to the proxies' runtime at once, then into the configuration, whatever could not be
//! read, locked or reached on the way; the answer says what was done and what was not. A revival is an ordinary write.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::answer::{Answer, table};
use crate::cli::published::Kill;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::proxy::{Client, each};
use crate::publisher;
use crate::render::ecds;
use crate::stats::Reading;
use crate::store::{Entry, Store};
use crate::subject::Subject;
use crate::target::{Proxy, Target};
use crate::verify::{self, Verdict};

use crate::write::{PATIENCE, QUESTION, Rules, exit, in_force, write};

/// How long a kill waits for slow proxies, and for another writer, before it writes the configuration.
const HEAD_START: Duration = Duration::from_millis(250);

pub(super) fn run(args: &Kill, on: bool) -> Result<Answer, Failure> {
    let (target, route, rollout) = match Subject::of(&args.subject, &args.state.folder())? {
        Subject::Target(path) => (Target::read(&path)?, args.route.clone(), None),
        Subject::Rollout(named) => {
            if args.route.as_ref().is_some_and(|r| *r != named.route) {
                let reason = format!("{} is for route `{}`: leave --route out", named.name, named.route);
                return Err(Failure::new(Exit::Usage, reason));
            }
            (named.target()?, Some(named.route.clone()), Some(named.name.clone()))
        }
    };
    let job = Job { route, timeout: args.watch.timeout };
    let mut answer = if on { kill(&job, &target) } else { revive(&job, &target) }?;
    // Only now: a kill waits for no store.
    if let Err(failure) = audit(args, on, &target, &job, rollout.as_deref(), &answer.json) {
        answer.text.push_str(&format!("\nnote: {}", failure.message));
    }
    Ok(answer)
}

/// What is killed or revived, and how long it is watched.
struct Job {
    route: Option<String>,
    timeout: Duration,
}

/// Writes it into the audit of each rollout that it is about.
fn audit(
    args: &Kill,
    on: bool,
    target: &Target,
    job: &Job,
    rollout: Option<&str>,
    data: &Value,
) -> Result<(), Failure> {
    let Some(store) = Store::existing(&args.state.folder())? else { return Ok(()) };
    for row in store.rollouts()? {
        let about = row.target == target.name && job.route.as_ref().is_none_or(|r| *r == row.route);
        if !about || rollout.is_some_and(|name| name != row.name) {
            continue;
        }
        let entry = Entry {
            at: clock::now(),
            rollout: &row.name,
            run: row.run,
            actor: &args.who.name(),
            action: if on { "kill" } else { "revive" },
            reason: &args.who.reason,
            data,
        };
        store.log(&entry)?;
    }
    Ok(())
}

/// What one proxy said to the runtime kill, and its statistics right after.
struct Said {
    at: usize,
    runtime: Option<Result<f64, String>>,
    reading: Result<Reading, String>,
}

/// What was seen of a kill after it was written.
struct Seen {
    verdicts: Vec<Verdict>,
    /// Proxy, cluster, open requests.
    streams: Vec<(String, String, u64)>,
    notes: Vec<String>,
    /// Milliseconds of the whole run.
    took: f64,
}

fn kill(args: &Job, target: &Target) -> Result<Answer, Failure> {
    let start = Instant::now();
    let resource = target.publisher.as_ref().map_or("headgate", |p| p.file.resource.as_str()).to_owned();
    let client = Client::new(QUESTION);
    let (sender, said) = mpsc::channel();
    for (at, proxy) in target.proxies.iter().cloned().enumerate() {
        let (client, sender, name, resource) = (client.clone(), sender.clone(), target.name.clone(), resource.clone());
        let by_runtime = args.route.is_none() && proxy.admin.is_some();
        std::thread::spawn(move || {
            let ask = || client.set_runtime_kill(&proxy, true).map(|()| start.elapsed().as_secs_f64() * 1e3);
            let runtime = by_runtime.then(ask);
            // Nobody listens any more when the run is over: nothing is lost.
            let _sent = sender.send(Said { at, runtime, reading: client.read(&proxy, &name, &resource) });
        });
    }
    drop(sender);
    let mut answers: Vec<Said> = Vec::new();
    while let Ok(answer) = said.recv_timeout(HEAD_START.saturating_sub(start.elapsed())) {
        answers.push(answer);
    }
    let slow = || Err("it had not answered when the configuration was written".to_owned());
    let mut readings: Vec<Result<Reading, String>> = target.proxies.iter().map(|_| slow()).collect();
    for answer in &answers {
        if let Some(slot) = readings.get_mut(answer.at) {
            *slot = answer.reading.clone();
        }
    }
    let mut notes = Vec::new();
    let seen = readings.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0);
    let record = record(args.route.as_deref(), target, seen, &mut notes);
    let since = Instant::now();
    let verdicts = match &record {
        Ok((_, after)) => {
            verify::watch(&client, target, &resource, &readings, merge::revision(after), since, args.timeout)
        }
        Err(_) => Vec::new(),
    };
    answers.extend(said.try_iter());
    let streams = match &record {
        Ok((_, after)) => open_streams(&client, target, &resource, after, args.route.as_deref()),
        Err(_) => Vec::new(),
    };
    let took = start.elapsed().as_secs_f64() * 1e3;
    Ok(answer(args, target, &record, &answers, &Seen { verdicts, streams, notes, took }))
}

/// Writes the kill into the configuration, as fast as it goes: (before, after).
fn record(route: Option<&str>, target: &Target, seen: u64, notes: &mut Vec<String>) -> Result<(Value, Value), Failure> {
    let file = target.file()?;
    let turn = publisher::turn(&file.path, HEAD_START);
    if let Err(failure) = &turn {
        notes.push(format!("{}; the kill did not wait for it", failure.message));
    }
    let mut turn = turn.ok();
    let mut last = None;
    // Without the turn somebody may write between reading and renaming; the comparison then asks for another try.
    for _ in 0..20 {
        let published = publisher::read(&file.path)?;
        let before = in_force(target, published.as_ref())?;
        let mut after = merge::kill(&before, route, true).map_err(|reason| Failure::new(Exit::Usage, reason))?;
        if seen > merge::revision(&before)
            && let Some(fields) = after.as_object_mut()
        {
            fields.insert("revision".to_owned(), json!(seen + 1));
        }
        let Some(old) = &published else {
            return Err(Failure::failed(format!("{} does not exist", file.path.display())));
        };
        let document = ecds::with_configuration(&old.document, &file.resource, &after).map_err(Failure::failed)?;
        match publisher::replace(&file.path, published.as_ref(), &document) {
            Ok(()) if turn.is_some() => return Ok((before, after)),
            Ok(()) => {
                // Out it went without the turn: whoever had it may have renamed over it at the same moment.
                turn = publisher::turn(&file.path, PATIENCE).ok();
                let now = publisher::read(&file.path)?;
                let now = in_force(target, now.as_ref())?;
                let stands = match route {
                    None => merge::killed(&now),
                    Some(route) => merge::killed_routes(&now).iter().any(|r| r == route),
                };
                if stands || turn.is_none() {
                    return Ok((before, now));
                }
                notes.push("another push had erased the kill at the same moment: it was written again".to_owned());
            }
            Err(failure) if failure.exit == Exit::Conflict => last = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::failed("the configuration could not be written")))
}

/// Requests still open on clusters of variants that are not stable, by proxy and cluster.
fn open_streams(
    client: &Client,
    target: &Target,
    resource: &str,
    config: &Value,
    route: Option<&str>,
) -> Vec<(String, String, u64)> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut clusters: Vec<String> = Vec::new();
    for each in config.get("routes").and_then(Value::as_array).into_iter().flatten() {
        if route.is_some_and(|r| r != text(each, "name")) {
            continue;
        }
        let variants = || each.get("variants").and_then(Value::as_array).into_iter().flatten();
        let stable = text(each, "stable");
        let kept: Vec<String> = variants().filter(|v| text(v, "name") == stable).map(|v| text(v, "cluster")).collect();
        clusters.extend(variants().map(|v| text(v, "cluster")).filter(|c| !c.is_empty() && !kept.contains(c)));
    }
    clusters.sort_unstable();
    clusters.dedup();
    let readings = each_reading(client, target, resource);
    let mut open = Vec::new();
    for (proxy, reading) in target.proxies.iter().zip(readings) {
        let Ok(reading) = reading else { continue };
        for cluster in &clusters {
            // Envoy writes `_` for `:` in names of statistics.
            let active = reading.active.get(cluster).or_else(|| reading.active.get(&cluster.replace(':', "_")));
            if let Some(active) = active {
                open.push((proxy.name.clone(), cluster.clone(), *active));
            }
        }
    }
    open
}

fn each_reading(client: &Client, target: &Target, resource: &str) -> Vec<Result<Reading, String>> {
    each(&target.proxies, |proxy: &Proxy| client.read(proxy, &target.name, resource))
}

fn answer(
    args: &Job,
    target: &Target,
    record: &Result<(Value, Value), Failure>,
    answers: &[Said],
    seen: &Seen,
) -> Answer {
    let Seen { verdicts, streams, notes, took } = seen;
    let mut rows = Vec::new();
    let mut proxies = Vec::new();
    let mut missed = Vec::new();
    for (at, proxy) in target.proxies.iter().enumerate() {
        let said = answers.iter().find(|a| a.at == at);
        let verdict = verdicts.iter().find(|v| v.proxy == proxy.name);
        let runtime = match said.map(|s| &s.runtime) {
            Some(Some(Ok(ms))) => format!("killed after {ms:.1} ms"),
            Some(Some(Err(e))) => format!("not killed: {e}"),
            Some(None) if args.route.is_some() => "not for one route".to_owned(),
            Some(None) => "no admin interface".to_owned(),
            None => "no answer".to_owned(),
        };
        let by_config = verdict.is_some_and(|v| v.milliseconds.is_some() && v.state != verify::State::Rejected);
        let by_runtime = matches!(said.map(|s| &s.runtime), Some(Some(Ok(_))));
        if !by_config && !by_runtime {
            missed.push(proxy.name.clone());
        }
        let config = verdict.map_or_else(
            || "not written".to_owned(),
            |v| {
                format!(
                    "{:?}{}: {}",
                    v.state,
                    v.milliseconds.map_or_else(String::new, |ms| format!(" after {ms:.1} ms")),
                    v.why
                )
            },
        );
        rows.push(vec![proxy.name.clone(), runtime.clone(), config]);
        proxies.push(
            json!({"proxy": proxy.name, "runtime": runtime, "killedByRuntime": by_runtime, "runtimeMilliseconds": said.and_then(|s| s.runtime.as_ref()?.as_ref().ok()), "configuration": verdict}),
        );
    }
    let what = args.route.as_ref().map_or_else(|| format!("target {}", target.name), |r| format!("route {r}"));
    let mut lines = vec![match record {
        Ok((before, after)) => {
            let (old, new) = (merge::revision(before), merge::revision(after));
            format!("kill of {what}: revision {old} -> {new}, {:.1} ms from start to end", seen.took)
        }
        Err(failure) => format!(
            "kill of {what}: NOT in the configuration, a proxy that starts anew is not killed: {}",
            failure.message
        ),
    }];
    lines.push(table(&["proxy", "runtime", "configuration"], &rows));
    let open: u64 = streams.iter().map(|s| s.2).sum();
    if record.is_ok() {
        lines.push(format!("requests still open on killed versions: {open}"));
        lines.extend(
            streams.iter().filter(|s| s.2 > 0).map(|(proxy, cluster, n)| format!("  {proxy}: {n} on {cluster}")),
        );
    }
    if !missed.is_empty() {
        lines.push(format!("NOT KILLED, as far as can be seen: {}", missed.join(", ")));
    }
    lines.extend(notes.iter().map(|n| format!("note: {n}")));
    let exit = match record {
        Err(failure) => failure.exit,
        Ok(_) => exit(verdicts),
    };
    let streams: Vec<Value> = streams.iter().map(|(p, c, n)| json!({"proxy": p, "cluster": c, "open": n})).collect();
    let json = json!({
        "written": record.is_ok(), "milliseconds": took,
        "error": record.as_ref().err().map(|f| f.message.clone()),
        "revision": record.as_ref().ok().map(|(_, after)| merge::revision(after)),
        "proxies": proxies, "notKilled": missed, "openStreams": streams, "notes": notes,
    });
    Answer { exit, json, text: lines.join("\n") }
}

fn revive(args: &Job, target: &Target) -> Result<Answer, Failure> {
    let client = Client::new(QUESTION);
    let mut lines = Vec::new();
    let mut cleared = Vec::new();
    let mut failed = Vec::new();
    if args.route.is_none() {
        // While the configuration still kills: one word ends both.
        let answers =
            each(&target.proxies, |proxy| proxy.admin.as_ref().map(|_| client.set_runtime_kill(proxy, false)));
        for (proxy, answer) in target.proxies.iter().zip(answers) {
            match answer {
                Some(Ok(())) => cleared.push(proxy.name.clone()),
                Some(Err(e)) => failed.push(format!("{}: {e}", proxy.name)),
                None => {}
            }
        }
    }
    let rules = Rules { if_revision: None, replace_vm: false, dry_run: false, adopt: false, timeout: args.timeout };
    let written = write(target, rules, |in_force| {
        merge::kill(in_force, args.route.as_deref(), false).map_err(|reason| Failure::new(Exit::Usage, reason))
    })?;
    if !cleared.is_empty() {
        lines.push(format!("no runtime kill any more on {}", cleared.join(", ")));
    }
    lines.extend(failed.iter().map(|f| format!("a runtime kill may still be in force on {f}")));
    lines.push(written.text());
    let mut json = written.json();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("runtimeCleared".to_owned(), json!(cleared));
        fields.insert("runtimeFailed".to_owned(), json!(failed));
    }
    let exit = if failed.is_empty() { written.exit() } else { Exit::Pending };
    Ok(Answer { exit, json, text: lines.join("\n") })
}
