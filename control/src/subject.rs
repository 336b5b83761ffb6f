//! What a verb is about: a target, by its file, or a rollout, by its file or by its name in the state folder.
//!
//! A rollout's file is enough for whatever must work without the state (a damaged store, another machine); its name is enough for
//! everything else.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::document::Document;
use crate::exit::{Exit, Failure};
use crate::owner::{self, Card};
use crate::rollout_file;
use crate::store::{Row, Store};
use crate::target::Target;

/// What a verb is about.
#[derive(Debug)]
pub(crate) enum Subject {
    /// A target file.
    Target(PathBuf),
    /// A rollout.
    Rollout(Box<Named>),
}

/// A rollout, as far as it is known.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) route: String,
    /// The old version's variant.
    pub(crate) stable: String,
    pub(crate) target_file: PathBuf,
    /// Its file.
    pub(crate) file: PathBuf,
    /// The state folder. It is opened only when it is needed: a way back waits for no store.
    folder: PathBuf,
}

impl Subject {
    /// Finds out what an argument names.
    ///
    /// # Errors
    /// When it is neither a file nor the name of a rollout; says which there are.
    pub(crate) fn of(argument: &str, folder: &Path) -> Result<Self, Failure> {
        let path = Path::new(argument);
        if path.is_file() {
            let document = Document::read(path)?;
            if !rollout_file::is_rollout(&document) {
                return Ok(Self::Target(path.to_owned()));
            }
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            return Named::of_spec(&document.value, &path, folder).map(Box::new).map(Self::Rollout);
        }
        Named::of_name(argument, folder).map(Box::new).map(Self::Rollout)
    }
}

fn text(spec: &Value, pointer: &str) -> Option<String> {
    spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

impl Named {
    /// A rollout by its name or file.
    ///
    /// # Errors
    /// As [`Subject::of`], and when it is a target file.
    pub(crate) fn of(argument: &str, folder: &Path) -> Result<Self, Failure> {
        match Subject::of(argument, folder)? {
            Subject::Rollout(named) => Ok(*named),
            Subject::Target(path) => Err(Failure::new(
                Exit::Usage,
                format!("{} is no rollout file: name a rollout, or its file", path.display()),
            )),
        }
    }

    fn of_spec(spec: &Value, path: &Path, folder: &Path) -> Result<Self, Failure> {
        let needs = |field: &str| {
            Failure::new(Exit::Refused, format!("{} has no `{field}`: see `headgate validate`", path.display()))
        };
        let name = text(spec, "/metadata/name").ok_or_else(|| needs("metadata.name"))?;
        let target = text(spec, "/spec/target").ok_or_else(|| needs("spec.target"))?;
        Ok(Self {
            name,
            route: text(spec, "/spec/route").ok_or_else(|| needs("spec.route"))?,
            stable: text(spec, "/spec/variants/stable").unwrap_or_else(|| "stable".to_owned()),
            target_file: path.parent().unwrap_or_else(|| Path::new("")).join(target),
            file: path.to_owned(),
            folder: folder.to_owned(),
        })
    }

    fn of_name(name: &str, folder: &Path) -> Result<Self, Failure> {
        let Some(store) = Store::existing(folder)? else {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "`{name}` is no file, and {} knows no rollouts: is it the right --state folder?",
                    folder.display()
                ),
            ));
        };
        let Some(row) = store.rollout(name)? else {
            let known: Vec<String> = store.rollouts()?.into_iter().map(|r| r.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { crate::structure::list(&known) };
            return Err(Failure::new(
                Exit::Usage,
                format!("`{name}` is neither a file nor a rollout: known is {known}"),
            ));
        };
        let spec: Value = serde_json::from_str(&row.spec).unwrap_or_default();
        Ok(Self {
            name: row.name.clone(),
            route: row.route.clone(),
            stable: text(&spec, "/spec/variants/stable").unwrap_or_else(|| "stable".to_owned()),
            target_file: PathBuf::from(&row.target_file),
            file: PathBuf::from(&row.file),
            folder: folder.to_owned(),
        })
    }

    /// Its target.
    pub(crate) fn target(&self) -> Result<Target, Failure> {
        Target::read(&self.target_file)
    }

    /// The process that runs it at the moment.
    pub(crate) fn runner(&self, target: &Target) -> Option<Card> {
        let published = &target.file().ok()?.path;
        owner::current(published).filter(|card| card.rollouts.contains(&self.name))
    }

    /// The store.
    ///
    /// # Errors
    /// When there is none, or it cannot be read; the reason in words.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        Store::existing(&self.folder)?.ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("{} knows no rollouts: is it the right --state folder?", self.folder.display()),
            )
        })
    }

    /// The store; made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or read; the reason in words.
    pub(crate) fn make_store(&self) -> Result<Store, Failure> {
        Store::open(&self.folder)
    }

    /// Its newest run.
    ///
    /// # Errors
    /// When it never ran here, or the store cannot be read.
    pub(crate) fn row(&self, store: &Store) -> Result<Row, Failure> {
        store.rollout(&self.name)?.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`{}` has never run with {}", self.name, store.path().display()))
        })
    }
}
