//! What `compile` refuses: everything at once, each with its path and the way out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]
#![cfg(not(target_arch = "wasm32"))]

mod support;

use headgate_contract::limits;

const ROUTE: &str =
    r#""name":"shop","stable":"stable","variants":[{"name":"stable","weight":95},{"name":"canary","weight":5}]"#;
const KEY: &str = r#""key":{"sources":[{"header":"x-user"}]}"#;

fn document(head: &str, fields: &str) -> String {
    format!(r#"{{"contract":1,"revision":1{head},"routes":[{{{ROUTE}{fields}}}]}}"#)
}

fn problems(json: &str) -> Vec<(String, String)> {
    let problems = support::table(json).err().map(|problems| problems.0).unwrap_or_default();
    problems.into_iter().map(|problem| (problem.path, problem.reason)).collect()
}

/// Exactly one problem, at `path`, whose reason has `words`; none when `path` is `-`.
#[track_caller]
fn check(json: &str, path: &str, words: &str) {
    let found = problems(json);
    match found.as_slice() {
        [] => assert_eq!(path, "-", "taken: {json}"),
        [(at, reason)] => assert!(at == path && reason.contains(words), "{at}: {reason}\nexpected {path}: {words}"),
        several => panic!("{several:#?}\nexpected {path}: {words}"),
    }
}

/// A route's fields.
#[track_caller]
fn route(fields: &str, path: &str, words: &str) {
    let fields = if fields.is_empty() { String::new() } else { format!(",{fields}") };
    let path = if path == "-" { path.to_owned() } else { format!("routes[0].{path}") };
    check(&document("", &fields), &path, words);
}

/// The document's fields, before a route that is sound.
#[track_caller]
fn head(fields: &str, path: &str, words: &str) {
    check(&document(&format!(",{fields}"), ""), path, words);
}

#[test]
fn a_sound_configuration_is_taken() {
    route("", "-", "");
    route(&format!(r#"{KEY},"salt":"s","segments":[{{"name":"p","match":{{}},"weights":{{"canary":1}}}}]"#), "-", "");
    head(r#""tokens":{"audience":"a","keys":[{"id":"k","env":"K"}]}"#, "-", "");
    check(r#"{"contract":1,"revision":0}"#, "-", "");
}

#[test]
fn names_are_checked_and_unique() {
    head(r#""target":"a b""#, "target", "letters, digits");
    head(r#""stage":"ä""#, "stage", "start with a letter");
    let twice = format!(r#"{{"contract":1,"revision":1,"routes":[{{{ROUTE}}},{{{ROUTE}}}]}}"#);
    check(&twice, "routes[1].name", "already the name of routes[0].name");
    let sound = document("", "");
    check(&sound.replace(r#""name":"shop""#, r#""name":"a;b""#), "routes[0].name", "';'");
    check(
        &sound.replace(r#""name":"canary""#, r#""name":"stable""#),
        "routes[0].variants[1].name",
        "names must differ",
    );
    route(r#""salt":"a\u0000b""#, "salt", "NUL");
    route(r#""salt":"""#, "salt", "1 to 100");
    let segment =
        |name: &str| format!(r#"{KEY},"segments":[{{"name":"{name}","match":{{}},"weights":{{"canary":1}}}}]"#);
    route(&segment("default"), "segments[0].name", "label of requests without");
}

#[test]
fn variants_and_weights_are_checked() {
    let sound = document("", "");
    check(&sound.replace("\"weight\":5}", "\"weight\":1048577}"), "routes[0].variants[1].weight", "2^20");
    check(&sound.replace("95", "0").replace(":5}", ":0}"), "routes[0].variants", "every weight is 0");
    check(&sound.replace(r#""stable":"stable""#, r#""stable":"stabel""#), "routes[0].stable", "did you mean `stable`?");
    check(
        &sound.replace(r#""stable":"stable""#, r#""stable":"primary""#),
        "routes[0].stable",
        "there are stable, canary",
    );
    let many: Vec<String> = (0..33).map(|i| format!(r#"{{"name":"v{i}","weight":1}}"#)).collect();
    let many = format!(
        r#"{{"contract":1,"revision":1,"routes":[{{"name":"r","stable":"v0","variants":[{}]}}]}}"#,
        many.join(",")
    );
    check(&many, "routes[0].variants", "33 variants, at most 32");
    let weights = format!(r#"{KEY},"segments":[{{"name":"p","match":{{}},"weights":{{"canari":1}}}}]"#);
    route(&weights, "segments[0].weights.canari", "did you mean `canary`?");
}

#[test]
fn matches_are_checked() {
    let of = |fields: &str| format!(r#""match":{{{fields}}}"#);
    route(&of(r#""hosts":["a:80"]"#), "match.hosts[0]", "without its port");
    route(&of(r#""hosts":["*"]"#), "match.hosts[0]", "leave `hosts` out");
    route(&of(r#""hosts":["a.*.b"]"#), "match.hosts[0]", "beginning");
    route(&of(r#""path":{}"#), "match.path", "exactly one of exact, prefix, regex");
    route(&of(r#""path":{"exact":"/a","prefix":"/b"}"#), "match.path", "keep one");
    route(&of(r#""path":{"prefix":"a"}"#), "match.path.prefix", "start with `/`");
    route(&of(r#""path":{"exact":"/a?b"}"#), "match.path.exact", "query");
    route(&of(r#""methods":["get"]"#), "match.methods[0]", "`GET`");
    route(&of(r#""headers":[{"name":"X-A","exact":"1"}]"#), "match.headers[0].name", "`x-a`");
    route(&of(r#""headers":[{"name":":path","exact":"1"}]"#), "match.headers[0].name", "`hosts`, `path`");
    route(&of(r#""headers":[{"name":"a","exact":"1","present":true}]"#), "match.headers[0]", "exact and present");
    route(&of(r#""query":[{"name":"q","contains":""}]"#), "match.query[0].contains", "present");
    route(&of(r#""claims":[{"provider":"p","claim":[],"exact":"1"}]"#), "match.claims[0].claim", "path to a claim");
}

#[test]
fn regular_expressions_are_bounded() {
    let of = |regex: &str| format!(r#""match":{{"path":{{"regex":"{regex}"}}}}"#);
    route(&of("/a(b"), "match.path.regex", "not a regular expression");
    route(&of("/a)|(?:b"), "match.path.regex", "not a regular expression");
    route(&of(&"a".repeat(1_025)), "match.path.regex", "1024 bytes");
    route(&of("(a{100}){100}"), "match.path.regex", "not a regular expression that can be taken");
    route(&of(&format!("{}a{}", "(".repeat(40), ")".repeat(40))), "match.path.regex", "not a regular expression that");
    let many: Vec<String> = (0..257).map(|i| {
        format!(r#"{{"name":"r{i}","stable":"a","variants":[{{"name":"a","weight":1}}],"match":{{"path":{{"regex":"/{i}"}}}}}}"#)
    }).collect();
    check(
        &format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, many.join(",")),
        "routes[256].match.path.regex",
        "256",
    );
}

#[test]
fn keys_and_cookies_are_checked() {
    let key = |fields: &str| format!(r#""key":{{{fields}}}"#);
    route(&key(r#""sources":[]"#), "key.sources", "names no source");
    route(&key(r#""sources":[{}]"#), "key.sources[0]", "exactly one of header, cookie");
    route(&key(r#""sources":[{"header":"a","query":"b"}]"#), "key.sources[0]", "header and query");
    route(&key(r#""sources":[{"cookie":"a b"}]"#), "key.sources[0].cookie", "no cookie's name");
    route(&key(r#""sources":[{"clientAddress":{"prefixV4":33}}]"#), "key.sources[0].clientAddress.prefixV4", "1 to 32");
    route(&key(r#""sources":[{"claim":{"claim":["sub"]}}]"#), "key.sources[0].claim", "unverified");
    route(
        &key(r#""sources":[{"claim":{"claim":["sub"],"provider":"p","unverified":true}}]"#),
        "key.sources[0].claim",
        "keep one",
    );
    route(&key(r#""sources":[{"header":"a"}],"cookie":{}"#), "key.cookie", "never issued");
    let cookie = |fields: &str| key(&format!(r#""sources":[],"absent":"issueCookie","cookie":{{{fields}}}"#));
    route(&cookie(r#""sameSite":"none","secure":false"#), "key.cookie.sameSite", "Secure");
    route(&cookie(r#""maxAge":0"#), "key.cookie.maxAge", "400 days");
    route(&cookie(r#""path":"/;x""#), "key.cookie.path", "no `;`");
    route(&cookie(r#""domain":"a b""#), "key.cookie.domain", "no domain");
    route(&cookie(r#""name":"__Host-k","domain":"a.b""#), "key.cookie.name", "__Host-");
}

#[test]
fn overrides_need_a_condition_and_somebody_who_may() {
    let of = |fields: &str| format!(r#""overrides":[{{"variant":"canary",{fields}}}]"#);
    let open = r#""openToAnyone":true"#;
    route(&of(r#""header":"a","exact":"1""#), "overrides[0]", "openToAnyone");
    route(&of(open), "overrides[0]", "puts everybody");
    route(&of(&format!(r#"{open},"header":"a""#)), "overrides[0]", "exactly one of exact");
    route(&of(&format!(r#"{open},"header":"a","query":"b","exact":"1""#)), "overrides[0]", "header and query");
    let tokens = r#","tokens":{"audience":"a","header":"x-t","cookie":"t","keys":[{"id":"k","env":"K"}]}"#;
    let held = |fields: &str| document(tokens, &format!(",{}", of(fields)));
    check(&held(r#""exact":"1""#), "routes[0].overrides[0].exact", "header, cookie or query");
    check(&held(r#""cookie":"t","exact":"1""#), "routes[0].overrides[0].cookie", "cookie for tokens");
    check(&held(r#""header":"x-t","exact":"1""#), "routes[0].overrides[0].header", "header for tokens");
    check(&held(r#""header":"x_t","exact":"1""#), "routes[0].overrides[0].header", "header for tokens");
    route(r#""inbound":{"accept":true}"#, "inbound", "`decisions`");
}

#[test]
fn lists_are_checked() {
    let lists = |text: &str| format!("{KEY},{text}");
    route(&lists(r#""include":[{"variant":"canary","hashes":["12"]}]"#), "include[0].hashes[0]", "16 lower-case");
    route(
        &lists(r#""include":[{"variant":"canary","hashes":["ABCDEF0123456789"]}]"#),
        "include[0].hashes[0]",
        "lower-case",
    );
    route(&lists(r#""exclude":[{"variant":"x","keys":["a"]}]"#), "exclude[0].variant", "no variant `x`");
    let both = r#""include":[{"variant":"canary","keys":["a","b"]},{"variant":"stable","keys":["b"]}]"#;
    route(&lists(both), "include[1]", "is listed for");
    let torn = r#""include":[{"variant":"canary","keys":["a"]}],"exclude":[{"variant":"canary","keys":["a"]}]"#;
    route(&lists(torn), "include[0]", "included in and excluded from `canary`");
    route(r#""include":[{"variant":"canary","keys":["a"]}]"#, "include", "no `key`");
    let empty = vec!["\"\""; 25].join(",");
    let found = problems(&document("", &format!(r#",{KEY},"exclude":[{{"variant":"canary","keys":[{empty}]}}]"#)));
    assert_eq!((found.len(), found[20].1.as_str()), (21, "5 more entries are at fault"));
    let many = |n: u64| {
        let hashes: Vec<String> = (0..n).map(|i| format!("\"{i:016x}\"")).collect();
        document("", &format!(r#",{KEY},"include":[{{"variant":"canary","hashes":[{}]}}]"#, hashes.join(",")))
    };
    check(&many(200_000), "-", "");
    check(&many(200_001), "routes", "at most 200000");
}

#[test]
fn outputs_are_checked() {
    route(r#""output":{"filterState":null}"#, "output", "tells nobody");
    let header = |name: &str| format!(r#""output":{{"requestHeader":{{"name":"{name}"}}}}"#);
    for reserved in ["host", "cookie", "content-length", "x-envoy-decorator", "authorization"] {
        route(&header(reserved), "output.requestHeader.name", "meaning of its own");
    }
    route(&header(":path"), "output.requestHeader.name", "no header's name");
    route(r#""output":{"responseHeader":"set-cookie"}"#, "output.responseHeader", "meaning of its own");
    route(r#""output":{"defaultRoute":"nobody"}"#, "output.defaultRoute", "nobody");
    route(r#""output":{"requestHeader":{"name":"x-v","nonce":"short"}}"#, "output.requestHeader.nonce", "8 to 64");
    let two = r#""output":{"requestHeader":{"name":"x-v"}},"mirror":{"share":1,"requestHeader":{"name":"x_v"}}"#;
    route(two, "mirror.requestHeader.name", "already used for variants");
    route(r#""mirror":{"share":10001}"#, "mirror.share", "every request");
    route(r#""mirror":{"share":1,"maxBodyBytes":4194305}"#, "mirror.maxBodyBytes", "stall");
    route(r#""mirror":{"share":1,"filterState":"variant"}"#, "mirror.filterState", "already holds");
    route(r#""mirror":{"share":1,"filterState":null}"#, "mirror", "tells nobody");
    let read = r#""output":{"requestHeader":{"name":"x-v"}},"match":{"headers":[{"name":"x_v","exact":"1"}]}"#;
    route(read, "match.headers[0].name", "no client may send");
}

#[test]
fn secrets_are_named_not_written() {
    let of = |fields: &str| format!(r#""decisions":{{"audience":"a",{fields}}}"#);
    head(&of(r#""keys":[]"#), "decisions.keys", "no key");
    head(&of(r#""keys":[{"id":"k","env":"A-B"}]"#), "decisions.keys[0].env", "environment variable");
    head(&of(r#""keys":[{"id":"k","env":"A"},{"id":"k","env":"B"}]"#), "decisions.keys[1].id", "names must differ");
    let both = r#""tokens":{"audience":"a","header":"x-d","keys":[{"id":"k","env":"K"}]},"decisions":{"audience":"a","header":"x-d","keys":[{"id":"k","env":"K"}]}"#;
    head(both, "decisions.header", "already used for tokens");
}

#[test]
fn the_number_of_routes_and_series_is_bounded() {
    let routes = |n: usize, variants: usize| {
        let variants: Vec<String> = (0..variants).map(|v| format!(r#"{{"name":"v{v}","weight":1}}"#)).collect();
        let route = |i| format!(r#"{{"name":"r{i}","stable":"v0","variants":[{}]}}"#, variants.join(","));
        (0..n).map(route).collect::<Vec<_>>().join(",")
    };
    check(&format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, routes(2_000, 2)), "-", "");
    check(
        &format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, routes(2_001, 1)),
        "routes",
        "2001 routes, at most 2000",
    );
    check(&format!(r#"{{"contract":1,"revision":1,"routes":[{}]}}"#, routes(500, 32)), "routes", "metric series");
}

/// What has its own test above is not here: variants, weights, lists, regular expressions, routes, series.
#[test]
fn everything_is_taken_at_its_limit_and_refused_one_beyond() {
    fn list(n: usize, item: impl Fn(usize) -> String) -> String {
        (0..n).map(item).collect::<Vec<_>>().join(",")
    }
    let at = |limit: usize, path: &str, words: &str, fields: &dyn Fn(usize) -> String| {
        route(&fields(limit), "-", "");
        route(&fields(limit + 1), path, words);
    };
    at(limits::SEGMENTS, "segments", "at most 32", &|n| {
        let segment = |i| format!(r#"{{"name":"s{i}","match":{{}},"weights":{{"canary":1}}}}"#);
        format!(r#"{KEY},"segments":[{}]"#, list(n, segment))
    });
    at(limits::OVERRIDES, "overrides", "at most 64", &|n| {
        let rule = |i| format!(r#"{{"header":"x-a","exact":"{i}","variant":"canary","openToAnyone":true}}"#);
        format!(r#""overrides":[{}]"#, list(n, rule))
    });
    at(limits::KEY_SOURCES, "key.sources", "at most 16", &|n| {
        format!(r#""key":{{"sources":[{}]}}"#, list(n, |i| format!(r#"{{"header":"x-{i}"}}"#)))
    });
    at(limits::CONDITIONS, "match", "at most 256", &|n| {
        format!(r#""match":{{"hosts":[{}],"methods":["GET"]}}"#, list(n - 1, |i| format!(r#""h{i}.example""#)))
    });
    at(limits::NAME_BYTES, "salt", "1 to 100", &|n| format!(r#""salt":"{}""#, "s".repeat(n)));
    let keys = |n| {
        let keys = list(n, |i| format!(r#"{{"id":"k{i}","env":"K{i}"}}"#));
        document(&format!(r#","tokens":{{"audience":"a","keys":[{keys}]}}"#), "")
    };
    check(&keys(limits::TOKEN_KEYS), "-", "");
    check(&keys(limits::TOKEN_KEYS + 1), "tokens.keys", "at most 8");
    let bytes = |n: usize| {
        let sound = document("", "");
        format!("{sound}{}", " ".repeat(n - sound.len()))
    };
    check(&bytes(limits::CONFIG_BYTES), "-", "");
    check(&bytes(limits::CONFIG_BYTES + 1), "", "at most 4194304");
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(&document(
        r#","target":"a b","tokens":{"audience":"","keys":[]}"#,
        r#","salt":"","killSwitch":true,"match":{"methods":["get"]},"overrides":[{"variant":"x"}],"output":{"filterState":null}"#,
    ));
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "target",
        "tokens.audience",
        "tokens.keys",
        "routes[0].salt",
        "routes[0].match.methods[0]",
        "routes[0].overrides[0].variant",
        "routes[0].output",
    ];
    assert_eq!(paths, expected);
}

/// A route's shadow, beside what every one needs.
#[cfg(feature = "shadow")]
#[track_caller]
fn shadow(fields: &str, path: &str, words: &str) {
    let path = if path == "-" { path.to_owned() } else { format!("shadow{path}") };
    route(&format!(r#""shadow":{{"cluster":"v2","share":100{fields}}}"#), &path, words);
}

#[cfg(feature = "shadow")]
#[test]
fn shadows_are_checked() {
    shadow("", "-", "");
    route(r#""shadow":{"cluster":"v2","share":10001}"#, "shadow.share", "every request");
    route(r#""shadow":{"cluster":"","share":1}"#, "shadow.cluster", "1 to 256 bytes");
    route(r#""mirror":{"share":1},"shadow":{"cluster":"v2","share":1}"#, "shadow", "beside `mirror`");
    shadow(r#","segments":{"default":5}"#, "-", "");
    shadow(r#","segments":{"gold":5}"#, ".segments.gold", "there is no segment `gold`");
    shadow(r#","segments":{"default":10001}"#, ".segments.default", "every request");
    shadow(r#","methods":[]"#, ".methods", "names no method");
    shadow(r#","methods":["get"]"#, ".methods[0]", "upper case");
    shadow(r#","methods":["GET","CONNECT"]"#, ".methods[1]", "never copied");
    shadow(r#","methods":["GET","GET"]"#, ".methods[1]", "already the name");
    shadow(r#","timeoutMs":0"#, ".timeoutMs", "1 to 60000");
    shadow(r#","maxBodyBytes":4194305"#, ".maxBodyBytes", "0 to 4194304");
    shadow(r#","host":"two words""#, ".host", "no host");
    shadow(r#","dropHeaders":["content-length"]"#, ".dropHeaders[0]", "made anew");
    shadow(r#","dropHeaders":[":path"]"#, ".dropHeaders[0]", "no header's name");
    shadow(r#","replaceHeaders":[{"name":"authorization"}]"#, ".replaceHeaders[0]", "exactly one of value, env");
    let both = r#","dropHeaders":["cookie"],"replaceHeaders":[{"name":"cookie","value":"a=b"}]"#;
    shadow(both, ".replaceHeaders[0]", "drop it or replace it");
    let twice = r#","replaceHeaders":[{"name":"a","value":"1"},{"name":"a","env":"A"}]"#;
    shadow(twice, ".replaceHeaders[1].name", "already the name");
    shadow(r#","replaceHeaders":[{"name":"a","env":"1A"}]"#, ".replaceHeaders[0].env", "environment variable");
    shadow(r#","replaceHeaders":[{"name":"a","value":"b\r\nc: d"}]"#, ".replaceHeaders[0].value", "control characters");
    shadow(r#","noise":{"cluster":"v1","share":10001}"#, ".noise.share", "every request");
    shadow(r#","noise":{"cluster":"v1","relative":1.5}"#, ".noise.relative", "below 1");
    shadow(r#","record":{"bodyBytes":5000}"#, ".record.bodyBytes", "0 to 4096");
    shadow(r#","record":{"headers":["x-tier","cookie"]}"#, ".record.headers[1]", "carries credentials");
    let kept = r#","dropHeaders":["x-key"],"record":{"headers":["x-key"]}"#;
    shadow(kept, ".record.headers[0]", "kept from copies");
    shadow(r#","compare":{"body":"number"}"#, ".compare.number", "");
}

#[cfg(feature = "shadow")]
#[test]
fn what_shadows_may_cost_is_checked() {
    let document = |shadowing: &str| document(&format!(r#","shadowing":{{{shadowing}}}"#), "");
    let budget = |fields: &str| document(&format!(r#""budget":{{{fields}}}"#));
    let records = |fields: &str| document(&format!(r#""records":{{{fields}}}"#));
    check(&budget(r#""inFlight":1"#), "-", "");
    check(&budget(r#""inFlight":0"#), "shadowing.budget.inFlight", "1 to 10000");
    check(&budget(r#""perSecond":0"#), "shadowing.budget.perSecond", "1 to 1000000");
    check(&budget(r#""bytes":1"#), "shadowing.budget.bytes", "65536");
    check(&records(r#""cluster":"c""#), "-", "");
    check(&records(r#""log":true"#), "-", "");
    check(&records(""), "shadowing.records", "exactly one of cluster, log");
    check(&records(r#""cluster":"c","log":true"#), "shadowing.records", "keep one");
    check(&records(r#""cluster":"c","path":"records""#), "shadowing.records.path", "no path");
    check(&records(r#""cluster":"c","tokenEnv":"a b""#), "shadowing.records.tokenEnv", "environment variable");
    check(&records(r#""cluster":"c","recordBytes":1000"#), "shadowing.records.recordBytes", "2048 to 65536");
    check(&records(r#""cluster":"c","batchBytes":4096"#), "shadowing.records.batchBytes", "8192 to 1048576");
    check(&records(r#""cluster":"c","everyMs":1"#), "shadowing.records.everyMs", "10 to 60000");
}
