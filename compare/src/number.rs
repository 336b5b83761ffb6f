//! Numbers of JSON documents, and when two of them are the same.

use core::cmp::Ordering;

/// A number as it stands in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "that is what it asks for")]
    pub(crate) const fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// A total order: by value, whole numbers exactly; of two of one value the whole one first.
    pub(crate) fn order(self, other: Self) -> Ordering {
        // `+ 0.0` makes -0 into 0.
        (self.as_f64() + 0.0).total_cmp(&(other.as_f64() + 0.0)).then_with(|| match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (Self::Whole(_), Self::Float(_)) => Ordering::Less,
            (Self::Float(_), Self::Whole(_)) => Ordering::Greater,
            (Self::Float(_), Self::Float(_)) => Ordering::Equal,
        })
    }
}

/// How far two numbers may be apart and still be the same.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tolerance {
    pub(crate) absolute: f64,
    pub(crate) relative: f64,
}

impl Tolerance {
    /// Whether `a` and `b` are within either bound: `|a - b| <= absolute`, or `<= relative * max(|a|, |b|)`. Whole numbers that are equal
    /// as 64-bit floats and not otherwise are the same only if a bound is above 0.
    pub(crate) fn same(self, a: Number, b: Number) -> bool {
        if let (Number::Whole(a), Number::Whole(b), true) = (a, b, self.absolute == 0.0 && self.relative == 0.0) {
            return a == b;
        }
        let (a, b) = (a.as_f64(), b.as_f64());
        let apart = (a - b).abs();
        apart <= self.absolute || apart <= self.relative * a.abs().max(b.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_bound_suffices() {
        let same = |absolute, relative, a: f64, b: f64| {
            let tolerance = Tolerance { absolute, relative };
            let (a, b) = (Number::Float(a), Number::Float(b));
            assert_eq!(tolerance.same(a, b), tolerance.same(b, a));
            tolerance.same(a, b)
        };
        assert!(same(0.0, 0.0, 0.1, 0.1) && !same(0.0, 0.0, 0.1, 0.100_000_1));
        assert!(same(0.5, 0.0, 1.0, 1.5) && !same(0.5, 0.0, 1.0, 1.51));
        assert!(same(0.0, 0.1, 90.0, 100.0) && !same(0.0, 0.1, 89.0, 100.0));
        assert!(same(0.001, 0.1, 0.0, 0.0005) && same(0.001, 0.1, -100.0, -95.0));
        // The difference of two that are not infinite can be.
        assert!(!same(1e300, 0.0, f64::MAX, f64::MIN));
    }

    #[test]
    fn whole_numbers_are_exact_and_equal_to_floats_of_the_same_value() {
        let exact = Tolerance::default();
        assert!(!exact.same(Number::Whole((1 << 53) + 1), Number::Whole(1 << 53)));
        assert!(exact.same(Number::Whole(1), Number::Float(1.0)));
        assert!(exact.same(Number::Float(0.0), Number::Float(-0.0)));
    }
}
