//! From a line and column of a JSON text to the path of the value there.
//!
//! `serde_path_to_error` knows the path while it reads, but is compiled anew for each type, which the filter's size cannot
//! afford; an error's place is known, so the path is found afterwards by walking the text up to it.

/// The path, as `routes[0].variants[1].weight`, of the value that ends at or holds the given place (both counted from 1,
/// columns in bytes, as `serde_json` counts them). Text that is not JSON yields the path as far as it goes.
pub(crate) fn path(text: &[u8], line: usize, column: usize) -> String {
    let before: usize = text.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let text = text.get(..before.saturating_add(column)).unwrap_or(text);
    let mut steps: Vec<Step> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' => steps.push(Step::Field(String::new())),
            b'[' => steps.push(Step::Item(0)),
            b'}' | b']' if at < text.len() => {
                steps.pop();
            }
            // The place is the end of an object or array: something is missing in it.
            b'}' | b']' => {
                steps.pop();
                break;
            }
            b',' => {
                if let Some(Step::Item(n)) = steps.last_mut() {
                    *n += 1;
                }
            }
            b'"' => {
                let start = at;
                while let Some(byte) = text.get(at) {
                    at += 1;
                    match byte {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                }
                let rest = text.get(at..).unwrap_or_default().trim_ascii_start();
                if let (Some(Step::Field(name)), [b':', ..]) = (steps.last_mut(), rest) {
                    let raw = text.get(start..at.saturating_sub(1)).unwrap_or_default();
                    *name = String::from_utf8_lossy(raw).into_owned();
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for step in &steps {
        match step {
            Step::Field(name) if name.is_empty() => {}
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Item(n) => path.push_str(&format!("[{n}]")),
        }
    }
    path
}

enum Step {
    Field(String),
    Item(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path of the error that reading `text` as the type gives.
    fn check(text: &str, expected: &str) {
        let e = serde_json::from_str::<crate::PluginConfig>(text).unwrap_err();
        assert_eq!(path(text.as_bytes(), e.line(), e.column()), expected, "{e} in {text}");
    }

    #[test]
    fn an_error_has_the_path_of_its_value() {
        check(r#"{"contract":"1"}"#, "contract");
        check(r#"{"contract":1}"#, "");
        check("{\"contract\":1,\n \"revision\": -1}", "revision");
        check(
            r#"{"contract":1,"revision":1,"routes":[{"name":"a","stable":"s","variants":[{"name":"s","weight":"5"}]}]}"#,
            "routes[0].variants[0].weight",
        );
        check(
            r#"{"contract":1,"revision":1,"routes":[{"name":"a","stable":"s","variants":[{"name":"s","weight":1},{"name":"s"}]}]}"#,
            "routes[0].variants[1]",
        );
        check(
            r#"{"contract":1,"revision":1,"routes":[{"name":"a","stable":"s","variants":[]},{"name":"a,]}\"","stable":[7]}]}"#,
            "routes[1].stable",
        );
        check(r#"{"contract":1,"revision":1,"stage":{"a":1}}"#, "stage");
        check(
            r#"{"contract":1,"revision":1,"routes":[{"name":"a","stable":"s","variants":[],"key":{"sources":[{"header":1}]}}]}"#,
            "routes[0].key.sources[0].header",
        );
    }

    #[test]
    fn any_text_is_walked() {
        for text in ["", "{", "[[[", "}}]]", "\"", "{\"a\":\"\\", "nonsense", "{\"a\": [1, {\"b"] {
            let _ = path(text.as_bytes(), 1, text.len());
            let _ = path(text.as_bytes(), 9, 9);
        }
    }
}
