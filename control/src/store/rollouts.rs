//! The rollouts themselves: what was asked for, and the state as of the last write. One row for each run of a rollout.

use rusqlite::{OptionalExtension as _, Row as SqlRow, params};

use super::{Entry, Store, audit};
use crate::exit::Failure;

/// One run of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// From 1; a rollout that is run again after its end gets the next number.
    pub(crate) run: i64,
    /// Name of the target.
    pub(crate) target: String,
    /// The target file, absolute.
    pub(crate) target_file: String,
    pub(crate) route: String,
    /// The rollout file, absolute.
    pub(crate) file: String,
    /// The rollout file's content when it was started, as JSON.
    pub(crate) spec: String,
    /// SHA-256 of `spec`, so that a file that was changed meanwhile is seen.
    pub(crate) digest: String,
    /// Who overrode refusals and why, as JSON; empty when nobody did.
    pub(crate) forced: String,
    /// The phase, as people know it.
    pub(crate) phase: String,
    /// The state machine's state, as JSON.
    pub(crate) state: String,
    /// Unix milliseconds.
    pub(crate) started: i64,
    pub(crate) updated: i64,
    /// When it came to its end; `None` while it goes on.
    pub(crate) ended: Option<i64>,
    /// The exit code it ended with.
    pub(crate) exit: Option<i64>,
}

const COLUMNS: &str =
    "name, run, target, target_file, route, file, spec, digest, forced, phase, state, started, updated, ended, exit";

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        name: row.get(0)?,
        run: row.get(1)?,
        target: row.get(2)?,
        target_file: row.get(3)?,
        route: row.get(4)?,
        file: row.get(5)?,
        spec: row.get(6)?,
        digest: row.get(7)?,
        forced: row.get(8)?,
        phase: row.get(9)?,
        state: row.get(10)?,
        started: row.get(11)?,
        updated: row.get(12)?,
        ended: row.get(13)?,
        exit: row.get(14)?,
    })
}

impl Store {
    /// Adds a run.
    pub(crate) fn begin(&self, r: &Row) -> Result<(), Failure> {
        self.with(|c| {
            c.execute(
                &format!(
                    "insert into rollouts ({COLUMNS}) values (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"
                ),
                params![
                    r.name,
                    r.run,
                    r.target,
                    r.target_file,
                    r.route,
                    r.file,
                    r.spec,
                    r.digest,
                    r.forced,
                    r.phase,
                    r.state,
                    r.started,
                    r.updated,
                    r.ended,
                    r.exit
                ],
            )
            .map(drop)
        })
    }

    /// Writes the state after a tick together with what is to be read of it in the audit: both or nothing.
    pub(crate) fn save(&self, r: &Row, entries: &[Entry<'_>]) -> Result<(), Failure> {
        self.with(|c| {
            let t = c.transaction()?;
            t.prepare_cached(
                "update rollouts set phase = ?3, state = ?4, updated = ?5, ended = ?6, exit = ?7, target_file = ?8, file = ?9
                 where name = ?1 and run = ?2",
            )?
            .execute(params![r.name, r.run, r.phase, r.state, r.updated, r.ended, r.exit, r.target_file, r.file])?;
            for entry in entries {
                audit::insert(&t, entry)?;
            }
            t.commit()
        })
    }

    /// The newest run of a rollout.
    pub(crate) fn rollout(&self, name: &str) -> Result<Option<Row>, Failure> {
        self.with(|c| {
            let mut statement =
                c.prepare_cached(&format!("select {COLUMNS} from rollouts where name = ?1 order by run desc limit 1"))?;
            statement.query_row([name], row).optional()
        })
    }

    /// The newest run of every rollout, by name.
    pub(crate) fn rollouts(&self) -> Result<Vec<Row>, Failure> {
        self.with(|c| {
            let mut statement = c.prepare_cached(&format!(
                "select {COLUMNS} from rollouts r where run = (select max(run) from rollouts where name = r.name) order by name"
            ))?;
            let rows = statement.query_map([], row)?;
            rows.collect()
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample(name: &str, run: i64) -> Row {
        let text = |t: &str| t.to_owned();
        Row {
            name: text(name),
            run,
            target: text("edge"),
            target_file: text("/etc/t.yaml"),
            route: text("shop"),
            file: text("/etc/r.yaml"),
            spec: text("{}"),
            digest: text("d"),
            forced: text(""),
            phase: text("Progressing"),
            state: text("{}"),
            started: 1,
            updated: 1,
            ended: None,
            exit: None,
        }
    }

    #[test]
    fn the_newest_run_is_found_and_state_comes_with_its_audit_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.begin(&sample("shop", 1)).unwrap();
        store.begin(&sample("shop", 2)).unwrap();
        store.begin(&sample("cart", 1)).unwrap();
        let mut newest = store.rollout("shop").unwrap().unwrap();
        assert_eq!(newest.run, 2);
        newest.phase = "Succeeded".to_owned();
        newest.ended = Some(7);
        let data = serde_json::Value::Null;
        let entry =
            Entry { at: 7, rollout: "shop", run: 2, actor: "headgate", action: "promoted", reason: "", data: &data };
        store.save(&newest, &[entry]).unwrap();
        let all = Store::open(folder.path()).unwrap().rollouts().unwrap();
        assert_eq!(all.iter().map(|r| (r.name.as_str(), r.run)).collect::<Vec<_>>(), [("cart", 1), ("shop", 2)]);
        assert_eq!(all[1], newest);
        assert_eq!(store.history("shop", None).unwrap().len(), 1);
        assert!(store.rollout("nobody").unwrap().is_none());
    }
}
