//! `headgate render`: a configuration in the form that a proxy takes, on standard output.

use serde_json::{Value, json};

use crate::advice;
use crate::answer::Answer;
use crate::cli::published::{Form, Render};
use crate::exit::Failure;
use crate::plugin::Plugin;
use crate::render::istio::Kind;
use crate::render::{ecds, istio};
use crate::target::{Filter, Target};

pub(super) fn run(args: &Render) -> Result<Answer, Failure> {
    let target = args.target.as_deref().map(Target::read).transpose()?;
    let mut plugin = Plugin::read(&args.file, target.as_ref().map(|t| t.name.as_str()))?;
    if let (Some(revision), Some(fields)) = (args.revision, plugin.document.value.as_object_mut()) {
        fields.insert("revision".to_owned(), json!(revision));
        plugin = Plugin::of(plugin.document, None)?;
    }
    let config = &plugin.document.value;
    let unable = Failure::failed;
    let object = |kind: Kind| istio::object(kind, target.as_ref().ok_or("a target file is needed")?, config);
    let rendered = match args.form {
        Form::Plugin => config.clone(),
        Form::Ecds => {
            let none = || {
                Failure::failed("the target has no `filter`: add `filter: {file: …}` with the .wasm as Envoy finds it")
            };
            let target = target.as_ref().ok_or_else(none)?;
            let filter: &Filter = target.filter.as_ref().ok_or_else(none)?;
            let resource = target.publisher.as_ref().map_or("headgate", |p| p.file.resource.as_str());
            ecds::new(resource, filter, config).map_err(unable)?
        }
        Form::Wasmplugin => object(Kind::WasmPlugin).map_err(unable)?,
        Form::Trafficextension => object(Kind::TrafficExtension).map_err(unable)?,
    };
    let text = match args.form {
        Form::Plugin => format!("{rendered:#}"),
        _ => yaml(&rendered)?,
    };
    let notes: Vec<String> = match args.form {
        Form::Wasmplugin | Form::Trafficextension => {
            [advice::istio(&plugin.config), advice::nonce(&plugin.config)].into_iter().flatten().collect()
        }
        Form::Plugin | Form::Ecds => Vec::new(),
    };
    let text = notes.iter().map(|note| format!("# note: {note}\n")).chain([text]).collect::<String>();
    Ok(Answer::done(json!({"form": args.form.name(), "object": rendered, "notes": notes}), text))
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Ecds => "ecds",
            Self::Wasmplugin => "WasmPlugin",
            Self::Trafficextension => "TrafficExtension",
        }
    }
}

fn yaml(value: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|e| Failure::failed(format!("it cannot be written as YAML: {e}")))
}
