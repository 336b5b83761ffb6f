//! The published JSON Schema is the one of the types, and every field says what it is for.

#![expect(clippy::disallowed_methods, reason = "the crate is pure, this test compares with a file")]
#![cfg(feature = "schema")]

use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

/// `HEADGATE_REFRESH=1 cargo test -p headgate-contract --features schema` writes the file anew.
#[test]
fn the_published_schema_is_that_of_the_types() {
    let made = format!("{:#}\n", headgate_contract::json_schema());
    if std::env::var_os("HEADGATE_REFRESH").is_some() {
        std::fs::write(PATH, &made).unwrap();
    }
    let published = std::fs::read_to_string(PATH).expect("contract/schema.json is missing");
    assert!(
        made == published,
        "contract/schema.json is not that of the types: run `HEADGATE_REFRESH=1 cargo test -p headgate-contract --features schema` and commit it"
    );
}

#[test]
fn every_field_says_what_it_is_with_its_default_or_an_example() {
    let schema = headgate_contract::json_schema();
    let mut fields = 0;
    let types = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema));
    for (name, of) in types.chain([("PluginConfig", &schema)]) {
        assert!(of["description"].as_str().is_some_and(|d| d.len() > 5), "{name} is not described");
        for (field, of) in of["properties"].as_object().into_iter().flatten() {
            let text = of["description"].as_str().unwrap_or_default();
            assert!(
                ["Default", "default", "Example"].iter().any(|word| text.contains(word)),
                "{name}.{field} names neither default nor example: {text:?}"
            );
            fields += 1;
        }
        for choice in of["oneOf"].as_array().into_iter().flatten() {
            assert!(choice["description"].as_str().is_some_and(|d| !d.is_empty()), "{name}: {choice} is not described");
        }
    }
    assert!(fields > 80, "only {fields} fields were seen");
}

#[test]
fn every_object_is_closed() {
    fn look(value: &Value, path: &str) {
        if value.get("properties").is_some() {
            assert_eq!(value["additionalProperties"], false, "{path}");
        }
        match value {
            Value::Object(fields) => fields.iter().for_each(|(k, v)| look(v, &format!("{path}/{k}"))),
            Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| look(v, &format!("{path}/{i}"))),
            _ => {}
        }
    }
    look(&headgate_contract::json_schema(), "");
}
