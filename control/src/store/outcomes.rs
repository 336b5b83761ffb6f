//! Outcomes: what became of a request or a user later, told by the user's own systems (ground truth such as accuracy).
//!
//! Kept as they came, so that a window can begin at any step; summed when they are asked for.

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use crate::exit::Failure;

/// One outcome.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) key: Option<String>,
    pub(crate) variant: String,
    /// The key's replicate bucket, 0 to 31.
    pub(crate) bucket: Option<u8>,
    pub(crate) success: Option<bool>,
    pub(crate) value: Option<f64>,
    /// Unix milliseconds.
    pub(crate) at: i64,
}

/// Outcomes of one variant and one replicate bucket in a window, as sums that add up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tally {
    pub(crate) variant: String,
    /// Of the key; outcomes without a key count as so many users, and go round the 32.
    pub(crate) bucket: u8,
    /// How many said whether it was a success.
    pub(crate) judged: i64,
    /// How many were.
    pub(crate) successes: i64,
    /// How many carried a value.
    pub(crate) valued: i64,
    pub(crate) sum: f64,
    pub(crate) sum_of_squares: f64,
}

impl Store {
    /// Keeps outcomes of a route. One that was told before (same key, same time) counts once; gives how many were new.
    pub(crate) fn keep_outcomes(&self, route: &str, outcomes: &[Outcome]) -> Result<usize, Failure> {
        self.with(|c| {
            let t = c.transaction()?;
            let mut new = 0;
            {
                let mut statement = t.prepare_cached(
                    "insert into outcomes (route, key, variant, bucket, success, value, at)
                     values (?1, ?2, ?3, ?4, ?5, ?6, ?7) on conflict do nothing",
                )?;
                for o in outcomes {
                    new += statement.execute(params![route, o.key, o.variant, o.bucket, o.success, o.value, o.at])?;
                }
            }
            t.commit()?;
            Ok(new)
        })
    }

    /// To which inode and place a file of outcomes was taken in.
    pub(crate) fn place(&self, name: &str) -> Result<Option<(u64, u64)>, Failure> {
        self.with(|c| {
            c.query_row("select inode, at from places where name = ?1", [name], |row| {
                let (inode, at): (i64, i64) = (row.get(0)?, row.get(1)?);
                Ok((inode.cast_unsigned(), at.cast_unsigned()))
            })
            .optional()
        })
    }

    /// Notes how far a file was taken in.
    pub(crate) fn keep_place(&self, name: &str, (inode, at): (u64, u64)) -> Result<(), Failure> {
        self.with(|c| {
            c.execute(
                "insert into places (name, inode, at) values (?1, ?2, ?3)
                 on conflict (name) do update set inode = excluded.inode, at = excluded.at",
                params![name, inode.cast_signed(), at.cast_signed()],
            )
            .map(drop)
        })
    }

    /// Sums by variant and bucket of the outcomes from a time on, and before another (`i64::MAX`: all after it), Unix milliseconds.
    pub(crate) fn tally(&self, route: &str, since: i64, until: i64) -> Result<Vec<Tally>, Failure> {
        self.with(|c| {
            let mut statement = c.prepare_cached(
                "select variant, coalesce(bucket, id % 32) as b, count(success), coalesce(sum(success), 0), count(value),
                 total(value), total(value * value)
                 from outcomes where route = ?1 and at >= ?2 and at < ?3 group by variant, b order by variant, b",
            )?;
            let rows = statement.query_map(params![route, since, until], |row| {
                Ok(Tally {
                    variant: row.get(0)?,
                    bucket: row.get(1)?,
                    judged: row.get(2)?,
                    successes: row.get(3)?,
                    valued: row.get(4)?,
                    sum: row.get(5)?,
                    sum_of_squares: row.get(6)?,
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
    fn outcomes_are_summed_by_variant_since_a_time_and_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let one = |key: &str, variant: &str, success, value, at| Outcome {
            key: Some(key.to_owned()),
            variant: variant.to_owned(),
            bucket: Some(3),
            success,
            value,
            at,
        };
        let list = vec![
            one("1", "canary", Some(true), None, 5),
            one("2", "canary", Some(false), Some(2.0), 15),
            one("3", "canary", Some(true), Some(3.0), 16),
            one("3", "stable", None, Some(1.5), 17),
        ];
        assert_eq!(store.keep_outcomes("shop", &list).unwrap(), 4);
        assert_eq!(store.keep_outcomes("shop", &list).unwrap(), 0);
        let sums = store.tally("shop", 10, i64::MAX).unwrap();
        assert_eq!(sums.len(), 2);
        let canary = &sums[0];
        assert_eq!((canary.judged, canary.successes, canary.valued), (2, 1, 2));
        assert!((canary.sum - 5.0).abs() < 1e-12 && (canary.sum_of_squares - 13.0).abs() < 1e-12);
        assert_eq!((sums[1].judged, sums[1].valued), (0, 1));
        assert!(store.tally("other", 0, i64::MAX).unwrap().is_empty());
        let early = store.tally("shop", 0, 15).unwrap();
        assert_eq!((early.len(), early[0].judged), (1, 1), "only what came before");
        // Without a key, each counts by itself and goes round the buckets.
        let keyless: Vec<Outcome> = list.into_iter().map(|o| Outcome { key: None, bucket: None, ..o }).collect();
        store.keep_outcomes("shop", &keyless).unwrap();
        assert_eq!(store.tally("shop", 0, i64::MAX).unwrap().iter().map(|t| t.judged).sum::<i64>(), 6);
    }
}
