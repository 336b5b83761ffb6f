//! Tests of many pairs of counts at once: every metric of every segment of every experiment, or a table of a million lines.
//!
//! The same tests as [`super::fixed::proportions::z_test`] and [`super::sequential::msprt`], over columns of counts. Terms are arranged so that a pair costs two
//! divisions, and loops have no branch, so that compilers make vector instructions of them. A pair that these cannot answer (counts that cannot be,
//! zero variance, a p-value below the smallest double) is worked out by itself, by the same function that works out a single one.
//!
//! What this does not do: threads. Columns can be cut anywhere, and parts given to as many as there are.

mod tails;

use super::evalue::p_value;
use super::fixed::proportions::{Proportion, Spread, z_test};
use super::fixed::{Alternative, Look};
use super::reason::{Reason, amount};
use super::sequential::msprt;
use tails::{LARGEST, exp_of_minus, two_sided};

/// Counts of many proportions: two columns of one length.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'c> {
    /// Units with the event, of each.
    pub events: &'c [f64],
    /// All units, of each.
    pub units: &'c [f64],
}

/// A p-value of each pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// In the order of the pairs. 1, no evidence, where a pair was refused.
    pub p: Vec<f64>,
    /// The pairs without an answer, by position from 0, and why.
    pub refused: Vec<(usize, Reason)>,
}

/// The z test of each `b` against its `a`, as [`z_test`] does one.
///
/// Fleiss, Levin and Paik 2003, eq. 3.3 and 3.15. p-values agree with those of single tests to 1e-12 of themselves. Degenerate pairs are in
/// [`Answers::refused`]; [`Reason::LengthsDiffer`] for columns of different lengths, [`Reason::Peeking`] for data that are looked at again.
pub fn z_tests(
    a: Counts<'_>,
    b: Counts<'_>,
    spread: Spread,
    alternative: Alternative,
    look: Look,
) -> Result<Answers, Reason> {
    look.once()?;
    // Chosen here, outside of the loops.
    match (spread, alternative) {
        (Spread::Pooled, Alternative::TwoSided) => each(a, b, Z::<true, 0>),
        (Spread::Pooled, Alternative::Greater) => each(a, b, Z::<true, 1>),
        (Spread::Pooled, Alternative::Less) => each(a, b, Z::<true, -1>),
        (Spread::Unpooled, Alternative::TwoSided) => each(a, b, Z::<false, 0>),
        (Spread::Unpooled, Alternative::Greater) => each(a, b, Z::<false, 1>),
        (Spread::Unpooled, Alternative::Less) => each(a, b, Z::<false, -1>),
    }
}

/// The always-valid p-value of each difference of rates `b - a` at this look, as [`msprt::p`] does one with the standard error from each arm by itself.
///
/// Johari et al. 2022, eq. 8: `min(1, sqrt((V + tau2) / V) exp(-d^2 tau2 / (2 V (V + tau2))))`, `V` the variance of the difference `d`. No logarithm is needed, for the ratio
/// itself is wanted. Degenerate as [`z_tests`]; [`Reason::OutOfRange`] for a `tau2` of 0.
pub fn msprts(a: Counts<'_>, b: Counts<'_>, tau2: f64) -> Result<Answers, Reason> {
    if amount("the mixing variance", tau2)? == 0.0 {
        return Err(Reason::OutOfRange { what: "the mixing variance", value: tau2, allowed: "above 0" });
    }
    each(a, b, Mixture { tau2 })
}

/// A test of one pair, in two ways.
trait Test: Copy {
    /// The exponent `z^2 / 2` and the p-value, without a branch: right up to [`LARGEST`], and nonsense beyond or for what cannot have been counted.
    fn fast(self, pair: Pair) -> (f64, f64);

    /// The p-value whatever the counts, or why there is none.
    fn single(self, a: Proportion, b: Proportion) -> Result<f64, Reason>;
}

/// The z test with the pooled spread or that of each by itself; two-sided (0), greater (1) or less (-1).
#[derive(Clone, Copy)]
struct Z<const POOLED: bool, const SIDE: i8>;

impl<const POOLED: bool, const SIDE: i8> Test for Z<POOLED, SIDE> {
    #[inline(always)]
    fn fast(self, pair: Pair) -> (f64, f64) {
        let excess = pair.excess();
        let y = if POOLED { pair.pooled() } else { pair.unpooled() };
        let both = two_sided(y);
        let p = match SIDE {
            0 => both,
            side => {
                let half = 0.5 * both;
                if f64::from(side) * excess > 0.0 { half } else { 1.0 - half }
            }
        };
        (y, p)
    }

    fn single(self, a: Proportion, b: Proportion) -> Result<f64, Reason> {
        let spread = if POOLED { Spread::Pooled } else { Spread::Unpooled };
        let alternative = match SIDE {
            0 => Alternative::TwoSided,
            1 => Alternative::Greater,
            _ => Alternative::Less,
        };
        Ok(z_test(a, b, spread, alternative, Look::Only)?.p)
    }
}

/// The mixture sequential probability ratio test.
#[derive(Clone, Copy)]
struct Mixture {
    tau2: f64,
}

impl Test for Mixture {
    #[inline(always)]
    fn fast(self, pair: Pair) -> (f64, f64) {
        let (units, excess, variance) = (pair.units_a * pair.units_b, pair.excess(), pair.variance());
        let mixed = self.tau2 * units * units * units;
        let total = variance + mixed;
        // One division for both.
        let over = 1.0 / (variance * total);
        let exponent = 0.5 * excess * excess * units * mixed * over;
        let p = (total * total * over).sqrt() * exp_of_minus(exponent);
        (exponent, if p < 1.0 { p } else { 1.0 })
    }

    fn single(self, a: Proportion, b: Proportion) -> Result<f64, Reason> {
        let variance = a.variance() / a.units + b.variance() / b.units;
        Ok(p_value(msprt::ln_ratio_of(b.rate() - a.rate(), variance, self.tau2)?))
    }
}

/// One pair, as it stands in the columns.
#[derive(Clone, Copy)]
struct Pair {
    events_a: f64,
    units_a: f64,
    events_b: f64,
    units_b: f64,
}

impl Pair {
    /// `(rate_b - rate_a) units_a units_b`.
    #[inline(always)]
    fn excess(self) -> f64 {
        self.events_b * self.units_a - self.events_a * self.units_b
    }

    /// Variance of the difference from each by itself, times `(units_a units_b)^3`.
    #[inline(always)]
    fn variance(self) -> f64 {
        let cube = |x: f64| x * x * x;
        cube(self.units_b) * self.events_a * (self.units_a - self.events_a)
            + cube(self.units_a) * self.events_b * (self.units_b - self.events_b)
    }

    /// `z^2 / 2` with the pooled spread.
    #[inline(always)]
    fn pooled(self) -> f64 {
        let (units, events) = (self.units_a + self.units_b, self.events_a + self.events_b);
        let excess = self.excess();
        0.5 * excess * excess * units / (events * (units - events) * self.units_a * self.units_b)
    }

    /// `z^2 / 2` with the spread of each by itself.
    #[inline(always)]
    fn unpooled(self) -> f64 {
        let excess = self.excess();
        0.5 * excess * excess * self.units_a * self.units_b / self.variance()
    }

    /// Whether these can have been counted: what [`Proportion::new`] takes, but for counts below 1e-9.
    #[expect(clippy::manual_range_contains, reason = "a range's `contains` branches")]
    #[inline(always)]
    fn counted(self) -> bool {
        const LEAST: f64 = 1e-9;
        const MOST: f64 = 9_007_199_254_740_992.0;
        let one = |events: f64, units: f64| {
            ((events == 0.0) | (events >= LEAST)) & (events <= units) & (units >= LEAST) & (units <= MOST)
        };
        one(self.events_a, self.units_a) & one(self.events_b, self.units_b)
    }
}

/// Pairs that are worked out together.
const TOGETHER: usize = 32;

/// The p-value of each pair: of whole blocks the fast way, and where that does not know all of a block, each by itself.
fn each(a: Counts<'_>, b: Counts<'_>, test: impl Test) -> Result<Answers, Reason> {
    let count = a.units.len();
    for other in [a.events.len(), b.events.len(), b.units.len()] {
        if other != count {
            return Err(Reason::LengthsDiffer { left: count, right: other });
        }
    }
    let mut answers = Answers { p: vec![0.0; count], refused: Vec::new() };
    let Answers { p, refused } = &mut answers;
    let (blocks, rest) = p.as_chunks_mut::<TOGETHER>();
    let (events_a, last_events_a) = a.events.as_chunks::<TOGETHER>();
    let (units_a, last_units_a) = a.units.as_chunks::<TOGETHER>();
    let (events_b, last_events_b) = b.events.as_chunks::<TOGETHER>();
    let (units_b, last_units_b) = b.units.as_chunks::<TOGETHER>();
    let columns = events_a.iter().zip(units_a).zip(events_b.iter().zip(units_b));
    for (block, (out, ((events_a, units_a), (events_b, units_b)))) in blocks.iter_mut().zip(columns).enumerate() {
        let mut known = true;
        let of_a = events_a.iter().zip(units_a);
        for (out, (a, b)) in out.iter_mut().zip(of_a.zip(events_b.iter().zip(units_b))) {
            let pair = Pair { events_a: *a.0, units_a: *a.1, events_b: *b.0, units_b: *b.1 };
            let (exponent, p) = test.fast(pair);
            *out = p;
            // NaN, from a variance of 0, is not at most anything.
            known &= pair.counted() & (exponent <= LARGEST);
        }
        if !known {
            let begin = block * TOGETHER;
            one_by_one(begin, out, [events_a, units_a, events_b, units_b], test, refused);
        }
    }
    let begin = blocks.len() * TOGETHER;
    let last = [last_events_a, last_units_a, last_events_b, last_units_b];
    one_by_one(begin, rest, last, test, refused);
    Ok(answers)
}

/// Rows some of which the fast way may not know.
#[inline(never)]
fn one_by_one(
    begin: usize,
    out: &mut [f64],
    [events_a, units_a, events_b, units_b]: [&[f64]; 4],
    test: impl Test,
    refused: &mut Vec<(usize, Reason)>,
) {
    let of_a = events_a.iter().zip(units_a);
    for (at, (out, (a, b))) in out.iter_mut().zip(of_a.zip(events_b.iter().zip(units_b))).enumerate() {
        let pair = Pair { events_a: *a.0, units_a: *a.1, events_b: *b.0, units_b: *b.1 };
        let (exponent, p) = test.fast(pair);
        if pair.counted() && exponent <= LARGEST {
            *out = p;
            continue;
        }
        let one = Proportion::new(pair.events_a, pair.units_a)
            .and_then(|a| test.single(a, Proportion::new(pair.events_b, pair.units_b)?));
        *out = one.unwrap_or_else(|reason| {
            refused.push((begin + at, reason));
            1.0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of pairs of every size and rate, the degenerate among them.
    fn columns() -> [Vec<f64>; 4] {
        let odd = [0.0, -0.0, 1.0, 2.5, 3.0, 40.0, 1e-12, 1e-9, 1e6, 1e15, 1e17, -1.0, f64::NAN, f64::INFINITY];
        let mut columns: [Vec<f64>; 4] = Default::default();
        let mut add = |row: [f64; 4]| columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        for a in odd {
            for b in odd {
                add([a, b, 30.0, 100.0]);
                add([30.0, 100.0, a, b]);
                add([a, 50.0, b, 60.0]);
            }
        }
        let mut x = 1u32;
        for _ in 0..4_000 {
            let mut next = |most: u32| {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from((x >> 8) % most)
            };
            let (units_a, units_b) = (1.0 + next(100_000), 1.0 + next(100_000));
            add([(next(1_000) / 999.0 * units_a).floor(), units_a, (next(1_000) / 999.0 * units_b).floor(), units_b]);
        }
        columns
    }

    #[test]
    fn many_answers_are_those_of_single_tests() {
        let [events_a, units_a, events_b, units_b] = columns();
        let (a, b) = (Counts { events: &events_a, units: &units_a }, Counts { events: &events_b, units: &units_b });
        let of = |i: usize| Ok((Proportion::new(events_a[i], units_a[i])?, Proportion::new(events_b[i], units_b[i])?));
        let check = |answers: Answers, single: &dyn Fn(Proportion, Proportion) -> Result<f64, Reason>| {
            assert_eq!(answers.p.len(), units_a.len());
            let mut refused = answers.refused.into_iter();
            for (i, p) in answers.p.iter().enumerate() {
                match of(i).and_then(|(a, b)| single(a, b)) {
                    // The single test loses digits too, the more the farther out: as many as its z has.
                    Ok(one) => {
                        let off = (p - one).abs();
                        let allowed = one * 1e-12 * (1.0 - one.max(1e-300).ln() / 10.0);
                        assert!(off <= allowed, "row {i}: {p} instead of {one}: {:?}", of(i));
                    }
                    Err(reason) => {
                        let (at, why) = refused.next().unwrap();
                        assert_eq!((at, *p), (i, 1.0));
                        // NaN is not equal to itself.
                        assert_eq!(format!("{why:?}"), format!("{reason:?}"), "row {i}");
                    }
                }
            }
            assert_eq!(refused.next(), None);
        };
        for spread in [Spread::Pooled, Spread::Unpooled] {
            for alternative in [Alternative::TwoSided, Alternative::Greater, Alternative::Less] {
                let single = |a, b| Ok(z_test(a, b, spread, alternative, Look::Only)?.p);
                check(z_tests(a, b, spread, alternative, Look::Only).unwrap(), &single);
            }
        }
        for tau2 in [1e-6, 1e-3, 0.5] {
            let single = |a: Proportion, b: Proportion| {
                let variance = a.variance() / a.units + b.variance() / b.units;
                msprt::p(b.rate() - a.rate(), variance.sqrt(), tau2)
            };
            check(msprts(a, b, tau2).unwrap(), &single);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let (short, long) = ([1.0], [1.0, 2.0]);
        let (a, b) = (Counts { events: &short, units: &long }, Counts { events: &short, units: &short });
        let two = Alternative::TwoSided;
        assert_eq!(z_tests(a, a, Spread::Pooled, two, Look::Only), Err(Reason::LengthsDiffer { left: 2, right: 1 }));
        assert_eq!(z_tests(b, b, Spread::Pooled, two, Look::Repeated), Err(Reason::Peeking));
        assert!(matches!(msprts(b, b, 0.0), Err(Reason::OutOfRange { .. })));
        assert!(matches!(msprts(b, b, f64::NAN), Err(Reason::NotFinite(_))));
    }
}
