//! A plugin configuration as somebody wrote it, checked through and through.
//!
//! Three sieves, coarse to fine: the schema (all structural problems at once), `read_strict`, `compile`. What the file may
//! leave out because `headgate` knows it (`contract`, `revision`, `target`) is filled in before.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use headgate_contract::{Absent, CONTRACT, Match, PluginConfig, Problems, Replicate};
use headgate_routing::RoutingTable;
use serde_json::{Value, json};

use crate::document::Document;
use crate::exit::Failure;
use crate::structure::Form;

/// What the schema asks for.
static FORM: LazyLock<Form> = LazyLock::new(|| Form::of(headgate_contract::json_schema()));

/// A configuration that passed all checks.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// The file's own document, filled in.
    pub(crate) document: Document,
    pub(crate) config: PluginConfig,
    pub(crate) table: RoutingTable,
}

impl Plugin {
    /// Reads and checks a file. `target` is filled in when the file names none.
    pub(crate) fn read(path: &Path, target: Option<&str>) -> Result<Self, Failure> {
        Self::of(Document::read(path)?, target)
    }

    /// Checks a document.
    pub(crate) fn of(mut document: Document, target: Option<&str>) -> Result<Self, Failure> {
        if let Value::Object(fields) = &mut document.value {
            fields.entry("contract").or_insert_with(|| json!(CONTRACT));
            fields.entry("revision").or_insert_with(|| json!(1));
            if let Some(name) = target {
                let given = fields.entry("target").or_insert_with(|| json!(name)).clone();
                if given.as_str().is_some_and(|given| given != name) {
                    let reason = format!(
                        "is {given}, but the target file's name is `{name}`: make them equal, or leave it out here"
                    );
                    let finding = document.finding("target", reason);
                    return Err(Failure::refused(&document.file, vec![finding]));
                }
            }
        }
        let mut findings = FORM.check(&document)?;
        if !findings.is_empty() {
            let meaning = meaning(&document);
            // What only follows from a misspelt field is not told beside it.
            let follows = |path: &str| findings.iter().any(|f| f.path.starts_with(path));
            let further: Vec<_> = meaning.0.into_iter().filter(|p| !follows(&p.path)).collect();
            findings.extend(further.into_iter().map(|p| document.finding(p.path, p.reason)));
            return Err(Failure::refused(&document.file, findings));
        }
        let checked = headgate_contract::read_strict(document.value.to_string().as_bytes())
            .and_then(|config| Ok((config.clone(), headgate_routing::compile(config)?)));
        match checked {
            Ok((config, table)) => Ok(Self { document, config, table }),
            Err(problems) => {
                let findings = problems.0.into_iter().map(|p| document.finding(p.path, p.reason)).collect();
                Err(Failure::refused(&document.file, findings))
            }
        }
    }
}

/// What is wrong with the meaning of a document whose form is wrong too, as far as its form lets it be read.
fn meaning(document: &Document) -> Problems {
    let Ok(read) = headgate_contract::read(document.value.to_string().as_bytes()) else { return Problems::default() };
    headgate_routing::compile(read.config).err().unwrap_or_default()
}

/// The features (`headgate_contract::FEATURES`) that a filter must have to do what a configuration says.
pub(crate) fn features(config: &PluginConfig) -> BTreeSet<String> {
    let claims = |m: &Match| !m.claims.is_empty();
    let mut used: BTreeSet<String> = config.requires.iter().cloned().collect();
    let mut note = |name: &str, is_used: bool| {
        if is_used {
            used.insert(name.to_owned());
        }
    };
    note("tokens", config.tokens.is_some());
    note("decisions", config.decisions.is_some());
    note("replicates", !config.metrics.replicates.is_empty());
    note("clientErrors", config.metrics.replicates.contains(&Replicate::ClientErrors));
    for route in &config.routes {
        note("overrides", !route.overrides.is_empty());
        note("lists", !route.include.is_empty() || !route.exclude.is_empty());
        note("segments", !route.segments.is_empty());
        note("mirror", route.mirror.is_some());
        note("shadow", route.shadow.is_some());
        note("goals", !route.goals.is_empty());
        note("predictions", route.predictions.is_some());
        note("claims", route.goals.iter().filter_map(|goal| goal.matches.as_ref()).any(claims));
        note("claims", route.matches.as_ref().is_some_and(claims));
        note("claims", route.segments.iter().any(|s| claims(&s.matches)));
        if let Some(key) = &route.key {
            note("issueCookie", key.absent == Absent::IssueCookie);
            note("claims", key.sources.iter().any(|s| s.claim.is_some()));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_headgate_knows_may_be_left_out() {
        let text = "routes: [{name: s, stable: a, variants: [{name: a, weight: 1}]}]";
        let plugin = Plugin::of(Document::parse("p", text).unwrap(), Some("shop")).unwrap();
        assert_eq!((plugin.config.contract, plugin.config.target.as_str()), (CONTRACT, "shop"));
        let other = Document::parse("p", &format!("target: other\n{text}")).unwrap();
        let failure = Plugin::of(other, Some("shop")).unwrap_err();
        assert_eq!(failure.findings[0].path, "target");
    }

    #[test]
    fn mistakes_of_form_and_of_meaning_are_told_at_once() {
        let text = "routes: [{name: s, stable: b, key: {sources: [{hedaer: x}]}, variants: [{name: a, weight: 1}]}]";
        let failure = Plugin::of(Document::parse("p", text).unwrap(), None).unwrap_err();
        let paths: Vec<&str> = failure.findings.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["routes[0].key.sources[0].hedaer", "routes[0].stable"]);
    }

    #[test]
    fn features_are_those_that_a_configuration_uses() {
        let text = r#"{"contract":1,"revision":1,"tokens":{"audience":"a","keys":[{"id":"k","env":"E"}]},"routes":[
            {"name":"s","stable":"a","variants":[{"name":"a","weight":1}],"mirror":{"share":1},
             "key":{"sources":[{"claim":{"provider":"p","claim":["sub"]}}],"absent":"issueCookie"}}]}"#;
        let config = headgate_contract::read_strict(text.as_bytes()).unwrap();
        let used: Vec<String> = features(&config).into_iter().collect();
        assert_eq!(used, ["claims", "issueCookie", "mirror", "tokens"]);
        assert!(used.iter().all(|f| headgate_contract::FEATURES.contains(&f.as_str())));
    }
}
