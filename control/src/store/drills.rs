//! Rehearsals of the way back, and how they went.

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;

use super::Store;
use crate::exit::Failure;

impl Store {
    /// Keeps the record of a drill on a route of a target.
    pub(crate) fn keep_drill(
        &self,
        (target, route): (&str, &str),
        at: i64,
        passed: bool,
        data: &Value,
    ) -> Result<(), Failure> {
        self.with(|c| {
            c.execute(
                "insert into drills (at, target, route, passed, data) values (?1, ?2, ?3, ?4, ?5)",
                params![at, target, route, passed, data.to_string()],
            )
            .map(drop)
        })
    }

    /// When the last passed drill on a route was, Unix milliseconds.
    pub(crate) fn last_drill(&self, target: &str, route: &str) -> Result<Option<i64>, Failure> {
        self.with(|c| {
            c.query_row(
                "select max(at) from drills where target = ?1 and route = ?2 and passed",
                params![target, route],
                |row| row.get(0),
            )
            .optional()
            .map(Option::flatten)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_passed_drill_counts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.last_drill("edge", "shop").unwrap(), None);
        for (at, passed) in [(1, true), (5, true), (9, false)] {
            store.keep_drill(("edge", "shop"), at, passed, &Value::Null).unwrap();
        }
        assert_eq!(store.last_drill("edge", "shop").unwrap(), Some(5));
        assert_eq!(store.last_drill("edge", "cart").unwrap(), None);
    }
}
