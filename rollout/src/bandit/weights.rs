//! From wanted shares to whole weights: floors, rounding, and as little movement as possible.
//!
//! The split moves few users when few weights change (a change of one weight moves exactly as many as it must), so arms that are
//! near what they should have keep their weight, and nothing is published for a change that is not worth it.

use crate::file::WHOLE;

/// Weights in parts of [`WHOLE`] for the wanted shares.
///
/// Arms that are `out` get 0; each other at least `floor` (parts of [`WHOLE`]; an equal share where there are too many for it). The rest
/// is divided as wanted, rounded by largest remainders (of equals the first). All out: all 0.
#[must_use]
pub fn rounded(wanted: &[f64], out: &[bool], floor: u32) -> Vec<u32> {
    let is_in = |i: usize| !out.get(i).copied().unwrap_or(false);
    let count = u32::try_from((0..wanted.len()).filter(|i| is_in(*i)).count()).unwrap_or(u32::MAX);
    if count == 0 {
        return vec![0; wanted.len()];
    }
    let floor = floor.min(WHOLE / count);
    let wish = |i: usize| wanted.get(i).copied().filter(|w| w.is_finite() && *w > 0.0).unwrap_or(0.0);
    // Arms below the floor are lifted to it, and the others share what is left; that may bring others below it.
    let mut lifted = vec![false; wanted.len()];
    let (mut left, mut sum);
    loop {
        let free = |i: &usize| is_in(*i) && !lifted.get(*i).copied().unwrap_or(false);
        let up = lifted.iter().filter(|l| **l).count();
        left = f64::from(WHOLE) - f64::from(floor) * up as f64;
        sum = (0..wanted.len()).filter(free).map(wish).sum::<f64>();
        let low: Vec<usize> = (0..wanted.len())
            .filter(free)
            .filter(|i| if sum > 0.0 { left * wish(*i) / sum < f64::from(floor) } else { false })
            .collect();
        if low.is_empty() {
            break;
        }
        low.iter().for_each(|i| {
            if let Some(l) = lifted.get_mut(*i) {
                *l = true
            }
        });
    }
    let free = (0..wanted.len()).filter(|i| is_in(*i) && !lifted.get(*i).copied().unwrap_or(false)).count();
    let exact = |i: usize| {
        if !is_in(i) {
            0.0
        } else if lifted.get(i).copied().unwrap_or(false) {
            f64::from(floor)
        } else if sum > 0.0 {
            left * wish(i) / sum
        } else {
            left / free as f64
        }
    };
    let mut parts: Vec<u32> = (0..wanted.len()).map(|i| exact(i).floor() as u32).collect();
    let mut order: Vec<usize> = (0..wanted.len()).filter(|i| is_in(*i)).collect();
    order.sort_by(|a, b| (exact(*b).fract()).total_cmp(&exact(*a).fract()));
    let missing = WHOLE.saturating_sub(parts.iter().sum());
    for i in order.iter().cycle().take(missing as usize) {
        if let Some(part) = parts.get_mut(*i) {
            *part += 1;
        }
    }
    parts
}

/// The weights to publish, given those in force: arms that would move by less than `least` keep their weight where the others can
/// make up for it, and all keep theirs if none moves by as much. An arm that is out, or comes back, always moves.
#[must_use]
pub fn settled(current: &[u32], wanted: &[u32], floor: u32, least: u32) -> Vec<u32> {
    if current.len() != wanted.len() || current.iter().sum::<u32>() != WHOLE {
        return wanted.to_vec();
    }
    let moves = |(now, next): (&u32, &u32)| now.abs_diff(*next) >= least.max(1) || ((*now == 0) != (*next == 0));
    let movers: Vec<bool> = current.iter().zip(wanted).map(moves).collect();
    if !movers.contains(&true) {
        return current.to_vec();
    }
    let kept: u32 = current.iter().zip(&movers).filter(|(_, m)| !**m).map(|(now, _)| now).sum();
    let wish: Vec<f64> =
        wanted.iter().zip(&movers).map(|(next, moves)| if *moves { f64::from(*next) } else { 0.0 }).collect();
    let sum: f64 = wish.iter().sum();
    let left = WHOLE.saturating_sub(kept);
    if sum <= 0.0 {
        return wanted.to_vec();
    }
    let scaled: Vec<f64> = wish.iter().map(|w| w / sum * f64::from(left)).collect();
    let mut parts: Vec<u32> = current
        .iter()
        .zip(&movers)
        .zip(&scaled)
        .map(|((now, moves), share)| if *moves { share.floor() as u32 } else { *now })
        .collect();
    let missing = WHOLE.saturating_sub(parts.iter().sum());
    // What rounding left goes to the largest of those that move.
    let largest = (0..parts.len())
        .filter(|i| movers.get(*i) == Some(&true))
        .max_by_key(|i| (wanted.get(*i).copied().unwrap_or(0), std::cmp::Reverse(*i)));
    if let Some(part) = largest.and_then(|i| parts.get_mut(i)) {
        *part += missing;
    }
    let fits = parts.iter().zip(wanted).all(|(part, next)| *next == 0 || *part >= floor.min(*next));
    if fits { parts } else { wanted.to_vec() }
}

/// The share of users whose variant changes between two lists of relative weights, 0 to 1: the split's law, not an estimate.
///
/// A user's variant is the least `E_i / w_i` with independent exponential `E_i`. It is `i` before and after exactly when
/// every other `E_k >= E_i * max(w_k/w_i, w'_k/w'_i)`, which has probability `1 / sum_k max(w_k/w_i, w'_k/w'_i)` (`k = i`
/// gives 1). Those who stay are the sum over `i` of the weights that are not 0 on either side.
#[must_use]
pub fn moved(old: &[u32], new: &[u32]) -> f64 {
    let mut stay = 0.0;
    for (before, after) in old.iter().zip(new) {
        if *before > 0 && *after > 0 {
            let ratio = |weight: &u32, of: &u32| f64::from(*weight) / f64::from(*of);
            stay += 1.0 / old.iter().zip(new).map(|(b, a)| ratio(b, before).max(ratio(a, after))).sum::<f64>();
        }
    }
    (1.0 - stay).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floors_and_rounding() {
        assert_eq!(rounded(&[0.5, 0.3, 0.2], &[false; 3], 0), [5_000, 3_000, 2_000]);
        assert_eq!(rounded(&[1.0, 0.0, 0.0], &[false; 3], 500), [9_000, 500, 500]);
        assert_eq!(rounded(&[0.96, 0.03, 0.01], &[false; 3], 500), [9_000, 500, 500]);
        assert_eq!(rounded(&[1.0, 1.0, 1.0], &[false; 3], 0), [3_334, 3_333, 3_333]);
        assert_eq!(rounded(&[0.9, 0.05, 0.05], &[false, true, false], 1_000), [9_000, 0, 1_000]);
        assert_eq!(rounded(&[0.2, 0.8], &[false; 2], 9_000), [5_000, 5_000]);
        assert_eq!(rounded(&[0.0, f64::NAN], &[false; 2], 100), [5_000, 5_000]);
        assert_eq!(rounded(&[0.4, 0.6], &[true; 2], 100), [0, 0]);
    }

    #[test]
    fn what_hardly_moves_stays() {
        assert_eq!(settled(&[5_000, 3_000, 2_000], &[5_050, 2_980, 1_970], 0, 100), [5_000, 3_000, 2_000]);
        let next = settled(&[5_000, 3_000, 2_000], &[6_000, 2_950, 1_050], 0, 100);
        assert_eq!((next[1], next.iter().sum::<u32>()), (3_000, WHOLE));
        // An arm that is out goes at once, however little it had.
        assert_eq!(settled(&[9_950, 50], &[WHOLE, 0], 0, 100), [WHOLE, 0]);
        assert_eq!(settled(&[WHOLE, 0, 0], &[3_334, 3_333, 3_333], 0, 100), [3_334, 3_333, 3_333]);
    }

    #[test]
    fn movement_is_the_difference_for_one_weight() {
        assert!((moved(&[95, 5], &[90, 10]) - 0.05).abs() < 1e-12);
        assert!((moved(&[50, 30, 20], &[50, 30, 80]) - 0.3).abs() < 1e-12);
        assert!(moved(&[1, 3], &[2, 6]).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn weights_are_whole_and_keep_their_floors(
            wanted in prop::collection::vec(0.0..1.0f64, 1..9),
            out in prop::collection::vec(any::<bool>(), 9),
            current in prop::collection::vec(0.0..1.0f64, 9),
            floor in 0..2_000u32,
            least in 0..500u32,
        ) {
            let out = &out[..wanted.len()];
            let next = rounded(&wanted, out, floor);
            let active = out.iter().filter(|o| !**o).count() as u32;
            prop_assert_eq!(next.iter().sum::<u32>(), if active > 0 { WHOLE } else { 0 });
            let now = rounded(&current[..wanted.len()], &vec![false; wanted.len()], floor);
            if let Some(most) = WHOLE.checked_div(active) {
                let published = settled(&now, &next, floor.min(most), least);
                prop_assert_eq!(published.iter().sum::<u32>(), WHOLE);
                for (i, part) in published.iter().enumerate() {
                    let least = if out[i] { 0 } else { floor.min(most).min(WHOLE / wanted.len() as u32) };
                    prop_assert!(*part >= least && (!out[i] || *part == 0), "{:?}", published);
                }
            }
        }
    }
}
