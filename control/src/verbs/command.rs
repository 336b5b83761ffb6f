//! What people ask of a running rollout from another terminal: `pause`, `resume`, `promote`, `abort`, `retry`, `rollback`.
//!
//! A wish is written into the store, and waits there until the rollout's process has taken it. A rollback does not depend on that process: when none
//! runs, or it does not answer, the way back is written to the target at once; the wish stays, so that a process that is started later does not
//! go forward again.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::cli::rollouts::{Command as Args, Promote, Who};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::proxy::{Client, each};
use crate::run::publish::{by_runtime, publish_urgently};
use crate::run::shares;
use crate::store::{Command, Entry, Store};
use crate::subject::Named;
use crate::target::Target;
use crate::verify;
use crate::write::{QUESTION, exit, verdicts};

/// How long a process may take to take a wish.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a rollback waits for the process before it is done without.
const HEAD_START: Duration = Duration::from_secs(2);
/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn promote(args: &Promote) -> Result<Answer, Failure> {
    let mut kind = "promote".to_owned();
    for (on, flag) in [(args.full, " --full"), (args.force, " --force")] {
        if on {
            kind.push_str(flag);
        }
    }
    run(&args.command, &kind)
}

pub(super) fn run(args: &Args, kind: &str) -> Result<Answer, Failure> {
    let rollout = Named::of(&args.rollout, &args.state.folder())?;
    let target = rollout.target()?;
    let runner = rollout.runner(&target);
    if kind == "rollback" || (kind == "abort" && runner.is_none()) {
        return rollback(args, &rollout, &target, kind, runner.is_some());
    }
    let store = rollout.store()?;
    let row = rollout.row(&store)?;
    let Some(runner) = runner else {
        let way_out = if row.ended.is_some() { "begins it anew" } else { "goes on with it" };
        return Err(Failure::new(
            Exit::Conflict,
            format!(
                "no process runs `{}` ({}), so nobody can take this: `headgate run {}` {way_out}",
                rollout.name, row.phase, row.file
            ),
        ));
    };
    let id = wish(&store, &rollout.name, row.run, kind, &args.who)?;
    match answer(&store, id, PATIENCE)? {
        Some(said) => Ok(taken(&rollout, id, &said)),
        None if store.withdraw(id)? => Err(Failure::new(
            Exit::Pending,
            format!("process {} did not take this within {PATIENCE:?}; it was withdrawn", runner.pid),
        )),
        None => match answer(&store, id, PATIENCE)? {
            Some(said) => Ok(taken(&rollout, id, &said)),
            None => Err(Failure::new(Exit::Pending, "it was taken; what came of it is in `headgate history`")),
        },
    }
}

fn wish(store: &Store, rollout: &str, run: i64, kind: &str, who: &Who) -> Result<i64, Failure> {
    let wish = Command {
        id: 0,
        at: clock::now(),
        rollout: rollout.to_owned(),
        kind: kind.to_owned(),
        actor: who.name(),
        reason: who.reason.clone(),
    };
    store.wish(run, &wish)
}

fn answer(store: &Store, id: i64, patience: Duration) -> Result<Option<String>, Failure> {
    let end = Instant::now() + patience;
    loop {
        if let Some(taken) = store.answer(id)? {
            return Ok(Some(taken.answer));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn taken(rollout: &Named, id: i64, said: &str) -> Answer {
    let (refused, text) = match said.strip_prefix("refused: ") {
        Some(text) => (true, text),
        None => (false, said.strip_prefix("taken: ").unwrap_or(said)),
    };
    let exit = if refused { Exit::Refused } else { Exit::Done };
    let json = json!({"rollout": rollout.name, "command": id, "taken": !refused, "answer": text});
    let word = if refused { "refused" } else { "done" };
    Answer { exit, json, text: format!("{}: {word}: {text}", rollout.name) }
}

/// All users back to the stable version, now: written to the target at once, and left as a wish for the process that runs the rollout, or
/// that will run it.
fn rollback(args: &Args, rollout: &Named, target: &Target, kind: &str, runs: bool) -> Result<Answer, Failure> {
    let client = Client::new(QUESTION);
    let resource = target.file()?.resource.clone();
    let start = Instant::now();
    let next = |config: &Value| shares::all_stable(config, &rollout.route, &rollout.stable);
    let (written, readings, told) = std::thread::scope(|scope| {
        let told = scope.spawn(|| tell(args, rollout, kind, runs));
        let readings = scope.spawn(|| each(&target.proxies, |proxy| client.read(proxy, &target.name, &resource)));
        let written = publish_urgently(target, 0, next);
        (written, readings.join().unwrap_or_default(), told.join())
    });
    let mut notes = Vec::new();
    let seen = readings.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0);
    let written = match written {
        // A proxy has a later revision than the file had: the sequence goes on from there.
        Ok(published) if seen > published.revision => publish_urgently(target, seen, next),
        other => other,
    };
    let mut json = Map::new();
    let mut fact = |name: &str, value: Value| drop(json.insert(name.to_owned(), value));
    fact("rollout", json!(rollout.name));
    fact("written", json!(written.is_ok()));
    let (exit, mut text) = match &written {
        Ok(published) => {
            notes.extend(published.notes.iter().cloned());
            // They were read beside the write and may have seen it: the revision alone tells.
            let before: Vec<_> = readings.iter().map(|_| Err(String::new())).collect();
            let timeout = args.watch.timeout;
            let seen = verify::watch(&client, target, &resource, &before, published.revision, start, timeout);
            fact("revision", json!(published.revision));
            fact("proxies", json!(seen));
            let (name, route, stable) = (&rollout.name, &rollout.route, &rollout.stable);
            let head = format!("{name}: all users of route {route} on `{stable}`, revision {}", published.revision);
            (exit(&seen), format!("{head}\n{}", verdicts(&seen)))
        }
        Err(failure) => {
            fact("error", json!(failure.message));
            let missed = by_runtime(target, &client);
            let everywhere = missed.is_empty() && !target.proxies.is_empty();
            fact("byRuntime", json!(everywhere));
            let how = if everywhere {
                "everything on this target was sent to the stable version by the proxies' runtime instead, until `headgate revive`".to_owned()
            } else {
                format!("and by the proxies' runtime it was NOT done on {}", missed.join("; "))
            };
            let text = format!("{}: the configuration could not be written ({}); {how}", rollout.name, failure.message);
            (if everywhere { Exit::Done } else { failure.exit }, text)
        }
    };
    match told {
        Ok(Ok(Some(said))) => {
            fact("answer", json!(said));
            text.push_str(&format!("\nits process: {said}"));
        }
        Ok(Ok(None)) => {}
        Ok(Err(failure)) => notes.push(failure.message),
        Err(_) => notes.push("the audit was not written".to_owned()),
    }
    fact("notes", json!(notes));
    for note in &notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    Ok(Answer { exit, json: Value::Object(json), text })
}

/// Writes a rollback into the audit, and leaves it for the process; gives what that says within its head start.
fn tell(args: &Args, rollout: &Named, kind: &str, runs: bool) -> Result<Option<String>, Failure> {
    let store = rollout.store()?;
    let row = rollout.row(&store)?;
    if row.ended.is_none() {
        let id = wish(&store, &rollout.name, row.run, kind, &args.who)?;
        if !runs {
            return Ok(None);
        }
        return match answer(&store, id, HEAD_START)? {
            Some(said) => Ok(Some(said)),
            None => Ok(Some(format!("it has not answered within {HEAD_START:?}; the wish waits for it"))),
        };
    }
    let entry = Entry {
        at: clock::now(),
        rollout: &rollout.name,
        run: row.run,
        actor: &args.who.name(),
        action: kind,
        reason: &args.who.reason,
        data: &Value::Null,
    };
    store.log(&entry).map(|()| None)
}
