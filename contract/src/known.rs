//! The fields that this build knows, so that the filter can say which ones of a configuration it left out.
//!
//! A table rather than a wrapper around every type's reading (`serde_ignored`): that is compiled anew for each type and
//! made up a quarter of the filter. A test holds it equal to the JSON Schema.

use serde_json::Value;

/// The fields of one type, by name: each field's name and the type of the object (or of the array's objects) in it; empty when it holds none.
type Fields = &'static [(&'static str, &'static str)];

/// Every type that is an object, by name.
const KNOWN: &[(&str, Fields)] = &[
    ("AddressSource", &[("prefixV4", ""), ("prefixV6", "")]),
    ("ClaimMatch", &[("claim", ""), ("exact", ""), ("invert", ""), ("oneOf", ""), ("present", ""), ("provider", "")]),
    ("ClaimSource", &[("claim", ""), ("header", ""), ("provider", ""), ("type", ""), ("unverified", "")]),
    ("ClientAddress", &[("trustedHops", "")]),
    (
        "CookieIssue",
        &[
            ("domain", ""),
            ("httpOnly", ""),
            ("makePrivate", ""),
            ("maxAge", ""),
            ("name", ""),
            ("path", ""),
            ("sameSite", ""),
            ("secure", ""),
        ],
    ),
    ("Decisions", &[("audience", ""), ("header", ""), ("keys", "TokenKey")]),
    (
        "FieldMatch",
        &[
            ("contains", ""),
            ("exact", ""),
            ("invert", ""),
            ("name", ""),
            ("oneOf", ""),
            ("prefix", ""),
            ("present", ""),
            ("regex", ""),
            ("suffix", ""),
        ],
    ),
    ("HeaderOutput", &[("name", ""), ("nonce", "")]),
    ("Inbound", &[("accept", ""), ("emit", "")]),
    ("KeyList", &[("hashes", ""), ("keys", ""), ("variant", "")]),
    ("KeyPolicy", &[("absent", ""), ("cookie", "CookieIssue"), ("sources", "KeySource")]),
    (
        "KeySource",
        &[("claim", "ClaimSource"), ("clientAddress", "AddressSource"), ("cookie", ""), ("header", ""), ("query", "")],
    ),
    (
        "Match",
        &[
            ("claims", "ClaimMatch"),
            ("headers", "FieldMatch"),
            ("hosts", ""),
            ("methods", ""),
            ("notHosts", ""),
            ("notMethods", ""),
            ("path", "PathMatch"),
            ("query", "FieldMatch"),
        ],
    ),
    ("Metrics", &[("replicates", "")]),
    (
        "Mirror",
        &[("by", ""), ("filterState", ""), ("maxBodyBytes", ""), ("requestHeader", "HeaderOutput"), ("share", "")],
    ),
    ("Output", &[("filterState", ""), ("requestHeader", "HeaderOutput"), ("responseHeader", "")]),
    (
        "Override",
        &[
            ("cookie", ""),
            ("exact", ""),
            ("header", ""),
            ("oneOf", ""),
            ("openToAnyone", ""),
            ("prefix", ""),
            ("query", ""),
            ("regex", ""),
            ("variant", ""),
        ],
    ),
    ("PathMatch", &[("exact", ""), ("invert", ""), ("prefix", ""), ("regex", "")]),
    (
        "PluginConfig",
        &[
            ("clientAddress", "ClientAddress"),
            ("contract", ""),
            ("decisions", "Decisions"),
            ("killSwitch", ""),
            ("metrics", "Metrics"),
            ("requires", ""),
            ("revision", ""),
            ("routes", "Route"),
            ("stage", ""),
            ("target", ""),
            ("tokens", "Tokens"),
        ],
    ),
    (
        "Route",
        &[
            ("exclude", "KeyList"),
            ("inbound", "Inbound"),
            ("include", "KeyList"),
            ("key", "KeyPolicy"),
            ("killSwitch", ""),
            ("match", "Match"),
            ("mirror", "Mirror"),
            ("name", ""),
            ("output", "Output"),
            ("overrides", "Override"),
            ("salt", ""),
            ("segments", "Segment"),
            ("stable", ""),
            ("variants", "Variant"),
        ],
    ),
    ("Segment", &[("match", "Match"), ("name", ""), ("weights", "")]),
    ("TokenKey", &[("env", ""), ("id", "")]),
    ("Tokens", &[("audience", ""), ("cookie", ""), ("header", ""), ("keys", "TokenKey")]),
    ("Variant", &[("cluster", ""), ("name", ""), ("weight", "")]),
];

/// The paths of all fields in `document`, a whole configuration, that no type has; sorted.
pub(crate) fn unknown_fields(document: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(document, "PluginConfig", &mut String::new(), &mut unknown);
    unknown.sort();
    unknown
}

fn walk(value: &Value, of: &str, path: &mut String, unknown: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::Object(object) => {
            let Some((_, fields)) = KNOWN.iter().find(|(name, _)| *name == of) else { return };
            for (name, value) in object {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                match fields.iter().find(|(field, _)| field == name) {
                    Some((_, of)) => walk(value, of, path, unknown),
                    None => unknown.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        Value::Array(items) if !of.is_empty() => {
            for (i, item) in items.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                walk(item, of, path, unknown);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(all(test, feature = "schema"))]
mod tests {
    use super::*;

    /// The name of the object type that a property's schema leads to.
    fn leads_to(schema: &Value) -> Option<&str> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return reference.rsplit('/').next();
        }
        let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|k| schema.get(k)?.as_array()).flatten();
        choices.chain(schema.get("items")).find_map(leads_to)
    }

    #[test]
    fn the_known_fields_are_the_schemas() {
        let schema = crate::json_schema();
        let defs = schema["$defs"].as_object().unwrap();
        let object = |name: &str| defs.get(name).is_some_and(|d| d.get("properties").is_some());
        let of = |schema: &Value| {
            let properties = schema["properties"].as_object().unwrap();
            let fields = properties.iter().map(|(field, p)| {
                (field.clone(), leads_to(p).filter(|name| object(name)).unwrap_or_default().to_owned())
            });
            let mut fields: Vec<_> = fields.collect();
            fields.sort();
            fields
        };
        let mut expected: Vec<_> = defs.iter().filter(|(n, _)| object(n)).map(|(n, d)| (n.clone(), of(d))).collect();
        expected.push(("PluginConfig".to_owned(), of(&schema)));
        expected.sort();
        let known: Vec<_> = KNOWN
            .iter()
            .map(|(n, f)| {
                ((*n).to_owned(), f.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(known, expected, "make KNOWN as the schema is");
    }
}
