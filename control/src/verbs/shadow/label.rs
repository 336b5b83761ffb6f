//! `headgate shadow label`: who was right where answers disagree, as people say.

use std::collections::{BTreeMap, BTreeSet};

use headgate_rollout::shadow::{Observed, Right};
use headgate_routing::split::{Bucketer, purpose};
use serde_json::{Value, json};

use super::analyze::each;
use crate::answer::{Answer, table};
use crate::cli::shadow::{self, Label as Args};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::shadow::labels::{self, Label};
use crate::shadow::record::{Mapping, Reader};

pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let mapping = Mapping { maps: args.maps.clone(), micros: 1_000.0, ..Mapping::default() };
    let reader = Reader::new(&mapping).map_err(|why| Failure::new(Exit::Usage, format!("--map: {why}")))?;
    match (args.sample, args.right) {
        (Some(most), _) => sample(args, &reader, most),
        (None, Some(right)) => label(args, &reader, right),
        (None, None) => Err(Failure::new(Exit::Usage, "say --right, or --sample to see what can be labelled")),
    }
}

fn label(args: &Args, reader: &Reader, right: shadow::Right) -> Result<Answer, Failure> {
    let mut missing: BTreeSet<&str> = args.id.iter().map(String::as_str).collect();
    let mut found: BTreeMap<String, (Option<String>, Option<usize>)> = BTreeMap::new();
    each(&args.files, reader, |seen| {
        if seen.agrees == Some(false)
            && let Some(id) = &seen.id
            && args.id.iter().any(|wanted| wanted == id)
        {
            missing.remove(id.as_ref());
            found.insert(id.to_string(), (seen.segment.as_deref().map(str::to_owned), seen.bucket));
        }
    })?;
    if !missing.is_empty() {
        let list: Vec<&str> = missing.into_iter().collect();
        let message =
            format!("no disagreement of this name among the records: {}; nothing was written", list.join(", "));
        return Err(Failure::new(Exit::Refused, message));
    }
    let right = match right {
        shadow::Right::Primary => Right::Primary,
        shadow::Right::Shadow => Right::Shadow,
        shadow::Right::Both => Right::Both,
        shadow::Right::Neither => Right::Neither,
    };
    let time = clock::shown(clock::now());
    let label = |(id, (segment, bucket))| {
        let (by, note, time) = (args.by.clone(), args.note.clone(), time.clone());
        Label { id, right, by, note, time, segment, bucket }
    };
    let written: Vec<Label> = found.into_iter().map(label).collect();
    labels::add(&args.labels, &written)?;
    let text = match written.len() {
        1 => format!("1 label written to {}", args.labels.display()),
        some => format!("{some} labels written to {}", args.labels.display()),
    };
    Ok(Answer::done(json!({"labels": written, "file": args.labels}), text))
}

/// Those of all disagreements without a label whose hashes are the least: each is as likely to be among them, and the next call shows the
/// same until they have labels.
fn sample(args: &Args, reader: &Reader, most: usize) -> Result<Answer, Failure> {
    let known = labels::read(&args.labels)?.by_id;
    let hash = Bucketer::new("labels", purpose::REPLICATE);
    let mut chosen: BTreeMap<(u64, String), (Value, Vec<String>)> = BTreeMap::new();
    let mut nameless = 0_u64;
    each(&args.files, reader, |seen| {
        if seen.agrees != Some(false) {
            return;
        }
        let Some(id) = seen.id.as_deref().filter(|id| !id.is_empty()) else {
            nameless += 1;
            return;
        };
        if known.contains_key(id) {
            return;
        }
        let at = hash.bucket(id.as_bytes(), 1 << 52);
        if chosen.len() >= most && chosen.last_key_value().is_none_or(|(last, _)| last.0 <= at) {
            return;
        }
        chosen.insert((at, id.to_owned()), shown(id, seen));
        while chosen.len() > most {
            chosen.pop_last();
        }
    })?;
    let (list, rows): (Vec<Value>, Vec<Vec<String>>) = chosen.into_values().unzip();
    let mut text = if rows.is_empty() {
        "No disagreement without a label.".to_owned()
    } else {
        table(&["request", "segment", "field", "old", "new"], &rows)
    };
    if nameless > 0 {
        text.push_str(&format!(
            "\nDisagreements without a name (requestId, or --map id=…), which cannot be labelled: {nameless}"
        ));
    }
    Ok(Answer::done(json!({"disagreements": list, "nameless": nameless}), text))
}

fn shown(id: &str, seen: &Observed<'_>) -> (Value, Vec<String>) {
    let first = seen.differences.first();
    let segment = seen.segment.as_deref().unwrap_or("default").to_owned();
    let number = |of: fn((f64, f64)) -> f64| seen.numbers.map(|n| of(n).to_string());
    let old = first.and_then(|d| d.primary.as_deref().map(str::to_owned)).or_else(|| number(|n| n.0));
    let new = first.and_then(|d| d.shadow.as_deref().map(str::to_owned)).or_else(|| number(|n| n.1));
    let paths: Vec<&str> = seen.differences.iter().map(|d| &*d.path).collect();
    let value = json!({"id": id, "segment": segment, "paths": paths, "old": old, "new": new});
    let told = |v: Option<String>| v.unwrap_or_else(|| "not told".to_owned());
    let row = vec![id.to_owned(), segment, paths.join(" "), told(old), told(new)];
    (value, row)
}
