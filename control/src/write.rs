//! One write to a target, seen through: what was in force, what comes next, the checks, the file, the proxies.
//!
//! `push`, `set` and `revive` are this with different ideas of what comes next. `kill` is not: it waits for none of the
//! checks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::answer::table;
use crate::document::Document;
use crate::exit::{Exit, Failure};
use crate::plugin::{self, Plugin};
use crate::proxy::{Client, each};
use crate::publisher::{self, Published};
use crate::render::ecds;
use crate::stats::Reading;
use crate::target::Target;
use crate::verify::{self, State, Verdict};
use crate::{advice, merge, structure};

/// How long one question to a proxy may take.
pub(crate) const QUESTION: Duration = Duration::from_secs(2);
/// How long a write waits for another one to finish. A turn lasts milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What a write may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Only if this is the published revision.
    pub(crate) if_revision: Option<u64>,
    /// The VM may change.
    pub(crate) replace_vm: bool,
    /// Nothing is written.
    pub(crate) dry_run: bool,
    /// Kills found in the proxies' runtime are written down.
    pub(crate) adopt: bool,
    /// How long to watch.
    pub(crate) timeout: Duration,
}

/// What a write came to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) before: Value,
    pub(crate) after: Value,
    pub(crate) changes: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) written: bool,
}

/// Writes what `next` makes of the configuration in force.
pub(crate) fn write(
    target: &Target,
    rules: Rules,
    mut next: impl FnMut(&Value) -> Result<Value, Failure>,
) -> Result<Written, Failure> {
    let file = target.file()?;
    let client = Client::new(QUESTION);
    let readings = each(&target.proxies, |proxy| client.read(proxy, &target.name, &file.resource));
    let runtime = each(&target.proxies, |proxy| client.runtime_killed(proxy));
    let mut notes = Vec::new();

    let turn = publisher::turn(&file.path, PATIENCE)?;
    let published = publisher::read(&file.path)?;
    let before = in_force(target, published.as_ref())?;
    let revision = merge::revision(&before);
    if let Some(wanted) = rules.if_revision
        && wanted != revision
    {
        return Err(Failure::new(
            Exit::Conflict,
            format!(
                "revision {revision} is published, not {wanted}: look at it with `headgate status`, then decide anew"
            ),
        ));
    }
    let mut after = next(&before)?;
    let killed: Vec<&str> = target
        .proxies
        .iter()
        .zip(&runtime)
        .filter(|(_, r)| matches!(r, Ok(Some(true))))
        .map(|(p, _)| p.name.as_str())
        .collect();
    if rules.adopt && !killed.is_empty() && !merge::killed(&after) {
        notes.push(format!(
            "a runtime kill is in force on {}: it is adopted, `headgate revive` clears it",
            killed.join(", ")
        ));
        set(&mut after, "killSwitch", json!(true));
    }
    // One sequence, also when the file was lost or restored: never below what a proxy has in force.
    let seen = readings.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0);
    if seen > revision {
        notes.push(format!(
            "a proxy has revision {seen} in force, the file has {revision}: the sequence goes on from {seen}"
        ));
    }
    let number = revision.max(seen) + 1;
    set(&mut after, "revision", json!(number));

    let name = format!("the configuration merged for {}", file.path.display());
    let document = Document::parse(&name, &after.to_string())?;
    let checked = Plugin::of(document, Some(&target.name))?;
    after = checked.document.value.clone();
    fit(target, &readings, &checked)?;
    let document = published_next(target, published.as_ref(), &after, rules.replace_vm)?;
    notes.extend(advice::unreachable(&checked.config));
    notes.extend(advice::nonce(&checked.config));
    notes.extend(advice::environment(&checked.config, &document));
    let mut outcome = Written {
        changes: merge::changes(&before, &after),
        before,
        after,
        notes,
        verdicts: Vec::new(),
        written: false,
    };
    if rules.dry_run {
        return Ok(outcome);
    }
    publisher::replace(&file.path, published.as_ref(), &document)?;
    let since = Instant::now();
    drop(turn);
    outcome.written = true;
    outcome.verdicts = verify::watch(&client, target, &file.resource, &readings, number, since, rules.timeout);
    if outcome.verdicts.iter().any(|v| v.state == State::Rejected)
        && let Some(old) = &published
    {
        outcome.notes.push(put_back(target, &client, old, number, rules.timeout));
    }
    Ok(outcome)
}

/// The configuration that a published document carries; an empty one when there is none yet.
pub(crate) fn in_force(target: &Target, published: Option<&Published>) -> Result<Value, Failure> {
    let file = target.file()?;
    let Some(published) = published else { return Ok(json!({})) };
    ecds::configuration(&published.document, &file.resource)
        .map_err(|reason| Failure::failed(format!("{} cannot be built upon: {reason}", file.path.display())))
}

pub(crate) fn set(config: &mut Value, field: &str, value: Value) {
    if let Some(fields) = config.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Refuses what a proxy says it lacks.
pub(crate) fn fit(target: &Target, readings: &[Result<Reading, String>], checked: &Plugin) -> Result<(), Failure> {
    let needed = plugin::features(&checked.config);
    let mut lacks = Vec::new();
    for (proxy, reading) in target.proxies.iter().zip(readings) {
        // A proxy that has not taken any configuration yet has said nothing, and one that is down neither.
        let Some((reading, version)) = reading.as_ref().ok().and_then(|r| Some((r, r.version.as_ref()?))) else {
            continue;
        };
        let missing: Vec<&String> = needed.iter().filter(|f| !reading.features.contains(*f)).collect();
        if !missing.is_empty() {
            lacks.push(format!("{} (filter {version}) lacks {}", proxy.name, structure::list(&missing)));
        }
    }
    if lacks.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Unfit,
        format!("nothing was written: {}; update the filter there, or do without", lacks.join("; ")),
    ))
}

/// The next published document; refuses to change more than the plugin configuration.
pub(crate) fn published_next(
    target: &Target,
    published: Option<&Published>,
    config: &Value,
    replace_vm: bool,
) -> Result<Value, Failure> {
    let file = target.file()?;
    let at = |reason: String| Failure::failed(format!("{}: {reason}", file.path.display()));
    let wanted = target.filter.as_ref().filter(|f| f.file.is_some());
    let fresh = wanted.map(|filter| ecds::new(&file.resource, filter, config)).transpose().map_err(at)?;
    let Some(published) = published else {
        let none = "does not exist, and the target has no `filter.file` to make it from: add it, or copy envoy/ecds.yaml there";
        return fresh.ok_or_else(|| at(none.to_owned()));
    };
    let same = ecds::with_configuration(&published.document, &file.resource, config).map_err(at)?;
    let Some(fresh) = fresh else { return Ok(same) };
    let differences = ecds::differences(&published.document, &fresh);
    if differences.is_empty() {
        return Ok(same);
    }
    if replace_vm {
        return Ok(fresh);
    }
    Err(Failure::new(
        Exit::Unfit,
        format!(
            "nothing was written: the target's `filter` differs from {}, and would be another VM ({}); take it over into the target file, or push with --replace-vm",
            file.path.display(),
            differences.join("; ")
        ),
    ))
}

/// After a rejection: what was in force is published again, under a number of its own, so that the record stays true and a
/// proxy that is started anew gets what the others have.
fn put_back(target: &Target, client: &Client, old: &Published, rejected: u64, patience: Duration) -> String {
    let again = || -> Result<String, Failure> {
        let file = target.file()?;
        let turn = publisher::turn(&file.path, PATIENCE)?;
        let now = publisher::read(&file.path)?;
        let current = in_force(target, now.as_ref())?;
        if merge::revision(&current) != rejected {
            return Ok("somebody has published since: nothing was put back".to_owned());
        }
        let mut config = in_force(target, Some(old))?;
        set(&mut config, "revision", json!(rejected + 1));
        let document = ecds::with_configuration(&old.document, &file.resource, &config).map_err(Failure::failed)?;
        let readings = each(&target.proxies, |proxy| client.read(proxy, &target.name, &file.resource));
        publisher::replace(&file.path, now.as_ref(), &document)?;
        let since = Instant::now();
        drop(turn);
        let verdicts = verify::watch(client, target, &file.resource, &readings, rejected + 1, since, patience);
        let applied = verdicts.iter().filter(|v| v.state == State::Applied).count();
        Ok(format!(
            "what was in force before is published again as revision {}, applied on {applied} of {} proxies",
            rejected + 1,
            verdicts.len()
        ))
    };
    again()
        .unwrap_or_else(|failure| format!("what was in force before could not be published again: {}", failure.message))
}

impl Written {
    /// The exit code of what the proxies said.
    pub(crate) fn exit(&self) -> Exit {
        exit(&self.verdicts)
    }

    /// The part of `--json` that every write has.
    pub(crate) fn json(&self) -> Value {
        json!({
            "written": self.written,
            "revision": merge::revision(&self.after),
            "before": merge::revision(&self.before),
            "killSwitch": merge::killed(&self.after),
            "changes": self.changes,
            "notes": self.notes,
            "proxies": self.verdicts,
        })
    }

    /// The part of the text that every write has.
    pub(crate) fn text(&self) -> String {
        let (old, new) = (merge::revision(&self.before), merge::revision(&self.after));
        let mut lines = vec![if self.written {
            format!("revision {old} -> {new}")
        } else {
            format!("revision {old} would become {new}; nothing was written")
        }];
        lines.extend(self.changes.iter().map(|c| format!("  {c}")));
        if merge::killed(&self.after) {
            lines.push("the kill switch is on: everything is stable until `headgate revive`".to_owned());
        }
        let killed = merge::killed_routes(&self.after);
        if !killed.is_empty() {
            lines.push(format!("killed routes: {}", killed.join(", ")));
        }
        if self.written {
            lines.push(verdicts(&self.verdicts));
        }
        lines.extend(self.notes.iter().map(|n| format!("note: {n}")));
        lines.join("\n")
    }
}

/// The exit code of verdicts.
pub(crate) fn exit(verdicts: &[Verdict]) -> Exit {
    let any = |state: State| verdicts.iter().any(|v| v.state == state);
    if any(State::Rejected) {
        Exit::Rejected
    } else if any(State::Pending) {
        Exit::Pending
    } else {
        Exit::Done
    }
}

/// Verdicts as a table.
pub(crate) fn verdicts(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "no proxies are named in the target file: nothing was verified".to_owned();
    }
    let rows: Vec<Vec<String>> = verdicts
        .iter()
        .map(|v| {
            let time = v.milliseconds.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
            vec![v.proxy.clone(), format!("{:?}", v.state), time, v.why.clone()]
        })
        .collect();
    table(&["proxy", "state", "after", "why"], &rows)
}
