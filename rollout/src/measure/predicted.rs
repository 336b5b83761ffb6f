//! Predictions as the proxies counted them: by bin or class, and by bucket of users.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One prediction of one variant in one segment (`headgate_prediction_*`), since the proxy started. A bin that was never counted is not
/// there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicted {
    /// Numbers by the upper edge of their bin as it is written (`inf` above the last), then by replicate bucket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Vec<u64>>,
    /// Classes by name, then by replicate bucket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, Vec<u64>>,
    /// What could not be read, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, u64>,
}

impl Predicted {
    /// How many could not be read.
    pub fn unread(&self) -> u64 {
        self.unread.values().sum()
    }

    /// How many were.
    pub fn read(&self) -> u64 {
        self.values.values().chain(self.classes.values()).flatten().sum()
    }

    /// Whether this may follow `before` in one life of a proxy: nothing fell.
    pub(super) fn follows(&self, before: &Self) -> bool {
        let rises = |now: &BTreeMap<String, Vec<u64>>, then: &BTreeMap<String, Vec<u64>>| {
            then.iter().all(|(bin, then)| {
                let now = now.get(bin).map(Vec::as_slice).unwrap_or_default();
                then.iter().enumerate().all(|(b, then)| now.get(b).copied().unwrap_or(0) >= *then)
            })
        };
        rises(&self.values, &before.values)
            && rises(&self.classes, &before.classes)
            && before.unread.iter().all(|(why, then)| self.unread.get(why).copied().unwrap_or(0) >= *then)
    }

    /// Adds `now - before`.
    pub(super) fn add(&mut self, now: &Self, before: Option<&Self>) {
        let nothing = Self::default();
        let then = before.unwrap_or(&nothing);
        for (mine, now, then) in
            [(&mut self.values, &now.values, &then.values), (&mut self.classes, &now.classes, &then.classes)]
        {
            for (bin, now) in now {
                let then = then.get(bin).map(Vec::as_slice).unwrap_or_default();
                let total = mine.entry(bin.clone()).or_default();
                if total.len() < now.len() {
                    total.resize(now.len(), 0);
                }
                for (bucket, (total, now)) in total.iter_mut().zip(now).enumerate() {
                    *total += now.saturating_sub(then.get(bucket).copied().unwrap_or(0));
                }
            }
        }
        for (why, now) in &now.unread {
            let then = then.unread.get(why).copied().unwrap_or(0);
            *self.unread.entry(why.clone()).or_default() += now.saturating_sub(then);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_add_up_bin_by_bin_and_a_fall_is_a_restart() {
        let of = |low: u64, missing: u64| Predicted {
            values: BTreeMap::from([("0.5".to_owned(), vec![low, 1])]),
            classes: BTreeMap::from([("spam".to_owned(), vec![0, low])]),
            unread: BTreeMap::from([("missing".to_owned(), missing)]),
        };
        let mut total = Predicted::default();
        total.add(&of(5, 3), Some(&of(2, 1)));
        total.add(&of(4, 0), None);
        assert_eq!(total.values["0.5"], [7, 1]);
        assert_eq!((total.classes["spam"][1], total.unread(), total.read()), (7, 2, 15));
        assert!(of(5, 3).follows(&of(5, 3)) && of(5, 3).follows(&Predicted::default()));
        assert!(!of(4, 3).follows(&of(5, 3)) && !of(5, 2).follows(&of(5, 3)));
    }
}
