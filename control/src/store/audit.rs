//! The audit: who did what to a rollout, when, why, and what had been measured. It only grows; triggers refuse the rest.

use rusqlite::params;
use serde_json::Value;

use super::Store;
use crate::exit::Failure;

/// One line to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) rollout: &'a str,
    pub(crate) run: i64,
    /// A person, or `headgate`.
    pub(crate) actor: &'a str,
    /// One word, as in `headgate history`.
    pub(crate) action: &'a str,
    /// Why, in words.
    pub(crate) reason: &'a str,
    /// What was measured, and everything else a machine may want.
    pub(crate) data: &'a Value,
}

/// One line as it was written.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Logged {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) rollout: String,
    pub(crate) run: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) reason: String,
    pub(crate) data: Value,
}

pub(super) fn insert(connection: &rusqlite::Connection, e: &Entry<'_>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "insert into audit (at, rollout, run, actor, action, reason, data) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![e.at, e.rollout, e.run, e.actor, e.action, e.reason, e.data.to_string()]).map(drop)
}

impl Store {
    /// Writes one line.
    pub(crate) fn log(&self, entry: &Entry<'_>) -> Result<(), Failure> {
        self.with(|c| insert(c, entry))
    }

    /// The lines of a rollout, of one run or of all, oldest first.
    pub(crate) fn history(&self, rollout: &str, run: Option<i64>) -> Result<Vec<Logged>, Failure> {
        self.with(|c| {
            let mut statement = c.prepare_cached(
                "select id, at, rollout, run, actor, action, reason, data from audit
                 where rollout = ?1 and (?2 is null or run = ?2) order by id",
            )?;
            let rows = statement.query_map(params![rollout, run], |row| {
                let data: String = row.get(7)?;
                Ok(Logged {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    rollout: row.get(2)?,
                    run: row.get(3)?,
                    actor: row.get(4)?,
                    action: row.get(5)?,
                    reason: row.get(6)?,
                    // Written by us: what is no JSON any more is shown as it is.
                    data: serde_json::from_str(&data).unwrap_or(Value::String(data)),
                })
            })?;
            rows.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let data = serde_json::json!({"errors": 0.02});
        for at in 1..=3 {
            let entry =
                Entry { at, rollout: "shop", run: 1, actor: "ada", action: "pause", reason: "lunch", data: &data };
            store.log(&entry).unwrap();
        }
        assert!(store.with(|c| c.execute("delete from audit", [])).unwrap_err().message.contains("only grows"));
        assert!(store.with(|c| c.execute("update audit set actor = 'eve'", [])).is_err());
        let lines = store.history("shop", Some(1)).unwrap();
        assert_eq!(lines.iter().map(|l| l.at).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(lines[0].data, data);
        assert!(store.history("shop", Some(2)).unwrap().is_empty());
    }
}
