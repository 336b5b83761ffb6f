//! Who gets what while a step lasts: shares of versions, by segment, of copies, of a bandit's arms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::file::WHOLE;

/// The shares in force during a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    /// The canary's share in parts of [`WHOLE`]; the stable version has the rest, any other variant nothing.
    pub canary: u32,
    /// The canary's share in segments of the route that differ; every other segment gets [`Self::canary`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, u32>,
    /// Share of users whose requests are copied to the canary, parts of [`WHOLE`]; 0: no copies.
    #[serde(default)]
    pub mirror: u32,
    /// Share of users whose requests the filter copies and compares, parts of [`WHOLE`]; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shadow: u32,
    /// `true` at the very end: the route has one variant, the canary or the arm that a bandit gave all users, which is also what a kill goes to.
    #[serde(default)]
    pub only_canary: bool,
    /// The shares of a bandit's arms by variant, parts of [`WHOLE`], the same in every segment; [`Self::canary`] is then what the stable
    /// version does not have. Empty: there are two versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arms: BTreeMap<String, u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(parts: &u32) -> bool {
    *parts == 0
}

impl Weights {
    /// All users on the stable version, no copies.
    pub fn none() -> Self {
        Self::default()
    }

    /// Shares of arms, which add up to [`WHOLE`]. All for the stable version: as [`Self::none`].
    pub fn of_arms<'a>(stable: &str, arms: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let arms: BTreeMap<String, u32> = arms.into_iter().map(|(name, parts)| (name.to_owned(), parts)).collect();
        let canary = WHOLE.saturating_sub(arms.get(stable).copied().unwrap_or(0));
        if canary == 0 { Self::none() } else { Self { canary, arms, ..Self::default() } }
    }

    /// The same share in every segment.
    pub fn canary(parts: u32) -> Self {
        Self { canary: parts.min(WHOLE), ..Self::default() }
    }

    /// For people: the canary's share, or each arm's of a bandit: `5 %`, `stable 20%, short 80%`.
    pub fn words(&self) -> String {
        if self.arms.is_empty() {
            return format!("{} %", f64::from(self.canary) / 100.0);
        }
        let one = |(name, parts): (&String, &u32)| format!("{name} {}", crate::text::percent(*parts));
        self.arms.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Whether no user can get the canary and none is copied.
    pub fn is_none(&self) -> bool {
        self.canary == 0
            && self.segments.values().all(|w| *w == 0)
            && self.mirror == 0
            && self.shadow == 0
            && !self.only_canary
    }

    /// Whether stable answers nobody.
    pub fn is_full(&self) -> bool {
        self.only_canary || (self.canary == WHOLE && self.segments.values().all(|w| *w == WHOLE))
    }

    /// Whether they give every user the same, however they are written.
    pub fn same_as(&self, other: &Self) -> bool {
        self.canary == other.canary
            && self.mirror == other.mirror
            && self.shadow == other.shadow
            && self.only_canary == other.only_canary
            && self.arms == other.arms
            && self.segments.keys().chain(other.segments.keys()).all(|s| self.in_segment(s) == other.in_segment(s))
    }

    /// The canary's share in a segment (`default` outside of all), parts of [`WHOLE`].
    pub fn in_segment(&self, segment: &str) -> u32 {
        self.segments.get(segment).copied().unwrap_or(self.canary)
    }
}
