//! The next configuration of a target, from the one in force and what is asked for. Pure.
//!
//! One revision sequence; a push replaces the routes it names and the document's fields it gives, keeps everything else,
//! and never clears a kill: only `revive` does. It works on JSON values, because what is in force may have been written by
//! a newer `headgate`, and a kill must be possible even then.

use serde_json::{Map, Value, json};

/// How a push treats routes that its file does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They stay: they belong to other rollouts.
    Keep,
    /// The file is the whole configuration.
    Remove,
}

/// The revision in force; 0 when there is none.
pub(crate) fn revision(config: &Value) -> u64 {
    let number = config.get("revision");
    number
        .and_then(Value::as_u64)
        .or_else(|| {
            number.and_then(Value::as_f64).filter(|f| *f >= 0.0).map(|f| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "not negative; beyond 2^53 compile refuses it"
                )]
                let whole = f as u64;
                whole
            })
        })
        .unwrap_or(0)
}

/// Whether the whole configuration is killed.
pub(crate) fn killed(config: &Value) -> bool {
    config.get("killSwitch").and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn routes(config: &Value) -> &[Value] {
    config.get("routes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn name(route: &Value) -> &str {
    route.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Names of the routes that are killed one by one.
pub(crate) fn killed_routes(config: &Value) -> Vec<String> {
    routes(config).iter().filter(|r| killed(r)).map(|r| name(r).to_owned()).collect()
}

/// Merges `asked` into what is in force. The file's routes stand together, in its order, where the first of them stood
/// before; new ones alone go to the end.
pub(crate) fn push(in_force: &Value, asked: &Value, others: Others) -> Value {
    let mut next: Map<String, Value> = match (in_force, others) {
        (Value::Object(fields), Others::Keep) => fields.clone(),
        _ => Map::new(),
    };
    for (field, value) in asked.as_object().into_iter().flatten().filter(|(field, _)| *field != "routes") {
        next.insert(field.clone(), value.clone());
    }
    let mine: Vec<Value> = routes(asked)
        .iter()
        .map(|route| {
            let was_killed = routes(in_force).iter().any(|old| name(old) == name(route) && killed(old));
            with_kill(route, was_killed || killed(route))
        })
        .collect();
    let is_mine = |route: &Value| mine.iter().any(|m| name(m) == name(route));
    let mut all: Vec<Value> = Vec::new();
    if others == Others::Keep {
        let place = routes(in_force).iter().position(&is_mine);
        for (i, route) in routes(in_force).iter().enumerate() {
            if Some(i) == place {
                all.extend(mine.iter().cloned());
            }
            if !is_mine(route) {
                all.push(route.clone());
            }
        }
        if place.is_none() {
            all.extend(mine.iter().cloned());
        }
    } else {
        all = mine;
    }
    next.insert("routes".to_owned(), Value::Array(all));
    next.insert("killSwitch".to_owned(), json!(killed(in_force) || killed(asked)));
    next.insert("revision".to_owned(), json!(revision(in_force) + 1));
    Value::Object(next)
}

fn with_kill(value: &Value, on: bool) -> Value {
    let mut value = value.clone();
    if let Value::Object(fields) = &mut value
        && (on || fields.contains_key("killSwitch"))
    {
        fields.insert("killSwitch".to_owned(), json!(on));
    }
    value
}

/// The next revision with a kill switch set or cleared: the target's, or that of one route.
///
/// # Errors
/// When there is no route of that name; says which there are.
pub(crate) fn kill(in_force: &Value, route: Option<&str>, on: bool) -> Result<Value, String> {
    let Value::Object(fields) = in_force else {
        return Err("what is published is no JSON object".to_owned());
    };
    let mut next = fields.clone();
    match route {
        None => {
            next.insert("killSwitch".to_owned(), json!(on));
        }
        Some(wanted) => {
            let list = next.get_mut("routes").and_then(Value::as_array_mut);
            let names: Vec<String> = list.iter().flat_map(|l| l.iter()).map(|r| name(r).to_owned()).collect();
            let found = list.into_iter().flatten().find(|r| name(r) == wanted).and_then(Value::as_object_mut);
            let Some(found) = found else { return Err(no_route(wanted, &names)) };
            found.insert("killSwitch".to_owned(), json!(on));
        }
    }
    next.insert("revision".to_owned(), json!(revision(in_force) + 1));
    Ok(Value::Object(next))
}

/// The sentence for a route that is not there.
pub(crate) fn no_route(wanted: &str, names: &[String]) -> String {
    if names.is_empty() {
        return format!("there is no route `{wanted}`: the configuration in force has none");
    }
    format!("there is no route `{wanted}`: the configuration in force has {}", crate::structure::list(names))
}

/// What differs between two configurations, route by route, in words.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for route in routes(new) {
        match routes(old).iter().find(|r| name(r) == name(route)) {
            None => out.push(format!("route {} is new", name(route))),
            Some(before) if before != route => out.push(format!("route {} is replaced", name(route))),
            Some(_) => {}
        }
    }
    for route in routes(old).iter().filter(|r| !routes(new).iter().any(|n| name(n) == name(r))) {
        out.push(format!("route {} is removed", name(route)));
    }
    for field in ["target", "stage", "requires", "tokens", "decisions", "clientAddress", "metrics", "killSwitch"] {
        let (before, after) = (old.get(field), new.get(field));
        if before != after && !(field == "killSwitch" && killed(old) == killed(new)) {
            out.push(format!("{field} changes"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_force() -> Value {
        json!({"contract":1,"revision":7,"killSwitch":false,"tokens":{"audience":"a"},
            "routes":[{"name":"a","v":1},{"name":"b","v":1},{"name":"c","v":1}]})
    }

    fn order(config: &Value) -> Vec<&str> {
        routes(config).iter().map(name).collect()
    }

    #[test]
    fn a_push_replaces_its_routes_and_keeps_those_of_others() {
        let next = push(&in_force(), &json!({"revision":1,"routes":[{"name":"b","v":2}]}), Others::Keep);
        assert_eq!(next["revision"], 8);
        assert_eq!(order(&next), ["a", "b", "c"]);
        assert_eq!(next["routes"][1]["v"], 2);
        assert_eq!(next["tokens"]["audience"], "a");
        let next = push(&in_force(), &json!({"routes":[{"name":"x"},{"name":"b"}]}), Others::Keep);
        assert_eq!(order(&next), ["a", "x", "b", "c"]);
        let next = push(&in_force(), &json!({"routes":[{"name":"x"}]}), Others::Keep);
        assert_eq!(order(&next), ["a", "b", "c", "x"]);
        let next = push(&in_force(), &json!({"routes":[{"name":"x"}]}), Others::Remove);
        assert_eq!((order(&next), next.get("tokens")), (vec!["x"], None));
    }

    #[test]
    fn nobody_erases_a_kill() {
        for others in [Others::Keep, Others::Remove] {
            let mut old = in_force();
            old["killSwitch"] = json!(true);
            old["routes"][1]["killSwitch"] = json!(true);
            let asked = json!({"killSwitch":false,"routes":[{"name":"b","killSwitch":false}]});
            let next = push(&old, &asked, others);
            assert!(killed(&next), "{others:?}");
            assert_eq!(killed_routes(&next), ["b"], "{others:?}");
        }
        let killed_then = kill(&in_force(), Some("c"), true).unwrap();
        assert_eq!((killed_routes(&killed_then), revision(&killed_then)), (vec!["c".to_owned()], 8));
        let revived = kill(&killed_then, Some("c"), false).unwrap();
        assert!(killed_routes(&revived).is_empty());
        assert!(kill(&in_force(), Some("nope"), true).unwrap_err().contains("`a`, `b`, `c`"));
    }

    #[test]
    fn a_kill_needs_no_understanding_of_the_rest() {
        let newer = json!({"contract":9,"revision":41.0,"rotues":{"strange":[1]}});
        let next = kill(&newer, None, true).unwrap();
        assert_eq!(next, json!({"contract":9,"revision":42,"rotues":{"strange":[1]},"killSwitch":true}));
    }

    #[test]
    fn changes_are_named() {
        let next = push(&in_force(), &json!({"stage":"x","routes":[{"name":"b","v":2},{"name":"n"}]}), Others::Keep);
        assert_eq!(changes(&in_force(), &next), ["route b is replaced", "route n is new", "stage changes"]);
    }
}
