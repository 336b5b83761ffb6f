//! The frozen split against vectors that an independent implementation made (`routing/golden/split.py`), natively and,
//! with the same code, on wasm32-unknown-unknown under `wasm-bindgen-test`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]

use headgate_routing::split::{Bucketer, Split, draw, list_hash};
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../golden/split.json")).unwrap();
    assert_eq!(all["hash"], 1);
    let rows = all[kind].as_array().unwrap().clone();
    assert!(!rows.is_empty(), "{kind}");
    rows
}

fn key(row: &Value) -> Vec<u8> {
    let hex = row["key"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn the_split_gives_every_golden_key_its_variant() {
    for row in vectors("splits") {
        let variants: Vec<(&str, u32)> = row["variants"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, weight)| (name.as_str(), u32::try_from(weight.as_u64().unwrap()).unwrap()))
            .collect();
        let salt = row["salt"].as_str().unwrap();
        // The order in which variants are written must not matter.
        for order in [variants.clone(), variants.iter().rev().copied().collect()] {
            let chosen = Split::new(salt, order.iter().copied()).choose(&key(&row)).map(|i| order[i].0);
            assert_eq!(chosen, row["gets"].as_str(), "{row}");
        }
    }
}

#[test]
fn the_buckets_of_golden_keys_stay() {
    for row in vectors("buckets") {
        let bucketer = Bucketer::new(row["salt"].as_str().unwrap(), row["purpose"].as_str().unwrap());
        assert_eq!(
            bucketer.bucket(&key(&row), row["buckets"].as_u64().unwrap()),
            row["gets"].as_u64().unwrap(),
            "{row}"
        );
    }
}

#[test]
fn the_list_hashes_of_golden_keys_stay() {
    for row in vectors("lists") {
        assert_eq!(format!("{:016x}", list_hash(&key(&row))), row["hash"].as_str().unwrap(), "{row}");
    }
}

#[test]
fn the_draw_is_the_same_integer_everywhere() {
    for row in vectors("draws") {
        let hash = u64::from_str_radix(row["hash"].as_str().unwrap(), 16).unwrap();
        assert_eq!(draw(hash), row["draw"].as_u64().unwrap(), "{row}");
    }
}
