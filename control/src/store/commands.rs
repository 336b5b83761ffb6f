//! What people ask of a rollout from another terminal. A row waits until the rollout's runner has taken it, and then holds what
//! came of it.

use rusqlite::{OptionalExtension as _, params};

use super::{Entry, Store, audit};
use crate::exit::Failure;

/// A wish that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) id: i64,
    /// Unix milliseconds of the wish.
    pub(crate) at: i64,
    pub(crate) rollout: String,
    /// A verb, as on the command line.
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Unix milliseconds.
    pub(crate) at: i64,
    /// In words.
    pub(crate) answer: String,
}

impl Store {
    /// Leaves a wish, and writes it into the audit; gives its number.
    pub(crate) fn wish(&self, run: i64, c: &Command) -> Result<i64, Failure> {
        self.with(|connection| {
            let t = connection.transaction()?;
            t.execute(
                "insert into commands (at, rollout, kind, actor, reason) values (?1, ?2, ?3, ?4, ?5)",
                params![c.at, c.rollout, c.kind, c.actor, c.reason],
            )?;
            let id = t.last_insert_rowid();
            let data = serde_json::json!({"command": id});
            let action = format!("asked: {}", c.kind);
            audit::insert(
                &t,
                &Entry {
                    at: c.at,
                    rollout: &c.rollout,
                    run,
                    actor: &c.actor,
                    action: &action,
                    reason: &c.reason,
                    data: &data,
                },
            )?;
            t.commit()?;
            Ok(id)
        })
    }

    /// All wishes that wait, oldest first.
    pub(crate) fn waiting(&self) -> Result<Vec<Command>, Failure> {
        self.with(|c| {
            let mut statement = c.prepare_cached(
                "select id, at, rollout, kind, actor, reason from commands where taken is null order by id",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Command {
                    id: row.get(0)?,
                    at: row.get(1)?,
                    rollout: row.get(2)?,
                    kind: row.get(3)?,
                    actor: row.get(4)?,
                    reason: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Notes what came of a wish.
    pub(crate) fn taken(&self, id: i64, at: i64, answer: &str) -> Result<(), Failure> {
        self.with(|c| {
            c.execute("update commands set taken = ?2, answer = ?3 where id = ?1", params![id, at, answer]).map(drop)
        })
    }

    /// What came of a wish; `None` while it waits.
    pub(crate) fn answer(&self, id: i64) -> Result<Option<Taken>, Failure> {
        self.with(|c| {
            let mut statement =
                c.prepare_cached("select taken, answer from commands where id = ?1 and taken is not null")?;
            statement
                .query_row([id], |row| {
                    Ok(Taken { at: row.get(0)?, answer: row.get::<_, Option<String>>(1)?.unwrap_or_default() })
                })
                .optional()
        })
    }

    /// Takes a wish back that nobody has taken; says whether it was still there.
    pub(crate) fn withdraw(&self, id: i64) -> Result<bool, Failure> {
        self.with(|c| c.execute("delete from commands where id = ?1 and taken is null", [id]).map(|n| n == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_waits_until_it_is_taken_and_is_seen_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let (runner, terminal) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let mut wish = Command {
            id: 0,
            at: 5,
            rollout: "shop".into(),
            kind: "pause".into(),
            actor: "ada".into(),
            reason: "lunch".into(),
        };
        wish.id = terminal.wish(1, &wish).unwrap();
        assert_eq!(terminal.answer(wish.id).unwrap(), None);
        assert_eq!(runner.waiting().unwrap(), [wish.clone()]);
        runner.taken(wish.id, 9, "paused").unwrap();
        assert!(runner.waiting().unwrap().is_empty());
        assert_eq!(terminal.answer(wish.id).unwrap(), Some(Taken { at: 9, answer: "paused".into() }));
        assert!(!terminal.withdraw(wish.id).unwrap());
        assert_eq!(terminal.history("shop", None).unwrap()[0].action, "asked: pause");
    }
}
