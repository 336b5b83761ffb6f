//! The file that Envoy watches, as the record of what is in force.
//!
//! Writes go to a new file beside it, which is synced and renamed over it: Envoy never notices a file that is changed in
//! place. Between reading and renaming a lock is held, and the file is compared once more right before, so that of two
//! writers the later one merges into what the earlier one wrote. It knows nothing of proxies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::document::Document;
use crate::exit::{Exit, Failure};

/// What the file holds.
#[derive(Debug)]
pub(crate) struct Published {
    bytes: Vec<u8>,
    /// The whole document.
    pub(crate) document: Value,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
}

/// Waits for the turn to write, at most for `patience`.
pub(crate) fn turn(path: &Path, patience: Duration) -> Result<Turn, Failure> {
    let lock = lock_path(path);
    let failed = |e: std::io::Error| Failure::failed(format!("the lock file {} cannot be used: {e}", lock.display()));
    let file = OpenOptions::new().create(true).append(true).open(&lock).map_err(failed)?;
    let end = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Turn { _lock: file }),
            Err(TryLockError::Error(e)) => return Err(failed(e)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(Failure::new(
                    Exit::Conflict,
                    format!("another headgate has been writing {} for {patience:?}: try again", path.display()),
                ));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    // Hidden, and beside the file: whoever may write the one may write the other.
    path.with_file_name(format!(".{}", name.to_string_lossy()))
}

/// Reads the file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Published>, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::failed(format!("the published file {} cannot be read: {e}", path.display()))),
    };
    let text = String::from_utf8_lossy(&bytes);
    let document = Document::parse(&path.display().to_string(), &text)?.value;
    Ok(Some(Published { bytes, document }))
}

/// Puts a new document in the place of what was read, `before` (`None`: of nothing).
///
/// # Errors
/// With [`Exit::Conflict`] when the file is no longer what was read.
pub(crate) fn replace(path: &Path, before: Option<&Published>, document: &Value) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("{} cannot be written: {e}", path.display()));
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut new = tempfile::Builder::new().prefix(".headgate-").suffix(".tmp").tempfile_in(folder).map_err(failed)?;
    // JSON is YAML too, so the file's name may end in either.
    serde_json::to_writer_pretty(new.as_file_mut(), document).map_err(|e| failed(e.into()))?;
    new.write_all(b"\n").map_err(failed)?;
    new.as_file().set_permissions(permissions(path).map_err(failed)?).map_err(failed)?;
    new.as_file().sync_all().map_err(failed)?;
    let now = std::fs::read(path).ok();
    if now.as_deref() != before.map(|b| b.bytes.as_slice()) {
        return Err(Failure::new(
            Exit::Conflict,
            format!("{} was changed meanwhile by somebody else: nothing was written, try again", path.display()),
        ));
    }
    new.persist(path).map_err(|e| failed(e.error))?;
    // So that the rename itself survives a power cut.
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
}

/// Those of the file that is replaced: Envoy, which may run as somebody else, must be able to read the new one.
fn permissions(path: &Path) -> std::io::Result<std::fs::Permissions> {
    match std::fs::metadata(path) {
        Ok(old) => Ok(old.permissions()),
        Err(_) => {
            use std::os::unix::fs::PermissionsExt as _;
            Ok(std::fs::Permissions::from_mode(0o644))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_write_replaces_only_what_was_read_and_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ecds.json");
        assert!(read(&path).unwrap().is_none());
        replace(&path, None, &json!({"a": 1})).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        let first = read(&path).unwrap().unwrap();
        assert_eq!(first.document, json!({"a": 1}));
        replace(&path, Some(&first), &json!({"a": 2})).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664);
        let failure = replace(&path, Some(&first), &json!({"a": 3})).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(read(&path).unwrap().unwrap().document, json!({"a": 2}));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["ecds.json"], "no temporary file is left");
    }

    #[test]
    fn one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ecds.json");
        let first = turn(&path, Duration::ZERO).unwrap();
        assert_eq!(turn(&path, Duration::from_millis(5)).unwrap_err().exit, Exit::Conflict);
        drop(first);
        turn(&path, Duration::ZERO).unwrap();
    }
}
