//! One owner of a target: the lock that keeps a second runner away, and the number that fences a late one off.
//!
//! The lock lies beside the published file, so that whoever could publish there meets it, whatever state folder it has. The system drops it
//! with the process, also after `kill -9`. Each owner writes the next number into the file; whoever finds another number than its own when it
//! is about to publish has been replaced (the file was removed under it, or a copied machine woke up) and publishes nothing more.
//! `kill`, `push` and `set` need no ownership: they go through the publisher's turn alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

/// What the file says of its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// Grows by one with every owner.
    pub(crate) fence: u64,
    /// Random, so that numbers that begin anew (the file was removed) are told apart.
    pub(crate) nonce: u64,
    /// Process id.
    pub(crate) pid: u32,
    /// What it runs.
    pub(crate) rollouts: Vec<String>,
}

/// Ownership of a target, until it is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    path: PathBuf,
    card: Card,
    _lock: File,
}

fn path_of(published: &Path) -> PathBuf {
    let name = published.file_name().unwrap_or_default().to_string_lossy();
    published.with_file_name(format!(".{name}.owner"))
}

fn card(file: &mut File) -> std::io::Result<Card> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    // An owner that was killed while writing left half a card: the lock is what counts.
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// Takes the ownership of the target that is published in this file.
///
/// # Errors
/// With [`Exit::Conflict`] when another process has it; says which.
pub(crate) fn take(published: &Path, rollouts: Vec<String>) -> Result<Owner, Failure> {
    let path = path_of(published);
    let failed =
        |e: std::io::Error| Failure::failed(format!("the owner's file {} cannot be used: {e}", path.display()));
    let mut file =
        OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(e)) => return Err(failed(e)),
        Err(TryLockError::WouldBlock) => {
            let other = card(&mut file).map_err(failed)?;
            return Err(Failure::new(
                Exit::Conflict,
                format!(
                    "the target of {} is run by process {} already ({}): one process a target. Give all its rollouts to one `headgate run`, or end that one",
                    published.display(),
                    other.pid,
                    other.rollouts.join(", ")
                ),
            ));
        }
    }
    let before = card(&mut file).map_err(failed)?;
    let nonce = getrandom::u64().map_err(|e| Failure::failed(format!("the system gives no random number: {e}")))?;
    let card = Card { fence: before.fence + 1, nonce, pid: std::process::id(), rollouts };
    let text = serde_json::to_string(&card).map_err(|e| failed(e.into()))?;
    file.rewind().map_err(failed)?;
    file.set_len(0).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(Owner { path, card, _lock: file })
}

/// Who owns a target at the moment; `None` when nobody does.
pub(crate) fn current(published: &Path) -> Option<Card> {
    let mut file = OpenOptions::new().read(true).open(path_of(published)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => card(&mut file).ok(),
        _ => None,
    }
}

impl Owner {
    /// The number that this owner's writes carry.
    pub(crate) fn fence(&self) -> u64 {
        self.card.fence
    }

    /// Whether this is still the owner; asked with the publisher's turn in hand.
    ///
    /// # Errors
    /// With [`Exit::Conflict`] when another number stands in the file.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let found: Card =
            std::fs::read_to_string(&self.path).ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
        if found == self.card {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Conflict,
            format!(
                "this process (number {}) owns the target no more: {} names number {} (process {}). Nothing was written",
                self.card.fence,
                self.path.display(),
                found.fence,
                found.pid
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_the_next_one_has_the_next_number() {
        let folder = tempfile::tempdir().unwrap();
        let published = folder.path().join("ecds.yaml");
        assert_eq!(current(&published), None);
        let first = take(&published, vec!["shop".into()]).unwrap();
        let refused = take(&published, vec!["cart".into()]).unwrap_err();
        assert_eq!(refused.exit, Exit::Conflict);
        assert!(refused.message.contains(&std::process::id().to_string()), "{}", refused.message);
        assert!(refused.message.contains("shop"), "{}", refused.message);
        assert_eq!(current(&published).unwrap().rollouts, ["shop"]);
        first.check().unwrap();
        drop(first);
        assert_eq!(current(&published), None);
        assert_eq!(take(&published, vec![]).unwrap().fence(), 2);
    }

    #[test]
    fn who_was_replaced_writes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let published = folder.path().join("ecds.yaml");
        let first = take(&published, vec!["shop".into()]).unwrap();
        std::fs::remove_file(path_of(&published)).unwrap();
        let second = take(&published, vec!["shop".into()]).unwrap();
        assert_eq!(first.check().unwrap_err().exit, Exit::Conflict);
        second.check().unwrap();
    }
}
