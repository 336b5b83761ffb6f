//! What changed into what, counted in bounded memory.
//!
//! Old and new values are anybody's, so there may be any number of them. At most `MOST` rows are held; when there are more the rarest half
//! is dropped, and what was dropped can only have made counts too small, by a bound that is kept (lossy counting: Manku and Motwani 2002).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use serde::Serialize;

/// Rows that are held.
const MOST: usize = 8_192;
/// Characters of a value that are held.
const WIDEST: usize = 120;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Where.
    pub path: String,
    /// What the user got, as JSON; none: not told.
    pub old: Option<String>,
    /// What the shadow answered, as JSON; none: not told.
    pub new: Option<String>,
    /// How often: at least.
    pub count: f64,
}

type Key = (String, Option<String>, Option<String>);

/// Counts of (path, old, new).
#[derive(Clone, Debug, Default)]
pub struct Changes {
    // Hashed without a seed: nothing depends on the order, and rows are bounded.
    rows: HashMap<Key, f64, BuildHasherDefault<DefaultHasher>>,
    missed: f64,
}

impl Changes {
    /// Counts a change that stands for `weight` of them.
    pub fn take(&mut self, path: &str, old: Option<&str>, new: Option<&str>, weight: f64) {
        let key = (path.to_owned(), old.map(cut), new.map(cut));
        if let Some(count) = self.rows.get_mut(&key) {
            *count += weight;
            return;
        }
        if self.rows.len() >= MOST {
            self.drop_rare();
        }
        self.rows.insert(key, weight);
    }

    fn drop_rare(&mut self) {
        let mut counts: Vec<f64> = self.rows.values().copied().collect();
        let (_, middle, _) = counts.select_nth_unstable_by(MOST / 2, f64::total_cmp);
        let limit = *middle;
        self.rows.retain(|_, count| *count > limit);
        self.missed += limit;
    }

    /// By how much any count may be too small; 0 as long as nothing was dropped.
    #[must_use]
    pub fn missed(&self) -> f64 {
        self.missed
    }

    /// The `most` most frequent changes, the most frequent first.
    #[must_use]
    pub fn top(&self, most: usize) -> Vec<Change> {
        let mut rows: Vec<(&Key, &f64)> = self.rows.iter().collect();
        rows.sort_unstable_by(|a, b| b.1.total_cmp(a.1).then_with(|| a.0.cmp(b.0)));
        rows.into_iter()
            .take(most)
            .map(|((path, old, new), count)| Change {
                path: path.clone(),
                old: old.clone(),
                new: new.clone(),
                count: *count,
            })
            .collect()
    }
}

pub(super) fn cut(value: &str) -> String {
    match value.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", value.get(..at).unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_changes_survive_any_number_of_rare_ones() {
        let mut changes = Changes::default();
        for i in 0..100_000_u32 {
            changes.take("/id", Some(&i.to_string()), Some("x"), 1.0);
            if i % 10 == 0 {
                changes.take("/class", Some("3"), Some("5"), 1.0);
            }
        }
        let top = changes.top(1);
        assert_eq!(
            (top[0].path.as_str(), top[0].old.as_deref(), top[0].new.as_deref()),
            ("/class", Some("3"), Some("5"))
        );
        assert!(changes.missed() > 0.0 && top[0].count <= 10_000.0 && top[0].count + changes.missed() >= 10_000.0);
        assert!(changes.rows.len() <= MOST);
    }

    #[test]
    fn a_long_value_is_cut() {
        let mut changes = Changes::default();
        changes.take("/text", Some(&"ä".repeat(1_000)), None, 1.0);
        assert_eq!(changes.top(9)[0].old.as_ref().unwrap().chars().count(), WIDEST + 1);
        assert_eq!(changes.missed(), 0.0);
    }
}
