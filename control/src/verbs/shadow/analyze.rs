//! `headgate shadow analyze`: what records of comparisons say, read once, in constant memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use headgate_rollout::shadow::{Analysis, Noise, Observed, Settings};
use serde_json::json;

use super::limits;
use crate::answer::Answer;
use crate::cli::shadow::Analyze;
use crate::exit::{Exit, Failure};
use crate::shadow::labels::Labels;
use crate::shadow::lines;
use crate::shadow::record::{Mapping, Reader, Skipped};
use crate::shadow::{labels, page, table};

pub(super) fn run(args: &Analyze) -> Result<Answer, Failure> {
    if !(args.limits.alpha > 0.0 && args.limits.alpha < 1.0) {
        return Err(Failure::new(Exit::Usage, "--alpha must lie between 0 and 1, both excluded"));
    }
    let mapping = Mapping {
        maps: args.maps.clone(),
        micros: args.latency_unit.micros(),
        absolute: args.tolerance,
        relative: args.relative_tolerance,
    };
    let reader = Reader::new(&mapping).map_err(|why| Failure::new(Exit::Usage, format!("--map: {why}")))?;
    let known = args.labels.as_deref().map_or_else(|| Ok(Labels::default()), labels::read)?;
    let mut analysis = Analysis::new(Settings {
        exact: args.exact,
        top: args.top,
        limits: limits(&args.limits),
        noise: Noise { relative: args.noise_relative, absolute: args.noise_absolute },
        labels: known.rights(),
    });
    let read = each(&args.files, &reader, |seen| analysis.take(seen))?;
    let mut found = analysis.findings();
    if known.unread > 0 {
        found.notes.push(format!("Lines of the labels that could not be read and are left out: {}", known.unread));
    }
    let skipped = read.words();
    if found.records == 0 {
        let name = names(&args.files);
        let message = match skipped.as_str() {
            "" => format!("{name}: no comparison in it: there is no line"),
            skipped => format!(
                "{name}: no comparison in it; lines skipped: {skipped}. Read is one JSON object a line (of a list, `jq -c '.[]'` makes lines); another tool's log is read with --map"
            ),
        };
        return Err(Failure::new(Exit::Refused, message));
    }
    let mut text = String::new();
    if !skipped.is_empty() {
        text = format!("Lines skipped: {skipped}\n\n");
    }
    text.push_str(&table::findings(&found));
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(&found, &names(&args.files), &skipped))
            .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", path.display())))?;
        text.push_str(&format!("\nThe page: {}\n", path.display()));
    }
    let mut document = serde_json::to_value(&found).map_err(|e| Failure::failed(e.to_string()))?;
    if let Some(fields) = document.as_object_mut() {
        fields.insert("bytes".to_owned(), json!(read.bytes));
        let counts: BTreeMap<&str, u64> = read.skipped.iter().map(|(why, n)| (why.name(), *n)).collect();
        fields.insert("skipped".to_owned(), json!(counts));
    }
    Ok(Answer::done(document, text))
}

/// How a file begins that gzip made.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) bytes: u64,
    pub(super) skipped: BTreeMap<Skipped, u64>,
}

impl Read {
    fn words(&self) -> String {
        let list: Vec<String> = self.skipped.iter().map(|(why, count)| format!("{count} {}", why.words())).collect();
        list.join(", ")
    }
}

/// Reads files one after another; `-` is standard input.
pub(super) fn each(files: &[PathBuf], reader: &Reader, mut take: impl FnMut(&Observed<'_>)) -> Result<Read, Failure> {
    let mut read = Read::default();
    for path in files {
        let mut one = |line: &[u8], end: lines::End| match reader.read(line, end) {
            Ok(seen) => take(&seen),
            Err(why) => *read.skipped.entry(why).or_default() += 1,
        };
        let bytes = if path == Path::new("-") {
            lines::each(std::io::stdin().lock(), &mut one)
        } else {
            let (first, file) = begun(path).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
            if first == GZIP {
                let message =
                    format!("{0} is compressed: `zcat {0} | headgate shadow analyze -` reads it", path.display());
                return Err(Failure::new(Exit::Refused, message));
            }
            lines::each(first.as_slice().chain(file), &mut one)
        };
        read.bytes += bytes.map_err(|e| Failure::failed(format!("{}: {e}", path.display())))?;
    }
    Ok(read)
}

/// A file with its first two bytes, which may be all that a pipe gives once.
fn begun(path: &Path) -> std::io::Result<(Vec<u8>, File)> {
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    file.by_ref().take(2).read_to_end(&mut first)?;
    Ok((first, file))
}

fn names(files: &[PathBuf]) -> String {
    let name =
        |path: &PathBuf| if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    match files {
        [first, .., last] => format!("{} to {} ({} files)", name(first), name(last), files.len()),
        [one] => name(one),
        [] => String::new(),
    }
}
