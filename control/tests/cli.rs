//! The program as people and scripts run it: exit codes, output, and what it says when something is wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef0123456789abcdef";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

fn headgate(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    let output = command.args(arguments).env("HEADGATE_KEY_K1", KEY).stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).display().to_string()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

const SHOP: &str = "routes:
  - name: shop
    stable: stable
    variants: [{name: stable, weight: 95, cluster: v1}, {name: canary, weight: 5, cluster: v2}]
    key: {sources: [{header: x-user-id}]}
";

#[test]
fn the_example_users_copy_is_good() {
    let ran = headgate(&["validate", &repository("envoy/plugin.yaml")]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("good, routes model"), "{}", ran.out);
}

#[test]
fn validate_tells_every_problem_of_every_file_with_line_and_way_out() {
    let folder = Folder::new();
    let a = folder
        .write("a.yaml", &SHOP.replace("stable: stable", "stabel: stable").replace("weight: 5,", "weight: many,"));
    let b = folder.write("b.yaml", &SHOP.replace("stable: stable", "stable: nobody"));
    let ran = headgate(&["validate", &a, &b]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(
        ran.err.contains("a.yaml:3:5 routes[0].stabel: unknown field `stabel`: did you mean `stable`?"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("a.yaml:4:72 routes[0].variants[1].weight: must be a whole number"), "{}", ran.err);
    assert!(ran.err.contains("b.yaml:3:5 routes[0].stable:"), "{}", ran.err);
    assert!(ran.err.contains("    3 |     stabel: stable\n      |     ^"), "{}", ran.err);
    assert!(!ran.err.contains('\u{1b}'), "no colour where there is no terminal");
    let ran = headgate(&["--json", "validate", &a, &b]);
    let json = ran.json();
    assert_eq!((ran.code, &json["ok"], &json["exit"]), (3, &json!(false), &json!("refused")));
    assert_eq!((&json["problems"][0]["line"], &json["problems"][0]["column"]), (&json!(2), &json!(5)));
    assert_eq!(json["problems"][0]["snippet"], "  - name: shop");
    let ran = headgate(&["validate", "/nowhere.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("/nowhere.yaml"), "{}", ran.err);
    assert_eq!(headgate(&["validate"]).code, 2);
}

#[test]
fn explain_tells_the_variant_the_rules_and_the_changes_of_headers() {
    let file = repository("envoy/plugin.yaml");
    let ran = headgate(&["explain", "-f", &file, "-H", "x-user-id: qa-1"]);
    assert!(
        ran.out.starts_with("route model -> variant canary (reason include, assigned forced, segment default)"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("routes[0].include"), "{}", ran.out);
    let json =
        headgate(&["explain", "-f", &file, "--path", "/x?version=stable", "--cookie", "sid=abc", "--json"]).json();
    assert_eq!((&json["variant"], &json["reason"]), (&json!("stable"), &json!("override")));
    let json = headgate(&["explain", "-f", &file, "--cookie", "sid=abc", "--json"]).json();
    assert_eq!((&json["reason"], &json["assigned"]), (&json!("hash"), &json!("hash")));
    let lines = ["explain", "-f", &file, "-H", "cookie: a=b", "-H", "Cookie: sid=abc", "--json"];
    assert_eq!(headgate(&lines).json()["variant"], json["variant"]);
    assert_eq!(headgate(&lines).json()["reason"], json!("hash"));
    let json = headgate(&[
        "explain",
        "-f",
        &file,
        "-H",
        "x-headgate-decisions: forged",
        "-H",
        "x-headgate-token: x",
        "--json",
    ])
    .json();
    assert_eq!(json["headers"], json!(["remove x-headgate-token"]));
    assert_eq!(headgate(&["explain", "-f", &file, "-H", "no header"]).code, 2);
}

#[test]
fn explain_knows_claims_and_addresses() {
    let folder = Folder::new();
    let claim = SHOP.replace("{header: x-user-id}", "{claim: {provider: payload, claim: [sub]}}");
    let file = folder.write("claim.yaml", &format!("{claim}    include: [{{variant: canary, keys: [alice]}}]\n"));
    let json = headgate(&["explain", "-f", &file, "--claim", "payload.sub=alice", "--json"]).json();
    assert_eq!((&json["variant"], &json["reason"]), (&json!("canary"), &json!("include")));
    let json = headgate(&["explain", "-f", &file, "--json"]).json();
    assert_eq!(json["reason"], "no_key");
    let number = claim.replace("claim: [sub]}", "claim: [uid], type: number}");
    let file = folder.write("number.yaml", &format!("{number}    include: [{{variant: canary, keys: ['42']}}]\n"));
    let json = headgate(&["explain", "-f", &file, "--claim", "payload.uid:=42", "--json"]).json();
    assert_eq!((&json["variant"], &json["reason"]), (&json!("canary"), &json!("include")));
    let address = SHOP.replace("{header: x-user-id}", "{clientAddress: {prefixV4: 24}}");
    let file = folder.write("address.yaml", &address);
    let rules = |ip: &str| headgate(&["explain", "-f", &file, "--address", ip, "--json"]).json();
    assert_eq!(rules("203.0.113.9")["reason"], "hash");
    assert_eq!(rules("203.0.113.9")["rules"], rules("203.0.113.200")["rules"], "one network, one key");
}

#[test]
fn a_token_is_believed_and_the_key_is_never_shown() {
    let file = repository("envoy/plugin.yaml");
    let ran = headgate(&["token", "-f", &file, "--variant", "canary", "--route", "model", "--ttl", "10m"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let header = format!("x-headgate-token: {}", ran.out.trim());
    let json = headgate(&["explain", "-f", &file, "-H", &header, "-H", "x-canary: always", "--json"]).json();
    assert_eq!((&json["variant"], &json["reason"]), (&json!("canary"), &json!("override")));
    let json = headgate(&["token", "-f", &file, "--variant", "canary", "--json"]);
    assert!(!json.out.contains(KEY) && !json.err.contains(KEY));
    for (arguments, code, said) in [
        (&["--variant", "nobody"][..], 2, "no route"),
        (&["--variant", "canary", "--route", "nowhere"], 2, "`model`"),
        (&["--variant", "canary", "--ttl", "25h"], 2, "24h"),
        (&["--variant", "canary", "--key-id", "k9"], 2, "`k1`"),
        (&["--variant", "canary", "--key-env", "HEADGATE_TEST_NOT_SET"], 1, "HEADGATE_TEST_NOT_SET"),
    ] {
        let ran = headgate(&[&["token", "-f", &file], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn render_prints_every_form() {
    let folder = Folder::new();
    let plugin = folder.write("shop.yaml", SHOP);
    let target = folder.write(
        "target.yaml",
        "name: shop\nfilter: {file: /etc/headgate/headgate.wasm, url: 'oci://registry.example/headgate:0.1.0'}\nistio: {namespace: istio-system}\n",
    );
    let form = |form: &str| {
        headgate(&["render", form, &target, "-f", &plugin, "--revision", "7", "--json"]).json()["object"].clone()
    };
    assert_eq!(form("plugin")["revision"], 7);
    assert_eq!(form("ecds")["version_info"], "7");
    assert_eq!(form("wasmplugin")["spec"]["pluginConfig"]["target"], "shop");
    assert_eq!(form("trafficextension")["spec"]["wasm"]["pluginConfig"]["revision"], 7);
    let yaml = headgate(&["render", "wasmplugin", &target, "-f", &plugin, "--revision", "7"]).out;
    assert!(yaml.starts_with("# note: `shop` says its variant by filter state alone"), "{yaml}");
    for (header, first) in [
        ("{name: x-v}", "# note: `shop` says its variant in a header without"),
        ("{name: x-v, nonce: 6f1d2c9ab4e8}", "apiVersion"),
    ] {
        let heard = folder.write("heard.yaml", &format!("{SHOP}    output: {{requestHeader: {header}}}\n"));
        let rendered = headgate(&["render", "trafficextension", &target, "-f", &heard]).out;
        assert!(rendered.starts_with(first), "{rendered}");
        assert_eq!(headgate(&["validate", &heard]).out.contains("note:"), first.starts_with('#'));
    }
    let read: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(read, form("wasmplugin"), "YAML and JSON are one object");
    assert_eq!(headgate(&["render", "ecds", "-f", &plugin]).code, 2);
}

#[test]
fn a_first_push_makes_the_file_and_later_ones_merge_into_it() {
    let folder = Folder::new();
    let plugin = folder.write("shop.yaml", SHOP);
    let target = folder.write(
        "target.yaml",
        "name: shop\npublisher: {file: {path: ecds.json}}\nfilter: {file: /etc/headgate/headgate.wasm}\n",
    );
    let ran = headgate(&["push", &target, "-f", &plugin]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("revision 0 -> 1") && ran.out.contains("nothing was verified"), "{}", ran.out);
    let ran = headgate(&["set", &target, "--route", "shop", "canary=20%"]);
    assert!(ran.out.contains("15.0000 % of users get another variant"), "{}", ran.out);
    let tokens = "tokens: {audience: a, keys: [{id: k1, env: HEADGATE_KEY_K1}]}\n";
    let other = folder.write("other.yaml", &(SHOP.replace("name: shop", "name: search") + tokens));
    let ran = headgate(&["push", &target, "-f", &other]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("note: no request reaches `search`: route `shop` stands before"), "{}", ran.out);
    assert!(ran.out.contains("note: the filter's VM is not given `HEADGATE_KEY_K1`"), "{}", ran.out);
    let json = headgate(&["status", &target, "--json"]).json();
    let routes = json["asked"]["configuration"]["routes"].as_array().unwrap().clone();
    let weights: Vec<&Value> =
        routes.iter().flat_map(|r| r["variants"].as_array().unwrap()).map(|v| &v["weight"]).collect();
    assert_eq!(
        (json["asked"]["revision"].clone(), weights),
        (json!(3), vec![&json!(4), &json!(1), &json!(95), &json!(5)])
    );
    let ran = headgate(&["set", &target, "--route", "nowhere", "canary=1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`shop`, `search`"), "{}", ran.err);
    // A file that would become another VM is not touched unless that is asked for.
    let moved = folder
        .write("moved.yaml", "name: shop\npublisher: {file: {path: ecds.json}}\nfilter: {file: /elsewhere.wasm}\n");
    let ran = headgate(&["push", &moved, "-f", &plugin]);
    assert_eq!(ran.code, 7);
    assert!(ran.err.contains("filename") && ran.err.contains("--replace-vm"), "{}", ran.err);
}

/// A proxy that answers every question for statistics with these.
fn proxy(stats: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = stats.to_string();
            let _closed =
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

#[test]
fn nothing_is_written_that_a_proxy_lacks() {
    let folder = Folder::new();
    let plugin = folder.write("shop.yaml", &format!("{SHOP}    mirror: {{share: 1}}\n"));
    let old = proxy(json!({"stats": [{"name": "server.concurrency", "value": 1},
        {"name": "wasmcustom.target=.=shop;.;version=.=0.0.9;.;features=.=overrides+lists;.;headgate_build", "value": 1}]}));
    let target = folder.write(
        "target.yaml",
        &format!("name: shop\npublisher: {{file: {{path: ecds.json}}}}\nfilter: {{file: /x.wasm}}\nproxies: [{{name: old-one, stats: '{old}'}}]\n"),
    );
    let ran = headgate(&["push", &target, "-f", &plugin]);
    assert_eq!(ran.code, 7, "{}", ran.err);
    assert!(ran.err.contains("old-one (filter 0.0.9) lacks `mirror`"), "{}", ran.err);
    assert!(!Path::new(&target).with_file_name("ecds.json").exists());
}

#[test]
fn schemas_and_completions_are_printed_and_every_verb_has_help_with_an_example() {
    let published: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("contract/schema.json")).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&headgate(&["schema"]).out).unwrap(), published);
    assert_eq!(headgate(&["schema", "target", "--json"]).json()["schema"]["title"], "Target");
    for shell in ["bash", "zsh", "fish"] {
        assert!(headgate(&["completion", shell]).out.contains("headgate"));
    }
    let verbs = [
        "validate",
        "render",
        "push",
        "set",
        "kill",
        "revive",
        "status",
        "explain",
        "token",
        "stats",
        "schema",
        "completion",
    ];
    let docs = std::fs::read_to_string(repository("docs/cli.md")).unwrap();
    for verb in verbs {
        let help = headgate(&[verb, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.out.contains("Example"), "{verb} has no example");
        assert!(docs.contains(&format!("headgate {verb}")), "docs/cli.md does not know {verb}");
    }
}

#[test]
fn a_kill_does_not_wait_for_a_writer_that_hangs() {
    let folder = Folder::new();
    let plugin = folder.write("shop.yaml", SHOP);
    let target = folder.write(
        "target.yaml",
        "name: shop\npublisher: {file: {path: ecds.json}}\nfilter: {file: /etc/headgate/headgate.wasm}\n",
    );
    assert_eq!(headgate(&["push", &target, "-f", &plugin]).code, 0);
    let published = Path::new(&target).with_file_name("ecds.json");
    let lock = std::fs::File::open(Path::new(&target).with_file_name(".ecds.json.lock")).unwrap();
    lock.lock().unwrap();
    let killed = || std::fs::read_to_string(&published).unwrap().contains(r#"\"killSwitch\":true"#);
    assert!(!killed());
    std::thread::scope(|scope| {
        let kill = scope.spawn(|| headgate(&["kill", &target]));
        // The kill is there although the lock is still held.
        while !killed() && !kill.is_finished() {
            std::thread::yield_now();
        }
        lock.unlock().unwrap();
        let ran = kill.join().unwrap();
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("the kill did not wait for it"), "{}", ran.out);
    });
    assert!(killed());
}

#[test]
fn init_writes_a_starter_that_validate_takes_and_never_writes_over_a_file() {
    let folder = Folder::new();
    for strategy in ["canary", "blue-green", "shadow", "ab", "bandit"] {
        let path = folder.0.path().join(format!("{strategy}.yaml")).display().to_string();
        let names = ["--name", "shop-v2", "--target", "target.yaml", "--route", "shop"];
        let ran = headgate(&[["init", "--strategy", strategy, &path].as_slice(), names.as_slice()].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let ran = headgate(&["validate", &path]);
        assert_eq!(ran.code, 0, "{strategy}: {}", ran.err);
        assert!(ran.out.contains("good, rollout shop-v2 of route shop"), "{}", ran.out);
        assert!(ran.out.contains("target.yaml is not there"), "{}", ran.out);
        let written = std::fs::read(&path).unwrap();
        let ran = headgate(&["init", "--strategy", strategy, &path, "--name", "other"]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("is there already"), "{}", ran.err);
        assert_eq!(std::fs::read(&path).unwrap(), written);
    }
    let ran = headgate(&["init", "--strategy", "canary", "-", "--json"]);
    assert!(ran.json()["text"].as_str().unwrap().contains("kind: Rollout"));
}

#[test]
fn help_says_which_strategy_fits() {
    let help = headgate(&["init", "--help"]).out;
    for word in ["who meets a bad version", "cost beside stable", "cut-over", "a business metric", "safety", "bandit"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_rollout_file_is_refused_with_every_problem_its_line_and_its_fix() {
    let folder = Folder::new();
    let text = "apiVersion: headgate.dev/v1\nkind: Rollout\nmetadata: {name: a b}\nspec:\n  target: t.yaml\n  route: shop\n  strategy:\n    canary: {steps: [{weight: 7, duration: 1h}, {weight: 50%}, {weight: 100%}]}\n  analysis: {alpha: 7}\n";
    let file = folder.write("rollout.yaml", text);
    let ran = headgate(&["validate", &file, "--json"]);
    assert_eq!(ran.code, 3);
    let json = ran.json();
    let paths: Vec<&str> = json["problems"].as_array().unwrap().iter().map(|p| p["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["metadata.name", "spec.strategy.canary.steps[0].weight", "spec.analysis.alpha"], "{json:#}");
    let alpha = &json["problems"][2];
    assert_eq!((&alpha["line"], &alpha["snippet"]), (&json!(9), &json!("  analysis: {alpha: 7}")));
    assert!(alpha["fix"].as_str().unwrap().contains("0.01"), "{alpha}");
    let shown = headgate(&["validate", &file]).err;
    assert!(shown.contains("9 |   analysis: {alpha: 7}") && shown.contains("fix: choose a chance"), "{shown}");
}

#[test]
fn the_schema_of_each_kind_of_file_is_printed() {
    for (kind, title) in [("plugin", "PluginConfig"), ("target", "Target"), ("rollout", "Rollout")] {
        let schema = headgate(&["schema", kind, "--json"]).json()["schema"].clone();
        assert_eq!(schema["title"], title);
    }
}

#[test]
fn simulate_tells_when_and_why_a_version_would_be_taken_back() {
    let folder = Folder::new();
    let file = folder.0.path().join("rollout.yaml").display().to_string();
    assert_eq!(headgate(&["init", "--strategy", "canary", &file]).code, 0);
    let page = folder.0.path().join("simulated.html").display().to_string();
    let few = ["simulate", &file, "--seeds", "3"];
    let ran = headgate(&[few.as_slice(), &["--canary", "error=50%,p95=+40%", "--json", "--report", &page]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    let json = ran.json();
    assert_eq!(json["summary"]["outcomes"], json!({"rolledBack": 3}), "{json:#}");
    assert_eq!(json["summary"]["rolledBack"], json!({"1% by errorRate": 3}));
    assert!(json["runs"][0]["ended"]["why"].as_str().unwrap().contains("errorRate is"), "{json:#}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("RolledBack") && page.contains("Simulated") && page.contains("errorRate"));
    let ran = headgate(&[few.as_slice(), &["--canary", "eror=3%"]].concat());
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("did you mean `error`?"), "{}", ran.err);
}

#[test]
fn a_report_of_what_never_ran_says_so() {
    let folder = Folder::new();
    let ran = headgate(&["report", "nobody", "--state", &folder.0.path().display().to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no rollout ran with it"), "{}", ran.err);
}
