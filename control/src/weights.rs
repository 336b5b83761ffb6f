//! Weights as people write them, and how many users a change moves. Pure.

use std::collections::BTreeMap;

use headgate_contract::limits::WEIGHT;

/// Weight by variant.
pub(crate) type Weights = BTreeMap<String, u32>;

/// The new weights from `canary=5% stable=95%` or `canary=5 stable=95`.
///
/// Percentages stand for the whole: together 100, or all but one variant, which takes the rest. Whole numbers are relative
/// weights; variants that are not named keep theirs.
///
/// # Errors
/// Everything that is wrong, in words.
pub(crate) fn parse(arguments: &[String], old: &Weights) -> Result<Weights, Vec<String>> {
    let mut problems = Vec::new();
    let mut percents: BTreeMap<String, u64> = BTreeMap::new();
    let mut wholes: Weights = BTreeMap::new();
    for argument in arguments {
        let Some((variant, text)) = argument.split_once('=') else {
            problems.push(format!("`{argument}` is no weight: write `canary=5%` or `canary=5`"));
            continue;
        };
        if !old.contains_key(variant) {
            let known: Vec<&String> = old.keys().collect();
            problems.push(format!("there is no variant `{variant}`: the route has {}", crate::structure::list(&known)));
        }
        if percents.contains_key(variant) || wholes.contains_key(variant) {
            problems.push(format!("`{variant}` is given twice"));
        }
        match text.strip_suffix('%') {
            Some(number) => match millionths(number) {
                Some(share) => drop(percents.insert(variant.to_owned(), share)),
                None => problems.push(format!("`{text}` is no percentage from 0% to 100% with at most 4 decimals")),
            },
            None => match text.parse::<u32>().ok().filter(|w| *w <= WEIGHT) {
                Some(weight) => drop(wholes.insert(variant.to_owned(), weight)),
                None => {
                    problems.push(format!("`{text}` is no weight: whole numbers from 0 to {WEIGHT}, or a percentage"))
                }
            },
        }
    }
    if !percents.is_empty() && !wholes.is_empty() {
        problems.push("percentages and whole numbers do not mix: write all one way".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut new = old.clone();
    if percents.is_empty() {
        new.extend(wholes);
    } else {
        let sum: u64 = percents.values().sum();
        let rest: Vec<&String> = old.keys().filter(|v| !percents.contains_key(*v)).collect();
        match rest.as_slice() {
            [one] if sum <= WHOLE => drop(percents.insert((*one).clone(), WHOLE - sum)),
            [] if sum == WHOLE => {}
            [_] | [] => return Err(vec![format!("the percentages add up to {}, not to 100%", shown(sum))]),
            _ if sum == WHOLE => percents
                .extend(old.keys().filter(|v| !percents.contains_key(*v)).map(|v| (v.clone(), 0)).collect::<Vec<_>>()),
            more => {
                let more = crate::structure::list(more);
                return Err(vec![format!(
                    "the percentages add up to {}: name {more} too, so that they make 100%",
                    shown(sum)
                )]);
            }
        }
        let step = percents.values().fold(0, |a, b| gcd(a, *b)).max(1);
        for (variant, share) in percents {
            new.insert(variant, u32::try_from(share / step).unwrap_or(WEIGHT));
        }
    }
    if new.values().all(|w| *w == 0) {
        return Err(vec!["all weights would be 0: somebody must serve".to_owned()]);
    }
    Ok(new)
}

/// 100 % in millionths.
const WHOLE: u64 = 1_000_000;

/// A percentage with at most 4 decimals in millionths of the whole.
fn millionths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 4 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let share = whole.parse::<u64>().ok()? * 10_000 + format!("{decimals:0<4}").parse::<u64>().ok()?;
    (share <= WHOLE).then_some(share)
}

fn shown(millionths: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "at most a few millions")]
    let percent = millionths as f64 / 10_000.0;
    format!("{percent}%")
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The share of users of one variant, 0 to 1.
pub(crate) fn share(weights: &Weights, variant: &str) -> f64 {
    let sum: f64 = weights.values().map(|w| f64::from(*w)).sum();
    weights.get(variant).map_or(0.0, |w| f64::from(*w) / sum)
}

/// The share of users whose variant changes, 0 to 1: the split's law, not an estimate.
///
/// A user's variant is the least `E_i / w_i` with independent exponential `E_i`. It is `i` before and after exactly when
/// every other `E_k >= E_i * max(w_k/w_i, w'_k/w'_i)`, which has probability `1 / sum_k max(w_k/w_i, w'_k/w'_i)` (`k = i`
/// gives 1). Those who stay are the sum over `i` of the weights that are not 0 on either side.
pub(crate) fn moved(old: &Weights, new: &Weights) -> f64 {
    let weight = |weights: &Weights, name: &str| weights.get(name).map_or(0.0, |w| f64::from(*w));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut stay = 0.0;
    for i in &names {
        let (before, after) = (weight(old, i), weight(new, i));
        if before > 0.0 && after > 0.0 {
            let sum: f64 = names.iter().map(|k| (weight(old, k) / before).max(weight(new, k) / after)).sum();
            stay += 1.0 / sum;
        }
    }
    (1.0 - stay).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(list: &[(&str, u32)]) -> Weights {
        list.iter().map(|(n, w)| ((*n).to_owned(), *w)).collect()
    }

    fn set(arguments: &str, old: &[(&str, u32)]) -> Result<Weights, Vec<String>> {
        parse(&arguments.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &weights(old))
    }

    #[test]
    fn percentages_become_the_least_whole_weights() {
        let old = [("canary", 0), ("stable", 1)];
        assert_eq!(set("canary=5% stable=95%", &old).unwrap(), weights(&[("canary", 1), ("stable", 19)]));
        assert_eq!(set("canary=0.01%", &old).unwrap(), weights(&[("canary", 1), ("stable", 9_999)]));
        assert_eq!(set("canary=12.5%", &old).unwrap(), weights(&[("canary", 1), ("stable", 7)]));
        assert_eq!(set("canary=100%", &old).unwrap(), weights(&[("canary", 1), ("stable", 0)]));
        assert_eq!(set("canary=7 ", &old).unwrap(), weights(&[("canary", 7), ("stable", 1)]));
    }

    #[test]
    fn what_is_wrong_is_told_at_once() {
        let old = [("a", 1), ("b", 1), ("c", 1)];
        assert_eq!(set("a=5 x=1 b=-1 a=3 c", &old).unwrap_err().len(), 4);
        assert!(set("a=50% b=51%", &old).unwrap_err()[0].contains("101%"));
        assert!(set("a=5%", &old).unwrap_err()[0].contains("`b`, `c`"));
        assert!(set("a=5% b=3", &old).unwrap_err()[0].contains("mix"));
        assert!(set("a=0 b=0 c=0", &old).unwrap_err()[0].contains("serve"));
        assert!(set("a=0.00001%", &old).is_err());
    }

    #[test]
    fn movement_is_the_difference_for_one_weight_and_bounded_for_several() {
        let one = moved(&weights(&[("a", 95), ("b", 5)]), &weights(&[("a", 90), ("b", 10)]));
        assert!((one - 0.05).abs() < 1e-12, "{one}");
        let single = moved(&weights(&[("a", 50), ("b", 30), ("c", 20)]), &weights(&[("a", 50), ("b", 30), ("c", 80)]));
        assert!((single - 0.3).abs() < 1e-12, "{single}");
        let scaled = moved(&weights(&[("a", 1), ("b", 3)]), &weights(&[("a", 2), ("b", 6)]));
        assert!(scaled.abs() < 1e-12);
        let several = moved(&weights(&[("a", 60), ("b", 30), ("c", 10)]), &weights(&[("a", 20), ("b", 30), ("c", 50)]));
        let d = 0.4;
        assert!(several >= d && several <= 2.0 * d / (1.0 + d), "{several}");
        assert!((moved(&weights(&[("a", 1), ("b", 0)]), &weights(&[("a", 0), ("b", 1)])) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_movement_that_is_told_is_the_split_s() {
        let keys = 40_000_u32;
        for (old, new) in [
            ([60, 30, 10], [20, 30, 50]),
            ([95, 5, 0], [80, 15, 5]),
            ([1, 1, 1], [1, 2, 3]),
            ([50, 50, 0], [0, 50, 50]),
        ] {
            let names = ["a", "b", "c"];
            let of = |weights: [u32; 3]| headgate_routing::split::Split::new("salt", names.into_iter().zip(weights));
            let (before, after) = (of(old), of(new));
            let moved_keys =
                (0..keys).filter(|k| before.choose(&k.to_le_bytes()) != after.choose(&k.to_le_bytes())).count();
            let by_name = |weights: [u32; 3]| names.iter().map(|n| (*n).to_owned()).zip(weights).collect();
            let p = moved(&by_name(old), &by_name(new));
            let n = f64::from(keys);
            let bound = 4.0 * (n * p * (1.0 - p)).sqrt();
            #[expect(clippy::cast_precision_loss, reason = "at most 40,000")]
            let distance = (moved_keys as f64 - n * p).abs();
            assert!(distance <= bound, "{old:?} -> {new:?}: {moved_keys} of {keys} moved, {p} expected");
        }
    }
}
