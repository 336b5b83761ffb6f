//! One rollout's writes to its target: into what is in force, never over somebody else's.
//!
//! An ordinary write takes its turn, proves that this process still owns the target, merges, and is checked as every other push. An urgent one (the way
//! back, a kill) waits neither for a turn that somebody holds nor for proxies, and is not held up by checks of what others wrote. Nothing waits here
//! for proxies to apply: that is seen in the readings of the ticks after it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::document::Document;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::owner::Owner;
use crate::plugin::Plugin;
use crate::proxy::{Client, each};
use crate::publisher;
use crate::render::ecds;
use crate::stats::Reading;
use crate::target::Target;
use crate::write::{PATIENCE, fit, in_force, published_next, set};

/// How long an urgent write waits for the turn.
const HEAD_START: Duration = Duration::from_millis(250);
/// How often an urgent write without the turn is tried anew when somebody writes between its reading and its renaming.
const TRIES: usize = 20;

/// What came of a write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Published {
    /// The revision that has what was asked for.
    pub(crate) revision: u64,
    /// Whether anything had to be written.
    pub(crate) changed: bool,
    /// What somebody should know.
    pub(crate) notes: Vec<String>,
}

/// What a write has to know of the proxies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Their last readings, in the target's order.
    pub(crate) readings: &'a [Result<Reading, String>],
    /// Whether a kill by runtime was seen in force: it is written down too.
    pub(crate) killed: bool,
}

impl Seen<'_> {
    fn revision(&self) -> u64 {
        self.readings.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0)
    }
}

/// Writes what `next` makes of the configuration in force.
///
/// # Errors
/// When it cannot be written, or may not: the reason in words. What was in force stays.
pub(crate) fn publish(
    target: &Target,
    owner: &Owner,
    seen: Seen<'_>,
    next: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Published, Failure> {
    let file = target.file()?;
    let _turn = publisher::turn(&file.path, PATIENCE)?;
    owner.check()?;
    let published = publisher::read(&file.path)?;
    let before = in_force(target, published.as_ref())?;
    let mut after = next(&before).map_err(Failure::failed)?;
    let mut notes = Vec::new();
    if seen.killed && !merge::killed(&after) {
        notes.push("a kill by runtime is in force: it is written down, `headgate revive` clears it".to_owned());
        set(&mut after, "killSwitch", json!(true));
    }
    let revision = merge::revision(&before);
    set(&mut after, "revision", json!(revision));
    if after == before && published.is_some() && seen.revision() <= revision {
        return Ok(Published { revision, changed: false, notes });
    }
    let number = revision.max(seen.revision()) + 1;
    set(&mut after, "revision", json!(number));
    let name = format!("the configuration merged for {}", file.path.display());
    let checked = Plugin::of(Document::parse(&name, &after.to_string())?, Some(&target.name))?;
    fit(target, seen.readings, &checked)?;
    let document = published_next(target, published.as_ref(), &checked.document.value, false)?;
    publisher::replace(&file.path, published.as_ref(), &document)?;
    Ok(Published { revision: number, changed: true, notes })
}

/// Writes the way back, or a kill, whatever stands in its way. `stands` tells whether a configuration has it.
///
/// # Errors
/// When the file cannot be read or written at all; [`by_runtime`] is left then.
pub(crate) fn publish_urgently(
    target: &Target,
    seen_revision: u64,
    next: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Published, Failure> {
    let file = target.file()?;
    let mut notes = Vec::new();
    let turn = publisher::turn(&file.path, HEAD_START);
    if let Err(failure) = &turn {
        notes.push(format!("{}; this did not wait for it", failure.message));
    }
    let mut turn = turn.ok();
    let mut last = None;
    for _ in 0..TRIES {
        let published = publisher::read(&file.path)?;
        let before = in_force(target, published.as_ref())?;
        let mut after = next(&before).map_err(Failure::failed)?;
        let revision = merge::revision(&before);
        set(&mut after, "revision", json!(revision));
        if after == before && seen_revision <= revision {
            return Ok(Published { revision, changed: last.is_some(), notes });
        }
        let number = revision.max(seen_revision) + 1;
        set(&mut after, "revision", json!(number));
        let Some(old) = &published else {
            return Err(Failure::failed(format!("{} does not exist", file.path.display())));
        };
        let document = ecds::with_configuration(&old.document, &file.resource, &after).map_err(Failure::failed)?;
        match publisher::replace(&file.path, published.as_ref(), &document) {
            Ok(()) if turn.is_some() => return Ok(Published { revision: number, changed: true, notes }),
            Ok(()) => {
                // Out it went without the turn: whoever had it may have renamed over it at the same moment. Look again, in turn.
                turn = publisher::turn(&file.path, PATIENCE).ok();
                last = Some(Failure::failed("another write had erased it at the same moment"));
                if turn.is_none() {
                    return Ok(Published { revision: number, changed: true, notes });
                }
            }
            Err(failure) if failure.exit == Exit::Conflict => last = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::failed("the configuration could not be written")))
}

/// The last resort when the file cannot be written (a full disk): every proxy with an admin interface is told to send everything to the stable
/// version. Gives the names of those that did not.
pub(crate) fn by_runtime(target: &Target, client: &Client) -> Vec<String> {
    let answers = each(&target.proxies, |proxy| client.set_runtime_kill(proxy, true));
    target.proxies.iter().zip(answers).filter_map(|(p, a)| a.err().map(|e| format!("{}: {e}", p.name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn target(folder: &Path) -> (Target, PathBuf) {
        let text = "name: t\npublisher: {file: {path: ecds.json}}\nfilter: {file: /f.wasm}\n";
        let target = Target::of(&Document::parse("t", text).unwrap(), folder).unwrap();
        (target, folder.join("ecds.json"))
    }

    const NOTHING: Seen<'_> = Seen { readings: &[], killed: false };

    fn route(weight: u32) -> impl Fn(&Value) -> Result<Value, String> {
        move |before| {
            let mut after = before.clone();
            let variants = json!([{"name": "a", "weight": 1}, {"name": "b", "weight": weight}]);
            set(&mut after, "contract", json!(1));
            set(&mut after, "target", json!("t"));
            set(&mut after, "routes", json!([{"name": "s", "stable": "a", "variants": variants}]));
            Ok(after)
        }
    }

    #[test]
    fn the_same_shares_are_written_once_and_a_lost_owner_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = target(folder.path());
        let owner = crate::owner::take(&path, vec![]).unwrap();
        let first = publish(&target, &owner, NOTHING, route(1)).unwrap();
        assert_eq!((first.revision, first.changed), (1, true));
        let again = publish(&target, &owner, NOTHING, route(1)).unwrap();
        assert_eq!((again.revision, again.changed), (1, false));
        std::fs::remove_file(folder.path().join(".ecds.json.owner")).unwrap();
        let _next = crate::owner::take(&path, vec![]).unwrap();
        assert_eq!(publish(&target, &owner, NOTHING, route(2)).unwrap_err().exit, Exit::Conflict);
        assert_eq!(publish_urgently(&target, 7, route(3)).unwrap().revision, 8, "above what a proxy has seen");
    }

    #[test]
    fn the_way_back_waits_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = target(folder.path());
        let owner = crate::owner::take(&path, vec![]).unwrap();
        publish(&target, &owner, NOTHING, route(1)).unwrap();
        let turn = publisher::turn(&path, Duration::ZERO).unwrap();
        let (back, waited) = std::thread::scope(|scope| {
            let back = scope.spawn(|| publish_urgently(&target, 0, route(9)).unwrap());
            // The one who has the turn gives it back only after the other has written.
            let mut waited = false;
            while merge::revision(&in_force(&target, publisher::read(&path).unwrap().as_ref()).unwrap()) < 2 {
                waited = true;
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(turn);
            (back.join().unwrap(), waited)
        });
        assert!(waited && back.revision == 2 && back.notes.len() == 1, "{back:?}");
    }

    #[test]
    fn a_kill_by_runtime_is_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = target(folder.path());
        let owner = crate::owner::take(&path, vec![]).unwrap();
        publish(&target, &owner, Seen { killed: true, ..NOTHING }, route(1)).unwrap();
        let now = in_force(&target, publisher::read(&path).unwrap().as_ref()).unwrap();
        assert!(merge::killed(&now));
        publish(&target, &owner, NOTHING, route(2)).unwrap();
        let now = in_force(&target, publisher::read(&path).unwrap().as_ref()).unwrap();
        assert!(merge::killed(&now), "nobody erases a kill");
    }
}
