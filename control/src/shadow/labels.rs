//! Who was right, as people said: lines that are only ever added to a file. Of several labels of one request the last one holds.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use headgate_rollout::measure::BUCKETS;
use headgate_rollout::shadow::{Labelled, Right};
use headgate_rollout::stats::Arm;
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
    /// Of the request; none: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) segment: Option<String>,
    /// Bucket of users, 0 to 31; none: nothing is known of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bucket: Option<usize>,
}

/// Labels of a file, the last one of each request.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    pub(crate) by_id: BTreeMap<String, Label>,
    /// Lines that could not be read.
    pub(crate) unread: u64,
}

impl Labels {
    /// Who was right, by the request's name.
    pub(crate) fn rights(&self) -> BTreeMap<String, Right> {
        self.by_id.iter().map(|(id, label)| (id.clone(), label.right)).collect()
    }

    /// What people said in all, as shares at confidence `1 - alpha`.
    pub(crate) fn judged(&self, alpha: f64) -> Labelled {
        let mut all = Labelled::default();
        self.by_id.values().for_each(|label| all.count(label.right));
        all.judged(alpha)
    }

    /// Disagreements that were looked at in a segment (none: in all), and those in which the shadow's answer is accepted, by bucket of users.
    /// Without a bucket nothing is known of the user: those lie in the first one, and `false`.
    pub(crate) fn accepted(&self, segment: Option<&str>) -> (Arm, bool) {
        let (mut arm, mut known) = (Arm::default(), true);
        for label in self.by_id.values() {
            if segment.is_some_and(|segment| segment != label.segment.as_deref().unwrap_or("default")) {
                continue;
            }
            known &= label.bucket.is_some();
            let bucket = label.bucket.filter(|bucket| *bucket < BUCKETS).unwrap_or(0);
            arm.add(bucket, 1.0, if label.right.accepts() { 1.0 } else { 0.0 });
        }
        (arm, known)
    }
}

/// Reads labels; a file that is not there has none.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read(path: &Path) -> Result<Labels, Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{}: {e}", path.display()));
    let mut labels = Labels::default();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(labels),
        Err(e) => return Err(failed(e)),
    };
    lines::each(file, |line, _| match serde_json::from_slice::<Label>(line) {
        Ok(label) => {
            labels.by_id.insert(label.id.clone(), label);
        }
        Err(_) => labels.unread += 1,
    })
    .map_err(failed)?;
    Ok(labels)
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
        let time = "2026-11-21T10:00:00Z".to_owned();
        Label { id: id.into(), right, by: "ana".into(), note: String::new(), time, segment: None, bucket: Some(3) }
    }

    #[test]
    fn labels_are_added_and_the_last_one_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.jsonl");
        assert!(read(&path).unwrap().by_id.is_empty());
        add(&path, &[label("a", Right::Primary), label("b", Right::Both)]).unwrap();
        add(&path, &[label("a", Right::Shadow)]).unwrap();
        // A crash in the middle of a line costs that line alone.
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"id":"c","ri"#).unwrap();
        add(&path, &[label("d", Right::Neither)]).unwrap();
        let labels = read(&path).unwrap();
        assert_eq!(labels.unread, 1);
        let (accepted, known) = labels.accepted(Some("default"));
        assert_eq!((accepted.units(), accepted.total(), accepted.occupied(), known), (3.0, 2.0, 1, true));
        assert_eq!(labels.accepted(Some("mobile")).0.units(), 0.0);
        assert_eq!(labels.judged(0.05).shadow_share.value, Some(1.0));
        let rights: Vec<_> = labels.rights().into_iter().collect();
        assert_eq!(rights, [("a".into(), Right::Shadow), ("b".into(), Right::Both), ("d".into(), Right::Neither)]);
    }
}
