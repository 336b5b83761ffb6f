//! What the split promises about populations: exact where it is exact, and within stated bounds where it is chance, with
//! fixed keys and salts throughout.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]
#![cfg(not(target_arch = "wasm32"))]

use headgate_routing::split::{Bucketer, Split, draw, fmix64, purpose};

/// Kinds of keys that real users have, `n` of each.
fn kinds(n: u64) -> Vec<(&'static str, Vec<String>)> {
    let make = |f: &dyn Fn(u64) -> String| (0..n).map(f).collect::<Vec<_>>();
    vec![
        ("sequential", make(&|i| i.to_string())),
        (
            "uuid",
            make(&|i| {
                let (a, b) = (fmix64(i + 1), fmix64(i ^ 0xdead_beef));
                format!(
                    "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                    a >> 32,
                    a >> 16 & 0xffff,
                    a & 0xfff,
                    b >> 48,
                    b & 0xffff_ffff_ffff
                )
            }),
        ),
        ("mail", make(&|i| format!("user.{i}@example.com"))),
        ("address", make(&|i| format!("10.{}.{}.{}", i >> 16 & 255, i >> 8 & 255, i & 255))),
        ("padded", make(&|i| format!("{i:020}"))),
    ]
}

/// Five standard deviations: about 1 in 1.7 million for one comparison.
fn within(seen: u64, n: u64, p: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let (seen, n) = (seen as f64, n as f64);
    (seen - n * p).abs() <= 5.0 * (n * p * (1.0 - p)).sqrt()
}

fn count(split: &Split, keys: &[String], variant: usize) -> u64 {
    keys.iter().filter(|key| split.choose(key.as_bytes()) == Some(variant)).count() as u64
}

#[test]
fn shares_are_those_that_the_weights_demand_for_every_kind_of_key() {
    let n = 50_000;
    for (kind, keys) in kinds(n) {
        for salt in ["shop", "shop-2", "z"] {
            for (stable, canary) in [(95, 5), (50, 50), (90, 10), (2, 1), (999_999, 48_577)] {
                let split = Split::new(salt, [("stable", stable), ("canary", canary)]);
                let seen = count(&split, &keys, 1);
                let p = f64::from(canary) / f64::from(stable + canary);
                assert!(within(seen, n, p), "{kind} {salt} {canary}/{stable}: {seen} of {n}");
            }
        }
    }
}

#[test]
fn one_in_ten_thousand_is_honoured() {
    let n = 1_000_000;
    let split = Split::new("rare", [("stable", 9_999), ("canary", 1)]);
    let seen = (0..n).filter(|i: &u64| split.choose(i.to_string().as_bytes()) == Some(1)).count() as u64;
    assert!(within(seen, n, 1e-4), "{seen} of {n}");
}

#[test]
fn keys_of_one_character_are_divided_over_many_salts() {
    let keys: Vec<String> = (b'!'..=b'~').map(|b| char::from(b).to_string()).collect();
    let seen: u64 = (0..500).map(|i| count(&Split::new(&format!("s{i}"), [("a", 3), ("b", 1)]), &keys, 1)).sum();
    assert!(within(seen, 500 * keys.len() as u64, 0.25), "{seen}");
}

#[test]
fn one_changed_weight_moves_keys_only_to_or_from_that_variant() {
    let (_, keys) = kinds(50_000).swap_remove(1);
    let split = |w: u32| Split::new("move", [("a", 40), ("b", 30), ("c", w), ("d", 10)]);
    for (before, after) in [(20, 21), (20, 60), (20, 0), (0, 5), (60, 1)] {
        let (old, new) = (split(before), split(after));
        let mut moved = 0;
        for key in &keys {
            let (was, is) = (old.choose(key.as_bytes()).unwrap(), new.choose(key.as_bytes()).unwrap());
            if was != is {
                moved += 1;
                assert_eq!(if after > before { is } else { was }, 2, "{key} moved between third parties: {was} {is}");
            }
        }
        let share = |w: u32| f64::from(w) / f64::from(80 + w);
        assert!(within(moved, 50_000, (share(after) - share(before)).abs()), "{before} to {after}: {moved}");
    }
}

#[test]
fn several_changed_weights_move_no_more_than_the_bound() {
    let (_, keys) = kinds(50_000).swap_remove(1);
    let total = |w: [u32; 3]| f64::from(w.iter().sum::<u32>());
    for (p, q) in [([50, 30, 20], [20, 30, 50]), ([90, 5, 5], [5, 90, 5]), ([1, 1, 1], [3, 2, 1])] {
        let split = |w: [u32; 3]| Split::new("several", ["a", "b", "c"].into_iter().zip(w));
        let (old, new) = (split(p), split(q));
        let moved = keys.iter().filter(|key| old.choose(key.as_bytes()) != new.choose(key.as_bytes())).count() as u64;
        let d: f64 = (0..3).map(|i| (f64::from(p[i]) / total(p) - f64::from(q[i]) / total(q)).abs()).sum::<f64>() / 2.0;
        let bound = 2.0 * d / (1.0 + d);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let share = moved as f64 / 50_000.0;
        assert!(share >= d - 0.012, "{p:?} {q:?}: {share} moved, at least {d} must");
        assert!(share <= bound + 0.012, "{p:?} {q:?}: {share} moved, at most {bound} may");
    }
}

#[test]
fn two_salts_and_the_purposes_of_one_are_independent() {
    let n: u64 = 40_000;
    for (kind, keys) in kinds(n) {
        let (a, b) = (Split::new("exp-1", [("x", 1), ("y", 1)]), Split::new("exp-2", [("x", 1), ("y", 1)]));
        let mirror = Bucketer::new("exp-1", purpose::MIRROR);
        let replicate = Bucketer::new("exp-1", purpose::REPLICATE);
        let first = |key: &str| a.choose(key.as_bytes()).unwrap() as u64;
        type Other<'a> = &'a dyn Fn(&str) -> u64;
        let others: [(&str, u64, Other<'_>); 3] = [
            ("salt", 2, &|key| b.choose(key.as_bytes()).unwrap() as u64),
            ("mirror", 2, &|key| u64::from(mirror.bucket(key.as_bytes(), 10_000) < 5_000)),
            ("replicate", 32, &|key| replicate.bucket(key.as_bytes(), 32)),
        ];
        for (what, classes, other) in others {
            let mut cells = vec![0u64; 2 * usize::try_from(classes).unwrap()];
            for key in &keys {
                cells[usize::try_from(first(key) * classes + other(key)).unwrap()] += 1;
            }
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let (expect, df) = (n as f64 / (2.0 * classes as f64), (2 * classes - 1) as f64);
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let chi: f64 = cells.iter().map(|&seen| (seen as f64 - expect).powi(2) / expect).sum();
            // Wilson and Hilferty (1931): the cube root of chi-square / df is nearly normal; five standard deviations.
            let z = ((chi / df).cbrt() - (1.0 - 2.0 / (9.0 * df))) / (2.0 / (9.0 * df)).sqrt();
            assert!(z < 5.0, "{kind} {what}: chi-square {chi} on {df}");
        }
    }
}

#[test]
fn a_random_pick_follows_the_weights_exactly() {
    let split = Split::new("any", [("a", 1), ("b", 0), ("c", 3)]);
    // The four quarters of the range, first and last value of each.
    let picks: Vec<_> = (0..4u64)
        .flat_map(|q| [q << 62, (q << 62) | (u64::MAX >> 2)])
        .map(|uniform| split.pick(uniform).unwrap())
        .collect();
    assert_eq!(picks, [0, 0, 2, 2, 2, 2, 2, 2]);
    assert_eq!(Split::new("any", [("a", 0)]).pick(7), None);
}

#[test]
fn the_shortened_comparison_is_the_full_one() {
    // Draws as the description has them, every bit worked out, and compared by their products alone.
    let plain = |salt: &str, variants: &[(&str, u32)], key: &str| {
        let fnv = |bytes: &[u8]| {
            bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
        };
        let draws = variants.iter().enumerate().filter(|(_, (_, weight))| *weight > 0).map(|(i, (name, weight))| {
            (draw(fmix64(fnv(format!("{salt}\0{name}\0{key}").as_bytes()))), u64::from(*weight), *name, i)
        });
        let less = |a: &(u64, u64, &str, usize), b: &(u64, u64, &str, usize)| (a.0 * b.1, a.2).cmp(&(b.0 * a.1, b.2));
        draws.min_by(less).map(|(.., i)| i)
    };
    let variants: [&[(&str, u32)]; 5] = [
        &[("b", 1), ("a", 1)],
        &[("stable", 95), ("canary", 5)],
        &[("x", 1_048_576), ("y", 1), ("z", 1_048_575)],
        &[("c", 33), ("a", 33), ("b", 34), ("d", 0)],
        &[("only", 3)],
    ];
    for variants in variants {
        let split = Split::new("s", variants.iter().copied());
        for key in (0..40_000).map(|i: u32| i.to_string()) {
            assert_eq!(split.choose(key.as_bytes()), plain("s", variants, &key), "{variants:?} {key}");
        }
    }
}
