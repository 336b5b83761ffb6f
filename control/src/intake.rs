//! Outcomes as they come in: what a user's own systems say became of a request, by file or over HTTP.
//!
//! `{"key": "user-7", "success": true, "time": "2026-11-21T07:00:00Z"}`, or `variant` instead of `key`, `value` instead of or beside `success`; a list,
//! or one on a line. `time` is that of the request that it is about. A key is given to the version that the split gave it then
//! ([`crate::exposure`]), in its `segment` when it names one. Users on include and exclude lists are left out: they are no random sample.
//! What is not understood is said and left out; the rest is kept.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use headgate_rollout::plan::Plan;
use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::exposure::Assigner;
use crate::store::{Outcome, Store};
use crate::target::Target;

/// How often a file is looked at for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Bytes of a file that are taken in at once.
const CHUNK: u64 = 4 << 20;
/// Problems that are told at once.
const TOLD: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    key: Option<String>,
    variant: Option<String>,
    /// The segment of the route that the request was in; `default` is none.
    segment: Option<String>,
    success: Option<bool>,
    value: Option<f64>,
    time: Option<Value>,
}

/// Takes a body or some lines; gives how many were new, and what was wrong with the others.
///
/// # Errors
/// When nothing can be kept.
pub(crate) fn take(
    store: &Store,
    plan: &Plan,
    target: &Target,
    text: &str,
    now: i64,
) -> Result<(usize, Vec<String>), String> {
    let split = Assigner::now(target, plan, store)?;
    let (outcomes, problems) = read(text, &split, plan, now);
    let kept = store.keep_outcomes(&plan.route, &outcomes).map_err(|f| f.message)?;
    Ok((kept, problems))
}

/// Follows a file as it grows, as long as the process lives. What was taken in before is known to the store.
pub(crate) fn follow(store: &Store, plan: &Plan, target: &Target, path: &Path) {
    let name = path.display().to_string();
    loop {
        if let Ok(Some(text)) = new_lines(store, &name, path) {
            let (text, place) = text;
            // What cannot be kept now is read again: the place is written only with it.
            if take(store, plan, target, &text, clock::now()).is_ok() {
                let _again = store.keep_place(&name, place);
                continue;
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The inode of a file, and how far it was taken in.
type Place = (u64, u64);

/// The whole lines after the place that was read to, and the place after them.
fn new_lines(store: &Store, name: &str, path: &Path) -> Result<Option<(String, Place)>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let said = |e: std::io::Error| e.to_string();
    let mut file = std::fs::File::open(path).map_err(said)?;
    let about = file.metadata().map_err(said)?;
    let (inode, at) = store.place(name).map_err(|f| f.message)?.unwrap_or((about.ino(), 0));
    // Another file under the name, or one that was cut: from its beginning.
    let at = if inode == about.ino() && at <= about.len() { at } else { 0 };
    file.seek(SeekFrom::Start(at)).map_err(said)?;
    let mut bytes = Vec::new();
    file.take(CHUNK).read_to_end(&mut bytes).map_err(said)?;
    let Some(end) = bytes.iter().rposition(|b| *b == b'\n').map(|e| e + 1) else { return Ok(None) };
    bytes.truncate(end);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some((text, (about.ino(), at + end as u64))))
}

fn read(text: &str, split: &Assigner, plan: &Plan, now: i64) -> (Vec<Outcome>, Vec<String>) {
    let mut outcomes = Vec::new();
    let mut problems = Vec::new();
    let list: Vec<Result<Written, String>> = match serde_json::from_str::<Vec<Value>>(text) {
        Ok(list) => list.into_iter().map(|v| serde_json::from_value(v).map_err(|e| e.to_string())).collect(),
        Err(_) => text
            .lines()
            .filter(|l| !l.trim().is_empty())
            .map(|l| serde_json::from_str(l).map_err(|e| e.to_string()))
            .collect(),
    };
    for (at, written) in list.into_iter().enumerate() {
        match written.and_then(|w| outcome(w, split, plan, now)) {
            Ok(Some(mut outcome)) => {
                // Without a key, each counts as a user of its own: any bucket, but none that follows from its place.
                outcome.bucket = outcome.bucket.or_else(|| Some(split.bucket(&format!("{now} {at}"))));
                outcomes.push(outcome);
            }
            Ok(None) => {}
            Err(e) if problems.len() < TOLD => problems.push(format!("outcome {}: {e}", at + 1)),
            Err(_) => {}
        }
    }
    (outcomes, problems)
}

fn outcome(written: Written, split: &Assigner, plan: &Plan, now: i64) -> Result<Option<Outcome>, String> {
    let Written { key, variant, segment, success, value, time } = written;
    if success.is_none() && value.is_none() {
        return Err("it has neither `success` nor `value`".to_owned());
    }
    if value.is_some_and(|v| !v.is_finite()) {
        return Err("its `value` is not finite".to_owned());
    }
    let at = match &time {
        None => now,
        Some(time) => when(time).ok_or_else(|| {
            format!("its `time` {time} is none: write `2026-11-21T07:00:00Z`, or Unix seconds or milliseconds")
        })?,
    };
    let bucket = key.as_ref().map(|key| split.bucket(key));
    let variant = match (variant, &key) {
        (Some(variant), _) if plan.variants().contains(&variant.as_str()) => variant,
        (Some(variant), _) => {
            let known: Vec<String> = plan.variants().iter().map(|name| format!("`{name}`")).collect();
            return Err(format!("`{variant}` is none of {}", known.join(", ")));
        }
        (None, Some(key)) => match split.variant(key, segment.as_deref(), at)? {
            Some(variant) => variant.to_owned(),
            None => return Ok(None),
        },
        (None, None) => return Err("it has neither `key` nor `variant`".to_owned()),
    };
    Ok(Some(Outcome { key, variant, bucket, success, value, at }))
}

/// Unix milliseconds of a time as people and programs write it.
fn when(time: &Value) -> Option<i64> {
    if let Some(number) = time.as_f64() {
        // Seconds until the year 5138, milliseconds above.
        let ms = if number.abs() < 1e11 { number * 1_000.0 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
        return Some(ms as i64);
    }
    let at = humantime::parse_rfc3339_weak(time.as_str()?).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}
