//! The file that Envoy watches for the filter's configuration.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fault::fault;
use crate::{Bootstrap, Result, repository};

/// Writes a published file after the example `envoy/ecds.yaml`: only the path of the filter, the version and the plugin
/// configuration differ.
#[derive(Debug)]
pub struct Ecds {
    path: PathBuf,
    document: Value,
    version: u64,
}

impl Ecds {
    /// A file at `path`, for the filter at `wasm`. Nothing is written yet.
    pub fn new(path: PathBuf, wasm: &Path) -> Result<Self> {
        let example = repository().join("envoy/ecds.yaml");
        let text = std::fs::read_to_string(&example).map_err(|e| fault(format!("{}: {e}", example.display())))?;
        let mut document: Value = serde_saphyr::from_str(&text)?;
        *at(&mut document, "/resources/0/typed_config/config/vm_config/code/local/filename")? = json!(wasm);
        Ok(Self { path, document, version: 0 })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The Wasm filter's `PluginConfig` (Envoy's, not ours), to change what a test is about.
    pub fn plugin(&mut self) -> Result<&mut Value> {
        at(&mut self.document, "/resources/0/typed_config/config")
    }

    /// Writes a new file beside the old one and renames it into place. `configuration` is passed on as it is, so that it may
    /// be anything that is wrong. Returns the version.
    pub fn write(&mut self, configuration: &str) -> Result<String> {
        self.version += 1;
        let version = self.version.to_string();
        self.document["version_info"] = json!(version);
        *at(&mut self.document, "/resources/0/typed_config/config/configuration/value")? = json!(configuration);
        self.write_raw(&self.document.to_string())?;
        Ok(version)
    }

    /// As [`Ecds::write`], with the whole file as it is to be.
    pub fn write_raw(&self, text: &str) -> Result<()> {
        let beside = self.path.with_extension("tmp");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, &self.path)?;
        Ok(())
    }
}

fn at<'v>(document: &'v mut Value, pointer: &str) -> Result<&'v mut Value> {
    document.pointer_mut(pointer).ok_or_else(|| fault(format!("envoy/ecds.yaml has nothing at {pointer}")))
}

impl Bootstrap {
    /// Puts a filter that is part of the bootstrap in the place of the one that comes by ECDS.
    pub fn static_filter(mut self, filter: Value) -> Result<Self> {
        let found = self.filters()?.iter_mut().find(|item| item["name"] == "headgate");
        *found.ok_or_else(|| fault("the bootstrap has no filter `headgate`"))? = filter;
        Ok(self)
    }
}
