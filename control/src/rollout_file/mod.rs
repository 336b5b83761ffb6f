//! A rollout file as somebody wrote it, checked through and through: YAML (or JSON) with the place of every value, then the
//! schema, then what only the whole can tell.
//!
//! What is wrong is told all at once: where the structure is wrong in one place, that place is left out and the rest is checked
//! all the same. What the fields mean is `headgate_rollout::file`'s.

mod prune;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use headgate_rollout::Plan;
use headgate_rollout::file::{Force, KIND, Problem, Provider, Rollout, check, check_forced, json_schema};
use serde_json::Value;

use crate::document::Document;
use crate::exit::Failure;
use crate::finding::Finding;
use crate::structure::Form;

/// What the schema asks for.
static FORM: LazyLock<Form> = LazyLock::new(|| Form::of(json_schema()));

/// A rollout file that passed all checks.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The file's types, as written.
    pub(crate) file: Rollout,
    /// What it was checked into.
    pub(crate) plan: Plan,
    /// The file's content as JSON.
    pub(crate) value: Value,
    /// Where it was read.
    pub(crate) path: PathBuf,
}

impl Loaded {
    /// The target file: from the rollout file's folder unless absolute.
    pub(crate) fn target_path(&self) -> PathBuf {
        self.path.parent().unwrap_or_else(|| Path::new("")).join(&self.file.spec.target)
    }
}

/// Reads and checks a file.
///
/// # Errors
/// [`crate::exit::Exit::Refused`] with everything that is wrong, or that the file cannot be read.
pub(crate) fn read(path: &Path) -> Result<Loaded, Failure> {
    of(&Document::read(path)?, path, None)
}

/// As [`read`], but what is dangerous and not meaningless passes, and is written down in the plan.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_forced(path: &Path, force: &Force) -> Result<Loaded, Failure> {
    of(&Document::read(path)?, path, Some(force))
}

/// Whether a document means to be a rollout rather than a plugin configuration.
pub(crate) fn is_rollout(document: &Document) -> bool {
    let field = |name| document.value.get(name);
    field("kind").and_then(Value::as_str) == Some(KIND) || (field("apiVersion").is_some() && field("spec").is_some())
}

/// Checks a document.
///
/// # Errors
/// As [`read`].
pub(crate) fn of(document: &Document, path: &Path, force: Option<&Force>) -> Result<Loaded, Failure> {
    let mut findings = FORM.check(document)?;
    let paths: Vec<&str> = findings.iter().map(|f| f.path.as_str()).collect();
    let file: Rollout = match prune::readable(&document.value, &paths) {
        Ok(file) => file,
        Err(e) => {
            // The schema is made from the types, so this is what the schema could not say.
            if findings.is_empty() {
                findings.push(document.finding("", e.to_string()));
            }
            return Err(Failure::refused(&document.file, findings));
        }
    };
    match force.map_or_else(|| check(&file), |force| check_forced(&file, force)) {
        Ok(mut plan) if findings.is_empty() => {
            plan.providers.values_mut().for_each(|provider| from_folder(provider, path));
            Ok(Loaded { file, plan, value: document.value.clone(), path: path.to_owned() })
        }
        Ok(_) => Err(Failure::refused(&document.file, findings)),
        Err(problems) => {
            let told: Vec<String> = findings.iter().map(|f| f.path.clone()).collect();
            let further = problems.into_iter().filter(|p| !told.iter().any(|path| prune::related(path, &p.path)));
            findings.extend(further.map(|problem| finding(document, problem)));
            findings.sort_by_key(|f| (f.line, f.column));
            Err(Failure::refused(&document.file, findings))
        }
    }
}

/// Files that a provider names are looked for from the rollout file's folder unless absolute, as the target file is.
fn from_folder(provider: &mut Provider, path: &Path) {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let files = [
        provider.outcomes.as_mut().and_then(|o| o.file.as_mut()),
        provider.prometheus.as_mut().and_then(|p| p.ca_file.as_mut()),
        provider.webhook.as_mut().and_then(|w| w.ca_file.as_mut()),
    ];
    for file in files.into_iter().flatten() {
        *file = folder.join(&*file).display().to_string();
    }
}

fn finding(document: &Document, problem: Problem) -> Finding {
    let fix = if problem.forcible {
        format!("{}, or override it with `--force --reason \"…\"`", problem.fix)
    } else {
        problem.fix
    };
    Finding { fix: Some(fix).filter(|fix| !fix.is_empty()), ..document.finding(problem.path, problem.reason) }
}

#[cfg(test)]
mod tests;
