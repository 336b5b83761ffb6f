//! Recorded baselines: what stable looked like over a time that somebody chose (`headgate baseline record`).

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::Store;
use crate::exit::Failure;

/// A recorded baseline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Baseline {
    /// When the recording ended, Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) actor: String,
    /// What was recorded, as the pure crate writes it.
    pub(crate) data: Value,
}

impl Store {
    /// Keeps a baseline; the one before is replaced.
    pub(crate) fn keep_baseline(&self, rollout: &str, b: &Baseline) -> Result<(), Failure> {
        self.with(|c| {
            c.execute(
                "insert into baselines (rollout, at, actor, data) values (?1, ?2, ?3, ?4)
                 on conflict (rollout) do update set at = excluded.at, actor = excluded.actor, data = excluded.data",
                params![rollout, b.at, b.actor, b.data.to_string()],
            )
            .map(drop)
        })
    }

    /// The recorded baseline of a rollout.
    pub(crate) fn baseline(&self, rollout: &str) -> Result<Option<Baseline>, Failure> {
        self.with(|c| {
            c.query_row("select at, actor, data from baselines where rollout = ?1", [rollout], |row| {
                let data: String = row.get(2)?;
                Ok(Baseline {
                    at: row.get(0)?,
                    actor: row.get(1)?,
                    data: serde_json::from_str(&data).unwrap_or_default(),
                })
            })
            .optional()
        })
    }
}
