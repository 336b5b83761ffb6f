//! The JSON Schema of a plugin configuration, and the form in which schemas are published.

/// The JSON Schema (draft 2020-12) of [`crate::PluginConfig`], made from its types and their documentation, with every
/// object closed: `headgate` refuses fields it does not know.
pub fn json_schema() -> serde_json::Value {
    closed_schema(schemars::schema_for!(crate::PluginConfig).to_value())
}

/// A schema with `additionalProperties: false` on every object that lists its properties, and all objects sorted: the form
/// in which schemas are published.
pub fn closed_schema(mut schema: serde_json::Value) -> serde_json::Value {
    close(&mut schema);
    schema
}

/// Sets `additionalProperties: false` on every object that lists its properties, and sorts all objects.
fn close(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), serde_json::Value::Bool(false));
            }
            object.values_mut().for_each(close);
            // Sorted, because whether a map keeps its order depends on features that other crates turn on.
            let mut entries: Vec<_> = core::mem::take(object).into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            object.extend(entries);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
