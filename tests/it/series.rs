//! `docs/metrics.md` says what the filter counts: no more and no less than its source defines and a real Envoy shows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headgate_tests::{Bootstrap, Client, Envoy, Metrics, Result, WebSocket, body, repository, streamed, wait_until};
use hyper::Method;
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::fixture::{Versions, route};
use crate::signing::{KEY, OTHER_KEY, decision, jws, now};

/// A row of the table.
#[derive(Debug, Default)]
struct Row {
    labels: BTreeSet<String>,
    /// By label, those that are listed.
    values: BTreeMap<String, BTreeSet<String>>,
}

/// What stands in backticks, in order.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// "`reason`: `a`, `b` (words), `0` to `3`": the values behind a label's name and a colon.
fn values(text: &str, label: &str) -> Option<BTreeSet<String>> {
    let listed = text.split_once(&format!("`{label}`: "))?.1.split(';').next()?;
    let mut all = BTreeSet::new();
    for part in listed.split(", ") {
        match quoted(part).as_slice() {
            [from, to] => all.extend((from.parse::<u32>().ok()?..=to.parse().ok()?).map(|n| n.to_string())),
            [one] => drop(all.insert(one.clone())),
            _ => return None,
        }
    }
    Some(all)
}

fn documented() -> Result<BTreeMap<String, Row>> {
    let text = std::fs::read_to_string(repository().join("docs/metrics.md"))?;
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `headgate_")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [names, labels, what] = cells[..] else { panic!("not three cells: {line}") };
        let mut row = Row { labels: quoted(labels).into_iter().collect(), ..Row::default() };
        for label in &row.labels {
            row.values.extend(values(what, label).map(|values| (label.clone(), values)));
        }
        if labels.contains("four") {
            row.labels.extend(["route", "variant", "assigned", "segment"].map(str::to_owned));
        }
        let [name] = quoted(names).try_into().expect("one series a row");
        assert!(rows.insert(name, row).is_none(), "twice: {line}");
    }
    Ok(rows)
}

/// The filter's source, without its tests, and that of the crate that names some of its series.
fn source() -> Result<String> {
    let mut all = String::new();
    let mut folders = vec![repository().join("src"), repository().join("routing/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path)?;
            all.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
    Ok(all)
}

#[test]
fn every_series_of_the_filters_source_is_documented_and_no_other() -> Result<()> {
    let source = source()?;
    let words = source.split('"').filter(|word| word.starts_with("headgate_"));
    let defined: BTreeSet<&str> =
        words.filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect();
    let documented = documented()?;
    assert_eq!(documented.keys().map(String::as_str).collect::<BTreeSet<_>>(), defined);
    Ok(())
}

#[test]
fn every_series_that_the_other_documents_name_is_documented() -> Result<()> {
    let documented = documented()?;
    let mut named = 0;
    for file in ["README.md", "docs/trust.md", "docs/benchmarks.md"] {
        let text = std::fs::read_to_string(repository().join(file))?;
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '*'));
        for word in words.filter(|word| word.starts_with("headgate_") && !word.ends_with(".wasm")) {
            let known = match word.strip_suffix('*') {
                Some(beginning) => documented.keys().any(|name| name.starts_with(beginning)),
                None => documented.contains_key(base(word)),
            };
            // Cookies, and the controller's own, have names of the same kind.
            let other = ["headgate_key", "headgate_token", "headgate_rollout"].iter().any(|own| word.starts_with(own));
            assert!(known || other, "{file}: {word}");
            named += usize::from(known);
        }
    }
    assert!(named >= 15, "only {named} were seen");
    Ok(())
}

/// These cannot all be brought about from outside: it is not known how to make Envoy refuse to set a header.
#[test]
fn every_kind_of_error_of_the_filters_source_is_documented_and_no_other() -> Result<()> {
    let source = source()?;
    let mut kinds = BTreeSet::new();
    for line in source.lines() {
        let counted = line.contains("counters::error(\"")
            || (line.contains("failed(") && (line.contains("_err()") || line.contains("failed(!")));
        let literal = line.trim_end().strip_suffix("\");").filter(|_| counted);
        kinds.extend(literal.and_then(|line| line.rsplit('"').next()).map(str::to_owned));
        // A call whose arguments stand in lines of their own.
        assert!(!counted || line.ends_with(");"), "not understood: {line}");
    }
    assert_eq!(documented()?["headgate_errors"].values["kind"], kinds);
    Ok(())
}

/// A route of a path of its own.
fn at(path: &str, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut route = route(1, 1);
    route["name"] = json!(name);
    route["match"] = json!({"path": {"prefix": path}});
    change(&mut route);
    route
}

/// A configuration in which everything can happen that is counted.
fn everything() -> Value {
    let routes = [
        at("/killed", "killed", |route| route["killSwitch"] = json!(true)),
        at("/random", "random", |route| {
            route["key"]["absent"] = json!("random");
            route["goals"] = json!([{"name": "bought", "match": {"path": {"exact": "/"}}}]);
        }),
        at("/issued", "issued", |route| route["key"]["absent"] = json!("issueCookie")),
        at("/lost", "lost", |route| route["variants"][0]["cluster"] = json!("elsewhere")),
        at("/", "model", |route| {
            route["match"]["hosts"] = json!(["model.example"]);
            route["include"] = json!([{"variant": "canary", "keys": ["vip"]}]);
            route["exclude"] = json!([
                {"variant": "canary", "keys": ["never", "nowhere"]},
                {"variant": "stable", "keys": ["nowhere"]}
            ]);
            route["overrides"] = json!([
                {"header": "x-canary", "exact": "open", "variant": "canary", "openToAnyone": true},
                {"header": "x-canary", "exact": "closed", "variant": "canary"}
            ]);
            route["segments"] = json!([{
                "name": "gold",
                "match": {"headers": [{"name": "x-tier", "exact": "gold"}]},
                "weights": {"stable": 1}
            }]);
            route["inbound"] = json!({"accept": true});
            route["mirror"] = json!({"share": 10_000, "maxBodyBytes": 10});
        }),
    ];
    json!({
        "contract": 1, "revision": 1, "routes": routes,
        "tokens": {"audience": "model", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]},
        "decisions": {"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_K1"}]},
        "metrics": {"replicates": ["requests", "finished", "failures", "timeouts", "latency", "clientErrors"]}
    })
}

const USER: (&str, &str) = ("x-user-id", "alice");

/// Tokens, each bad in its own way.
fn bad_tokens() -> Vec<String> {
    let claims = |audience: &str, variant: &str, ends: u64| json!({"aud": audience, "variant": variant, "exp": ends});
    vec![
        "nonsense".to_owned(),
        jws(KEY, "k9", &claims("model", "canary", now() + 60)),
        jws(OTHER_KEY, "k1", &claims("model", "canary", now() + 60)),
        jws(KEY, "k1", &claims("other", "canary", now() + 60)),
        jws(KEY, "k1", &claims("model", "canary", now() - 60)),
        jws(KEY, "k1", &claims("model", "canary", now() + 100_000)),
        jws(KEY, "k1", &claims("model", "gone", now() + 60)),
    ]
}

async fn live_through_it(client: &mut Client, envoy: &Envoy) -> Result<()> {
    for path in ["/killed", "/random", "/issued", "/lost", "/"] {
        client.get(path, &[]).await?;
    }
    for user in ["alice", "bob", "vip", "never", "nowhere"] {
        client.get("/", &[("x-user-id", user)]).await?;
        client.get("/status/500", &[("x-user-id", user), ("x-tier", "gold")]).await?;
        client.get("/status/404", &[("x-user-id", user)]).await?;
    }
    for canary in ["open", "closed"] {
        client.get("/", &[USER, ("x-canary", canary)]).await?;
    }
    let inbound = decision(KEY, "d1", "mesh", "model", "canary");
    client.get("/", &[("x-headgate-decisions", &inbound)]).await?;
    for token in bad_tokens() {
        client.get("/", &[USER, ("x-canary", "closed"), ("x-headgate-token", &token)]).await?;
    }
    client.get("/", &[USER, ("x_headgate_token", "forged")]).await?;
    client.get("/", &[USER, ("x-headgate-copy", "1")]).await?;
    client.request(Method::POST, "/", &[USER], body(vec![1_u8; 11])).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move { sender.send(Frame::data(Bytes::from_static(b"some"))).await });
    client.request(Method::POST, "/", &[USER], streamed(receiver)).await?;
    WebSocket::open(envoy.ingress(), &[USER]).await?.close().await?;
    for n in 0..10 {
        let user = format!("user-{n}");
        client.get("/hold", &[("x-user-id", &user)]).await?;
    }
    let mut other = client.build(Method::GET, "/", &[USER], headgate_tests::empty())?;
    other.headers_mut().insert("host", "other.example".parse()?);
    client.send(other).await?;
    let mut grpc = envoy.http2().await?;
    for status in ["0", "14", "77"] {
        let headers = [USER, ("content-type", "application/grpc"), ("te", "trailers"), ("x-grpc-status", status)];
        grpc.request(Method::POST, "/model.Scores/Score", &headers, body(&b"\0\0\0\0\x02hi"[..])).await?;
    }
    envoy.push_refused("{").await
}

/// Histograms have three names.
fn base(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn shown(metrics: &Metrics) -> BTreeSet<String> {
    metrics.names("headgate_").into_iter().map(|name| base(name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_shows_every_documented_series_with_its_labels_and_values_and_no_other() -> Result<()> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    for name in ["canary", "stable", "stable-mirrored"] {
        bootstrap.route(name)?["route"]["timeout"] = json!("0.05s");
    }
    let envoy = versions.behind(bootstrap).env("HEADGATE_KEY_K1", KEY).configuration(&everything()).start().await?;
    live_through_it(&mut envoy.http1().await?, &envoy).await?;
    let mut documented = documented()?;
    // No request makes the filter fail: see the test above.
    documented.remove("headgate_errors");
    // Another filter's, `headgate-shadow.wasm`: the tests of shadows and predictions look at those.
    documented.retain(|name, _| !["headgate_shadow_", "headgate_prediction_"].iter().any(|of| name.starts_with(of)));
    wait_until("every documented series shows", || async {
        let shown = shown(&envoy.admin().metrics().await?);
        Ok(documented.keys().all(|name| shown.contains(name)))
    })
    .await?;
    let metrics = envoy.metrics().await?;
    assert_eq!(shown(&metrics), documented.keys().cloned().collect());
    let mut seen: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for name in metrics.names("headgate_") {
        let row = &documented[base(name)];
        for (labels, _) in metrics.select(name, &[]) {
            let own: BTreeSet<String> = labels.keys().filter(|label| *label != "le").cloned().collect();
            assert_eq!(own, row.labels, "{name}");
            for (label, values) in &row.values {
                let value = labels[label].clone();
                assert!(values.contains(&value), "{name} has {label}=\"{value}\", which is not documented");
                seen.entry((base(name).to_owned(), label.clone())).or_default().insert(value);
            }
        }
    }
    // What is documented is no fancy: each of these values was seen.
    for (name, label) in
        [("headgate_requests", "reason"), ("headgate_mirror_refused", "reason"), ("headgate_bad_tokens", "reason")]
    {
        assert_eq!(seen[&(name.to_owned(), label.to_owned())], documented[name].values[label], "{name}");
    }
    Ok(())
}
