//! Readings without a variance: is it plain that they lie beyond a limit?
//!
//! CPU, memory, a quantile or a score from elsewhere come as one number each time one asks: nothing says how much of it is
//! chance. What can be asked of them is how often they lie beyond the limit. Under the hypothesis that a reading does so with
//! chance one half at most, whatever the readings before it were, betting a part `b` of what one has on "beyond" each time,
//!
//! `E_b = (1+b)^k * (1-b)^(n-k)`,
//!
//! `k` of `n` readings beyond, is a non-negative supermartingale (the sign test by betting: Waudby-Smith and Ramdas 2024,
//! "Estimating means of bounded random variables by betting", section 4, with outcomes +1 and -1). The average over a grid of `b`
//! is one too, so it may be looked at after each reading.
//!
//! It says nothing of readings that hang together: those of overlapping windows, or a disturbance that outlasts them all.

use super::evalue::ln_average;

/// Parts that are bet. With 1, readings that all lie beyond double it each time.
const BETS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

/// ln of the e-value against "a reading lies beyond the limit with chance 1/2 at most", after `beyond` of `readings` did.
/// No readings: 0. More beyond than readings are taken for all of them.
#[must_use]
pub fn ln_e(beyond: u32, readings: u32) -> f64 {
    let beyond = beyond.min(readings);
    let within = f64::from(readings - beyond);
    let of = |bet: f64| {
        let lost = if within > 0.0 { within * (-bet).ln_1p() } else { 0.0 };
        f64::from(beyond) * bet.ln_1p() + lost
    };
    ln_average(&BETS.map(of))
}

/// How many readings in a row, all beyond, reach `1/alpha`. `alpha` in (0, 1); others: 1.
#[must_use]
pub fn in_a_row(alpha: f64) -> u32 {
    (1..=1_100).find(|n| ln_e(*n, *n) >= -alpha.ln()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bet_doubles_at_most_and_is_lost_at_last() {
        assert_eq!(ln_e(0, 0), 0.0);
        let by_hand = (0..4).map(|i| (1.25 + 0.25 * f64::from(i)).powi(3)).sum::<f64>() / 4.0;
        assert!((ln_e(3, 3) - by_hand.ln()).abs() < 1e-12);
        let by_hand = (1.25_f64.powi(2) * 0.75 + 1.5_f64.powi(2) * 0.5 + 1.75_f64.powi(2) * 0.25) / 4.0;
        assert!((ln_e(2, 3) - by_hand.ln()).abs() < 1e-12);
        assert!(ln_e(0, 50) < -10.0 && ln_e(9, 3) == ln_e(3, 3));
        assert_eq!((in_a_row(0.01), in_a_row(1e-3)), (9, 12));
    }

    /// All paths of so many fair coins, by dynamic programming: no simulation.
    #[test]
    fn fair_coins_reach_it_with_a_chance_of_alpha_at_most_over_all_looks() {
        for alpha in [0.05, 0.005] {
            let (mut alive, mut crossed) = (vec![1.0], 0.0);
            for readings in 1..=2_000_u32 {
                let mut next = vec![0.0; alive.len() + 1];
                for (beyond, chance) in alive.iter().enumerate() {
                    next[beyond] += chance / 2.0;
                    next[beyond + 1] += chance / 2.0;
                }
                for (beyond, chance) in (0..).zip(next.iter_mut()) {
                    if ln_e(beyond, readings) >= -f64::ln(alpha) {
                        crossed += std::mem::take(chance);
                    }
                }
                alive = next;
            }
            assert!(crossed <= alpha && crossed > alpha / 20.0, "{crossed} at {alpha}");
        }
    }
}
