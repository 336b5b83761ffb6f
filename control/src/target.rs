//! The target file: which plugin configuration, published where, on which proxies.
//!
//! A target is one plugin configuration on a set of proxies. The file says where it is published and how each proxy is
//! asked what it has in force; it says nothing of routes, which are the plugin configuration's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::exit::Failure;
use crate::structure::Form;

/// What the schema asks for.
static FORM: LazyLock<Form> = LazyLock::new(|| Form::of(json_schema()));

/// One plugin configuration on a set of proxies.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Target {
    /// Name of the target: the label `target` of what the proxies report. Example: `"shop"`.
    pub(crate) name: String,
    /// Where the configuration is published. Default: nowhere, the target can only be rendered.
    pub(crate) publisher: Option<Publisher>,
    /// The filter's code and VM. Default: what the published file already says; needed for a new one and for Istio.
    pub(crate) filter: Option<Filter>,
    /// The proxies that take the configuration. Default: none known, nothing is verified.
    #[serde(default)]
    pub(crate) proxies: Vec<Proxy>,
    /// How the plugin is described to Istio. Default: not at all.
    pub(crate) istio: Option<Istio>,
}

/// Where a configuration is published.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Publisher {
    /// A file that Envoy watches (ECDS by `path_config_source`). Example: `{"path": "/etc/headgate/ecds.yaml"}`.
    pub(crate) file: FilePublisher,
}

/// A file that Envoy watches.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FilePublisher {
    /// The file, from the target file's folder if it is not absolute. Example: `"/etc/headgate/ecds.yaml"`.
    pub(crate) path: PathBuf,
    /// Name of the ECDS resource, which is the HTTP filter's name in Envoy. Default `"headgate"`.
    #[serde(default = "headgate")]
    pub(crate) resource: String,
}

/// The filter's code and VM.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    /// Id of the VM; another one is another VM, compiled anew. Default `"headgate"`.
    #[serde(default = "headgate")]
    pub(crate) vm_id: String,
    /// The `.wasm` file as the proxy finds it, for Envoy. Default: none. Example: `"/etc/headgate/headgate.wasm"`.
    pub(crate) file: Option<String>,
    /// Where Istio fetches the code. Default: none. Example: `"oci://registry.example/headgate:0.1.0"`.
    pub(crate) url: Option<String>,
    /// SHA-256 of what `url` names, 64 lower-case hexadecimal digits. Default: none, not checked. Example: `"9f86d081…"`.
    pub(crate) sha256: Option<String>,
    /// Environment variables of the proxy that the VM may read: those that hold token keys. Default: none. Example: `["HEADGATE_KEY_K1"]`.
    #[serde(default)]
    pub(crate) env: Vec<String>,
}

/// One proxy, by the addresses at which it is asked.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Proxy {
    /// Name, for people. Example: `"edge-1"`.
    pub(crate) name: String,
    /// Base of its admin interface, for runtime kills and statistics. Default: none. Example: `"http://127.0.0.1:9901"`.
    pub(crate) admin: Option<String>,
    /// Base of a read-only listener for `/stats`. Default: the admin interface. Example: `"http://127.0.0.1:9902"`.
    pub(crate) stats: Option<String>,
    /// Runtime key of the independent kill, as in the routes' `runtime_fraction`. Default `"headgate.enabled"`.
    #[serde(default = "runtime_key")]
    pub(crate) runtime_key: String,
}

impl Proxy {
    /// Where its statistics are read.
    pub(crate) fn stats_base(&self) -> Option<&str> {
        self.stats.as_deref().or(self.admin.as_deref()).map(|base| base.trim_end_matches('/'))
    }

    /// Its admin interface.
    pub(crate) fn admin_base(&self) -> Option<&str> {
        self.admin.as_deref().map(|base| base.trim_end_matches('/'))
    }
}

/// How the plugin is described to Istio (`WasmPlugin` or `TrafficExtension`).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Istio {
    /// Name of the object. Default: `headgate-` and the target's name.
    pub(crate) name: Option<String>,
    /// Its namespace. Example: `"istio-system"`.
    pub(crate) namespace: String,
    /// Labels of the proxies it is for; not together with `targetRefs`. Default: all of the namespace. Example: `{"istio": "ingressgateway"}`.
    #[serde(default)]
    pub(crate) selector: BTreeMap<String, String>,
    /// Gateways (or waypoints) it is attached to, at most 16; not together with `selector`. Default: none.
    #[serde(default)]
    pub(crate) target_refs: Vec<TargetRef>,
    /// Where among Istio's own filters. Default `AUTHZ`, after JWTs were checked.
    #[serde(default)]
    pub(crate) phase: Phase,
    /// What a proxy does when the VM fails. Default `FAIL_RELOAD`.
    #[serde(default)]
    pub(crate) fail_strategy: FailStrategy,
    /// Which side of a connection. Default `CLIENT` (gateways and client sidecars); a waypoint is `SERVER`.
    #[serde(default)]
    pub(crate) mode: Mode,
}

/// An object that an Istio plugin is attached to.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TargetRef {
    /// Group. Default: the core group. Example: `"gateway.networking.k8s.io"`.
    #[serde(default)]
    pub(crate) group: String,
    /// Kind. Example: `"Gateway"`.
    pub(crate) kind: String,
    /// Name, in the plugin's namespace. Example: `"edge"`.
    pub(crate) name: String,
}

/// Istio's phases from which verified claims can be read.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Phase {
    /// Before JWTs are checked: no verified claims.
    Authn,
    /// After them.
    #[default]
    Authz,
    /// Last before statistics.
    Stats,
}

/// What Istio has a proxy do when the VM fails.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "Istio's names")]
pub(crate) enum FailStrategy {
    /// Requests fail until the next configuration.
    FailClose,
    /// Requests pass by the filter until the next configuration; a forged header then reaches the router.
    FailOpen,
    /// The VM is started anew.
    #[default]
    FailReload,
}

/// Which traffic of a proxy.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mode {
    /// What the proxy sends out.
    #[default]
    Client,
    /// What it receives.
    Server,
    /// Both.
    ClientAndServer,
}

/// The JSON Schema of a target file.
pub(crate) fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Target).to_value()
}

impl Target {
    /// Reads a target file strictly.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::of(&Document::read(path)?, path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// A target from its document; relative paths start at `folder`.
    pub(crate) fn of(document: &Document, folder: &Path) -> Result<Self, Failure> {
        let mut findings = FORM.check(document)?;
        let target: Option<Self> = match serde_json::from_value(document.value.clone()) {
            Ok(target) => Some(target),
            Err(e) if findings.is_empty() => {
                findings.push(document.finding("", e.to_string()));
                None
            }
            Err(_) => None,
        };
        let Some(mut target) = target else { return Err(Failure::refused(&document.file, findings)) };
        if let Err(reason) = headgate_contract::check_name(&target.name) {
            findings.push(document.finding("name", reason));
        }
        for (i, proxy) in target.proxies.iter().enumerate() {
            if proxy.stats_base().is_none() {
                findings.push(
                    document.finding(format!("proxies[{i}]"), "cannot be asked anything: give `admin` or `stats`"),
                );
            }
            for (field, url) in [("admin", &proxy.admin), ("stats", &proxy.stats)] {
                if url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                    findings
                        .push(document.finding(format!("proxies[{i}].{field}"), "must begin with http:// or https://"));
                }
            }
            if target.proxies.iter().take(i).any(|other| other.name == proxy.name) {
                findings.push(document.finding(
                    format!("proxies[{i}].name"),
                    format!("`{}` is there twice: names are unique", proxy.name),
                ));
            }
        }
        if let Some(istio) = &target.istio
            && !istio.selector.is_empty()
            && !istio.target_refs.is_empty()
        {
            findings.push(document.finding("istio", "`selector` and `targetRefs` exclude each other: keep one"));
        }
        if !findings.is_empty() {
            return Err(Failure::refused(&document.file, findings));
        }
        if let Some(publisher) = &mut target.publisher {
            publisher.file.path = folder.join(&publisher.file.path);
        }
        Ok(target)
    }

    /// The file it is published in.
    pub(crate) fn file(&self) -> Result<&FilePublisher, Failure> {
        self.publisher.as_ref().map(|p| &p.file).ok_or_else(|| {
            Failure::failed(format!("target {} has no `publisher`: add `publisher: {{file: {{path: …}}}}`", self.name))
        })
    }
}

fn headgate() -> String {
    "headgate".to_owned()
}

fn runtime_key() -> String {
    "headgate.enabled".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_says_what_it_is_with_its_default_or_an_example() {
        let schema = json_schema();
        let mut fields = 0;
        let types = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema));
        for (name, of) in types.chain([("Target", &schema)]) {
            for (field, of) in of["properties"].as_object().into_iter().flatten() {
                let text = of["description"].as_str().unwrap_or_default();
                assert!(["Default", "Example"].iter().any(|word| text.contains(word)), "{name}.{field}: {text:?}");
                fields += 1;
            }
        }
        assert!(fields >= 24, "{fields}");
    }

    #[test]
    fn all_problems_of_a_target_file_are_told_at_once() {
        let text = "name: shop\npublisher: {file: {pth: x}}\nproxies:\n  - {name: a, admin: 127.0.0.1:1}\n";
        let document = Document::parse("t.yaml", text).unwrap();
        let failure = Target::of(&document, Path::new("")).unwrap_err();
        assert_eq!(failure.findings.len(), 2, "{:?}", failure.findings);
        let document = Document::parse("t.yaml", &text.replace("pth", "path")).unwrap();
        let failure = Target::of(&document, Path::new("")).unwrap_err();
        assert_eq!(failure.findings[0].path, "proxies[0].admin");
        let document = Document::parse("t.yaml", &text.replace("pth", "path").replace("127", "http://127")).unwrap();
        let target = Target::of(&document, Path::new("/etc")).unwrap();
        assert_eq!(target.file().unwrap().path, Path::new("/etc/x"));
        assert_eq!(target.proxies[0].runtime_key, "headgate.enabled");
    }
}
