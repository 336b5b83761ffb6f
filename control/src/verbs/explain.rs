//! `headgate explain`: a request on the command line, through the same `decide` as in a proxy.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use headgate_routing::{Copy, Env, HeaderOp, Keyring, Trace, View};
use serde_json::json;

use crate::answer::Answer;
use crate::cli::requests::Explain;
use crate::exit::{Exit, Failure};
use crate::plugin::Plugin;

pub(super) fn run(args: &Explain) -> Result<Answer, Failure> {
    let plugin = Plugin::read(&args.file, None)?;
    let request = Request::of(args).map_err(|reason| Failure::new(Exit::Usage, reason))?;
    let keyring = Keyring::load(&plugin.table, &|name| std::env::var(name).ok().map(String::into_bytes));
    let steps = Steps::default();
    let env = Env { now: &now, random: &random, keyring: &keyring, trace: Some(&steps) };
    let outcome = plugin.table.decide(&request, &env);

    let passed = steps.0.borrow();
    let mut lines: Vec<String> = passed.iter().map(|(rule, result)| format!("  {rule}: {result}")).collect();
    if !lines.is_empty() {
        lines.insert(0, "rules passed:".to_owned());
    }
    let mut json = json!({"rules": passed.iter().map(|(rule, result)| json!({"rule": rule, "result": result})).collect::<Vec<_>>()});
    let headers: Vec<String> = outcome.headers.iter().map(shown).collect();
    let state: Vec<String> = outcome.state.iter().map(|(k, v)| format!("wasm.{k}={v}")).collect();
    if let Some(fields) = json.as_object_mut() {
        fields.insert("headers".to_owned(), json!(headers));
        fields.insert("filterState".to_owned(), json!(state));
        fields.insert("route".to_owned(), json!(null));
    }
    match (&outcome.decision, outcome.decision.as_ref().and_then(|d| plugin.table.route(d.route))) {
        (Some(decision), Some(route)) => {
            let variant = route.variants.get(decision.variant);
            let name = variant.map(|v| v.name.as_str()).unwrap_or_default();
            let segment = decision
                .segment
                .checked_sub(1)
                .and_then(|i| route.segments.get(i))
                .map_or("default", |s| s.name.as_str());
            let (reason, assigned) = (decision.reason.as_str(), decision.assigned.as_str());
            lines.insert(
                0,
                format!(
                    "route {} -> variant {name} (reason {reason}, assigned {assigned}, segment {segment})",
                    route.name
                ),
            );
            let copy = match decision.copy {
                Copy::None => None,
                Copy::Sent => Some("sent".to_owned()),
                Copy::Refused(why) => Some(format!("refused: {}", why.as_str())),
            };
            if let Some(cluster) = variant.and_then(|v| v.cluster.as_deref()) {
                lines.push(format!("cluster: {cluster}"));
            }
            lines.extend(copy.iter().map(|copy| format!("copy: {copy}")));
            lines.extend(decision.cookie.iter().map(|cookie| format!("set-cookie: {}", cookie.set_cookie)));
            if let Some(fields) = json.as_object_mut() {
                fields.insert("route".to_owned(), json!(route.name));
                fields.insert("variant".to_owned(), json!(name));
                fields.insert("reason".to_owned(), json!(reason));
                fields.insert("assigned".to_owned(), json!(assigned));
                fields.insert("segment".to_owned(), json!(segment));
                fields.insert("replicate".to_owned(), json!(decision.replicate));
                fields.insert("copy".to_owned(), json!(copy));
                fields.insert("cookie".to_owned(), json!(decision.cookie.as_ref().map(|c| &c.set_cookie)));
            }
        }
        _ => lines.insert(0, "no route matches: the request goes its way, without forged headers".to_owned()),
    }
    lines.extend(state.iter().map(|s| format!("filter state: {s}")));
    lines.extend(headers.iter().map(|h| format!("header: {h}")));
    // Not the proxies' environment, so a token may be believed there and not here.
    let missing = keyring.missing();
    lines.extend(
        missing
            .iter()
            .map(|env| format!("note: {env} is not set here (or below 32 bytes): what its key signed is not believed")),
    );
    if let Some(fields) = json.as_object_mut() {
        fields.insert("missingKeys".to_owned(), json!(missing));
    }
    Ok(Answer::done(json, lines.join("\n")))
}

fn shown(change: &HeaderOp<'_>) -> String {
    match change {
        HeaderOp::Remove(name) => format!("remove {name}"),
        HeaderOp::Set(name, value) => format!("set {name}: {value}"),
        HeaderOp::SetBytes(name, value) => format!("set {name}: {}", String::from_utf8_lossy(value)),
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or_default()
}

/// Explaining issues no cookie that anybody keeps: the standard library's seeds are random enough.
#[expect(clippy::unnecessary_wraps, reason = "the type that a decision asks for")]
fn random() -> Option<u128> {
    use std::hash::{BuildHasher as _, RandomState};
    Some(u128::from(RandomState::new().hash_one(1)) << 64 | u128::from(RandomState::new().hash_one(2)))
}

#[derive(Default)]
struct Steps(RefCell<Vec<(String, String)>>);

impl Trace for Steps {
    fn step(&self, rule: &str, result: &str) {
        self.0.borrow_mut().push((rule.to_owned(), result.to_owned()));
    }
}

/// A request as the command line describes it.
struct Request {
    headers: BTreeMap<String, String>,
    claims: BTreeMap<Vec<String>, Vec<u8>>,
    address: String,
}

impl Request {
    fn of(args: &Explain) -> Result<Self, String> {
        let mut headers = BTreeMap::new();
        for line in &args.headers {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("`{line}` is no header: write 'name: value'"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            // As in a decision, the first value counts; of cookies all do.
            match headers.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(value.to_owned());
                }
                Entry::Occupied(mut entry) if entry.key() == "cookie" => {
                    let all = entry.get_mut();
                    all.push_str("; ");
                    all.push_str(value);
                }
                Entry::Occupied(_) => {}
            }
        }
        if let Some(bad) = args.cookies.iter().find(|c| !c.contains('=')) {
            return Err(format!("`{bad}` is no cookie: write 'name=value'"));
        }
        if !args.cookies.is_empty() {
            let all = headers.remove("cookie").into_iter().chain(args.cookies.iter().cloned()).collect::<Vec<_>>();
            headers.insert("cookie".to_owned(), all.join("; "));
        }
        headers.insert(":path".to_owned(), args.path.clone());
        headers.insert(":method".to_owned(), args.method.clone());
        headers.insert(":authority".to_owned(), args.host.clone());
        headers.insert(":scheme".to_owned(), "http".to_owned());
        let mut claims = BTreeMap::new();
        for claim in &args.claims {
            let wrong = || format!("`{claim}` is no claim: write 'provider.claim=value'");
            let (path, value) = claim.split_once('=').ok_or_else(wrong)?;
            // A claim that is a number reaches the filter as a double, little end first.
            let (path, value) = match path.strip_suffix(':') {
                None => (path, value.as_bytes().to_vec()),
                Some(path) => (path, value.parse::<f64>().map_err(|_| wrong())?.to_le_bytes().to_vec()),
            };
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            if path.len() < 2 {
                return Err(wrong());
            }
            claims.insert(path, value);
        }
        let address = match args.address {
            std::net::IpAddr::V4(ip) => format!("{ip}:40000"),
            std::net::IpAddr::V6(ip) => format!("[{ip}]:40000"),
        };
        Ok(Self { headers, claims, address })
    }
}

impl View for Request {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers.get(name).map(|value| Cow::Borrowed(value.as_bytes()))
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        match path {
            ["source", "address"] => Some(self.address.clone().into_bytes()),
            ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", claim @ ..] => {
                let claim: Vec<String> = claim.iter().map(|part| (*part).to_owned()).collect();
                self.claims.get(&claim).cloned()
            }
            _ => None,
        }
    }

    fn ends_with_headers(&self) -> bool {
        !self.headers.contains_key("content-length") && !self.headers.contains_key("transfer-encoding")
    }
}
