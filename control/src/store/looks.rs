//! What was measured over time, for reports: looks as JSON, thinned by whoever writes them.

use rusqlite::params;
use serde_json::Value;

use super::Store;
use crate::exit::Failure;

impl Store {
    /// Keeps a look.
    pub(crate) fn keep_look(&self, rollout: &str, run: i64, at: i64, look: &Value) -> Result<(), Failure> {
        self.with(|c| {
            let mut statement =
                c.prepare_cached("insert or replace into looks (rollout, run, at, data) values (?1, ?2, ?3, ?4)")?;
            statement.execute(params![rollout, run, at, look.to_string()]).map(drop)
        })
    }

    /// The looks of a run, oldest first.
    pub(crate) fn looks(&self, rollout: &str, run: i64) -> Result<Vec<Value>, Failure> {
        self.with(|c| {
            let mut statement =
                c.prepare_cached("select data from looks where rollout = ?1 and run = ?2 order by at")?;
            let rows = statement.query_map(params![rollout, run], |row| row.get::<_, String>(0))?;
            rows.map(|text| text.map(|t| serde_json::from_str(&t).unwrap_or(Value::Null))).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for at in [3, 1, 2, 2] {
            store.keep_look("shop", 1, at, &serde_json::json!({"atMs": at})).unwrap();
        }
        let at: Vec<i64> = store.looks("shop", 1).unwrap().iter().filter_map(|l| l["atMs"].as_i64()).collect();
        assert_eq!(at, [1, 2, 3]);
        assert!(store.looks("shop", 2).unwrap().is_empty());
    }
}
