//! Who was right, as people said: lines that are only ever added to a file. Of several labels of one request the last one holds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use headgate_rollout::shadow::Right;
use serde::{Deserialize, Serialize};

use super::lines;
use crate::exit::{Exit, Failure};

/// One label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Label {
    /// Name of the request.
    pub(crate) id: String,
    pub(crate) right: Right,
    /// Who says so.
    pub(crate) by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    /// When, RFC 3339.
    pub(crate) time: String,
}

/// Reads labels; gives with them how many lines could not be read.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> Result<(BTreeMap<String, Right>, u64), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{}: {e}", path.display()));
    let mut labels = BTreeMap::new();
    let mut skipped = 0;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((labels, 0)),
        Err(e) => return Err(failed(e)),
    };
    lines::each(file, |line, _| match serde_json::from_slice::<Label>(line) {
        Ok(label) => {
            labels.insert(label.id, label.right);
        }
        Err(_) => skipped += 1,
    })
    .map_err(failed)?;
    Ok((labels, skipped))
}

/// Adds labels, and returns when they are on disk.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn add(path: &Path, labels: &[Label]) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{}: {e}", path.display()));
    let mut text = Vec::new();
    // After a line that was cut off by a crash, a line of its own.
    if ends_open(path).map_err(failed)? {
        text.push(b'\n');
    }
    for label in labels {
        let line = serde_json::to_vec(label).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)
}

fn ends_open(path: &Path) -> std::io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(id: &str, right: Right) -> Label {
        Label { id: id.into(), right, by: "ana".into(), note: String::new(), time: "2026-11-21T10:00:00Z".into() }
    }

    #[test]
    fn labels_are_added_and_the_last_one_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.jsonl");
        assert_eq!(read(&path).unwrap(), (BTreeMap::new(), 0));
        add(&path, &[label("a", Right::Primary), label("b", Right::Both)]).unwrap();
        add(&path, &[label("a", Right::Shadow)]).unwrap();
        // A crash in the middle of a line costs that line alone.
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"id":"c","ri"#).unwrap();
        add(&path, &[label("d", Right::Neither)]).unwrap();
        let (labels, skipped) = read(&path).unwrap();
        assert_eq!(skipped, 1);
        let labels: Vec<_> = labels.into_iter().collect();
        assert_eq!(labels, [("a".into(), Right::Shadow), ("b".into(), Right::Both), ("d".into(), Right::Neither)]);
    }
}
