//! Pairs against published figures. "R" is its documentation's own data; "scipy" 1.17.1, the call is named.

use headgate_rollout::stats::Reason;
use headgate_rollout::stats::cell::Arm;
use headgate_rollout::stats::fixed::{Alternative, Look};
use headgate_rollout::stats::paired::{Pairs, Ranks, clustered, signed_rank, spearman};

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} instead of {expected}");
}

/// Student 1908, "The probable error of a mean": hours of sleep gained with two drugs.
const SLEEP: [(f64, f64); 10] = [
    (0.7, 1.9),
    (-1.6, 0.8),
    (-0.2, 1.1),
    (-1.2, 0.1),
    (-0.1, -0.1),
    (3.4, 4.4),
    (3.7, 5.5),
    (0.8, 1.6),
    (0.0, 4.6),
    (2.0, 3.4),
];
/// Hollander and Wolfe 1973, p. 29: depression before and after therapy.
#[expect(clippy::approx_constant, reason = "3.14 was measured")]
const DEPRESSION: [(f64, f64); 9] = [
    (1.83, 0.878),
    (0.50, 0.647),
    (1.62, 0.598),
    (2.48, 2.05),
    (1.68, 1.06),
    (1.88, 1.29),
    (1.55, 1.06),
    (3.06, 3.14),
    (1.30, 1.29),
];
/// Hollander and Wolfe 1973, p. 187: tuna, Hunter's lightness and panel scores.
const TUNA: [(f64, f64); 9] = [
    (44.4, 2.6),
    (45.9, 3.1),
    (41.9, 2.5),
    (53.3, 5.0),
    (44.7, 3.6),
    (44.1, 4.0),
    (50.7, 5.2),
    (45.2, 2.8),
    (60.1, 3.8),
];

fn pairs(of: &[(f64, f64)]) -> Pairs {
    let mut pairs = Pairs::default();
    for (x, y) in of {
        assert!(pairs.push(*x, *y).is_ok());
    }
    pairs
}

#[test]
fn sleep() {
    let found = pairs(&SLEEP);
    // R: t.test(extra ~ group, data = sleep, paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833, -2.4598858 to -0.7001142
    let t = found.t_test(0.05, Alternative::TwoSided, Look::Only).unwrap();
    close(t.test.statistic, 4.062127683);
    close(t.test.p, 0.002832890197);
    assert_eq!(t.test.df, 9.0);
    close(t.interval[0], 0.7001142367);
    close(t.interval[1], 2.459885763);
    close(found.mean().unwrap(), 1.58);
    close(found.deviation().unwrap(), 1.229995483);
    close(found.largest().unwrap(), 4.6);
    close(found.mean_absolute().unwrap(), 1.58);
    // scipy pearsonr, spearmanr, wilcoxon(correction=False, method="asymptotic")
    let r = found.pearson(0.05).unwrap();
    close(r.r, 0.7951702058);
    close(r.test.unwrap().p, 0.005964995797);
    close(r.interval.unwrap()[0], 0.3315254742);
    close(r.interval.unwrap()[1], 0.9494465336);
    let rho = spearman(&SLEEP).unwrap();
    close(rho.rho, 0.7818181818);
    close(rho.test.unwrap().p, 0.007547007781);
    let ranks = signed_rank(SLEEP.iter().map(|(x, y)| y - x), Alternative::TwoSided, Look::Only).unwrap();
    assert_eq!((ranks.pairs, ranks.zeros, ranks.test.statistic), (9.0, 1.0, 45.0));
    // With ties the p-value is the normal approximation.
    close(ranks.test.p, 0.007632441648);
}

#[test]
fn depression() {
    // R: wilcox.test(x, y, paired = TRUE, alternative = "greater"): V = 40, p-value = 0.01953
    let down = || DEPRESSION.iter().map(|(x, y)| x - y);
    let found = signed_rank(down(), Alternative::Greater, Look::Only).unwrap();
    assert_eq!(found.test.statistic, 40.0);
    close(found.test.p, 0.01953125);
    close(signed_rank(down(), Alternative::TwoSided, Look::Only).unwrap().test.p, 0.0390625);
}

#[test]
fn tuna() {
    // R: cor.test(x, y): t = 1.8411, df = 7, p-value = 0.1082, -0.1497426 to 0.8955795, cor 0.5711816; method = "spearman": 0.6
    let found = pairs(&TUNA).pearson(0.05).unwrap();
    close(found.r, 0.5711815576);
    close(found.test.unwrap().p, 0.1081730543);
    close(found.interval.unwrap()[0], -0.1497426330);
    close(found.interval.unwrap()[1], 0.8955794618);
    let found = spearman(&TUNA).unwrap();
    close(found.rho, 0.6);
    close(found.test.unwrap().p, 0.08762282904);
}

#[test]
fn waves() {
    // i = arange(1, 201); x = 10 sin(i); y = x + cos(3 i): spearmanr(x, y), wilcoxon(y, x, method="asymptotic"), ttest_rel(y, x), pearsonr
    let waves: Vec<(f64, f64)> = (1..=200)
        .map(|i| {
            let x = f64::from(i).sin() * 10.0;
            (x, x + f64::from(3 * i).cos())
        })
        .collect();
    let mut ranks = Ranks::new(1_000);
    waves.iter().for_each(|(x, y)| ranks.push(*x, *y).unwrap());
    close(ranks.spearman().unwrap().rho, 0.9889357234);
    close(ranks.signed_rank(Alternative::TwoSided, Look::Only).unwrap().test.p, 0.9038519467);
    // Two halves that are added up are the whole.
    let (mut first, second) = (pairs(&waves[..70]), pairs(&waves[70..]));
    first.merge(&second);
    for found in [first, pairs(&waves)] {
        close(found.t_test(0.05, Alternative::TwoSided, Look::Only).unwrap().test.statistic, -0.09947070263);
        close(found.pearson(0.05).unwrap().r, 0.9950555286);
    }
}

#[test]
fn pairs_that_cannot_answer_have_a_reason() {
    let look = (Alternative::TwoSided, Look::Only);
    assert!(matches!(Pairs::default().t_test(0.05, look.0, look.1), Err(Reason::TooFew { .. })));
    assert_eq!(pairs(&SLEEP).t_test(0.05, look.0, Look::Repeated), Err(Reason::Peeking));
    let constant = pairs(&[(1.0, 2.0), (2.0, 3.0), (5.0, 6.0)]);
    assert_eq!(constant.t_test(0.05, look.0, look.1), Err(Reason::ZeroVariance));
    let perfect = constant.pearson(0.05).unwrap();
    assert!(perfect.r > 0.999_999 && perfect.test.is_none_or(|t| !t.p.is_nan()));
    assert_eq!(pairs(&[(1.0, 2.0), (1.0, 3.0)]).pearson(0.05), Err(Reason::ZeroVariance));
    let mut odd = pairs(&SLEEP);
    for (x, y) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-f64::MAX, f64::MAX)] {
        assert!(matches!(odd.push(x, y), Err(Reason::NotFinite(_))));
        assert!(matches!(Ranks::new(9).push(x, y), Err(Reason::NotFinite(_))));
    }
    assert_eq!(odd, pairs(&SLEEP));
    assert!(matches!(spearman(&[]), Err(Reason::TooFew { .. })));
    assert_eq!(spearman(&[(1.0, 1.0), (1.0, 2.0)]), Err(Reason::ZeroVariance));
    assert!(matches!(signed_rank([0.0, 0.0].into_iter(), look.0, look.1), Err(Reason::NoData(_))));
    assert!(matches!(signed_rank([f64::NAN].into_iter(), look.0, look.1), Err(Reason::NotFinite(_))));
    // Values so large that squares overflow are refused, not NaN.
    let huge = pairs(&[(1e200, -1e200), (-1e200, 1e200), (3e199, 0.0)]);
    assert!(huge.pearson(0.05).is_err() && huge.t_test(0.05, look.0, look.1).is_err());
    let mut one = Arm::default();
    one.add(4, 10.0, 3.0);
    assert!(matches!(clustered::mean(&one, 0.05), Err(Reason::TooFew { .. })));
    assert!(matches!(clustered::share(&one, false, 0.05), Err(Reason::TooFew { .. })));
    assert!(clustered::share(&one, true, 0.0).is_err());
}
