//! Drift of predictions: distributions by bin and class, what cannot be known of them, and outcomes that decline.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::drift::{Look, Measure, Outcomes, Told, Verdict, Watch, look};
use headgate_rollout::measure::{Counters, Predicted, Totals};
use headgate_rollout::state::Baseline;
use serde_json::{Value, json};
use support::{Version, add, plan, problems};

fn watch(drift: Value) -> Watch {
    let providers = json!({"truth": {"outcomes": {"file": "outcomes.jsonl"}}});
    let mut spec = json!({"strategy": {"canary": {}}, "providers": providers});
    spec["drift"] = drift;
    plan(spec).drift.unwrap()
}

fn scores() -> Value {
    json!({"predictions": {"fields": [
        {"name": "score", "responseBody": "/score", "edges": [0.25, 0.5, 0.75]},
        {"name": "label", "responseBody": "/label", "classes": ["spam", "ham", "eggs"]}
    ]}})
}

/// Counts of bins, each divided evenly between the 32 buckets.
fn bins(counts: &[(&str, u64)]) -> std::collections::BTreeMap<String, Vec<u64>> {
    counts.iter().map(|(bin, count)| ((*bin).to_owned(), vec![count / 32; 32])).collect()
}

/// Ten thousand good requests, and what was predicted.
fn totals(score: Predicted, label: Predicted) -> Totals {
    let mut counters = Counters::default();
    add(&mut counters, 10_000, Version { failing_per_mille: 2, ..Version::good() }, 7);
    counters.predictions.insert("score".to_owned(), score);
    counters.predictions.insert("label".to_owned(), label);
    let mut totals = Totals::default();
    totals.variants.entry("canary".to_owned()).or_default().insert("default".to_owned(), counters);
    totals
}

fn values(counts: &[(&str, u64)]) -> Predicted {
    Predicted { values: bins(counts), ..Predicted::default() }
}

fn classes(counts: &[(&str, u64)]) -> Predicted {
    Predicted { classes: bins(counts), ..Predicted::default() }
}

fn usual() -> Totals {
    totals(
        values(&[("0.25", 3_200), ("0.5", 3_200), ("0.75", 1_600), ("inf", 1_600)]),
        classes(&[("spam", 1_600), ("ham", 8_000), ("other", 32)]),
    )
}

fn looked(watch: &Watch, was: &Totals, now: &Totals) -> Look {
    look(watch, &Baseline::of("shop", "canary", 0, 1, was), now, &Told::default(), 1, (2, 3))
}

fn of<'l>(look: &'l Look, of: &str, measure: &str) -> &'l Measure {
    look.measures.iter().find(|m| m.of == of && m.measure == measure).unwrap()
}

#[test]
fn a_distribution_that_stays_is_steady_and_one_that_moves_is_drift() {
    let watch = watch(scores());
    let steady = looked(&watch, &usual(), &usual());
    assert_eq!(steady.verdict, Verdict::Steady, "{}", steady.sentence);
    // Classes have no order, so no distance along it.
    let measures: Vec<(&str, &str)> = steady.measures.iter().map(|m| (m.of.as_str(), m.measure.as_str())).collect();
    let expected = [
        ("latency", "psi"),
        ("latency", "ks"),
        ("prediction label", "psi"),
        ("prediction score", "psi"),
        ("prediction score", "ks"),
        ("answers without a failure", "decline"),
    ];
    assert_eq!(measures, expected);
    let parts = &of(&steady, "prediction score", "psi").parts;
    assert_eq!(parts.iter().map(|p| p.bin.as_str()).collect::<Vec<_>>(), ["0.25", "0.5", "0.75", "above"]);
    assert!((parts[0].now - 1.0 / 3.0).abs() < 1e-9 && (parts[3].reference - 1.0 / 6.0).abs() < 1e-9);

    let moved = totals(
        values(&[("0.25", 1_600), ("0.5", 1_600), ("0.75", 3_200), ("inf", 3_200)]),
        classes(&[("spam", 1_600), ("ham", 8_000), ("other", 32)]),
    );
    let look = looked(&watch, &usual(), &moved);
    assert_eq!(look.verdict, Verdict::Drifted, "{}", look.sentence);
    // A third each way: 4 (1/6) ln 2, and a distance of a third at the middle edge.
    let (index, distance) = (of(&look, "prediction score", "psi"), of(&look, "prediction score", "ks"));
    assert!((index.size.unwrap() - 4.0 / 6.0 * 2.0_f64.ln()).abs() < 1e-9, "{index:?}");
    assert!((distance.size.unwrap() - 1.0 / 3.0).abs() < 1e-9, "{distance:?}");
    assert!(index.drifted && distance.drifted && !of(&look, "prediction label", "psi").drifted);

    // A class that the reference hardly had.
    let moved = totals(
        values(&[("0.25", 3_200), ("0.5", 3_200), ("0.75", 1_600), ("inf", 1_600)]),
        classes(&[("spam", 1_600), ("ham", 4_800), ("eggs", 3_200), ("other", 32)]),
    );
    let look = looked(&watch, &usual(), &moved);
    let drifted: Vec<&str> = look.measures.iter().filter(|m| m.drifted).map(|m| m.of.as_str()).collect();
    assert_eq!(drifted, ["prediction label"], "{}", look.sentence);
}

#[test]
fn users_who_come_back_weigh_as_one() {
    // The same shares, but in the window each user has one score and comes a hundred times: half of the buckets are low, the
    // other half high; by chance it is 18 to 14.
    let even = values(&[("0.25", 4_800), ("inf", 4_800)]);
    let label = || classes(&[("spam", 1_600), ("ham", 8_000)]);
    let by_user = Predicted {
        values: [("0.25", 0..18), ("inf", 18..32)]
            .into_iter()
            .map(|(bin, mine)| (bin.to_owned(), (0..32).map(|b| if mine.contains(&b) { 300 } else { 0 }).collect()))
            .collect(),
        ..Predicted::default()
    };
    let repeating = Watch { psi: 0.001, ks: 0.01, ..watch(scores()) };
    let found = looked(&repeating, &totals(even.clone(), label()), &totals(by_user, label()));
    // 32 independent values are too few to say anything; as 9,600 they would be drift beyond doubt.
    let distance = of(&found, "prediction score", "ks");
    assert!(distance.undecided.as_deref().is_some_and(|why| why.contains("independent values")), "{distance:?}");
    let spread = values(&[("0.25", 5_400 / 32 * 32), ("inf", 4_200 / 32 * 32)]);
    let found = looked(&repeating, &totals(even, label()), &totals(spread, label()));
    assert!(of(&found, "prediction score", "ks").drifted, "{}", found.sentence);
}

#[test]
fn what_was_not_read_is_not_known_and_says_why() {
    let watch = watch(scores());
    let unread = Predicted {
        unread: [("missing".to_owned(), 70), ("status".to_owned(), 3)].into_iter().collect(),
        ..Predicted::default()
    };
    let look = looked(&watch, &usual(), &totals(unread, Predicted::default()));
    assert_eq!(look.verdict, Verdict::Inconclusive);
    assert!(
        look.sentence.contains("none of 73 could be read in the window: 70 missing, 3 status"),
        "{}",
        look.sentence
    );
    assert!(look.sentence.contains("headgate-shadow.wasm"), "{}", look.sentence);
    // A reference that was recorded with other bins.
    let other = totals(values(&[("0.3", 3_200), ("inf", 3_200)]), classes(&[("spam", 1_600), ("ham", 8_000)]));
    let look = looked(&watch, &other, &usual());
    assert!(look.sentence.contains("the edge 0.3 was counted and is not among"), "{}", look.sentence);
    // What the rollout does not name is watched where the route counts it.
    let unnamed = Watch { predictions: None, ..watch.clone() };
    assert_eq!(looked(&unnamed, &usual(), &usual()).verdict, Verdict::Steady);
}

fn outcomes(successes: f64, value: f64) -> Outcomes {
    let mut told = Outcomes::default();
    for bucket in 0..32 {
        // Buckets differ a little, as users do.
        let wobble = [-1.0, 0.0, 1.0][bucket % 3];
        told.successes.add(bucket, 1_000.0, 10.0 * successes + wobble);
        told.values.add(bucket, 1_000.0, 1_000.0 * value + wobble);
    }
    told
}

#[test]
fn outcomes_that_decline_are_drift_and_those_that_were_not_told_are_not_known() {
    let watch = watch(json!({"performance": [{"metric": "success"}, {"metric": "value", "decline": "10%"}]}));
    assert!(watch.wants_outcomes());
    let looked = |told: &Told| look(&watch, &Baseline::of("shop", "canary", 0, 1, &usual()), &usual(), told, 1, (2, 3));
    let told = |now: Outcomes| Told { reference: outcomes(80.0, 2.5), window: now };
    assert_eq!(looked(&told(outcomes(80.0, 2.5))).verdict, Verdict::Steady);
    // 5 % is the default limit, and 4 % is below it.
    assert_eq!(looked(&told(outcomes(76.8, 2.5))).verdict, Verdict::Steady);
    let fallen = looked(&told(outcomes(75.0, 2.5)));
    assert_eq!(fallen.verdict, Verdict::Drifted, "{}", fallen.sentence);
    assert!(fallen.sentence.contains("successes declined by 6.2"), "{}", fallen.sentence);
    assert!(fallen.sentence.contains("from 80 % to 75 %"), "{}", fallen.sentence);
    let fallen = looked(&told(outcomes(80.0, 2.0)));
    assert!(fallen.sentence.contains("values declined by 20 % from 2.5 to 2"), "{}", fallen.sentence);
    let untold = looked(&Told::default());
    assert_eq!(untold.verdict, Verdict::Inconclusive);
    assert!(untold.sentence.contains("no outcome was told of the reference"), "{}", untold.sentence);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let refused = |drift: Value| -> Vec<String> {
        let mut spec = json!({"strategy": {"canary": {}}});
        spec["drift"] = drift;
        problems(spec).into_iter().map(|p| p.path).collect()
    };
    assert_eq!(refused(json!({"performance": [{"metric": "success"}]})), ["spec.drift.performance[0].metric"]);
    assert_eq!(refused(json!({"predictions": {"fields": []}})), ["spec.drift.predictions.fields"]);
    let twice = json!({"name": "score", "responseBody": "/score", "edges": [1]});
    let wrong = json!({"fields": [twice, twice, {"name": "a b", "responseBody": "/a", "classes": ["x"]}, {"name": "c", "responseBody": "/c"}]});
    assert_eq!(
        refused(json!({"predictions": wrong})),
        ["fields[1].name", "fields[2].name", "fields[3]"].map(|field| format!("spec.drift.predictions.{field}"))
    );
}
