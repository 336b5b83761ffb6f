//! Starters: commented rollout files, one for each strategy there is.
//!
//! They are files of their own so that they can be read and edited as what they are; a test checks each as `headgate validate`
//! would. Only the name, the target and the route are filled in.

use crate::cli::init::Strategy;

/// What a starter is filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The rollout's name.
    pub(crate) name: &'a str,
    /// The target file.
    pub(crate) target: &'a str,
    /// The route.
    pub(crate) route: &'a str,
    /// The file that it is written to, for the commands in its comments.
    pub(crate) file: &'a str,
}

/// The starter of a strategy.
pub(crate) fn starter(strategy: Strategy, names: Names<'_>) -> String {
    let template = match strategy {
        Strategy::Canary => include_str!("canary.yaml"),
        Strategy::BlueGreen => include_str!("blue-green.yaml"),
        Strategy::Shadow => include_str!("shadow.yaml"),
        Strategy::Bandit => include_str!("bandit.yaml"),
        Strategy::Ab => include_str!("ab.yaml"),
    };
    // Quoted as YAML (JSON strings are), unless plain text means itself.
    template
        .replace("{{name}}", &plain(names.name))
        .replace("{{target}}", &plain(names.target))
        .replace("{{route}}", &plain(names.route))
        .replace("{{file}}", &names.file.replace(|c: char| c.is_control(), " "))
}

/// A text as a YAML scalar that is that text.
fn plain(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if begins && !word && text.chars().all(harmless) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_yaml_would_read_as_something_else_are_quoted() {
        assert_eq!(plain("shop-v2"), "shop-v2");
        assert_eq!(plain("/etc/headgate/target.yaml"), "/etc/headgate/target.yaml");
        assert_eq!(plain("on"), "\"on\"");
        assert_eq!(plain("12"), "\"12\"");
        assert_eq!(plain("a: b"), "\"a: b\"");
    }
}
