//! Every kind of condition that a route may have, and its opposite.

use headgate_tests::{Client, Result, body, empty};
use hyper::Method;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use crate::fixture::{Versions, route};

/// A request as far as conditions see it.
#[derive(Debug, Clone)]
struct Sent {
    method: Method,
    host: String,
    /// Behind the prefix that is the route's own.
    path: String,
    /// The header `x-f`.
    header: Option<String>,
}

fn sent() -> Sent {
    Sent { method: Method::GET, host: "model.example".to_owned(), path: String::new(), header: None }
}

/// A condition, and requests of which it holds or does not.
struct Case {
    condition: Value,
    requests: Vec<(Sent, bool)>,
}

/// A field's value; `None` when it is not there.
type Field = Option<&'static str>;

/// Conditions on a field, with values of which they hold and do not.
fn values() -> Vec<(Value, Vec<Field>, Vec<Field>)> {
    vec![
        (json!({"exact": "gold"}), vec![Some("gold")], vec![Some("golden"), Some("Gold"), Some(""), None]),
        (json!({"prefix": "eu-"}), vec![Some("eu-"), Some("eu-west")], vec![Some("neu-west"), Some("eu"), None]),
        (json!({"suffix": ".org"}), vec![Some("a.org"), Some(".org")], vec![Some("a.org.uk"), Some("org"), None]),
        (json!({"contains": "Fire"}), vec![Some("aFirefox"), Some("Fire")], vec![Some("fire"), Some("Fir"), None]),
        (json!({"regex": "v[0-9]+"}), vec![Some("v1"), Some("v12")], vec![Some("v"), Some("xv1"), Some("v1x"), None]),
        (json!({"oneOf": ["a", "b"]}), vec![Some("a"), Some("b")], vec![Some("c"), Some("ab"), None]),
        (json!({"present": true}), vec![Some("a"), Some("")], vec![None]),
        (json!({"present": false}), vec![None], vec![Some("a"), Some("")]),
    ]
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut push = |condition: Value, turned: Value, requests: Vec<(Sent, bool)>| {
        all.push(Case { condition, requests: requests.clone() });
        all.push(Case {
            condition: turned,
            requests: requests.into_iter().map(|(sent, holds)| (sent, !holds)).collect(),
        });
    };
    for (value, holds, fails) in values() {
        let tried = || holds.iter().map(|v| (*v, true)).chain(fails.iter().map(|v| (*v, false)));
        for (list, name) in [("headers", "x-f"), ("query", "f")] {
            let mut condition = value.clone();
            condition["name"] = json!(name);
            let mut turned = condition.clone();
            turned["invert"] = json!(true);
            let request = |value: Option<&str>| match list {
                "headers" => Sent { header: value.map(str::to_owned), ..sent() },
                _ => Sent { path: value.map(|value| format!("?e=1&f={value}")).unwrap_or_default(), ..sent() },
            };
            let requests = tried().map(|(value, holds)| (request(value), holds)).collect();
            push(json!({list: [condition]}), json!({list: [turned]}), requests);
        }
    }
    let hosts = [("a.example", true), ("A.Example:81", true), ("x.b.example", true), ("x.y.b.example", true)];
    let others = [("b.example", false), ("xa.example", false), ("a.example.org", false)];
    let requests =
        hosts.into_iter().chain(others).map(|(host, holds)| (Sent { host: host.to_owned(), ..sent() }, holds));
    let list = json!(["a.example", "*.b.example"]);
    push(json!({"hosts": list}), json!({"notHosts": list}), requests.collect());
    let methods = [(Method::GET, true), (Method::POST, true), (Method::PUT, false), (Method::HEAD, false)];
    let requests = methods.into_iter().map(|(method, holds)| (Sent { method, ..sent() }, holds));
    push(json!({"methods": ["GET", "POST"]}), json!({"notMethods": ["GET", "POST"]}), requests.collect());
    all
}

async fn served(client: &mut Client, prefix: &str, sent: &Sent) -> Result<String> {
    let path = format!("{prefix}{}", sent.path);
    let body = if sent.method == Method::POST { body("some") } else { empty() };
    let mut request = client.build(sent.method.clone(), &path, &[("x-user-id", "alice")], body)?;
    request.headers_mut().insert("host", HeaderValue::try_from(&sent.host)?);
    if let Some(value) = &sent.header {
        request.headers_mut().insert("x-f", HeaderValue::try_from(value)?);
    }
    Ok(client.send(request).await?.upstream())
}

/// A route to the canary on this condition.
fn on(name: &str, condition: Value) -> Value {
    let mut on = route(0, 1);
    on["name"] = json!(name);
    on["match"] = condition;
    on
}

fn everybody_else() -> Value {
    let mut rest = route(1, 0);
    rest["name"] = json!("rest");
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_on_hosts_methods_headers_and_queries_and_its_opposite() -> Result<()> {
    let versions = Versions::start().await?;
    let cases = cases();
    let mut routes = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        let mut condition = case.condition.clone();
        condition["path"] = json!({"exact": format!("/{n}")});
        routes.push(on(&format!("case-{n}"), condition));
    }
    routes.push(everybody_else());
    let configuration = json!({"contract": 1, "revision": 1, "routes": routes});
    let envoy = versions.envoy()?.configuration(&configuration).start().await?;
    let mut client = envoy.http1().await?;
    for (n, case) in cases.iter().enumerate() {
        for (sent, holds) in &case.requests {
            let expected = if *holds { "canary" } else { "stable" };
            assert_eq!(served(&mut client, &format!("/{n}"), sent).await?, expected, "{} {sent:?}", case.condition);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_on_the_path_and_its_opposite_and_a_grpc_method_is_a_path() -> Result<()> {
    let versions = Versions::start().await?;
    let paths = ["/v1/predict", "/v1/predict?a=/v2", "/v1/predict/", "/v1", "/V1/predict", "/model.Scores/Score", "/"];
    for (condition, hold) in [
        (json!({"exact": "/v1/predict"}), &[0, 1][..]),
        (json!({"prefix": "/v1/"}), &[0, 1, 2]),
        (json!({"regex": "/v[0-9]/[a-z]+"}), &[0, 1]),
        (json!({"prefix": "/model.Scores/"}), &[5]),
        (json!({"exact": "/model.Scores/Score"}), &[5]),
    ] {
        for invert in [false, true] {
            let mut path = condition.clone();
            path["invert"] = json!(invert);
            let routes = [on("case", json!({"path": path})), everybody_else()];
            let configuration = json!({"contract": 1, "revision": 1, "routes": routes});
            let envoy = versions.envoy()?.configuration(&configuration).start().await?;
            let (mut plain, mut grpc) = (envoy.http1().await?, envoy.http2().await?);
            for (n, path) in paths.iter().enumerate() {
                let expected = if hold.contains(&n) == invert { "stable" } else { "canary" };
                assert_eq!(served(&mut plain, path, &sent()).await?, expected, "{condition} {invert} {path}");
                let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("x-user-id", "alice")];
                let call = grpc.request(Method::POST, path, &headers, body(&b"\0\0\0\0\x02hi"[..])).await?;
                assert_eq!(call.upstream(), expected, "{condition} {invert} {path} by gRPC");
            }
        }
    }
    Ok(())
}
