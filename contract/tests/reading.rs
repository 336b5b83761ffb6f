//! The filter's reading of a configuration gives what Serde's derived reading of the same types gives, field by field.
#![cfg(feature = "schema")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test's helpers may panic")]

use headgate_contract::{FEATURES, PluginConfig, read};
use serde_json::{Map, Value, json};

/// A document with every field that the schema has.
fn everything(schema: &Value, defs: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return everything(&defs[reference.trim_start_matches("#/$defs/")], defs);
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        return everything(&choices[0], defs);
    }
    if let Some(name) = schema.get("const").or(schema["enum"].get(0)) {
        return name.clone();
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str()).unwrap();
    match kind {
        "object" => match schema["properties"].as_object() {
            Some(fields) => fields.iter().map(|(name, of)| (name.clone(), everything(of, defs))).collect(),
            None => json!({ "some": everything(&schema["additionalProperties"], defs) }),
        },
        "array" => json!([everything(&schema["items"], defs)]),
        "string" => json!("text"),
        "integer" => json!(7),
        "number" => json!(0.5),
        "boolean" => json!(true),
        other => panic!("a field of type {other}: {schema}"),
    }
}

fn full() -> Value {
    let schema = headgate_contract::json_schema();
    let mut document = everything(&schema, &schema["$defs"]);
    document["contract"] = json!(1);
    document["requires"] = json!(FEATURES);
    document
}

/// The pointers of all values below `value`, with their paths as problems name them.
fn places(value: &Value, pointer: &str, path: &str, all: &mut Vec<(String, String)>) {
    let mut below = |name: &str, at: String, value: &Value| {
        let pointer = format!("{pointer}/{name}");
        all.push((pointer.clone(), at.clone()));
        places(value, &pointer, &at, all);
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                below(name, at, value);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                below(&i.to_string(), format!("{path}[{i}]"), value);
            }
        }
        _ => {}
    }
}

/// What Serde reads, as far as this build takes it.
fn derived(document: &Value) -> Option<PluginConfig> {
    let config: PluginConfig = serde_json::from_value(document.clone()).ok()?;
    let ours = config.contract == 1 && config.requires.iter().all(|feature| FEATURES.contains(&feature.as_str()));
    ours.then_some(config)
}

/// Reads both ways; a refusal must name `place`.
fn same(document: &Value, expected: Option<PluginConfig>, place: &str) -> bool {
    match read(document.to_string().as_bytes()) {
        Ok(read) => {
            assert_eq!(Some(read.config), expected, "{place}: {document:#}");
            true
        }
        Err(problems) => {
            assert_eq!(expected, None, "{problems}: {document:#}");
            assert!(problems.0.iter().all(|problem| problem.path == place), "{place}: {problems}");
            false
        }
    }
}

#[test]
fn every_field_is_read_and_known() {
    let document = full();
    assert!(same(&document, derived(&document), ""));
    assert_eq!(read(document.to_string().as_bytes()).unwrap().unknown, [""; 0]);
}

#[test]
fn every_field_may_be_absent_or_not_and_has_the_same_default() {
    let document = full();
    let mut all = Vec::new();
    places(&document, "", "", &mut all);
    let (mut taken, mut refused) = (0, 0);
    for (pointer, path) in all {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = document.clone();
        let Some(fields) = without.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        fields.remove(name);
        let place = path.strip_suffix(name).unwrap().trim_end_matches('.');
        if same(&without, derived(&without), place) { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 80 && refused > 20, "{taken} taken, {refused} refused");
}

#[test]
fn every_value_of_another_kind_is_taken_or_refused_alike_and_at_its_place() {
    let document = full();
    let mut all = Vec::new();
    places(&document, "", "", &mut all);
    let kinds = json!([
        null,
        true,
        0,
        1,
        1.0,
        255,
        256,
        256.0,
        4_294_967_295_u64,
        4_294_967_296_u64,
        9_007_199_254_740_991_u64,
        9_007_199_254_740_992_u64,
        9_007_199_254_740_992.0,
        -1,
        -1.0,
        0.5,
        1e300,
        "1",
        "text",
        "none",
        [],
        [null],
        {}
    ]);
    let (mut taken, mut refused) = (0, 0);
    for (pointer, path) in all {
        for kind in kinds.as_array().unwrap() {
            let mut changed = document.clone();
            let value = changed.pointer_mut(&pointer).unwrap();
            // Serde would read an object's fields from a list, in their order; a document never means that.
            let list_for_object = value.is_object() && kind.is_array();
            *value = kind.clone();
            let expected = derived(&changed).filter(|_| !list_for_object);
            let place =
                if kind == &json!([null]) && !list_for_object && expected.is_none() { None } else { Some(&path) };
            match place {
                Some(path) => {
                    if same(&changed, expected, path) {
                        taken += 1
                    } else {
                        refused += 1
                    }
                }
                // Refused for the list or for what is in it.
                None => {
                    let problems = read(changed.to_string().as_bytes()).unwrap_err();
                    assert!(problems.0.iter().all(|problem| problem.path.starts_with(&path)), "{problems}");
                    refused += 1;
                }
            }
        }
    }
    assert!(taken > 400 && refused > 2_000, "{taken} taken, {refused} refused");
}

#[test]
fn a_field_that_no_object_has_is_reported_at_its_place_and_one_that_stands_twice_is_refused() {
    let document = full();
    let mut all = Vec::new();
    places(&document, "", "", &mut all);
    let mut objects = 0;
    for (pointer, path) in all {
        let mut changed = document.clone();
        let Some(fields) = changed.pointer_mut(&pointer).and_then(Value::as_object_mut) else { continue };
        if fields.contains_key("some") {
            continue;
        }
        let (name, value) = fields.iter().next().map(|(n, v)| (n.clone(), v.clone())).unwrap();
        fields.insert("fresh".to_owned(), json!("TWICE"));
        let unknown = read(changed.to_string().as_bytes()).unwrap().unknown;
        assert_eq!(unknown, [format!("{path}.fresh")]);
        let again = Map::from_iter([(name, value)]);
        let again = serde_json::to_string(&again).unwrap();
        let again = again.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap();
        let twice = changed.to_string().replace("\"fresh\":\"TWICE\"", again);
        let problems = read(twice.as_bytes()).unwrap_err().0;
        let [problem] = problems.as_slice() else { panic!("{path}: {problems:?}") };
        assert_eq!(problem.path, path, "{problem}");
        assert!(problem.reason.contains("duplicate"), "{problem}");
        objects += 1;
    }
    assert!(objects > 30, "only {objects} objects were seen");
}
