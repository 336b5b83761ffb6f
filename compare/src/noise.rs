//! Which differences the stable version has with itself.
//!
//! Timestamps, ids and sampling differ in every answer. Of some requests a second copy goes to the stable version, whose
//! answer is compared with the user's as the candidate's is. A field in which the candidate differs about as often as
//! stable from itself says nothing about the candidate. The rule is that of Diffy (Twitter, 2015: `JoinedField` and
//! `DifferencesFilterFactory`): a field counts when the candidate differs in it more often, by more than 20 % of how
//! often either does and by more than 0.03 % of all pairs. It is a rule of thumb over counts, no test: it says nothing about
//! how sure one may be.

use crate::limits::PATHS;
use crate::outcome::{Outcome, Verdict};

/// Fields that one tally keeps apart; differences in others always count.
pub const FIELDS: usize = 256;

/// By how much the candidate must differ more often for a field to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Above this part of how often either differs: `(candidate - stable) / (candidate + stable)`. 0 up to 1.
    pub relative: f64,
    /// Above this part of all pairs: `(candidate - stable) / pairs`. 0 up to 1.
    pub absolute: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { relative: 0.2, absolute: 0.000_3 }
    }
}

impl Rule {
    /// Whether a field counts in which, over `pairs` requests copied twice, the candidate differed `candidate` times from what
    /// the user got and stable's second answer `stable` times. Without pairs nothing does.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn counts(self, candidate: u64, stable: u64, pairs: u64) -> bool {
        let more = candidate.saturating_sub(stable) as f64;
        more > self.relative * (candidate as f64 + stable as f64) && more > self.absolute * pairs as f64
    }
}

/// How often a field differed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The place, as [`crate::Difference::path`] has it.
    pub path: String,
    /// Pairs in which the candidate differed.
    pub candidate: u64,
    /// Pairs in which stable differed from itself.
    pub stable: u64,
}

/// Counts of one route. Bounded: 256 fields of at most 200 bytes.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    rule: Rule,
    pairs: u64,
    /// Sorted by path.
    fields: Vec<Field>,
}

impl Tally {
    /// An empty one.
    pub const fn new(rule: Rule) -> Self {
        Self { rule, pairs: 0, fields: Vec::new() }
    }

    /// Counts a request that was copied twice: what the candidate's answer came to beside the user's, and what stable's second
    /// answer did. One of which either could not be compared is left out.
    pub fn observe(&mut self, candidate: &Outcome, stable: &Outcome) {
        if candidate.agrees().is_none() || stable.agrees().is_none() {
            return;
        }
        self.pairs += 1;
        for difference in &candidate.differences {
            if let Some(field) = self.field(&difference.path) {
                field.candidate += 1;
            }
        }
        for difference in &stable.differences {
            if let Some(field) = self.field(&difference.path) {
                field.stable += 1;
            }
        }
    }

    fn field(&mut self, path: &str) -> Option<&mut Field> {
        let at = match self.fields.binary_search_by(|field| field.path.as_str().cmp(path)) {
            Ok(at) => at,
            Err(_) if self.fields.len() >= FIELDS => return None,
            Err(at) => {
                self.fields.insert(at, Field { path: path.to_owned(), candidate: 0, stable: 0 });
                at
            }
        };
        self.fields.get_mut(at)
    }

    /// Whether a mismatch is of noise alone by what was counted so far: every field in which it differs is one that does not
    /// count. Before the first request copied twice, no mismatch is.
    pub fn only_noise(&self, outcome: &Outcome) -> bool {
        let all = outcome.differences.len() < PATHS || outcome.count <= PATHS;
        self.pairs > 0
            && outcome.verdict == Verdict::Mismatched
            && all
            && outcome.differences.iter().all(|difference| self.is_noise(&difference.path))
    }

    /// Whether a place is noise: seen, and does not count.
    pub fn is_noise(&self, path: &str) -> bool {
        self.fields
            .binary_search_by(|field| field.path.as_str().cmp(path))
            .ok()
            .and_then(|at| self.fields.get(at))
            .is_some_and(|field| field.stable > 0 && !self.rule.counts(field.candidate, field.stable, self.pairs))
    }

    /// Requests copied twice that were counted.
    pub const fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Fields that differed, by path.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Difference, How, Kinds};

    #[test]
    fn a_field_counts_when_the_candidate_differs_clearly_more_often() {
        let rule = Rule::default();
        let counts = |candidate, stable, pairs| rule.counts(candidate, stable, pairs);
        assert!(!counts(0, 0, 0) && !counts(0, 0, 10_000));
        // Never by itself, once by the candidate: 100 % of the differences, and 1 in 3,333 is 0.03 %.
        assert!(counts(1, 0, 3_333) && !counts(1, 0, 3_334));
        // 60 to 40 is exactly 20 %.
        assert!(!counts(60, 40, 1_000) && counts(61, 40, 1_000));
        assert!(!counts(100, 100, 100) && !counts(40, 60, 1_000) && !counts(0, 60, 1_000));
        let strict = Rule { relative: 0.0, absolute: 0.0 };
        assert!(strict.counts(2, 1, 1_000_000) && !strict.counts(1, 1, 1));
    }

    fn differs(paths: &[&str]) -> Outcome {
        let mut kinds = Kinds::default();
        let differences: Vec<_> = paths
            .iter()
            .map(|path| Difference { path: (*path).to_owned(), how: How::Value, primary: None, shadow: None })
            .collect();
        if paths.is_empty() {
            return Outcome::default();
        }
        kinds.add(crate::Kind::Json);
        Outcome { verdict: Verdict::Mismatched, kinds, count: paths.len(), differences, ..Outcome::default() }
    }

    #[test]
    fn what_stable_differs_in_by_itself_is_noise_and_nothing_else_is() {
        let mut tally = Tally::default();
        assert!(!tally.only_noise(&differs(&["/at"])));
        for round in 0..100 {
            let candidate = if round % 10 == 0 { differs(&["/at", "/score"]) } else { differs(&["/at"]) };
            tally.observe(&candidate, &differs(&["/at"]));
        }
        assert!(tally.only_noise(&differs(&["/at"])));
        assert!(!tally.only_noise(&differs(&["/at", "/score"])) && !tally.only_noise(&differs(&["/new"])));
        assert!(!tally.only_noise(&Outcome::default()), "a match is no noise");
        assert_eq!(tally.fields()[1], Field { path: "/score".to_owned(), candidate: 10, stable: 0 });
        assert_eq!(tally.pairs(), 100);
    }

    #[test]
    fn what_could_not_be_compared_is_left_out() {
        let mut tally = Tally::default();
        let lost = Outcome { verdict: Verdict::Incomparable(crate::Reason::TooLarge), ..Outcome::default() };
        tally.observe(&differs(&["/at"]), &lost);
        tally.observe(&lost, &differs(&["/at"]));
        assert_eq!((tally.pairs(), tally.fields().len()), (0, 0));
    }

    #[test]
    fn fields_are_bounded() {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            let path = format!("/{n}");
            tally.observe(&differs(&[&path]), &differs(&[&path]));
        }
        assert_eq!(tally.fields().len(), FIELDS);
        assert!(!tally.only_noise(&differs(&["/999"])));
    }
}
