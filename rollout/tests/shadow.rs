//! Records of comparisons whose truth is known, and what is found in them.

use std::borrow::Cow;

use headgate_rollout::shadow::{
    Analysis, Answer, Difference, Findings, Held, Observed, Recommendation, Right, Settings,
};

fn answer(status: u16, micros: f64) -> Answer<'static> {
    Answer { status: Some(status), micros: Some(micros), ..Answer::default() }
}

/// Request `i` of user `i % users`: both answer 200 in about 20 ms and agree.
fn same(i: usize, users: usize) -> Observed<'static> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let micros = 20_000.0 + (i * 37 % 1_000) as f64;
    Observed {
        id: Some(Cow::Owned(format!("r{i}"))),
        bucket: Some(i % users % 32),
        primary: answer(200, micros),
        shadow: answer(200, micros + 500.0),
        agrees: Some(true),
        share: 1.0,
        ..Observed::default()
    }
}

fn differing(i: usize, users: usize) -> Observed<'static> {
    Observed {
        agrees: Some(false),
        differences: vec![Difference { path: "/digit".into(), primary: Some("3".into()), shadow: Some("5".into()) }],
        ..same(i, users)
    }
}

fn found(settings: Settings, records: impl Iterator<Item = Observed<'static>>) -> Findings {
    let mut analysis = Analysis::new(settings);
    records.for_each(|record| analysis.take(&record));
    analysis.findings()
}

fn held(findings: &Findings, name: &str) -> Option<Held> {
    findings.verdict.checks.iter().find(|c| c.name == name && c.segment.is_empty()).map(|c| c.held)
}

#[test]
fn a_good_shadow_is_recommended() {
    let findings =
        found(Settings::default(), (0..5_000).map(|i| if i % 50 == 0 { differing(i, 700) } else { same(i, 700) }));
    assert_eq!(findings.verdict.recommendation, Recommendation::Promote, "{:?}", findings.verdict);
    assert_eq!((findings.records, findings.compared, findings.agreement.value), (5_000, 5_000.0, Some(0.98)));
    assert!(findings.agreement.low.unwrap() > 0.85 && findings.agreement.buckets == 32);
    assert_eq!((findings.fields[0].path.as_str(), findings.fields[0].pairs), ("/digit", 100.0));
    let change = &findings.changes[0];
    assert_eq!((change.old.as_deref(), change.new.as_deref(), change.count), (Some("3"), Some("5"), 100.0));
    assert!(findings.notes.is_empty(), "{:?}", findings.notes);
}

#[test]
fn each_fault_has_its_recommendation() {
    let run = |of: &dyn Fn(usize) -> Observed<'static>| found(Settings::default(), (0..4_000).map(of)).verdict;
    let disagrees = run(&|i| if i % 3 == 0 { differing(i, 900) } else { same(i, 900) });
    assert_eq!(disagrees.recommendation, Recommendation::InvestigateDisagreement, "{disagrees:?}");
    let slow = run(&|i| Observed { shadow: answer(200, 60_000.0), ..same(i, 900) });
    assert_eq!(slow.recommendation, Recommendation::FixLatency, "{slow:?}");
    let failing = run(&|i| {
        if i % 10 == 0 { Observed { shadow: answer(500, 20_000.0), ..differing(i, 900) } } else { same(i, 900) }
    });
    assert_eq!(failing.recommendation, Recommendation::FixErrors, "{failing:?}");
    let timeouts = run(&|i| {
        let none = Answer { error: Some("timeout".into()), ..Answer::default() };
        if i % 10 == 0 { Observed { shadow: none, agrees: None, ..same(i, 900) } } else { same(i, 900) }
    });
    assert_eq!(timeouts.recommendation, Recommendation::FixErrors, "{timeouts:?}");
    let gone = run(&|i| {
        let none = Answer { error: Some("aborted".into()), ..Answer::default() };
        if i % 2 == 0 { Observed { shadow: none, agrees: None, ..same(i, 900) } } else { same(i, 900) }
    });
    assert_eq!(gone.recommendation, Recommendation::Promote, "users who go away are not the shadow's fault: {gone:?}");
}

#[test]
fn too_few_say_how_many_more() {
    let findings = found(Settings::default(), (0..400).map(|i| same(i, 300)));
    assert_eq!((findings.verdict.recommendation, findings.verdict.more), (Recommendation::NeedMore, Some(600.0)));
    // 86 % of 1,500 is above the limit, but it may be chance.
    let findings =
        found(Settings::default(), (0..1_500).map(|i| if i % 50 < 7 { differing(i, 1_500) } else { same(i, 1_500) }));
    assert_eq!(
        (held(&findings, "agreement"), findings.verdict.recommendation),
        (Some(Held::Open), Recommendation::NeedMore)
    );
    assert!(findings.verdict.more.unwrap() > 1_000.0, "{:?}", findings.verdict);
    assert_eq!(found(Settings::default(), std::iter::empty()).verdict.recommendation, Recommendation::NeedMore);
}

#[test]
fn one_loud_user_does_not_decide() {
    // 70 % of 3,000 agree, and all that do not are one user's in one bucket: the interval reaches beyond the limit.
    let loud = |i: usize| if i % 10 < 3 { Observed { bucket: Some(7), ..differing(i, 900) } } else { same(i, 900) };
    let findings = found(Settings::default(), (0..3_000).map(loud));
    assert_eq!(held(&findings, "agreement"), Some(Held::Open), "{:?}", findings.agreement);
    // The same without knowing users: taken for independent, and said so.
    let unknown = found(Settings::default(), (0..3_000).map(|i| Observed { bucket: None, ..loud(i) }));
    assert_eq!(held(&unknown, "agreement"), Some(Held::Fails));
    assert!(unknown.notes[0].contains("Users are not known"), "{:?}", unknown.notes);
}

#[test]
fn a_segment_can_fail_where_the_whole_passes() {
    let findings = found(
        Settings::default(),
        (0..20_000).map(|i| {
            let seen = if i % 20 == 0 && i % 3 > 0 { differing(i, 4_000) } else { same(i, 4_000) };
            Observed { segment: Some(if i % 20 == 0 { "mobile" } else { "web" }.into()), ..seen }
        }),
    );
    assert_eq!(held(&findings, "agreement"), Some(Held::Holds));
    assert_eq!(findings.verdict.recommendation, Recommendation::InvestigateDisagreement);
    assert!(findings.verdict.because.contains("in segment mobile"), "{}", findings.verdict.because);
    let names: Vec<&str> = findings.segments.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["mobile", "web"]);
}

#[test]
fn numbers_are_compared_and_the_largest_difference_is_found() {
    let findings = found(
        Settings { exact: 1_000, ..Settings::default() },
        (0..4_000).map(|i| {
            let x = (i as f64 * 0.37).sin() * 10.0;
            let y = if i == 1_234 { x + 99.0 } else { x + 0.5 + (i as f64 * 1.7).cos() };
            let seen = if (y - x).abs() > 1.0 { differing(i, 800) } else { same(i, 800) };
            Observed { numbers: Some((x, y)), ..seen }
        }),
    );
    let numbers = findings.numbers.unwrap();
    assert!((numbers.mean - 0.5).abs() < 0.05 && (numbers.largest - 99.0).abs() < 1e-9, "{numbers:?}");
    let [low, high] = numbers.interval.unwrap();
    assert!(low < numbers.mean && numbers.mean < high && numbers.p.unwrap() < 1e-6);
    assert!(numbers.pearson.unwrap() > 0.9);
    let spearman = numbers.spearman.unwrap();
    let [low, high] = spearman.error.unwrap();
    assert!(low <= spearman.statistic && spearman.statistic <= high);
    assert!(findings.notes.iter().any(|n| n.contains("binned")));
    assert_eq!((findings.largest[0].id.as_str(), findings.largest.len()), ("r1234", 10));
    assert_eq!(findings.charts.scatter.len(), 2_000);
    assert_eq!(findings.charts.counts.iter().sum::<f64>(), 4_000.0);
}

#[test]
fn what_differs_by_itself_does_not_count() {
    let findings = found(
        Settings::default(),
        (0..2_000).map(|i| {
            let at = |path: &'static str| Difference { path: path.into(), ..Difference::default() };
            let mut differences = vec![at("/time")];
            if i % 10 == 0 {
                differences.push(at("/price"));
            }
            Observed { differences, noise: Some(vec!["/time".into()]), agrees: Some(i % 10 > 0), ..same(i, 600) }
        }),
    );
    let fields: Vec<(&str, bool)> = findings.fields.iter().map(|f| (f.path.as_str(), f.counts)).collect();
    assert_eq!(fields, [("/price", true), ("/time", false)]);
    assert_eq!((findings.fields[1].share, findings.fields[1].noise), (1.0, Some(1.0)));
}

#[test]
fn records_kept_in_different_shares_are_weighed_back() {
    // 10,000 comparisons, 1 % disagree; of those that agree each hundredth is kept.
    let kept = (0..10_000_usize).filter(|i| i % 100 == 50 || i % 100 == 0);
    let findings = found(
        Settings::default(),
        kept.map(|i| if i % 100 == 0 { differing(i, 900) } else { Observed { share: 1.0 / 99.0, ..same(i, 900) } }),
    );
    assert!((findings.compared - 10_000.0).abs() < 1e-6 && (findings.agreement.value.unwrap() - 0.99).abs() < 1e-9);
    assert!(findings.notes.iter().any(|n| n.contains("different shares")));
}

#[test]
fn numbers_of_records_kept_in_different_shares_are_weighed_back() {
    // Of 20,000 pairs a fifth differs by 2, the others by 0.1; of the others each tenth is kept.
    let pair = |i: usize| {
        let x = (i as f64 * 0.37).sin() * 10.0;
        let y = x + if i.is_multiple_of(5) { 2.0 } else { 0.1 } + (i as f64 * 1.7).cos() * 0.01;
        let seen = if i.is_multiple_of(5) { differing(i, 900) } else { same(i, 900) };
        Observed { numbers: Some((x, y)), ..seen }
    };
    let all = found(Settings::default(), (0..20_000).map(pair)).numbers.unwrap();
    let thinned = (0..20_000_usize).filter(|i| i % 5 == 0 || (i / 5 * 4 + i % 5) % 10 == 3);
    let kept = thinned.map(|i| if i % 5 == 0 { pair(i) } else { Observed { share: 0.1, ..pair(i) } });
    let found = found(Settings::default(), kept);
    let weighed = found.numbers.unwrap();
    assert!((found.compared - 20_000.0).abs() < 1e-6 && weighed.pairs == 5_600.0, "{}", weighed.pairs);
    let near = |a: f64, b: f64, by: f64| assert!((a - b).abs() <= by, "{a} {b}\n{weighed:#?}\n{all:#?}");
    near(weighed.mean, all.mean, 1e-3);
    near(weighed.mean_absolute, all.mean_absolute, 1e-3);
    near(weighed.deviation.unwrap(), all.deviation.unwrap(), 1e-3);
    near(weighed.pearson.unwrap(), all.pearson.unwrap(), 1e-3);
    near(weighed.spearman.as_ref().unwrap().statistic, all.spearman.as_ref().unwrap().statistic, 1e-3);
    let bars: f64 = found.charts.counts.iter().sum();
    near(bars, 20_000.0, 1e-6);
    // Fewer records say less: the tests know it.
    let width = |of: &[f64; 2]| of[1] - of[0];
    assert!(width(&weighed.t_interval.unwrap()) > 1.05 * width(&all.t_interval.unwrap()));
    assert!(width(&weighed.pearson_interval.unwrap()) > 1.5 * width(&all.pearson_interval.unwrap()));
}

#[test]
fn people_say_who_was_right() {
    let mut settings = Settings::default();
    for (i, right) in [Right::Shadow; 9].into_iter().chain([Right::Primary, Right::Both]).enumerate() {
        settings.labels.insert(format!("r{}", i * 2), right);
    }
    settings.labels.insert("elsewhere".to_owned(), Right::Neither);
    let findings =
        found(settings, (0..3_000).map(|i| if i % 2 == 0 && i < 100 { differing(i, 700) } else { same(i, 700) }));
    let labels = findings.labels.unwrap();
    assert_eq!((labels.found, labels.elsewhere, labels.shadow, labels.primary, labels.both), (11, 1, 9, 1, 1));
    assert_eq!(labels.shadow_share.value, Some(0.9));
    // R: binom.test(9, 10)$p.value
    assert!((labels.p.unwrap() - 0.021_484_375).abs() < 1e-9);
}

#[test]
fn what_people_accept_is_as_good_as_agreement() {
    // Of 4,000 a third disagrees; of 80 of these that people looked at the shadow was right in 76.
    let records = || (0..4_000).map(|i| if i % 3 == 0 { differing(i, 900) } else { same(i, 900) });
    let labels = |wrong: usize, of: usize| Settings {
        labels: (0..of)
            .map(|n| (format!("r{}", n * 3), if n < wrong { Right::Primary } else { Right::Shadow }))
            .collect(),
        ..Settings::default()
    };
    let verdict = |settings| found(settings, records()).verdict;
    let without = verdict(Settings::default());
    assert_eq!(without.recommendation, Recommendation::InvestigateDisagreement);
    let accepted = verdict(labels(4, 80));
    assert_eq!(accepted.recommendation, Recommendation::Promote, "{accepted:?}");
    let check = &accepted.checks[0];
    assert!((check.measured.unwrap() - (1.0 - 1_334.0 / 4_000.0 * 4.0 / 80.0)).abs() < 1e-9, "{check:?}");
    assert!(check.sentence.contains("in 76 of the 80 disagreements"), "{}", check.sentence);
    // Too few looked at, or too many in which the version in service was right: still to be investigated.
    for settings in [labels(0, 2), labels(40, 80)] {
        let verdict = verdict(settings);
        assert_eq!(verdict.recommendation, Recommendation::InvestigateDisagreement, "{verdict:?}");
    }
}

#[test]
fn errors_and_latency_hold_only_beyond_chance() {
    // 1 % of errors on both sides, at other requests: half as many again would be within 2x, but 1,000 pairs do not show it.
    let failing = |i: usize| {
        let mut seen = same(i, 701);
        seen.primary.status = Some(if i % 100 == 7 { 503 } else { 200 });
        seen.shadow.status = Some(if i % 100 == 53 { 503 } else { 200 });
        seen
    };
    let verdict = |n: usize| found(Settings::default(), (0..n).map(failing)).verdict;
    let few = verdict(1_200);
    assert_eq!(few.recommendation, Recommendation::NeedMore, "{few:?}");
    assert!(few.because.starts_with("errors") && few.more.is_some_and(|more| more > 100.0), "{few:?}");
    let many = verdict(8_000);
    assert_eq!(many.recommendation, Recommendation::Promote, "{many:?}");
    // A p95 of 1.4 times as much, with a tail that 1,000 pairs cannot tell from 1.5.
    let slow = |n: usize| {
        let micros = |i: usize| 20_000.0 * (1.0 + 3.0 * ((i * 7_919 % 1_000) as f64 / 1_000.0).powi(8));
        let pair = |i: usize| Observed {
            primary: answer(200, micros(i)),
            shadow: answer(200, 1.4 * micros(i + 3)),
            ..same(i, 700)
        };
        found(Settings::default(), (0..n).map(pair)).verdict
    };
    let (few, many) = (slow(1_000), slow(60_000));
    assert_eq!(
        (few.recommendation, many.recommendation),
        (Recommendation::NeedMore, Recommendation::Promote),
        "{few:?} {many:?}"
    );
}

#[test]
fn slow_pairs_are_listed() {
    let findings = found(
        Settings { top: 3, ..Settings::default() },
        (0..2_000)
            .map(|i| if i == 77 { Observed { shadow: answer(200, 900_000.0), ..same(i, 500) } } else { same(i, 500) }),
    );
    assert_eq!((findings.outliers.len(), findings.outliers[0].id.as_str()), (3, "r77"));
    let latency = findings.latency.unwrap();
    assert!(latency.shadow.most == 900_000.0 && latency.primary.p95.unwrap() < 21_200.0);
    // All others are 500 us slower: the one is far beyond.
    assert_eq!(findings.slow.unwrap().pairs, 1.0, "{:?}", findings.slow);
}

#[test]
fn a_small_rise_never_fails() {
    // Eight times as many errors, and three times the p95, but both by less than anybody minds.
    let small = |i: usize| {
        let mut seen = same(i, 900);
        seen.primary = answer(if (i * 7_919).is_multiple_of(2_000) { 503 } else { 200 }, 2_000.0);
        seen.shadow = answer(if i * 3_571 % 1_000 < 4 { 503 } else { 200 }, 6_000.0);
        seen
    };
    let verdict = |settings: Settings| found(settings, (0..40_000).map(small)).verdict;
    let kept = verdict(Settings::default());
    assert_eq!(kept.recommendation, Recommendation::Promote, "{kept:?}");
    let mut strict = Settings::default();
    strict.limits.errors_floor = 0.0;
    assert_eq!(verdict(strict.clone()).recommendation, Recommendation::FixErrors);
    strict.limits.errors_floor = 0.005;
    strict.limits.latency_floor = 0.0;
    assert_eq!(verdict(strict).recommendation, Recommendation::FixLatency);
}
