//! `headgate set`: the weights of one route.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, table};
use crate::cli::published::Set;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::target::Target;
use crate::weights::{self, Weights};

use crate::write::{Rules, write};

pub(super) fn run(args: &Set) -> Result<Answer, Failure> {
    let target = Target::read(&args.target)?;
    let rules = Rules {
        if_revision: args.if_revision,
        replace_vm: false,
        dry_run: args.dry_run,
        adopt: true,
        timeout: args.watch.timeout,
    };
    let mut shown = None;
    let written = write(&target, rules, |in_force| {
        let (next, old, new) = change(in_force, args).map_err(|reason| Failure::new(Exit::Usage, reason))?;
        shown = Some((old, new));
        Ok(next)
    })?;
    let (old, new) = shown.unwrap_or_default();
    let moved = weights::moved(&old, &new);
    let percent = |weights: &Weights, name: &str| format!("{:.4}", weights::share(weights, name) * 100.0);
    let weight = |weights: &Weights, name: &str| weights.get(name).copied().unwrap_or(0);
    let rows: Vec<Vec<String>> = new
        .keys()
        .map(|v| {
            vec![
                v.clone(),
                weight(&old, v).to_string(),
                percent(&old, v),
                weight(&new, v).to_string(),
                percent(&new, v),
            ]
        })
        .collect();
    let mut json = written.json();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("route".to_owned(), json!(args.route));
        fields.insert("segment".to_owned(), json!(args.segment));
        fields.insert("old".to_owned(), json!(old));
        fields.insert("new".to_owned(), json!(new));
        fields.insert("movedShare".to_owned(), json!(moved));
    }
    let weights = table(&["variant", "old weight", "old %", "new weight", "new %"], &rows);
    let text = format!("{weights}\n{:.4} % of users get another variant\n{}", moved * 100.0, written.text());
    Ok(Answer { exit: written.exit(), json, text })
}

/// The configuration with other weights, and the weights before and after.
fn change(in_force: &Value, args: &Set) -> Result<(Value, Weights, Weights), String> {
    let mut next = in_force.clone();
    let names: Vec<String> = names(in_force.get("routes"));
    let route = find(next.get_mut("routes"), &args.route).ok_or_else(|| merge::no_route(&args.route, &names))?;
    let variants = route.get("variants").and_then(Value::as_array).cloned().unwrap_or_default();
    let variants: Weights = variants.iter().map(|v| (name(v).to_owned(), number(v.get("weight")))).collect();
    let (old, new);
    if let Some(segment) = &args.segment {
        let known = self::names(route.get("segments"));
        let place = find(route.get_mut("segments"), segment).ok_or_else(|| {
            format!("route {} has no segment `{segment}`: it has {}", args.route, crate::structure::list(&known))
        })?;
        let given = place.get("weights");
        old = variants.keys().map(|v| (v.clone(), number(given.and_then(|w| w.get(v))))).collect();
        new = weights::parse(&args.weights, &old).map_err(|problems| problems.join("; "))?;
        let map: Map<String, Value> = new.iter().map(|(v, w)| (v.clone(), json!(w))).collect();
        place.insert("weights".to_owned(), Value::Object(map));
    } else {
        old = variants;
        new = weights::parse(&args.weights, &old).map_err(|problems| problems.join("; "))?;
        for variant in route.get_mut("variants").and_then(Value::as_array_mut).into_iter().flatten() {
            let weight = new.get(name(variant)).copied();
            if let (Some(weight), Some(fields)) = (weight, variant.as_object_mut()) {
                fields.insert("weight".to_owned(), json!(weight));
            }
        }
    }
    Ok((next, old, new))
}

fn name(value: &Value) -> &str {
    value.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn names(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().map(|v| name(v).to_owned()).collect()
}

fn find<'v>(list: Option<&'v mut Value>, wanted: &str) -> Option<&'v mut Map<String, Value>> {
    list?.as_array_mut()?.iter_mut().find(|v| name(v) == wanted)?.as_object_mut()
}

fn number(value: Option<&Value>) -> u32 {
    let whole = value.and_then(Value::as_u64).and_then(|w| u32::try_from(w).ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates; weights were checked when they were published"
    )]
    whole.or_else(|| value.and_then(Value::as_f64).map(|w| w as u32)).unwrap_or(0)
}
