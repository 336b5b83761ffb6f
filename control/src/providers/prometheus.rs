//! Prometheus, by its HTTP API (`/api/v1/query`; <https://prometheus.io/docs/prometheus/latest/querying/api/>).
//!
//! Queries are instant ones, over a window that begins no earlier than the step: `{{window}}` is as many whole seconds as the
//! step has been counted for. An empty vector and NaN are no values (as Flagger has it); infinity and several series are errors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Found;
use crate::web::{Web, encoded};

/// What a query's placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill<'a> {
    pub(crate) route: &'a str,
    pub(crate) variant: &'a str,
    pub(crate) stable: &'a str,
    pub(crate) canary: &'a str,
    /// Of the window, Unix milliseconds.
    pub(crate) since: i64,
    pub(crate) now: i64,
}

impl Fill<'_> {
    /// Whole seconds of the window, rounded down so that it never reaches back before the step; `None` below one.
    pub(crate) fn seconds(&self) -> Option<i64> {
        Some((self.now - self.since) / 1000).filter(|s| *s >= 1)
    }

    /// Whether a query is over the window.
    pub(crate) fn is_in(text: &str) -> bool {
        text.contains("{{window}}") || text.contains("{{ window }}")
    }

    /// The text with its placeholders filled. Values are escaped for PromQL's and JSON's double quotes.
    pub(crate) fn apply(&self, text: &str) -> String {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let seconds = self.seconds().unwrap_or(1);
        let pairs = [
            ("route", quoted(self.route)),
            ("variant", quoted(self.variant)),
            ("stable", quoted(self.stable)),
            ("canary", quoted(self.canary)),
            ("window", format!("{seconds}s")),
            ("since", (self.since / 1000).to_string()),
            ("until", (self.now / 1000).to_string()),
        ];
        pairs.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value).replace(&format!("{{{{ {name} }}}}"), value)
        })
    }
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

/// Asks one instant query, evaluated at `now` (Unix milliseconds).
///
/// # Errors
/// In words: not reachable, refused, several series, infinite.
pub(crate) fn query(web: &Web, base: &str, query: &str, now: i64) -> Result<Found, String> {
    asked(web, base, query, now, read)
}

/// Asks one instant query of several series, evaluated at `now`: each with its labels.
///
/// # Errors
/// In words: not reachable, refused, infinite.
pub(crate) fn table(web: &Web, base: &str, query: &str, now: i64) -> Result<Vec<Row>, String> {
    asked(web, base, query, now, rows)
}

fn asked<T>(
    web: &Web,
    base: &str,
    query: &str,
    now: i64,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let seconds = format!("{}.{:03}", now / 1000, now % 1000);
    let url = format!("{}/api/v1/query?query={}&time={seconds}", base.trim_end_matches('/'), encoded(query));
    let said = web.get(&url, &[])?;
    read(&said.body).map_err(|e| format!("Prometheus at {} (status {}): {e}; the query was {query}", base, said.status))
}

fn data(text: &str) -> Result<Data, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|e| format!("no answer of its API: {e}"))?;
    if answer.status != "success" {
        return Err(answer.error.unwrap_or_else(|| "an error without words".to_owned()));
    }
    answer.data.ok_or_else(|| "an answer without data".to_owned())
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let data = data(text)?;
    let ("vector", serde_json::Value::Array(list)) = (data.result_type.as_str(), &data.result) else {
        return Err(format!("a {}: an instant vector is needed", data.result_type));
    };
    let mut rows = Vec::new();
    for series in list {
        let labels = series.get("metric").and_then(serde_json::Value::as_object).into_iter().flatten();
        let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        if let Found::Number(value) = number(series.get("value").ok_or("a series without a value")?)? {
            rows.push(Row { labels, value });
        }
    }
    Ok(rows)
}

fn read(text: &str) -> Result<Found, String> {
    let data = data(text)?;
    let sample = match (data.result_type.as_str(), &data.result) {
        ("scalar", pair) => pair,
        ("vector", serde_json::Value::Array(list)) => match list.as_slice() {
            [] => return Ok(Found::Nothing),
            [one] => one.get("value").ok_or("a series without a value")?,
            more => return Err(format!("{} series: sum or filter them, so that one is left", more.len())),
        },
        (other, _) => return Err(format!("a {other}: an instant vector or a scalar is needed")),
    };
    number(sample)
}

fn number(sample: &serde_json::Value) -> Result<Found, String> {
    let text = sample.get(1).and_then(serde_json::Value::as_str).ok_or("a value of another form")?;
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if number.is_nan() {
        Ok(Found::Nothing)
    } else if number.is_infinite() {
        Err("infinity: a division by nothing, or a quantile beyond the last bucket".to_owned())
    } else {
        Ok(Found::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{Manner, tests::server};

    fn vector(values: &[&str]) -> String {
        let list: Vec<_> = values.iter().map(|v| serde_json::json!({"metric": {}, "value": [1.5, v]})).collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": list}}).to_string()
    }

    #[test]
    fn nothing_is_never_a_number() {
        assert_eq!(read(&vector(&[])), Ok(Found::Nothing));
        assert_eq!(read(&vector(&["NaN"])), Ok(Found::Nothing));
        assert_eq!(read(&vector(&["0.25"])), Ok(Found::Number(0.25)));
        assert_eq!(
            read(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#),
            Ok(Found::Number(3.0))
        );
        for bad in [vector(&["+Inf"]), vector(&["1", "2"]), vector(&["x"]), "<html>".into(), "{}".into()] {
            read(&bad).unwrap_err();
        }
        let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(read(refused), Err("parse error".to_owned()));
    }

    #[test]
    fn a_table_has_a_row_for_each_series_that_has_a_number() {
        let series =
            |bucket: &str, value: &str| serde_json::json!({"metric": {"bucket": bucket}, "value": [1.5, value]});
        let page = |list: Vec<serde_json::Value>| {
            serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": list}}).to_string()
        };
        let found = rows(&page(vec![series("0", "3"), series("7", "NaN"), series("31", "2.5")])).unwrap();
        let seen: Vec<(&str, f64)> = found.iter().map(|r| (r.labels["bucket"].as_str(), r.value)).collect();
        assert_eq!(seen, [("0", 3.0), ("31", 2.5)]);
        assert_eq!(rows(&page(vec![])), Ok(vec![]));
        rows(&page(vec![series("0", "+Inf")])).unwrap_err();
        rows(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#).unwrap_err();
    }

    #[test]
    fn the_window_begins_with_the_step_and_never_before() {
        let fill = Fill { route: "s\"x", variant: "canary", stable: "a", canary: "b", since: 10_000, now: 74_999 };
        assert_eq!(
            fill.apply(r#"rate(x{route="{{route}}",v="{{ variant }}"}[{{window}}])"#),
            r#"rate(x{route="s\"x",v="canary"}[64s])"#
        );
        assert_eq!(Fill { now: 10_999, ..fill }.seconds(), None);
    }

    #[test]
    fn the_query_and_the_time_are_sent() {
        let (url, asked) = server(vec![(200, vector(&["7"]))]);
        let web = Web::new(Manner::default()).unwrap();
        assert_eq!(query(&web, &url, "sum(up) > 0", 1_700_000_000_250), Ok(Found::Number(7.0)));
        let (head, _) = asked.recv().unwrap();
        assert!(head.starts_with("GET /api/v1/query?query=sum%28up%29%20%3E%200&time=1700000000.250 "), "{head}");
    }
}
