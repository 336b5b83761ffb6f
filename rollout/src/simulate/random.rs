//! Random numbers from a seed: the same seed, the same numbers, on every machine.
//!
//! xoshiro256** (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47(4), 2021), seeded by
//! SplitMix64 as its authors advise. Counts above [`MANY`] are drawn from the normal distribution, which is as close to the
//! binomial and the Poisson there as a simulation needs.

/// Expected counts above this are drawn from the normal distribution.
const MANY: f64 = 40.0;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: [u64; 4],
    /// Normal numbers come in pairs: the second of the last one.
    spare: Option<f64>,
}

impl Random {
    /// A stream of its own for each seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [next(), next(), next(), next()], spare: None }
    }

    fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let out = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        out
    }

    /// Uniform, above 0 and below 1.
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Standard normal (G. Marsaglia, T. A. Bray, "A Convenient Method for Generating Normal Variables", SIAM Review 6(3), 1964).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Gamma with this shape above 0, scale 1 (G. Marsaglia, W. W. Tsang, "A Simple Method for Generating Gamma Variables",
    /// ACM TOMS 26(3), 2000, with their step for shapes below 1).
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let below = self.uniform().powf(1.0 / shape);
            return self.gamma(shape + 1.0) * below;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v <= 0.0 {
                continue;
            }
            let u = self.uniform();
            // Their squeeze spares most of the logarithms.
            if u < 1.0 - 0.0331 * x.powi(4) || u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A share with this mean, whose variance is `correlation * mean * (1 - mean)`: the beta distribution. The mean itself where
    /// nothing varies.
    pub(super) fn beta(&mut self, mean: f64, correlation: f64) -> f64 {
        if mean <= 0.0 || mean >= 1.0 || correlation <= 0.0 {
            return mean;
        }
        let sum = 1.0 / correlation.min(0.999) - 1.0;
        // Shapes so small that both gammas underflow are as good as a coin.
        let (a, b) = (self.gamma(mean * sum), self.gamma((1.0 - mean) * sum));
        if a + b > 0.0 { a / (a + b) } else { f64::from(u8::from(self.uniform() < mean)) }
    }

    /// How many of `n` happen, each with probability `p`.
    pub(super) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        let mean = n as f64 * p;
        if mean > MANY {
            let drawn = mean + (mean * (1.0 - p)).sqrt() * self.normal();
            return (drawn.round().max(0.0) as u64).min(n);
        }
        // By inversion: from 0 upwards.
        let odds = p / (1.0 - p);
        let mut chance = (n as f64 * (-p).ln_1p()).exp();
        let mut left = self.uniform();
        let mut k = 0;
        while left > chance && k < n {
            left -= chance;
            chance *= odds * (n - k) as f64 / (k + 1) as f64;
            k += 1;
        }
        k
    }

    /// How many happen where `mean` are expected.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > MANY {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let mut chance = (-mean).exp();
        let mut left = self.uniform();
        let mut k = 0_u64;
        while left > chance && k < 1_000 {
            left -= chance;
            k += 1;
            chance *= mean / k as f64;
        }
        k
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of 40,000 draws.
    fn moments(mut draw: impl FnMut(&mut Random) -> f64) -> (f64, f64) {
        let mut random = Random::new(7);
        let all: Vec<f64> = (0..40_000).map(|_| draw(&mut random)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        (mean, all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64)
    }

    /// Within five standard errors or so of what it is to be.
    fn near(seen: f64, wanted: f64, slack: f64) {
        assert!((seen - wanted).abs() <= slack, "{seen} is not near {wanted}");
    }

    #[test]
    fn equal_seeds_give_equal_numbers_and_others_do_not() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn every_distribution_has_its_mean_and_variance() {
        for (seen, mean, variance) in [
            (moments(Random::uniform), 0.5, 1.0 / 12.0),
            (moments(Random::normal), 0.0, 1.0),
            (moments(Random::exponential), 1.0, 1.0),
            (moments(|r| r.gamma(0.3)), 0.3, 0.3),
            (moments(|r| r.gamma(4.0)), 4.0, 4.0),
            (moments(|r| r.beta(0.1, 0.2)), 0.1, 0.2 * 0.1 * 0.9),
            (moments(|r| r.binomial(60, 0.01) as f64), 0.6, 60.0 * 0.01 * 0.99),
            (moments(|r| r.binomial(1_000, 0.3) as f64), 300.0, 210.0),
            (moments(|r| r.binomial(20, 0.9) as f64), 18.0, 1.8),
            (moments(|r| r.poisson(2.5) as f64), 2.5, 2.5),
            (moments(|r| r.poisson(400.0) as f64), 400.0, 400.0),
        ] {
            near(seen.0, mean, 5.0 * (variance / 40_000.0_f64).sqrt());
            near(seen.1, variance, variance * 0.08);
        }
    }

    #[test]
    fn extremes_are_what_they_must_be() {
        let mut random = Random::new(3);
        assert_eq!((random.binomial(9, 0.0), random.binomial(9, 1.0), random.binomial(0, 0.5)), (0, 9, 0));
        assert_eq!((random.poisson(0.0), random.poisson(-1.0)), (0, 0));
        assert_eq!((random.beta(0.0, 0.1), random.beta(1.0, 0.1), random.beta(0.3, 0.0)), (0.0, 1.0, 0.3));
    }
}
