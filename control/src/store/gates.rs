//! Gates that wait for somebody's word, and the words that came. A gate takes one answer: the first.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use crate::exit::Failure;

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) rollout: String,
    pub(crate) run: i64,
    pub(crate) gate: String,
    /// Unix milliseconds.
    pub(crate) opened: i64,
    /// `approve` or `reject`; `None` while it waits.
    pub(crate) answer: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Store {
    /// Notes that a gate waits since then. Asking again changes nothing; an answer from before is the answer to an earlier attempt, and forgotten.
    pub(crate) fn open_gate(&self, rollout: &str, run: i64, gate: &str, at: i64) -> Result<(), Failure> {
        self.with(|c| {
            c.execute(
                "insert into gates (rollout, run, gate, opened) values (?1, ?2, ?3, ?4)
                 on conflict do update set opened = excluded.opened, answer = null, actor = null, reason = null, answered = null
                 where excluded.opened > gates.opened",
                params![rollout, run, gate, at],
            )
            .map(drop)
        })
    }

    /// Answers a gate; `false` when it had an answer already, or never waited.
    pub(crate) fn answer_gate(
        &self,
        (rollout, run, gate): (&str, i64, &str),
        answer: &str,
        actor: &str,
        reason: &str,
        at: i64,
    ) -> Result<bool, Failure> {
        self.with(|c| {
            let changed = c.execute(
                // A clock that was set back must not make the answer older than the question.
                "update gates set answer = ?4, actor = ?5, reason = ?6, answered = max(?7, opened)
                 where rollout = ?1 and run = ?2 and gate = ?3 and answer is null",
                params![rollout, run, gate, answer, actor, reason, at],
            )?;
            Ok(changed == 1)
        })
    }

    /// A gate as it stands.
    pub(crate) fn gate(&self, rollout: &str, run: i64, gate: &str) -> Result<Option<Gate>, Failure> {
        self.with(|c| {
            c.query_row(
                "select rollout, run, gate, opened, answer, actor, reason from gates
                 where rollout = ?1 and run = ?2 and gate = ?3",
                params![rollout, run, gate],
                |row| {
                    Ok(Gate {
                        rollout: row.get(0)?,
                        run: row.get(1)?,
                        gate: row.get(2)?,
                        opened: row.get(3)?,
                        answer: row.get(4)?,
                        actor: row.get(5)?,
                        reason: row.get(6)?,
                    })
                },
            )
            .optional()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_takes_one_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(!store.answer_gate(("shop", 1, "half"), "approve", "ada", "", 2).unwrap(), "it does not wait yet");
        store.open_gate("shop", 1, "half", 1).unwrap();
        assert!(store.answer_gate(("shop", 1, "half"), "reject", "ada", "errors", 2).unwrap());
        assert!(!store.answer_gate(("shop", 1, "half"), "approve", "eve", "", 3).unwrap());
        store.open_gate("shop", 1, "half", 1).unwrap();
        let gate = store.gate("shop", 1, "half").unwrap().unwrap();
        assert_eq!((gate.answer.as_deref(), gate.actor.as_deref(), gate.opened), (Some("reject"), Some("ada"), 1));
        store.open_gate("shop", 1, "half", 9).unwrap();
        let gate = store.gate("shop", 1, "half").unwrap().unwrap();
        assert_eq!((gate.answer, gate.opened), (None, 9), "a new attempt asks anew");
    }
}
