//! What `docs/trust.md` and `docs/shadow.md` promise, and the tests that hold it. A promise that is written anew needs a line here; a
//! test that is renamed or removed is missed.

mod shadow;
mod trust;

use std::collections::BTreeSet;
use std::path::Path;

use headgate_tests::{Result, repository};

/// Words of a document, and tests by their names.
type Promises = &'static [(&'static str, &'static [&'static str])];

/// The names of all functions in the project's Rust files.
fn functions(folder: &Path, all: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            functions(&path, all)?;
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path)?;
            all.extend(text.split("fn ").skip(1).filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
    Ok(())
}

/// Every paragraph, bullet and row of a document has a line of `promises`, whose words it has and whose tests there are. Headings,
/// code, and the blocks that begin as one of `others` need none.
fn held(document: &str, promises: Promises, others: &[&str]) -> Result<()> {
    let text = std::fs::read_to_string(repository().join(document))?;
    let mut tests = BTreeSet::new();
    functions(&repository(), &mut tests)?;
    for (words, names) in promises {
        for name in *names {
            assert!(tests.contains(*name), "there is no test {name}, which should hold: {words}");
        }
    }
    let text: String = text.split("```").step_by(2).collect();
    // Paragraphs and bullets as one line each; rows are lines.
    let blocks = text.replace("\n- ", "\n\n- ").replace("|\n|", "|\n\n|");
    let mut said = BTreeSet::new();
    for block in blocks.split("\n\n").map(|block| block.split_whitespace().collect::<Vec<_>>().join(" ")) {
        let needs_none = block.is_empty()
            || block.starts_with('#')
            || block.starts_with("|---")
            || others.iter().any(|other| block.starts_with(other));
        let here: Vec<&str> = promises.iter().map(|(words, _)| *words).filter(|words| block.contains(words)).collect();
        assert!(needs_none || !here.is_empty(), "no test is named for: {block}");
        said.extend(here);
    }
    for (words, _) in promises {
        assert!(said.contains(words), "{document} does not say: {words}");
    }
    Ok(())
}

#[test]
fn every_promise_about_trust_has_its_tests() -> Result<()> {
    held("docs/trust.md", trust::TRUST, &["| what a client"])
}

#[test]
fn every_promise_about_shadows_has_its_tests() -> Result<()> {
    held("docs/shadow.md", shadow::SHADOW, &["| recommendation |"])
}
