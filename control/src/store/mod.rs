//! What the controller remembers: one SQLite file with the state of every rollout and an audit that only grows.
//!
//! State is written here before it is acted on, so that a controller that is killed at any moment goes on where it was. Rows
//! hold JSON for what only the pure crate understands, and plain columns for what people ask about with `sqlite3`. Times are Unix
//! milliseconds. It decides nothing, and reads no clock: times come in as arguments.
//!
//! A kill and a rollback never wait for this file: whoever calls it must be able to go on when it answers with an error.

mod audit;
mod baselines;
mod commands;
mod drills;
mod gates;
mod looks;
mod outcomes;
mod rollouts;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

pub(crate) use audit::{Entry, Logged};
pub(crate) use baselines::Baseline;
pub(crate) use commands::Command;
pub(crate) use outcomes::{Outcome, Tally};
pub(crate) use rollouts::Row;

use crate::exit::Failure;

/// The file's name in the state folder.
const FILE: &str = "headgate.db";
/// The layout of the tables, as `PRAGMA user_version`.
const LAYOUT: i64 = 1;
/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(2);

/// What is said of a file that is taken.
const BUSY_WORDS: &str = "is being written by another process";

const SCHEMA: &str = "
create table rollouts (
  name text not null, run integer not null, target text not null, target_file text not null, route text not null,
  file text not null, spec text not null, digest text not null, forced text not null, phase text not null, state text not null,
  started integer not null, updated integer not null, ended integer, exit integer,
  primary key (name, run)) strict;
create table audit (
  id integer primary key autoincrement, at integer not null, rollout text not null, run integer not null,
  actor text not null, action text not null, reason text not null, data text not null) strict;
create index audit_by_rollout on audit (rollout, id);
create trigger audit_is_not_changed before update on audit begin select raise(abort, 'the audit only grows'); end;
create trigger audit_is_not_cut before delete on audit begin select raise(abort, 'the audit only grows'); end;
create table commands (
  id integer primary key autoincrement, at integer not null, rollout text not null, kind text not null,
  actor text not null, reason text not null, taken integer, answer text) strict;
create index commands_waiting on commands (rollout, id) where taken is null;
create table baselines (
  rollout text primary key, at integer not null, actor text not null, data text not null) strict;
create table outcomes (
  id integer primary key autoincrement, route text not null, key text, variant text not null, bucket integer,
  success integer, value real, at integer not null, unique (route, key, at)) strict;
create index outcomes_by_time on outcomes (route, at);
create table places (name text primary key, inode integer not null, at integer not null) strict;
create table looks (
  rollout text not null, run integer not null, at integer not null, data text not null,
  primary key (rollout, run, at)) strict;
create table drills (
  id integer primary key autoincrement, at integer not null, target text not null, route text not null,
  passed integer not null, data text not null) strict;
create table gates (
  rollout text not null, run integer not null, gate text not null, opened integer not null, answer text, actor text,
  reason text, answered integer, primary key (rollout, run, gate)) strict;
";

/// The open file. Shared by all rollouts of a process.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the file in a folder; makes both when they are not there.
    ///
    /// # Errors
    /// In words with the way out, when the file is damaged, of a newer layout, or cannot be written.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        std::fs::create_dir_all(folder)
            .map_err(|e| Failure::failed(format!("the state folder {} cannot be made: {e}", folder.display())))?;
        let store = Self::of(&path)?;
        // Damage is found now, not at the step that needs the state.
        let sound: String = store.with(|c| c.query_row("pragma quick_check(1)", [], |row| row.get(0)))?;
        if sound == "ok" { Ok(store) } else { Err(damaged(&path, &sound)) }
    }

    /// Opens the file only if it is there, without looking for damage where nobody reads.
    pub(crate) fn existing(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(FILE);
        if path.exists() { Self::of(&path).map(Some) } else { Ok(None) }
    }

    /// Two processes that make the file at the same moment are in each other's way, and SQLite does not wait there: tried again.
    fn of(path: &Path) -> Result<Self, Failure> {
        for _ in 0..100 {
            match Self::once(path) {
                Err(failure) if failure.message.contains(BUSY_WORDS) => std::thread::sleep(Duration::from_millis(20)),
                other => return other,
            }
        }
        Self::once(path)
    }

    fn once(path: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(path).map_err(|e| said(path, &e))?;
        let store = Self { path: path.to_owned(), connection: Mutex::new(connection) };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), Failure> {
        self.with(|c| {
            c.busy_timeout(BUSY)?;
            // Readers of other terminals never stop the writer; every commit is on the disk before it is acted on.
            c.pragma_update(None, "journal_mode", "wal")?;
            c.pragma_update(None, "synchronous", "full")?;
            c.pragma_update(None, "foreign_keys", true)
        })?;
        let layout: i64 = self.with(|c| c.pragma_query_value(None, "user_version", |row| row.get(0)))?;
        match layout {
            0 => self.with(|c| {
                let t = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                // Another process may have made them meanwhile.
                let made: i64 = t.pragma_query_value(None, "user_version", |row| row.get(0))?;
                if made == 0 {
                    t.execute_batch(SCHEMA)?;
                    t.pragma_update(None, "user_version", LAYOUT)?;
                }
                t.commit()
            })?,
            LAYOUT => {}
            newer => {
                return Err(Failure::failed(format!(
                    "{} was written by a newer headgate (layout {newer}, this one knows {LAYOUT}): use that one, or another --state folder",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file looks like from outside: as long as nobody writes, it stays as it is. Times of files go on in steps of some
    /// milliseconds, so that two writes soon after each other may look like one.
    pub(crate) fn stamp(&self) -> Stamp {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        [stamp(&self.path), stamp(Path::new(&log))]
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let mut connection: MutexGuard<'_, Connection> = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut connection).map_err(|e| said(&self.path, &e))
    }
}

/// Inode, length and time of the file and of its log of writes.
pub(crate) type Stamp = [Option<(u64, u64, i64, i64)>; 2];

fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|m| (m.ino(), m.len(), m.mtime(), m.mtime_nsec()))
}

fn damaged(path: &Path, reason: &str) -> Failure {
    Failure::failed(format!(
        "the state file {} is damaged ({reason}). Nothing was changed. `headgate kill` and `headgate rollback` work without it, with the rollout's or the target's file; \
         to go on, move it away (and its -wal and -shm) or restore a copy",
        path.display()
    ))
}

fn said(path: &Path, error: &rusqlite::Error) -> Failure {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &text),
        Some(ErrorCode::DiskFull) => Failure::failed(format!(
            "the state file {} cannot be written: the disk is full. Make room; kills and rollbacks do not wait for it",
            path.display()
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Failure::failed(format!("the state file {} {BUSY_WORDS} for {BUSY:?}: try again", path.display()))
        }
        _ => Failure::failed(format!("the state file {}: {text}", path.display())),
    }
}

/// The state folder when none is named: `$XDG_STATE_HOME/headgate`, else `~/.local/state/headgate`.
pub(crate) fn default_folder() -> PathBuf {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("XDG_STATE_HOME")
        .or_else(|| var("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from(".local/state"))
        .join("headgate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_told_with_the_way_out_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "this is no database, and is long enough to be looked at as one".repeat(20)).unwrap();
        let before = std::fs::read(&path).unwrap();
        let failure = Store::open(folder.path()).unwrap_err();
        assert!(failure.message.contains("is damaged"), "{}", failure.message);
        assert!(failure.message.contains("headgate kill"), "{}", failure.message);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn many_that_make_the_file_at_once_all_get_it() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(folder.path()).map(drop))).collect();
            for one in all {
                one.join().unwrap().unwrap();
            }
        });
    }

    #[test]
    fn a_file_of_a_newer_headgate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let connection = Connection::open(folder.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", LAYOUT + 1).unwrap();
        let failure = Store::open(folder.path()).unwrap_err();
        assert!(failure.message.contains("newer headgate"), "{}", failure.message);
    }

    #[test]
    fn a_full_disk_is_told_and_what_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let data = serde_json::Value::Null;
        let entry = Entry { at: 1, rollout: "r", run: 1, actor: "a", action: "x", reason: "kept", data: &data };
        store.log(&entry).unwrap();
        // SQLite's own limit stands for the disk's: the error is the same.
        store
            .with(|c| {
                let pages: i64 = c.pragma_query_value(None, "page_count", |row| row.get(0))?;
                c.pragma_update(None, "max_page_count", pages)
            })
            .unwrap();
        let failure = store.log(&Entry { reason: &"long".repeat(10_000), ..entry }).unwrap_err();
        assert!(failure.message.contains("the disk is full"), "{}", failure.message);
        let kept: Vec<String> = store.history("r", None).unwrap().into_iter().map(|l| l.reason).collect();
        assert_eq!(kept, ["kept"]);
    }
}
