//! Fields that differ by themselves: timestamps, identifiers, sampling.
//!
//! Diffy's rule (Twitter's Diffy, `JoinedField`): a field counts when the shadow differs from the version in service clearly more often than that
//! version differs from itself: relative difference `|c - s| / (c + s)` above 20 % and absolute difference `|c - s|` above 0.03 %
//! of all comparisons. Shares are compared, not counts, since the second copy may have been sent for fewer requests.

/// The rule's thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Relative difference that must be exceeded, as a share. Default 0.2.
    pub relative: f64,
    /// Absolute difference that must be exceeded, as a share of comparisons. Default 0.0003.
    pub absolute: f64,
}

impl Default for Noise {
    fn default() -> Self {
        Self { relative: 0.2, absolute: 0.000_3 }
    }
}

impl Noise {
    /// Whether a field counts that differs in the share `shadow` of comparisons, and in the share `itself` of the version in service's with itself.
    #[must_use]
    pub fn counts(&self, shadow: f64, itself: f64) -> bool {
        let more = shadow - itself;
        more > self.absolute && more > self.relative * (shadow + itself)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_thresholds_must_be_exceeded() {
        let rule = Noise::default();
        for (shadow, itself, counts) in [
            (0.10, 0.0, true),
            (1.0, 1.0, false),
            (0.12, 0.10, false),
            (0.16, 0.10, true),
            (0.000_2, 0.0, false),
            (0.000_4, 0.0, true),
            (0.0, 0.5, false),
            (0.0, 0.0, false),
        ] {
            assert_eq!(rule.counts(shadow, itself), counts, "{shadow} {itself}");
        }
    }
}
