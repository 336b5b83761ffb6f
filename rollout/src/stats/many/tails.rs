//! Tails of the normal distribution for many numbers at once.
//!
//! Library functions take one number, and branch on it; a processor that could work on several at once then does not. What is here has no branch and no call,
//! so that a loop over a slice becomes vector instructions. For one number take [`crate::stats::normal`].

use std::f64::consts::LOG2_E;

/// Largest exponent that [`exp_of_minus`] knows: beyond it a double begins to lose digits, and then all of it.
pub(super) const LARGEST: f64 = 700.0;

/// `(1 + 2 x) exp(x^2) erfc(x)` in powers of `t = (x - 3) / (x + 3)`, lowest first, for x from 0 to 27.5.
///
/// The form is Shepherd and Laframboise's (1981, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity", Mathematics of
/// Computation 36, 249), with 3 in place of their 3.75; coefficients from a Chebyshev interpolation at 80 points in 60 digits (mpmath), cut off after
/// the 19th: relative error 6e-15.
const ERFC: [f64; 20] = [
    1.253_008_058_269_733,
    -0.135_621_106_124_478_8,
    -0.047_562_294_354_241_155,
    0.129_645_158_694_105_56,
    -0.119_273_663_383_853_91,
    0.068_308_027_562_579_59,
    -0.023_770_515_385_811_86,
    0.002_529_389_258_777_643,
    0.001_888_693_691_008_052_7,
    -0.000_779_815_757_133_397_1,
    -0.000_105_172_185_112_134,
    0.000_125_035_453_705_320_02,
    4.971_944_342_977_063e-6,
    -1.994_769_660_768_275_6e-5,
    -7.394_433_990_417_6e-7,
    3.247_956_809_674_070_5e-6,
    3.167_591_670_328_752e-7,
    -4.249_253_234_086_389_4e-7,
    -7.287_479_375_557_655e-8,
    1.861_460_963_646_765e-8,
];

/// `1/k!` up to the eleventh: what is left out is below 7e-15 for |x| <= ln(2) / 2.
const FACTORIALS: [f64; 12] = [
    1.0,
    1.0,
    0.5,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
];

/// The polynomial with these coefficients, lowest first: four at a time, so that one sum does not wait for the other (Estrin 1960). `N` is a multiple of 4.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let square = x * x;
    let fourth = square * square;
    let (groups, _) = coefficients.as_chunks::<4>();
    groups.iter().rev().fold(0.0, |sum, [a, b, c, d]| sum * fourth + ((a + b * x) + square * (c + d * x)))
}

/// `exp(-y)` for y from 0 to [`LARGEST`]; anything beyond, and NaN, gives nonsense. Relative error below 1e-14 and that of `y` as a double, `y * 1.1e-16`.
#[inline(always)]
pub(super) fn exp_of_minus(y: f64) -> f64 {
    // Added and taken away again it rounds to a whole number, which is then in the lowest bits (Cody and Waite 1980 split ln 2 likewise).
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let shifted = ROUND - y * LOG2_E;
    let whole = shifted - ROUND;
    let rest = (-y - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    polynomial(&FACTORIALS, rest) * power
}

/// `P(|Z| > z)` for `z^2 / 2 = y` from 0 to [`LARGEST`]: the two-sided p-value of a normal statistic.
#[inline(always)]
pub(super) fn two_sided(y: f64) -> f64 {
    // erfc(x) at x = z / sqrt(2) = sqrt(y).
    let x = y.sqrt();
    let (above, twice) = (x + 3.0, 1.0 + 2.0 * x);
    // One division for both.
    let both = 1.0 / (above * twice);
    let t = (x - 3.0) * twice * both;
    let scaled = polynomial(&ERFC, t);
    scaled * above * both * exp_of_minus(y)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::SQRT_2;

    use libm::erfc;

    use super::*;

    #[test]
    fn tails_are_right_to_twelve_digits_wherever_a_double_has_them() {
        let steps = 40_000;
        for i in 0..=steps {
            // Close together near 0, up to z = 37.4.
            let z = 37.4 * (f64::from(i) / f64::from(steps)).powi(2);
            let y = 0.5 * z * z;
            let (found, exact) = (two_sided(y), erfc(z / SQRT_2));
            assert!((found - exact).abs() <= 1e-12 * exact, "z = {z}: {found} instead of {exact}");
            let (found, exact) = (exp_of_minus(y), (-y).exp());
            assert!((found - exact).abs() <= 1e-13 * exact, "exp(-{y}): {found} instead of {exact}");
        }
        assert!((two_sided(0.0) - 1.0).abs() < 1e-14);
        assert!((exp_of_minus(std::f64::consts::LN_2) - 0.5).abs() < 1e-15);
    }
}
