//! The published JSON Schema is the one of the types, and every field says what it is for.

#![cfg(feature = "schema")]
#![cfg_attr(
    feature = "schema",
    expect(clippy::disallowed_methods, reason = "the crate is pure, this test compares with a file")
)]

use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

/// `HEADGATE_REFRESH=1 cargo test -p headgate-rollout --features schema --test schema` writes the file anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let made = format!("{:#}\n", headgate_rollout::file::json_schema());
    if std::env::var_os("HEADGATE_REFRESH").is_some() {
        std::fs::write(PATH, &made).unwrap();
    }
    let published = std::fs::read_to_string(PATH).expect("rollout/schema.json is missing");
    assert!(
        made == published,
        "rollout/schema.json is not that of the types: run `HEADGATE_REFRESH=1 cargo test -p headgate-rollout --features schema --test schema` and commit it"
    );
}

#[test]
fn every_field_says_what_it_is_with_its_default_or_an_example() {
    let schema = headgate_rollout::file::json_schema();
    let mut fields = 0;
    let mut silent = Vec::new();
    let types = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema));
    for (name, of) in types.chain([("Rollout", &schema)]) {
        if of["description"].as_str().is_none_or(|d| d.len() < 5) {
            silent.push(name.to_owned());
        }
        let required: Vec<&str> = of["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (field, of) in of["properties"].as_object().into_iter().flatten() {
            let text = of["description"].as_str().unwrap_or_default();
            // What must be there and is a structure of its own is explained by its own fields.
            let explained = required.contains(&field.as_str()) && of.get("$ref").is_some();
            if text.len() < 5 || !(explained || ["Default", "Example", "Always"].iter().any(|word| text.contains(word)))
            {
                silent.push(format!("{name}.{field}: {text:?}"));
            }
            fields += 1;
        }
        for choice in of["oneOf"].as_array().into_iter().flatten() {
            if choice["description"].as_str().is_none_or(str::is_empty) {
                silent.push(format!("{name}: {choice}"));
            }
        }
    }
    assert!(silent.is_empty(), "neither default nor example:\n{}", silent.join("\n"));
    assert!(fields > 80, "only {fields} fields were seen");
}

#[test]
fn every_object_is_closed() {
    fn look(value: &Value, path: &str) {
        if value.get("properties").is_some_and(Value::is_object) && value.get("type").is_some() {
            assert_eq!(value["additionalProperties"], false, "{path}");
        }
        match value {
            Value::Object(fields) => fields.iter().for_each(|(k, v)| look(v, &format!("{path}/{k}"))),
            Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| look(v, &format!("{path}/{i}"))),
            _ => {}
        }
    }
    look(&headgate_rollout::file::json_schema(), "");
}
