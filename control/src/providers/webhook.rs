//! A number from any system that answers JSON over HTTP.

use serde_json::Value;

use super::Found;
use crate::web::Web;

/// Sends an address JSON that says what is meant, and takes a number from its answer, at a JSON pointer (RFC 6901) of the answer; the whole answer when it is empty.
///
/// # Errors
/// In words: not reachable, a status that is no success, no JSON, no number there.
pub(crate) fn number(
    web: &Web,
    url: &str,
    headers: &[(String, String)],
    body: &Value,
    pointer: &str,
) -> Result<Found, String> {
    let said = web.post(url, headers, body)?;
    let place = crate::web::place(url);
    if !(200..300).contains(&said.status) {
        return Err(format!("{place} answered {}", said.status));
    }
    if said.status == 204 || said.body.trim().is_empty() {
        return Ok(Found::Nothing);
    }
    let document: Value = serde_json::from_str(&said.body).map_err(|e| format!("{place} answered no JSON: {e}"))?;
    match document.pointer(pointer) {
        None => Err(format!("{place}: the answer has nothing at `{pointer}`")),
        Some(Value::Null) => Ok(Found::Nothing),
        Some(Value::Bool(yes)) => Ok(Found::Number(f64::from(u8::from(*yes)))),
        Some(value) => match value.as_f64() {
            Some(number) if number.is_finite() => Ok(Found::Number(number)),
            _ => Err(format!("{place}: `{pointer}` is {value}, no number")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{Manner, tests::server};

    #[test]
    fn a_number_is_found_by_its_pointer_and_nothing_is_told_from_an_error() {
        let answers = [
            (200, r#"{"a":{"b":[0.5]}}"#),
            (200, r#"{"a":{"b":[null]}}"#),
            (204, ""),
            (200, r#"{"a":1}"#),
            (200, "<html>"),
            (401, "{}"),
        ];
        let (url, _asked) = server(answers.iter().map(|(s, b)| (*s, (*b).to_owned())).collect());
        let web = Web::new(Manner { retries: 0, ..Manner::default() }).unwrap();
        let ask = || number(&web, &url, &[], &Value::Null, "/a/b/0");
        assert_eq!(ask(), Ok(Found::Number(0.5)));
        assert_eq!(ask(), Ok(Found::Nothing));
        assert_eq!(ask(), Ok(Found::Nothing));
        assert!(ask().unwrap_err().contains("nothing at"));
        assert!(ask().unwrap_err().contains("no JSON"));
        assert!(ask().unwrap_err().contains("401"));
    }
}
